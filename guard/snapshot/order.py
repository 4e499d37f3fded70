"""Orders that stand at an exchange, and how a position ended, as the exchange tells it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from guard.snapshot.account import PositionKey
from guard.snapshot.contract import MarginMode


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """An order that closes a position, all of it or a part, once a price is reached against it."""

    key: PositionKey  # The position that it closes.
    trigger_price: Decimal | None  # None: it trails the price, and the exchange does not state where it stands now.
    trigger_by: str  # mark, last or index, else the exchange's own word. Empty: not said.
    quantity: Decimal | None  # Contracts. None: all that is there.
    margin_mode: MarginMode | None = None  # Of the position that it closes. None: not said, or there is one only.


class EndKind(StrEnum):
    CLOSED = "closed"  # By the user's orders, stops included.
    LIQUIDATED = "liquidated"
    DELEVERAGED = "deleveraged"  # Auto-deleveraging: closed to pay for somebody else's bankruptcy.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionEnding:
    """How a position that is gone ended, from the exchange's fills."""

    kind: EndKind
    evidence: str  # For people: "2 fills until 04:12:07, the last at 57,120.5".
    at: datetime | None = None  # The exchange's time. None: not known.
    price: Decimal | None = None  # Of the last fill. None: not known.
