"""Coins that move together while the rest stands still.

The variable is the factor on the moving prices. Where the pool's own currency is what moves (an inverse pool), it is
one over that factor. Either way it is 1 at the present prices, and every amount of a pool is an amount of some asset:
in the pool's currency it either stands still or is proportional to the variable.
"""

from dataclasses import dataclass

from guard.snapshot import DOLLAR_STABLECOINS


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A coin, or all of them, whose dollar price is multiplied by a factor."""

    coin: str | None  # None: every coin but the dollar stablecoins.

    def takes(self, asset: str) -> bool:
        return asset not in DOLLAR_STABLECOINS if self.coin is None else asset == self.coin

    def scales(self, asset: str, currency: str) -> bool:
        """Return whether an asset's price in a pool's currency is proportional to the variable."""
        return self.takes(asset) != self.takes(currency)


EVERY_COIN = Move(coin=None)


def one_coin(coin: str) -> Move:
    return Move(coin=coin)
