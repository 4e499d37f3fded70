"""What the journal says and refuses when its file, its marker or a second writer stands in the way."""

import os
import sqlite3

import pytest
from journal_support import BTC, NOON, intent, know_past, live, opened, spend

from guard.errors import JournalError
from guard.journal import Journal, store
from guard.journal import intents as intents_of


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        yield journal


def test_an_unlocked_act_of_the_same_amount_keeps_a_second_one_from_being_planned(journal):
    first = intent()
    journal.plan(first)
    journal.sent(first.intent_id, NOON)
    journal.unlock(first.intent_id, NOON)
    with pytest.raises(JournalError, match=f"intent {first.intent_id} of the same amount is not settled yet"):
        journal.plan(intent())
    other = intent(amount="62.30")
    journal.plan(other)
    assert {one.intent_id for one in journal.open_intents()} == {first.intent_id, other.intent_id}


def test_rows_that_are_kept_at_hand_are_let_go_and_read_again(journal, monkeypatch):
    monkeypatch.setattr(intents_of, "_UNSEALED_MAX", 1)
    acts = {one.intent_id for one in (spend(journal, intent()) for _ in range(3))}
    for _ in range(2):
        assert {one.intent_id for one in journal.intents()} == acts


@pytest.mark.parametrize("content", ["{", "[]", '{"main": {"who": "ana"}}', '{"main": 1}'])
def test_a_marker_that_cannot_be_understood_disarms_everything(journal, content):
    know_past(journal)
    journal.set_reconciled("main")
    assert journal.arming("main")[0]
    marker = journal.path.with_name(journal.path.name + ".disarmed")
    marker.write_text(content)
    armed, because = journal.arming("main")
    assert not armed
    assert f"{marker} cannot be read" in because
    journal.arm(None, NOON, "ana")
    assert journal.arming("main")[0]


def test_a_marker_that_cannot_be_written_is_said(journal):
    marker = journal.path.with_name(journal.path.name + ".disarmed")
    marker.with_name(marker.name + ".new").mkdir()
    with pytest.raises(JournalError, match=f"cannot write {marker}: "):
        journal.disarm("main", NOON, "ana", "I look myself")


def test_a_broken_constraint_undoes_one_transaction_and_the_journal_goes_on(journal):
    planned = intent()
    journal.plan(planned)
    with pytest.raises(JournalError, match="the journal refuses this: "), journal._write(NOON) as connection:
        connection.execute("INSERT INTO intents SELECT * FROM intents")
    assert journal.broken is None
    assert journal.open_intents() == (planned,)


def test_a_read_that_fails_is_said_and_nothing_is_concluded_from_it(journal):
    def judge(action, table, *_):
        return sqlite3.SQLITE_DENY if (action, table) == (sqlite3.SQLITE_READ, "intents") else sqlite3.SQLITE_OK

    journal._connection.set_authorizer(judge)
    with pytest.raises(JournalError, match=f"^cannot read the journal {journal.path}: access to .* is prohibited"):
        journal.open_intents()


def test_a_journal_that_works_needs_no_recovery(journal):
    assert journal.recover()
    assert journal.broken is None


def test_a_file_that_was_taken_away_breaks_the_journal_at_the_next_write(journal):
    journal.path.rename(journal.path.with_name("elsewhere"))
    with pytest.raises(JournalError, match="was taken away"):
        journal.plan(intent())
    assert "was taken away" in journal.broken
    assert journal.open_intents() == ()


def test_a_journal_of_an_older_guard_is_not_read_before_it_is_brought_up_to_date(journal):
    journal._connection.execute("PRAGMA user_version = 1")
    with pytest.raises(JournalError, match="was written by an older guard: `guard run` brings it up to date"):
        Journal.open_to_read(journal.path)


def test_a_file_that_cannot_be_made_is_named_and_the_lock_given_back(tmp_path):
    place = tmp_path / "state" / "journal.db"
    place.mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(JournalError, match=f"cannot open the journal {place}: {os.strerror(21)}"):
            Journal.open(place, exclusive=True)


def test_without_the_daemons_lock_a_failed_opening_has_nothing_to_give_back(tmp_path):
    place = tmp_path / "journal.db"
    place.mkdir()
    with pytest.raises(JournalError, match="cannot open the journal"):
        Journal.open(place, exclusive=False)


def test_the_spending_of_a_life_is_read_from_the_file(journal):
    spend(journal, intent())
    with Journal.open_to_read(journal.path) as reader:
        assert reader.memory("main", NOON).lives[BTC].spent == intent().amount


def test_a_bug_in_the_middle_of_a_write_leaves_nothing_of_it_and_breaks_nothing(journal):
    def stumble():
        with journal._write(NOON) as connection:
            connection.execute("DELETE FROM lives")
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert journal.broken is None
    assert set(journal.open_lives("main")) == {BTC}


def test_a_file_that_is_damaged_meanwhile_does_not_recover(journal, monkeypatch):
    journal.broken = "cannot write"
    monkeypatch.setattr(store, "_damage", lambda _: "row 7 missing from index")  # As quick_check says it.
    assert not journal.recover()
    assert "row 7 missing from index" in journal.broken
    monkeypatch.undo()
    assert journal.recover()
