"""The world itself: the same seed is the same run, time passes only for it, and no fault is left out of it."""

import asyncio
import os
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from run import play_quietly
from simulated_faults import EXCHANGE_WEATHER, Arrival, Fates
from simulated_scenario import draw
from simulated_themes import THEMES, draw_with_theme
from simulated_time import VirtualLoop, World
from test_simulation_seeds import SEEDS

SCRIPT = Path(__file__).with_name("run.py")
BLACKOUT_SEED = 173  # Many requests, deaths and restarts during the blackout.
SEED = 22  # Two accounts or one, a restart and lost answers: whatever it plays, it plays it twice.
START = datetime(2026, 1, 1, tzinfo=UTC)


def trace_in_a_process(hash_seed: str) -> str:
    answer = subprocess.run(
        [sys.executable, SCRIPT, "--seed", str(SEED), "--quiet"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


@pytest.mark.timeout(300)
def test_one_seed_is_one_run_in_every_process():
    here = play_quietly(SEED)
    assert f"trace {here.trace_hash}" in trace_in_a_process("1")
    assert trace_in_a_process("1") == trace_in_a_process("2")


def test_another_seed_is_another_run():
    assert play_quietly(SEED).trace_hash != play_quietly(SEED + 1).trace_hash


def test_an_hour_passes_at_once_and_events_happen_in_its_course():
    world = World(START)
    loop = VirtualLoop(world)
    seen: list[float] = []
    world.after(1800, lambda: seen.append(world.time_s))
    asyncio._set_running_loop(loop)
    try:
        task = loop.create_task(asyncio.sleep(3600))
        while not task.done():
            assert loop.step(1e9)
    finally:
        asyncio._set_running_loop(None)
    assert seen == [1800]
    assert world.time_s == 3600


def test_a_daemon_that_waits_for_nothing_is_noticed():
    loop = VirtualLoop(World(START))
    asyncio._set_running_loop(loop)
    try:
        task = loop.create_task(asyncio.Event().wait())
        while loop.step(1e9):
            pass
        task.cancel()
        loop.step(1e9)
    finally:
        asyncio._set_running_loop(None)
    assert task.cancelled()


def test_the_schedules_leave_no_weather_and_no_event_out():
    scenarios = [draw(seed) for seed in range(120)]
    times = range(0, 480, 2)
    weather = {plan.weather.at(at) for one in scenarios for plan in one.accounts for at in times}
    assert weather == {*EXCHANGE_WEATHER, None}
    events = {kind.split()[0] for one in scenarios for _, kind in one.events}
    assert events == {"foreign", "jump", "restart", "suspend", "clock", "disarm", "second", "lose"}
    assert {len(one.accounts) for one in scenarios} == {1, 2}
    assert any(plan.hedged for one in scenarios for plan in one.accounts)


def test_the_seeds_of_ci_play_every_theme():
    played = {draw_with_theme(seed).theme for seed in range(SEEDS)}
    assert played == {"", *(theme.__name__ for share, theme in THEMES if share)}


@pytest.mark.timeout(300)
def test_for_25_minutes_nothing_can_be_added_while_the_market_falls_and_all_of_it_is_borne():
    scenario = draw_with_theme(BLACKOUT_SEED)
    times = [at for at in range(int(scenario.faults_s)) if scenario.accounts[0].weather.at(at) == "no_adding"]
    assert len(times) >= 25 * 60
    assert sum(phase.move for phase in scenario.path if phase.seconds == 25 * 60) >= 0.04
    played = play_quietly(BLACKOUT_SEED)
    assert not played.violations
    assert played.counts["posts"] > 5  # It goes on trying, and waits between clear noes.


def test_a_write_meets_every_fate():
    scenario = draw(0)
    fates = Fates(random.Random(0), scenario.accounts[0].weather, write_faults=1.0)  # noqa: S311
    drawn = [fates.of_write(1e9) for _ in range(2000)]
    assert {fate.arrival for fate in drawn} == set(Arrival)
    assert {"none", "cut", "html_200", "html_524", "unknown_503", "overload_503"} <= {fate.reply for fate in drawn}
