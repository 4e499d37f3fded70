"""What an account looked like at some moments, and what guard moved in between."""

from datetime import timedelta
from decimal import Decimal

from journal_support import BTC, HOUR, NOON, intent, live, opened, spend

from guard.journal import IntentState
from guard.journal.looks import LOOKS_KEPT


def test_the_look_of_a_moment_is_the_last_up_to_it_or_the_first_there_is(tmp_path):
    with opened(tmp_path) as journal:
        assert journal.last_look("main") is None
        assert journal.look_at("main", NOON) is None
        for hours in (0, 1, 2):
            journal.keep_look("main", f"[{hours}]", NOON + hours * HOUR)
        journal.keep_look("other", "[9]", NOON + 3 * HOUR)
        assert journal.last_look("main") == (NOON + 2 * HOUR, "[2]")
        assert journal.look_at("main", NOON + 1.5 * HOUR).accounts == "[1]"
        assert journal.look_at("main", NOON - HOUR).accounts == "[0]"


def test_looks_that_are_too_old_are_let_go_of(tmp_path):
    with opened(tmp_path) as journal:
        journal.keep_look("main", "[0]", NOON)
        journal.keep_look("main", "[1]", NOON + LOOKS_KEPT)
        assert journal.look_at("main", NOON).accounts == "[0]"
        journal.keep_look("main", "[2]", NOON + LOOKS_KEPT + timedelta(seconds=1))
        assert journal.look_at("main", NOON).accounts == "[1]"


def test_only_what_was_applied_in_the_span_counts_as_moved(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        assert journal.margin_moved("main", NOON, NOON + HOUR) == {}
        spend(journal, intent(amount="10.5", at=NOON + HOUR))
        spend(journal, intent(amount="4.5", at=NOON + 2 * HOUR))
        spend(journal, intent(amount="99", at=NOON + 2 * HOUR), IntentState.REFUSED)
        assert journal.margin_moved("main", NOON, NOON + HOUR) == {BTC: Decimal("10.5")}
        assert journal.margin_moved("main", NOON, NOON + 2 * HOUR) == {BTC: Decimal(15)}
        assert journal.margin_moved("main", NOON + HOUR, NOON + 2 * HOUR) == {BTC: Decimal("4.5")}
        assert journal.margin_moved("other", NOON, NOON + 2 * HOUR) == {}
