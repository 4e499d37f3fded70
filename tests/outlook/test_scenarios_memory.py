"""A million scenarios need no more room than ten thousand, but for the answer."""

import tracemalloc

import margin_worlds as worlds
import numpy as np
import pytest

from guard.outlook.scenarios import compile_pool, evaluate


def _peak_beside_the_answer(compiled, factors):
    tracemalloc.start()
    outcomes = evaluate(compiled, factors)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - outcomes.margin_balance.nbytes - outcomes.requirement.nbytes - outcomes.liquidated.nbytes


def _misleading(rows):
    """Make all scenarios that a sample could pick calm, so that each of the others comes as a surprise."""
    rows = rows + 2
    rows[:: len(rows) // 128] = 0.5
    return rows


@pytest.mark.parametrize("laid_out", [np.ascontiguousarray, np.asfortranarray, _misleading])
def test_working_memory_does_not_grow_from_ten_thousand_to_a_million_scenarios(laid_out):
    tiers = worlds.table(*((str(30000 + 5000 * step if step else 0), str(0.01 * (step + 1))) for step in range(9)))
    coins = [f"C{number}" for number in range(20)]
    pool = worlds.cross_pool(*(worlds.leg(worlds.contract(coin), tiers=tiers) for coin in coins), wallet="200000")
    compiled = compile_pool(pool, coins)
    factors = np.exp(0.3 * np.random.default_rng(1).standard_normal((1_000_000, 1))) * np.ones((1, 20))

    few, many = (_peak_beside_the_answer(compiled, laid_out(factors[:count])) for count in (10_000, 1_000_000))

    assert many < 1.1 * few
    assert many < 16 * 2**20 < factors.nbytes / 9
