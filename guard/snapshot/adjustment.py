"""Margin moved into a position: the request, the exchange's own history of it, and how one ended."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from guard.snapshot.account import PositionKey


class Outcome(StrEnum):
    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginBefore:
    """A position as it was read just before a request: the evidence where an exchange keeps no history of margin."""

    margin: Decimal  # Settle currency, without unrealized PnL.
    quantity: Decimal  # Contracts.
    entry_price: Decimal
    mark_price: Decimal
    read_at: datetime
    added_since: Decimal | None = Decimal(0)  # By other requests, proven. None: another one is in doubt as well.


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginRequest:
    """Exactly what is to be sent: nothing rounds it on the way."""

    key: PositionKey
    hedged: bool
    amount: Decimal  # Settle currency, a multiple of the venue's step.
    currency: str
    before: MarginBefore | None = None  # Never sent. None: not known, so only a history can settle it.


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginChange:
    """One entry of an exchange's margin adjustment history."""

    key: PositionKey
    amount: Decimal  # Settle currency; positive is added.
    currency: str
    at: datetime
    by_user: bool  # A user or API adjustment; False: trade, funding, the exchange's own auto-margin.
    entry_id: str  # The exchange's id, or one made of its fields; equal entries have equal ids.
    # False: the entry does not say on which side its position is or was; `key` holds one of the two.
    side_known: bool = True

    def may_be_of(self) -> tuple[PositionKey, ...]:
        """Return the position it may be of: one, or both sides of its symbol."""
        return (self.key,) if self.side_known else (self.key, self.key.opposite)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What the exchange's own records say of a request whose answer was lost. UNKNOWN: ask again later."""

    outcome: Outcome
    evidence: str  # For people: "history: 62.31 USDT added at 04:12:07 (USER_ADJUST)".
    entry_id: str | None = None  # The history entry that proves it, so that no entry proves two requests.
