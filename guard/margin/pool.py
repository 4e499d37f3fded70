"""A margin pool: collateral plus positions, and the rule by which its exchange computes the requirement."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from guard.margin.rule import MarginRule
from guard.margin.tier_table import TierTable
from guard.snapshot import Collateral, Contract, MarginMode, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One position inside a pool, with everything its requirement depends on."""

    contract: Contract
    side: Side
    quantity: Decimal  # Contracts, positive.
    entry_price: Decimal
    mark_price: Decimal
    tiers: TierTable
    rule: MarginRule
    frozen_at: Decimal | None = None  # The mark at which the requirement stays. None: as `rule.maintenance_basis` says.


class HaircutBasis(StrEnum):
    """What an asset's haircut is taken from."""

    WALLET = "wallet"  # Its wallet balance; profit and loss count in full.
    EQUITY = "equity"  # Its wallet balance with the profit and loss of all that settles in it.


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginPool:
    """Collateral and the legs that lean on it. Amounts are in `currency`.

    A leg may settle in another currency than the pool's: then a row of `collateral` (of balance zero, if need be)
    says what that currency is worth. Rows of the same asset are not allowed.
    """

    currency: str
    margin_mode: MarginMode
    collateral: tuple[Collateral, ...]  # Isolated: one row, the position's own margin.
    legs: tuple[Leg, ...]
    haircut_basis: HaircutBasis = HaircutBasis.WALLET
    other_maintenance_margin: Decimal = Decimal(0)  # The rest of a cross pool in two numbers, held still.
    other_unrealized_pnl: Decimal = Decimal(0)
    order_margin: Decimal = Decimal(0)  # What the exchange counts into the requirement for open orders, held still.
    funding_due: Decimal = Decimal(0)  # What the next settlement takes (negative: gives): part of now.
    wallet: str = ""  # By its name, which wallet of the currency it is, or is paid from.
