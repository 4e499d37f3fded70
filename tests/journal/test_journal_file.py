import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from journal_support import BTC, NOON, big, decision, fill_disk, free_disk, intent, live, opened, state

from guard.errors import JournalError
from guard.journal import Journal, migrations, store
from guard.policy.terms import Level


def test_the_journal_and_its_folder_are_their_owners_alone(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        folder = journal.path.parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
        assert {path.name for path in folder.iterdir()} == {
            "journal.db",
            "journal.db-wal",
            "journal.db-shm",
            "journal.db.lock",
        }


def test_only_the_first_opening_makes_a_journal_without_a_past(tmp_path):
    with opened(tmp_path) as journal:
        assert journal.created
    with opened(tmp_path) as journal:
        assert not journal.created


def test_every_commit_is_synced_to_disk(tmp_path):
    with opened(tmp_path) as journal:
        pragma = lambda name: journal._connection.execute(f"PRAGMA {name}").fetchone()[0]  # noqa: E731
        assert (pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")) == ("wal", 2, 1)


def test_every_table_is_strict(tmp_path):
    with opened(tmp_path) as journal:
        rows = journal._rows("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
        assert {row["name"] for row in rows if not row["strict"]} == {"sqlite_schema"}


def test_a_second_daemon_is_told_who_the_first_is(tmp_path):
    with opened(tmp_path), pytest.raises(JournalError, match=rf"another guard daemon \(pid {os.getpid()}, since "):
        opened(tmp_path)


def test_a_daemon_that_died_leaves_no_lock_behind(tmp_path):
    path = tmp_path / "journal.db"
    die = (
        "import os, signal, sys; from pathlib import Path; from guard.journal import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]), exclusive=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", die, str(path)], check=False).returncode == -9
    with Journal.open(path, exclusive=True) as journal:
        assert not journal.created


def test_a_person_can_disarm_while_the_daemon_works(tmp_path):
    with opened(tmp_path) as daemon:
        with Journal.open(daemon.path, exclusive=False) as person:
            person.disarm(None, NOON, "ana", "holiday")
        assert daemon.arming("main")[1].startswith("disarmed by ana")


def test_a_failed_opening_gives_the_lock_back(tmp_path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    for _ in range(2):
        with pytest.raises(JournalError, match="damaged"):
            Journal.open(path, exclusive=True)


def test_a_damaged_journal_is_refused_with_a_remedy(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
    path = journal.path
    content = bytearray(path.read_bytes())
    content[4096:8192] = os.urandom(4096)  # One page, as a dying disk would have it.
    path.write_bytes(content)
    with pytest.raises(JournalError) as refused:
        Journal.open(path, exclusive=True)
    begin, _, rest = str(refused.value).partition(f"): keep a copy and move it away (mv {path} {path}.damaged, ")
    assert begin.startswith(f"the journal {path} is damaged (")
    assert "*** in database" not in begin
    assert rest == (
        "also its -wal and -shm); the next start rebuilds what was spent from the exchange's history, and where "
        "there is none it only watches until `guard arm`"
    )


def test_damage_that_sqlite_finds_when_it_checks_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_damage", lambda _: "row 7 missing from index")  # As quick_check says it.
    with pytest.raises(JournalError, match=r"is damaged \(row 7 missing from index\): keep a copy"):
        opened(tmp_path)


def test_an_opening_that_failed_holds_no_file_open(tmp_path, monkeypatch):
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(JournalError, match="damaged") as _damaged:  # Kept, as is all that its frames hold.
        Journal.open(path, exclusive=True)
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalError, match=f"^cannot open the journal {path}: ") as _closed:
        Journal.open_to_read(path)
    path.rmdir()
    monkeypatch.setattr(store, "BUSY_TIMEOUT_S", 0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalError, match=f"^cannot open the journal {path}: database is locked$") as _locked:
            Journal.open(path, exclusive=True)
    with opened(tmp_path) as journal:
        journal._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="newer guard") as _newer:
        Journal.open_to_read(journal.path)
    held = (os.path.realpath(link) for link in Path("/proc/self/fd").iterdir())
    assert [name for name in held if name.startswith(str(tmp_path))] == []


def test_folders_are_made_down_to_the_journal(tmp_path):
    path = tmp_path / "var" / "lib" / "guard" / "journal.db"
    Journal.open(path, exclusive=True).close()
    assert path.exists()


def test_a_journal_of_a_newer_guard_is_left_alone(tmp_path):
    with opened(tmp_path) as journal:
        journal._connection.execute("PRAGMA user_version = 99")
    said = rf"^{journal.path} was written by a newer guard .*install that version again"
    with pytest.raises(JournalError, match=said):
        opened(tmp_path)
    with pytest.raises(JournalError, match=said):
        Journal.open_to_read(journal.path)


def test_somebody_elses_database_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE trades (id)")
    other.close()
    with pytest.raises(JournalError, match=f"^{path} is a database, but no guard journal"):
        Journal.open(path, exclusive=True)


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    scripts = migrations.migrations()
    with opened(tmp_path) as journal:
        path = journal.path
    broken = (*scripts, "CREATE TABLE half (a TEXT) STRICT;\nCREATE TABLE half (a TEXT) STRICT;\n")
    monkeypatch.setattr(migrations, "migrations", lambda: broken)
    with pytest.raises(JournalError, match="half already exists"):
        Journal.open(path, exclusive=True)
    monkeypatch.setattr(migrations, "migrations", lambda: scripts)
    with Journal.open(path, exclusive=True) as journal:
        assert migrations.version_of(journal._connection) == len(scripts)
        assert not journal._rows("SELECT 1 FROM sqlite_master WHERE name = 'half'")


def test_status_reads_a_journal_and_cannot_write_it(tmp_path):
    with opened(tmp_path) as daemon:
        live(daemon)
        with Journal.open_to_read(daemon.path) as reader:
            assert not reader.created
            assert BTC in reader.memory("main", NOON).lives
            with pytest.raises(JournalError, match="opened to read"):
                reader.arm("main", NOON, "ana")


def test_status_says_that_there_is_no_journal_yet(tmp_path):
    with pytest.raises(JournalError, match="no journal yet"):
        Journal.open_to_read(tmp_path / "journal.db")
    assert not (tmp_path / "journal.db").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot make the journal's folder"):
        Journal.open(tmp_path / "file" / "journal.db", exclusive=True)


def test_after_a_full_disk_nothing_is_planned_until_it_works_again(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        fill_disk(journal)
        with pytest.raises(JournalError, match=f"^cannot write the journal {journal.path}: .*full"):
            journal.plan(big(intent()))
        small = intent()
        with pytest.raises(JournalError, match="nothing is spent until it works again"):
            journal.plan(small)
        assert journal.arming("main") == (False, journal.broken)
        assert journal.memory("main", NOON).lives[BTC].spent == 0  # Reading goes on.

        free_disk(journal)
        assert journal.recover()
        journal.plan(small)
        assert journal.open_intents() == (small,)


def test_a_journal_whose_disk_stays_dead_does_not_recover(tmp_path):
    with opened(tmp_path) as journal:
        live(journal)
        fill_disk(journal)
        with pytest.raises(JournalError):
            journal.plan(big(intent()))
        journal._connection.execute("PRAGMA query_only = ON")
        assert not journal.recover()
        assert journal.broken is not None


def test_while_the_disk_is_dead_this_process_remembers_what_it_told(tmp_path):
    with opened(tmp_path) as journal:
        journal._connection.execute("PRAGMA query_only = ON")
        told = state(level=Level.DANGER)
        with pytest.raises(JournalError):
            journal.record_decision("main", decision(states=[told]), [], {}, NOON)
        assert journal.memory("main", NOON).alerts == {told.subject: told}

        journal._connection.execute("PRAGMA query_only = OFF")
        assert journal.recover()
        journal.record_decision("main", decision(states=[told]), [], {}, NOON)
    with opened(tmp_path) as journal:
        assert journal.memory("main", NOON).alerts == {told.subject: told}


def test_closing_twice_is_harmless(tmp_path):
    journal = opened(tmp_path)
    journal.close()
    journal.close()
    with opened(tmp_path) as again:
        assert not again.created
