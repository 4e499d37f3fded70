import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from journal_support import BTC, ETH, HOUR, NOON, intent, live, message, opened, spend

from guard.errors import JournalError
from guard.journal import IntentState
from guard.snapshot import PositionKey, Side

ENDS = (IntentState.APPLIED, IntentState.REFUSED, IntentState.NOT_APPLIED)


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        live(journal, ETH, life_id="eth")
        yield journal


def test_an_intent_survives_a_restart_as_it_was(journal, tmp_path):
    planned = intent()
    journal.plan(planned)
    journal.close()
    with opened(tmp_path) as reopened:
        assert reopened.open_intents("main") == (planned,)
        assert reopened.open_intents("other") == ()


def test_a_position_has_one_open_intent(journal):
    journal.plan(intent())
    with pytest.raises(JournalError, match="is not settled yet"):
        journal.plan(intent())
    journal.plan(intent(ETH, life_id="eth"))


def test_the_file_itself_refuses_a_second_open_intent(journal, monkeypatch):
    journal.plan(intent())
    monkeypatch.setattr(journal, "open_intents", lambda account: ())  # As if the code above had a bug.
    with pytest.raises(JournalError, match="UNIQUE"):
        journal.plan(intent())
    assert journal.broken is None  # The disk is well: the constraint did its work.


@pytest.mark.parametrize("end", ENDS)
def test_an_end_frees_the_position(journal, end):
    spend(journal, intent(), end)
    journal.plan(again := intent())
    assert [one.intent_id for one in journal.open_intents("main")] == [again.intent_id]


def test_an_unknown_outcome_keeps_the_position_locked(journal):
    spend(journal, intent(), IntentState.UNKNOWN)
    with pytest.raises(JournalError, match="is not settled yet"):
        journal.plan(intent())


def test_an_intent_is_sent_once(journal):
    planned = intent()
    journal.plan(planned)
    journal.sent(planned.intent_id, NOON)
    with pytest.raises(JournalError, match="never sent again"):
        journal.sent(planned.intent_id, NOON)


@pytest.mark.parametrize("end", ENDS)
def test_an_end_stays(journal, end):
    ended = spend(journal, intent(), end)
    again = journal.settle(ended.intent_id, IntentState.UNKNOWN, at=NOON, evidence="answer lost")
    assert again == ended == journal.intent(ended.intent_id)


def test_late_proof_counts_money_that_was_thought_not_to_have_moved(journal):
    lost = spend(journal, intent(), IntentState.NOT_APPLIED)
    assert journal.memory("main", NOON).lives[BTC].spent == 0
    journal.settle(lost.intent_id, IntentState.APPLIED, at=NOON, evidence="found after all", entry_id="e1")
    assert journal.memory("main", NOON).lives[BTC].spent == lost.amount


@pytest.mark.parametrize(
    "back",
    [
        "UPDATE intents SET state = 'planned', settled_at = NULL",
        "UPDATE intents SET state = 'refused'",
        "UPDATE intents SET amount = '1'",
        "UPDATE intents SET counted_at = '2000'",
        "DELETE FROM intents",
    ],
)
def test_the_file_itself_keeps_an_intent_from_being_undone(journal, back):
    spend(journal, intent())
    with pytest.raises(sqlite3.IntegrityError):
        journal._connection.execute(back)


def test_an_entry_of_the_exchange_proves_one_intent(journal):
    first, second = spend(journal, intent()), spend(journal, intent(), IntentState.UNKNOWN)
    journal.prove(first.intent_id, "e1", at=NOON)
    assert journal.proving_entries("main") == {"e1"}
    with pytest.raises(JournalError, match="UNIQUE"):
        journal.settle(second.intent_id, IntentState.APPLIED, at=NOON, evidence="e1 again", entry_id="e1")
    assert journal.unproven("main", BTC.symbol, NOON) == ()


def test_an_altered_amount_is_noticed(journal, tmp_path):
    one = spend(journal, intent(amount="100"))
    path = journal.path
    journal.close()
    content = path.read_bytes()
    assert content.count(b"100USDT100") == 1
    path.write_bytes(content.replace(b"100USDT100", b"001USDT100"))  # SQLite's own checks do not see this.
    with opened(tmp_path) as reopened, pytest.raises(JournalError) as noticed:
        reopened.memory("main", NOON)
    assert str(noticed.value) == (
        f"intent {one.intent_id} in {path} was altered outside guard: look at it, put the backup back or move the "
        "file away; nothing is spent until then"
    )


@pytest.mark.parametrize("column", ["evidence", "facts_after", "missed", "seal"])  # Triggers keep the others.
def test_what_was_read_once_is_noticed_when_it_is_altered_under_the_running_guard(journal, column):
    spend(journal, intent(amount="100"))
    assert journal.memory("main", NOON).spent_today_all == Decimal(100)
    with closing(sqlite3.connect(journal.path)) as stranger, stranger:
        stranger.execute(f"UPDATE intents SET {column} = 'a stranger was here'")  # noqa: S608 - from the list above.
    with pytest.raises(JournalError, match="altered outside guard"):
        journal.intents("main")


def test_an_intent_is_for_the_position_that_is_open_now(journal):
    for stranger in (intent(life_id="never"), intent(ETH, life_id="life")):
        with pytest.raises(JournalError, match="not the position that is open now"):
            journal.plan(stranger)
    journal.end_life("main", BTC, NOON, "its side flipped")
    with pytest.raises(JournalError, match="not the position that is open now"):
        journal.plan(intent())


def test_a_position_that_ends_leaves_its_open_intent_open(journal):
    planned = intent()
    journal.plan(planned)
    journal.end_life("main", BTC, NOON, "missing from 2 fresh reads in a row")
    assert journal.open_intents() == (planned,)


def test_misses_are_counted_in_a_row_and_forgiven_by_arm(journal):
    def act(missed):
        made = spend(journal, intent())
        journal.note_effect(made.intent_id, missed=missed, facts_after="{}", at=NOON)
        return journal.memory("main", NOON).lives[BTC].misses

    assert [act("no rise"), act(None), act("no rise"), act("no rise")] == [1, 0, 1, 2]
    journal.arm("main", NOON, "ana")
    assert journal.memory("main", NOON).lives[BTC].misses == 0


def test_proof_after_the_effect_forgets_nothing(journal):
    made = spend(journal, intent())
    journal.note_effect(made.intent_id, missed="no rise", facts_after='{"a": 1}', at=NOON)
    assert journal.prove(made.intent_id, "e1", at=NOON) == replace(made, facts_after='{"a": 1}', entry_id="e1")
    assert journal._rows("SELECT missed FROM intents")[0]["missed"] == "no rise"


def test_intents_come_newest_first(journal):
    made = [spend(journal, intent(at=NOON + timedelta(minutes=minute))) for minute in range(3)]
    assert journal.intents(limit=2) == (made[2], made[1])
    assert journal.intents("other") == ()


def test_an_unknown_id_is_said_so(journal):
    with pytest.raises(JournalError, match="no intent x"):
        journal.intent("x")


def test_an_intent_committed_in_another_transaction_is_seen_before_plan_returns(journal):
    planned = intent()
    journal.plan(planned)
    other = sqlite3.connect(journal.path)
    assert other.execute("SELECT amount, state FROM intents").fetchall() == [("62.31", "planned")]
    other.close()


def test_what_another_account_has_open_keeps_nothing_from_being_planned(journal):
    live(journal, account="other", life_id="theirs")
    journal.plan(intent(account="other", life_id="theirs"))
    journal.plan(intent())
    assert [one.account for one in journal.open_intents("main")] == ["main"]
    assert len(journal.open_intents()) == 2


def test_nothing_and_less_is_no_amount(journal):
    for amount in ("0", "-1"):
        with pytest.raises(AssertionError):
            journal.plan(intent(amount=amount))
    assert journal.open_intents() == ()


STEPS = {
    "planned": lambda journal, at: journal.plan(intent(at=at)),
    "sent": lambda journal, at: journal.sent(planned(journal), at),
    "settled": lambda journal, at: journal.settle(planned(journal), IntentState.UNKNOWN, at=at, evidence="no answer"),
    "unlocked": lambda journal, at: journal.unlock(planned(journal), at),
    "proven": lambda journal, at: journal.prove(applied(journal), "entry", at=at),
    "judged": lambda journal, at: journal.note_effect(applied(journal), missed=None, facts_after="{}", at=at),
}


def planned(journal):
    one = intent()
    journal.plan(one)
    return one.intent_id


def applied(journal):
    return spend(journal, intent()).intent_id


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_each_step_of_an_intent_moves_the_clock_that_a_step_back_is_held_against(journal, tmp_path, step):
    step(journal, NOON + HOUR)
    journal.close()
    with opened(tmp_path) as reopened:
        assert reopened.left_at == NOON + HOUR


def test_only_later_acts_on_the_same_position_were_added_since(journal):
    short = PositionKey(BTC.symbol, Side.SHORT)
    live(journal, short, life_id="short")
    first = replace(intent(amount="5"), hedged=True)
    for one in (
        first,
        replace(intent(amount="10", at=NOON + HOUR), hedged=True),
        replace(intent(short, life_id="short", amount="20", at=NOON + HOUR), hedged=True),
        replace(intent(short, life_id="short", amount="40", at=NOON - HOUR), hedged=True),
        intent(ETH, life_id="eth", amount="80", at=NOON + HOUR),
    ):
        spend(journal, one)
    assert journal.added_since(first) == 10


def test_what_the_position_looked_like_after_an_end_is_kept_with_it(journal):
    one = intent()
    journal.plan(one)
    journal.settle(one.intent_id, IntentState.APPLIED, at=NOON, evidence="code 200", facts_after='{"distance": "0.16"}')
    assert journal.intent(one.intent_id).facts_after == '{"distance": "0.16"}'


def test_an_unlocked_intent_is_open_and_locks_nothing(journal):
    one = intent()
    journal.plan(one)
    unlocked = journal.unlock(one.intent_id, NOON + HOUR)
    assert unlocked == journal.intent(one.intent_id)
    assert (unlocked.unlocked_at, unlocked.state.is_open, unlocked.locks) == (NOON + HOUR, True, False)


def test_how_long_an_intent_is_known_is_counted_for_each_from_its_first_question(journal):
    assert [journal.waited(name, s).total_seconds() for name, s in (("a", 5), ("a", 8), ("b", 8), ("b", 9))] == [
        0,
        3,
        0,
        1,
    ]


def test_that_an_outcome_is_unknown_is_told_once_and_its_end_anew(journal):
    one = intent()
    journal.plan(one)
    journal.enqueue(message(alert=one.intent_id), ["phone"], now=NOON)
    journal.sent(one.intent_id, NOON)
    journal.settle(one.intent_id, IntentState.UNKNOWN, at=NOON, evidence="no answer")
    assert journal.untold("main") == ()
    journal.settle(one.intent_id, IntentState.APPLIED, at=NOON, evidence="history")
    assert [left.intent_id for left in journal.untold("main")] == [one.intent_id]
    assert journal.untold("other") == ()
    events = [row for row in journal.history("main") if row.kind == "intent.unknown"]
    assert [(row.at, row.account, row.subject, row.text, row.data) for row in events] == [
        (NOON, "main", str(BTC), "62.31 USDT: no answer", one.intent_id)
    ]
    spend(journal, intent(ETH, life_id="eth"))
    assert [row for row in journal.history("main") if row.kind == "intent.unknown"] == events
