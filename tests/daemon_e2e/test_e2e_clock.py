"""The wall clock of the running daemon steps: how old things are is measured by a clock that nobody sets."""

import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from daemon_kit import BREACHED, POSITIONS, daemon, until, watching, world

from guard.demo.exchange import Fault, FaultKind
from guard.policy.decision import DataState

FAR = timedelta(hours=25)


@pytest.mark.parametrize("step", [FAR, -FAR], ids=["forth", "back"])
async def test_a_step_of_the_wall_clock_makes_what_was_read_no_older(tmp_path, step):
    start, started_s = datetime.now(UTC), time.monotonic()
    with time_machine.travel(start, tick=True) as wall:
        async with world(tmp_path) as here:
            here.exchange._now = lambda: start + timedelta(seconds=time.monotonic() - started_s)  # It does not step.
            async with daemon(here) as guarded:
                await watching(guarded)
                here.exchange.faults.add(Fault(kind=FaultKind.ANSWER, status=502, body="<html>", path=POSITIONS[1]))
                wall.shift(step)
                reads = here.exchange.requests[POSITIONS]
                watch = guarded.service.watches["main"]
                await until("it reads in vain", lambda: here.exchange.requests[POSITIONS] > reads + 3, of=guarded)
                assert watch.decision.state is not DataState.BLIND
                assert timedelta(0) <= watch.reader.snapshot.age(guarded.service._clock()) < timedelta(seconds=60)
                assert here.told("blind") == []
                here.exchange.faults.clear()
                await watching(guarded)


async def test_after_a_pause_of_the_machine_the_account_is_read_at_once_and_money_is_added(tmp_path):
    """Held for a clock that was set, it was said to be 30 s off, and nothing was added until the next measurement."""
    with time_machine.travel(datetime.now(UTC), tick=True) as wall:
        async with world(tmp_path) as here:
            text = here.config.read_text()
            here.config.write_text(text.replace('calm = "1s"', 'calm = "60s"'))
            here.exchange._now = lambda: datetime.now(UTC)  # It went on while the loop's clock stood still.
            async with daemon(here) as guarded:
                await watching(guarded)
                here.exchange.set_mark("BTCUSDT", BREACHED)
                wall.shift(timedelta(seconds=30))
                await until("money is added", here.moved, of=guarded)
                skew = guarded.service.watches["main"].reader.venue.skew
                assert abs(skew) < timedelta(seconds=1)
                assert here.told("refused") == []
