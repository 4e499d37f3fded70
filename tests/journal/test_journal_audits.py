"""The exchange's history against the journal: what no intent made counts as spent, and each entry explains one act."""

from datetime import timedelta
from decimal import Decimal

import pytest
from journal_support import BTC, ETH, HOUR, NOON, intent, know_past, live, message, opened, spend

from guard.journal import IntentState
from guard.journal.columns import time_text
from guard.snapshot import MarginChange

FENCE = timedelta(seconds=10)
DAY = timedelta(hours=24)


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        know_past(journal)
        journal.set_reconciled("main")
        yield journal


def entry(amount="62.31", at=NOON, *, key=BTC, by_user=True, currency="USDT", entry_id=None):
    return MarginChange(
        key=key,
        amount=Decimal(amount),
        currency=currency,
        at=at,
        by_user=by_user,
        entry_id=entry_id or f"{key} {amount} {at}",
    )


def strange(journal, *changes, keeps=None, now=NOON):
    found = journal.unexplained(
        "main", changes, keeps={BTC: None} if keeps is None else keeps, fence=FENCE, now=now, exchange_now=now
    )
    return [one.change for one in found]


def count(journal, *changes, dollars_of=lambda change: change.amount, now=NOON):
    found = journal.unexplained("main", changes, keeps={BTC: None}, fence=FENCE, now=now, exchange_now=now)
    journal.count_unexplained(
        "main",
        found,
        keeps={BTC},
        dollars_of=dollars_of,
        rule_of=lambda key: "shield",
        messages=(),
        channels_for=lambda message: (),
        now=now,
        exchange_now=now,
    )


def test_an_entry_that_an_act_made_is_its_proof_and_nothing_strange(journal):
    done = spend(journal, intent())
    made = entry(at=NOON + timedelta(seconds=2))
    assert strange(journal, made) == []
    assert journal.intent(done.intent_id).entry_id == made.entry_id
    assert strange(journal, made) == []  # Known from now on.


def test_a_proof_that_was_found_moves_the_clock(journal, tmp_path):
    spend(journal, intent())
    strange(journal, entry(at=NOON + timedelta(seconds=2)), now=NOON + HOUR)
    journal.close()
    with opened(tmp_path) as reopened:
        assert reopened.left_at == NOON + HOUR


def test_since_when_an_account_is_known_is_when_its_past_was_written(journal):
    assert (journal.known_since("main"), journal.known_since("other")) == (NOON, None)


def test_of_two_equal_additions_one_is_ours_at_most(journal):
    spend(journal, intent())
    first, second = entry(at=NOON + timedelta(seconds=1)), entry(at=NOON + timedelta(seconds=3))
    assert strange(journal, second, first) == [second]


def test_each_act_is_explained_by_an_entry_of_its_own(journal):
    acts = [spend(journal, intent(at=NOON + timedelta(seconds=second))) for second in (0, 30)]
    entries = [entry(at=NOON + timedelta(seconds=second)) for second in (1, 31)]
    assert strange(journal, *reversed(entries), now=NOON + HOUR) == []
    assert [journal.intent(act.intent_id).entry_id for act in acts] == [one.entry_id for one in entries]


def test_an_act_that_the_history_does_not_show_yet_leaves_the_next_one_its_own_entry(journal):
    spend(journal, intent(amount="10"))
    shown = spend(journal, intent(at=NOON + timedelta(seconds=30)))
    made = entry(at=NOON + timedelta(seconds=31))
    assert strange(journal, made, now=NOON + HOUR) == []
    assert journal.intent(shown.intent_id).entry_id == made.entry_id


@pytest.mark.parametrize("end", [IntentState.UNKNOWN, None])
def test_an_open_act_may_have_made_it_and_is_not_settled_by_that(journal, end):
    planned = intent()
    if end is None:
        journal.plan(planned)
    else:
        spend(journal, planned, end)
    assert strange(journal, entry(at=NOON + timedelta(seconds=2))) == []
    now = journal.intent(planned.intent_id)
    assert (now.state.is_open, now.entry_id) == (True, None)


@pytest.mark.parametrize(
    "changes", [{"amount": "62.32"}, {"currency": "USDC"}, {"key": ETH}], ids=["amount", "currency", "position"]
)
def test_an_entry_that_differs_from_the_act_is_strange(journal, changes):
    spend(journal, intent())
    other = entry(**changes)
    assert strange(journal, other) == [other]


def test_an_act_of_a_clock_that_stepped_is_found_by_its_amount_alone(journal):
    spend(journal, intent())
    assert strange(journal, entry(at=NOON - HOUR)) == []


def test_where_the_clocks_agree_the_entry_nearest_to_the_act_is_its_own(journal):
    done = spend(journal, intent())
    early, own = entry(at=NOON - HOUR), entry(at=NOON + timedelta(seconds=4))
    assert strange(journal, early, own) == [early]
    assert journal.intent(done.intent_id).entry_id == own.entry_id


@pytest.mark.parametrize("after", [-timedelta(minutes=1), FENCE + timedelta(minutes=1)])
def test_an_entry_at_the_edge_of_what_clocks_may_differ_is_still_the_acts_own(journal, after):
    done = spend(journal, intent())
    far, own = entry(at=NOON - HOUR), entry(at=NOON + after)
    assert strange(journal, far, own) == [far]
    assert journal.intent(done.intent_id).entry_id == own.entry_id


@pytest.mark.parametrize("other", [entry(by_user=False), entry("-5"), entry("0")], ids=["traded", "taken", "nothing"])
def test_only_what_somebody_added_counts(journal, other):
    assert strange(journal, other) == []


def test_what_is_older_than_a_day_counts_only_where_an_open_position_keeps_it(journal):
    old = entry(at=NOON - DAY)
    assert strange(journal, old, keeps={}) == []
    assert strange(journal, old, keeps={BTC: None}) == [old]
    assert strange(journal, old, keeps={BTC: NOON}) == [old]  # The 24 h before an opening are inherited.
    assert strange(journal, old, keeps={BTC: NOON + timedelta(seconds=1)}) == []
    young = entry(at=NOON - DAY + timedelta(seconds=1))
    assert strange(journal, young, keeps={}) == [young]


def test_what_somebody_else_added_is_spent_and_is_counted_once(journal):
    stranger = entry("100", at=NOON)
    count(journal, stranger)
    count(journal, stranger)
    assert journal.memory("main", NOON).lives[BTC].spent == 100
    assert journal.spent_since(NOON - HOUR) == (("main", "shield", Decimal(100)),)
    (event,) = [row for row in journal.history("main") if row.kind == "spending.unexplained"]
    assert (event.at, event.account, event.subject) == (NOON, "main", str(BTC))
    assert event.text == f"100 USDT added at {time_text(NOON)}, not by this journal"


def test_what_is_told_of_an_addition_is_kept_with_it_and_moves_the_clock(journal, tmp_path):
    found = journal.unexplained(
        "main", [entry("100", at=NOON)], keeps={BTC: None}, fence=FENCE, now=NOON, exchange_now=NOON
    )
    one = message()
    journal.count_unexplained(
        "main",
        found,
        keeps={BTC},
        dollars_of=lambda change: change.amount,
        rule_of=lambda key: "shield",
        messages=[one],
        channels_for=lambda told: [told.account],
        now=NOON + HOUR,
        exchange_now=NOON + HOUR,
    )
    (kept,) = journal.due("main", NOON + HOUR, 10)
    assert kept.message == one
    journal.close()
    with opened(tmp_path) as reopened:
        assert reopened.left_at == NOON + HOUR


def test_an_addition_without_a_dollar_price_leaves_the_account_only_watching(journal):
    assert journal.arming("main")[0]
    count(journal, entry("1", currency="XYZ"), dollars_of=lambda change: None)
    armed, because = journal.arming("main")
    assert not armed
    assert "1 XYZ was added that has no dollar price" in because
    assert journal.memory("main", NOON).spent_today_all == 0


def test_an_old_addition_without_a_price_is_in_no_daily_limit_and_stops_nothing(journal):
    count(journal, entry("1", at=NOON - DAY), dollars_of=lambda change: None)
    assert journal.arming("main")[0]
    assert journal.memory("main", NOON).lives[BTC].spent == 1


def test_somebody_who_adds_together_with_guard_is_a_rival_until_it_is_armed_again(journal):
    spend(journal, intent())
    count(journal, entry(at=NOON + timedelta(seconds=1)), entry("40", at=NOON + timedelta(seconds=5)))
    assert "40" in journal.memory("main", NOON).lives[BTC].rival
    journal.arm("main", NOON, "ana")
    assert journal.memory("main", NOON).lives[BTC].rival is None


@pytest.mark.parametrize("end", [IntentState.REFUSED, IntentState.NOT_APPLIED])
def test_who_adds_beside_an_act_that_moved_nothing_is_no_rival(journal, end):
    spend(journal, intent(), end)
    count(journal, entry("40", at=NOON + timedelta(seconds=5)))
    assert journal.memory("main", NOON).lives[BTC].rival is None
    assert journal.memory("main", NOON).lives[BTC].spent == 40
