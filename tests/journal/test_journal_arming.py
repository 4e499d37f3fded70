from datetime import timedelta

import pytest
from journal_support import BTC, HOUR, NOON, intent, know_past, live, opened

from guard.errors import JournalError
from guard.journal import IntentState, Journal


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
        assert "disarmed by ana" in why(reopened)
        assert "I look myself" in why(reopened)
        reopened.arm("main", NOON, "ana")
        assert armed(reopened)


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
    with pytest.raises(JournalError, match="no account"):
        journal.disarm("*", NOON, "ana", "typo")


def test_who_armed_and_disarmed_is_history(journal):
    journal.disarm(None, NOON, "ana", "night")
    journal.arm("main", NOON + HOUR, "ben")
    assert [(row.kind, row.subject, row.text) for row in journal.history("main")] == [
        ("disarm", "all accounts", "disarmed by ana: night"),
        ("arm", "main", "armed by ben"),
    ]


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
        journal.share_limit(["main", "other"], NOON)
        know_past(journal)
        journal.set_reconciled("main")
        armed, because = journal.arming("main")
        assert (armed, because.startswith("what other spent before is not known")) == (False, True)
        know_past(journal, "other")
        assert journal.arming("main") == (True, None)


def test_an_account_that_is_new_in_an_old_journal_stops_no_other(tmp_path):
    with opened(tmp_path) as journal:
        know_past(journal)
        journal.set_reconciled("main")
        journal.share_limit(["main", "other"], NOON)
        for hours, may_spend in ((23, False), (24, True)):
            journal.event(NOON + hours * HOUR, None, "daemon.started", "guard", "a later moment")
            assert journal.arming("main")[0] is may_spend


@pytest.mark.parametrize(("stood_still", "waits"), [(timedelta(seconds=50), False), (timedelta(minutes=2), True)])
def test_in_a_journal_that_may_be_an_old_copy_the_histories_of_all_who_share_a_limit_come_first(
    tmp_path, stood_still, waits
):
    with opened(tmp_path) as journal:
        for account in ("main", "other"):
            know_past(journal, account)
        journal.event(NOON + 25 * HOUR, None, "daemon.stopped", "guard", "a day later")
    with opened(tmp_path) as journal:
        journal.share_limit(["main", "other"], NOON + 25 * HOUR + stood_still)
        journal.set_reconciled("main")
        armed, because = journal.arming("main")
        assert armed is not waits
        assert not waits or because.startswith("the margin history of other was not held against the journal")
        journal.set_reconciled("other")
        assert journal.arming("main") == (True, None)
