"""A one-way position that turns: the exchange knows its symbol only, so what is in doubt of one side is of both."""

from dataclasses import replace
from datetime import timedelta

import pytest
from journal_support import BTC, HOUR, NOON, intent, live, opened, seen_to_work, spend

from guard.errors import JournalError
from guard.journal import IntentState
from guard.snapshot import MarginChange, PositionKey, Side

TURNED = PositionKey(BTC.symbol, Side.SHORT)
FENCE = timedelta(seconds=2)


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        live(journal, TURNED, life_id="turned")
        yield journal


def lost(journal, **other):
    one = intent(**other)
    journal.plan(one)
    journal.sent(one.intent_id, one.planned_at)
    return journal.settle(one.intent_id, IntentState.UNKNOWN, at=NOON, evidence="connection lost")


def entry(key=TURNED, *, amount="62.31", at=NOON):
    one = intent(amount=amount)
    return MarginChange(key=key, amount=one.amount, currency="USDT", at=at, by_user=True, entry_id="e1")


def found(journal, *changes):
    keeps = {TURNED: NOON}
    return journal.unexplained("main", changes, keeps=keeps, fence=FENCE, now=NOON + FENCE, exchange_now=NOON + FENCE)


def test_a_lost_request_locks_the_side_that_the_position_turned_to(journal):
    lost(journal)
    assert journal.open_lives("main")[TURNED].has_open_intent
    with pytest.raises(JournalError, match="is not settled yet"):
        journal.plan(intent(TURNED, life_id="turned", amount="5"))


def test_a_lost_request_of_a_hedge_leg_locks_its_own_leg_only(journal):
    journal.plan(replace(intent(), hedged=True))
    assert not journal.open_lives("main")[TURNED].has_open_intent
    with pytest.raises(JournalError, match="same amount"):  # Not every exchange's history names the leg.
        journal.plan(replace(intent(TURNED, life_id="turned"), hedged=True))
    journal.plan(replace(intent(TURNED, life_id="turned", amount="62.30"), hedged=True))


def test_our_own_lost_act_is_not_taken_for_somebody_elses_when_the_position_turned(journal):
    lost(journal)
    assert found(journal, entry()) == ()
    assert journal.proving_entries("main") == frozenset()


def test_another_amount_of_a_turned_position_is_somebody_elses(journal):
    lost(journal)
    (one,) = found(journal, entry(amount="62.32"))
    assert one.beside is not None


def test_the_twin_legs_entry_does_not_explain_a_hedge_legs_act(journal):
    journal.plan(replace(intent(), hedged=True))
    assert len(found(journal, entry())) == 1


def test_an_earlier_request_of_the_other_side_is_doubt_about_what_a_margin_grew_by(journal):
    earlier = lost(journal)
    journal.unlock(earlier.intent_id, NOON)
    later = intent(TURNED, life_id="turned", amount="5", at=NOON + FENCE)
    journal.plan(later)
    assert journal.added_since(later) is None


def test_a_confirmed_act_of_the_other_side_gets_its_entry_before_a_lost_one_is_settled(journal):
    spend(journal, intent())
    assert [one.key for one in journal.unproven("main", TURNED.symbol, NOON)] == [BTC]


@pytest.mark.parametrize("seen_at", [NOON + FENCE, NOON + 5 * HOUR], ids=["at once", "after a long blackout"])
def test_what_may_have_landed_on_the_other_side_counts_there_from_its_first_moment_on(tmp_path, seen_at):
    """300 that were meant for a long went to the short it had turned into, which then got its own 300 (seed 1274)."""
    with opened(tmp_path) as journal:
        live(journal)
        spend(journal, intent(amount="300"))
        assert journal.legacies("main", seen_at)[TURNED].spent == 300
        live(journal, TURNED, life_id="turned", at=seen_at)
        journal.end_life("main", BTC, at=seen_at, reason="its side flipped")
        assert {key: one.spent for key, one in journal.open_lives("main").items()} == {TURNED: 300}
        journal.end_life("main", TURNED, at=seen_at + FENCE, reason="gone")
        assert journal.legacies("main", seen_at + 2 * FENCE)[TURNED].spent == 300
        live(journal, TURNED, life_id="again", at=seen_at + 2 * FENCE)
        assert journal.open_lives("main")[TURNED].spent == 300  # Once, though two lives share the budget.
        assert sum(dollars for _, _, dollars in journal.spent_since(NOON - HOUR)) == 300  # Once in the day, too.


@pytest.mark.parametrize(
    "why", ["its effect was seen", "it is a hedge leg", "it was refused", "it is more than a day ago"]
)
def test_what_cannot_have_landed_on_the_other_side_counts_on_its_own_only(tmp_path, why):
    born_at = NOON + (25 * HOUR if why == "it is more than a day ago" else FENCE)
    with opened(tmp_path) as journal:
        live(journal)
        one = replace(intent(amount="300"), hedged=why == "it is a hedge leg")
        spend(journal, one, IntentState.REFUSED if why == "it was refused" else IntentState.APPLIED)
        if why == "its effect was seen":
            seen_to_work(journal, one)
        assert TURNED not in journal.legacies("main", born_at)
        live(journal, TURNED, life_id="turned", at=born_at)
        assert journal.open_lives("main")[TURNED].spent == 0


def test_an_act_that_missed_its_effect_may_have_landed_on_the_other_side(tmp_path):
    """A cache that answers with the old side shows it unchanged: that is no sign that the money went there."""
    with opened(tmp_path) as journal:
        live(journal)
        one = spend(journal, intent(amount="300"))
        journal.note_effect(one.intent_id, missed="its margin did not grow", facts_after="{}", at=NOON)
        assert journal.legacies("main", NOON + FENCE)[TURNED].spent == 300


def test_effects_that_nobody_saw_are_those_of_applied_acts_on_open_positions(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        one = spend(journal, intent(amount="300"))
        spend(journal, intent(amount="7"), IntentState.NOT_APPLIED)
        assert [unseen.intent_id for unseen in journal.effects_unseen("main", NOON - HOUR)] == [one.intent_id]
        assert journal.effects_unseen("main", NOON + HOUR) == ()
        seen_to_work(journal, one)
        assert journal.effects_unseen("main", NOON - HOUR) == ()
