from datetime import timedelta
from decimal import Decimal

import pytest
from journal_support import BTC, ETH, HOUR, NOON, live, opened

from guard.snapshot import MarginChange

DAY = timedelta(hours=24)


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as journal:
        journal.set_reconciled("main")
        yield journal


def change(amount, at, *, key=BTC, by_user=True):
    return MarginChange(
        key=key,
        amount=Decimal(amount),
        currency="USDT",
        at=at,
        by_user=by_user,
        entry_id=f"{key} {amount} {at}",
    )


def rebuild(
    journal,
    changes,
    *,
    opened_at,
    complete=True,
    closed_seen=True,
    dollars_of=lambda change: change.amount * 2,
    now=NOON,
):
    journal.rebuild(
        "main",
        changes,
        opened=opened_at,
        complete=complete,
        closed_seen=closed_seen,
        dollars_of=dollars_of,
        rule_of=lambda key: "shield" if key == BTC else None,
        now=now,
    )


def memory(journal, now=NOON):
    return journal.memory("main", now)


@pytest.mark.parametrize("life_first", [True, False])
def test_all_that_was_added_since_the_opening_counts_in_the_life(journal, life_first):
    if life_first:
        live(journal)
    rebuild(
        journal,
        [change("10", NOON - 5 * DAY), change("20", NOON - HOUR), change("7", NOON - 9 * DAY)],
        opened_at={BTC: NOON - 6 * DAY},
    )
    if not life_first:
        live(journal)
    assert memory(journal).lives[BTC].spent == 30
    assert memory(journal).spent_today_by_rule == {"shield": Decimal(40)}
    assert memory(journal).spent_today_all == 40
    assert memory(journal).armed


def test_only_what_users_added_counts_and_nothing_gives_budget_back(journal):
    rebuild(
        journal,
        [change("10", NOON - HOUR), change("-4", NOON - HOUR), change("3", NOON - HOUR, by_user=False)],
        opened_at={BTC: NOON - DAY},
    )
    live(journal)
    assert memory(journal).lives[BTC].spent == 10


def test_additions_to_an_opening_nobody_knows_all_count(journal):
    rebuild(journal, [change("10", NOON - 50 * DAY)], opened_at={BTC: None}, complete=False)
    live(journal)
    assert memory(journal).lives[BTC].spent == 10
    assert "does not reach back" in memory(journal).disarmed_because


def test_an_earlier_life_that_ended_within_a_day_is_inherited(journal):
    rebuild(
        journal,
        [change("10", NOON - 3 * DAY - HOUR), change("5", NOON - 5 * DAY)],
        opened_at={BTC: NOON - 3 * DAY},
    )
    live(journal)
    assert memory(journal).lives[BTC].spent == 10


def test_a_closed_position_counts_today_and_in_a_reentry(journal):
    rebuild(journal, [change("10", NOON - HOUR), change("5", NOON - 2 * DAY)], opened_at={})
    assert memory(journal).spent_today_all == 20
    live(journal)
    assert memory(journal).lives[BTC].spent == 10


@pytest.mark.parametrize("opened_at", [{BTC: NOON - DAY}, {}])
def test_the_first_decision_on_a_position_counts_its_rebuilt_past_already(journal, opened_at):
    rebuild(journal, [change("10", NOON - HOUR), change("5", NOON - HOUR, key=ETH)], opened_at=opened_at)
    before = memory(journal).legacies
    live(journal)
    assert before[BTC].spent == memory(journal).lives[BTC].spent == 10
    assert memory(journal).legacies.keys() == {ETH}


def test_a_reentry_a_day_later_inherits_no_rebuilt_spending(journal):
    rebuild(journal, [change("10", NOON - HOUR)], opened_at={})
    live(journal, at=NOON + DAY)
    assert memory(journal, NOON + DAY).lives[BTC].spent == 0


def test_a_position_without_a_rule_counts_against_everything_only(journal):
    rebuild(journal, [change("10", NOON - HOUR, key=ETH)], opened_at={ETH: NOON - DAY})
    assert memory(journal).spent_today_by_rule == {}
    assert memory(journal).spent_today_all == 20


def test_a_coin_without_a_price_is_watched_only(journal):
    rebuild(journal, [change("10", NOON - HOUR)], opened_at={BTC: NOON - DAY}, dollars_of=lambda change: None)
    assert "USDT has no dollar price" in memory(journal).disarmed_because


def test_an_old_addition_needs_no_price(journal):
    rebuild(journal, [change("10", NOON - 2 * DAY)], opened_at={BTC: NOON - 3 * DAY}, dollars_of=lambda change: None)
    assert memory(journal).armed


def test_a_past_is_rebuilt_once(journal):
    rebuild(journal, [change("10", NOON - HOUR)], opened_at={BTC: NOON - DAY})
    rebuild(journal, [change("99", NOON - HOUR)], opened_at={BTC: NOON - DAY}, complete=False)
    live(journal)
    assert memory(journal).lives[BTC].spent == 10
    assert memory(journal).armed


def test_entries_older_than_the_journal_prove_no_intent_of_it(journal):
    old = change("10", NOON - HOUR)
    rebuild(journal, [old], opened_at={BTC: NOON - DAY})
    assert journal.proving_entries("main") == {old.entry_id}
    assert journal.proving_entries("other") == frozenset()
