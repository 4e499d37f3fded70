"""The outbox: one row per message and channel, kept until the channel confirmed it or it was given up."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

import orjson

from guard.journal.columns import moment, time_text
from guard.journal.store import Store
from guard.policy.message import Delivery, Message
from guard.policy.terms import Level


class OutboxShelf(Store):
    def enqueue(self, message: Message, channels: Iterable[str], now: datetime) -> None:
        """Add a message for channels. One that was enqueued before, by its id, is not sent again."""
        with self._write(now) as connection:
            put_message(connection, message, channels, now)

    def due(self, channel: str, now: datetime, limit: int) -> tuple[Delivery, ...]:
        """Return waiting rows of a channel whose next attempt is due, most severe first, then oldest."""
        rows = self._rows(
            "SELECT * FROM deliveries JOIN messages USING (message_id) "
            "WHERE channel = ? AND state = 'waiting' AND next_attempt_at <= ? "
            "ORDER BY severity DESC, delivery_id LIMIT ?",
            (channel, time_text(now), limit),
        )
        return tuple(
            Delivery(
                delivery_id=row["delivery_id"],
                channel=row["channel"],
                message=message_of(row["body"]),
                attempts=row["attempts"],
                created_at=moment(row["created_at"]),
            )
            for row in rows
        )

    def delivered(self, delivery_ids: Sequence[int], at: datetime, *, told_with: str | None = None) -> None:
        """Mark rows as confirmed, all or none. `told_with`: the message that stood first in their digest."""
        with self._write(at) as connection:
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, state = 'delivered', ended_at = ?, error = NULL, "
                "told_with = ? WHERE delivery_id IN (SELECT value FROM json_each(?)) AND state = 'waiting'",
                (time_text(at), told_with, orjson.dumps(list(delivery_ids)).decode()),
            )

    def given_up(self, delivery_id: int, at: datetime, error: str) -> None:
        with self._write(at) as connection:
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, state = 'given_up', ended_at = ?, error = ? "
                "WHERE delivery_id = ? AND state = 'waiting'",
                (time_text(at), error, delivery_id),
            )

    def postponed(self, delivery_ids: Sequence[int], *, next_attempt_at: datetime, error: str) -> None:
        with self._write(None) as connection:
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, next_attempt_at = ?, error = ? "
                "WHERE delivery_id IN (SELECT value FROM json_each(?)) AND state = 'waiting'",
                (time_text(next_attempt_at), error, orjson.dumps(list(delivery_ids)).decode()),
            )

    def make_due(self, now: datetime) -> None:
        """Let everything that waits be tried now: after a step of the clock nobody knows how long it waited."""
        late = "state = 'waiting' AND next_attempt_at > ?"
        if not self._rows(f"SELECT 1 FROM deliveries WHERE {late} LIMIT 1", (time_text(now),)):  # noqa: S608 - `late` is written here.
            return
        with self._write(None) as connection:
            connection.execute(
                f"UPDATE deliveries SET next_attempt_at = ? WHERE {late}",  # noqa: S608 - `late` is written here.
                (time_text(now), time_text(now)),
            )

    def next_due_at(self) -> datetime | None:
        """Return when the earliest waiting row is due; None when nothing waits."""
        rows = self._rows("SELECT min(next_attempt_at) AS at FROM deliveries WHERE state = 'waiting'")
        return None if rows[0]["at"] is None else moment(rows[0]["at"])

    def undelivered_since(self, level: Level, channels: Iterable[str]) -> datetime | None:
        """Return since when a message of at least this level waits for channels of which none has confirmed it."""
        rows = self._rows(
            "SELECT min(created_at) AS at FROM messages WHERE severity >= :severity "
            "AND EXISTS (SELECT 1 FROM deliveries WHERE message_id = messages.message_id AND state = 'waiting' "
            "AND channel IN (SELECT value FROM json_each(:channels))) "
            "AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message_id = messages.message_id AND state = 'delivered' "
            "AND channel IN (SELECT value FROM json_each(:channels)))",
            {"severity": level.value, "channels": orjson.dumps(list(channels)).decode()},
        )
        return None if rows[0]["at"] is None else moment(rows[0]["at"])


def put_message(connection: sqlite3.Connection, message: Message, channels: Iterable[str], now: datetime) -> None:
    connection.execute(
        "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (message.id, message.alert, message.account, message.level.value, _body_of(message), time_text(now)),
    )
    connection.executemany(
        "INSERT INTO deliveries (message_id, channel, next_attempt_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(message.id, channel, time_text(now)) for channel in channels],
    )
    # In the same transaction: an outcome counts as told when, and only when, its message is on disk.
    connection.execute("UPDATE intents SET told_state = state WHERE intent_id = ?", (message.alert,))


def channels_told(connection: sqlite3.Connection, alert: str) -> frozenset[str]:
    """Return the channels that heard of an alert, or will."""
    rows = connection.execute(
        "SELECT DISTINCT channel FROM deliveries JOIN messages USING (message_id) "
        "WHERE alert = ? AND state <> 'given_up'",
        (alert,),
    )
    return frozenset(row["channel"] for row in rows)


def _body_of(message: Message) -> str:
    body = {name: getattr(message, name) for name in Message.__slots__}
    return orjson.dumps({**body, "level": message.level.word, "happened_at": time_text(message.happened_at)}).decode()


def message_of(body: str) -> Message:
    fields = orjson.loads(body)
    return Message(**{**fields, "level": Level[fields["level"].upper()], "happened_at": moment(fields["happened_at"])})
