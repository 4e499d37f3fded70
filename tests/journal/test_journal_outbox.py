from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from journal_support import NOON, decision, fill_disk, intent, life, live, message, opened, state

from guard.errors import JournalError
from guard.journal import IntentState
from guard.policy.terms import Level

if TYPE_CHECKING:
    from guard.notify.channel import Outbox

SECOND = timedelta(seconds=1)
PHONE, HOOK = "telegram.me", "webhook.ops"
ROUTES = {PHONE: Level.WARN, HOOK: Level.DANGER}


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as journal:
        yield journal


def record(journal, *messages, now=NOON, routes=ROUTES):
    journal.record_decision("main", decision(), messages, routes, now)


def waiting(journal, channel=PHONE, now=NOON):
    return [delivery.message.id for delivery in journal.due(channel, now, 10)]


def test_the_journal_is_the_outbox_that_channels_ask_for(journal):
    outbox: Outbox = journal
    assert outbox.next_due_at() is None
    assert outbox.due(PHONE, NOON, 1) == ()


def test_a_message_comes_out_as_it_went_in(journal, tmp_path):
    record(journal, message())
    journal.close()
    with opened(tmp_path) as reopened:
        (delivery,) = reopened.due(PHONE, NOON, 10)
        assert delivery.message == message()
        assert (delivery.channel, delivery.attempts, delivery.created_at) == (PHONE, 0, NOON)


@pytest.mark.parametrize(
    ("level", "channels"),
    [
        (Level.WATCH, set()),
        (Level.WARN, {PHONE}),
        (Level.UNKNOWN, {PHONE}),  # Unknown passes warn, and no more than that (design ruling on levels).
        (Level.DANGER, {PHONE, HOOK}),
        (Level.CRITICAL, {PHONE, HOOK}),
    ],
)
def test_a_channel_gets_what_passes_its_level(journal, level, channels):
    record(journal, message(level=level))
    assert {channel for channel in ROUTES if waiting(journal, channel)} == channels


def test_the_end_is_told_to_exactly_those_who_heard_of_it(journal):
    record(journal, message("fired", level=Level.WARN))
    record(journal, message("over", event="resolved", level=Level.DANGER))
    assert waiting(journal, PHONE) == ["over", "fired"]
    assert waiting(journal, HOOK) == []


def test_the_end_goes_to_who_heard_only_of_the_escalation(journal):
    record(journal, message("fired", level=Level.WARN))
    record(journal, message("worse", event="escalated", level=Level.DANGER))
    record(journal, message("over", event="resolved", level=Level.WARN))
    assert waiting(journal, HOOK) == ["worse", "over"]


def test_the_end_of_what_was_never_heard_is_not_told(journal):
    record(journal, message("fired"))
    for channel in ROUTES:
        (delivery,) = journal.due(channel, NOON, 1)
        journal.given_up(delivery.delivery_id, NOON, "chat not found")
    record(journal, message("over", event="resolved"))
    record(journal, message("other end", alert="never fired", event="resolved"))
    assert waiting(journal) == []


def test_a_channel_that_left_the_config_gets_no_end(journal):
    record(journal, message("fired"))
    record(journal, message("over", event="resolved"), routes={HOOK: Level.DANGER})
    assert waiting(journal, PHONE) == ["fired"]


def test_the_most_severe_goes_first_then_the_oldest(journal):
    for number, level in enumerate((Level.WARN, Level.CRITICAL, Level.DANGER, Level.CRITICAL)):
        record(journal, message(f"{number}", alert=f"{number}", level=level))
    assert waiting(journal) == ["1", "3", "2", "0"]


def test_a_delivered_message_is_done(journal):
    record(journal, message())
    (delivery,) = journal.due(PHONE, NOON, 1)
    journal.delivered([delivery.delivery_id], NOON + SECOND)
    assert waiting(journal) == []
    assert waiting(journal, HOOK) == ["m1"]
    assert ("message.delivered", PHONE) in {(row.kind, row.subject) for row in journal.history()}


def test_a_postponed_message_waits_its_time(journal):
    record(journal, message())
    (delivery,) = journal.due(PHONE, NOON, 1)
    journal.postponed([delivery.delivery_id], next_attempt_at=NOON + 30 * SECOND, error="429")
    assert waiting(journal, now=NOON + 29 * SECOND) == []
    (again,) = journal.due(PHONE, NOON + 30 * SECOND, 1)
    assert again.attempts == 1


def test_a_message_that_waits_for_a_time_from_before_a_clock_step_is_due_at_once(journal):
    record(journal, message(), now=NOON + timedelta(hours=25))
    assert waiting(journal) == []
    journal.make_due(NOON)
    assert waiting(journal) == ["m1"]


def test_it_knows_when_the_next_attempt_is_due(journal):
    record(journal, message(), routes={PHONE: Level.WARN})
    assert journal.next_due_at() == NOON
    (delivery,) = journal.due(PHONE, NOON, 1)
    journal.postponed([delivery.delivery_id], next_attempt_at=NOON + SECOND, error="timed out")
    assert journal.next_due_at() == NOON + SECOND
    journal.given_up(delivery.delivery_id, NOON, "chat not found")
    assert journal.next_due_at() is None


def test_a_message_is_enqueued_once(journal):
    for _ in range(2):
        journal.enqueue(message(), [PHONE], NOON)
    assert waiting(journal) == ["m1"]


def test_health_sees_since_when_a_danger_waits_unheard(journal):
    journal.enqueue(message("minor", level=Level.WARN), [PHONE], NOON - SECOND)
    unheard = lambda *channels: journal.undelivered_since(Level.DANGER, channels)  # noqa: E731
    assert unheard(PHONE, HOOK) is None
    journal.enqueue(message("major"), [PHONE, HOOK], NOON)
    assert unheard(PHONE, HOOK) == NOON
    assert unheard("left the config") is None
    (delivery,) = journal.due(HOOK, NOON, 1)
    journal.delivered([delivery.delivery_id], NOON)  # One channel confirmed it: it was told.
    assert unheard(PHONE, HOOK) is None
    assert unheard(PHONE) == NOON  # As where the other one is a log that nobody reads.
    (delivery,) = journal.due(PHONE, NOON, 1)
    journal.given_up(delivery.delivery_id, NOON, "chat not found")
    assert unheard(PHONE) is None


def test_a_message_for_nobody_does_not_wait(journal):
    journal.enqueue(message(), [], NOON)
    assert journal.undelivered_since(Level.OK, [PHONE]) is None


def test_a_quiet_cycle_writes_nothing(journal):
    record_states(journal, NOON)
    before = journal._connection.total_changes
    for second in range(1, 60):
        record_states(journal, NOON + second * SECOND)
    assert journal._connection.total_changes == before
    record_states(journal, NOON + 60 * SECOND)
    assert journal._connection.total_changes > before


def record_states(journal, now):
    journal.record_decision("main", decision(states=[state(seen_at=now)]), [], ROUTES, now)


def test_policy_gets_back_even_what_was_not_worth_writing(journal):
    record_states(journal, NOON)
    record_states(journal, NOON + SECOND)
    (remembered,) = journal.memory("main", NOON).alerts.values()
    assert remembered.seen_at == NOON + SECOND


def test_a_decision_is_kept_whole_or_not_at_all(journal, tmp_path):
    fill_disk(journal)
    huge = message()
    huge.facts["filler"] = "x" * 100_000
    with pytest.raises(JournalError):
        journal.record_decision("main", decision(states=[state()], lives=[life()]), [huge], ROUTES, NOON)
    journal.close()
    with opened(tmp_path) as reopened:
        memory = reopened.memory("main", NOON)
        assert (memory.alerts, memory.lives, waiting(reopened)) == ({}, {}, [])


def test_an_outcome_is_untold_until_a_message_about_it_is_on_disk(journal):
    live(journal)
    planned = intent()
    journal.plan(planned)
    cut_off = journal.sent(planned.intent_id, NOON)
    assert journal.untold("main") == (cut_off,)  # Found so between two requests: its process died.

    def tell(message_id):
        journal.enqueue(message(message_id, alert=planned.intent_id), [PHONE], NOON)

    lost = journal.settle(planned.intent_id, IntentState.UNKNOWN, at=NOON, evidence="no answer")
    assert journal.untold("main") == (lost,)
    tell("lost")
    assert journal.untold("main") == ()
    found = journal.settle(planned.intent_id, IntentState.APPLIED, at=NOON, evidence="history")
    assert journal.untold("main") == (found,)
    assert journal.untold("other") == ()
    tell("found")
    assert journal.untold("main") == ()
