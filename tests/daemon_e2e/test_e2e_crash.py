"""`guard run` as its own process, ended as power cuts and service managers end it."""

import asyncio
import json
import random
import signal
from decimal import Decimal

import pytest
from daemon_kit import BREACHED, NEEDED, POSITIONS, SHIELD, Played, call, guard, name_of, until, world

from guard.demo.exchange import Fault, FaultKind

MARK = ("GET", "/fapi/v1/premiumIndex")
BUDGET = Decimal(1_500)  # Ten acts of 150.
# It promises ten seconds. A busy machine may take longer over them; the exchange would hang for sixty.
ITS_OWN_STOP_S = 30
pytestmark = pytest.mark.timeout(180)  # Twenty starts of a real process, on whatever machine this is.


async def _is_reading(here):
    before = here.exchange.requests.get(POSITIONS, 0)
    await until("it reads", lambda: here.exchange.requests.get(POSITIONS, 0) > before + 1, within_s=40)


async def a_lost_answer_then_kill_9_then_a_restart_is_one_movement_settled_as_applied_and_told(folder):
    async with world(folder) as here:
        # The history hangs as well, so that the process dies before it can learn how its request ended.
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_AFTER, path="/positionMargin", method="POST", times=1))
        async with guard(here, "run") as process:
            await until("it has judged, and so has read the history that it starts with", lambda: here.messages)
            here.exchange.faults.add(Fault(kind=FaultKind.SLOW, path="/positionMargin/history", seconds=30))
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await until("the money has moved", here.moved)
            await process.kill()
        assert here.states()[0] in {"sent", "unknown"}
        here.exchange.faults.clear()
        async with guard(here, "run") as process:
            await until("the end is told", lambda: here.told("unknown_outcome", "resolved"), within_s=40)
            await _is_reading(here)
            assert await process.terminate() == 0
        assert here.moved() == [NEEDED]
        assert here.posts() == 1
        assert here.states() == ["applied"]
        (told,) = here.told("unknown_outcome", "resolved")
        assert told["alert"] == here.intents()[0].intent_id
        assert told["title"].startswith(f"SETTLED: {NEEDED:,} USDT was added")


async def however_often_it_is_killed_in_a_falling_market_the_books_agree_and_the_limit_holds(folder):
    rules = SHIELD.replace('"3000"', f'"{BUDGET}"\nmax_per_action = "150"\ncooldown = "0s"\nwhen_short = "spend"')
    moments = random.Random(20251010)  # noqa: S311 - moments to be killed at, no secret.
    async with world(folder, rules=rules) as here:
        falling = asyncio.create_task(_fall(here))
        left_open = 0
        for kind in (
            FaultKind.SLOW,
            FaultKind.LOSE_AFTER,
            FaultKind.SLOW,
            FaultKind.LOSE_AFTER,
            FaultKind.LOSE_BEFORE,
        ) * 3:
            here.exchange.faults.clear()
            here.exchange.faults.add(Fault(kind=kind, path="/positionMargin", method="POST", seconds=0.1))
            await _run_until(here, moments.uniform(0, 0.15))
            left_open += here.states()[-1:] in (["sent"], ["unknown"])
            assert sum(here.moved()) <= BUDGET
        falling.cancel()
        here.exchange.faults.clear()
        async with guard(here, "run") as process:
            await until("all is settled", lambda: not {"planned", "sent", "unknown"} & set(here.states()), within_s=40)
            await process.terminate()
        assert here.books_agree()
        assert here.posts() <= len(here.intents())
        assert BUDGET - 300 <= sum(here.moved()) <= BUDGET, "near its limit, or it proves nothing"
        assert left_open > 3, "the kills came too late to prove anything"


async def _run_until(here, after_s):
    """Kill it so long after its first write, or, where it has to settle first, after its first three cycles.

    In the first it reads the positions twice: once more to know whose margin history it asks for.
    """
    writes, reads = here.posts(), here.exchange.requests.get(POSITIONS, 0)
    async with guard(here, "run") as process:
        await until(
            "it writes or reads",
            lambda: here.posts() > writes or here.exchange.requests.get(POSITIONS, 0) > reads + 3,
            within_s=40,
        )
        await asyncio.sleep(after_s)
        await process.kill()


async def _fall(here):
    """Fall so that 8 % is breached again and again, and the position is never lost."""
    while True:
        (held,) = here.account().positions.values()
        liquidation = (30_000 - held.isolated_wallet) / Decimal("0.498")
        here.exchange.set_mark("BTCUSDT", round(liquidation / Decimal("0.93"), 2))
        await asyncio.sleep(0.05)


async def sigterm_during_a_hanging_read_ends_it_at_once_enough_with_status_0(folder):
    async with world(folder, timeout_ms=60_000) as here, guard(here, "run") as process:
        await _is_reading(here)
        here.exchange.faults.add(Fault(kind=FaultKind.SLOW, path="/positionRisk", seconds=60))
        before = here.exchange.requests[POSITIONS]
        await until("a read hangs", lambda: here.exchange.requests[POSITIONS] > before)
        async with asyncio.timeout(ITS_OWN_STOP_S):
            assert await process.terminate() == 0
        said = await process.said()
        assert '"unfinished": ["main"]' in said
        assert '"level": "error"' not in said


async def sigterm_during_a_hanging_write_leaves_an_open_intent_that_the_next_start_settles(folder):
    async with world(folder, timeout_ms=60_000) as here:
        async with guard(here, "run") as process:
            await _is_reading(here)
            here.exchange.faults.add(Fault(kind=FaultKind.SLOW, path="/positionMargin", method="POST", seconds=60))
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await until("the write hangs", lambda: here.posts() == 1)
            async with asyncio.timeout(ITS_OWN_STOP_S):
                assert await process.terminate() == 0
        assert here.states()[0] in {"sent", "unknown"}
        here.exchange.faults.clear()
        async with guard(here, "run"):
            await until("the first is settled", lambda: here.states()[0] == "not_applied", within_s=40)
            await until("the second is made", lambda: here.states()[1:] == ["applied"], within_s=40)
        assert here.moved() == [NEEDED]
        assert here.posts() == 2


async def a_process_that_stood_still_before_it_sent_looks_again_and_sends_once(folder):
    async with world(folder, timeout_ms=60_000) as here, guard(here, "run") as process:
        await _is_reading(here)
        here.exchange.faults.add(Fault(kind=FaultKind.SLOW, path=MARK[1], seconds=0.5, times=1))
        before = here.exchange.requests.get(MARK, 0)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it asks for the mark to send by", lambda: here.exchange.requests.get(MARK, 0) > before)
        process.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(7)  # The answer is there long before; what was read is older than money may move on.
        assert here.posts() == 0
        process.process.send_signal(signal.SIGCONT)
        await until("it sends", here.moved)
        await until("it is told", lambda: here.told("action"))
        (intent,) = here.intents()
        ages = json.loads(intent.facts_before)["data_ages_s"]
        assert max(ages.values()) <= 5
        assert here.posts() == 1


async def a_second_daemon_on_one_journal_leaves_with_69_and_names_the_first(folder):
    async with world(folder) as here, guard(here, "run") as first:
        await _is_reading(here)
        status, said = await call(here, "run")
        assert status == 69
        assert f"pid {first.pid}" in said
        await _is_reading(here)
        assert await first.terminate() == 0


async def once_acts_waits_for_a_lost_answer_tells_all_and_leaves_with_0(folder):
    async with world(folder) as here:
        here.exchange.set_mark("BTCUSDT", BREACHED)
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, path="/positionMargin", method="POST", times=1))
        status, said = await call(here, "run", "--once")
        assert status == 0, said
        assert here.states()[0] == "not_applied"
        assert here.kinds()[-1] != ("unknown_outcome", "fired")
        assert ("unknown_outcome", "resolved") in here.kinds()
        assert here.books_agree()


STORIES = [
    a_lost_answer_then_kill_9_then_a_restart_is_one_movement_settled_as_applied_and_told,
    however_often_it_is_killed_in_a_falling_market_the_books_agree_and_the_limit_holds,
    sigterm_during_a_hanging_read_ends_it_at_once_enough_with_status_0,
    sigterm_during_a_hanging_write_leaves_an_open_intent_that_the_next_start_settles,
    a_process_that_stood_still_before_it_sent_looks_again_and_sends_once,
    a_second_daemon_on_one_journal_leaves_with_69_and_names_the_first,
    once_acts_waits_for_a_lost_answer_tells_all_and_leaves_with_0,
]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return Played(STORIES, tmp_path_factory.mktemp("crash"))


@pytest.mark.parametrize("story", STORIES, ids=name_of)
def test_no_crash_costs_money_or_memory(played, story):
    assert played(story)
