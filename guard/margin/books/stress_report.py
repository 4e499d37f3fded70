"""What a stress found: which pools end on the way to a shock, in which order, and what is left."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from guard.margin.books.shock_path import Shock
from guard.snapshot import PositionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """One pool's liquidation: all of its positions go at this moment. Money is in `currency`."""

    way: Decimal  # How much of the way to the shock was gone: 0.5 is halfway; 0: it is past its liquidation now.
    market_move: Decimal | None  # The market's move at that moment. None: the shock has none.
    moves: Mapping[str, Decimal]  # Of each moving coin that the pool depends on, at that moment.
    pool_name: str
    currency: str
    is_isolated: bool
    keys: tuple[PositionKey, ...]  # The driver first. They go together.
    trigger_coin: str | None  # The coin whose price cost the pool most on the way. None: it was past before any move.
    driver: PositionKey | None  # Its position that lost most. None: past before, or the coin is held as collateral.
    prices: Mapping[str, Decimal]  # The mark of each symbol at that moment.
    lost: Decimal  # The money in the pool, without unrealized profit, at the prices of that moment; never negative.
    only_by_auto_deleveraging: bool  # With its hedges it would have lived through the whole shock.

    @property
    def taken_along(self) -> tuple[PositionKey, ...]:
        """Return the positions in other coins that go because this one coin moved."""
        return tuple(key for key in self.keys if _coin(key) != self.trigger_coin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """A position in profit that auto-deleveraging takes away, and what its end pays into the wallet."""

    key: PositionKey
    pool_name: str
    currency: str
    price: Decimal
    realized: Decimal  # Profit (or loss) at that price.
    released: Decimal  # What an isolated one gives back to the wallet: margin and profit. Zero: cross.
    wallet: str = ""  # By its name, which wallet of the currency.


class Fate(StrEnum):
    ALIVE = "alive"
    DEAD = "dead"
    CLOSED = "closed"  # By auto-deleveraging, all of it.


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOutcome:
    """One pool before and after. Equity counts collateral in full, without haircuts, and unrealized profit."""

    pool_name: str
    currency: str
    is_isolated: bool
    keys: tuple[PositionKey, ...]  # Before.
    fate: Fate
    equity_before: Decimal
    equity_after: Decimal  # Zero once it is dead: what a liquidation leaves the exchange is taken to keep.
    margin_ratio_after: Decimal | None  # None: not alive, or nothing in it.
    distance_left: Decimal | None  # From the shocked prices, the smallest move of one coin or of all. None: no end.


@dataclass(frozen=True, slots=True, kw_only=True)
class StressReport:
    """A book under one shock. `deaths` come in their order on the way; outcomes in the book's."""

    shock: Shock
    auto_deleveraging_at: Decimal | None  # The way at which hedges in profit are closed. None: they are not.
    deaths: tuple[Death, ...]
    closures: tuple[Closure, ...]
    deaths_without_closures: tuple[Death, ...]  # What ends if no hedge is taken away; the same where none is.
    outcomes: tuple[PoolOutcome, ...]
    dollars_before: Decimal | None  # All equity. None: a currency with positions has no price in dollars here.
    dollars_after: Decimal | None
    unpriced: tuple[str, ...]  # Currencies without a price in dollars: their wallets are not in the sums.
    unmoved: tuple[str, ...]  # Coins the shock names and nothing in the book depends on.

    @property
    def dollars_lost(self) -> Decimal | None:
        """Return how much equity is gone in dollars; negative: gained. None: not known."""
        if self.dollars_before is None or self.dollars_after is None:
            return None
        return self.dollars_before - self.dollars_after


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketEnds:
    """By how much the market may move, down and up, before a pool ends. None: no move on that side ends it."""

    pool_name: str
    is_past: bool
    down: Decimal | None
    up: Decimal | None


def _coin(key: PositionKey) -> str:
    return key.symbol.partition("/")[0]
