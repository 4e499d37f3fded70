"""Whether an account may spend at all (law 2): disarmed by its owner, without a past, not yet reconciled, or armed."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property

from guard.errors import JournalError
from guard.journal.columns import ALL_ACCOUNTS, moment, moment_or_none, time_text, time_text_or_none
from guard.journal.disarm_marker import Disarmed, DisarmMarker
from guard.journal.history import add_event
from guard.journal.store import Store

DAY = timedelta(hours=24)


class Arming(Store):
    @cached_property
    def _reconciled(self) -> set[str]:
        return set()  # Of this process: each start must look for itself.

    @cached_property
    def _sharing(self) -> set[str]:
        return set()  # Accounts that share a daily limit: what one of them spent counts for each.

    @cached_property
    def _unlearned(self) -> dict[str, str | None]:
        return {}

    @cached_property
    def _marker(self) -> DisarmMarker:
        return DisarmMarker(self.path)

    def share_limit(self, accounts: Iterable[str]) -> None:
        """Note at the start which accounts share a daily limit: what one of them spent counts for each.

        In a young journal none spends before the past of all is known. Nor does one in a journal that stood still for
        longer than a restart takes: it may be an old copy, and then another account's history holds what it forgot.
        """
        self._sharing.update(accounts)

    def arm(self, account: str | None, at: datetime, by: str) -> None:
        """Allow spending again, also where the past is not known: the owner answers for it. None: every account.

        Of one account that also holds where its history cannot be read: then it keeps no other waiting. Acts that
        missed their effect are forgiven, and so is a rival that was seen. What an account was disarmed from
        by a `disarm` of everything is armed again only by an `arm` of everything.
        """
        with self._write(at) as connection:
            who = _scope(account)
            connection.execute("DELETE FROM disarmed WHERE :who IN ('*', account)", {"who": who})
            connection.execute(
                "UPDATE pasts SET state = 'known', at = ?, because = ?, until = NULL "
                "WHERE state = 'watch_only' AND ? IN ('*', account)",
                (time_text(at), f"armed by {by}", who),
            )
            if account is not None:
                connection.execute(
                    "INSERT INTO pasts (account, state, at, because) VALUES (?, 'known', ?, ?) ON CONFLICT DO NOTHING",
                    (account, time_text(at), f"armed by {by}"),
                )
                _note_held(connection, account, self.clock(at))
            connection.execute(
                "UPDATE lives SET misses = 0, rival = NULL WHERE ended_at IS NULL AND ? IN ('*', account)", (who,)
            )
            add_event(connection, at, account, "arm", account or "all accounts", f"armed by {by}")
        self._marker.remove(who)  # After the journal: a crash in between leaves it disarmed.

    def disarm(self, account: str | None, at: datetime, by: str, because: str) -> None:
        """Stop all spending until `arm`, over restarts. None: every account, those of a later config included.

        It is written beside the journal first, so that it holds when the journal is lost or an old copy is put back.
        """
        self._marker.add(_scope(account), Disarmed(by=by, at=time_text(at), because=because))
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

    def note_held(self, account: str, at: datetime) -> None:
        """Write down that the exchange's whole history was held against the journal, also for the next start."""
        with self._write(at) as connection:
            _note_held(connection, account, self.clock(at))

    def held_at(self, account: str) -> datetime | None:
        """Return when that was last done. None: never, as far as is known."""
        rows = self._rows("SELECT at FROM held WHERE account = ?", (account,))
        return moment(rows[0]["at"]) if rows else None

    def _is_held(self, account: str) -> bool:
        """Say whether it was done since this journal stood still last, in this process or in one before it."""
        if account in self._reconciled:
            return True
        resumed = self._rows("SELECT resumed_at FROM clock WHERE resumed_at IS NOT NULL")
        held_at = self.held_at(account)
        return not resumed or (held_at is not None and held_at >= moment(resumed[0]["resumed_at"]))

    def note_unlearned(self, account: str, because: str | None) -> None:
        """Note why the exchange's history could not be held against the journal yet. None: it was."""
        self._unlearned[account] = because

    def watched_only(self, account: str) -> str | None:
        """Return until when an account only watches for its past is not known, and why. None: it is known."""
        past = self._rows("SELECT * FROM pasts WHERE account = ?", (account,))
        if not past or not _is_watched_only(past[0], self._wall or self._clock):
            return None
        until = moment_or_none(past[0]["until"])
        words = "" if until is None else f"{until:%Y-%m-%d %H:%M} UTC or "
        return f"watching only until {words}`guard arm`: {past[0]['because']}"

    def arming(self, account: str) -> tuple[bool, str | None]:
        """Return whether the account may spend, and if not, why not, for people."""
        because = self._why_not_armed(account)
        return because is None, because

    def _why_not_armed(self, account: str) -> str | None:
        if self.broken is not None:
            return self.broken
        disarmed = self._disarmed(account)
        if disarmed is not None:
            return disarmed
        unlearned = self._unlearned.get(account)
        why = f": {unlearned}" if unlearned else ""
        if self.needs_rebuild(account):
            return f"this journal does not know yet what was spent before{why}"
        watched = self.watched_only(account)
        if watched is not None:
            return watched
        shared = self._why_others_come_first(account)
        if shared is not None:
            return shared
        is_reconciled = account in self._reconciled or self._read_only
        return None if is_reconciled else f"not yet reconciled with the exchange since the start{why}"

    def _why_others_come_first(self, account: str) -> str | None:
        """Return which account that shares a daily limit must be known first. None: none."""
        unread = sorted(other for other in self._sharing if self.needs_rebuild(other) or self._waits_a_day(other))
        if unread and self._is_young():
            return f"what {unread[0]} spent before is not known, and one daily limit holds for all (or `guard arm` it)"
        unheld = sorted(other for other in self._sharing - {account} if not self._is_held(other))
        if unheld and account in self._sharing:
            return (
                f"the margin history of {unheld[0]} was not held against the journal since the start, "
                "and one daily limit holds for all (or `guard arm` it)"
            )
        return None

    def _disarmed(self, account: str) -> str | None:
        """Return who disarmed the account, by the journal or the file beside it, everything first. None: nobody did."""
        rows = self._rows("SELECT * FROM disarmed WHERE account IN (?, ?)", (account, ALL_ACCOUNTS))
        known = {row["account"]: Disarmed(by=row["by"], at=row["at"], because=row["because"]) for row in rows}
        known = {**self._marker.read(), **known}
        for scope, lift in ((ALL_ACCOUNTS, "guard arm"), (account, f"guard arm {account}")):
            if scope in known:
                one = known[scope]
                return f"disarmed by {one.by} at {one.at}: {one.because} (`{lift}` lifts it)"
        return None

    def _waits_a_day(self, account: str) -> bool:
        """Say whether it is not known what went lately into the account's positions that are closed since."""
        past = self._rows("SELECT * FROM pasts WHERE account = ? AND until IS NOT NULL", (account,))
        return bool(past) and _is_watched_only(past[0], self._wall or self._clock)

    def _is_young(self) -> bool:
        """Say whether a rolling day reaches back before this journal: later an account that is new stops no other."""
        first = moment_or_none(self._rows("SELECT min(at) AS at FROM pasts")[0]["at"])
        now = self._wall or self._clock  # What a clock that was ahead has seen has not passed.
        return first is None or now is None or now - first < DAY


def write_past(  # noqa: PLR0917 - one row, in the order of its columns.
    connection: sqlite3.Connection, account: str, state: str, at: datetime, because: str, until: datetime | None
) -> None:
    connection.execute(
        "INSERT INTO pasts (account, state, at, because, until) VALUES (?, ?, ?, ?, ?) ON CONFLICT (account) DO UPDATE "
        "SET state = excluded.state, at = excluded.at, because = excluded.because, until = excluded.until",
        (account, state, time_text(at), because, time_text_or_none(until)),
    )


def _note_held(connection: sqlite3.Connection, account: str, at: datetime) -> None:
    connection.execute(
        "INSERT INTO held VALUES (?, ?) ON CONFLICT DO UPDATE SET at = excluded.at", (account, time_text(at))
    )


def _is_watched_only(past: sqlite3.Row, clock: datetime | None) -> bool:
    until = moment_or_none(past["until"])
    return past["state"] == "watch_only" and (until is None or clock is None or clock < until)


def _scope(account: str | None) -> str:
    if account == ALL_ACCOUNTS:
        raise JournalError("no account can be called '*'")
    return account or ALL_ACCOUNTS
