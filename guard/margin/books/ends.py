"""Where a pool ends on the way to a shock: piece by piece between the prices at which a bracket or haircut changes.

All is counted in dollars here, so that every amount of a pool is a number of units of some asset times that asset's
price on the way. On a straight path (named coins, or a market whose betas are all 1) each piece is a straight line, and
its root a quotient: exact. With other betas a piece is a sum of powers; the places where brackets change are in closed
form still, and the first end between two of them is bisected to 1e-24 of the price.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple, Protocol

from guard.margin.arithmetic import ONE, ZERO, exact
from guard.margin.bends import Band, bands_of
from guard.margin.books.power_sum import PowerSum
from guard.margin.books.shock_path import Path
from guard.margin.pool import HaircutBasis, MarginPool
from guard.margin.present import PresentLeg, PresentPool, counted_value
from guard.margin.requirement import at_prices
from guard.margin.rule import MaintenanceBasis
from guard.snapshot import Collateral


@exact
def way_to_end(pool: MarginPool, path: Path, since: Decimal = ZERO) -> Decimal | None:
    """Return how much of the way is gone when the pool ends, from `since` on: 0.5 is halfway. None: it arrives."""
    if _excess_at(pool, path, since) <= 0:
        return since
    now = PresentPool(pool)
    parts = [*_charges(now, path), *_assets(now, path)]
    steady = _steady(now, path)
    start, arrival = path.variable(since), path.variable(ONE)
    low, high = min(start, arrival), max(start, arrival)
    places = {place for part in parts for place in part.places(low, high) if low < place < high}
    stops = [start, *sorted(places, reverse=arrival < start), arrival]
    for before, after in pairwise(stops):
        middle = (before + after) / 2
        piece = PowerSum.total([(steady, ONE), *((part.around(middle), ONE) for part in parts)])
        end = _end_of_piece(piece, before, after)
        if end is not None:
            return path.way(end)
    return ONE if _excess_at(pool, path, ONE) <= 0 else None  # It may end exactly where it arrives, by a jump.


@exact
def pool_on_way(pool: MarginPool, path: Path, way: Decimal) -> MarginPool:
    """Return the pool at the prices so far on the way."""
    return at_prices(pool, path.factors(assets_of(pool), way))


def assets_of(pool: MarginPool) -> dict[str, None]:
    """Return every asset whose price the pool depends on, each once, in their order."""
    legs = [asset for leg in pool.legs for asset in (leg.contract.base, leg.contract.settle)]
    return dict.fromkeys([pool.currency, *legs, *(row.asset for row in pool.collateral)])


def _excess_at(pool: MarginPool, path: Path, way: Decimal) -> Decimal:
    return PresentPool(pool_on_way(pool, path, way)).excess


def _end_of_piece(piece: PowerSum, before: Decimal, after: Decimal) -> Decimal | None:
    """Return where a piece first falls to zero on the way from `before` to `after`."""
    if piece.at(before) <= 0:  # It jumped below where the piece begins.
        return before
    roots = piece.roots(min(before, after), max(before, after))
    return min(roots, key=lambda root: abs(root - before), default=None)


# The pool's own currency, where the pool has none of it; every other asset it depends on has a row.
_EMPTY = Collateral(asset="", wallet_balance=ZERO, price=ONE, haircut=ZERO)


class _Part(Protocol):
    """A part of the excess that changes its form on the way."""

    def places(self, low: Decimal, high: Decimal) -> Iterator[Decimal]:
        """Yield where the form changes between two values of the path's variable."""
        ...

    def around(self, variable: Decimal) -> PowerSum:
        """Return the form in force there, as far as the next place."""
        ...


class _Charge(NamedTuple):
    """What the requirement takes for one leg, by the bracket of its notional on the way."""

    one: PresentLeg
    exposure: PowerSum
    settle: PowerSum

    def places(self, low: Decimal, high: Decimal) -> Iterator[Decimal]:
        if self._is_frozen or not self.one.leg.rule.tier_basis.is_by_notional:
            return
        for floor in self.one.leg.tiers.floors[1:]:
            over = PowerSum.total([(self.exposure, self.one.charged), (self.settle, -floor)])
            yield from over.roots(low, high)

    def around(self, variable: Decimal) -> PowerSum:
        one, rule = self.one, self.one.leg.rule
        if self._is_frozen:
            return PowerSum.total([(self.settle, -one.requirement * one.settle_charge)])
        tier = one.tier
        if rule.tier_basis.is_by_notional:
            tier = one.leg.tiers.index_at(one.charged * self.exposure.at(variable) / self.settle.at(variable))
        line = one.leg.tiers.lines[tier]
        charged = one.charged * (line.rate + rule.liquidation_fee_rate)
        return PowerSum.total(
            [(self.exposure, -charged * one.settle_charge), (self.settle, line.amount * one.settle_charge)]
        )

    @property
    def _is_frozen(self) -> bool:
        return self.one.leg.rule.maintenance_basis is not MaintenanceBasis.MARK


class _Equity(NamedTuple):
    """One asset's equity, counted at the haircut of the slice that it is in on the way."""

    equity: PowerSum
    unit: PowerSum
    bands: tuple[Band, ...]

    def places(self, low: Decimal, high: Decimal) -> Iterator[Decimal]:
        for band in self.bands[1:]:
            yield from PowerSum.total([(self.equity, ONE), (self.unit, -band.floor)]).roots(low, high)

    def around(self, variable: Decimal) -> PowerSum:
        units = self.equity.at(variable) / self.unit.at(variable)
        band = next(band for band in reversed(self.bands) if units >= band.floor)
        return PowerSum.total([(self.equity, band.share), (self.unit, band.offset)])


def _charges(now: PresentPool, path: Path) -> Iterator[_Part]:
    for one in now.legs:
        yield _Charge(one, path.price(one.exposure), path.price(one.leg.contract.settle))


def _assets(now: PresentPool, path: Path) -> Iterator[_Part]:
    """Yield the equity of each asset, where haircuts are taken from it."""
    if now.pool.haircut_basis is not HaircutBasis.EQUITY:
        return
    profits, rows = _profits(now, path), {row.asset: row for row in now.pool.collateral}
    for asset in dict.fromkeys([*rows, *profits]):
        row, price = rows.get(asset) or _EMPTY, path.price(asset)
        equity = PowerSum.total([(price, row.wallet_balance * row.price), *profits.get(asset, ())])
        yield _Equity(equity, PowerSum.total([(price, row.price)]), tuple(bands_of(row)))


def _steady(now: PresentPool, path: Path) -> PowerSum:
    """Return the part of the excess that has one form all the way."""
    pool = now.pool
    held_still = pool.other_unrealized_pnl - pool.other_maintenance_margin - pool.order_margin - pool.funding_due
    parts = [(path.price(pool.currency), held_still)]
    if pool.haircut_basis is HaircutBasis.WALLET:
        parts += [(path.price(row.asset), counted_value(row)) for row in pool.collateral]
        parts += [part for profit in _profits(now, path).values() for part in profit]
    return PowerSum.total(parts)


def _profits(now: PresentPool, path: Path) -> Mapping[str, list[tuple[PowerSum, Decimal]]]:
    """Return the profit and loss of all legs by the asset they settle in: what they are worth less what was paid."""
    profits: dict[str, list[tuple[PowerSum, Decimal]]] = defaultdict(list)
    for one in now.legs:
        settle, per_notional = one.leg.contract.settle, one.direction * one.settle_price
        profits[settle] += [
            (path.price(one.exposure), per_notional * one.notional),
            (path.price(settle), -per_notional * one.paid),
        ]
    return profits
