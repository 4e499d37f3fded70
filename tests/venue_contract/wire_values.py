"""What an exchange on loopback keeps: positions, adjustments, stops, ends, and what its key may do."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from guard.snapshot import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A position that the suite opens at an exchange. Amounts are in `currency`, the settle currency."""

    symbol: str
    currency: str
    contracts: Decimal
    contract_size: Decimal
    entry: Decimal
    mark: Decimal
    margin: Decimal
    leverage: int
    top_up: Decimal  # An amount at the exchange's own step: no rounding may touch it.
    inverse: bool = False


@dataclass(slots=True, kw_only=True)
class Holding:
    """A position in the ledger."""

    symbol: str
    side: Side
    contracts: Decimal
    entry: Decimal
    margin: Decimal | None  # Without unrealized PnL. None: cross.
    leverage: int
    hedged: bool
    auto_add: bool
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    symbol: str
    side: Side
    hedged: bool
    amount: Decimal
    currency: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    symbol: str
    side: Side  # Of the position that it closes.
    price: Decimal
    hedged: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A position that is gone: "closed", "liquidated" or "adl"."""

    holding: Holding
    how: str
    price: Decimal
    at: datetime
    is_part: bool = False  # The rest of it is open.


@dataclass(slots=True, kw_only=True)
class KeyRights:
    withdraw: bool = False
    transfer: bool = False
    read_only: bool = False
    ip_bound: bool = True
    expires_at: datetime | None = None
