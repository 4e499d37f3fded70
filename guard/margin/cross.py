"""The figures of one cross pool: what lies nearest to liquidating it, one coin alone or all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from guard.margin.arithmetic import ZERO, exact, finished
from guard.margin.figures import PoolFigures, PositionFigures
from guard.margin.liquidation import NONE, PAST, UNKNOWN, shock
from guard.margin.position import nearer_liquidation
from guard.margin.present import PresentPool
from guard.margin.requirement import gain_between
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
def modelled_pool(now: PresentPool, members: Sequence[PositionFigures], wallet: Wallet | None) -> PoolFigures:
    """Return all figures of a cross pool. `members` are its positions' figures; `wallet` None: no exchange was asked.

    Where only a move of all coins together liquidates it, its driver is the symbol that loses most in that move.
    """
    down, up = shock(now)
    nearest = _nearest(members, down, up, past=now.excess <= 0)
    return PoolFigures(
        name=pool_name(now.pool.currency),
        currency=now.pool.currency,
        pool=now.pool,
        margin_balance=finished(now.balance),
        maintenance_margin=finished(now.maintenance),
        requirement=finished(now.requirement),
        margin_ratio=None if now.ratio is None else finished(now.ratio),
        available=None if wallet is None else wallet.available,
        equity=None if wallet is None else wallet.cross_wallet_balance + wallet.cross_unrealized_pnl,
        liquidation=nearest.liquidation,
        distance=nearest.distance,
        shock_down=down,
        shock_up=up,
        driver=nearest.driver,
        falls_together=tuple(member.key for member in members),
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
        falls_together=tuple(member.key for member in members),
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
    position = member.position
    price = position.mark_price * (1 + move)
    return member.notional * move if price <= 0 else gain_between(position, position.mark_price, price)


def _heaviest(members: Sequence[PositionFigures]) -> str | None:
    heaviest = max(members, key=lambda member: member.notional, default=None)
    return None if heaviest is None else heaviest.position.contract.symbol
