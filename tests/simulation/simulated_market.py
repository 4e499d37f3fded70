"""Prices that fall, jump and recover: one path per coin, drawn from the seed, one step a second."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

COINS = {"BTC": Decimal(60_000), "ETH": Decimal(3_000), "SOL": Decimal(150)}
TICKS = {"BTC": Decimal("0.1"), "ETH": Decimal("0.01"), "SOL": Decimal("0.001")}


@dataclass(frozen=True, kw_only=True)
class Phase:
    seconds: int
    move: float  # Of the logarithm of the price, towards danger, over the whole phase.
    noise: float  # Standard deviation of one second.


class Market:
    """Mark prices of all coins. `towards` is +1 where danger lies above, -1 where it lies below."""

    def __init__(self, dice: random.Random, towards: Mapping[str, int], path: Sequence[Phase] = ()) -> None:
        self._dice = dice
        self._towards = towards
        self._second = 0
        self._logs = dict.fromkeys(COINS, 0.0)
        self._paths = {coin: _seconds_of(path or _drawn(dice)) for coin in COINS}
        self.is_frozen = False
        self.prices = dict(COINS)

    def step(self) -> None:
        """Move every price by one second."""
        if self.is_frozen:
            return
        common = self._dice.gauss(0, 1)
        for coin, start in COINS.items():
            phase = self._paths[coin][min(self._second, len(self._paths[coin]) - 1)]
            shock = phase.noise * (0.6 * common + 0.8 * self._dice.gauss(0, 1))
            self._logs[coin] += self._towards[coin] * phase.move / phase.seconds + shock
            exact = start * Decimal(math.exp(self._logs[coin]))
            self.prices[coin] = exact.quantize(TICKS[coin])
        self._second += 1

    def jump(self, coin: str, share: float) -> None:
        """Move one coin at once, towards danger."""
        self._logs[coin] += self._towards[coin] * share


def _drawn(dice: random.Random) -> list[Phase]:
    noise = dice.choice((0.0001, 0.0003, 0.0006))
    return [
        Phase(seconds=dice.randint(10, 90), move=0.0, noise=noise),
        Phase(seconds=dice.randint(20, 200), move=dice.uniform(0.03, 0.08), noise=noise),
        Phase(seconds=dice.randint(30, 200), move=dice.uniform(-0.03, 0.08), noise=noise),
        Phase(seconds=dice.randint(30, 200), move=dice.uniform(-0.08, 0.10), noise=noise),
    ]


def _seconds_of(path: Sequence[Phase]) -> list[Phase]:
    return [phase for phase in path for _ in range(phase.seconds)]
