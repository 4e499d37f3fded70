"""Notes on margin that guard does not move: changed by somebody else, or added by the exchange's own auto-margin.

Neither is a fault. A plan is made of the margin of now in every look, so all that is left to do is to tell.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from guard.daemon.reader import AccountReader
from guard.daemon.tell import Teller, new_id
from guard.journal.records import AUTO_MARGIN, MARGIN_CHANGED, Intent, IntentState
from guard.margin import contract_value
from guard.notify.margin_texts import auto_margin_message, margin_changed_message
from guard.policy.decision import Decision
from guard.snapshot import Position, PositionKey

log = structlog.get_logger(__name__)

NOTABLE = Decimal("0.01")  # Of the margin. Less is what figures that are rounded or made of others may differ by.
FUNDING_MAX = Decimal("0.01")  # Of the value, where a full hour has passed meanwhile: then funding may have been paid.
FUNDING_LATE = timedelta(minutes=2)
LISTS_LAG = timedelta(seconds=10)  # So much later than its answer may a list show what a write did.
AGAIN_S = 600.0
LATE_EFFECT = timedelta(days=1)
INTENTS_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """An isolated position as it was last read."""

    margin: Decimal
    quantity: Decimal
    entry_price: Decimal
    at: datetime

    def is_of_same_size(self, position: Position) -> bool:
        return (self.quantity, self.entry_price) == (position.quantity, position.entry_price)


class MarginNotes:
    """Holds each read of one account's isolated margin against the one before."""

    def __init__(self, reader: AccountReader, teller: Teller) -> None:
        self._reader = reader
        self._teller = teller
        self._held: dict[PositionKey, _Held] = {}
        self._auto: dict[PositionKey, bool] = {}  # As it is written down.
        self._not_before_s: dict[PositionKey, float] = {}  # Loop time: a bot may move margin in every cycle.

    def follow_clock(self) -> None:
        """Begin anew: what was read before has dates of another clock."""
        self._held.clear()

    def look(self, decision: Decision, now: datetime) -> None:
        """Tell of what differs from the last look. Raises JournalError."""
        snapshot = self._reader.snapshot
        if snapshot is None:
            return
        before, self._held = self._held, {}
        for position in snapshot.positions:
            if position.auto_add_margin is not None:
                self._note_auto(position.key, is_on=position.auto_add_margin, now=now)
            if position.isolated_wallet is None:
                continue
            held = _Held(
                margin=position.isolated_wallet,
                quantity=position.quantity,
                entry_price=position.entry_price,
                at=snapshot.positions_read_at,
            )
            self._held[position.key] = held
            last = before.get(position.key)
            if last is not None and last.is_of_same_size(position) and self._is_foreign(position, last, held):
                self._tell_changed(position, last, decision, now)

    def _is_foreign(self, position: Position, last: _Held, held: _Held) -> bool:
        """Say whether margin changed that neither funding, guard, the exchange itself nor its history accounts for."""
        moved = held.margin - last.margin
        if abs(moved) <= _slack(position, last, held):
            return False
        # What was added is in the history where there is one: it is counted as spent and told from there.
        is_told = self._reader.venue.write_terms.history_kept > timedelta(0)
        if moved > 0 and (is_told or position.auto_add_margin):
            return False
        intents = self._teller.journal.intents(self._reader.venue.account, INTENTS_MAX)
        return not any(_may_explain(one, position.key, moved, last.at) for one in intents)

    def _tell_changed(self, position: Position, last: _Held, decision: Decision, now: datetime) -> None:
        account, key = self._reader.venue.account, position.key
        figures = next((one.figures for one in decision.positions if one.key == key), None)
        assert position.isolated_wallet is not None
        text = f"{last.margin:f} -> {position.isolated_wallet:f} {position.contract.settle}, not by guard"
        loop_s = asyncio.get_running_loop().time()
        if loop_s >= self._not_before_s.get(key, loop_s):
            message = margin_changed_message(
                account,
                position,
                before=last.margin,
                since=last.at,
                distance=None if figures is None else figures.distance,
                now=now,
                new_id=new_id,
            )
            self._teller.tell(message)
            self._not_before_s[key] = loop_s + AGAIN_S
        self._teller.journal.event(now, account, MARGIN_CHANGED, str(key), text, None)
        log.warning("margin.changed", account=account, position=str(key), change=text)

    def _note_auto(self, key: PositionKey, *, is_on: bool, now: datetime) -> None:
        account = self._reader.venue.account
        if key not in self._auto:
            kept = self._teller.journal.last_event(account, AUTO_MARGIN, str(key))
            self._auto[key] = kept is not None and kept.data == "on"
        if self._auto[key] is is_on:
            return
        self._teller.tell(auto_margin_message(account, key, is_on=is_on, now=now, new_id=new_id))
        word = "on" if is_on else "off"
        self._teller.journal.event(now, account, AUTO_MARGIN, str(key), f"the exchange's own is {word}", word)
        self._auto[key] = is_on


def _slack(position: Position, last: _Held, held: _Held) -> Decimal:
    """Return by how much margin may differ without anybody having moved it, in the settle currency."""
    slack = NOTABLE * max(last.margin, held.margin)
    if _hour(last.at - FUNDING_LATE) != _hour(held.at + FUNDING_LATE):
        slack += FUNDING_MAX * contract_value(position.contract, position.quantity, position.mark_price)
    return slack


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _may_explain(intent: Intent, key: PositionKey, moved: Decimal, since: datetime) -> bool:
    """Say whether an intent of ours may be what moved a position's margin since a moment, or a part of it."""
    if key not in intent.may_land_on() or intent.state is IntentState.REFUSED:
        return False
    if intent.state.is_open or any(at >= since - LISTS_LAG for at in _moments(intent)):
        return True
    # One that was settled as never executed, and was executed after all.
    return abs(moved - intent.amount) <= NOTABLE * intent.amount and since - intent.planned_at <= LATE_EFFECT


def _moments(intent: Intent) -> Iterable[datetime]:
    return (at for at in (intent.planned_at, intent.sent_at, intent.settled_at) if at is not None)
