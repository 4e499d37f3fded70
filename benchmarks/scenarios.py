"""Many joint scenarios over a cross pool, beside what the memory of this machine allows.

    python benchmarks/scenarios.py [--pairs 40] [--scenarios 100000]

20 positions on 20 coins, a table of 10 tiers each, notionals from 20 thousand to 30 million, correlated lognormal
moves. The ceiling is a triad `a = b + s*c` over three arrays of as many bytes as the scenarios have (16 MB for
100,000), in numpy and in place. One thread, its CPU time. A pair is ours and, at once after it, the ceiling; shown
are the medians over the pairs, and of the pairs' ratios. `calm`, `crash`, `wild`: deviations of 5, 15 and 30 % a coin.
`jumps`: the same tiers without maintenance amounts. `crowded`: all nine floors within 0.6 to 1.4 times the present
notional, worse than any exchange's. Some of the scenarios are compared with the exact model, and memory is counted.
"""

import os

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import argparse
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from decimal import Decimal

import numpy as np

from guard.margin import Leg, MarginPool, MarginRule, TierTable, margin_balance, pool_requirement
from guard.outlook.compiled_pool import FloatArray
from guard.outlook.scenarios import CompiledPool, compile_pool, evaluate
from guard.snapshot import Collateral, Contract, ContractKind, MarginMode, RiskTier, Side

COINS = tuple(f"C{number:02d}" for number in range(20))
RATES = ("0.004", "0.005", "0.01", "0.025", "0.05", "0.1", "0.125", "0.15", "0.25", "0.5")
FLOORS = (0, 50_000, 250_000, 1_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000, 200_000_000)
CROWDED = (0, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4)  # Times the present notional.
SPREADS = {"calm": 0.05, "crash": 0.15, "wild": 0.30}
MARKET_SHARE = 0.8  # Of each coin's move: a correlation of 0.64.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--scenarios", type=int, default=100_000)
    asked = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, numpy {np.__version__}, load {os.getloadavg()[0]:.1f}")
    print(f"{asked.scenarios:,} scenarios x {len(COINS)} positions, {len(RATES)} tiers each, {asked.pairs} pairs\n")
    print(f"{'pool':<21}{'moves':<7}{'ours ms':>8}{'triad ms':>9}{'ratio':>6}{'ns/leg':>7}{'ends':>7}{'off by':>8}")
    triad = _triad(asked.scenarios * len(COINS))
    for crowded in (False, True):
        for jumping in (False, True):
            pool = _pool(jumping=jumping, crowded=crowded)
            name = f"{'jumps' if jumping else 'continuous'}{', crowded' if crowded else ''}"
            for moves in SPREADS if not crowded else ("crash",):
                _row(name, moves, pool, _factors(SPREADS[moves], asked.scenarios), triad, asked.pairs)
    _memory(_pool(jumping=False, crowded=False))


def _row(  # noqa: PLR0917 - one row of a table.
    name: str, moves: str, pool: MarginPool, factors: FloatArray, triad: Callable[[], None], pairs: int
) -> None:
    compiled = compile_pool(pool, COINS)
    taken = [(_timed(lambda: evaluate(compiled, factors)), _timed(triad)) for _ in range(pairs + 3)][3:]
    ours, ceiling = (statistics.median(column) for column in zip(*taken, strict=True))
    ratio = statistics.median(mine / its for mine, its in taken)
    liquidated = float(evaluate(compiled, factors).liquidated.mean())
    print(
        f"{name:<21}{moves:<7}{ours * 1e3:>8.2f}{ceiling * 1e3:>9.2f}{ratio:>6.2f}{ours / factors.size * 1e9:>7.2f}"
        f"{liquidated:>7.1%}{_furthest_off(pool, compiled, factors):>8.0e}"
    )


def _timed(work: Callable[[], object]) -> float:
    started = time.thread_time()  # What others do on this machine in between is not counted.
    work()
    return time.thread_time() - started


def _triad(numbers: int) -> Callable[[], None]:
    chance = np.random.default_rng(0)
    a, b, c = np.zeros(numbers), chance.random(numbers), chance.random(numbers)

    def triad() -> None:
        np.multiply(c, 1.5, out=a)
        np.add(a, b, out=a)

    return triad


def _factors(spread: float, scenarios: int) -> FloatArray:
    chance = np.random.default_rng(7)
    market, own = chance.standard_normal((scenarios, 1)), chance.standard_normal((scenarios, len(COINS)))
    return np.exp(spread * (MARKET_SHARE * market + (1 - MARKET_SHARE**2) ** 0.5 * own))


def _furthest_off(pool: MarginPool, compiled: CompiledPool, factors: FloatArray) -> float:
    """Return the largest relative difference from the exact model over some of the scenarios."""
    outcomes, furthest = evaluate(compiled, factors), 0.0
    for index in range(0, len(factors), max(1, len(factors) // 30)):
        prices = {coin: Decimal(float(factor)) for coin, factor in zip(COINS, factors[index], strict=True)}
        pairs = (
            (outcomes.margin_balance[index], margin_balance(pool, prices)),
            (outcomes.requirement[index], pool_requirement(pool, prices)),
        )
        furthest = max(furthest, *(abs(float(Decimal(float(ours)) / exact - 1)) for ours, exact in pairs))
    return furthest


def _memory(pool: MarginPool) -> None:
    compiled = compile_pool(pool, COINS)
    print()
    for scenarios in (10_000, 100_000, 1_000_000):
        factors = _factors(SPREADS["crash"], scenarios)
        tracemalloc.start()
        outcomes = evaluate(compiled, factors)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        answer = (
            sum(array.nbytes for array in (outcomes.margin_balance, outcomes.requirement, outcomes.liquidated)) / 2**20
        )
        print(
            f"{scenarios:>9,} scenarios: working memory {peak - answer:.1f} MiB, beside the answer's {answer:.1f} MiB"
        )


# The pool ------------------------------------------------------------------------------------------------------------


def _pool(*, jumping: bool, crowded: bool) -> MarginPool:
    chance = random.Random(1)  # noqa: S311 - the same pool every time.
    legs = tuple(_leg(coin, chance, jumping=jumping, crowded=crowded) for coin in COINS)
    wallet = Collateral(asset="USDT", wallet_balance=Decimal(20_000_000), price=Decimal(1), haircut=Decimal(0))
    return MarginPool(currency="USDT", margin_mode=MarginMode.CROSS, collateral=(wallet,), legs=legs)


def _leg(coin: str, chance: random.Random, *, jumping: bool, crowded: bool) -> Leg:
    notional, mark = 10 ** chance.uniform(4.3, 7.5), Decimal(str(round(10 ** chance.uniform(-1, 4.5), 4)))
    floors = [round(notional * floor) for floor in CROWDED] if crowded else FLOORS
    return Leg(
        contract=Contract(
            symbol=f"{coin}/USDT:USDT", kind=ContractKind.LINEAR, base=coin, settle="USDT", contract_size=Decimal(1)
        ),
        side=chance.choice(tuple(Side)),
        quantity=Decimal(str(round(notional / float(mark), 6))),
        entry_price=mark * Decimal("1.03"),
        mark_price=mark,
        tiers=_tiers(floors, jumping=jumping),
        rule=MarginRule(liquidation_fee_rate=Decimal("0.0006")),
    )


def _tiers(floors: tuple[int, ...] | list[int], *, jumping: bool) -> TierTable:
    tiers, amount, before = [], Decimal(0), Decimal(0)
    for floor, cap, rate in zip(floors, [*floors[1:], 10**12], map(Decimal, RATES), strict=True):
        amount += floor * (rate - before)
        before = rate
        tiers.append(
            RiskTier(
                notional_floor=Decimal(floor),
                notional_cap=Decimal(cap),
                maintenance_margin_rate=rate,
                maintenance_amount=None if jumping else amount,
            )
        )
    return TierTable.of(tiers)


if __name__ == "__main__":
    main()
