"""What happened, for people: events of their own, and the intents and deliveries as their tables have them."""

import sqlite3
from datetime import datetime, timedelta

from guard.journal.columns import moment, time_text
from guard.journal.records import HistoryRow
from guard.journal.store import Store

QUIET_ASKED = "quiet.asked"
QUIET_ENDED = "quiet.ended"


class History(Store):
    def event(  # noqa: PLR0917 - one row, in the order of its columns.
        self, at: datetime, account: str | None, kind: str, subject: str, text: str, data: str | None = None
    ) -> None:
        """Write down something that has no table of its own, as the daemon's start and stop. `data` is JSON."""
        with self._write(at) as connection:
            add_event(connection, at, account, kind, subject, text, data)

    def last_event(self, account: str, kind: str, subject: str) -> HistoryRow | None:
        """Return the newest event of a kind about a subject. None: there is none."""
        rows = self._rows(
            "SELECT at, account, kind, subject, text, data FROM events WHERE account = ? AND kind = ? AND subject = ? "
            "ORDER BY event_id DESC LIMIT 1",
            (account, kind, subject),
        )
        return _row(rows[0]) if rows else None

    def note_quiet(self, account: str, until: datetime, *, at: datetime) -> None:
        """Write down that the exchange asked this account for quiet until then, so that a restart keeps to it."""
        text = f"nothing is asked before {until:%Y-%m-%d %H:%M:%S} UTC: the exchange wants it so"
        self.event(at, account, QUIET_ASKED, account, text, time_text(until))

    def end_quiet(self, account: str, *, at: datetime) -> None:
        """Write down that the exchange answers again."""
        self.event(at, account, QUIET_ENDED, account, "the exchange answers again")

    def quiet_left(self, account: str, now: datetime) -> timedelta | None:
        """Return how long an exchange still wants quiet, at most as long as it asked for. None: it does not."""
        rows = self._rows(
            "SELECT at, account, kind, subject, text, data FROM events WHERE account = ? AND kind IN (?, ?) "
            "ORDER BY event_id DESC LIMIT 1",
            (account, QUIET_ASKED, QUIET_ENDED),
        )
        asked = _row(rows[0]) if rows else None
        if asked is None or asked.kind == QUIET_ENDED or asked.data is None:
            return None
        until = moment(asked.data)
        left = min(until - now, until - asked.at)  # The wall clock may have been set back since.
        return left if left > timedelta(0) else None

    def history(
        self, account: str | None = None, since: datetime | None = None, limit: int = 200
    ) -> tuple[HistoryRow, ...]:
        """Return the newest rows, oldest first. An account's history includes what concerns every account."""
        rows = self._rows(
            "SELECT * FROM history WHERE (:account IS NULL OR account IS NULL OR account = :account) "
            "AND at >= :since ORDER BY at DESC LIMIT :limit",
            {"account": account, "since": "" if since is None else time_text(since), "limit": limit},
        )
        return tuple(map(_row, reversed(rows)))


def _row(row: sqlite3.Row) -> HistoryRow:
    return HistoryRow(
        at=moment(row["at"]),
        account=row["account"],
        kind=row["kind"],
        subject=row["subject"],
        text=row["text"],
        data=row["data"],
    )


def add_event(  # noqa: PLR0917 - one row, in the order of its columns.
    connection: sqlite3.Connection,
    at: datetime,
    account: str | None,
    kind: str,
    subject: str,
    text: str,
    data: str | None = None,
) -> None:
    connection.execute(
        "INSERT INTO events (at, account, kind, subject, text, data) VALUES (?, ?, ?, ?, ?, ?)",
        (time_text(at), account, kind, subject, text, data),
    )
