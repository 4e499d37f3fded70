"""A margin pool: collateral plus positions, and the rule by which its exchange computes the requirement."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from guard.snapshot import Collateral, Contract, MarginMode, RiskTier, Side


class MaintenanceBasis(StrEnum):
    """At which price the requirement and its tier are taken."""

    MARK = "mark"  # At the price asked about.
    ENTRY = "entry"  # Frozen at the entry notional.


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginRule:
    """How an exchange computes a requirement, as data. Sources: docs/ and the venue files."""

    liquidation_fee_rate: Decimal = Decimal(0)  # Fraction of notional that the requirement counts for closing.
    maintenance_basis: MaintenanceBasis = MaintenanceBasis.MARK


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One position inside a pool, with everything its requirement depends on."""

    contract: Contract
    side: Side
    quantity: Decimal  # Contracts, positive.
    entry_price: Decimal
    mark_price: Decimal
    tiers: tuple[RiskTier, ...]  # Ascending by floor; the last tier goes on.
    rule: MarginRule


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginPool:
    """Collateral and the legs that lean on it. Amounts are in `currency`, the legs' settle currency."""

    currency: str
    margin_mode: MarginMode
    collateral: tuple[Collateral, ...]  # Isolated: one row, the position's own margin.
    legs: tuple[Leg, ...]
    other_maintenance_margin: Decimal = Decimal(0)  # The rest of a cross pool in two numbers, held still.
    other_unrealized_pnl: Decimal = Decimal(0)
