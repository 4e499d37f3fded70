"""Whose budget and whose effect it is when a position is closed and opened again, and what nobody can see of that."""

from decimal import Decimal

import pytest
from attack_kit import BREACHED, RULES, one_long, world

from guard.demo.exchange import Fault, FaultKind
from guard.policy.decision import WithheldReason
from guard.snapshot import Side

NEEDED = Decimal("1211.53")
WIDE = RULES.replace('max_per_day = "5000"', 'max_per_day = "5000"\ncooldown = "0s"')


def _reopen(here, *, entry=None, side=Side.LONG):
    """Close the position and open one of the same size in the same instant, as a trader's bot does."""
    here.exchange.close_position(here.account, "BTCUSDT", Side.LONG)
    here.exchange.open_position(
        here.account, symbol="BTCUSDT", side=side, quantity=Decimal("0.5"), leverage=5, entry_price=entry
    )


async def test_what_was_reopened_between_two_looks_goes_on_with_the_budget_that_was_spent(tmp_path):
    """No look can tell it from a position that was added to and reduced: by the rules, neither resets anything."""
    async with world(tmp_path, rules=WIDE) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        assert here.moved() == [NEEDED]
        (before,) = run.journal.memory("main", here.clock()).lives.values()
        _reopen(here)
        await run.watch.cycle()
        (after,) = run.journal.memory("main", here.clock()).lives.values()
        assert run.row().figures.position.entry_price == BREACHED
        assert (after.life_id, after.spent) == (before.life_id, NEEDED)
        assert after.birth_distance == before.birth_distance


async def test_a_gap_of_two_looks_ends_the_life_and_what_opens_then_is_a_new_one_that_inherits(tmp_path):
    async with world(tmp_path, rules=WIDE) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        (before,) = run.journal.memory("main", here.clock()).lives.values()
        here.exchange.close_position(here.account, "BTCUSDT", Side.LONG)
        for _ in range(3):
            await run.watch.cycle()
        assert run.journal.memory("main", here.clock()).lives == {}
        one_long(here.exchange, here.account)
        await run.watch.cycle()
        (after,) = run.journal.memory("main", here.clock()).lives.values()
        assert after.life_id != before.life_id
        assert after.spent == NEEDED


async def test_a_side_that_flipped_between_two_looks_is_a_new_life_without_the_old_ones_spending(tmp_path):
    async with world(tmp_path, rules=WIDE) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        (before,) = run.journal.memory("main", here.clock()).lives.values()
        _reopen(here, side=Side.SHORT)
        await run.watch.cycle()
        (after,) = run.journal.memory("main", here.clock()).lives.values()
        assert after.life_id != before.life_id
        assert (after.key.side, after.spent) == (Side.SHORT, 0)


def _said_done_and_not_done(here, times):
    body = '{"code": 200, "amount": AMOUNT, "msg": "", "type": 1}'.replace("AMOUNT", str(NEEDED))
    here.exchange.faults.add(
        Fault(kind=FaultKind.ANSWER, method="POST", path="/positionMargin", body=body, status=200, times=times)
    )


async def _step(here, run):
    run.watch.reader._marks.clear()
    await run.watch.cycle()


async def test_two_acts_that_are_confirmed_and_change_nothing_stop_acting_on_that_position(tmp_path):
    async with world(tmp_path, rules=WIDE) as here, here.run() as run:
        await run.watch.cycle()
        _said_done_and_not_done(here, None)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        for _ in range(4):
            await _step(here, run)
        assert here.posts() == 2
        assert here.moved() == []
        assert run.row().withheld.reason is WithheldReason.NO_EFFECT


async def test_an_effect_that_could_not_be_read_back_at_once_is_judged_with_the_next_look(tmp_path):
    async with world(tmp_path, rules=WIDE) as here, here.run() as run:
        await run.watch.cycle()
        _said_done_and_not_done(here, None)
        # The look after the act fails, each time.
        for after in (1, 2):
            here.exchange.faults.add(
                Fault(kind=FaultKind.REJECT, path="/positionRisk", code=-1000, after=after, times=1)
            )
        here.exchange.set_mark("BTCUSDT", BREACHED)
        for _ in range(5):
            await _step(here, run)
        assert here.posts() == 2
        assert run.row().withheld.reason is WithheldReason.NO_EFFECT


@pytest.mark.parametrize("entry", [None, Decimal(53_000)])
async def test_a_position_that_was_reopened_while_it_was_helped_is_not_blamed_for_the_missing_margin(tmp_path, entry):
    async with world(tmp_path, rules=WIDE) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        real = run.watch.reader.venue.add_margin

        async def add_margin(request):
            said = await real(request)
            _reopen(here, entry=entry)
            return said

        run.watch.reader.venue.add_margin = add_margin
        await run.watch.cycle()
        (life,) = run.journal.memory("main", here.clock()).lives.values()
        assert life.misses == 0


async def test_what_the_budget_cannot_save_is_said_before_anything_is_spent(tmp_path):
    async with world(tmp_path, rules=RULES.replace('"3000"', '"300"')) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        assert run.row().withheld.text.startswith("your budget cannot save this")
        assert here.posts() == 0
