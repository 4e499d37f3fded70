from datetime import timedelta
from decimal import Decimal

import pytest
from journal_support import BTC, ETH, HOUR, NOON, decision, intent, life, live, opened, seen_to_work, spend, state

from guard.journal import IntentState, Journal
from guard.snapshot import PositionKey, Side

MINUTE = timedelta(minutes=1)


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        yield journal


def spent(journal, now=NOON, key=BTC):
    memory = journal.memory("main", now)
    return memory.lives[key].spent, memory.spent_today_by_rule.get("shield", Decimal(0)), memory.spent_today_all


def test_a_life_is_remembered_as_it_was_born(journal):
    born = journal.memory("main", NOON).lives[BTC]
    assert (born.life_id, born.birth_distance, born.initial_margin, born.first_seen_at) == (
        "life",
        Decimal("0.0465"),
        Decimal("812.5"),
        NOON,
    )
    live(journal, life_id="seen again", at=NOON + HOUR)
    assert journal.memory("main", NOON).lives[BTC] == born


@pytest.mark.parametrize(
    ("end", "counts"),
    [
        (IntentState.APPLIED, True),
        (IntentState.UNKNOWN, True),
        (IntentState.REFUSED, False),
        (IntentState.NOT_APPLIED, False),
    ],
)
def test_what_may_have_moved_counts_as_spent(journal, end, counts):
    spend(journal, intent(amount="40", dollars="41"), end)
    assert spent(journal) == ((Decimal(40), Decimal(41), Decimal(41)) if counts else (0, 0, 0))


def test_an_intent_counts_from_the_moment_it_is_planned(journal):
    planned = intent(amount="40")
    journal.plan(planned)
    assert spent(journal) == (40, 40, 40)
    assert journal.memory("main", NOON).lives[BTC].has_open_intent
    journal.sent(planned.intent_id, NOON)
    assert spent(journal) == (40, 40, 40)


def test_days_roll_and_lives_do_not(journal):
    spend(journal, intent(amount="40"))
    assert spent(journal, NOON + 24 * HOUR - MINUTE) == (40, 40, 40)
    assert spent(journal, NOON + 24 * HOUR) == (40, 0, 0)


def test_an_unsettled_intent_counts_today_however_old_it_is(journal):
    spend(journal, intent(amount="40"), IntentState.UNKNOWN)
    assert spent(journal, NOON + 72 * HOUR) == (40, 40, 40)


def test_all_accounts_share_the_limit_over_everything(journal):
    live(journal, account="other", life_id="theirs")
    spend(journal, intent(amount="40"))
    spend(journal, intent(account="other", life_id="theirs", amount="7"))
    assert spent(journal) == (40, 40, 47)
    assert journal.memory("other", NOON).spent_today_by_rule == {"shield": Decimal(7)}


def test_a_clock_that_steps_back_frees_no_budget(journal, tmp_path):
    spend(journal, intent(amount="40"))
    day_before = NOON - 26 * HOUR
    assert spent(journal, day_before) == (40, 40, 40)
    spend(journal, intent(amount="2", at=day_before))
    # By the stepped clock alone the second would leave the window two hours after noon of the day before.
    assert spent(journal, NOON + HOUR) == (42, 42, 42)
    journal.close()
    with opened(tmp_path) as reopened:
        assert reopened.clock(day_before) == NOON + HOUR - HOUR  # What the last write saw.
        assert spent(reopened, day_before) == (42, 42, 42)


def test_status_counts_by_the_clock_of_the_journal_too(journal):
    spend(journal, intent(amount="40"))
    with Journal.open_to_read(journal.path) as reader:
        assert spent(reader, NOON - 72 * HOUR) == (40, 40, 40)


def test_the_cooldown_runs_from_the_last_attempt_that_arrived(journal):
    def last():
        return journal.memory("main", NOON).lives[BTC].last_top_up_at

    assert last() is None
    spend(journal, intent(at=NOON), IntentState.REFUSED)
    spend(journal, intent(at=NOON + MINUTE), IntentState.NOT_APPLIED)
    assert last() == NOON
    spend(journal, intent(at=NOON + 2 * MINUTE), IntentState.UNKNOWN)
    assert last() == NOON + 2 * MINUTE


def test_a_reentry_within_a_day_inherits_and_a_later_one_does_not(journal):
    seen_to_work(journal, spend(journal, intent(amount="40")))
    journal.end_life("main", BTC, NOON, "closed")
    assert BTC not in journal.memory("main", NOON).lives

    live(journal, life_id="second", at=NOON + 23 * HOUR)
    assert spent(journal, NOON + 23 * HOUR)[0] == 40
    assert journal.memory("main", NOON + 23 * HOUR).legacies == {}
    spend(journal, intent(life_id="second", amount="3", at=NOON + 23 * HOUR))
    journal.end_life("main", BTC, NOON + 24 * HOUR, "closed")

    live(journal, life_id="third", at=NOON + 47 * HOUR)
    assert spent(journal, NOON + 47 * HOUR)[0] == 43
    journal.end_life("main", BTC, NOON + 48 * HOUR, "closed")

    live(journal, life_id="fourth", at=NOON + 72 * HOUR)
    assert spent(journal, NOON + 72 * HOUR)[0] == 0


def test_what_a_reentry_will_go_on_with_is_known_before_it_is_seen(journal):
    seen_to_work(journal, spend(journal, intent(amount="40")))
    assert journal.memory("main", NOON).legacies == {}  # It is open: its life says it.
    journal.end_life("main", BTC, NOON, "closed")
    legacy = journal.memory("main", NOON + 23 * HOUR).legacies[BTC]
    assert (legacy.spent, legacy.last_top_up_at, legacy.has_open_intent) == (40, NOON, False)
    assert journal.memory("main", NOON + 25 * HOUR).legacies == {}
    assert journal.memory("other", NOON).legacies == {}


def test_a_position_that_was_closed_and_opened_again_twice_leaves_its_spending_once(journal):
    spend(journal, intent(amount="40"))
    journal.end_life("main", BTC, NOON, "closed")
    live(journal, life_id="second", at=NOON + HOUR)
    journal.end_life("main", BTC, NOON + HOUR, "closed")
    assert journal.memory("main", NOON + HOUR).legacies[BTC].spent == 40


def test_an_open_intent_locks_whatever_opens_in_its_place(journal):
    spend(journal, intent(amount="40"), IntentState.UNKNOWN)
    journal.end_life("main", BTC, NOON, "closed")
    legacy = journal.memory("main", NOON + 30 * HOUR).legacies[BTC]
    assert (legacy.spent, legacy.has_open_intent) == (0, True)


def test_a_reentry_first_seen_by_a_clock_that_is_a_day_ahead_inherits_all_the_same(journal):
    """It got a budget of its own, and spent it as soon as the clock was right again (simulation, seed 3356)."""
    spend(journal, intent(amount="40"))
    journal.end_life("main", BTC, NOON, "closed")
    ahead = NOON + 26 * HOUR
    born = decision(lives=[life(life_id="second", at=ahead)])
    journal.record_decision("main", born, [], {}, ahead, born_at=NOON + HOUR)
    assert spent(journal)[0] == 40


def test_the_other_side_and_other_accounts_inherit_nothing(journal):
    short = PositionKey(BTC.symbol, Side.SHORT)
    seen_to_work(journal, spend(journal, intent(amount="40")))
    journal.end_life("main", BTC, NOON, "its side flipped")
    live(journal, short, life_id="short")
    live(journal, account="other", life_id="theirs")
    assert spent(journal, key=short)[0] == 0
    assert journal.memory("other", NOON).lives[BTC].spent == 0


def test_an_open_intent_of_an_ended_life_still_locks_the_position(journal):
    spend(journal, intent(amount="40"), IntentState.UNKNOWN)
    journal.end_life("main", BTC, NOON, "closed")
    live(journal, life_id="second", at=NOON + 30 * HOUR)
    assert journal.memory("main", NOON + 30 * HOUR).lives[BTC].has_open_intent


def test_an_open_intent_of_another_account_locks_nothing_here(journal):
    live(journal, account="other", life_id="theirs")
    spend(journal, intent(account="other", life_id="theirs"), IntentState.UNKNOWN)
    assert not journal.memory("main", NOON).lives[BTC].has_open_intent
    journal.end_life("main", BTC, NOON, "closed")
    assert not journal.memory("main", NOON).legacies[BTC].has_open_intent
    assert journal.memory("other", NOON).lives[BTC].has_open_intent


def test_an_end_is_in_the_history_of_its_account_and_moves_the_clock(journal, tmp_path):
    journal.end_life("main", BTC, NOON + HOUR, "closed")
    assert journal.history("other") == ()
    (end,) = journal.history("main")
    assert (end.at, end.kind, end.subject, end.text) == (NOON + HOUR, "position.ended", str(BTC), "closed")
    journal.close()
    with opened(tmp_path) as reopened:
        assert reopened.left_at == NOON + HOUR


def test_positions_do_not_share_a_budget(journal):
    live(journal, ETH, life_id="eth")
    spend(journal, intent(amount="40"))
    assert spent(journal, key=ETH) == (0, 40, 40)


def test_ending_what_is_not_open_writes_no_history(journal):
    journal.end_life("main", ETH, NOON, "closed")
    assert journal.history() == ()


def test_alert_states_survive_a_restart_whole(journal, tmp_path):
    told = state()
    journal.record_decision("main", decision(states=[told]), [], {}, NOON)
    journal.close()
    with opened(tmp_path) as reopened:
        assert reopened.memory("main", NOON).alerts == {told.subject: told}
        assert reopened.memory("other", NOON).alerts == {}


def test_cents_are_never_rounded(journal):
    for _ in range(3):
        spend(journal, intent(amount="0.1", dollars="0.10000000000000000000001"))
    assert spent(journal) == (
        Decimal("0.3"),
        Decimal("0.30000000000000000000003"),
        Decimal("0.30000000000000000000003"),
    )


def test_after_a_step_of_the_clock_what_is_clearing_is_seen_as_if_nobody_had_looked(journal, tmp_path):
    journal.record_decision("main", decision(states=[state()]), [], {}, NOON)
    assert journal.memory("main", NOON).alerts[state().subject].seen_at == NOON
    journal.clear_anew()
    assert list(journal.memory("main", NOON).alerts.values()) == [state(seen_at=None)]
    journal.close()
    with opened(tmp_path) as restarted:
        assert list(restarted.memory("main", NOON).alerts.values()) == [state(seen_at=None)]
