"""Which kind of account it is, products in use and the sweep of the others, and figures that contradict each other."""

from datetime import timedelta
from decimal import Decimal

import pytest
from wire_faults import Fate

from guard.errors import VenueRefused, VenueUnavailable
from guard.snapshot import AssetMode, LiquidationKind, MarginMode, MarginRequest, PositionKey, Side
from guard.venues.bitget import Bitget

KEY = PositionKey("BTC/USDT:USDT", Side.LONG)
SETTINGS = "/api/v3/account/settings"
# A coin-margined row in the documented shape; the figures are chosen.
COIN_ROW = {
    "marginCoin": "ETH", "symbol": "BTCUSD", "holdSide": "long", "marginSize": "1.2", "total": "0.5", "leverage": "10",
    "openPriceAvg": "60000", "marginMode": "isolated", "posMode": "one_way_mode", "unrealizedPL": "-0.3",
    "liquidationPrice": "54321.5", "keepMarginRate": "0.004", "markPrice": "58000", "cTime": "1691382137448",
}  # fmt: skip


def request(amount="62.31", currency="USDT"):
    return MarginRequest(key=KEY, hedged=False, amount=Decimal(amount), currency=currency)


def changed(server, kind, **fields):
    def change(answer):
        for row in server.rows_in(kind, answer):
            row.update(fields)
        return answer

    server.mangle(kind, change)


# Classic or unified.


NO_ANSWER = [Fate.HTML_200, Fate.EMPTY_200, Fate.NULL_200, Fate.BARE_200, Fate.TRUNCATED, Fate.HTTP_500]
UNSAID = [Fate.LOST_BEFORE, Fate.UNKNOWN_CODE, "40010", "40725", "45001"]


@pytest.mark.parametrize(
    ("is_unified", "how"), [*((False, how) for how in UNSAID), *((True, how) for how in (*UNSAID, *NO_ANSWER))]
)
async def test_a_question_that_is_not_answered_leaves_the_kind_of_account_open(server, venue, is_unified, how):
    """ccxt would take each of these for "classic", for the life of its object."""
    server.is_unified = is_unified
    server.hold_sample()
    server.break_reads(SETTINGS, how)
    with pytest.raises(VenueUnavailable):
        await venue.snapshot()
    assert venue.watch_only is not None
    with pytest.raises(VenueRefused):
        await venue.add_margin(request())
    server.break_reads(SETTINGS, None)
    assert len((await venue.snapshot()).positions) == 1
    assert venue.watch_only is None
    assert server.writes == []


async def test_that_it_is_not_a_unified_account_is_said_by_a_code_of_the_unified_list_too(server, venue):
    server.hold_sample()
    server.break_reads(SETTINGS, "25245")
    assert len((await venue.snapshot()).positions) == 1
    assert venue.watch_only is None


async def test_ccxt_never_asks_by_itself_which_kind_it_is(server, venue):
    server.hold_sample()
    await venue.snapshot()
    await venue.mark(KEY.symbol)
    await venue.tiers(frozenset({KEY.symbol}))
    assert len(server.asked("v3/account/settings")) == 1


async def test_the_users_own_option_does_not_make_ccxt_take_it_for_unified(server, clock):
    one = Bitget(server.account(options={"uta": True}), now=clock)
    await one.open()
    assert KEY.symbol in one.contracts
    await one.close()


async def test_a_unified_account_is_read_by_its_own_words(server, venue):
    server.is_unified, server.level = True, "basic"
    server.hold_sample(margin=None)
    server.set_wallet("USDT", Decimal(1000), Decimal(900))
    snapshot = await venue.snapshot()
    (position,) = snapshot.positions
    assert snapshot.asset_mode is AssetMode.MULTI
    assert (position.key, position.margin_mode, position.entry_price) == (KEY, MarginMode.CROSS, Decimal(60000))
    equity = Decimal(1000) - 200
    assert abs(snapshot.exchange_margin_ratio - Decimal("26.68") / equity) < Decimal("1E-8")
    assert snapshot.wallet("USDT").available == 900


async def test_a_unified_account_without_positions_is_empty_although_its_list_is_null(server, venue):
    server.is_unified = True
    snapshot = await venue.snapshot()
    assert (snapshot.positions, snapshot.gaps, snapshot.exchange_margin_ratio) == ((), (), None)


async def test_a_broken_row_of_a_unified_account_is_a_gap_with_its_key(server, venue):
    server.is_unified = True
    server.hold_sample()

    def change(answer):
        answer["data"]["list"][0]["avgPrice"] = "NaN"
        return answer

    server.mangle("positions", change)
    snapshot = await venue.snapshot()
    assert snapshot.positions == ()
    assert [gap.key for gap in snapshot.gaps] == [KEY]


@pytest.mark.parametrize("later", [True, False], ids=["to unified", "to classic"])
async def test_an_account_that_is_switched_is_asked_anew(server, venue, later):
    server.is_unified = not later
    server.hold_sample()
    await venue.snapshot()
    server.is_unified = later
    assert len((await venue.snapshot()).positions) == 1
    assert venue.write_terms.history_kept == timedelta(days=0 if later else 89)
    await venue.add_margin(request())
    (call,) = server.writes
    assert call.path.startswith("/api/v3/" if later else "/api/v2/")


async def test_an_account_between_two_modes_is_neither(server, venue):
    server.is_unified = True

    def change(answer):
        answer["data"]["accountMode"] = "switching"
        return answer

    server.mangle(SETTINGS, change)
    with pytest.raises(VenueUnavailable, match="switching"):
        await venue.snapshot()


async def test_the_kind_of_account_is_asked_once_for_every_read_would_tell(server, venue, clock):
    await venue.snapshot()
    clock.ahead = timedelta(hours=1)
    server.break_reads(SETTINGS, Fate.LOST_BEFORE)
    await venue.snapshot()
    assert len(server.asked("v3/account/settings")) == 1


# Contradictions.


@pytest.mark.parametrize(
    "fields",
    [
        {"unrealizedPL": "200"},
        {"marginCoin": "USDC"},
        {"marginMode": "fixed"},
        {"holdSide": "net"},
        {"symbol": "XYZUSDT"},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_a_row_that_contradicts_itself_is_a_gap(server, venue, fields):
    server.hold_sample()
    changed(server, "positions", **fields)
    snapshot = await venue.snapshot()
    assert snapshot.positions == ()
    assert snapshot.gaps


@pytest.mark.parametrize("kind", ["positions", "wallets"])
async def test_names_that_cannot_be_written_down_are_shown_as_question_marks(server, venue, kind):
    server.hold_sample()
    changed(server, kind, symbol="A\x1b[31m", marginCoin="B\x1b", holdSide=["long"], available=None)
    snapshot = await venue.snapshot()
    assert snapshot.gaps
    assert all((gap.subject + gap.reason).isprintable() for gap in snapshot.gaps)


async def test_an_unknown_symbol_is_not_searched_for_with_every_look(server, venue):
    server.hold_sample()
    changed(server, "positions", symbol="XYZUSDT")
    for _ in range(3):
        await venue.snapshot()
    assert len([one for one in server.asked("mix/market/contracts") if one["productType"] == "USDT-FUTURES"]) == 2


async def test_rows_that_hold_more_than_the_account_says_are_gaps_beside_the_position(server, venue):
    server.hold_sample()
    del server.wallets["USDC"]
    server.account_fields = {"isolatedMargin": "300"}
    snapshot = await venue.snapshot()
    assert [gap.key for gap in snapshot.gaps] == [KEY]
    server.account_fields = {"isolatedMargin": "900"}  # Orders hold some too.
    assert (await venue.snapshot()).gaps == ()


async def test_margin_that_orders_hold_is_no_hidden_position(server, venue):
    del server.wallets["USDC"]
    server.account_fields = {"isolatedMargin": "300", "locked": "300"}
    assert (await venue.snapshot()).gaps == ()
    server.account_fields = {"isolatedMargin": "300", "locked": "0"}
    (gap,) = (await venue.snapshot()).gaps
    assert gap.may_be_cross


async def test_a_row_twice_is_a_gap(server, venue):
    server.hold_sample()

    def change(answer):
        answer["data"] *= 2
        return answer

    server.mangle("positions", change)
    snapshot = await venue.snapshot()
    assert [gap.key for gap in snapshot.gaps] == [KEY]


async def test_a_wallet_that_is_not_listed_is_a_gap(server, venue):
    server.hold_sample()

    def change(answer):
        answer["data"].clear()
        return answer

    server.mangle("wallets", change)
    assert [gap.subject for gap in (await venue.snapshot()).gaps] == ["wallet USDT"]


async def test_several_assets_together_are_watched_by_the_accounts_own_ratio(server, venue):
    server.hold_sample(margin=None)
    server.asset_mode = "union"
    server.account_fields = {"crossedRiskRate": "0.31"}
    snapshot = await venue.snapshot()
    assert (snapshot.asset_mode, snapshot.exchange_margin_ratio) == (AssetMode.MULTI, Decimal("0.31"))
    assert "multi-assets mode" in venue.watch_only
    with pytest.raises(VenueRefused):
        await venue.add_margin(request())


async def test_what_may_move_into_isolated_margin_is_isolated_max_available(server, venue):
    server.hold_sample()
    changed(
        server, "wallets", available="900", crossedMaxAvailable="800", isolatedMaxAvailable="-5", maxTransferOut="700"
    )
    assert (await venue.snapshot()).wallet("USDT").available == 0
    changed(
        server, "wallets", available="900", crossedMaxAvailable="800", isolatedMaxAvailable="650", maxTransferOut="700"
    )
    wallet = (await venue.snapshot()).wallet("USDT")
    assert (wallet.cross_wallet_balance, wallet.available) == (900, 650)


async def test_a_cross_position_that_nothing_liquidates_says_so(server, venue):
    server.hold_sample(margin=None)
    server.set_wallet("USDT", Decimal(100_000), Decimal(100_000))
    (position,) = (await venue.snapshot()).positions
    assert position.exchange_liquidation.kind is LiquidationKind.NONE
