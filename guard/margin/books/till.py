"""The pools of a book while an order is filled, and the money that changes hands."""

from dataclasses import dataclass
from decimal import Decimal

from guard.margin.added_margin import with_margin
from guard.margin.arithmetic import ZERO
from guard.margin.books.book import BookPool, Holding
from guard.margin.books.moves import as_isolated, cross_index, empty_cross_pool, own_balance, with_holdings
from guard.margin.present import PresentPool
from guard.snapshot import PositionKey


@dataclass(slots=True, kw_only=True)
class Till:
    """It changes while the order is filled. Amounts are in `currency`, the order's settle currency."""

    pools: list[BookPool]
    currency: str
    available: Decimal | None  # The exchange's own figure. None: an account written by hand, or no longer known.
    wallet: str = ""  # By its name, which wallet of the currency pays.
    taken: Decimal | None = ZERO
    released: Decimal = ZERO
    realized: Decimal = ZERO
    is_available_known: bool = True

    def spendable(self) -> Decimal | None:
        """Return what an order may take. None: nobody knows."""
        if self.available is not None or not self.is_available_known:
            return self.available
        index = cross_index(self.pools, self.currency, self.wallet)
        if index is None:
            return ZERO
        now = PresentPool(self.pools[index].pool)
        return max(ZERO, min(own_balance(now.pool, self.currency), now.excess))

    def move_available(self, amount: Decimal | None) -> None:
        """Note what an order takes of the exchange's figure, or gives back. None: nobody knows how much."""
        if self.available is not None and amount is None:
            self.available, self.is_available_known = None, False
        elif self.available is not None and amount is not None:
            self.available = max(ZERO, self.available + amount)

    def pay(self, amount: Decimal) -> None:
        """Put money into the wallet that backs the cross positions (negative: take it)."""
        if not amount:
            return
        index = self._wallet()
        pool = self.pools[index]
        self.pools[index] = with_holdings(with_margin(pool.pool, amount, self.currency), pool.holdings)

    def put_into_cross(self, holding: Holding) -> None:
        index = self._wallet()
        pool = self.pools[index]
        self.pools[index] = with_holdings(pool.pool, (*pool.holdings, holding))

    def find(self, key: PositionKey) -> tuple[int, int] | None:
        """Return where a position is: the index of its pool, and its place in it."""
        places = ((at, place) for at, pool in enumerate(self.pools) for place in range(len(pool.holdings)))
        return next((spot for spot in places if self.pools[spot[0]].holdings[spot[1]].key == key), None)

    def holding(self, key: PositionKey) -> Holding | None:
        spot = self.find(key)
        return None if spot is None else self.pools[spot[0]].holdings[spot[1]]

    def replace_holding(self, spot: tuple[int, int], now: Holding | None, wallet: Decimal | None) -> None:
        """Put another holding in one's place; None: it is gone. `wallet`: its own margin then, if it is isolated."""
        at, place = spot
        pool = self.pools[at]
        if not pool.is_isolated:
            kept = list(pool.holdings)
            kept[place : place + 1] = [] if now is None else [now]
            self.pools[at] = with_holdings(pool.pool, kept)
        elif now is None:
            del self.pools[at]
        else:
            assert wallet is not None, "an isolated position has a margin"
            self.pools[at] = as_isolated(now, wallet)

    def _wallet(self) -> int:
        index = cross_index(self.pools, self.currency, self.wallet)
        if index is None:
            self.pools.insert(0, empty_cross_pool(self.currency, self.wallet))
            return 0
        return index
