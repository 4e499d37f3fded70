"""What the model says of an account: the figures of each position and of each cross pool.

None is "not known", and then a Gap of the assessment or `liquidation.kind` says why. Ratios are fractions.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from guard.margin.pool import Leg, MarginPool
from guard.snapshot import AccountSnapshot, Gap, Liquidation, Position, PositionKey, Purse


class Crossings(NamedTuple):
    """Where the balance falls to the requirement when one coin moves and the others stand still."""

    nearest: Liquidation  # AT the nearer of both sides by |price - mark|, or NONE, PAST, UNKNOWN.
    down: Decimal | None = None
    up: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionFigures:
    """One position, modelled. Money is in `position.contract.settle`."""

    position: Position
    leg: Leg | None  # None: not modelled (tiers missing, multi-assets mode).
    pool: MarginPool | None  # Its own pool of one, or the cross pool it leans on. None: not modelled.
    pool_name: str | None  # The cross pool's name, as in "USDT cross"; None for isolated.
    notional: Decimal
    unrealized_pnl: Decimal
    margin_balance: Decimal | None  # For a cross position the pool's, at the price of the settle currency.
    maintenance_margin: Decimal | None  # Its own, without closing fee.
    requirement: Decimal | None  # Its own, with closing fee.
    margin_ratio: Decimal | None  # Requirement / margin balance; the pool's for cross. None: not known, or no balance.
    crossings: Crossings  # Ours.
    model_gap: Decimal | None  # (our price - the exchange's) / mark, signed.
    bankruptcy_price: Decimal | None  # None: at no positive price.
    liquidation: Liquidation  # Ours where known, else the exchange's own.
    distance: (
        Decimal | None
    )  # |mark - liquidation| / mark by the nearer of ours and the exchange's. None: none or unknown.
    distance_basis: str  # "model", "exchange", "none", "past" or "unknown": whose price the distance goes by.
    effective_leverage: Decimal | None  # Notional / margin balance; for cross the pool's. None: no balance is left.

    @property
    def key(self) -> PositionKey:
        return self.position.key


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """One cross pool, modelled. Money is in `currency`."""

    name: str  # "USDT cross".
    currency: str
    pool: MarginPool | None  # None: not modelled.
    margin_balance: Decimal | None
    maintenance_margin: Decimal | None
    requirement: Decimal | None
    margin_ratio: Decimal | None
    available: Decimal | None  # The exchange's own figure.
    equity: Decimal | None  # Cross wallet balance + cross unrealized PnL.
    liquidation: Liquidation  # Kind only counts for a pool: AT carries the driver's price.
    distance: Decimal | None  # The worst of its coins' nearest crossings and the smallest uniform move.
    shock_down: Decimal | None  # Uniform move of all prices that liquidates it, signed; None: none down to -1.
    shock_up: Decimal | None  # None: none up to +10.
    driver: str | None  # The symbol whose move is nearest to liquidating it.
    falls_together: tuple[PositionKey, ...]  # The positions that a liquidation of the pool takes with it.
    exchange_margin_ratio: Decimal | None = None  # Multi-assets: the exchange's own account ratio, watched instead.
    wallet: str = ""  # By its name, which wallet of the currency it is.

    @property
    def purse(self) -> Purse:
        return Purse(self.currency, self.wallet)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAssessment:
    """One snapshot, modelled. `gaps` holds the snapshot's gaps and the model's own."""

    snapshot: AccountSnapshot
    positions: tuple[PositionFigures, ...]
    pools: tuple[PoolFigures, ...]
    gaps: tuple[Gap, ...]
    assessed_at: datetime
