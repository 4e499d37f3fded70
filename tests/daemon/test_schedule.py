"""The schedule keeps its rhythm whatever the wall clock does."""

import asyncio
import itertools
import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from guard.daemon.schedule import Schedule

SECOND = timedelta(seconds=1)


def counting(runs: list[float], every: timedelta = timedelta(seconds=0.2), takes_s: float = 0.0):
    async def run() -> timedelta:
        runs.append(asyncio.get_running_loop().time())
        await asyncio.sleep(takes_s)
        return every

    return run


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(days=-1), timedelta(hours=1), timedelta(days=400)])
async def test_a_wall_clock_that_steps_does_not_delay_a_cycle(step):
    runs: list[float] = []
    schedule = Schedule()
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=True) as traveller:
        schedule.add("main", counting(runs, every=timedelta(seconds=1)), deadline=SECOND, retry_after=SECOND)
        schedule.start()
        await asyncio.sleep(0.3)
        traveller.move_to(start + step, tick=True)
        await asyncio.sleep(4)
        await schedule.drain(SECOND)
    gaps = [later - earlier for earlier, later in itertools.pairwise(runs)]
    assert len(runs) >= 3, "the job stopped at the step"
    assert max(gaps) < 2.6


async def test_a_hung_await_ends_at_its_deadline_and_the_job_comes_again():
    runs: list[float] = []

    async def hang() -> timedelta:
        runs.append(asyncio.get_running_loop().time())
        await asyncio.Event().wait()
        return SECOND

    schedule = Schedule()
    schedule.add("main", hang, deadline=timedelta(seconds=0.2), retry_after=timedelta(seconds=0.1))
    schedule.start()
    await asyncio.sleep(1.5)
    await schedule.drain(SECOND)
    assert len(runs) >= 3


async def test_one_job_that_hangs_delays_no_other():
    slow: list[float] = []
    quick: list[float] = []
    schedule = Schedule()
    schedule.add("slow", counting(slow, takes_s=30), deadline=timedelta(seconds=60), retry_after=SECOND)
    schedule.add("quick", counting(quick), deadline=SECOND, retry_after=SECOND)
    schedule.start()
    await asyncio.sleep(1.5)
    unfinished = await schedule.drain(timedelta(seconds=0.1))
    assert len(slow) == 1
    assert len(quick) >= 4
    assert unfinished == ("slow",)


async def test_runs_of_one_job_never_overlap_and_a_wake_while_running_is_not_lost():
    running = 0
    most = 0
    runs = 0

    async def run() -> timedelta:
        nonlocal running, most, runs
        running, runs = running + 1, runs + 1
        most = max(most, running)
        await asyncio.sleep(0.3)
        running -= 1
        return timedelta(hours=1)

    schedule = Schedule()
    schedule.add("main", run, deadline=SECOND, retry_after=SECOND)
    schedule.start()
    await asyncio.sleep(0.1)
    schedule.wake("main")
    schedule.wake("main")
    await asyncio.sleep(1.2)
    await schedule.drain(SECOND)
    assert most == 1
    assert runs == 2, "one run from the start and one for both wakes"


async def test_a_loop_that_was_blocked_past_the_due_time_still_runs_the_job():
    runs: list[float] = []
    schedule = Schedule()
    schedule.add("main", counting(runs, every=timedelta(seconds=0.5)), deadline=SECOND, retry_after=SECOND)
    schedule.start()
    await asyncio.sleep(0.2)
    time.sleep(2.5)  # noqa: ASYNC251 - the fault under test: a blocked event loop.
    await asyncio.sleep(0.7)
    await schedule.drain(SECOND)
    assert len(runs) >= 2


async def test_a_job_that_raises_comes_again():
    runs = 0
    came_again = asyncio.Event()

    async def fail() -> timedelta:
        nonlocal runs
        runs += 1
        if runs == 3:
            came_again.set()
        raise RuntimeError("bug")

    schedule = Schedule()
    schedule.add("main", fail, deadline=SECOND, retry_after=timedelta(seconds=0.1))
    schedule.start()
    async with asyncio.timeout(30):  # A generous limit: it is only reached when the job never comes again.
        await came_again.wait()
    await schedule.drain(SECOND)


async def test_drain_waits_for_what_runs_and_starts_nothing_more():
    ended: list[bool] = []

    async def run() -> timedelta:
        await asyncio.sleep(0.5)
        ended.append(True)
        return timedelta(0)

    schedule = Schedule()
    schedule.add("main", run, deadline=SECOND, retry_after=SECOND)
    schedule.start()
    await asyncio.sleep(0.1)
    assert await schedule.drain(timedelta(seconds=2)) == ()
    assert ended == [True]


async def test_a_bug_while_a_clock_step_is_handled_does_not_end_the_oversight():
    runs: list[float] = []

    def stumble() -> None:
        raise KeyError("a bug")

    schedule = Schedule(on_clock_step=stumble)
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=True) as traveller:
        schedule.add("main", counting(runs, every=timedelta(seconds=1)), deadline=SECOND, retry_after=SECOND)
        schedule.start()
        await asyncio.sleep(0.3)
        traveller.move_to(start - timedelta(hours=1), tick=True)
        await asyncio.sleep(4)
        await schedule.drain(SECOND)
    assert schedule.clock_steps == 1
    assert len(runs) >= 3, "nobody made up for the step"
