"""What an account looked like at some moments, so that a move of its liquidation can be explained later."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from guard.journal.columns import key_of, moment, time_text
from guard.journal.store import Store
from guard.snapshot import PositionKey

LOOKS_KEPT = timedelta(days=8)


class KeptLook(NamedTuple):
    """One look: its moment, and the account as JSON text, a list of account files (design 4.3)."""

    at: datetime
    accounts: str


class Looks(Store):
    def keep_look(self, account: str, accounts: str, now: datetime) -> None:
        """Write a look down, and let go of those that are too old. Raises JournalError."""
        with self._write(now) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO looks (account, at, accounts) VALUES (?, ?, ?)",
                (account, time_text(now), accounts),
            )
            connection.execute("DELETE FROM looks WHERE account = ? AND at < ?", (account, time_text(now - LOOKS_KEPT)))

    def last_look(self, account: str) -> KeptLook | None:
        """Return the newest look. None: there is none."""
        return self._look("SELECT at, accounts FROM looks WHERE account = ? ORDER BY at DESC LIMIT 1", (account,))

    def look_at(self, account: str, at: datetime) -> KeptLook | None:
        """Return the last look up to a moment, or the first after it. None: there is none."""
        found = self._look(
            "SELECT at, accounts FROM looks WHERE account = ? AND at <= ? ORDER BY at DESC LIMIT 1",
            (account, time_text(at)),
        )
        return found or self._look("SELECT at, accounts FROM looks WHERE account = ? ORDER BY at LIMIT 1", (account,))

    def margin_moved(self, account: str, after: datetime, until: datetime) -> dict[PositionKey, Decimal]:
        """Return what guard added to each position in a span, in its settle currency."""
        rows = self._rows(
            "SELECT symbol, side, amount FROM intents WHERE account = ? AND state = 'applied' "
            "AND settled_at > ? AND settled_at <= ?",
            (account, time_text(after), time_text(until)),
        )
        moved: dict[PositionKey, Decimal] = {}
        for row in rows:
            key = key_of(row["symbol"], row["side"])
            moved[key] = moved.get(key, Decimal(0)) + Decimal(row["amount"])
        return moved

    def _look(self, sql: str, parameters: tuple[str, ...]) -> KeptLook | None:
        rows = self._rows(sql, parameters)
        return KeptLook(moment(rows[0]["at"]), rows[0]["accounts"]) if rows else None
