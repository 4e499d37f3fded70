"""A thousand real SIGKILLs of the real daemon in mid-air, and the proof that a design that loses money shows here."""

import asyncio
import itertools
import os

import pytest
from kill_kit import Tally, barracks, besiege

KILLS = int(os.environ.get("KILLS", "1000"))  # A release wants 20,000: KILLS=20000 pytest ...
AT_ONCE = 3  # Sieges: while one waits for the disk or the fence, another is killed.
EACH_STATE_MIN = KILLS // 100  # Or the moments are badly chosen.


async def _sieges(folder, *, kills, mutant=None):
    """Besiege until so many kills are made; with a mutant, until it is caught."""
    tally, seeds = Tally(), itertools.count()
    folder.mkdir(exist_ok=True)

    async def one_after_the_other(quarters):
        while tally.kills < kills and not (mutant and tally.violations):
            seed = next(seeds)
            await besiege(folder / str(seed), quarters, tally, seed=seed, enough=kills, fail_fast=mutant is not None)

    async with barracks(folder / "log", mutant) as quarters:
        await asyncio.gather(*(one_after_the_other(quarters) for _ in range(1 if mutant else AT_ONCE)))
    return tally


@pytest.mark.timeout(900 + KILLS)
def test_a_thousand_kills_never_move_margin_twice_pass_no_limit_and_leave_nothing_open(tmp_path):
    tally = asyncio.run(_sieges(tmp_path, kills=KILLS))
    print(tally)  # noqa: T201 - the figures of CI.
    assert tally.violations == [], (tmp_path / "log").read_text()[-2_000:]
    assert tally.kills >= KILLS
    assert tally.effects > KILLS / 5, "the kills came too early to prove anything"
    assert tally.at_limit > tally.sieges / 2, "the limit was hardly ever near"
    assert min(tally.left[state] for state in ("planned", "sent", "unknown", "applied")) >= EACH_STATE_MIN, tally


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", ["journal_after_send", "no_recovery", "retry_on_error", "error_is_rejected"])
def test_a_design_that_loses_money_is_caught_by_the_kills(tmp_path, mutant):
    tally = asyncio.run(_sieges(tmp_path, kills=100, mutant=mutant))
    print(f"{mutant}: {tally}")  # noqa: T201 - the figures of CI.
    assert tally.violations, f"{mutant} survived {tally.kills} kills: they prove nothing"
