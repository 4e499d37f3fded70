"""Marks and not mids, orders that stand, fills that ended a position, and a lost answer settled by the margin."""

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from hyperliquid_wire import BTC, ETH
from wire_faults import Fate

from guard.daemon.reader import AccountReader
from guard.errors import OutcomeUnknown, VenueUnavailable
from guard.snapshot import EndKind, MarginBefore, MarginRequest, Mark, Outcome, PositionKey, Side, StopOrder
from guard.venues.hyperliquid_market import read_mark, stream_marks

NOW = datetime(2026, 9, 1, tzinfo=UTC)
LONG = PositionKey(BTC, Side.LONG)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        [{"universe": []}],
        [{"universe": [{"name": "BTC"}]}, []],
        [{"universe": [{"name": "BTC"}]}, [{"midPx": "5"}]],
        [{"universe": [{"name": "BTC"}]}, [{"markPx": None}]],
        [{"universe": [{"name": "ETH"}]}, [{"markPx": "5"}]],
        [None, [{"markPx": "5"}]],
        [{"universe": None}, None],
    ],
    ids=str,
)
def test_an_answer_without_the_coins_mark_is_none(answer):
    with pytest.raises(VenueUnavailable):
        read_mark(answer, "BTC", BTC, asked_at=NOW)


def test_another_coins_broken_mark_costs_nothing():
    answer = [{"universe": [{"name": "ETH"}, None, {"name": "BTC"}]}, [{"markPx": "x"}, {}, {"markPx": "5.5"}]]
    assert read_mark(answer, "BTC", BTC, asked_at=NOW).price == Decimal("5.5")


async def test_a_stream_of_mids_alone_is_silence(server, venue):
    await venue.open()
    server.context = lambda symbol: {"midPx": "57500.0"}
    stream = stream_marks(venue._client, (BTC,), now=venue.exchange_now, silence_max=timedelta(seconds=0.3))
    async with aclosing(stream):
        with pytest.raises(VenueUnavailable, match="no price"):
            await anext(stream)


async def test_a_stream_that_speaks_outlives_the_limit_of_silence(server, venue):
    await venue.open()
    stream = stream_marks(venue._client, (BTC,), now=venue.exchange_now, silence_max=timedelta(seconds=1))
    begun = time.monotonic()
    async with aclosing(stream):
        async for _ in stream:
            if time.monotonic() - begun > 2:
                break
            await asyncio.sleep(0.2)
            server.set_mark(BTC, server.marks[BTC] + 1)
    assert time.monotonic() - begun > 2


async def test_candles_of_another_coin_or_with_a_broken_bar_are_none(server, venue):
    await venue.open()
    for change in ({"s": "ETH"}, {"h": "NaN"}, {"t": None}):
        server.mangle("candles", lambda rows, change=change: [rows[0] | change, *rows[1:]])
        with pytest.raises(VenueUnavailable):
            await venue.candles(BTC, minutes=1, count=3)


# Orders. Shapes: the official SDK's recording of frontendOpenOrders (2023-11-16).


def order(**fields):
    return {
        "coin": "BTC", "side": "A", "limitPx": "9.1954", "sz": "0.2", "oid": 3184595906, "timestamp": 1700126022555,
        "triggerCondition": "Price below 55000", "isTrigger": True, "triggerPx": "55000.0", "children": [],
        "isPositionTpsl": False, "reduceOnly": True, "orderType": "Stop Market", "origSz": "0.2", "tif": None,
    } | fields  # fmt: skip


async def stops_with(server, venue, *orders):
    await venue.open()
    server.orders = list(orders)
    return await venue.stops(frozenset({BTC}))


async def test_a_stop_of_a_part_and_one_of_the_whole_position_are_stops(server, venue):
    whole = order(isPositionTpsl=True, sz="0.0", orderType="Stop Limit", side="B", triggerPx="65000.0")
    assert await stops_with(server, venue, order(), whole) == (
        StopOrder(key=LONG, trigger_price=Decimal(55_000), trigger_by="mark", quantity=Decimal("0.2")),
        StopOrder(key=PositionKey(BTC, Side.SHORT), trigger_price=Decimal(65_000), trigger_by="mark", quantity=None),
    )


@pytest.mark.parametrize(
    "one",
    [
        order(orderType="Take Profit Market"),
        order(isTrigger=False, orderType="Limit", triggerPx="0.0"),
        order(reduceOnly=False),
        order(coin="ETH"),
        order(coin="xyz:TSLA"),
        order(isTrigger=False, reduceOnly=False, orderType="Limit", children=[order()]),
    ],
    ids=["take profit", "a plain reduce-only", "a stop that opens", "another coin", "another dex", "a child"],
)
async def test_what_would_not_close_the_position_at_a_loss_is_no_stop(server, venue, one):
    assert await stops_with(server, venue, one) == ()


async def test_an_order_of_the_coin_that_cannot_be_read_is_said(server, venue):
    with pytest.raises(VenueUnavailable, match="triggerPx"):
        await stops_with(server, venue, order(triggerPx="NaN"))


async def test_a_stop_is_read_with_its_key(server, venue):
    server.hold_sample(Side.SHORT)
    await venue.open()
    server.add_stop(BTC, Side.SHORT, Decimal(61_000))
    (stop,) = await venue.stops(frozenset({BTC, ETH}))
    assert (stop.key, stop.trigger_price) == (PositionKey(BTC, Side.SHORT), 61_000)


# Endings.


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("how", "kind"),
    [("closed", EndKind.CLOSED), ("liquidated", EndKind.LIQUIDATED), ("adl", EndKind.DELEVERAGED)],
)
async def test_a_vanished_position_is_told_by_its_fills(server, venue, side, how, kind):
    server.hold_sample(side)
    await venue.open()
    server.end_position(BTC, side, how)
    ending = await venue.ending(PositionKey(BTC, side), server.now() - timedelta(minutes=5))
    assert (ending.kind, ending.price) == (kind, server.sample.mark)
    assert ending.evidence


def fill(**fields):
    return {
        "coin": "BTC", "px": "57000.0", "sz": "0.5", "side": "A", "time": 1700126022555, "startPosition": "0.5",
        "dir": "Close Long", "closedPnl": "0.0", "hash": "0x", "oid": 1, "crossed": True, "fee": "0.1", "tid": 1,
    } | fields  # fmt: skip


@pytest.mark.parametrize(
    ("fills", "kind"),
    [
        ([], EndKind.UNKNOWN),
        ([fill(dir="Open Long", startPosition="0.0")], EndKind.UNKNOWN),
        ([fill(coin="ETH")], EndKind.UNKNOWN),
        ([fill(dir="Close Short", startPosition="-0.5")], EndKind.UNKNOWN),
        ([fill(dir="Long > Short")], EndKind.CLOSED),
        ([fill(dir="Settlement")], EndKind.UNKNOWN),
        ([fill(dir="Liquidated Isolated Long", sz="0.4"), fill(startPosition="0.1", sz="0.1")], EndKind.LIQUIDATED),
        ([fill(), fill(dir="Auto-Deleveraging")], EndKind.DELEVERAGED),
    ],
    ids=["none", "opened", "another coin", "the other side", "turned", "settled", "liquidated in part", "deleveraged"],
)
async def test_the_worst_of_the_fills_says_how_it_ended(server, venue, fills, kind):
    await venue.open()
    server.fills = fills
    assert (await venue.ending(LONG, NOW)).kind is kind


@pytest.mark.parametrize(("mine", "kind"), [(True, EndKind.LIQUIDATED), (False, EndKind.CLOSED)])
async def test_a_fill_that_names_us_as_liquidated_is_a_liquidation_whatever_its_word(server, venue, mine, kind):
    whose = server.api_key.upper().replace("0X", "0x") if mine else "0x360878d351f05975e25f1807a27895e1e5e004fb"
    await venue.open()
    server.fills = [fill(liquidation={"liquidatedUser": whose, "markPx": "57010.0", "method": "market"})]
    assert (await venue.ending(LONG, NOW)).kind is kind  # Who only traded against one is named nowhere.


async def test_a_fill_that_cannot_be_read_is_said(server, venue):
    await venue.open()
    server.fills = [fill(px="x")]
    with pytest.raises(VenueUnavailable):
        await venue.ending(LONG, NOW)


# A lost answer.


async def lost(server, venue, fate):
    """Lose an answer; return the request with what was there before it, and when it was sent."""
    snapshot = await venue.snapshot()
    (position,) = snapshot.positions
    before = MarginBefore(
        margin=position.isolated_wallet,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        read_at=snapshot.positions_read_at,
    )
    request = MarginRequest(key=LONG, hedged=False, amount=Decimal("62.31"), currency="USDC", before=before)
    server.fate_of_next_write = fate
    sent_at = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(request)
    return request, sent_at


async def settled(venue, request, sent_at):
    return await venue.settle(request, sent_at=sent_at, now=datetime.now(UTC), known_entries=frozenset())


@pytest.mark.parametrize(
    ("fate", "outcome"), [(Fate.LOST_AFTER, Outcome.APPLIED), (Fate.LOST_BEFORE, Outcome.NOT_APPLIED)]
)
async def test_funding_on_record_is_taken_out_of_the_difference_hours_later(server, venue, fate, outcome):
    server.hold_sample()
    request, sent_at = await lost(server, venue, fate)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=3)):
        server.pay_funding(BTC, Side.LONG, Decimal("-62.31"))  # As much as was sent: it must not hide it.
        server.pay_funding(BTC, Side.LONG, Decimal("0.017"))
        server.hold_sample(of=server.other)
        server.pay_funding(ETH, Side.LONG, Decimal(-5))  # Another coin's is another position's.
        settlement = await settled(venue, request, sent_at)
    assert settlement.outcome is outcome, settlement.evidence
    assert "by funding" in settlement.evidence


async def test_a_difference_that_nothing_explains_stays_unknown(server, venue):
    server.hold_sample()
    request, sent_at = await lost(server, venue, Fate.LOST_BEFORE)
    server.holdings[BTC, Side.LONG].margin += Decimal(20)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        assert (await settled(venue, request, sent_at)).outcome is Outcome.UNKNOWN


async def test_a_size_that_changed_stays_unknown(server, venue):
    server.hold_sample()
    request, sent_at = await lost(server, venue, Fate.LOST_AFTER)
    server.holdings[BTC, Side.LONG].contracts += 1
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        assert (await settled(venue, request, sent_at)).outcome is Outcome.UNKNOWN


async def test_a_row_that_cannot_be_read_is_no_position_that_is_gone(server, venue):
    server.hold_sample()
    request, sent_at = await lost(server, venue, Fate.LOST_AFTER)

    def alter(state):
        state["assetPositions"][0]["position"]["entryPx"] = None
        return state

    server.mangle("positions", alter)
    with (
        time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)),
        pytest.raises(VenueUnavailable, match="entryPx"),
    ):
        await settled(venue, request, sent_at)


async def test_a_full_page_of_funding_proves_nothing(server, venue):
    server.hold_sample()
    request, sent_at = await lost(server, venue, Fate.LOST_AFTER)
    server.pay_funding(BTC, Side.LONG, Decimal("0.001"))
    server.payments *= 500
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)), pytest.raises(VenueUnavailable, match="full"):
        await settled(venue, request, sent_at)


async def test_behind_our_fence_but_before_theirs_nothing_is_concluded(server, venue):
    server.hold_sample()
    request, sent_at = await lost(server, venue, Fate.LATE)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        server.mangle("positions", lambda state: state | {"time": state["time"] - 60_000})
        with pytest.raises(VenueUnavailable, match="may still be executed"):
            await settled(venue, request, sent_at)


async def test_there_is_no_history_of_margin(server, venue):
    await venue.open()
    with pytest.raises(VenueUnavailable, match="no history"):
        await venue.margin_changes((), NOW)
    assert venue.write_terms.history_kept == timedelta(0)


async def test_a_request_with_nothing_known_before_it_stays_unknown(server, venue):
    server.hold_sample()
    request, sent_at = await lost(server, venue, Fate.LOST_AFTER)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        assert (await settled(venue, replace(request, before=None), sent_at)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("side", list(Side))
async def test_an_undated_mark_counts_only_where_it_is_worse_than_what_was_read_or_asked_for(server, venue, side):
    server.hold_sample(side)
    read = server.marks[BTC]
    reader = AccountReader(venue, lambda: datetime.now(UTC))
    await reader.read()

    def judged_by():
        (figures,) = reader.assess(reader.snapshot).positions
        return figures.position.mark_price

    def say(price):
        reader.note_mark(Mark(symbol=BTC, price=price, at=venue.exchange_now(), is_dated=False))
        return judged_by()

    better, worse = read + 100 * side, read - 100 * side
    assert say(better) == read
    assert say(worse) == worse
    server.set_mark(BTC, better)
    await reader.read_mark(BTC)
    assert judged_by() == better, "asked for since"
    assert say(read) == read
    assert say(better + 100 * side) == better
