"""Hedge legs taken away: in a crash an exchange closes positions in profit against those it cannot liquidate.

What is assumed: at one moment on the way every leg that has gained since its beginning is closed at the mark, if a leg
of the same coin, alive in the same book, has lost since. Its profit goes into its pool's wallet; an isolated position
gives margin and profit back to the cross wallet of its currency. The losing legs go on unhedged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from guard.margin.added_margin import with_margin
from guard.margin.arithmetic import ONE, ZERO, exact, finished
from guard.margin.books.book import BookPool
from guard.margin.books.ends import pool_on_way
from guard.margin.books.shock_path import Path
from guard.margin.books.stress_report import Closure
from guard.margin.pool import MarginPool
from guard.margin.present import PresentPool
from guard.snapshot import Collateral, MarginMode, Purse


@exact
def deleveraged(
    pools: Sequence[BookPool | None], path: Path, way: Decimal
) -> tuple[list[BookPool | None], list[Closure]]:
    """Return the pools without the legs that are closed at this moment, in the same places, and what was closed.

    None stands for a pool that is dead, and comes back for one that is closed altogether. Money given back to a
    currency that has no living cross pool makes a new pool at the end, a wallet that nothing leans on.
    """
    gains = [_gains(pool, path, way) for pool in pools]
    losing = {
        holding.leg.contract.base
        for pool, gained in zip(pools, gains, strict=True)
        if pool is not None
        for holding, gain in zip(pool.holdings, gained, strict=True)
        if gain < 0
    }
    after: list[BookPool | None] = []
    closures: list[Closure] = []
    for pool, gained in zip(pools, gains, strict=True):
        if pool is None:
            after.append(None)
            continue
        taken = [
            gain > 0 and holding.leg.contract.base in losing
            for holding, gain in zip(pool.holdings, gained, strict=True)
        ]
        closures += _closures(pool, taken, path, way)
        after.append(_without(pool, taken, path, way) if any(taken) else pool)
    for closure in closures:
        if closure.released:
            _give_back(after, closure)
    return after, closures


def _gains(pool: BookPool | None, path: Path, way: Decimal) -> list[Decimal]:
    """Return what each leg has gained on the way, in its settle currency."""
    if pool is None:
        return []
    then = PresentPool(pool_on_way(pool.pool, path, way))
    return [later.pnl - one.pnl for later, one in zip(then.legs, PresentPool(pool.pool).legs, strict=True)]


def _closures(pool: BookPool, taken: Sequence[bool], path: Path, way: Decimal) -> Iterator[Closure]:
    then = PresentPool(pool_on_way(pool.pool, path, way))
    for holding, one, is_taken in zip(pool.holdings, then.legs, taken, strict=True):
        if is_taken:
            yield Closure(
                key=holding.key,
                pool_name=pool.name,
                currency=one.leg.contract.settle,
                price=finished(one.leg.mark_price),
                realized=one.pnl,
                released=then.balance if pool.is_isolated else ZERO,
                wallet=one.leg.contract.wallet,
            )


def _without(pool: BookPool, taken: Sequence[bool], path: Path, way: Decimal) -> BookPool | None:
    """Return a pool without these legs and with their profit in its wallet. None: it was an isolated one."""
    if pool.is_isolated:
        return None
    then = PresentPool(pool_on_way(pool.pool, path, way))
    kept = tuple(holding for holding, is_taken in zip(pool.holdings, taken, strict=True) if not is_taken)
    after = replace(pool.pool, legs=tuple(holding.leg for holding in kept))
    for one, is_taken in zip(then.legs, taken, strict=True):
        if is_taken:
            after = with_margin(after, one.pnl, one.leg.contract.settle)
    return replace(pool, pool=after, holdings=kept)


def _give_back(pools: list[BookPool | None], closure: Closure) -> None:
    """Pay what an isolated position gave back into the cross pool of the wallet it came from."""
    purse = Purse(closure.currency, closure.wallet)
    for index, pool in enumerate(pools):
        if pool is not None and not pool.is_isolated and (pool.pool.currency, pool.pool.wallet) == purse:
            pools[index] = replace(pool, pool=with_margin(pool.pool, closure.released, closure.currency))
            return
    row = _row(closure.currency, closure.released)
    wallet = MarginPool(
        currency=closure.currency, margin_mode=MarginMode.CROSS, collateral=(row,), legs=(), wallet=closure.wallet
    )
    pools.append(BookPool(name=f"{purse} wallet", pool=wallet, holdings=()))


def _row(asset: str, amount: Decimal) -> Collateral:
    return Collateral(asset=asset, wallet_balance=amount, price=ONE, haircut=ZERO)
