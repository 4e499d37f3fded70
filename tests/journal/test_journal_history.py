from datetime import timedelta

from journal_support import BTC, HOUR, NOON, decision, intent, live, opened, spend

from guard.journal import IntentState
from guard.policy.decision import Alert, AlertEvent, AlertKind
from guard.policy.terms import Level
from guard.snapshot import MarginMode

SECOND = timedelta(seconds=1)


def test_history_tells_what_happened_in_order(tmp_path):
    with opened(tmp_path) as journal:
        journal.event(NOON - SECOND, None, "daemon.started", "guard", "version 0.1.0", '{"pid": 1}')
        alert = Alert(
            alert_id="alert-1",
            kind=AlertKind.ALERT,
            event=AlertEvent.FIRED,
            level=Level.DANGER,
            account="main",
            happened_at=NOON,
            key=BTC,
            margin_mode=MarginMode.ISOLATED,
            reason="7.8 % from liquidation",
        )
        journal.record_decision("main", decision(alerts=[alert]), [], {}, NOON)
        live(journal)
        made = intent(at=NOON + SECOND)
        journal.plan(made)
        journal.sent(made.intent_id, NOON + SECOND)
        journal.settle(made.intent_id, IntentState.APPLIED, at=NOON + 2 * SECOND, evidence="200")
        journal.end_life("main", BTC, NOON + HOUR, "missing from 2 fresh reads in a row")

        rows = journal.history()
        assert [(row.kind, row.subject) for row in rows] == [
            ("daemon.started", "guard"),
            ("alert.fired", str(BTC)),
            ("intent.planned", str(BTC)),
            ("intent.applied", str(BTC)),
            ("position.ended", str(BTC)),
        ]
        assert rows[0].data == '{"pid": 1}'
        assert rows[3].text == "62.31 USDT: 200"
        assert rows[3].data == made.intent_id


def test_an_outcome_nobody_knows_stands_in_history(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        spend(journal, intent(), IntentState.UNKNOWN)
        assert "intent.unknown" in [row.kind for row in journal.history()]


def test_that_nobody_knew_an_outcome_stays_in_history_once_it_is_known(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        made = intent()
        spend(journal, made, IntentState.UNKNOWN)
        before = [row for row in journal.history() if row.kind == "intent.unknown"]
        journal.settle(made.intent_id, IntentState.APPLIED, at=NOON + HOUR, evidence="entry 7", entry_id="7")
        journal.settle(made.intent_id, IntentState.APPLIED, at=NOON + HOUR, evidence="entry 7", entry_id="7")
        rows = journal.history()
        assert [row.kind for row in rows] == ["intent.planned", "intent.unknown", "intent.applied"]
        assert [row for row in rows if row.kind == "intent.unknown"] == before


def test_history_can_be_cut_by_account_time_and_number(tmp_path):
    with opened(tmp_path) as journal:
        for hour, account in enumerate(("main", "other", None, "main")):
            journal.event(NOON + hour * HOUR, account, "k", f"{hour}", "t")
        subjects = lambda **cut: [row.subject for row in journal.history(**cut)]  # noqa: E731
        assert subjects(account="main") == ["0", "2", "3"]
        assert subjects(since=NOON + 2 * HOUR) == ["2", "3"]
        assert subjects(limit=1) == ["3"]


def test_an_exchange_that_answers_again_wants_no_quiet_whatever_the_clock_is_set_to(tmp_path):
    """By a clock that was a day ahead it is to be quiet tomorrow (simulation, seed 21244)."""
    tomorrow, quiet = NOON + 24 * HOUR, 45 * SECOND
    with opened(tmp_path) as journal:
        journal.note_quiet("main", tomorrow + quiet, at=tomorrow)
        assert journal.quiet_left("main", NOON) == quiet
        journal.end_quiet("main", at=tomorrow + quiet)
        assert journal.quiet_left("main", NOON) is None
        journal.note_quiet("main", NOON + quiet, at=NOON)
        assert journal.quiet_left("main", NOON + 5 * SECOND) == 40 * SECOND
