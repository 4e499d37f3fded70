"""The exchange's margin history held against the journal: what no intent explains counts as spent, and is told.

Somebody added it by hand, another guard did, or this journal is an old copy that forgot its own acts (faults F13, F62).
Which of them it was does not matter to a limit.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from guard.journal.arming import write_past
from guard.journal.columns import moment, time_text
from guard.journal.history import add_event
from guard.journal.lives import INHERITS_WITHIN
from guard.journal.outbox import put_message
from guard.journal.past import Past, take_over
from guard.journal.records import Intent, IntentState
from guard.policy.message import Message
from guard.snapshot import MarginChange, PositionKey

CLOCKS_APART = timedelta(minutes=1)  # An entry is dated by the exchange, an intent by us.


@dataclass(frozen=True, slots=True, kw_only=True)
class Unexplained:
    """An addition that no intent made. `beside` is an act of ours on the same position that it came together with."""

    change: MarginChange
    beside: Intent | None


class Audits(Past):
    def known_since(self, account: str) -> datetime | None:
        """Return since when this journal knows what the account spends. None: it does not yet."""
        rows = self._rows("SELECT at FROM pasts WHERE account = ?", (account,))
        return moment(rows[0]["at"]) if rows else None

    def unexplained(
        self,
        account: str,
        changes: Sequence[MarginChange],
        *,
        keeps: Mapping[PositionKey, datetime | None],
        fence: timedelta,
        now: datetime,
        exchange_now: datetime,
    ) -> tuple[Unexplained, ...]:
        """Return the additions of a history that no intent of this journal made and that a limit counts, oldest first.

        `keeps` holds every open position and since when additions are its own (None: all are). Each entry explains one
        intent and each intent one entry, in the order of time: so of two equal additions one is ours at most. What is
        found for a confirmed intent is noted as its proof on the way. Days are counted by the exchange's clock.
        """
        known = self.proving_entries(account)
        left = sorted(
            (change for change in changes if change.by_user and change.amount > 0 and change.entry_id not in known),
            key=lambda change: change.at,
        )
        if not left:
            return ()
        makers = self._may_have_made(account, since=left[0].at)
        proven: set[str] = set()
        # A clock that stepped since may date an act of ours far from its entry: those are matched by amount alone.
        for tolerance in (CLOCKS_APART, timedelta.max):
            for intent in makers:
                entry = _entry_of(intent, left, fence, tolerance)
                if entry is None or intent.intent_id in proven:
                    continue
                proven.add(intent.intent_id)
                left.remove(entry)
                if intent.state is IntentState.APPLIED:  # Open ones are settled by the venue's own rule.
                    self.prove(intent.intent_id, entry.entry_id, at=now)
        return tuple(
            Unexplained(change=change, beside=self._beside(account, change, fence))
            for change in left
            if _counts(change, keeps, exchange_now)
        )

    def count_unexplained(
        self,
        account: str,
        found: Sequence[Unexplained],
        *,
        keeps: Collection[PositionKey],
        dollars_of: Callable[[MarginChange], Decimal | None],
        rule_of: Callable[[PositionKey], str | None],
        messages: Iterable[Message],
        channels_for: Callable[[Message], Sequence[str]],
        now: datetime,
        exchange_now: datetime,
    ) -> None:
        """Count additions as spent, in the limits of their positions, rules and the day, and commit what is told of it.

        Positions that somebody else adds to together with us get nothing more until `guard arm`.
        """
        day_ago = exchange_now - INHERITS_WITHIN
        with self._write(now) as connection:
            for one in found:
                change, dollars = one.change, dollars_of(one.change)
                is_kept = any(key in keeps for key in change.may_be_of())
                take_over(connection, account, change, dollars, rule_of, keeps=is_kept, found_at=exchange_now)
                if dollars is None and change.at > day_ago:
                    because = f"{change.amount:f} {change.currency} was added that has no dollar price"
                    write_past(connection, account, "watch_only", now, because, None)
                if one.beside is not None:
                    connection.execute(
                        "UPDATE lives SET rival = ? WHERE account = ? AND symbol = ? AND side = ? AND ended_at IS NULL",
                        (
                            f"{change.amount:f} {change.currency} at {change.at:%H:%M:%S} UTC",
                            account,
                            change.key.symbol,
                            change.key.side.word,
                        ),
                    )
                text = f"{change.amount:f} {change.currency} added at {time_text(change.at)}, not by this journal"
                add_event(connection, now, account, "spending.unexplained", str(change.key), text)
            for message in messages:
                put_message(connection, message, channels_for(message), now)

    def doubt_past(self, account: str, because: str, now: datetime) -> None:
        """Note that nobody can know what the account spent: it only watches until `guard arm`."""
        with self._write(now) as connection:
            write_past(connection, account, "watch_only", now, because, None)
            add_event(connection, now, account, "past.doubted", account, because)

    def _may_have_made(self, account: str, *, since: datetime) -> tuple[Intent, ...]:
        """Return intents whose entry is not known: confirmed ones first, then open ones, each oldest first."""
        return self._intents(
            "account = ? AND entry_id IS NULL AND planned_at > ? "
            "AND state IN ('planned', 'sent', 'unknown', 'applied') ORDER BY state <> 'applied', planned_at",
            (account, time_text(since - INHERITS_WITHIN)),
        )

    def _beside(self, account: str, change: MarginChange, fence: timedelta) -> Intent | None:
        acts = self._intents(
            "account = ? AND symbol = ? AND planned_at BETWEEN ? AND ? AND state NOT IN ('refused', 'not_applied') "
            "ORDER BY planned_at",
            (account, change.key.symbol, time_text(change.at - fence), time_text(change.at + fence)),
        )
        return next((intent for intent in acts if _may_be_of(intent, change)), None)


def _counts(change: MarginChange, keeps: Mapping[PositionKey, datetime | None], now: datetime) -> bool:
    if change.at > now - INHERITS_WITHIN:
        return True
    sinces = [keeps[key] for key in change.may_be_of() if key in keeps]
    return any(since is None or change.at >= since - INHERITS_WITHIN for since in sinces)


def _may_be_of(intent: Intent, change: MarginChange) -> bool:
    """Say whether an entry is of the position of an intent, by all that it tells.

    A one-way position's entry has no side of its own: it is listed under the side that is open now, which may have
    turned since.
    """
    return not set(intent.may_land_on()).isdisjoint(change.may_be_of())


def _entry_of(
    intent: Intent, entries: Sequence[MarginChange], fence: timedelta, tolerance: timedelta
) -> MarginChange | None:
    """Return the first entry that the intent may have made."""
    sent_at = intent.sent_at or intent.planned_at
    for entry in entries:
        is_alike = _may_be_of(intent, entry) and (intent.amount, intent.currency) == (entry.amount, entry.currency)
        after = entry.at - sent_at
        if is_alike and (tolerance == timedelta.max or -tolerance <= after <= fence + tolerance):
            return entry
    return None
