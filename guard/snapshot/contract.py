"""A contract's fixed terms: kind, size, tiers, and the words for sides, margin modes and liquidation."""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Side(IntEnum):
    """The sign of a position. Quantities are positive everywhere; multiply by this for direction."""

    LONG = 1
    SHORT = -1

    @property
    def word(self) -> str:
        """Return `long` or `short`, as people and JSON write it."""
        return "long" if self is Side.LONG else "short"


class MarginMode(StrEnum):
    CROSS = "cross"
    ISOLATED = "isolated"


class ContractKind(StrEnum):
    LINEAR = "linear"  # PnL, margin and notional in the quote currency.
    INVERSE = "inverse"  # Quantity counts quote value; PnL, margin and notional are in the base coin.


class Purse(NamedTuple):
    """Which wallet it is: of a currency, and by its name where an exchange keeps several of one currency apart."""

    currency: str
    name: str = ""  # Empty: the main one, or the only one.

    def __str__(self) -> str:
        return f"{self.currency} {self.name}" if self.name else self.currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What one symbol is. Prices are quote per base."""

    symbol: str  # Unified, as in BTC/USDT:USDT.
    kind: ContractKind
    base: str  # The coin whose price moves it.
    settle: str  # The currency of margin, PnL, notional and tiers.
    contract_size: Decimal  # Base units (linear) or quote value (inverse) of one contract.
    wallet: str = ""  # By its name, which wallet of its settle currency backs and pays it.

    @property
    def purse(self) -> Purse:
        return Purse(self.settle, self.wallet)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskTier:
    """One row of an exchange's leverage bracket table. Notional and amounts are in the settle currency."""

    notional_floor: Decimal  # A notional equal to the floor belongs to this tier.
    notional_cap: Decimal
    maintenance_margin_rate: Decimal  # Fraction of notional: 0.004 is 0.4 %.
    maintenance_amount: Decimal | None  # Deducted, so the requirement does not jump. None: this table has none.


class LiquidationKind(StrEnum):
    """The four different answers to "where is it liquidated?"; the last three are never a number."""

    AT = "at"
    NONE = "none"  # At no positive price.
    PAST = "past"  # The balance is already at or below the requirement.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidation:
    """An answer to "where is it liquidated?". `price` is given exactly when `kind` is AT."""

    kind: LiquidationKind
    price: Decimal | None = None

    def __post_init__(self) -> None:
        assert (self.kind is _AT) == (self.price is not None)


_AT = LiquidationKind.AT  # A member of an enum takes longer to look up than the rest of the assertion.
