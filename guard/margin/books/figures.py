"""A book with all of its figures: every pool as it stands, isolated ones too."""

from dataclasses import dataclass, replace
from decimal import Decimal

from guard.margin.arithmetic import ZERO, exact
from guard.margin.assess import cross_figures
from guard.margin.books.book import Book, BookPool
from guard.margin.cross import modelled_pool
from guard.margin.figures import PoolFigures, PositionFigures
from guard.margin.position import isolated_position
from guard.margin.present import PresentPool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """One pool of a book. `positions` stand in the order of its holdings."""

    book_pool: BookPool
    figures: PoolFigures
    positions: tuple[PositionFigures, ...]

    @property
    def capital_at_risk(self) -> Decimal:
        """Return what a liquidation takes of what is there now, in the pool's currency: its margin balance.

        Isolated: margin and profit of the one. Cross: of the whole wallet. Zero where nothing leans on it, or is left.
        """
        return max(ZERO, self.figures.margin_balance or ZERO) if self.positions else ZERO

    @property
    def margin(self) -> Decimal:
        """Return an isolated pool's margin, without profit or loss so far, in its currency."""
        return self.book_pool.pool.collateral[0].wallet_balance

    @property
    def free(self) -> Decimal:
        """Return what no position leans on, in the pool's currency: all above its requirement where none does."""
        balance, requirement = self.figures.margin_balance, self.figures.requirement
        if self.positions or balance is None or requirement is None:
            return ZERO
        return max(ZERO, balance - requirement)


@exact
def state_of(book_pool: BookPool) -> PoolState:
    """Return all figures of one pool. What only an exchange knows of it (`available`, `equity`) is None."""
    held = [holding.position for holding in book_pool.holdings]
    if not book_pool.is_isolated:
        rows, figures = cross_figures(book_pool.pool, held, None)
        return PoolState(book_pool=book_pool, figures=figures, positions=tuple(rows))
    row = isolated_position(held[0], book_pool.pool.legs[0], book_pool.pool)
    figures = modelled_pool(PresentPool(book_pool.pool), [row], None)
    return PoolState(book_pool=book_pool, figures=replace(figures, name=book_pool.name), positions=(row,))


def states_of(book: Book) -> tuple[PoolState, ...]:
    """Return the figures of every pool of a book, in its order."""
    return tuple(state_of(book_pool) for book_pool in book.pools)
