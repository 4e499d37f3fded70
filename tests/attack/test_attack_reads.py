"""What is read between two cycles: lists, marks and rows that are late, old or missing."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from attack_kit import BREACHED, one_long, world

from guard.demo.exchange import Fault, FaultKind
from guard.snapshot import MarginMode, Side

ETH = "ETH/USDT:USDT"


async def test_a_breached_position_is_topped_up_once(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        await run.watch.cycle()
        assert len(here.moved()) == here.posts() == 1


def _two(exchange, account):
    one_long(exchange, account)
    exchange.open_position(account, symbol="ETHUSDT", side=Side.LONG, quantity=Decimal(1), leverage=5)


async def test_a_position_whose_side_flips_while_another_is_saved_ends_in_the_next_cycle(tmp_path):
    async with world(tmp_path, build=_two) as here, here.run() as run:
        await run.watch.cycle()
        gone, add_margin = run.key(ETH), run.watch.reader.venue.add_margin

        async def flip_and_add_margin(request):
            here.exchange.close_position(here.account, "ETHUSDT", Side.LONG)
            here.exchange.open_position(
                here.account, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(1), leverage=5
            )
            return await add_margin(request)

        run.watch.reader.venue.add_margin = flip_and_add_margin
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()  # The flip is seen when the effect is read back.
        assert len(here.moved()) == 1
        await run.watch.cycle()
        assert gone not in run.journal.memory("main", here.clock()).lives
        assert not [gap for gap in run.watch.decision.gaps if gap.key == gone]


async def test_two_reads_in_one_cycle_do_not_prove_a_position_gone(tmp_path):
    async with world(tmp_path, build=_two) as here, here.run() as run:
        await run.watch.cycle()
        hidden = run.key(ETH)
        position = here.account.positions.pop(("ETHUSDT", "BOTH"))
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()  # It is missed in the cycle's read, and again when the effect is read back.
        assert len(here.moved()) == 1
        here.account.positions[position.leg] = position
        await run.watch.cycle()
        assert not run.told("vanished")
        assert hidden in run.journal.memory("main", here.clock()).lives


async def test_a_mark_that_the_exchange_dates_a_minute_ago_moves_no_money(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        old = here.clock().timestamp() - 60
        here.exchange.faults.add(
            Fault(kind=FaultKind.BROKEN_ROW, path="/premiumIndex", name="time", value=str(int(old * 1000)))
        )
        await run.watch.cycle()
        assert here.posts() == 0
        here.exchange.faults.clear()
        await run.watch.cycle()
        assert here.posts() == 1


async def test_a_cross_position_whose_row_is_broken_keeps_its_wallet_from_being_spent(tmp_path):
    """4,000 stay free, and 30,000 of cross notional lean on them: without 1,212 of it that pool would be in danger."""

    def hedged_by_cross(exchange, account):
        one_long(exchange, account)
        exchange.open_position(
            account,
            symbol="ETHUSDT",
            side=Side.LONG,
            quantity=Decimal(10),
            leverage=10,
            margin_mode=MarginMode.CROSS,
        )

    async with world(tmp_path, build=hedged_by_cross, wallet=9_500) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        assert here.posts() == 0, "cross comes first"
        here.exchange.faults.add(
            Fault(kind=FaultKind.BROKEN_ROW, path="/positionRisk", row=1, name="entryPrice", value="NaN")
        )
        await run.watch.cycle()
        (pool,) = run.watch.decision.pools
        assert pool.figures.pool is None, "a pool without one of its positions is no pool"
        assert here.posts() == 0


async def test_a_write_does_not_wait_for_a_slow_read_until_its_facts_are_old(tmp_path):
    async with world(tmp_path, timeout_ms=10_000) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        here.exchange.faults.add(Fault(kind=FaultKind.SLOW, path="/leverageBracket", seconds=2.0))
        look = run.watch._actor._look_again

        async def look_and_let_another_read_in(key):
            verdict = await look(key)
            reading.append(asyncio.create_task(run.watch.reader.venue.tiers(frozenset())))
            await asyncio.sleep(0.05)
            return verdict

        reading = []
        run.watch._actor._look_again = look_and_let_another_read_in
        await run.watch.cycle()
        await asyncio.gather(*reading)
        assert here.posts() == 0
        assert "held the line for 0.5 s" in run.journal.intents()[0].evidence


async def test_a_pace_that_would_make_a_write_wait_too_long_keeps_it_from_being_sent(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        look = run.watch._actor._look_again

        async def look_and_use_up_the_pace(key):
            verdict = await look(key)
            run.watch.reader.venue._client.gate._free_at = asyncio.get_running_loop().time() + 3
            return verdict

        run.watch._actor._look_again = look_and_use_up_the_pace
        await run.watch.cycle()
        assert here.posts() == 0


async def test_facts_read_before_a_clock_step_are_not_spent_on(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        mark = run.watch.reader.venue.mark

        async def mark_while_the_clock_steps(symbol):
            run.watch.follow_clock(timedelta(0))  # What the service does at a step.
            return await mark(symbol)

        run.watch.reader.venue.mark = mark_while_the_clock_steps
        await run.watch.cycle()
        assert here.posts() == 0
        run.watch.reader.venue.mark = mark
        await run.watch.cycle()
        assert here.posts() == 1


async def test_a_read_during_which_the_clock_is_set_is_made_again(tmp_path):
    """Dated by both clocks it looked 82 s younger than it was, and money was spent on it (simulation, seed 348)."""
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        read, reads = run.watch.reader.venue.snapshot, []

        async def read_while_the_clock_is_set():
            reads.append(await read())
            if len(reads) == 1:
                run.watch.follow_clock(timedelta(seconds=-90))
            return reads[-1]

        run.watch.reader.venue.snapshot = read_while_the_clock_is_set
        await run.watch.cycle()
        assert len(reads) == 2
        assert run.watch.reader.snapshot.positions_read_at == reads[1].positions_read_at


async def test_the_exchanges_clock_is_known_at_once_when_ours_was_set(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.reader.venue.clock_skew()
        run.watch.follow_clock(timedelta(hours=5))
        assert abs(run.watch.reader.venue.skew + timedelta(hours=5)) < timedelta(seconds=1)
