import asyncio
import sqlite3
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from acting_support import BTC, ETH, Clock, act, journal_with, plan, settle
from simulated_venue import Fate, ProcessDied, SimulatedVenue

from guard.errors import JournalError
from guard.journal import Intent, IntentState, Journal
from guard.policy.terms import Mode
from guard.snapshot import MarginRequest
from guard.top_up import top_up

pytestmark = pytest.mark.looptime


@pytest.fixture
def journal(tmp_path):
    with journal_with(tmp_path, BTC, ETH) as journal:
        yield journal


@pytest.fixture
def clock():
    return Clock()


def venue_with(clock, *fates, **keywords):
    return SimulatedVenue(fates=fates, true_now=clock.true_now, our_now=clock.now, **keywords)


@pytest.mark.parametrize(
    ("fate", "state", "moved"),
    [
        (Fate.DONE, IntentState.APPLIED, "62.31"),
        (Fate.REFUSED, IntentState.REFUSED, "0"),
        (Fate.LOST_BEFORE, IntentState.UNKNOWN, "0"),
        (Fate.LOST_AFTER, IntentState.UNKNOWN, "62.31"),
    ],
)
async def test_a_top_up_ends_as_the_answer_says_and_no_more_is_claimed(journal, clock, fate, state, moved):
    venue = venue_with(clock, fate)
    intent = await act(journal, venue, clock)
    assert intent == journal.intent(intent.intent_id)
    assert intent.state is state
    assert venue.moved == Decimal(moved)
    assert venue.requests == [MarginRequest(key=BTC, hedged=False, amount=Decimal("62.31"), currency="USDT")]


async def test_the_intent_is_on_disk_before_the_request_leaves(journal, clock):
    seen = []

    def look(request):
        with Journal.open_to_read(journal.path) as other:
            seen.extend(other.open_intents("main"))

    await act(journal, venue_with(clock, on_request=look), clock)
    assert [(intent.amount, intent.state) for intent in seen] == [(Decimal("62.31"), IntentState.SENT)]


@pytest.mark.parametrize("failing", ["INSERT INTO intents", "UPDATE intents"])
async def test_a_journal_that_cannot_write_sends_nothing(journal, clock, failing):
    deny_writes(journal, failing)
    venue = venue_with(clock)
    with pytest.raises(JournalError):
        await act(journal, venue, clock)
    assert venue.requests == []
    assert journal.broken is not None


def deny_writes(journal, statement):
    """Let the file refuse from here on, as a dead disk does: `statement` picks the first or the second write."""
    code = {"INSERT INTO intents": sqlite3.SQLITE_INSERT, "UPDATE intents": sqlite3.SQLITE_UPDATE}[statement]

    def judge(action, table, *_):
        return sqlite3.SQLITE_DENY if (action, table) == (code, "intents") else sqlite3.SQLITE_OK

    journal._connection.set_authorizer(judge)


async def test_an_outcome_that_cannot_be_written_is_said_and_stays_open(journal, clock):
    venue = venue_with(clock, on_request=lambda request: deny_writes(journal, "UPDATE intents"))
    with pytest.raises(JournalError, match=r"62.31 USDT went out and ended as applied .*stays open on disk"):
        await act(journal, venue, clock)
    with pytest.raises(JournalError):  # And nothing else is sent by this process.
        await act(journal, venue, clock, key=ETH)
    assert len(venue.requests) == 1

    journal._connection.set_authorizer(None)
    assert journal.recover()
    (settled,) = await settle(journal, venue, clock)
    assert settled.state is IntentState.APPLIED
    assert len(venue.requests) == 1


@pytest.mark.parametrize(("fate", "end"), [(Fate.HANGS_AFTER, "applied"), (Fate.HANGS_BEFORE, "not_applied")])
async def test_a_cancelled_request_is_unknown_until_settled(journal, clock, fate, end):
    venue = venue_with(clock, fate)
    task = asyncio.create_task(act(journal, venue, clock))
    await asyncio.sleep(8)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (intent,) = journal.open_intents("main")
    assert intent.state is IntentState.SENT
    await asyncio.sleep(venue.write_terms.fence.total_seconds())
    (settled,) = await settle(journal, venue, clock)
    assert settled.state == end
    assert len(venue.requests) == 1


async def test_a_bug_in_the_request_leaves_the_outcome_open(journal, clock):
    def stumble(request):
        raise TypeError("unsupported operand")  # OKX through ccxt: raised after the margin moved.

    with pytest.raises(TypeError):
        await act(journal, venue_with(clock, on_request=stumble), clock)
    assert [intent.state for intent in journal.open_intents()] == [IntentState.SENT]


async def test_a_locked_position_gets_no_second_request(journal, clock):
    venue = venue_with(clock, Fate.LOST_AFTER)
    await act(journal, venue, clock)
    with pytest.raises(JournalError, match="not settled yet"):
        await act(journal, venue, clock)
    assert (await act(journal, venue, clock, key=ETH)).state is IntentState.APPLIED
    assert len(venue.requests) == 2


@pytest.mark.parametrize("fault", ["mode", "account", "host"])
async def test_what_must_never_be_sent_stops_before_the_journal(journal, clock, fault):
    venue = venue_with(clock)
    wanted = plan()
    if fault == "mode":
        wanted = replace(wanted, mode=Mode.SHADOW)
    elif fault == "account":
        venue.account = "other"
    else:
        venue.write_terms = replace(venue.write_terms, test_host=False)
    with pytest.raises(AssertionError):
        await top_up(
            wanted,
            venue=venue,
            journal=journal,
            account="main",
            life_id=f"life {BTC}",
            hedged=False,
            facts_before="{}",
            now=clock.now,
        )
    assert (venue.requests, journal.intents()) == ([], ())


async def lost(journal, clock, fate) -> tuple[SimulatedVenue, Intent]:
    venue = venue_with(clock, fate)
    return venue, await act(journal, venue, clock)


async def test_applied_is_concluded_as_soon_as_the_records_show_it(journal, clock):
    venue, intent = await lost(journal, clock, Fate.LOST_AFTER)
    (settled,) = await settle(journal, venue, clock)
    assert (settled.intent_id, settled.state, settled.entry_id) == (intent.intent_id, IntentState.APPLIED, "entry-0")


async def test_not_applied_is_never_concluded_before_the_fence(journal, clock):
    venue, _ = await lost(journal, clock, Fate.LOST_BEFORE)
    await asyncio.sleep(9.9)
    assert await settle(journal, venue, clock) == ()
    await asyncio.sleep(0.1)
    (settled,) = await settle(journal, venue, clock)
    assert settled.state is IntentState.NOT_APPLIED


async def test_a_clock_that_jumps_forth_does_not_end_the_fence(journal, clock):
    venue, _ = await lost(journal, clock, Fate.LATE)
    clock.off_by = timedelta(hours=1)
    assert await settle(journal, venue, clock) == ()
    await asyncio.sleep(10)
    (settled,) = await settle(journal, venue, clock)
    assert settled.state is IntentState.APPLIED


async def test_a_crash_between_commit_and_send_is_settled_as_possibly_sent(journal, clock, monkeypatch, tmp_path):
    def die(*_):
        raise ProcessDied

    venue = venue_with(clock)
    monkeypatch.setattr(journal, "sent", die)
    with pytest.raises(ProcessDied):
        await act(journal, venue, clock)
    journal.close()
    with Journal.open(tmp_path / "journal.db", exclusive=True) as reopened:
        assert await settle(reopened, venue, clock) == ()
        (intent,) = reopened.open_intents()
        assert (intent.state, intent.sent_at) == (IntentState.UNKNOWN, None)
        await asyncio.sleep(10)
        (settled,) = await settle(reopened, venue, clock)
        assert settled.state is IntentState.NOT_APPLIED
    assert venue.requests == []


async def test_an_exchange_that_cannot_be_asked_leaves_everything_open(journal, clock):
    venue, intent = await lost(journal, clock, Fate.LOST_BEFORE)
    venue.unreadable = True
    await asyncio.sleep(60)
    assert await settle(journal, venue, clock) == ()
    assert journal.open_intents() == (intent,)


async def test_waiting_writes_the_journal_once(journal, clock):
    venue, _ = await lost(journal, clock, Fate.LOST_BEFORE)
    await settle(journal, venue, clock)
    before = journal._connection.total_changes
    await settle(journal, venue, clock)
    assert journal._connection.total_changes == before


async def test_the_entry_of_an_earlier_act_does_not_pass_for_the_lost_one(journal, clock):
    venue = venue_with(clock, Fate.DONE, Fate.LOST_BEFORE)
    done = await act(journal, venue, clock)
    await asyncio.sleep(1)  # Critical bypasses the cooldown: the same amount again, a second later.
    lost_one = await act(journal, venue, clock)
    assert await settle(journal, venue, clock) == ()
    assert journal.intent(done.intent_id).entry_id == "entry-0"
    await asyncio.sleep(10)
    (settled,) = await settle(journal, venue, clock)
    assert (settled.intent_id, settled.state) == (lost_one.intent_id, IntentState.NOT_APPLIED)


async def test_one_entry_does_not_prove_two_intents(journal, clock):
    venue = venue_with(clock, Fate.LOST_AFTER, Fate.LOST_BEFORE)
    await act(journal, venue, clock)
    await settle(journal, venue, clock)
    await act(journal, venue, clock)
    await asyncio.sleep(10)
    (second,) = await settle(journal, venue, clock)
    assert second.state is IntentState.NOT_APPLIED


async def test_nothing_open_asks_the_exchange_nothing(journal, clock):
    venue = venue_with(clock)
    venue.unreadable = True
    assert await settle(journal, venue, clock) == ()
