"""The figures of one cross pool: what lies nearest to liquidating it, one coin alone or all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from guard.margin.arithmetic import ZERO, exact, finished
from guard.margin.figures import PoolFigures, PositionFigures
from guard.margin.liquidation import NONE, PAST, UNKNOWN, shock
from guard.margin.moves import EVERY_COIN
from guard.margin.position import nearer_liquidation
from guard.margin.present import PresentPool
from guard.snapshot import Liquidation, LiquidationKind, Purse, Wallet


def pool_name(currency: str, wallet: str = "") -> str:
    """Return the name people read for the cross pool of a currency's wallet: "USDT cross", "USDC xyz cross"."""
    return f"{Purse(currency, wallet)} cross"


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
    nearest = _nearest(now, members, down, up)
    return PoolFigures(
        name=pool_name(now.pool.currency, now.pool.wallet),
        currency=now.pool.currency,
        wallet=now.pool.wallet,
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
    purse: Purse, members: Sequence[PositionFigures], wallet: Wallet | None, exchange_margin_ratio: Decimal | None
) -> PoolFigures:
    """Return what is known of a cross pool without a model. Its positions may still have the exchange's own prices."""
    nearest = _nearest_alone(members)
    return PoolFigures(
        name=pool_name(*purse),
        currency=purse.currency,
        wallet=purse.name,
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


def _nearest(
    now: PresentPool, members: Sequence[PositionFigures], down: Decimal | None, up: Decimal | None
) -> _Nearest:
    if now.excess <= 0:
        heaviest = max(now.legs, key=lambda one: one.notional * one.settle_price, default=None)
        driver = None if heaviest is None else heaviest.leg.contract.symbol
        return _Nearest(liquidation=PAST, distance=ZERO, driver=driver)
    alone = _nearest_alone(members)
    together = min([move for move in (down, up) if move is not None], key=abs, default=None)
    if together is None or not now.legs:
        return alone
    if alone.distance is not None:
        return replace(alone, distance=min(alone.distance, abs(together)))
    loser = min(now.legs, key=lambda one: now.gain(one, EVERY_COIN, 1 + together)).leg
    at = Liquidation(kind=LiquidationKind.AT, price=finished(loser.mark_price * (1 + together)))
    return _Nearest(liquidation=at, distance=abs(together), driver=loser.contract.symbol)


def _nearest_alone(members: Sequence[PositionFigures]) -> _Nearest:
    """Return what one coin alone does. NONE: no position knows a price."""
    near = [(member.distance, index) for index, member in enumerate(members) if member.distance is not None]
    if not near:
        return _Nearest(liquidation=NONE, distance=None, driver=None)
    distance, index = min(near)
    nearest = members[index]
    return _Nearest(
        liquidation=nearer_liquidation(nearest.crossings.nearest, nearest.position),
        distance=distance,
        driver=nearest.position.contract.symbol,
    )
