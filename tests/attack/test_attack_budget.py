"""Limits, when what they are counted by changes under them: names, clocks, and a journal that does not answer."""

from datetime import timedelta
from decimal import Decimal

import pytest
from attack_kit import BREACHED, RULES, one_long, world

from guard.demo.exchange import Fault, FaultKind
from guard.demo.exchange.ledger import MarginChangeRow
from guard.errors import JournalError
from guard.snapshot import Side

TIGHT = RULES.replace('max_per_day = "5000"', 'max_per_day = "1300"\ncooldown = "0s"')
LIMIT = Decimal(1_300)
LOWER = Decimal(49_000)  # Breached again after a first top-up of 1,211.53.


async def test_a_rule_with_a_new_name_does_not_get_its_day_anew(tmp_path):
    async with world(tmp_path, rules=TIGHT) as here:
        async with here.run() as run:
            await run.watch.cycle()
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await run.watch.cycle()
            assert len(here.moved()) == 1
        here.rewrite('name = "shield"', 'name = "armour"')
        async with here.run() as run:
            here.exchange.set_mark("BTCUSDT", LOWER)
            await run.watch.cycle()
            await run.watch.cycle()
        assert sum(here.moved()) <= LIMIT


def _two(exchange, account):
    one_long(exchange, account)
    exchange.open_position(account, symbol="ETHUSDT", side=Side.LONG, quantity=Decimal(10), leverage=5)


@pytest.mark.parametrize("fault", [None, FaultKind.LOSE_AFTER])
@pytest.mark.parametrize("nth", range(1, 9))
async def test_a_journal_that_fails_one_read_does_not_let_a_limit_be_passed(tmp_path, nth, fault):
    async with world(tmp_path, build=_two, rules=TIGHT) as here, here.run() as run:
        await run.watch.cycle()
        real, calls = run.journal.memory, 0

        def memory(*arguments):
            nonlocal calls
            calls += 1
            if calls == nth:
                raise JournalError("cannot read the journal: disk I/O error")
            return real(*arguments)

        run.journal.memory = memory
        if fault is not None:
            here.exchange.faults.add(Fault(kind=fault, method="POST", path="/positionMargin", times=1))
        here.exchange.set_marks({"BTCUSDT": BREACHED, "ETHUSDT": Decimal(2_600)})
        await run.watch.cycle()
        assert sum(here.moved()) <= LIMIT
        assert here.posts() <= 1


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("back_again", [False, True])
async def test_a_wall_clock_that_steps_a_day_forth_frees_no_budget(tmp_path, restarted, back_again):
    async with world(tmp_path, rules=TIGHT) as here:
        async with here.run() as run:
            await run.watch.cycle()
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await run.watch.cycle()
            assert len(here.moved()) == 1
            await _step(here, run, timedelta(hours=25))
            if back_again:
                await _step(here, run, timedelta(0))
            if not restarted:
                here.exchange.set_mark("BTCUSDT", LOWER)
                await run.watch.cycle()
                await run.watch.cycle()
        if restarted:
            here.exchange.set_mark("BTCUSDT", LOWER)
            async with here.run() as run:
                await run.watch.cycle()
                await run.watch.cycle()
        assert sum(here.moved()) <= LIMIT


async def _step(here, run, off_by):
    """Set our clock; the exchange keeps its own."""
    here.exchange.faults.clear()
    here.clock.off_by = off_by
    await run.watch.cycle()


async def test_an_exchange_whose_clock_differs_by_two_seconds_is_still_spent_on(tmp_path):
    for seconds in (-2.0, 2.0):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        async with world(folder) as here:
            here.exchange.faults.add(Fault(kind=FaultKind.CLOCK_SKEW, seconds=seconds))
            async with here.run() as run:
                await run.watch.cycle()
                here.exchange.set_mark("BTCUSDT", BREACHED)
                await run.watch.cycle()
                assert len(here.moved()) == 1, seconds


async def test_a_write_that_is_refused_for_our_clock_is_made_at_the_next_try(tmp_path):
    async with world(tmp_path, rules=TIGHT) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        here.exchange.faults.add(Fault(kind=FaultKind.CLOCK_SKEW, seconds=2.0))  # Reads bear it, the write does not.
        await run.watch.cycle()
        assert [intent.state.value for intent in run.journal.intents()] == ["refused"]
        run.watch._actor._refused.clear()  # Five seconds later.
        await run.watch.cycle()
        assert len(here.moved()) == 1
        assert here.posts() == 2


async def test_a_position_older_than_the_history_is_not_taken_for_a_new_one_because_it_was_traded_in(tmp_path):
    """Half of it went out and came back twice: 6,000 of margin came in through trades, 6,000 is its initial margin."""

    def old(exchange, account):
        one_long(exchange, account)
        account.margin_changes.clear()
        for days, change_type in ((9, 2), (8, 1), (7, 2), (6, 1)):
            account.margin_changes.append(
                MarginChangeRow(
                    symbol="BTCUSDT",
                    position_side="BOTH",
                    change_type=change_type,
                    delta_type="TRADE",
                    amount=Decimal(3_000),
                    at=exchange.now() - timedelta(days=days),
                )
            )

    async with world(tmp_path, build=old) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        assert here.posts() == 0
        assert "watching only" in run.row().withheld.text


async def test_the_first_cycle_on_a_journal_without_a_past_spends_on_who_has_budget_left(tmp_path):
    """BTC used its budget up before the journal was lost. Not one dollar of that is planned anew, so ETH gets its own."""
    async with world(tmp_path, build=_two, rules=RULES.replace("3000", "1300")) as here:
        async with here.run() as run:
            await run.watch.cycle()
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await run.watch.cycle()
            assert len(here.moved()) == 1
        for file in tmp_path.glob("journal.db*"):
            file.unlink()
        here.rewrite('max_per_day = "5000"', 'max_per_day = "2600"')
        here.exchange.set_marks({"BTCUSDT": LOWER, "ETHUSDT": Decimal(2_600)})
        async with here.run() as run:
            await run.watch.cycle()
            assert "max_per_position" in run.row("BTC/USDT:USDT").withheld.text
            assert run.told("refused") == [one for one in run.told("refused") if one.symbol == "BTC/USDT:USDT"]
            assert len(here.moved()) == 2
