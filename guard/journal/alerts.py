"""Alert states: where each subject stands on the ladder, kept whole per account so that a restart forgets nothing."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson

from guard.journal.columns import level_of, moment, moment_or_none, time_text, time_text_or_none
from guard.journal.history import add_event
from guard.journal.store import Store
from guard.policy.decision import Alert
from guard.policy.memory import AlertState, Hold


class Alerts(Store):
    @cached_property
    def _decided(self) -> dict[str, Mapping[str, AlertState]]:
        return {}  # By account: the latest states, which are newer than the disk by `seen_at` and after a failed write.

    @cached_property
    def _saved(self) -> dict[str, Mapping[str, AlertState]]:
        return {}  # By account: the states as this process last wrote or read them.

    def alert_states(self, account: str) -> Mapping[str, AlertState]:
        """Return the state of every subject of an account."""
        if account in self._decided:
            return self._decided[account]
        rows = self._rows("SELECT * FROM alert_states WHERE account = ?", (account,))
        self._saved[account] = {row["subject"]: _state_of(row) for row in rows}
        return self._saved[account]

    def clear_anew(self) -> None:
        """Let what is clearing begin anew: after a step of the clock nobody knows for how long it was clear."""
        for account, states in self._decided.items():
            self._decided[account] = without_sightings(states)
        with self._write(None) as connection:
            connection.execute("UPDATE alert_states SET seen_at = NULL")

    def _remember(self, account: str, states: Mapping[str, AlertState]) -> bool:
        """Take over the latest states; return whether they say more than that their subjects were seen again."""
        self.alert_states(account)
        self._decided[account] = states
        return without_sightings(states) != without_sightings(self._saved[account])


def replace_states(connection: sqlite3.Connection, account: str, states: Iterable[AlertState]) -> None:
    connection.execute("DELETE FROM alert_states WHERE account = ?", (account,))
    connection.executemany(
        "INSERT INTO alert_states (account, subject, level, since, holds, seen_at, alert_id, told_level, told_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                account,
                state.subject,
                state.level.word,
                time_text(state.since),
                orjson.dumps([_hold_body(hold) for hold in state.holds]).decode(),
                time_text_or_none(state.seen_at),
                state.alert_id,
                None if state.told_level is None else state.told_level.word,
                time_text_or_none(state.told_at),
            )
            for state in states
        ],
    )


def add_alerts(connection: sqlite3.Connection, alerts: Iterable[Alert], now: datetime) -> None:
    for alert in alerts:
        subject = str(alert.key) if alert.key else alert.pool.figures.name if alert.pool else alert.account
        text = f"{alert.kind.value} {alert.level.word}: {alert.reason}"
        add_event(connection, now, alert.account, f"alert.{alert.event.value}", subject, text)


def without_sightings(states: Mapping[str, AlertState]) -> dict[str, AlertState]:
    """Return the states as if nobody had looked since."""
    return {subject: replace(state, seen_at=None) for subject, state in states.items()}


def _state_of(row: sqlite3.Row) -> AlertState:
    return AlertState(
        subject=row["subject"],
        level=level_of(row["level"]),
        since=moment(row["since"]),
        holds=tuple(_hold_of(body) for body in orjson.loads(row["holds"])),
        seen_at=moment_or_none(row["seen_at"]),
        alert_id=row["alert_id"],
        told_level=None if row["told_level"] is None else level_of(row["told_level"]),
        told_at=moment_or_none(row["told_at"]),
    )


def _hold_body(hold: Hold) -> dict[str, object]:
    return {
        "level": hold.level.word,
        "in_force": hold.in_force,
        "turning_since": time_text_or_none(hold.turning_since),
        "turning_reads": hold.turning_reads,
        "by_sigmas": hold.by_sigmas,
    }


def _hold_of(body: dict[str, Any]) -> Hold:
    return Hold(
        level=level_of(body["level"]),
        in_force=body["in_force"],
        turning_since=moment_or_none(body["turning_since"]),
        turning_reads=body["turning_reads"],
        by_sigmas=body["by_sigmas"],
    )
