from datetime import timedelta
from decimal import Decimal

import pytest
from journal_support import BTC, ETH, HOUR, NOON, intent, live, opened, spend

from guard.policy.memory import Legacy
from guard.snapshot import MarginChange, PositionKey, Side

DAY = timedelta(hours=24)
SHORT = PositionKey(BTC.symbol, Side.SHORT)
MOMENT = timedelta(microseconds=1)
NOTHING = Legacy(spent=Decimal(0), last_top_up_at=None, has_open_intent=False)


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as journal:
        journal.set_reconciled("main")
        yield journal


def change(amount, at, *, key=BTC, by_user=True, side_known=True):
    return MarginChange(
        key=key,
        amount=Decimal(amount),
        currency="USDT",
        at=at,
        by_user=by_user,
        entry_id=f"{key} {amount} {at}",
        side_known=side_known,
    )


def rebuild(
    journal,
    changes,
    *,
    opened_at,
    complete=True,
    closed_seen=True,
    dollars_of=lambda change: change.amount * 2,
    rule_of=lambda key: "shield" if key == BTC else None,
    now=NOON,
):
    journal.rebuild(
        "main",
        changes,
        opened=opened_at,
        complete=complete,
        closed_seen=closed_seen,
        dollars_of=dollars_of,
        rule_of=rule_of,
        now=now,
        exchange_now=now,
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


def test_less_than_one_counts_and_nothing_at_all_is_no_addition(journal):
    rebuild(journal, [change("0.5", NOON - HOUR), change("0", NOON - HOUR)], opened_at={BTC: NOON - DAY})
    live(journal)
    assert memory(journal).lives[BTC].spent == Decimal("0.5")
    (event,) = [row for row in journal.history("main") if row.kind == "past.rebuilt"]
    assert (event.account, event.subject) == ("main", "main")
    assert event.text == "1 additions of margin found in the exchange's history"


def test_a_day_ends_after_twenty_four_hours_to_the_moment(journal):
    rebuild(journal, [change("10", NOON - DAY), change("3", NOON - DAY + MOMENT)], opened_at={})
    assert memory(journal).spent_today_all == 6
    assert journal.history("main")[-1].text == "1 additions of margin found in the exchange's history"
    live(journal)
    assert memory(journal).lives[BTC].spent == 3


def test_what_was_added_a_whole_day_before_the_opening_is_inherited_to_the_moment(journal):
    opening = NOON - 3 * DAY
    rebuild(journal, [change("10", opening - DAY), change("5", opening - DAY - MOMENT)], opened_at={BTC: opening})
    live(journal)
    assert memory(journal).lives[BTC].spent == 10


@pytest.mark.parametrize(
    ("rule_of", "by_rule"),
    [
        (lambda key: "shield", {"shield": 20}),
        (lambda key: "longs" if key == BTC else "shorts", {"(side not known)": 20}),
    ],
    ids=["one rule", "a rule for each side"],
)
def test_an_addition_whose_side_is_not_known_counts_in_both_positions_and_once_in_the_day(journal, rule_of, by_rule):
    one = change("10", NOON - HOUR, side_known=False)
    rebuild(journal, [one], opened_at={BTC: NOON - DAY}, rule_of=rule_of)
    live(journal)
    live(journal, SHORT, life_id="short")
    assert [memory(journal).lives[key].spent for key in (BTC, SHORT)] == [10, 10]
    assert memory(journal).spent_today_all == 20
    assert {rule: dollars for rule, dollars in memory(journal).spent_today_by_rule.items() if dollars} == by_rule
    assert journal.proving_entries("main") == {one.entry_id}  # A history is missed that once had more (seed 21197).


@pytest.mark.parametrize(("after", "spent"), [(timedelta(hours=23), 10), (timedelta(hours=25), 0)])
def test_what_may_have_been_the_other_sides_is_its_own_for_a_day_only(journal, after, spent):
    """A short that opens months later must not begin with what a person once added to a long."""
    rebuild(journal, [change("10", NOON - 3 * DAY, side_known=False)], opened_at={BTC: NOON - 3 * DAY})
    live(journal)
    assert journal.legacies("main", NOON + after).get(SHORT, NOTHING).spent == spent
    journal.end_life("main", BTC, NOON + after, "its side flipped")
    live(journal, SHORT, life_id="short", at=NOON + after)
    assert memory(journal, NOON + after).lives[SHORT].spent == spent


def test_what_went_into_closed_positions_that_nobody_can_know_is_waited_out_for_a_day(journal):
    rebuild(journal, [], opened_at={}, closed_seen=False)
    assert memory(journal).disarmed_because == (
        "watching only until 2025-10-11 12:00 UTC or `guard arm`: 0 additions of margin found in the exchange's "
        "history; what went into positions closed in the last 24 h cannot be learned"
    )
    for at, is_over in ((NOON + DAY - MOMENT, False), (NOON + DAY, True)):
        journal.event(at, None, "daemon.started", "guard", "by the journal's clock")
        assert memory(journal, at).armed is is_over


def test_a_clock_that_ran_a_day_ahead_has_waited_nothing_out(journal):
    rebuild(journal, [], opened_at={}, closed_seen=False)
    for at in (NOON + DAY, NOON + HOUR):
        journal.event(at, None, "daemon.started", "guard", "by a clock that is set right then")
    assert memory(journal, NOON + HOUR).disarmed_because.startswith("watching only until 2025-10-11 12:00 UTC")


def test_a_history_that_is_too_short_is_not_waited_out(journal):
    rebuild(journal, [], opened_at={BTC: None}, complete=False, closed_seen=False)
    journal.event(NOON + 2 * DAY, None, "daemon.started", "guard", "by the journal's clock")
    assert memory(journal, NOON + 2 * DAY).disarmed_because == (
        "watching only until `guard arm`: 0 additions of margin found in the exchange's history, "
        "which does not reach back far enough to know all that was spent"
    )


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


def test_a_life_goes_on_with_what_the_journal_knows_and_with_what_the_history_told(journal):
    """An old copy knows the life before, and the history of what was added since (seed 19259)."""
    live(journal)
    spend(journal, intent(amount="120"))
    journal.end_life("main", BTC, NOON, "closed")
    rebuild(journal, [change("30", NOON)], opened_at={BTC: None})
    before = memory(journal).legacies[BTC].spent
    live(journal, life_id="second")
    assert before == memory(journal).lives[BTC].spent == 150
    journal.end_life("main", BTC, NOON, "closed")
    live(journal, life_id="third")
    assert memory(journal).lives[BTC].spent == 150


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


@pytest.mark.parametrize("age", [2 * DAY, DAY])
def test_an_old_addition_needs_no_price(journal, age):
    rebuild(journal, [change("10", NOON - age)], opened_at={BTC: NOON - 3 * DAY}, dollars_of=lambda change: None)
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


def test_what_is_found_of_a_new_position_is_its_own_though_an_older_one_was_rebuilt(journal):
    """Its rebuilt budget went to a life that ended long ago: what was added while nobody watched is still counted."""
    rebuild(journal, [change("100", NOON - HOUR)], opened_at={BTC: NOON - HOUR})
    live(journal, life_id="first")
    journal.end_life("main", BTC, NOON + HOUR, "its size is 0")
    later = NOON + 3 * DAY
    added = change("40", later - HOUR)
    journal.count_unexplained(
        "main",
        journal.unexplained(
            "main", [added], keeps={BTC: None}, fence=timedelta(seconds=24), now=later, exchange_now=later
        ),
        keeps={BTC},
        dollars_of=lambda change: change.amount,
        rule_of=lambda key: "shield",
        messages=(),
        channels_for=lambda message: (),
        now=later,
        exchange_now=later,
    )
    assert memory(journal, later).legacies[BTC].spent == 40
    live(journal, life_id="second", at=later)
    assert memory(journal, later).lives[BTC].spent == 40
