"""An outcome that nobody can find out: it locks its position until the fence, counts for ever, and paralyses nothing."""

import asyncio
from decimal import Decimal

from attack_kit import BREACHED, RULES, world

from guard.demo.exchange import Fault, FaultKind
from guard.journal import IntentState
from guard.policy.decision import WithheldReason

HISTORY = "/positionMargin/history"
NEEDED = Decimal("1211.53")
FENCE_S = 2.0  # Of loopback hosts.
WIDE = RULES.replace('"3000"', '"5000"').replace('max_per_day = "5000"', 'max_per_day = "5000"\ncooldown = "0s"')


def _history_down(here):
    here.exchange.faults.add(Fault(kind=FaultKind.REJECT, path=HISTORY, code=-1000))


def _lose_one(here, kind):
    here.exchange.faults.add(Fault(kind=kind, method="POST", path="/positionMargin", times=1))


async def _lost_without_history(here, run, kind):
    """Let one request's answer be lost while no history answers."""
    await run.watch.cycle()
    _history_down(here)
    _lose_one(here, kind)
    here.exchange.set_mark("BTCUSDT", BREACHED)
    await run.watch.cycle()
    assert [one.state for one in run.journal.intents()] == [IntentState.UNKNOWN]


async def test_after_the_fence_and_two_fresh_reads_a_position_that_needs_it_is_helped_again(tmp_path):
    async with world(tmp_path, rules=WIDE) as here, here.run() as run:
        await _lost_without_history(here, run, FaultKind.LOSE_BEFORE)
        await run.watch.cycle()
        assert run.row().withheld.reason is WithheldReason.OUTCOME_UNKNOWN
        assert here.posts() == 1
        await asyncio.sleep(FENCE_S)
        await run.watch.cycle()
        assert here.posts() == 1, "one read after the fence is not enough"
        await run.watch.cycle()
        assert here.posts() == 2
        again, lost = run.journal.intents()
        assert (lost.state, again.state) == (IntentState.UNKNOWN, IntentState.APPLIED)
        assert again.amount == NEEDED - Decimal("0.01"), "no entry may fit both"
        (life,) = run.journal.memory("main", here.clock()).lives.values()
        assert life.spent == lost.amount + again.amount
        here.exchange.faults.clear()
        run.watch._actor._late_not_before_s = 0.0
        await run.watch.cycle()
        await run.watch.cycle()
        assert [one.state for one in run.journal.intents()] == [IntentState.APPLIED, IntentState.NOT_APPLIED]
        assert here.moved() == [again.amount]
        (life,) = run.journal.memory("main", here.clock()).lives.values()
        assert life.spent == again.amount


async def test_what_was_applied_unseen_is_seen_in_the_position_and_not_added_again(tmp_path):
    async with world(tmp_path, rules=WIDE) as here, here.run() as run:
        await _lost_without_history(here, run, FaultKind.LOSE_AFTER)
        await asyncio.sleep(FENCE_S)
        for _ in range(4):
            await run.watch.cycle()
        assert here.posts() == 1
        assert here.moved() == [NEEDED]
        here.exchange.faults.clear()
        run.watch._actor._late_not_before_s = 0.0
        await run.watch.cycle()
        (intent,) = run.journal.intents()
        assert intent.state is IntentState.APPLIED
        assert len(run.told("unknown_outcome")) == 2


async def test_the_unknown_one_counts_in_every_limit_of_the_next(tmp_path):
    async with world(tmp_path, rules=RULES.replace('"3000"', '"1800"\ncooldown = "0s"')) as here, here.run() as run:
        await _lost_without_history(here, run, FaultKind.LOSE_BEFORE)
        await asyncio.sleep(FENCE_S)
        for _ in range(3):
            await run.watch.cycle()
        assert run.row().withheld.reason is WithheldReason.CANNOT_SAVE
        assert "588.47" in run.row().withheld.text
        assert here.posts() == 1


async def test_the_reserve_holds_as_if_the_unknown_one_had_left_the_wallet(tmp_path):
    rules = WIDE.replace('reserve = "0"', 'reserve = "18300"')
    async with world(tmp_path, rules=rules) as here, here.run() as run:
        await _lost_without_history(here, run, FaultKind.LOSE_BEFORE)
        await asyncio.sleep(FENCE_S)
        for _ in range(3):
            await run.watch.cycle()
        assert run.row().withheld.reason in {WithheldReason.CANNOT_SAVE, WithheldReason.RESERVE}
        assert "reserve" in run.row().withheld.text
        assert here.posts() == 1


async def test_the_next_look_is_at_the_end_of_the_fence_so_that_help_comes_again_at_once(tmp_path):
    async with world(tmp_path, rules=WIDE) as here:
        here.rewrite('calm = "1s", near = "1s"', 'calm = "60s", near = "60s"')
        async with here.run() as run:
            await run.watch.cycle()
            _lose_one(here, FaultKind.LOSE_BEFORE)
            here.exchange.set_mark("BTCUSDT", BREACHED)
            wait = await run.watch.cycle()
            assert 1.0 < wait.total_seconds() <= FENCE_S + 0.5
            await asyncio.sleep(wait.total_seconds())
            assert (await run.watch.cycle()).total_seconds() == 60
            assert here.moved() == [NEEDED]
            assert [one.state for one in run.journal.intents()] == [IntentState.APPLIED, IntentState.NOT_APPLIED]


async def test_a_start_waits_the_fence_out_anew_and_asks_before_it_spends(tmp_path):
    async with world(tmp_path, rules=WIDE) as here:
        async with here.run() as run:
            await _lost_without_history(here, run, FaultKind.LOSE_BEFORE)
        await asyncio.sleep(FENCE_S)
        async with here.run() as run:
            for _ in range(3):
                await run.watch.cycle()
            assert here.posts() == 1
            assert run.journal.intents()[0].locks
