"""Orders that wait for a price, and how positions ended, at every exchange."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from wire_faults import OF_READS

from guard.errors import VenueUnavailable
from guard.snapshot import EndKind, PositionKey, Side

column = pytest.mark.column
KINDS = {"closed": EndKind.CLOSED, "liquidated": EndKind.LIQUIDATED, "adl": EndKind.DELEVERAGED}


def behind(one, side):
    """Return a price at which a stop would close a position at a loss."""
    return one.mark * (1 - side * Decimal("0.02"))


@column("stop")
@pytest.mark.parametrize("side", list(Side))
async def test_a_stop_is_told_with_the_position_that_it_closes(server, venue, side):
    server.hold_sample(side)
    server.hold_sample(side, server.other)
    price = behind(server.sample, side)
    server.add_stop(server.sample.symbol, side, price)
    await venue.snapshot()
    (stop,) = await venue.stops(frozenset({server.sample.symbol, server.other.symbol}))
    assert (stop.key, stop.trigger_price) == (PositionKey(server.sample.symbol, side), price)


@column("stop")
async def test_a_position_without_a_stop_has_none(server, venue):
    server.hold_sample()
    await venue.snapshot()
    assert await venue.stops(frozenset({server.sample.symbol})) == ()


@column("stop", "hedge")
async def test_the_stops_of_a_hedge_belong_to_their_legs(server, venue):
    prices = {side: behind(server.sample, side) for side in Side}
    for side, price in prices.items():
        server.hold_sample(side, hedged=True)
        server.add_stop(server.sample.symbol, side, price)
    await venue.snapshot()
    stops = await venue.stops(frozenset({server.sample.symbol}))
    assert {stop.key.side: stop.trigger_price for stop in stops} == prices


@column("stop")
@pytest.mark.parametrize("how", OF_READS)
async def test_stops_that_cannot_be_read_are_not_missing(server, venue, how):
    server.hold_sample()
    await venue.snapshot()
    server.break_reads("stops", how)
    with pytest.raises(VenueUnavailable):
        await venue.stops(frozenset({server.sample.symbol}))


@column("ending")
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("how", list(KINDS))
async def test_how_a_position_ended_is_told_from_the_exchanges_records(server, venue, how, side):
    if how in server.lacks:
        pytest.skip(server.lacks[how])
    server.hold_sample(side)
    server.hold_sample(side, server.other)
    await venue.snapshot()
    since = datetime.now(UTC) - timedelta(minutes=1)
    server.end_position(server.sample.symbol, side, how)
    ending = await venue.ending(PositionKey(server.sample.symbol, side), since)
    assert ending.kind is KINDS[how], ending.evidence
    assert ending.evidence
    if ending.price is not None:
        assert ending.price == server.sample.mark


@column("ending")
@pytest.mark.parametrize("how", list(KINDS))
async def test_how_it_ended_is_told_also_where_our_clock_is_minutes_ahead(server, venue, how):
    if how in server.lacks:
        pytest.skip(server.lacks[how])
    server.clock_skew = -300_000
    server.hold_sample()
    await venue.clock_skew()
    await venue.snapshot()
    since = datetime.now(UTC) - timedelta(minutes=1)  # By our clock, as the daemon says it.
    server.end_position(server.sample.symbol, Side.LONG, how)
    ending = await venue.ending(PositionKey(server.sample.symbol, Side.LONG), since)
    assert ending.kind is KINDS[how], ending.evidence


@column("ending")
async def test_a_position_of_which_nothing_is_recorded_ended_nobody_knows_how(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.drop(server.sample.symbol, Side.LONG)
    since = datetime.now(UTC) - timedelta(minutes=1)
    ending = await venue.ending(PositionKey(server.sample.symbol, Side.LONG), since)
    assert ending.kind is EndKind.UNKNOWN


@column("ending")
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("how", ["liquidated", "adl"])
async def test_what_the_exchange_took_of_a_position_that_goes_on_is_told(server, venue, how, side):
    if how in server.lacks:
        pytest.skip(server.lacks[how])
    server.hold_sample(side)
    await venue.snapshot()
    key, since = PositionKey(server.sample.symbol, side), datetime.now(UTC) - timedelta(minutes=1)
    server.halve(key.symbol, side, how)
    ending = await venue.ending(key, since)
    assert ending.kind is KINDS[how], ending.evidence
    assert ending.at is not None
    later = ending.at - (venue.skew or timedelta(0)) + timedelta(milliseconds=1)
    again = await venue.ending(key, later)
    assert again.kind in {EndKind.UNKNOWN, EndKind.CLOSED} or again.at == ending.at, "or it is told twice"


@column("ending")
async def test_what_its_user_sold_of_a_position_was_not_taken_by_the_exchange(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.halve(server.sample.symbol, Side.LONG, "closed")
    since = datetime.now(UTC) - timedelta(minutes=1)
    ending = await venue.ending(PositionKey(server.sample.symbol, Side.LONG), since)
    assert ending.kind in {EndKind.UNKNOWN, EndKind.CLOSED}, ending.evidence


@column("ending", "hedge")
async def test_the_end_of_the_other_leg_is_not_this_ones(server, venue):
    for side in Side:
        server.hold_sample(side, hedged=True)
    await venue.snapshot()
    since = datetime.now(UTC) - timedelta(minutes=1)
    server.end_position(server.sample.symbol, Side.SHORT, "liquidated")
    ending = await venue.ending(PositionKey(server.sample.symbol, Side.LONG), since)
    assert ending.kind is EndKind.UNKNOWN


@column("ending")
@pytest.mark.parametrize("how", OF_READS)
async def test_fills_that_cannot_be_read_end_nothing(server, venue, how):
    server.hold_sample()
    await venue.snapshot()
    server.break_reads("fills", how)
    with pytest.raises(VenueUnavailable):
        await venue.ending(PositionKey(server.sample.symbol, Side.LONG), datetime.now(UTC) - timedelta(minutes=1))


@column("ending")
async def test_the_last_fills_are_told_of_also_where_a_bot_made_many_before(server, venue):
    server.hold_sample()
    await venue.snapshot()
    since = datetime.now(UTC) - timedelta(minutes=1)
    for _ in range(150):
        server.hold_sample()
        server.end_position(server.sample.symbol, Side.LONG, "closed")
    server.ends[:] = [replace(end, at=end.at - timedelta(seconds=20)) for end in server.ends]
    last = behind(server.sample, Side.LONG)
    server.set_mark(server.sample.symbol, last)
    server.hold_sample()
    server.end_position(server.sample.symbol, Side.LONG, "liquidated")
    ending = await venue.ending(PositionKey(server.sample.symbol, Side.LONG), since)
    assert ending.kind is EndKind.LIQUIDATED, ending.evidence
    if ending.price is not None:
        assert ending.price == last
