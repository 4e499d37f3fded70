"""One daemon per journal: an advisory lock beside the file, which the kernel drops when its holder dies."""

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path

from guard.errors import JournalError


class DaemonLock:
    """Held from construction until `release`. The lock file tells who holds it; it is left in place."""

    def __init__(self, journal_path: Path) -> None:
        self._path = journal_path.with_name(journal_path.name + ".lock")
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"cannot open {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 200, 0).decode(errors="replace").strip() or "pid not written yet"
            os.close(self._descriptor)
            raise JournalError(f"another guard daemon ({holder}) works on this journal: {journal_path}") from error
        self._say_who()

    def _say_who(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"pid {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode(), 0)

    def release(self) -> None:
        # Closing drops the lock. The file stays: unlinking it could take a lock from under a daemon that just started.
        os.close(self._descriptor)
