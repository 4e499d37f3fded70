"""Where prices go in a stress, and the way there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from guard.margin.arithmetic import ONE, ZERO
from guard.margin.books.book import Book
from guard.margin.books.power_sum import PowerSum
from guard.snapshot import DOLLAR_STABLECOINS

DOLLARS = "USD"  # What prices are counted in: it cannot move.

_STANDS_STILL = PowerSum({ZERO: ONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shock:
    """A move of each coin's dollar price, all of it above -1: -0.15 is a fall by 15 %.

    `market` takes every coin but the dollar stablecoins and those named in `coins` to (1 + market) ** beta of its
    price. A coin has one price: every symbol of it, and what is held of it as collateral, moves alike.
    """

    market: Decimal = ZERO
    coins: Mapping[str, Decimal] = field(default_factory=lambda: MappingProxyType({}))

    def moves(self, coin: str) -> bool:
        """Say whether the coin is one that moves in this shock."""
        return coin in self.coins or (self.market != 0 and coin not in DOLLAR_STABLECOINS)


def betas_of(book: Book) -> Mapping[str, Decimal]:
    """Return each coin's beta. Raises ValueError where two holdings of one coin state different ones."""
    betas: dict[str, Decimal] = {}
    for holding in book.holdings():
        coin = holding.leg.contract.base
        if betas.setdefault(coin, holding.beta) != holding.beta:
            raise ValueError(f"{coin} has two betas, {betas[coin]} and {holding.beta}: a coin has one price")
    return betas


class Path:
    """The way from the present prices (0) to those of a shock (1), all coins at once.

    A named coin goes straight; the market goes straight, and each of its coins as its beta says. Both are sums of
    powers of one variable, `1 + pace x way`.
    """

    def __init__(self, shock: Shock, betas: Mapping[str, Decimal]) -> None:
        self.shock = shock
        self._betas = betas
        self._pace = shock.market or ONE

    def variable(self, way: Decimal) -> Decimal:
        return 1 + self._pace * way

    def way(self, variable: Decimal) -> Decimal:
        return (variable - 1) / self._pace

    def price(self, asset: str) -> PowerSum:
        """Return an asset's dollar price on the way, as a multiple of the present one."""
        move = self.shock.coins.get(asset)
        if move is not None:
            share = move / self._pace
            return PowerSum({ZERO: 1 - share, ONE: share})
        return PowerSum({self._betas.get(asset, ONE): ONE}) if self.shock.moves(asset) else _STANDS_STILL

    def factors(self, assets: Iterable[str], way: Decimal) -> Mapping[str, Decimal]:
        """Return the prices of these assets so far on the way, as multiples of the present ones."""
        variable = self.variable(way)
        return {asset: self.price(asset).at(variable) for asset in assets if self.shock.moves(asset)}
