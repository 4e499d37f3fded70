"""Margin that is added at every exchange: once, exactly, and only called done when the exchange said so."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from wire_faults import NOT_DONE, UNCLEAR, Fate

from guard.daemon.past import open_isolated
from guard.errors import OutcomeUnknown, VenueError, VenueRefused, VenueUnavailable
from guard.snapshot import MarginBefore, MarginRequest, Outcome, PositionKey, Side

column = pytest.mark.column
NONE_KNOWN: frozenset[str] = frozenset()


def request_for(one, side=Side.LONG, *, hedged=False):
    return MarginRequest(key=PositionKey(one.symbol, side), hedged=hedged, amount=one.top_up, currency=one.currency)


async def lose(server, venue, fate, request=None):
    """Send a top-up that meets `fate`; return it with what its position held before, and when it was started."""
    request = request or request_for(server.sample)
    snapshot = await venue.snapshot()
    (position,) = (one for one in snapshot.positions if one.key == request.key)
    before = MarginBefore(
        margin=position.isolated_wallet,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        read_at=snapshot.positions_read_at,
    )
    server.fate_of_next_write = fate
    started = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(request)
    return replace(request, before=before), started


async def settled(venue, lost, known=NONE_KNOWN):
    request, sent_at = lost
    return await venue.settle(request, sent_at=sent_at, now=datetime.now(UTC), known_entries=known)


def behind_the_fence(venue):
    """Go to a moment at which a request of just now can no longer be carried out."""
    return time_machine.travel(datetime.now(UTC) + venue.write_terms.fence + timedelta(seconds=1))


@column("top-up")
@pytest.mark.parametrize("side", list(Side))
async def test_margin_is_added_exactly_once_and_to_the_digit(server, venue, side):
    server.hold_sample(side)
    server.hold_sample(side, server.other)
    await venue.snapshot()
    confirmation = await venue.add_margin(request_for(server.sample, side))
    assert confirmation
    assert server.margin_of(server.sample.symbol, side) == server.sample.margin + server.sample.top_up
    assert server.margin_of(server.other.symbol, side) == server.other.margin
    assert len(server.writes) == 1
    read = {position.key: position.isolated_wallet for position in (await venue.snapshot()).positions}
    assert read[PositionKey(server.sample.symbol, side)] == server.sample.margin + server.sample.top_up


@column("top-up")
async def test_the_amounts_that_the_suite_adds_are_at_the_exchanges_step(server, venue):
    await venue.open()
    assert server.sample.top_up % venue.margin_step(server.sample.currency) == 0


@column("top-up")
async def test_an_amount_beside_the_step_is_never_sent(server, venue):
    server.hold_sample()
    await venue.snapshot()
    one = request_for(server.sample)
    off = MarginRequest(
        key=one.key,
        hedged=False,
        amount=one.amount + venue.margin_step(one.currency) / 2,
        currency=one.currency,
    )
    with pytest.raises(ValueError):
        await venue.add_margin(off)
    assert server.writes == []


@column("top-up")
@pytest.mark.parametrize("fate", UNCLEAR)
async def test_an_answer_that_proves_nothing_is_unknown_after_one_request(server, venue, fate):
    server.hold_sample()
    await lose(server, venue, fate)
    assert len(server.writes) == 1


@column("top-up")
async def test_a_cancelled_request_is_sent_once_and_stays_cancelled(server, venue):
    server.hold_sample()
    await venue.snapshot()
    task = asyncio.create_task(venue.add_margin(request_for(server.sample)))
    await server.written.wait()
    task.cancel()
    with pytest.raises((asyncio.CancelledError, OutcomeUnknown)):
        await task
    assert len(server.writes) == 1


@column("refusal named")
async def test_every_documented_refusal_is_a_clear_no(server, venue):
    server.hold_sample()
    await venue.snapshot()
    for code in server.refusals:
        server.fate_of_next_write = code
        server.writes.clear()
        with pytest.raises(VenueRefused) as caught:
            await venue.add_margin(request_for(server.sample))
        assert caught.value.code == code
        assert len(server.writes) == 1
        await venue.clock_skew()  # Some refusals say that it is off.
    assert server.margin_of(server.sample.symbol, Side.LONG) == server.sample.margin


@column("refusal named")
async def test_too_many_requests_is_a_no_with_a_time_to_wait(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.fate_of_next_write = Fate.RATE_LIMITED
    with pytest.raises(VenueRefused) as caught:
        await venue.add_margin(request_for(server.sample))
    assert caught.value.retry_after is not None
    with pytest.raises(VenueError):
        await venue.add_margin(request_for(server.sample))
    assert len(server.writes) == 1  # The second one was not sent: the exchange had asked for quiet.


@column("hedge side", "hedge")
@pytest.mark.parametrize("side", list(Side))
async def test_a_hedge_leg_gets_margin_and_its_twin_does_not(server, venue, side):
    for leg in Side:
        server.hold_sample(leg, hedged=True)
    await venue.snapshot()
    await venue.add_margin(request_for(server.sample, side, hedged=True))
    twin = Side(-side)
    assert server.margin_of(server.sample.symbol, side) == server.sample.margin + server.sample.top_up
    assert server.margin_of(server.sample.symbol, twin) == server.sample.margin


@column("inverse")
async def test_margin_in_coin_is_added_to_the_digit(server, venue):
    one = server.inverse
    server.hold_sample(of=one)
    await venue.snapshot()
    assert await venue.add_margin(request_for(one))
    assert server.margin_of(one.symbol, Side.LONG) == one.margin + one.top_up


@column("lost answer settled")
@pytest.mark.parametrize("fate", [fate for fate in UNCLEAR if fate is not Fate.LATE])
async def test_a_lost_answer_is_settled_behind_the_fence_by_what_is_really_there(server, venue, fate):
    server.hold_sample()
    lost = await lose(server, venue, fate)
    with behind_the_fence(venue):
        settlement = await settled(venue, lost)
    wanted = Outcome.NOT_APPLIED if fate in NOT_DONE else Outcome.APPLIED
    assert settlement.outcome is wanted, settlement.evidence
    assert settlement.evidence
    assert len(server.writes) == 1


@column("lost answer settled")
async def test_nothing_is_called_not_applied_before_the_fence(server, venue):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LATE)
    early = await settled(venue, lost)
    assert early.outcome is Outcome.UNKNOWN
    server.arrive()
    with behind_the_fence(venue):
        late = await settled(venue, lost)
    assert late.outcome is Outcome.APPLIED


@column("lost answer settled", "entries")
async def test_one_entry_of_the_history_proves_one_request(server, venue):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_AFTER)
    again = await lose(server, venue, Fate.LOST_BEFORE)
    with behind_the_fence(venue):
        first = await settled(venue, lost)
        second = await settled(venue, again, frozenset({first.entry_id}))
    assert (first.outcome, second.outcome) == (Outcome.APPLIED, Outcome.NOT_APPLIED)


@column("lost answer settled", "entries")
async def test_the_twin_legs_entry_proves_nothing(server, venue):
    if "hedge" in server.lacks:
        pytest.skip(server.lacks["hedge"])
    for leg in Side:
        server.hold_sample(leg, hedged=True)
    lost = await lose(server, venue, Fate.LOST_BEFORE, request_for(server.sample, Side.LONG, hedged=True))
    server.add_to(server.sample.symbol, Side.SHORT, server.sample.top_up)
    with behind_the_fence(venue):
        settlement = await settled(venue, lost)
    assert settlement.outcome is Outcome.NOT_APPLIED


@column("lost answer settled")
async def test_without_evidence_the_outcome_stays_unknown(server, venue):
    server.hold_sample()
    request, sent_at = await lose(server, venue, Fate.LOST_AFTER)
    lost = replace(request, before=None), sent_at  # What it held before is not known either.
    server.history_down = True
    with behind_the_fence(venue):
        try:
            settlement = await settled(venue, lost)
        except VenueUnavailable:
            return
    assert settlement.outcome is Outcome.UNKNOWN


@column("wrong mode")
async def test_an_account_in_the_wrong_mode_is_read_and_gets_no_margin(server, venue):
    server.is_wrong_mode = True
    server.hold_sample(margin=None)
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [server.sample.symbol]
    with pytest.raises(VenueRefused):
        await venue.add_margin(request_for(server.sample))


@column("lost answer settled", "entries")
async def test_what_went_into_a_position_that_is_closed_is_found_again(server, venue):
    one = server.sample
    server.hold_sample()
    await venue.snapshot()
    await venue.add_margin(request_for(one))
    server.end_position(one.symbol, Side.LONG, "closed")
    traded = await venue.traded_lately()
    assert traded == {one.symbol}
    changes = await venue.margin_changes(
        open_isolated(await venue.snapshot()), datetime.now(UTC) - timedelta(hours=1), also=traded
    )
    by_hand = [change for change in changes if change.by_user]
    assert [change.amount for change in by_hand] == [one.top_up]
    assert PositionKey(one.symbol, Side.LONG) in by_hand[0].may_be_of()
    assert (
        await venue.margin_changes(open_isolated(await venue.snapshot()), datetime.now(UTC) - timedelta(hours=1)) == ()
    )


@column("clock")
@pytest.mark.parametrize("step_s", [-30, 30])
async def test_after_our_clock_stepped_nothing_is_sent_before_the_exchanges_is_measured_again(server, venue, step_s):
    """A pause of the machine looks like a clock that was set: 30 s of skew that were none stayed for six hours."""
    server.hold_sample()
    await venue.snapshot()
    await venue.clock_skew()
    venue.follow_clock(timedelta(seconds=step_s))
    with pytest.raises(VenueRefused, match="not measured"):
        await venue.add_margin(request_for(server.sample))
    assert server.writes == []
    await venue.snapshot()
    assert abs(venue.skew) < timedelta(seconds=1)
    await venue.add_margin(request_for(server.sample))
    assert len(server.writes) == 1
