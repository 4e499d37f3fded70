"""The figures of one cross pool: what lies nearest to liquidating it, one coin alone or all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from guard.margin.arithmetic import ZERO, exact, finished
from guard.margin.figures import PoolFigures, PositionFigures
from guard.margin.liquidation import NONE, PAST, UNKNOWN, shock
from guard.margin.pool import MarginPool
from guard.margin.position import nearer_liquidation
from guard.margin.requirement import (
    margin_balance,
    margin_ratio,
    pool_maintenance_margin,
    pool_requirement,
    unrealized_pnl,
)
from guard.snapshot import Liquidation, LiquidationKind, Wallet


def pool_name(currency: str) -> str:
    """Return the name people read for a currency's cross pool."""
    return f"{currency} cross"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nearest:
    """What liquidates a pool first: its distance, the symbol that drives it, and that symbol's price there."""

    liquidation: Liquidation
    distance: Decimal | None
    driver: str | None


@exact
def modelled_pool(pool: MarginPool, members: Sequence[PositionFigures], wallet: Wallet | None) -> PoolFigures:
    """Return all figures of a cross pool. `members` are its positions' figures; `wallet` None: no exchange was asked.

    Where only a move of all coins together liquidates it, its driver is the symbol that loses most in that move.
    """
    balance, required = margin_balance(pool), pool_requirement(pool)
    down, up = shock(pool)
    nearest = _nearest(members, down, up, past=balance <= required)
    ratio = margin_ratio(required, balance)
    return PoolFigures(
        name=pool_name(pool.currency),
        currency=pool.currency,
        pool=pool,
        margin_balance=finished(balance),
        maintenance_margin=finished(pool_maintenance_margin(pool)),
        requirement=finished(required),
        margin_ratio=None if ratio is None else finished(ratio),
        available=None if wallet is None else wallet.available,
        equity=None if wallet is None else wallet.cross_wallet_balance + wallet.cross_unrealized_pnl,
        liquidation=nearest.liquidation,
        distance=nearest.distance,
        shock_down=down,
        shock_up=up,
        driver=nearest.driver,
    )


@exact
def unmodelled_pool(
    currency: str, members: Sequence[PositionFigures], wallet: Wallet | None, exchange_margin_ratio: Decimal | None
) -> PoolFigures:
    """Return what is known of a cross pool without a model. Its positions may still have the exchange's own prices."""
    nearest = _nearest(members, None, None, past=False)
    return PoolFigures(
        name=pool_name(currency),
        currency=currency,
        pool=None,
        margin_balance=None,
        maintenance_margin=None,
        requirement=None,
        margin_ratio=None,
        available=None if wallet is None else wallet.available,
        equity=None if wallet is None else wallet.cross_wallet_balance + wallet.cross_unrealized_pnl,
        liquidation=UNKNOWN,
        distance=nearest.distance,
        shock_down=None,
        shock_up=None,
        driver=nearest.driver,
        exchange_margin_ratio=exchange_margin_ratio,
    )


def _nearest(members: Sequence[PositionFigures], down: Decimal | None, up: Decimal | None, *, past: bool) -> _Nearest:
    if past:
        return _Nearest(liquidation=PAST, distance=ZERO, driver=_heaviest(members))
    moves = [move for move in (down, up) if move is not None]
    together = min(moves, key=abs, default=None)
    alone = min((m for m in members if m.distance is not None), key=lambda m: m.distance or ZERO, default=None)
    if alone is not None and alone.distance is not None:
        distance = alone.distance if together is None else min(alone.distance, abs(together))
        return _Nearest(
            liquidation=nearer_liquidation(alone.crossings.nearest, alone.position),
            distance=distance,
            driver=alone.position.contract.symbol,
        )
    if together is None or not members:
        return _Nearest(liquidation=NONE, distance=None, driver=None)
    loser = min(members, key=lambda member: _gain(member, together))
    price = finished(loser.position.mark_price * (1 + together))
    at = Liquidation(kind=LiquidationKind.AT, price=price)
    return _Nearest(liquidation=at, distance=abs(together), driver=loser.position.contract.symbol)


def _gain(member: PositionFigures, move: Decimal) -> Decimal:
    if member.leg is None:
        return ZERO
    moved = unrealized_pnl(member.leg, member.leg.mark_price * (1 + move)) if move > -1 else -member.notional
    return moved - member.unrealized_pnl


def _heaviest(members: Sequence[PositionFigures]) -> str | None:
    heaviest = max(members, key=lambda member: member.notional, default=None)
    return None if heaviest is None else heaviest.position.contract.symbol
