"""The rows of the journal that other rooms see. Money is in the named currency."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from guard.snapshot import PositionKey

DATA_AGES = "data_ages_s"  # Beside the row in an intent's facts_before: how old what money moved on was.
LAST_SEEN = "position.last_seen"  # The event that holds what was seen last of a position that is gone.

HOW_IT_ENDED = "position.how_it_ended"  # The event that says how: closed, liquidated, deleveraged, unknown.

WAS_CUT = "position.was_cut"  # The event that says that the exchange took a part; `data` is when, by its clock.

BRACKETS = "brackets"  # The event that keeps the leverage brackets of a symbol as they were read.

HAIRCUTS = "haircuts"  # The event that keeps how much of an asset counts as margin, as it was read.

AUTO_MARGIN = "auto_margin"  # The event that keeps whether the exchange itself tops a position up.
MARGIN_CHANGED = "margin.changed"  # The event that says by how much margin changed that guard did not move.


class IntentState(StrEnum):
    """PLANNED, SENT and UNKNOWN are open and count as spent, APPLIED does too; the others give budget back."""

    PLANNED = "planned"  # Committed; the first byte may or may not have left.
    SENT = "sent"  # The request was started.
    UNKNOWN = "unknown"  # The answer was lost.
    APPLIED = "applied"
    REFUSED = "refused"  # The exchange's clear no.
    NOT_APPLIED = "not_applied"  # Settled after the fence.

    @property
    def is_open(self) -> bool:
        return self in {IntentState.PLANNED, IntentState.SENT, IntentState.UNKNOWN}

    @property
    def counts_as_spent(self) -> bool:
        return self.is_open or self is IntentState.APPLIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One decision to move margin once."""

    intent_id: str
    account: str
    key: PositionKey
    life_id: str
    rule: str
    hedged: bool
    amount: Decimal
    currency: str
    dollars: Decimal
    planned_at: datetime
    state: IntentState
    reason: str  # Why it was made: "distance 7.8 % is at or below the trigger 8 %".
    facts_before: str  # JSON: the position's row just before (marks, both liquidation prices, data ages).
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    evidence: str | None = None  # The exchange's confirmation, refusal or history entry.
    entry_id: str | None = None  # The history entry that proves it.
    facts_after: str | None = None
    unlocked_at: datetime | None = None  # Since then it no longer locks its position, settled or not.

    @property
    def locks(self) -> bool:
        """Say whether its request may still be executed, so that nothing more is sent to its position."""
        return self.state.is_open and self.unlocked_at is None

    def may_land_on(self) -> tuple[PositionKey, ...]:
        """Return the positions its request may be executed on: a one-way position may have turned by then."""
        return (self.key,) if self.hedged else (self.key, self.key.opposite)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One line of `guard history`."""

    at: datetime
    account: str | None  # None: of the daemon itself.
    kind: str  # "daemon.started", "alert.fired", "intent.applied", "message.delivered", "arm", "disarm".
    subject: str
    text: str
    data: str | None  # JSON for an event, the intent's or message's id for theirs.
