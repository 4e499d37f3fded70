"""A small file beside the journal that says what is disarmed: a journal that is lost or put back does not lift it.

Whichever of the two says "disarmed" is believed. It is written before the journal is and removed after it.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from guard.errors import JournalError
from guard.journal.columns import ALL_ACCOUNTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Disarmed:
    """Who stopped an account's spending, when (UTC text) and why."""

    by: str
    at: str
    because: str


class DisarmMarker:
    """What is disarmed, by account; '*' is all of them. No file: nothing is."""

    def __init__(self, journal_path: Path) -> None:
        self.path = journal_path.with_name(journal_path.name + ".disarmed")

    def read(self) -> Mapping[str, Disarmed]:
        """Return what is disarmed. A file that cannot be read disarms every account: it was put there to stop."""
        try:
            stored = json.loads(self.path.read_bytes())
            return {str(account): Disarmed(**one) for account, one in stored.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            because = f"{self.path} cannot be read ({type(error).__name__}): `guard arm` of everything removes it"
            return {ALL_ACCOUNTS: Disarmed(by="guard", at="an unknown time", because=because)}

    def add(self, account: str, one: Disarmed) -> None:
        """Write that an account is disarmed; on disk when it returns. Raises JournalError."""
        self._write({**self.read(), account: one})

    def remove(self, account: str) -> None:
        """Write that an account is armed, or every one ('*'). Raises JournalError."""
        left = {} if account == ALL_ACCOUNTS else {name: one for name, one in self.read().items() if name != account}
        self._write(left)

    def _write(self, disarmed: Mapping[str, Disarmed]) -> None:
        draft = self.path.with_name(self.path.name + ".new")
        try:
            if disarmed:
                text = json.dumps({name: asdict(one) for name, one in disarmed.items()})
                _write_synced(draft, text.encode())
                draft.replace(self.path)
            else:
                with suppress(FileNotFoundError):
                    self.path.unlink()
            _sync_folder(self.path.parent)
        except OSError as error:
            raise JournalError(f"cannot write {self.path}: {error.strerror}") from error


def _write_synced(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
