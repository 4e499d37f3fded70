"""Marks, their stream, candles, tiers; standing orders and endings."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from bitget_wire_market import plan_row
from wire_values import Stop

from guard.errors import VenueUnavailable
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import EndKind, PositionKey, Side
from guard.venues import bitget_market

BTC, ETH, USDC = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USDC:USDC"
LONG = PositionKey(BTC, Side.LONG)


async def test_a_mark_comes_with_its_index(server, venue):
    await venue.open()
    mark = await venue.mark(BTC)
    assert (mark.price, mark.index_price) == (Decimal(58000), Decimal(58001))


async def test_a_mark_of_another_symbol_is_none(server, venue):
    await venue.open()

    def change(answer):
        answer["data"][0]["symbol"] = "ETHUSDT"
        return answer

    server.mangle("mark", change)
    with pytest.raises(VenueUnavailable, match="ETHUSDT"):
        await venue.mark(BTC)


async def test_symbols_of_two_products_are_streamed_together(server, venue):
    """ccxt would ask for all of them in the first one's product, and the exchange would refuse the others."""
    await venue.open()
    told = {}
    async with asyncio.timeout(15), aclosing(venue.watch_marks((BTC, USDC, ETH))) as stream:
        async for mark in stream:
            told[mark.symbol] = mark
            if set(told) == {BTC, USDC, ETH}:
                break
    assert told[BTC].index_price == told[BTC].price + 1


async def test_ticks_that_grew_old_are_silence(server, venue):
    await venue.open()
    server.clock_skew = -60_000
    stream = bitget_market.stream_marks(
        venue._client, ((BTC,),), now=lambda: datetime.now(UTC), silence_max=timedelta(seconds=2)
    )
    async with asyncio.timeout(15), aclosing(stream):
        with pytest.raises(VenueUnavailable, match="no fresh price"):
            await anext(stream)


async def test_a_tick_from_the_future_does_not_keep_the_true_ones_from_being_told(server, venue):
    await venue.open()
    server.clock_skew = 3_600_000
    stream = bitget_market.stream_marks(
        venue._client, ((BTC,),), now=lambda: datetime.now(UTC), silence_max=timedelta(seconds=5)
    )
    async with asyncio.timeout(15), aclosing(stream):
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(1)
        assert not waiting.done()
        server.clock_skew = 0
        assert (await waiting).price == 58000


async def test_more_candles_than_a_page_holds_come_whole_and_in_order(server, venue):
    await venue.open()
    candles = await venue.candles(BTC, minutes=5, count=450)
    opened = [candle.opened_at for candle in candles]
    assert len(opened) == 450
    assert {later - earlier for earlier, later in pairwise(opened)} == {timedelta(minutes=5)}


async def test_tiers_without_deductions_are_held_slice_by_slice(server, venue):
    """Help page 12560603841952 (2025-11): 330,000 dollars at 0.4 % and 0.5 % from 200,000 on, fee included, is 1,648."""

    def change(answer):
        row = answer["data"][0]
        answer["data"] = [
            row | {"startUnit": "0", "endUnit": "200000", "keepMarginRate": "0.004"},
            row | {"startUnit": "200000", "endUnit": "1000000", "keepMarginRate": "0.005"},
        ]
        return answer

    await venue.open()
    server.mangle("tiers", change)
    table = (await venue.tiers(frozenset({BTC}))).by_symbol[BTC]
    tier = table.rows[1]
    fee = KNOWN_RULES["bitget"].rule.liquidation_fee_rate
    assert 330_000 * (tier.maintenance_margin_rate + fee) - tier.maintenance_amount == 1648


@pytest.mark.parametrize(
    "fields",
    [
        {"startUnit": "150001"},
        {"startUnit": "100000"},
        {"keepMarginRate": "0.003"},
        {"symbol": "ETHUSDT"},
        {"endUnit": ""},
    ],
    ids=["a hole", "an overlap", "less above", "another symbol", "no end"],
)
async def test_tiers_that_cannot_be_right_are_a_gap(server, venue, fields):
    await venue.open()

    def change(answer):
        if answer["data"][0]["symbol"] == "BTCUSDT":
            answer["data"][1].update(fields)
        return answer

    server.mangle("tiers", change)
    tables = await venue.tiers(frozenset({BTC, ETH}))
    assert set(tables.by_symbol) == {ETH}
    assert [gap.subject for gap in tables.gaps] == [f"{BTC} tiers"]


# Standing orders.


def plan(price, side=Side.LONG, *, hedged=False, **fields):
    stop = Stop(symbol=BTC, side=side, price=Decimal(price), hedged=hedged, at=datetime.now(UTC))
    return plan_row(stop, **fields)


async def stops_of(server, venue, *plans):
    server.hold_sample()
    server.plans = list(plans)
    await venue.snapshot()
    return [(one.key.side, one.trigger_price, one.quantity) for one in await venue.stops(frozenset({BTC}))]


@pytest.mark.parametrize(
    ("fields", "stops"),
    [
        ({}, [(Side.LONG, 57000, None)]),
        ({"planType": "loss_plan", "size": "0.05"}, [(Side.LONG, 57000, Decimal("0.05"))]),
        ({"planType": "pos_profit"}, []),
        ({"planType": "profit_plan"}, []),
        ({"planType": "moving_plan"}, [(Side.LONG, None, None)]),  # Its price is where it begins to trail.
        ({"planType": "track_plan", "tradeSide": "close", "posSide": "long"}, [(Side.LONG, None, None)]),
        ({"planType": "track_plan", "tradeSide": "open", "posSide": "long"}, []),
        ({"planType": "normal_plan", "tradeSide": "close", "posSide": "long"}, [(Side.LONG, 57000, None)]),
        ({"planType": "normal_plan", "reduceOnly": "yes", "side": "sell"}, [(Side.LONG, 57000, None)]),
        ({"planType": "normal_plan", "reduceOnly": "yes", "side": "sell", "triggerPrice": "59000"}, []),
        ({"planType": "normal_plan", "tradeSide": "open", "posSide": "long"}, []),
        ({"triggerPrice": ""}, []),
        ({"triggerPrice": "0"}, []),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
async def test_what_closes_at_a_loss_is_a_stop_and_nothing_else(server, venue, fields, stops):
    assert await stops_of(server, venue, plan(57000) | fields) == stops


@pytest.mark.parametrize(
    ("kind", "by"), [("mark_price", "mark"), ("fill_price", "last"), ("index_price", "index"), ("", ""), ("new", "new")]
)
async def test_the_price_that_a_stop_waits_for_has_the_same_word_everywhere(server, venue, kind, by):
    server.hold_sample()
    server.plans = [plan(57000, triggerType=kind)]
    await venue.snapshot()
    (stop,) = await venue.stops(frozenset({BTC}))
    assert stop.trigger_by == by


async def test_the_leg_is_taken_from_its_name_not_from_the_side_of_the_order(server, venue):
    """In hedge mode what closes a long is said to buy."""
    assert await stops_of(server, venue, plan(57000, hedged=True)) == [(Side.LONG, 57000, None)]


async def test_an_order_that_cannot_be_read_is_not_missing(server, venue):
    with pytest.raises(VenueUnavailable, match="orders of"):
        await stops_of(server, venue, plan(57000, triggerPrice="abc"))


async def test_pages_of_orders_that_do_not_go_on_are_an_error(server, venue):
    with pytest.raises(VenueUnavailable, match="pages"):
        await stops_of(server, venue, *(plan(50000 + number) for number in range(100)))


# Endings.


@pytest.mark.parametrize(
    ("word", "side", "kind"),
    [
        ("burst_close_long", "buy", EndKind.LIQUIDATED),
        ("reduce_close_long", "sell", EndKind.LIQUIDATED),
        ("dte_sys_adl_close_long", "sell", EndKind.DELEVERAGED),
        ("burst_sell_single", "sell", EndKind.LIQUIDATED),
        ("dte_sys_adl_sell_in_single_side_mode", "sell", EndKind.DELEVERAGED),
        ("burst_close_short", "buy", EndKind.CLOSED),  # The other leg's.
        ("burst_buy_single", "buy", EndKind.CLOSED),
        ("close", "sell", EndKind.CLOSED),
        ("sell_single", "sell", EndKind.CLOSED),
        ("delivery_close_long", "sell", EndKind.CLOSED),
    ],
)
async def test_the_word_of_a_fill_tells_how_it_ended(server, venue, word, side, kind):
    server.hold_sample()
    await venue.snapshot()
    since = datetime.now(UTC) - timedelta(minutes=1)
    server.end_position(BTC, Side.LONG, "closed")

    def change(answer):
        for row in answer["data"].get("fillList", ()):
            row.update(tradeSide=word, side=side)
        return answer

    server.mangle("fills", change)
    ending = await venue.ending(LONG, since)
    assert ending.kind is kind, ending.evidence
    assert ending.price == 58000


async def test_an_end_before_it_was_last_seen_is_not_this_one(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.end_position(BTC, Side.LONG, "liquidated")
    ending = await venue.ending(LONG, datetime.now(UTC) + timedelta(minutes=1))
    assert ending.kind is EndKind.UNKNOWN


async def test_the_time_of_an_end_is_read_in_both_of_its_spellings(server, venue):
    server.hold_sample()
    await venue.snapshot()
    since = datetime.now(UTC) - timedelta(minutes=1)
    server.end_position(BTC, Side.LONG, "closed")

    def change(answer):
        for row in answer["data"].get("list", ()):
            row["uTime"] = row.pop("utime")
        return answer

    server.mangle("fills", change)
    assert (await venue.ending(LONG, since)).kind is EndKind.CLOSED
