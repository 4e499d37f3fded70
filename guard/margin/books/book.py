"""An account as the pools it is made of: what stress, compare and whatif are asked about, live or written by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from guard.margin.cross import pool_name
from guard.margin.figures import AccountAssessment
from guard.margin.pool import Leg, MarginPool
from guard.snapshot import Gap, MarginMode, Position, PositionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One position of a book, as its exchange states it and as its pool's leg."""

    position: Position
    leg: Leg
    beta: Decimal = Decimal(1)  # For stress: a market move m multiplies its price by (1 + m) ** beta.

    @property
    def key(self) -> PositionKey:
        return self.position.key


@dataclass(frozen=True, slots=True, kw_only=True)
class BookPool:
    """One pool of a book. `holdings` stand in the order of `pool.legs`; an isolated pool has one."""

    name: str  # "USDT cross", or "BTC/USDT:USDT long isolated".
    pool: MarginPool
    holdings: tuple[Holding, ...]

    @property
    def is_isolated(self) -> bool:
        return self.pool.margin_mode is MarginMode.ISOLATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All pools of one account that can be modelled. `gaps` names what cannot, and why."""

    pools: tuple[BookPool, ...]
    gaps: tuple[Gap, ...] = ()

    def holdings(self) -> Iterator[Holding]:
        """Yield every holding, pool by pool."""
        for pool in self.pools:
            yield from pool.holdings


def isolated_book_pool(holding: Holding, pool: MarginPool) -> BookPool:
    """Return the pool of one that an isolated holding is."""
    return BookPool(name=f"{holding.key} isolated", pool=pool, holdings=(holding,))


def cross_book_pool(holdings: tuple[Holding, ...], pool: MarginPool) -> BookPool:
    """Return a cross pool with its holdings, in the order of its legs."""
    return BookPool(name=pool_name(pool.currency, pool.wallet), pool=pool, holdings=holdings)


def book_of(assessment: AccountAssessment) -> Book:
    """Return the modelled pools of a live account; cross pools without positions too, for their money is at stake."""
    rows = assessment.positions
    isolated = [
        isolated_book_pool(Holding(position=row.position, leg=row.leg), row.pool)
        for row in rows
        if row.position.margin_mode is MarginMode.ISOLATED and row.leg is not None and row.pool is not None
    ]
    cross = []
    for figures in assessment.pools:
        if figures.pool is None:
            continue
        members = (row for row in rows if row.pool_name == figures.name and row.leg is not None)
        held = tuple(Holding(position=row.position, leg=row.leg) for row in members if row.leg is not None)
        cross.append(cross_book_pool(held, figures.pool))
    return Book(pools=(*cross, *isolated), gaps=assessment.gaps)
