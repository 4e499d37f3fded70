"""Tiers, fees, marks, candles, orders and ends at OKX."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from okx_wire import OkxServer
from okx_wire_ledger import algo_row
from okx_wire_market import TIERS

from guard.errors import VenueUnavailable
from guard.margin import TierBasis
from guard.snapshot import EndKind, MarginMode, PositionKey, Side
from guard.venues import okx_market
from guard.venues.okx_contracts import read_market

D = Decimal
BTC, ETH, INVERSE = OkxServer.sample.symbol, OkxServer.other.symbol, OkxServer.inverse.symbol
DATED = "BTC/USDT:USDT-270326"
LONG = PositionKey(BTC, Side.LONG)


async def table_for(okx, symbol=BTC):
    return (await okx.tiers(frozenset({symbol}))).by_symbol[symbol]


async def test_a_size_at_the_top_of_a_tier_belongs_to_it_and_the_next_lot_to_the_next_one(server, okx):
    table = await table_for(
        okx
    )  # "0 to 6500", "6501 to 13000": in lots of 0.01 there is a hole between (freqtrade 11923).
    rates = {size: table.rows[table.index_at(D(size))].maintenance_margin_rate for size in ("6500", "6500.01", "13000")}
    assert rates == {"6500": D("0.004"), "6500.01": D("0.005"), "13000": D("0.005")}
    assert all(row.maintenance_amount is None for row in table.rows)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("0", "100", "0.01"), ("150", "200", "0.02")], "holes or overlap"),
        ([("0", "100", "0.01"), ("90", "200", "0.02")], "holes or overlap"),
        ([("0", "100", "0.02"), ("100", "200", "0.01")], "less margin"),
        ([("5", "100", "0.01")], "starts at 5"),
        ([("0", "100", "1.5")], "mmr"),
        ([("0", "100", "NaN")], "mmr"),
        ([("0", "", "0.01")], "maxSz"),
        ([], "no tiers"),
    ],
    ids=str,
)
async def test_a_table_that_makes_no_sense_is_a_gap_and_the_others_stay(server, okx, monkeypatch, rows, words):
    def change(answer):
        kept = [row for row in answer["data"] if row["instFamily"] != "ETH-USDT"]
        bad = [{"instFamily": "ETH-USDT", "minSz": low, "maxSz": top, "mmr": rate} for low, top, rate in rows]
        return answer | {"data": kept + bad}

    server.mangle("tiers", change)
    tables = await okx.tiers(frozenset({BTC, ETH}))
    assert set(tables.by_symbol) == {BTC}
    (gap,) = tables.gaps
    assert (gap.subject, words in gap.reason) == (f"{ETH} tiers", True), gap.reason


async def test_a_cross_position_has_the_cross_table(server, okx):
    server.hold_sample(margin=None)
    server.hold_sample(of=server.other)
    await okx.snapshot()
    tables = (await okx.tiers(frozenset({BTC, ETH}))).by_symbol
    assert tables[BTC].rows[0].maintenance_margin_rate == D(TIERS["cross"][0][2])
    assert tables[ETH].rows[0].maintenance_margin_rate == D(TIERS["isolated"][0][2])


async def test_no_more_than_five_families_go_into_one_request(server, okx, monkeypatch):
    monkeypatch.setattr("guard.venues.okx_tiers.FAMILIES_MAX", 1)
    await okx.tiers(frozenset({BTC, ETH, INVERSE, DATED}))
    asked = [(p["instType"], p["instFamily"]) for p in server.asked("position-tiers")]
    assert sorted(asked) == [("FUTURES", "BTC-USDT"), ("SWAP", "BTC-USD"), ("SWAP", "BTC-USDT"), ("SWAP", "ETH-USDT")]


async def test_the_users_taker_rate_is_in_the_rule_of_its_symbol_only(server, okx):
    await okx.tiers(frozenset({BTC}))
    isolated, cross = (okx.rules.of(BTC, mode) for mode in (MarginMode.ISOLATED, MarginMode.CROSS))
    assert isolated.liquidation_fee_rate == cross.liquidation_fee_rate == D("0.0005")
    assert (isolated.tier_basis, cross.tier_basis) == (TierBasis.CONTRACTS, TierBasis.CONTRACTS_TOGETHER)
    assert okx.rules.of(ETH, MarginMode.ISOLATED).liquidation_fee_rate == 0


async def test_a_rebate_is_not_counted_on(server, okx):
    server.fee_groups = [{"groupId": "7", "taker": "0.0001", "maker": "0.0001"}]  # Positive is a rebate (docs).
    await okx.tiers(frozenset({BTC}))
    assert okx.rules.of(BTC, MarginMode.ISOLATED).liquidation_fee_rate == 0


async def test_an_account_without_fee_groups_is_read_by_the_older_fields(server, okx):
    server.fee_groups = []
    await okx.tiers(frozenset({BTC, INVERSE}))
    rates = [okx.rules.of(symbol, MarginMode.ISOLATED).liquidation_fee_rate for symbol in (BTC, INVERSE)]
    assert rates == [D("0.0007"), D("0.0006")]  # takerU, and taker for margin in a coin.


async def test_a_symbol_whose_fee_is_not_told_has_no_table(server, okx):
    server.fee_groups = []
    server.mangle(
        "/api/v5/account/trade-fee", lambda answer: answer["data"][0].update(takerU="", takerUSDC="") or answer
    )
    tables = await okx.tiers(frozenset({BTC, INVERSE}))
    assert set(tables.by_symbol) == {INVERSE}
    assert "taker fee" in tables.gaps[0].reason


async def test_a_mark_of_another_instrument_is_none(server, okx):
    server.mangle("mark", lambda answer: answer["data"][0].update(instId="ETH-USDT-SWAP") or answer)
    with pytest.raises(VenueUnavailable, match="about"):
        await okx.mark(BTC)


async def test_a_stream_of_old_prices_says_so(server, okx):
    await okx.open()
    later = timedelta(seconds=30)  # By this clock, every price that comes is half a minute old.
    stream = okx_market.stream_marks(
        okx._client, (BTC,), now=lambda: datetime.now(UTC) + later, silence_max=timedelta(seconds=0.7)
    )
    async with asyncio.timeout(10):
        with pytest.raises(VenueUnavailable, match="no fresh price"):
            await anext(stream)


def test_a_price_that_stands_still_is_no_silence():
    assert timedelta(seconds=10) < okx_market.SILENCE_MAX  # It is repeated every 10 s (docs, mark price channel).


async def test_candles_come_page_by_page_without_a_hole(server, okx):
    candles = await okx.candles(BTC, minutes=1, count=250)
    moments = [candle.opened_at for candle in candles]
    assert len(candles) == 250
    assert {later - earlier for earlier, later in itertools.pairwise(moments)} == {timedelta(minutes=1)}
    assert len(server.asked("history-mark-price-candles")) == 3


@pytest.mark.parametrize("minutes", [1, 3, 5, 15, 30, 60, 120, 240, 1440])
async def test_a_bar_is_as_long_as_it_was_asked_for(server, okx, minutes):
    first, second = await okx.candles(BTC, minutes=minutes, count=2)
    assert second.opened_at - first.opened_at == timedelta(minutes=minutes)


async def test_pages_of_candles_that_do_not_go_on_are_none(server, okx):
    now = round(datetime.now(UTC).timestamp() * 1000)
    rows = [[str(now - n * 60_000), "1", "1", "1", "1", "1"] for n in range(100)]
    server.mangle("candles", lambda answer: answer | {"data": rows})
    with pytest.raises(VenueUnavailable, match="repeats"):
        await okx.candles(BTC, minutes=1, count=150)


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, D("0.01")),
        ({"ctMult": "10"}, D("0.1")),
        ({"ctMult": ""}, None),
        ({"ctVal": "0"}, None),
        ({"ctType": ""}, None),
    ],
    ids=str,
)
def test_a_contract_is_its_value_times_its_multiplier(fields, size):
    info = {
        "instId": "BTC-USDT-SWAP", "instType": "SWAP", "instFamily": "BTC-USDT", "ctType": "linear", "ctVal": "0.01",
        "ctMult": "1", "lotSz": "0.01",
    }  # fmt: skip
    market = read_market({"symbol": BTC, "base": "BTC", "settle": "USDT", "info": info | fields})
    assert (market and market.contract.contract_size) == size


# Orders.


async def stops_of(okx, *symbols):
    return await okx.stops(frozenset(symbols or {BTC}))


@pytest.mark.parametrize("hedged", [False, True])
@pytest.mark.parametrize("side", Side)
async def test_a_stop_is_read_with_the_position_that_it_closes(server, okx, side, hedged):
    await okx.open()
    server.hold_sample(side, hedged=hedged)
    server.add_stop(BTC, side, D(56000))
    (stop,) = await stops_of(okx)
    assert stop.key == PositionKey(BTC, side)
    assert (stop.trigger_price, stop.trigger_by, stop.quantity) == (56000, "mark", None)


OCO = {"ordType": "oco", "slTriggerPx": "56000", "slTriggerPxType": "index", "tpTriggerPx": "70000"}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"slTriggerPx": "56000", "slTriggerPxType": "last"}, (56000, "last", 10)),
        (OCO, (56000, "index", 10)),
        ({"ordType": "trigger", "triggerPx": "56000", "triggerPxType": "mark"}, (56000, "mark", 10)),
        ({"ordType": "move_order_stop", "moveTriggerPx": "57000"}, (57000, "", 10)),
        ({"ordType": "move_order_stop", "activePx": "62000"}, (None, "", 10)),  # It has not begun to trail.
        ({"slTriggerPx": "56000", "closeFraction": "1", "sz": ""}, (56000, "", None)),
    ],
    ids=str,
)
async def test_every_kind_of_stop_is_read(server, okx, fields, wanted):
    await okx.open()
    server.algo_rows = [algo_row(**fields)]
    (stop,) = await stops_of(okx)
    assert stop.key == LONG
    assert (stop.trigger_price, stop.trigger_by, stop.quantity) == wanted


@pytest.mark.parametrize(
    "fields",
    [
        {"tpTriggerPx": "70000"},
        {"ordType": "move_order_stop", "reduceOnly": "false"},  # May open a short.
        {"ordType": "trigger", "triggerPx": "70000"},  # A sell above the market takes profit.
        {"ordType": "trigger", "triggerPx": "56000", "reduceOnly": "false"},  # May open a short.
        {"slTriggerPx": "56000", "posSide": "short"},  # Opens a short.
        {"slTriggerPx": "56000", "instId": "ETH-USDT-SWAP"},
        {"slTriggerPx": "56000", "instId": "BTC-USDT"},
    ],
    ids=str,
)
async def test_what_takes_profit_or_opens_or_is_of_another_symbol_is_no_stop(server, okx, fields):
    await okx.open()
    server.algo_rows = [algo_row(**fields)]
    assert await stops_of(okx) == ()


async def test_one_symbol_that_falls_silent_ends_the_stream_although_another_goes_on(server, okx):
    eth = server.other.symbol
    server.set_mark(eth, server.other.mark)
    await okx.open()
    stream = okx_market.stream_marks(okx._client, (BTC, eth), now=okx.exchange_now, silence_max=timedelta(seconds=2))
    told: list[str] = []
    honest = server.ticks

    async def listen():
        async for mark in stream:
            told.append(mark.symbol)
            if set(told) == {BTC, eth}:
                server.ticks = lambda channels: [one for one in honest(channels) if "BTC" not in str(one)]

    with pytest.raises(VenueUnavailable, match="too long"):
        await asyncio.wait_for(listen(), 8)
    assert told[-2:] == [eth, eth]


@pytest.mark.parametrize(
    ("word", "mode"), [("isolated", MarginMode.ISOLATED), ("cross", MarginMode.CROSS), ("cash", None)]
)
async def test_a_stop_is_told_with_the_margin_mode_whose_position_it_closes(server, okx, word, mode):
    await okx.open()
    server.algo_rows = [algo_row(slTriggerPx="56000", tdMode=word)]
    (stop,) = await stops_of(okx)
    assert stop.margin_mode is mode


async def test_orders_are_read_page_by_page(server, okx):
    await okx.open()
    rows = [algo_row(algoId=str(10_000 - n), slTriggerPx=str(50_000 + n)) for n in range(130)]
    server.algo_rows = rows
    honest = server._algo_orders

    def paged(call):
        after = int(call.params.get("after") or 10**9)
        return [row for row in honest(call) if int(row["algoId"]) < after][:100]

    server._algo_orders = paged
    assert len(await stops_of(okx)) == 130


@pytest.mark.parametrize("change", [{"side": "hold"}, {"slTriggerPx": "NaN"}, {"algoId": None}])
async def test_an_order_that_cannot_be_read_is_not_an_order_less(server, okx, change):
    await okx.open()
    server.algo_rows = [algo_row(slTriggerPx="56000") | change]
    with pytest.raises(VenueUnavailable):
        await stops_of(okx)


# Ends.


@pytest.mark.parametrize(
    ("how", "kind"),
    [("closed", EndKind.CLOSED), ("liquidated", EndKind.LIQUIDATED), ("adl", EndKind.DELEVERAGED)],
)
async def test_how_a_position_ended_is_told(server, okx, how, kind):
    since = datetime.now(UTC)
    server.hold_sample()
    server.set_mark(BTC, D("54400.5"))
    server.end_position(BTC, Side.LONG, how)
    ending = await okx.ending(LONG, since)
    assert (ending.kind, ending.price) == (kind, D("54400.5"))
    assert abs(ending.at - since) < timedelta(seconds=5)
    assert "54400.5" in ending.evidence


async def test_an_earlier_end_or_one_of_the_other_side_is_not_this_one(server, okx):
    server.hold_sample()
    server.end_position(BTC, Side.LONG, "liquidated")
    since = datetime.now(UTC) + timedelta(minutes=1)
    assert (await okx.ending(LONG, since)).kind is EndKind.UNKNOWN
    assert (await okx.ending(PositionKey(BTC, Side.SHORT), since - timedelta(hours=1))).kind is EndKind.UNKNOWN


@pytest.mark.parametrize(
    ("code", "kind"),
    [("1", EndKind.UNKNOWN), ("4", EndKind.LIQUIDATED), ("5", EndKind.DELEVERAGED), ("9", EndKind.UNKNOWN)],
)
async def test_the_last_way_in_which_it_was_closed_is_the_end(server, okx, code, kind):
    since = datetime.now(UTC)
    server.hold_sample()
    server.end_position(BTC, Side.LONG, "closed")
    server.mangle("fills", lambda answer: answer["data"][0].update(type=code) or answer)
    assert (await okx.ending(LONG, since)).kind is kind
