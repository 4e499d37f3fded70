import json
import stat
from datetime import timedelta

import pytest
from journal_support import BTC, HOUR, NOON, intent, know_past, live, opened

from guard.errors import JournalError
from guard.journal import IntentState, Journal
from guard.journal.columns import time_text


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as journal:
        yield journal


def armed(journal, account="main"):
    return journal.arming(account)[0]


def why(journal, account="main"):
    return journal.arming(account)[1]


def test_a_journal_without_a_past_spends_nothing(journal):
    journal.set_reconciled("main")
    assert journal.needs_rebuild("main")
    assert why(journal) == "this journal does not know yet what was spent before"


def test_with_a_past_and_a_reconciled_read_it_is_armed(journal):
    know_past(journal)
    assert why(journal) == "not yet reconciled with the exchange since the start"
    journal.set_reconciled("main")
    assert journal.arming("main") == (True, None)


def test_why_a_history_was_not_read_is_said_until_it_was(journal):
    journal.note_unlearned("main", "HTTP 502")
    journal.note_unlearned("second", None)
    assert why(journal) == "this journal does not know yet what was spent before: HTTP 502"
    assert why(journal, "second") == "this journal does not know yet what was spent before"
    know_past(journal)
    assert why(journal) == "not yet reconciled with the exchange since the start: HTTP 502"
    journal.note_unlearned("main", None)
    assert why(journal) == "not yet reconciled with the exchange since the start"


def test_every_start_must_reconcile_anew(journal, tmp_path):
    know_past(journal)
    journal.set_reconciled("main")
    journal.close()
    with opened(tmp_path) as reopened:
        assert not armed(reopened)


def test_an_account_that_joins_an_old_journal_has_no_past_in_it(journal):
    know_past(journal)
    journal.set_reconciled("second")
    assert journal.needs_rebuild("second")
    assert not armed(journal, "second")


def test_disarm_survives_restarts(journal, tmp_path):
    know_past(journal)
    journal.disarm("main", NOON, "ana", "I look myself")
    journal.close()
    with opened(tmp_path) as reopened:
        reopened.set_reconciled("main")
        assert why(reopened) == f"disarmed by ana at {time_text(NOON)}: I look myself (`guard arm main` lifts it)"
        reopened.arm("main", NOON, "ana")
        assert armed(reopened)


def test_a_journal_that_is_lost_is_disarmed_as_it_was(journal, tmp_path):
    for account in ("main", "second"):
        journal.disarm(account, NOON, "ana", f"{account} is mine")
    journal.arm("second", NOON + HOUR, "ben")
    said = why(journal)
    assert said == f"disarmed by ana at {time_text(NOON)}: main is mine (`guard arm main` lifts it)"
    journal.close()
    for left in journal.path.parent.glob("journal.db*"):
        if left.suffix != ".disarmed":
            left.unlink()
    with opened(tmp_path) as new:
        assert why(new) == said
        assert why(new, "second") == "this journal does not know yet what was spent before"


def test_what_stops_spending_is_its_owners_alone_to_read(journal):
    journal.disarm(None, NOON, "ana", "night")
    marker = journal.path.with_name("journal.db.disarmed")
    assert stat.S_IMODE(marker.stat().st_mode) == 0o600


def test_a_process_that_died_while_it_wrote_what_stops_spending_leaves_nothing_in_the_way(journal):
    marker = journal.path.with_name("journal.db.disarmed")
    marker.with_name("journal.db.disarmed.new").write_text("x" * 10_000)
    journal.disarm(None, NOON, "ana", "night")
    assert json.loads(marker.read_text()) == {"*": {"by": "ana", "at": time_text(NOON), "because": "night"}}


def test_a_file_that_stops_spending_and_cannot_be_read_is_said_with_the_remedy(journal):
    know_past(journal)
    marker = journal.path.with_name("journal.db.disarmed")
    marker.write_text("[]")
    assert why(journal) == (
        f"disarmed by guard at an unknown time: {marker} cannot be read (AttributeError): "
        "`guard arm` of everything removes it (`guard arm` lifts it)"
    )


@pytest.mark.parametrize(
    "write",
    [
        lambda journal, at: journal.disarm("main", at, "ana", "night"),
        lambda journal, at: journal.arm("main", at, "ana"),
        lambda journal, at: know_past(journal, now=at),
        lambda journal, at: journal.doubt_past("main", "too old", at),
    ],
    ids=["disarm", "arm", "a past", "a doubt"],
)
def test_each_write_moves_the_clock_that_a_step_back_is_held_against(journal, tmp_path, write):
    write(journal, NOON + HOUR)
    journal.close()
    with opened(tmp_path) as reopened:
        assert reopened.left_at == NOON + HOUR


def test_a_past_that_is_doubted_is_watched_only_and_stands_in_history(journal):
    know_past(journal)
    journal.set_reconciled("main")
    journal.doubt_past("main", "the history begins later", NOON + HOUR)
    assert why(journal) == "watching only until `guard arm`: the history begins later"
    last = journal.history("main")[-1]
    assert (last.at, last.account, last.kind, last.subject) == (NOON + HOUR, "main", "past.doubted", "main")
    assert last.text == "the history begins later"


def test_disarming_everything_holds_for_accounts_that_come_later(journal):
    journal.disarm(None, NOON, "ana", "key leaked?")
    know_past(journal, "new")
    journal.set_reconciled("new")
    assert not armed(journal, "new")
    journal.arm("new", NOON, "ana")
    assert "`guard arm` lifts it" in why(journal, "new")  # One account does not undo what was said of all.
    journal.arm(None, NOON, "ana")
    assert armed(journal, "new")


def test_arming_everything_lifts_each_disarm(journal):
    for account in ("main", "second"):
        know_past(journal, account)
        journal.set_reconciled(account)
        journal.disarm(account, NOON, "ana", "night")
    journal.arm("main", NOON, "ana")
    assert (armed(journal), armed(journal, "second")) == (True, False)
    journal.arm(None, NOON, "ana")
    assert (armed(journal), armed(journal, "second")) == (True, True)


def test_an_unknown_past_is_watched_only_until_its_owner_arms(journal):
    journal.rebuild(
        "main",
        [],
        opened={BTC: None},
        complete=False,
        closed_seen=True,
        dollars_of=lambda c: c.amount,
        rule_of=str,
        now=NOON,
        exchange_now=NOON,
    )
    journal.set_reconciled("main")
    assert why(journal).startswith("watching only until `guard arm`: ")
    journal.arm(None, NOON, "ana")
    assert armed(journal)


def test_an_explicit_arm_stands_in_for_a_past(journal):
    journal.arm("main", NOON, "ana")
    journal.set_reconciled("main")
    assert armed(journal)
    assert not journal.needs_rebuild("main")


def test_arming_everything_does_not_skip_the_rebuild_of_an_account_not_seen_yet(journal):
    journal.arm(None, NOON, "ana")
    assert journal.needs_rebuild("main")


def test_status_says_whether_it_is_armed_as_far_as_a_file_can_tell(journal):
    know_past(journal)
    with Journal.open_to_read(journal.path) as reader:
        assert armed(reader)
        journal.disarm(None, NOON, "ana", "night")
        assert not armed(reader)


def test_a_star_is_no_account(journal):
    with pytest.raises(JournalError, match=r"^no account can be called '\*'$"):
        journal.disarm("*", NOON, "ana", "typo")


def test_who_armed_and_disarmed_is_history(journal):
    journal.disarm(None, NOON, "ana", "night")
    journal.arm("main", NOON + HOUR, "ben")
    assert [(row.kind, row.subject, row.text) for row in journal.history("main")] == [
        ("disarm", "all accounts", "disarmed by ana: night"),
        ("arm", "main", "armed by ben"),
    ]
    journal.arm(None, NOON + HOUR, "ana")
    assert [(row.account, row.subject) for row in journal.history("other")] == [(None, "all accounts")] * 2
    journal.disarm("main", NOON + HOUR, "ana", "night")
    assert len(journal.history("other")) == 2


def test_nothing_is_spent_before_every_intent_of_the_last_process_was_asked_about(journal, tmp_path):
    know_past(journal)
    live(journal)
    planned = intent()
    journal.plan(planned)
    journal.close()
    with opened(tmp_path) as reopened:
        reopened.set_reconciled("main")
        assert not armed(reopened)
        reopened.settle(planned.intent_id, IntentState.UNKNOWN, at=NOON, evidence="history: nothing yet")
        reopened.set_reconciled("main")
        assert armed(reopened)


def test_in_a_young_journal_no_account_spends_from_a_shared_limit_before_every_past_is_known(tmp_path):
    with opened(tmp_path) as journal:
        journal.share_limit(["main", "other"])
        know_past(journal)
        journal.set_reconciled("main")
        armed, because = journal.arming("main")
        assert not armed
        assert because == (
            "what other spent before is not known, and one daily limit holds for all (or `guard arm` it)"
        )
        know_past(journal, "other")
        assert journal.arming("main") == (True, None)


def test_in_a_young_journal_an_account_that_waits_a_day_keeps_all_who_share_its_limit(tmp_path):
    with opened(tmp_path) as journal:
        journal.share_limit(["main", "other"])
        know_past(journal)
        journal.set_reconciled("main")
        journal.rebuild(
            "other",
            [],
            opened={},
            complete=True,
            closed_seen=False,
            dollars_of=lambda c: c.amount,
            rule_of=str,
            now=NOON,
            exchange_now=NOON,
        )
        assert why(journal).startswith("what other spent before is not known")
        journal.arm("other", NOON, "ana")
        assert armed(journal)


def test_an_account_that_is_new_in_an_old_journal_stops_no_other(tmp_path):
    with opened(tmp_path) as journal:
        know_past(journal)
        journal.set_reconciled("main")
        journal.share_limit(["main", "other"])
        for minutes in range(24 * 60 + 1):  # It never stood still.
            journal.note_held("main", NOON + minutes * timedelta(minutes=1))
            assert journal.arming("main")[0] is (minutes == 24 * 60)
        journal.event(NOON + HOUR, None, "daemon.started", "guard", "the clock was ahead, and is set right")
        assert not armed(journal)


@pytest.mark.parametrize(("stood_still", "waits"), [(timedelta(minutes=1), False), (timedelta(minutes=2), True)])
def test_in_a_journal_that_may_be_an_old_copy_the_histories_of_all_who_share_a_limit_come_first(
    tmp_path, stood_still, waits
):
    with opened(tmp_path) as journal:
        for account in ("main", "other"):
            know_past(journal, account)
        for account in ("main", "other"):
            journal.note_held(account, NOON + 25 * HOUR)
    with opened(tmp_path) as journal:
        journal.event(NOON + 25 * HOUR + stood_still, None, "daemon.started", "guard", "again")
        journal.share_limit(["main", "other"])
        journal.set_reconciled("main")
        armed, because = journal.arming("main")
        assert armed is not waits
        assert not waits or because == (
            "the margin history of other was not held against the journal since the start, "
            "and one daily limit holds for all (or `guard arm` it)"
        )
        journal.set_reconciled("other")
        assert journal.arming("main") == (True, None)


def test_a_journal_that_may_be_an_old_copy_is_one_after_a_second_start_too(tmp_path):
    """The first start after the copy was put back died before it had looked at the other account (seed 19336)."""
    with opened(tmp_path) as journal:
        for account in ("main", "other"):
            know_past(journal, account)
            journal.note_held(account, NOON + 25 * HOUR)
    for start in (2, 3, 4):
        with opened(tmp_path) as journal:
            journal.event(NOON + 26 * HOUR + start * timedelta(minutes=1) / 2, None, "daemon.started", "guard", "again")
            journal.share_limit(["main", "other"])
            journal.set_reconciled("main")
            assert armed(journal) is (start == 4)
            if start == 3:
                journal.note_held("other", NOON + 26 * HOUR + start * timedelta(minutes=1) / 2)


def test_a_journal_that_is_written_once_a_minute_never_stood_still(tmp_path):
    """A quiet daemon writes the clock a little later than every minute: its restart keeps nobody waiting."""
    with opened(tmp_path) as journal:
        for account in ("main", "other"):
            know_past(journal, account)
            journal.note_held(account, NOON + 25 * HOUR)
        for turn in range(1, 6):
            journal.event(NOON + 25 * HOUR + turn * timedelta(seconds=65), None, "clock", "guard", "a quiet cycle")
    with opened(tmp_path) as journal:
        journal.event(NOON + 25 * HOUR + timedelta(seconds=335), None, "daemon.started", "guard", "again")
        journal.share_limit(["main", "other"])
        journal.set_reconciled("main")
        assert journal.arming("main") == (True, None)


def test_an_account_that_cannot_be_read_any_more_keeps_no_other_for_ever_if_its_owner_answers_for_it(tmp_path):
    """Its keys are dead: no start will ever hold its history against the journal."""
    with opened(tmp_path) as journal:
        for account in ("main", "other"):
            know_past(journal, account)
            journal.note_held(account, NOON + 25 * HOUR)
    for hours in (26, 27):
        with opened(tmp_path) as journal:
            journal.event(NOON + hours * HOUR, None, "daemon.started", "guard", "again")
            journal.share_limit(["main", "other"])
            journal.set_reconciled("main")
            assert why(journal).endswith("(or `guard arm` it)")
            journal.arm(None, NOON + hours * HOUR, "ana")  # Of nobody in particular: it still waits to be looked at.
            assert not armed(journal)
            journal.arm("other", NOON + hours * HOUR, "ana")
            assert armed(journal)
