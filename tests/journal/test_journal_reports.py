"""What a report reads back: intents by the beginning of their id, lives, what was told on which channel, spending."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from journal_support import BTC, ETH, HOUR, NOON, decision, intent, live, message, opened, spend

from guard.journal import IntentState
from guard.policy.terms import Level

SECOND = timedelta(seconds=1)


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as one:
        yield one


def test_an_intent_is_found_by_the_beginning_of_its_id_and_nothing_else(journal):
    live(journal)
    for name in ("20251010-120000-aa", "20251010-120000-ab", "20251011-120000-aa"):
        spend(journal, replace(intent(), intent_id=name))
    assert [one.intent_id for one in journal.intents_beginning("20251010")] == [
        "20251010-120000-aa",
        "20251010-120000-ab",
    ]
    assert [one.intent_id for one in journal.intents_beginning("20251011-1")] == ["20251011-120000-aa"]
    assert journal.intents_beginning("120000-aa") == ()
    assert journal.intents_beginning("2025%") == ()


def test_an_effect_that_was_missed_is_told_with_its_reason(journal):
    live(journal)
    one, other = spend(journal, intent()), spend(journal, intent())
    journal.note_effect(one.intent_id, missed="its margin stood still", facts_after="{}", at=NOON)
    assert journal.missed(one.intent_id) == "its margin stood still"
    assert journal.missed(other.intent_id) is None
    assert journal.missed("never") is None


def test_each_life_of_a_position_is_kept_apart_with_its_intents(journal):
    live(journal, life_id="first")
    old = spend(journal, intent(life_id="first"))
    journal.end_life("main", BTC, NOON + HOUR, "missing from 3 fresh reads in a row")
    live(journal, life_id="second", at=NOON + 2 * HOUR)
    live(journal, ETH, life_id="beside")
    first, second = journal.lives_of(BTC)
    assert (first.ended_at, first.end_reason) == (NOON + HOUR, "missing from 3 fresh reads in a row")
    assert (second.life_id, second.ended_at, second.account) == ("second", None, "main")
    assert journal.intents_of(first) == (old,)
    assert journal.intents_of(second) == ()
    assert journal.known_positions() == (BTC, ETH)


def test_what_was_told_comes_with_its_time_on_every_channel_that_was_to_hear_it(journal):
    journal.enqueue(message("m1"), ["phone", "ops"], NOON)
    (delivery,) = journal.due("phone", NOON, 9)
    journal.delivered([delivery.delivery_id], NOON + 2 * SECOND)
    (delivery,) = journal.due("ops", NOON, 9)
    journal.postponed([delivery.delivery_id], next_attempt_at=NOON + HOUR, error="timed out")
    (told,) = journal.told_about("main", BTC, NOON, NOON)
    ops, phone = told.attempts
    assert (phone.channel, phone.state, phone.ended_at, phone.attempts) == ("phone", "delivered", NOON + 2 * SECOND, 1)
    assert (ops.channel, ops.state, ops.ended_at, ops.error) == ("ops", "waiting", None, "timed out")


def test_what_was_told_of_a_position_is_its_own_and_its_accounts_and_nobody_elses(journal):
    journal.enqueue(message("mine"), ["phone"], NOON)
    journal.enqueue(replace(message("other side"), side="short"), ["phone"], NOON)
    journal.enqueue(replace(message("other symbol"), symbol="ETH/USDT:USDT"), ["phone"], NOON)
    journal.enqueue(replace(message("other account"), account="hedge"), ["phone"], NOON)
    journal.enqueue(replace(message("blind"), symbol=None, side=None, kind="blind"), ["phone"], NOON + SECOND)
    journal.enqueue(replace(message("alive"), symbol=None, side=None, kind="heartbeat"), ["phone"], NOON)
    journal.enqueue(message("later"), ["phone"], NOON + HOUR)
    told = journal.told_about("main", BTC, NOON, NOON + SECOND)
    assert [one.message.id for one in told] == ["mine", "blind"]


def test_a_message_that_no_channel_asked_for_is_told_to_nobody(journal):
    journal.record_decision("main", decision(), [message(level=Level.WATCH)], {"phone": Level.DANGER}, NOON)
    (told,) = journal.told_about("main", BTC, NOON, NOON)
    assert told.attempts == ()


def test_events_are_those_of_the_asked_subjects_in_their_order(journal):
    journal.event(NOON + SECOND, "main", "position.last_seen", str(BTC), "second", '{"x": 1}')
    journal.event(NOON, "main", "position.ended", str(BTC), "first")
    journal.event(NOON, "main", "position.ended", str(ETH), "not asked")
    journal.event(NOON, "other", "position.ended", str(BTC), "of another account")
    journal.event(NOON + HOUR, "main", "position.ended", str(BTC), "too late")
    found = journal.events_about("main", [str(BTC)], NOON, NOON + SECOND)
    assert [(row.text, row.data) for row in found] == [("first", None), ("second", '{"x": 1}')]


def test_the_looks_on_both_sides_of_a_moment_hold_the_position(journal):
    journal.keep_look("main", '[{"symbol":"BTC/USDT:USDT"}]', NOON)
    journal.keep_look("main", '[{"symbol":"ETH/USDT:USDT"}]', NOON + HOUR)
    journal.keep_look("main", '[{"symbol":"BTC/USDT:USDT"}] ', NOON + 2 * HOUR)
    assert journal.last_look_with("main", BTC, NOON + HOUR).at == NOON
    assert journal.last_look_with("main", BTC, NOON - HOUR) is None
    assert journal.first_look_with("main", BTC, NOON + SECOND).at == NOON + 2 * HOUR
    assert journal.first_look_with("other", BTC, NOON) is None


def test_spending_is_counted_as_it_stood_at_the_moment_asked_about(journal):
    live(journal)
    spend(journal, intent(amount="100", at=NOON))
    spend(journal, intent(amount="40", at=NOON), IntentState.REFUSED)
    spend(journal, intent(amount="7", at=NOON + 2 * HOUR))
    (life,) = journal.lives_of(BTC)
    assert journal.spent_on(life, NOON + HOUR) == Decimal(100)
    assert journal.spent_on(life, NOON + 2 * HOUR) == Decimal(107)
    assert journal.spent_in_the_day_before(NOON + HOUR) == (("main", "shield", Decimal(100)),)
    assert journal.spent_in_the_day_before(NOON + 25 * HOUR) == (("main", "shield", Decimal(7)),)
