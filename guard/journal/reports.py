"""What the report of one top-up, or of one position's end, is made of. Reading only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from guard.journal.columns import key_of, moment, moment_or_none, money_or_none, time_text
from guard.journal.intents import COUNTS_AS_SPENT
from guard.journal.lives import Lives
from guard.journal.looks import KeptLook
from guard.journal.outbox import message_of
from guard.journal.records import HistoryRow, Intent
from guard.policy.message import Message
from guard.snapshot import PositionKey

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one message fared on one channel."""

    channel: str
    state: str  # "waiting", "delivered" or "given_up".
    attempts: int
    ended_at: datetime | None
    error: str | None
    told_with: str | None  # The message that stood first in the digest it went out in. None: alone, or not yet.


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message, and how it fared on each channel that was to get it."""

    message: Message
    created_at: datetime
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeRecord:
    """One position from first seen to proven gone. Money in the settle currency."""

    life_id: str
    account: str
    key: PositionKey
    budget_id: str
    first_seen_at: datetime
    birth_distance: Decimal | None
    initial_margin: Decimal | None
    misses: int
    ended_at: datetime | None  # None: it is believed open.
    end_reason: str | None


class Reports(Lives):
    def intents_beginning(self, beginning: str) -> tuple[Intent, ...]:
        """Return the intents whose id begins so, oldest first."""
        return self._intents(
            "substr(intent_id, 1, length(:beginning)) = :beginning ORDER BY planned_at", {"beginning": beginning}
        )

    def intents_of(self, life: LifeRecord) -> tuple[Intent, ...]:
        """Return the intents of a position's life, oldest first."""
        return self._intents("life_id = ? ORDER BY planned_at", (life.life_id,))

    def missed(self, intent_id: str) -> str | None:
        """Return in what an act missed its effect. None: it did not, or nobody could look."""
        rows = self._rows("SELECT missed FROM intents WHERE intent_id = ?", (intent_id,))
        return None if not rows or rows[0]["missed"] is None else str(rows[0]["missed"])

    def lives_of(self, key: PositionKey) -> tuple[LifeRecord, ...]:
        """Return every life of a key, of all accounts, oldest first."""
        rows = self._rows(
            "SELECT * FROM lives WHERE symbol = ? AND side = ? ORDER BY first_seen_at", (key.symbol, key.side.word)
        )
        return tuple(
            LifeRecord(
                life_id=row["life_id"],
                account=row["account"],
                key=key_of(row["symbol"], row["side"]),
                budget_id=row["budget_id"],
                first_seen_at=moment(row["first_seen_at"]),
                birth_distance=money_or_none(row["birth_distance"]),
                initial_margin=money_or_none(row["initial_margin"]),
                misses=row["misses"],
                ended_at=moment_or_none(row["ended_at"]),
                end_reason=row["end_reason"],
            )
            for row in rows
        )

    def known_positions(self) -> tuple[PositionKey, ...]:
        """Return every key that ever had a life, in order."""
        rows = self._rows("SELECT DISTINCT symbol, side FROM lives ORDER BY symbol, side")
        return tuple(key_of(row["symbol"], row["side"]) for row in rows)

    def told_about(self, account: str, key: PositionKey, since: datetime, until: datetime) -> tuple[Told, ...]:
        """Return what was to be told in a span about a position, and about its account as a whole, oldest first."""
        rows = self._rows(
            "SELECT * FROM messages WHERE account = ? AND created_at >= ? AND created_at <= ? "
            "AND (json_extract(body, '$.symbol') IS NULL "
            "OR (json_extract(body, '$.symbol') = ? AND json_extract(body, '$.side') = ?)) "
            "AND json_extract(body, '$.kind') NOT IN ('heartbeat', 'drill') ORDER BY created_at, message_id",
            (account, time_text(since), time_text(until), key.symbol, key.side.word),
        )
        return tuple(
            Told(
                message=message_of(row["body"]),
                created_at=moment(row["created_at"]),
                attempts=self._attempts(row["message_id"]),
            )
            for row in rows
        )

    def events_about(
        self, account: str, subjects: Iterable[str], since: datetime, until: datetime
    ) -> tuple[HistoryRow, ...]:
        """Return the events of a span about any of the subjects, oldest first; those of every account count too."""
        wanted = set(subjects)
        rows = self._rows(
            "SELECT * FROM events WHERE (account = ? OR account IS NULL) AND at >= ? AND at <= ? ORDER BY at, event_id",
            (account, time_text(since), time_text(until)),
        )
        return tuple(
            HistoryRow(
                at=moment(row["at"]),
                account=row["account"],
                kind=row["kind"],
                subject=row["subject"],
                text=row["text"],
                data=row["data"],
            )
            for row in rows
            if row["subject"] in wanted
        )

    def last_look_with(self, account: str, key: PositionKey, until: datetime) -> KeptLook | None:
        """Return the last look up to a moment in which a symbol stands. None: none is kept."""
        rows = self._rows(
            "SELECT at, accounts FROM looks WHERE account = ? AND at <= ? AND instr(accounts, ?) > 0 "
            "ORDER BY at DESC LIMIT 1",
            (account, time_text(until), f'"{key.symbol}"'),
        )
        return KeptLook(moment(rows[0]["at"]), rows[0]["accounts"]) if rows else None

    def first_look_with(self, account: str, key: PositionKey, since: datetime) -> KeptLook | None:
        """Return the first look from a moment on in which a symbol stands. None: none is kept."""
        rows = self._rows(
            "SELECT at, accounts FROM looks WHERE account = ? AND at >= ? AND instr(accounts, ?) > 0 "
            "ORDER BY at LIMIT 1",
            (account, time_text(since), f'"{key.symbol}"'),
        )
        return KeptLook(moment(rows[0]["at"]), rows[0]["accounts"]) if rows else None

    def spent_on(self, life: LifeRecord, until: datetime) -> Decimal:
        """Return what counted as spent under a life's budget at a moment, in the settle currency."""
        intents = self._intents(
            "planned_at <= ? AND life_id IN (SELECT life_id FROM lives WHERE budget_id = ?)",
            (time_text(until), life.budget_id),
        )
        rebuilt = self._rows(
            "SELECT amount FROM rebuilt WHERE budget_id = ? AND at <= ?", (life.budget_id, time_text(until))
        )
        amounts = [intent.amount for intent in intents if intent.state.counts_as_spent]
        return sum([*amounts, *(Decimal(row["amount"]) for row in rebuilt)], Decimal(0))

    def spent_in_the_day_before(self, until: datetime) -> tuple[tuple[str, str | None, Decimal], ...]:
        """Return account, rule and dollars of all that counts as spent in the 24 h before a moment."""
        span = (time_text(until - DAY), time_text(until))
        intents = self._intents(f"{COUNTS_AS_SPENT} AND counted_at > ? AND counted_at <= ?", span)
        rebuilt = self._rows("SELECT account, rule, dollars FROM rebuilt WHERE at > ? AND at <= ?", span)
        return (
            *((intent.account, intent.rule, intent.dollars) for intent in intents),
            *((row["account"], row["rule"], Decimal(row["dollars"] or 0)) for row in rebuilt),
        )

    def _attempts(self, message_id: str) -> tuple[Attempt, ...]:
        rows = self._rows("SELECT * FROM deliveries WHERE message_id = ? ORDER BY channel", (message_id,))
        return tuple(
            Attempt(
                channel=row["channel"],
                state=row["state"],
                attempts=row["attempts"],
                ended_at=moment_or_none(row["ended_at"]),
                error=row["error"],
                told_with=row["told_with"],
            )
            for row in rows
        )
