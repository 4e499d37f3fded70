"""A few seeds of the siege at every exchange, and the proof that it catches what it is for. More seeds: siege.py."""

import pytest
from siege import besiege
from siege_kit import Tally
from siege_mutants import MUTANTS, mutated

SEEDS = 3
SEEDS_TO_CATCH = 12  # Most are caught in the first; each is drawn anew, so that none is chosen for a fault.


@pytest.fixture(autouse=True)
def in_the_table(exchange, record_property):
    record_property("contract", [exchange, "siege"])


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_no_fate_of_its_requests_makes_the_guard_move_money_twice_or_tell_what_is_not_so(
    exchange, seed, tmp_path
):
    tally = Tally()
    await besiege(exchange, tmp_path, tally, seed)
    assert tally.violations == []
    assert tally.intents


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_the_siege_catches_a_guard_with_this_fault(exchange, mutant, tmp_path):
    tally = Tally()
    with mutated(mutant):
        for seed in range(SEEDS_TO_CATCH):
            folder = tmp_path / str(seed)
            folder.mkdir()
            await besiege(exchange, folder, tally, seed, fail_fast=True)
            if tally.violations:
                return
    raise AssertionError(f"it was not caught: {tally}")
