"""Whose account it is, how it keeps its money, and what of it cannot be seen."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hyperliquid_signature import address_of_private
from hyperliquid_wire import ACCOUNT, AGENT_KEY, BTC, ETH, HyperliquidServer
from wire_faults import Fate

from guard.errors import KeysRefused, VenueRefused, VenueUnavailable
from guard.snapshot import AssetMode, Liquidation, LiquidationKind, MarginRequest, PositionKey, Side
from guard.venues.hyperliquid import Hyperliquid
from guard.venues.protocol import KeyVerdict

MASTER = "0x1111111111111111111111111111111111111111"


def request_of(amount="62.31"):
    return MarginRequest(key=PositionKey(BTC, Side.LONG), hedged=False, amount=Decimal(amount), currency="USDC")


# Whose address and whose key.


async def test_an_agents_address_is_refused_though_it_answers_as_an_empty_account(server, venue):
    server.account_role = {"role": "agent", "data": {"user": MASTER}}
    with pytest.raises(KeysRefused, match=f"agent.*api_key must be the address of its account, {MASTER}"):
        await venue.snapshot()


async def test_an_address_without_an_account_is_refused(server, venue):
    server.account_role = {"role": "missing"}
    with pytest.raises(KeysRefused, match="no account"):
        await venue.snapshot()


@pytest.mark.parametrize("role", [None, {}, {"role": 5}, {"role": "user", "data": "x"}, []])
async def test_a_role_that_cannot_be_read_is_no_role(server, venue, role):
    server.account_role = role
    with pytest.raises(VenueUnavailable):
        await venue.snapshot()


async def test_a_key_is_judged_by_whose_it_is(server, venue):
    await venue.open()
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
    server.set_key(expires_at=ends)
    scopes = await venue.key_scopes()
    assert (scopes.verdict, scopes.expires_at, scopes.ip_restricted) == (KeyVerdict.SAFE, ends, None)
    assert "not out of it" in scopes.text


async def test_the_accounts_own_key_is_too_powerful():
    """It is told by its address: nothing that the exchange says could make it harmless."""
    own = HyperliquidServer()
    own.api_key = address_of_private(AGENT_KEY)
    own.account_role = {"role": "agent", "data": {"user": own.api_key}}  # Whatever is said of it.
    async with own.serving():
        venue = Hyperliquid(own.account(), now=lambda: datetime.now(UTC))
        scopes = await venue.key_scopes()
        await venue.close()
    assert scopes.verdict is KeyVerdict.TOO_POWERFUL
    assert "withdraw everything" in scopes.text


async def test_an_agent_of_somebody_else_cannot_add_margin(server, venue):
    await venue.open()
    server.sub_account_of = MASTER  # So that the key is said to be that one's agent.
    scopes = await venue.key_scopes()
    assert scopes.verdict is KeyVerdict.READ_ONLY
    assert "Approve it" in scopes.text


async def test_a_sub_account_is_topped_up_in_its_own_name_by_its_masters_agent(server, venue):
    server.sub_account_of = MASTER
    server.account_role = {"role": "subAccount", "data": {"master": MASTER}}
    server.hold_sample()
    await venue.snapshot()
    assert venue.watch_only is None
    assert (await venue.key_scopes()).verdict is KeyVerdict.SAFE
    await venue.add_margin(request_of())
    assert server.writes[0].params["vaultAddress"] == ACCOUNT
    assert server.margin_of(BTC, Side.LONG) == server.sample.margin + Decimal("62.31")


async def test_a_vault_is_watched(server, venue):
    server.account_role = {"role": "vault"}
    server.hold_sample()
    assert len((await venue.snapshot()).positions) == 1
    assert "vault" in venue.watch_only


# How the money is kept.


async def test_before_the_mode_is_read_nothing_is_added(server, venue):
    assert venue.watch_only == "how the account keeps its money was not read yet"
    with pytest.raises(VenueRefused) as caught:
        await venue.add_margin(request_of())
    assert caught.value.code == "not_sent"
    assert server.writes == []


@pytest.mark.parametrize(
    ("word", "reason", "mode"),
    [
        ("default", None, AssetMode.SINGLE),
        ("disabled", None, AssetMode.SINGLE),
        ("dexAbstraction", "dex abstraction", AssetMode.SINGLE),
        ("unifiedAccount", "unified account", AssetMode.MULTI),
        ("portfolioMargin", "portfolio margin", AssetMode.MULTI),
    ],
)
async def test_each_mode_says_whether_margin_can_be_added(server, venue, word, reason, mode):
    server.abstraction = word
    server.hold_sample()
    snapshot = await venue.snapshot()
    assert snapshot.asset_mode is mode
    assert (venue.watch_only is None) is (reason is None)
    assert reason is None or reason in venue.watch_only
    if reason:
        with pytest.raises(VenueRefused):
            await venue.add_margin(request_of())
        assert server.writes == []


@pytest.mark.parametrize("answer", ["somethingNew", "", 1, ["disabled"], {"mode": "disabled"}, None])
async def test_a_mode_that_is_not_known_is_not_taken_for_another(server, venue, answer):
    server.mangle("userAbstraction", lambda _: answer)
    with pytest.raises(VenueUnavailable):
        await venue.snapshot()


async def test_a_mode_read_before_holds_when_it_cannot_be_read_again_and_that_is_said(server, venue):
    clock = [datetime.now(UTC)]
    one = Hyperliquid(server.account(), now=lambda: clock[0])
    server.hold_sample()
    await one.snapshot()
    server.break_reads("userAbstraction", Fate.HTML_200)
    clock[0] += timedelta(minutes=11)
    server.clock_skew = 11 * 60_000  # Our clock moved, and so did theirs.
    snapshot = await one.snapshot()
    await one.close()
    assert [gap.subject for gap in snapshot.gaps] == ["account mode and other dexes"]
    assert one.watch_only is None


async def test_an_account_that_became_unified_is_read_as_one_in_the_look_that_finds_its_wallet_empty(server, venue):
    server.hold_sample(margin=None)
    assert (await venue.snapshot()).asset_mode is AssetMode.SINGLE
    server.abstraction = "unifiedAccount"
    server.set_wallet("USDC", Decimal(0), Decimal(0))
    server.spot = {"balances": [{"coin": "USDC", "token": 0, "total": "20000.0", "hold": "0.0", "entryNtl": "0.0"}]}
    snapshot = await venue.snapshot()
    assert snapshot.asset_mode is AssetMode.MULTI
    assert snapshot.wallet("USDC").cross_wallet_balance + snapshot.wallet("USDC").cross_unrealized_pnl == 20_000
    assert "spot" in venue.watch_only


async def test_the_mode_is_asked_for_again_where_an_empty_wallets_account_did_not_say_it(server, venue):
    server.hold_sample(margin=None)
    await venue.snapshot()
    server.abstraction = "unifiedAccount"
    server.set_wallet("USDC", Decimal(0), Decimal(0))
    server.spot = {"balances": [{"coin": "USDC", "token": 0, "total": "20000.0", "hold": "0.0", "entryNtl": "0.0"}]}
    server.break_reads("userAbstraction", Fate.HTTP_500)
    with pytest.raises(VenueUnavailable):
        await venue.snapshot()
    server.break_reads("userAbstraction", None)
    assert (await venue.snapshot()).asset_mode is AssetMode.MULTI


async def test_the_mode_is_asked_for_once_by_a_classic_account_whose_wallet_is_empty(server, venue):
    await venue.snapshot()
    server.hold_sample()
    server.set_wallet("USDC", Decimal(0), Decimal(0))
    server.requests.clear()
    for _ in range(3):
        await venue.snapshot()
    assert sum(params["type"] == "userAbstraction" for _, _, params in server.requests) == 1


async def test_a_unified_accounts_ratio_is_that_of_the_documents(server, venue):
    """Cross maintenance over the USDC in spot less what isolated positions hold."""
    server.abstraction = "unifiedAccount"
    server.hold_sample()  # Isolated: 3,000 and a loss of 1,250.
    server.hold_sample(Side.LONG, server.other, margin=None)
    server.spot = {"balances": [{"coin": "HYPE", "token": 150, "total": "9", "hold": "0.0", "entryNtl": "1"},
                                {"coin": "USDC", "token": 0, "total": "80000.0", "hold": "500.0", "entryNtl": "0.0"}]}  # fmt: skip
    snapshot = await venue.snapshot()
    assert snapshot.exchange_margin_ratio == server.cross_maintenance() / (80_000 - (3_000 - 1_250))
    wallet = snapshot.wallet("USDC")
    cross_loss = Decimal("200.125") * -100
    assert wallet.cross_unrealized_pnl == cross_loss
    assert wallet.cross_wallet_balance + wallet.cross_unrealized_pnl == 80_000 - 1_750
    assert wallet.available == 79_500


async def test_a_unified_account_without_usdc_behind_its_positions_has_no_ratio(server, venue):
    server.abstraction = "unifiedAccount"
    server.hold_sample(margin=None)
    snapshot = await venue.snapshot()
    assert snapshot.exchange_margin_ratio is None
    assert "account margin ratio" in [gap.subject for gap in snapshot.gaps]


async def test_portfolio_margins_own_ratio_is_turned_so_that_one_is_liquidation(server, venue):
    server.abstraction = "portfolioMargin"
    server.spot = {"balances": [], "portfolioMarginEnabled": True, "portfolioMarginRatio": "0.475"}
    assert (await venue.snapshot()).exchange_margin_ratio == Decimal("0.5")


async def test_a_spot_state_that_cannot_be_read_is_a_gap_or_no_snapshot(server, venue):
    server.abstraction = "unifiedAccount"
    server.spot = {"balances": [{"token": 0, "total": "NaN", "hold": "0"}]}
    snapshot = await venue.snapshot()
    assert {"wallet USDC", "account margin ratio"} <= {gap.subject for gap in snapshot.gaps}
    assert snapshot.wallets == ()


async def test_dollars_that_are_listed_twice_are_no_wallet(server, venue):
    server.abstraction = "unifiedAccount"
    usdc = {"coin": "USDC", "token": 0, "total": "100.0", "hold": "0.0", "entryNtl": "0.0"}
    server.spot = {"balances": [usdc, usdc | {"total": "99999.0"}]}
    snapshot = await venue.snapshot()
    assert snapshot.wallets == ()
    assert "USDC is listed twice" in " ".join(gap.reason for gap in snapshot.gaps if gap.subject == "wallet USDC")


async def test_a_name_that_cannot_be_written_down_is_shown_as_question_marks(server, venue):
    server.hold_sample()

    def alter(state):
        state["assetPositions"][0]["position"]["coin"] = "A\ud800\x1b[31m"
        return state

    server.mangle("positions", alter)
    assert "position row A??[31m" in {gap.subject for gap in (await venue.snapshot()).gaps}


async def test_withdrawable_is_what_may_move_and_not_what_is_left_of_the_account(server, venue):
    """Recorded 2024-10-20: open orders held the rest (ccxt's `free` was 20.454862)."""
    summary = {"accountValue": "20.454862", "totalNtlPos": "0.0", "totalRawUsd": "20.454862", "totalMarginUsed": "0.0"}
    server.mangle("positions", lambda state: state | {"marginSummary": summary, "crossMarginSummary": summary,
                                                      "withdrawable": "19.954862"})  # fmt: skip
    wallet = (await venue.snapshot()).wallet("USDC")
    assert (wallet.cross_wallet_balance, wallet.available) == (Decimal("20.454862"), Decimal("19.954862"))


# What cannot be seen.


async def test_a_list_that_does_not_add_up_to_the_accounts_total_is_a_gap(server, venue):
    server.hold_sample()
    server.hold_sample(of=server.other)

    def shorten(state):
        del state["assetPositions"][0]
        return state

    server.mangle("positions", shorten)
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [ETH]
    assert [(gap.subject, gap.may_be_cross) for gap in snapshot.gaps] == [("positions", True)]


@pytest.mark.parametrize(
    "change",
    [
        {"marginUsed": "3000.0"},  # Without its loss: what ccxt calls initial margin.
        {"unrealizedPnl": "1250.0"},
        {"leverage": {"type": "isolated", "value": 10}},
        {"leverage": {"type": "cross", "value": 10, "rawUsd": "-27000.0"}},
        {"leverage": {"type": "portfolio", "value": 10}},
        {"coin": "NOSUCH"},
    ],
    ids=str,
)
async def test_a_row_that_contradicts_itself_is_a_gap(server, venue, change):
    server.hold_sample()

    def alter(state):
        state["assetPositions"][0]["position"] |= change
        return state

    server.mangle("positions", alter)
    snapshot = await venue.snapshot()
    assert snapshot.positions == ()
    assert snapshot.gaps


async def test_a_position_of_a_kind_that_is_not_known_is_a_gap(server, venue):
    server.hold_sample()

    def alter(state):
        state["assetPositions"][0]["type"] = "hedged"
        return state

    server.mangle("positions", alter)
    snapshot = await venue.snapshot()
    assert (snapshot.positions, len(snapshot.gaps)) == ((), 1)


@pytest.mark.parametrize(
    ("raw", "liquidation"),
    [
        (None, Liquidation(kind=LiquidationKind.NONE)),
        ("54000.5", Liquidation(kind=LiquidationKind.AT, price=Decimal("54000.5"))),
        ("0.0", Liquidation(kind=LiquidationKind.UNKNOWN)),
        ("-1.0", Liquidation(kind=LiquidationKind.UNKNOWN)),
        ("", Liquidation(kind=LiquidationKind.UNKNOWN)),
        ("NaN", Liquidation(kind=LiquidationKind.UNKNOWN)),
    ],
)
async def test_the_exchanges_price_is_a_price_none_or_unknown(server, venue, raw, liquidation):
    server.hold_sample()

    def alter(state):
        state["assetPositions"][0]["position"]["liquidationPx"] = raw
        return state

    server.mangle("positions", alter)
    (position,) = (await venue.snapshot()).positions
    assert position.exchange_liquidation == liquidation


async def test_without_the_exchanges_price_a_position_stays_seen(server, venue):
    server.hold_sample()

    def alter(state):
        del state["assetPositions"][0]["position"]["liquidationPx"]
        return state

    server.mangle("positions", alter)
    (position,) = (await venue.snapshot()).positions
    assert position.exchange_liquidation.kind is LiquidationKind.UNKNOWN


async def test_a_cross_row_that_cannot_be_read_leaves_no_wallet_and_says_so(server, venue):
    server.hold_sample(margin=None)

    def alter(state):
        state["assetPositions"][0]["position"]["entryPx"] = "NaN"
        return state

    server.mangle("positions", alter)
    snapshot = await venue.snapshot()
    assert snapshot.wallets == ()
    assert "wallet USDC" in [gap.subject for gap in snapshot.gaps]
