"""Whether an account may spend at all (law 2): disarmed by its owner, without a past, not yet reconciled, or armed."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property

from guard.errors import JournalError
from guard.journal.columns import moment, time_text
from guard.journal.history import add_event
from guard.journal.store import Store

ALL_ACCOUNTS = "*"
DAY = timedelta(hours=24)


class Arming(Store):
    @cached_property
    def _reconciled(self) -> set[str]:
        return set()  # Of this process: each start must look for itself.

    @cached_property
    def _sharing(self) -> set[str]:
        return set()  # Accounts that share a daily limit: what one of them spent counts for each.

    def share_limit(self, accounts: Iterable[str]) -> None:
        """Note which accounts share a daily limit: in a young journal none spends before the past of all is known."""
        self._sharing.update(accounts)

    def arm(self, account: str | None, at: datetime, by: str) -> None:
        """Allow spending again, also where the past is not known: the owner answers for it. None: every account.

        Acts that missed their effect are forgiven. What an account was disarmed from by a `disarm` of everything is
        armed again only by an `arm` of everything.
        """
        with self._write(at) as connection:
            who = _scope(account)
            connection.execute("DELETE FROM disarmed WHERE :who IN ('*', account)", {"who": who})
            connection.execute(
                "UPDATE pasts SET state = 'known', at = ?, because = ? "
                "WHERE state = 'watch_only' AND ? IN ('*', account)",
                (time_text(at), f"armed by {by}", who),
            )
            if account is not None:
                connection.execute(
                    "INSERT INTO pasts VALUES (?, 'known', ?, ?) ON CONFLICT DO NOTHING",
                    (account, time_text(at), f"armed by {by}"),
                )
            connection.execute("UPDATE lives SET misses = 0 WHERE ended_at IS NULL AND ? IN ('*', account)", (who,))
            add_event(connection, at, account, "arm", account or "all accounts", f"armed by {by}")

    def disarm(self, account: str | None, at: datetime, by: str, because: str) -> None:
        """Stop all spending until `arm`, over restarts. None: every account, those of a later config included."""
        with self._write(at) as connection:
            connection.execute(
                "INSERT INTO disarmed VALUES (?, ?, ?, ?) ON CONFLICT (account) DO UPDATE "
                "SET at = excluded.at, by = excluded.by, because = excluded.because",
                (_scope(account), time_text(at), by, because),
            )
            add_event(connection, at, account, "disarm", account or "all accounts", f"disarmed by {by}: {because}")

    def needs_rebuild(self, account: str) -> bool:
        """Say whether this journal has yet to learn what the account spent before."""
        return not self._rows("SELECT 1 FROM pasts WHERE account = ?", (account,))

    def set_reconciled(self, account: str) -> None:
        """Note that a fresh read was held against the journal in this process.

        It is not taken while an intent stands as an earlier process left it: each must have been asked about first.
        """
        left = self._rows("SELECT 1 FROM intents WHERE account = ? AND state IN ('planned', 'sent')", (account,))
        if not left:
            self._reconciled.add(account)

    def arming(self, account: str) -> tuple[bool, str | None]:
        """Return whether the account may spend, and if not, why not, for people."""
        because = self._why_not_armed(account)
        return because is None, because

    def _why_not_armed(self, account: str) -> str | None:
        if self.broken is not None:
            return self.broken
        disarmed = self._rows(
            "SELECT * FROM disarmed WHERE account IN (?, ?) ORDER BY account = ? DESC",
            (account, ALL_ACCOUNTS, ALL_ACCOUNTS),
        )
        if disarmed:
            row = disarmed[0]
            lift = "guard arm" if row["account"] == ALL_ACCOUNTS else f"guard arm {account}"
            return f"disarmed by {row['by']} at {row['at']}: {row['because']} (`{lift}` lifts it)"
        past = self._rows("SELECT state, because FROM pasts WHERE account = ?", (account,))
        if not past:
            return "this journal does not know yet what was spent before"
        if past[0]["state"] == "watch_only":
            return f"watching only until `guard arm`: {past[0]['because']}"
        unread = sorted(other for other in self._sharing if self.needs_rebuild(other))
        if unread and self._is_young():
            return f"what {unread[0]} spent before is not known, and one daily limit holds for all (or `guard arm` it)"
        is_reconciled = account in self._reconciled or self._read_only
        return None if is_reconciled else "not yet reconciled with the exchange since the start"

    def _is_young(self) -> bool:
        """Say whether a rolling day reaches back before this journal: later an account that is new stops no other."""
        row = self._rows("SELECT min(at) AS first, (SELECT seen_at FROM clock) AS seen FROM pasts")[0]
        return row["first"] is None or row["seen"] is None or moment(row["seen"]) - moment(row["first"]) < DAY


def write_past(connection: sqlite3.Connection, account: str, state: str, at: datetime, because: str) -> None:
    connection.execute("INSERT INTO pasts VALUES (?, ?, ?, ?)", (account, state, time_text(at), because))


def _scope(account: str | None) -> str:
    if account == ALL_ACCOUNTS:
        raise JournalError("no account can be called '*'")
    return account or ALL_ACCOUNTS
