"""The journal's file: how it is opened, locked, checked, written and given up on.

It is plain blocking SQLite on purpose: a commit (0.3 ms) returns before the request that it announces can leave.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self
from urllib.parse import quote

from guard.errors import JournalError
from guard.journal.columns import first_row, moment, time_text
from guard.journal.lock import DaemonLock
from guard.journal.migrations import check_is_ours, migrate, migrations, version_of

BUSY_TIMEOUT_S = 5
ROOM_BYTES = 2**18  # More than any one transaction needs.
CLOCK_WRITTEN_EVERY = timedelta(minutes=1)  # A quiet cycle must not wear the disk.
RESTART_TAKES = timedelta(minutes=1)  # A journal that was not written for longer may be an old copy, put back.


class Store:
    """One connection to the journal's file, used from one thread.

    After a failed write it is `broken`: every further write raises until `recover` succeeds, so nothing is sent on the
    word of a journal that may not hold it. Reads go on.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, created: bool, lock: DaemonLock | None, read_only: bool
    ) -> None:
        self.path = path
        self.created = created  # This open made it: a journal without a past.
        self.broken: str | None = None  # Why nothing is written any more. None: all is well.
        self._connection = connection
        self._lock = lock
        self._read_only = read_only
        self._place = _place_of(path)
        self._clock_written = self._read_clock()
        self._clock = self._clock_written
        self._wall: datetime | None = None  # What time we were told last.
        self.left_at = self._clock_written  # The latest clock it had seen when it was opened. None: it is new.
        self._is_resumed = False  # Written since it was opened: what it then waits for was no standing still.

    @classmethod
    def open(cls, path: Path, *, exclusive: bool) -> Self:
        """Open the journal for writing, creating it if there is none. `exclusive`: as the one daemon.

        Raises JournalError, with the remedy, when the file is damaged, newer than this program, not ours, or in use.
        """
        _make_folder(path.parent)
        lock = DaemonLock(path) if exclusive else None
        try:
            _make_file(path)
            with _opening(path, f"file:{quote(str(path.absolute()))}?mode=rw") as connection:
                created = _prepare(connection, path)
                return cls(connection, path, created=created, lock=lock, read_only=False)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    @classmethod
    def open_to_read(cls, path: Path) -> Self:
        """Open the journal for reading only, as `status` and `history` do. Raises JournalError when there is none."""
        if not path.exists():
            raise JournalError(f"no journal yet at {path}: `guard run` makes it")
        with _opening(path, f"file:{quote(str(path.absolute()))}?mode=ro") as connection:
            check_is_ours(connection, path, len(migrations()))
            if version_of(connection) < len(migrations()):
                raise JournalError(f"{path} was written by an older guard: `guard run` brings it up to date")
            return cls(connection, path, created=False, lock=None, read_only=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and drop the lock. May be called twice."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def recover(self) -> bool:
        """Try to write again after a failure. Return whether the journal can be trusted with an intent."""
        if self.broken is None:
            return True
        reason, self.broken = self.broken, None
        try:
            with self._write(None) as connection:
                damage = _damage(connection)
                if damage is not None:
                    raise sqlite3.DatabaseError(damage)
                # A small write is no proof: a full disk takes it, and then not the decision that is larger.
                connection.execute("DROP TABLE IF EXISTS room")
                connection.execute("CREATE TABLE room (blank BLOB)")
                connection.execute("INSERT INTO room VALUES (zeroblob(?))", (ROOM_BYTES,))
            with self._write(None) as connection:
                connection.execute("DROP TABLE room")
        except JournalError:
            self.broken = self.broken or reason
        return self.broken is None

    def clock(self, now: datetime) -> datetime:
        """Return the wall clock, or the latest that this journal has seen if the wall clock stepped back."""
        self._wall = now
        self._clock = now if self._clock is None else max(now, self._clock)
        return self._clock

    def _read_clock(self) -> datetime | None:
        rows = self._rows("SELECT seen_at FROM clock")
        return moment(rows[0][0]) if rows else None

    def _clock_is_due(self, now: datetime) -> bool:
        return self._clock_written is None or self.clock(now) - self._clock_written >= CLOCK_WRITTEN_EVERY

    def _rows(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[sqlite3.Row]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._failed("read", error) from error

    @contextmanager
    def _write(self, at: datetime | None) -> Iterator[sqlite3.Connection]:
        """Run one transaction, on disk when the block is left. `at` moves the journal's clock; None leaves it.

        Raises JournalError. A broken constraint undoes the transaction only; any other failure breaks the journal.
        """
        if self._read_only:
            raise JournalError(f"{self.path} was opened to read")
        if self.broken is not None:
            raise JournalError(self.broken)
        if self._place is None or _place_of(self.path) != self._place:
            # SQLite would go on writing into a file that the next start cannot find.
            self.broken = f"the journal {self.path} was taken away; nothing is spent until it is back or guard restarts"
            raise JournalError(self.broken)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
            seen_at = None if at is None else self.clock(at)
            if seen_at is not None:
                self._connection.execute(
                    "INSERT INTO clock (id, seen_at) VALUES (1, :now) "
                    "ON CONFLICT DO UPDATE SET seen_at = max(seen_at, excluded.seen_at), "
                    "resumed_at = CASE WHEN :is_first AND seen_at < :long_ago THEN :now ELSE resumed_at END",
                    {
                        "now": time_text(seen_at),
                        "long_ago": time_text(seen_at - RESTART_TAKES),
                        "is_first": not self._is_resumed,
                    },
                )
            self._connection.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            self._roll_back()
            raise JournalError(f"the journal refuses this: {error}") from error
        except sqlite3.Error as error:
            self._roll_back()
            failure = self._failed("write", error)
            self.broken = str(failure)
            raise failure from error
        except BaseException:
            self._roll_back()
            raise
        self._clock_written = seen_at or self._clock_written
        self._is_resumed = self._is_resumed or seen_at is not None

    def _roll_back(self) -> None:
        # A full disk may have rolled back already; a dead one cannot: nothing was committed in either case.
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")

    def _failed(self, what: str, error: sqlite3.Error) -> JournalError:
        return JournalError(f"cannot {what} the journal {self.path}: {error}; nothing is spent until it works again")


def _place_of(path: Path) -> tuple[int, int] | None:
    """Return which file stands there. None: none, or none that can be seen."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(f"cannot make the journal's folder {folder}: {error.strerror}") from error


def _make_file(path: Path) -> None:
    """Create the file as its owner's alone. SQLite gives its -wal and -shm files the same permissions."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise JournalError(f"cannot open the journal {path}: {error.strerror}") from error


@contextmanager
def _opening(path: Path, uri: str) -> Iterator[sqlite3.Connection]:
    """Connect; on any failure close again and say what to do about the file."""
    connection: sqlite3.Connection | None = None
    try:
        # Transactions are ours alone.
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        connection.row_factory = sqlite3.Row
        yield connection
    except sqlite3.OperationalError as error:
        _close(connection)
        raise JournalError(f"cannot open the journal {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        _close(connection)
        raise JournalError(
            f"the journal {path} is damaged ({error}): keep a copy and move it away (mv {path} {path}.damaged, "
            "also its -wal and -shm); the next start rebuilds what was spent from the exchange's history, and where "
            "there is none it only watches until `guard arm`"
        ) from error
    except BaseException:
        _close(connection)
        raise


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> bool:
    check_is_ours(connection, path, len(migrations()))
    damage = _damage(connection)
    if damage is not None:
        raise sqlite3.DatabaseError(damage)
    first_row(connection, "PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return migrate(connection, path)


def _damage(connection: sqlite3.Connection) -> str | None:
    """Return what SQLite finds wrong with the file; None: nothing."""
    found = str(first_row(connection, "PRAGMA quick_check(1)")[0])
    return None if found == "ok" else found.splitlines()[-1]
