"""When a lost answer stops locking its position: its fence over, and two fresh reads after it."""

import asyncio
from datetime import timedelta

import pytest
import structlog
from acting_support import BTC, ETH, Clock, act, journal_with, settle
from simulated_venue import FENCE, Fate, SimulatedVenue

from guard.daemon.fences import LOOK_AFTER_FENCE, SECOND_READ_AFTER, Fences

pytestmark = pytest.mark.looptime


@pytest.fixture
def journal(tmp_path):
    with journal_with(tmp_path, BTC, ETH) as journal:
        yield journal


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def venue(clock):
    return SimulatedVenue(fates=[Fate.LOST_AFTER] * 2, true_now=clock.true_now, our_now=clock.now)


@pytest.fixture
def fences(journal):
    return Fences(journal, "main", FENCE)


def locked(journal):
    return {intent.key for intent in journal.open_intents("main") if intent.locks}


async def test_a_lock_is_over_its_fence_at_the_instant_that_the_fence_ends_and_not_before(
    journal, venue, clock, fences
):
    intent = await act(journal, venue, clock)
    await asyncio.sleep(FENCE.total_seconds() - 0.1)
    assert fences.passed() == ()
    await asyncio.sleep(0.1)
    assert fences.passed() == (intent,)
    assert Fences(journal, "another account", FENCE).passed() == ()


async def test_the_second_read_after_the_fence_opens_the_lock_and_the_first_does_not(journal, venue, clock, fences):
    await act(journal, venue, clock)
    await asyncio.sleep(FENCE.total_seconds())
    fences.count_read(fences.passed(), clock.now())
    assert locked(journal) == {BTC}
    with structlog.testing.capture_logs() as logs:
        fences.count_read(fences.passed(), clock.now())
    assert locked(journal) == set()
    (intent,) = journal.open_intents("main")
    assert logs == [
        {"event": "intent.unlocked", "log_level": "warning", "intent": intent.intent_id, "state": "unknown", "reads": 2}
    ]
    assert intent.unlocked_at == clock.now()
    assert fences.passed() == ()


async def test_each_position_waits_for_its_own_two_reads(journal, venue, clock, fences):
    await act(journal, venue, clock)
    await asyncio.sleep(5)
    await act(journal, venue, clock, key=ETH)
    await asyncio.sleep(5)
    fences.count_read(fences.passed(), clock.now())
    await asyncio.sleep(5)
    fences.count_read(fences.passed(), clock.now())
    assert locked(journal) == {ETH}
    fences.count_read(fences.passed(), clock.now())
    assert locked(journal) == set()


async def test_a_lock_that_ended_while_the_second_read_was_under_way_is_left_alone(journal, venue, clock, fences):
    await act(journal, venue, clock)
    await asyncio.sleep(FENCE.total_seconds())
    fences.count_read(fences.passed(), clock.now())
    passed = fences.passed()
    (settled,) = await settle(journal, venue, clock)
    fences.count_read(passed, clock.now())
    assert journal.intent(settled.intent_id) == settled


async def test_the_next_look_is_just_after_the_fence_and_a_second_after_the_first_read(journal, venue, clock, fences):
    assert fences.next_look() is None
    await act(journal, venue, clock)
    assert fences.next_look() == FENCE + LOOK_AFTER_FENCE
    await asyncio.sleep(4)
    assert fences.next_look() == FENCE + LOOK_AFTER_FENCE - timedelta(seconds=4)
    await asyncio.sleep(6)
    assert fences.next_look() is None  # That read is under way, or its turn comes with the cycle.
    fences.count_read(fences.passed(), clock.now())
    assert fences.next_look() == SECOND_READ_AFTER
    fences.count_read(fences.passed(), clock.now())
    assert fences.next_look() is None


async def test_the_nearest_of_several_looks_comes_first(journal, venue, clock, fences):
    await act(journal, venue, clock)
    await asyncio.sleep(7)
    await act(journal, venue, clock, key=ETH)
    assert fences.next_look() == timedelta(seconds=3) + LOOK_AFTER_FENCE
