"""Dexes beside the main one (HIP-3): each an account of its own, watched where something is and topped up in USDC."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hyperliquid_recorded import XYZ_NVDA_SHORT
from hyperliquid_wire import BTC
from hyperliquid_wire_dexes import GOLD, OF_GOLD, OF_NVDA, OF_TSLA, TSLA
from wire_faults import Fate

from guard.errors import VenueRefused
from guard.margin import RuleBook, assess
from guard.snapshot import (
    AssetMode,
    LiquidationKind,
    MarginMode,
    MarginRequest,
    PositionKey,
    Side,
)
from guard.venues import hyperliquid_reads
from guard.venues.hyperliquid import Hyperliquid
from guard.venues.hyperliquid_dexes import read_dexes

LONG = PositionKey(TSLA, Side.LONG)


def of(snapshot, symbol):
    return next(position for position in snapshot.positions if position.key.symbol == symbol)


def request_of(key=LONG, amount="62.310007", currency="USDC", before=None):
    return MarginRequest(key=key, hedged=False, amount=Decimal(amount), currency=currency, before=before)


# What is seen.


async def test_a_position_of_a_dex_is_read_like_one_of_the_main_one(dexes, venue):
    snapshot = await venue.snapshot()
    assert snapshot.gaps == ()
    position = of(snapshot, TSLA)
    assert (position.contract.settle, position.contract.wallet, position.contract.base) == ("USDC", "xyz", "XYZ-TSLA")
    assert (position.quantity, position.entry_price, position.mark_price) == (20, 400, 390)
    assert (position.isolated_wallet, position.margin_mode) == (1_000, MarginMode.ISOLATED)
    assert of(snapshot, BTC).contract.wallet == ""


async def test_each_dex_has_a_wallet_of_its_own(dexes, venue):
    dexes.set_wallet("USDC", Decimal(500), Decimal(400))
    dexes.set_wallet("USDC xyz", Decimal(77), Decimal(66))
    snapshot = await venue.snapshot()
    assert (snapshot.wallet("USDC").cross_wallet_balance, snapshot.wallet("USDC").available) == (500, 400)
    assert (snapshot.wallet("USDC", "xyz").cross_wallet_balance, snapshot.wallet("USDC", "xyz").available) == (77, 66)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("is_cross", [False, True], ids=["isolated", "cross"])
@pytest.mark.parametrize("of_sample", [OF_TSLA, OF_NVDA], ids=["flat table", "tiers"])
async def test_our_liquidation_price_is_the_exchanges_by_that_dexs_own_tables(dexes, venue, side, is_cross, of_sample):
    dexes.drop(TSLA, Side.LONG)
    dexes.hold_sample(side, of=of_sample, margin=None if is_cross else of_sample.margin)
    dexes.set_wallet("USDC xyz", Decimal(7_500), Decimal(900))
    dexes.hold_sample(Side.SHORT, of=dexes.other, margin=None)  # Cross on the main dex: it must not matter here.
    snapshot = await venue.snapshot()
    symbols = frozenset(position.key.symbol for position in snapshot.positions)
    tables = await venue.tiers(symbols)
    assert tables.gaps == ()
    found = assess(snapshot, tables.by_symbol, venue.rules, snapshot.positions_read_at)
    row = next(one for one in found.positions if one.key.symbol == of_sample.symbol)
    theirs = row.position.exchange_liquidation
    assert theirs.kind is row.liquidation.kind is LiquidationKind.AT
    assert abs(row.liquidation.price - theirs.price) < Decimal("1E-9")
    assert row.pool_name == ("USDC xyz cross" if is_cross else None)


async def test_a_coins_tiers_are_those_of_its_dex_and_a_dex_that_does_not_say_them_leaves_the_others(dexes, venue):
    await venue.snapshot()
    dexes.mangle("tiers", lambda meta: {} if meta["universe"][0]["name"].startswith("xyz:") else meta)
    tables = await venue.tiers(frozenset({BTC, TSLA}))
    assert list(tables.by_symbol) == [BTC]
    assert [gap.subject for gap in tables.gaps] == [f"{TSLA} tiers"]


async def test_a_collateral_that_is_not_usdc_is_a_currency_of_its_own_and_is_watched_only(dexes, venue):
    dexes.hold_sample(of=OF_GOLD)
    dexes.set_wallet("USDH flx", Decimal(700), Decimal(700))
    snapshot = await venue.snapshot()
    assert (of(snapshot, GOLD).contract.settle, of(snapshot, GOLD).isolated_wallet) == ("USDH", 900)
    assert [(gap.subject, gap.wallet) for gap in snapshot.gaps] == [("wallet USDH flx", "flx")]
    assert snapshot.wallet("USDH", "flx") is None  # So nothing is there to spend.
    with pytest.raises(VenueRefused, match="not USDC") as caught:
        await venue.add_margin(request_of(PositionKey(GOLD, Side.LONG), "5", "USDH"))
    assert (caught.value.code, dexes.writes) == ("not_sent", [])


async def test_a_collateral_that_nobody_names_is_not_taken_for_dollars(dexes, venue):
    dexes.hold_sample(of=OF_GOLD)
    dexes.mangle("spotMeta", lambda answer: answer | {"tokens": [{"name": "USDC", "index": 0}]})
    snapshot = await venue.snapshot()
    assert {position.key.symbol for position in snapshot.positions} == {BTC, TSLA}
    (gap,) = [gap for gap in snapshot.gaps if gap.subject == "dex flx"]
    assert "token 360" in gap.reason


@pytest.mark.parametrize(
    "tokens",
    [[{"name": "USDC", "index": 360}], [{"name": "USDC", "index": 0}, {"name": "USDC", "index": 360}]],
    ids=str,
)
async def test_a_token_that_only_calls_itself_usdc_is_not_usdc(dexes, venue, tokens):
    dexes.hold_sample(of=OF_GOLD)
    dexes.mangle("spotMeta", lambda answer: answer | {"tokens": tokens})
    snapshot = await venue.snapshot()
    assert {position.key.symbol for position in snapshot.positions} == {BTC, TSLA}
    assert [gap.subject for gap in snapshot.gaps] == ["dex flx"]


async def test_a_collateral_that_is_no_number_is_not_the_first_token(dexes, venue):
    for odd in (False, None, "", [0], -1):
        dexes.mangle("tiers", lambda meta, odd=odd: meta | {"collateralToken": odd})
        fresh = Hyperliquid(dexes.account(), now=lambda: datetime.now(UTC))
        snapshot = await fresh.snapshot()
        await fresh.close()
        assert [gap.subject for gap in snapshot.gaps] == ["dex xyz"], odd


async def test_a_unified_account_has_one_balance_for_all_dexes_with_the_same_collateral(dexes, venue):
    dexes.abstraction = "unifiedAccount"
    dexes.hold_sample(of=OF_NVDA, margin=None)  # Cross on xyz, beside isolated ones on both.
    dexes.spot = {"balances": [{"coin": "USDC", "token": 0, "total": "80000.0", "hold": "500.0"}]}
    snapshot = await venue.snapshot()
    assert snapshot.asset_mode is AssetMode.MULTI
    assert {position.contract.wallet for position in snapshot.positions} == {""}
    isolated = (3_000 - 1_250) + (1_000 - 200)
    profit = Decimal("600.5") * 5
    (wallet,) = snapshot.wallets
    assert wallet.cross_unrealized_pnl == profit
    assert wallet.cross_wallet_balance + profit == 80_000 - isolated
    assert snapshot.exchange_margin_ratio == dexes.cross_maintenance("xyz") / (80_000 - isolated)
    assert "unified" in venue.watch_only


async def test_a_unified_ratio_is_the_worst_of_its_tokens(dexes, venue):
    dexes.abstraction = "unifiedAccount"
    dexes.hold_sample(of=OF_GOLD, margin=None)
    dexes.spot = {"balances": [{"coin": "USDC", "token": 0, "total": "80000.0", "hold": "0.0"},
                               {"coin": "USDH", "token": 360, "total": "410.0", "hold": "0.0"}]}  # fmt: skip
    snapshot = await venue.snapshot()
    assert snapshot.exchange_margin_ratio == Decimal(8_200) / 40 / 410
    assert {wallet.currency for wallet in snapshot.wallets} == {"USDC", "USDH"}


async def test_with_dex_abstraction_what_backs_another_dex_is_not_known(dexes, venue):
    dexes.abstraction = "dexAbstraction"
    snapshot = await venue.snapshot()
    assert of(snapshot, TSLA).isolated_wallet == 1_000
    assert snapshot.wallet("USDC", "xyz") is None
    assert [gap.subject for gap in snapshot.gaps] == ["wallet USDC xyz"]
    with pytest.raises(VenueRefused, match="dex abstraction"):
        await venue.add_margin(request_of())


def test_a_recorded_account_of_a_dex_is_worth_what_it_said_there():
    """24,217 on xyz: what is in the position and what is not make it, and nothing of the main dex."""
    state = XYZ_NVDA_SHORT
    own = Decimal(state["crossMarginSummary"]["accountValue"]) + Decimal(state["marginSummary"]["totalMarginUsed"])
    assert own == Decimal(state["marginSummary"]["accountValue"])


# Where it is looked, and what cannot be seen.


async def looks(server, venue):
    """Return which dexes one snapshot asked for, and the snapshot."""
    server.requests.clear()
    snapshot = await venue.snapshot()
    states = [params.get("dex", "") for _, _, params in server.requests if params["type"] == "clearinghouseState"]
    return states, snapshot


async def test_only_where_something_is_is_looked_at_each_time(server):
    clock = [timedelta(0)]
    venue = Hyperliquid(server.account(), now=lambda: datetime.now(UTC) + clock[0])
    server.deploy()
    server.wallets.pop("USDC xyz")
    asked = []
    for minutes in (0, 5, 11):
        clock[0], server.clock_skew = timedelta(minutes=minutes), minutes * 60_000
        asked.append((await looks(server, venue))[0])
    assert asked == [["xyz", "flx", ""], [""], ["xyz", "flx", ""]]
    server.set_wallet("USDC xyz", Decimal(5), Decimal(5))  # Money, and so a position may be opened.
    clock[0], server.clock_skew = timedelta(minutes=22), 22 * 60_000
    await venue.snapshot()
    assert (await looks(server, venue))[0] == ["", "xyz"]
    server.hold_sample(of=OF_TSLA)
    assert of((await looks(server, venue))[1], TSLA).quantity == 20
    await venue.close()


async def test_a_quiet_cycle_costs_one_request_more_for_a_dex_in_use(dexes, venue):
    await venue.snapshot()
    dexes.requests.clear()
    await venue.snapshot()
    assert [params["type"] for _, _, params in dexes.requests] == ["clearinghouseState"] * 2  # Weight 2 each.


async def test_what_the_stream_tells_of_a_dex_is_looked_at_with_the_next_read(server, venue):
    server.deploy()
    server.wallets.pop("USDC xyz")
    await venue.snapshot()
    assert (await looks(server, venue))[0] == [""]
    news = venue.watch_account()
    await anext(news)
    server.hold_sample(of=OF_TSLA)
    server.push_news()
    await anext(news)
    await news.aclose()
    states, snapshot = await looks(server, venue)
    assert "xyz" in states
    assert of(snapshot, TSLA).quantity == 20


async def test_a_dex_that_does_not_answer_is_said_with_what_was_there_and_the_others_stay(dexes, venue):
    clock = [timedelta(0)]
    one = Hyperliquid(dexes.account(), now=lambda: datetime.now(UTC) + clock[0])
    await one.snapshot()
    dexes.break_reads("state of xyz", Fate.HTTP_500)
    snapshot = await one.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [BTC]
    assert [(gap.subject, gap.key, gap.wallet) for gap in snapshot.gaps] == [
        ("dex xyz", None, "xyz"),
        (str(LONG), LONG, "xyz"),
    ]
    assert all("not read" in gap.reason for gap in snapshot.gaps)
    assert snapshot.wallet("USDC", "xyz") is None
    dexes.break_reads("state of xyz", None)
    states, snapshot = await looks(dexes, one)
    assert (states, len(snapshot.gaps)) == ([""], 2)  # For half a minute it is not asked, and does not hold up others.
    clock[0], dexes.clock_skew = timedelta(seconds=31), 31_000
    states, snapshot = await looks(dexes, one)
    await one.close()
    assert (states, snapshot.gaps, len(snapshot.positions)) == (["xyz", ""], (), 2)


async def test_a_dex_that_lags_makes_the_facts_as_old_as_its_own(dexes, venue):
    await venue.snapshot()
    dexes.mangle("state of xyz", lambda state: state | {"time": state["time"] - 20_000})
    snapshot = await venue.snapshot()
    for read_at in (snapshot.positions_read_at, snapshot.wallets_read_at):
        assert timedelta(seconds=19) < datetime.now(UTC) - read_at < timedelta(seconds=25)


async def test_a_dex_that_was_never_seen_may_hide_a_position_and_says_so(dexes, venue):
    dexes.break_reads("state of xyz", Fate.HTML_200)
    (gap,) = (await venue.snapshot()).gaps
    assert (gap.subject, gap.may_be_cross, gap.wallet) == ("dex xyz", True, "xyz")


async def test_a_dex_that_hangs_costs_the_others_one_look_and_what_was_not_looked_at_is_said(server, monkeypatch):
    """Each that hangs costs eight seconds, and a look has twenty-five: the main one would never be read."""
    monkeypatch.setattr(hyperliquid_reads, "HANGS_S", 0.0)
    server.deploy()
    server.break_reads("state of xyz", Fate.HTTP_500)
    one = Hyperliquid(server.account(), now=lambda: datetime.now(UTC))
    states, snapshot = await looks(server, one)
    assert [gap.subject for gap in snapshot.gaps] == ["dex xyz", "dex flx"]
    assert (snapshot.gaps[1].reason, snapshot.gaps[1].may_be_cross) == ("not read yet", True)
    states, snapshot = await looks(server, one)
    await one.close()
    assert (states, [gap.subject for gap in snapshot.gaps]) == (["flx", ""], ["dex xyz"])


async def test_a_dex_that_hangs_in_every_look_leaves_the_others_seen_at_a_calm_pace_too(server, monkeypatch):
    monkeypatch.setattr(hyperliquid_reads, "HANGS_S", 0.0)
    server.deploy()
    server.break_reads("state of xyz", Fate.HTTP_500)
    offset = timedelta(0)
    one = Hyperliquid(server.account(), now=lambda: datetime.now(UTC) + offset)
    for _ in range(3):
        _, snapshot = await looks(server, one)
        offset += timedelta(minutes=1)
        server.clock_skew = offset / timedelta(milliseconds=1)
    await one.close()
    assert [gap.subject for gap in snapshot.gaps] == ["dex xyz"]


async def test_dexes_that_cannot_be_listed_leave_the_main_one_watched_and_are_said(dexes, venue):
    for answer in (None, [], {}, [{"name": "xyz"}], [None, {"name": 5}], [None, {"name": "a"}, {"name": "a"}]):
        dexes.mangle("perpDexs", lambda _, answer=answer: answer)
        snapshot = await venue.snapshot()
        assert [position.key.symbol for position in snapshot.positions] == [BTC]
        (gap,) = snapshot.gaps
        assert (gap.subject, gap.may_be_cross) == ("account mode and other dexes", True)
    dexes.mangle("perpDexs", None)
    assert len((await venue.snapshot()).positions) == 2


async def test_a_list_that_cannot_be_read_again_does_not_lose_the_dexes_known_before(dexes):
    clock = [timedelta(0)]
    venue = Hyperliquid(dexes.account(), now=lambda: datetime.now(UTC) + clock[0])
    await venue.snapshot()
    dexes.break_reads("perpDexs", Fate.HTTP_500)
    clock[0], dexes.clock_skew = timedelta(minutes=11), 11 * 60_000
    snapshot = await venue.snapshot()
    await venue.close()
    assert len(snapshot.positions) == 2
    assert [(gap.subject, gap.may_be_cross) for gap in snapshot.gaps] == [("account mode and other dexes", False)]


@pytest.mark.parametrize(
    "change",
    [
        {"szi": None},
        {"entryPx": "NaN"},
        {"coin": "xyz:NOSUCH"},
        {"marginUsed": "1.0"},
        {"leverage": {"type": "isolated", "value": 8}},
    ],
    ids=str,
)
async def test_a_row_of_a_dex_that_cannot_be_read_is_a_gap_of_that_dex(dexes, venue, change):
    def alter(state):
        state["assetPositions"][0]["position"] |= change
        return state

    dexes.mangle("state of xyz", alter)
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [BTC]
    assert snapshot.gaps
    assert {gap.wallet for gap in snapshot.gaps} <= {"xyz", None}
    assert not snapshot.unseen_in_cross("USDC")  # The main dex is modelled as before.


@pytest.mark.parametrize("gone", ["universe", "collateralToken", "marginTables"])
async def test_markets_without_a_field_that_is_needed_are_none(dexes, venue, gone):
    dexes.mangle("tiers", lambda meta: {name: value for name, value in meta.items() if name != gone})
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [BTC]
    assert any(gap.subject == "dex xyz" and gone in gap.reason for gap in snapshot.gaps)


async def test_markets_that_could_not_be_read_once_are_asked_for_again(dexes):
    clock = [timedelta(0)]
    venue = Hyperliquid(dexes.account(), now=lambda: datetime.now(UTC) + clock[0])
    dexes.set_wallet("USDC xyz", Decimal(-800), Decimal(0))  # Worth nothing together: only the position asks for them.
    dexes.break_reads("tiers", Fate.HTTP_500)
    assert len((await venue.snapshot()).positions) == 1
    dexes.break_reads("tiers", None)
    clock[0], dexes.clock_skew = timedelta(seconds=31), 31_000
    snapshot = await venue.snapshot()
    await venue.close()
    assert (len(snapshot.positions), snapshot.gaps) == (2, ())


def test_places_are_counted_from_the_main_dex():
    assert read_dexes([None, {"name": "xyz"}, None, {"name": "flx"}]) == {"xyz": 1, "flx": 3}


def test_rules_hold_for_every_dex(venue):
    assert venue.rules == RuleBook.uniform(venue.rules.of(TSLA, MarginMode.ISOLATED))
