"""Margin that moved without this journal: before it, beside it, or before an old copy of it was put back."""

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from attack_kit import BREACHED, RULES, one_long, world

from guard.daemon import past
from guard.demo.exchange import Fault, FaultKind
from guard.demo.exchange.margin_change import change_position_margin
from guard.policy.decision import WithheldReason
from guard.snapshot import Side
from guard.venues import binance_margin

HISTORY = "/positionMargin/history"
NEEDED = Decimal("1211.53")
TIGHT = RULES.replace('max_per_day = "5000"', 'max_per_day = "1300"\ncooldown = "0s"')
WIDE = RULES.replace('"3000"', '"9000"').replace('max_per_day = "5000"', 'max_per_day = "9000"\ncooldown = "0s"')


def _two(exchange, account):
    one_long(exchange, account)
    exchange.open_position(account, symbol="ETHUSDT", side=Side.LONG, quantity=Decimal(10), leverage=5)


def _by_hand(here, amount, symbol="BTCUSDT"):
    fields = {"symbol": symbol, "amount": str(amount), "type": "1"}
    change_position_margin(here.account, fields, here.exchange.marks, here.exchange.now())


def _lose(here, names=("journal.db", "journal.db-wal", "journal.db-shm")):
    for name in names:
        here.config.with_name(name).unlink(missing_ok=True)


def _mark(here, run, mark, symbol="BTCUSDT"):
    """Move the market as if seconds had passed since the last act: a mark that was asked for holds for three."""
    run.watch.reader._marks.clear()
    here.exchange.set_mark(symbol, Decimal(mark))


def _withheld(run, symbol="BTC/USDT:USDT"):
    return run.row(symbol).withheld


async def test_a_lost_journal_learns_what_went_into_a_position_that_is_closed_since(tmp_path):
    async with world(tmp_path, build=_two, rules=TIGHT) as here:
        _by_hand(here, 1_000, "ETHUSDT")
        here.exchange.close_position(here.account, "ETHUSDT", Side.LONG)
        async with here.run() as run:
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await run.watch.cycle()
            assert _withheld(run).reason is WithheldReason.CANNOT_SAVE
            assert "1,000" in _withheld(run).text
            assert here.posts() == 0
            memory = run.journal.memory("main", here.clock())
            assert (memory.spent_today_by_rule, memory.spent_today_all) == ({"shield": 1_000}, 1_000)
            # Nobody says on which side it was: a new one of either goes on with it.
            assert {key.side: legacy.spent for key, legacy in memory.legacies.items()} == {
                Side.LONG: 1_000,
                Side.SHORT: 1_000,
            }


async def test_while_nobody_says_what_was_closed_nothing_is_spent_and_all_is_watched(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        here.exchange.faults.add(Fault(kind=FaultKind.REJECT, path="/income", code=-1000))
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        assert run.watch.is_fresh
        assert "does not know yet what was spent before" in _withheld(run).text
        assert "income" in _withheld(run).text
        assert here.posts() == 0
        here.exchange.faults.clear()
        await run.watch.cycle()
        assert here.moved() == [NEEDED]


async def test_what_cannot_be_learned_of_closed_positions_is_waited_for_a_day_or_until_a_person_arms(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(binance_margin, "INCOME_REQUESTS_MAX", 0)
    async with world(tmp_path) as here, here.run() as run:
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        assert "closed in the last 24 h cannot be learned" in _withheld(run).text
        (told,) = [one for one in run.told("alert") if "what was spent before is not known" in one.title]
        assert "or `guard arm`" in told.text
        assert here.posts() == 0
        now = here.clock()
        run.journal.event(now + timedelta(hours=23), None, "test", "clock", "a day less an hour later")
        assert not run.journal.memory("main", now).armed
        run.journal.event(now + timedelta(hours=25), None, "test", "clock", "a day later")
        assert run.journal.memory("main", now).armed


async def test_many_trades_are_read_page_by_page(tmp_path, monkeypatch):
    monkeypatch.setattr(binance_margin, "INCOME_ROWS_MAX", 2)
    monkeypatch.setattr(binance_margin, "INCOME_REQUESTS_MAX", 200)
    async with world(tmp_path) as here, here.run() as run:
        for symbol in ("ETHUSDT", "SOLUSDT", "XRPUSDT"):
            here.exchange.open_position(here.account, symbol=symbol, side=Side.LONG, quantity=Decimal(10), leverage=5)
            here.exchange.close_position(here.account, symbol, Side.LONG)
            await asyncio.sleep(0.01)
        await run.watch.cycle()
        traded = await run.watch.reader.venue.traded_lately()
        assert traded == {"ETH/USDT:USDT", "SOL/USDT:USDT", "XRP/USDT:USDT"}


async def test_an_old_copy_of_the_journal_counts_what_it_forgot_and_says_so(tmp_path):
    copy = tmp_path / "copy.db"
    async with world(tmp_path, rules=TIGHT) as here:
        async with here.run() as run:
            await run.watch.cycle()
        shutil.copy(here.config.with_name("journal.db"), copy)
        async with here.run() as run:
            await run.watch.cycle()
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await run.watch.cycle()
            assert here.moved() == [NEEDED]
        _lose(here)
        shutil.copy(copy, here.config.with_name("journal.db"))
        here.exchange.set_mark("BTCUSDT", Decimal(58_000))
        async with here.run() as run:
            await run.watch.cycle()
            assert run.journal.memory("main", here.clock()).spent_today_all == NEEDED, "before anything needs money"
            _mark(here, run, 49_000)
            await run.watch.cycle()
            await run.watch.cycle()
            assert here.moved() == [NEEDED]
            memory = run.journal.memory("main", here.clock())
            assert memory.spent_today_by_rule == {"shield": NEEDED}
            assert [life.spent for life in memory.lives.values()] == [NEEDED]
            (told,) = [one for one in run.told("alert") if "counted as spent" in one.title]
            assert "1,211.53 USDT" in told.title
            assert "old copy" in told.text


async def test_a_copy_older_than_the_exchanges_history_only_watches(tmp_path):
    async with world(tmp_path) as here:
        for leg, position in here.account.positions.items():  # One from the future would not be read 40 days ago.
            here.account.positions[leg] = replace(position, updated_at=position.updated_at - timedelta(days=41))
        here.clock.off_by = -timedelta(days=40)
        async with here.run() as run:
            here.exchange.faults.add(Fault(kind=FaultKind.CLOCK_SKEW, seconds=-40 * 86_400.0))
            await run.watch.cycle()
        here.exchange.faults.clear()
        here.clock.off_by = timedelta(0)
        async with here.run() as run:
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await run.watch.cycle()
            assert "history begins later" in _withheld(run).text
            assert here.posts() == 0


async def test_at_a_start_nothing_is_spent_before_the_history_was_held_against_the_journal(tmp_path):
    async with world(tmp_path) as here:
        async with here.run() as run:
            await run.watch.cycle()
        here.exchange.faults.add(Fault(kind=FaultKind.REJECT, path=HISTORY, code=-1000))
        here.exchange.set_mark("BTCUSDT", BREACHED)
        async with here.run() as run:
            await run.watch.cycle()
            assert run.watch.is_fresh
            assert "not yet reconciled with the exchange since the start: " in _withheld(run).text
            assert here.posts() == 0
            here.exchange.faults.clear()
            await run.watch.cycle()
            assert here.moved() == [NEEDED]


async def test_what_a_hand_or_another_guard_added_before_an_act_counts_in_it(tmp_path):
    async with world(tmp_path, rules=TIGHT) as here, here.run() as run:
        await run.watch.cycle()
        _by_hand(here, 200)
        here.exchange.set_mark("BTCUSDT", Decimal(51_000))
        await run.watch.cycle()
        memory = run.journal.memory("main", here.clock())
        assert memory.spent_today_by_rule == {"shield": 1_300}
        assert here.moved() == [200, 1_100], "what is left, and not what would be needed"
        (told,) = [one for one in run.told("alert") if "counted as spent" in one.title]
        assert told.title.startswith("1 addition of 200")


async def test_a_history_that_does_not_answer_keeps_no_help_from_a_position(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.faults.add(Fault(kind=FaultKind.SLOW, path=HISTORY, seconds=30))
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        assert here.moved() == [NEEDED]


async def test_additions_of_somebody_else_together_with_ours_stop_acting_on_that_position_until_arm(tmp_path):
    async with world(tmp_path, rules=WIDE, build=_two) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        _by_hand(here, NEEDED)  # A second guard with the same rules asks for the same amount.
        assert here.moved() == [NEEDED, NEEDED]
        _mark(here, run, 46_000)
        await run.watch.cycle()
        assert here.posts() == 1
        await run.watch.cycle()
        assert _withheld(run).reason is WithheldReason.RIVAL
        (told,) = [one for one in run.told("alert") if "IS ANOTHER GUARD RUNNING" in one.title]
        assert told.level.word == "critical"
        (life,) = [one for one in run.journal.memory("main", here.clock()).lives.values() if one.rival]
        assert life.spent == 2 * NEEDED
        here.exchange.set_mark("ETHUSDT", Decimal(2_600))
        await run.watch.cycle()
        assert here.posts() == 2, "other positions go on"
        run.journal.arm("main", here.clock(), "ana")
        await run.watch.cycle()
        assert here.posts() == 3


async def test_in_the_rhythm_of_the_day_additions_are_found_without_an_act(tmp_path, monkeypatch):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        _by_hand(here, 50)
        await run.watch.cycle()
        assert run.journal.memory("main", here.clock()).spent_today_all == 0
        run.watch._past._due_s = 0.0
        await run.watch.cycle()
        assert run.journal.memory("main", here.clock()).spent_today_all == 50
        run.watch._past._due_s = 0.0
        await run.watch.cycle()
        assert run.journal.memory("main", here.clock()).spent_today_all == 50
        assert timedelta(minutes=10) >= past.AUDIT_EVERY


async def test_acts_of_our_own_are_never_taken_for_somebody_elses(tmp_path):
    async with world(tmp_path, rules=WIDE) as here, here.run() as run:
        await run.watch.cycle()
        for mark in (BREACHED, 49_000, 46_000):
            _mark(here, run, mark)
            await run.watch.cycle()
        assert len(here.moved()) == 3
        run.watch._past._due_s = 0.0
        await run.watch.cycle()
        memory = run.journal.memory("main", here.clock())
        assert memory.spent_today_all == sum(here.moved())
        assert run.told("alert", "fired") == [one for one in run.told("alert", "fired") if "spent" not in one.title]


@pytest.mark.parametrize("journal", ["lost", "an old copy"])
async def test_a_disarm_outlives_its_journal(tmp_path, journal):
    copy = tmp_path / "copy.db"
    async with world(tmp_path) as here:
        async with here.run() as run:
            await run.watch.cycle()
        shutil.copy(here.config.with_name("journal.db"), copy)
        async with here.run() as run:
            run.journal.disarm("main", here.clock(), "ana", "I am asleep")
        _lose(here)
        if journal != "lost":
            shutil.copy(copy, here.config.with_name("journal.db"))
        here.exchange.set_mark("BTCUSDT", BREACHED)
        async with here.run() as run:
            await run.watch.cycle()
            assert "I am asleep" in _withheld(run).text
            assert here.posts() == 0
            run.journal.arm("main", here.clock(), "ana")
            await run.watch.cycle()
            assert here.moved() == [NEEDED]
