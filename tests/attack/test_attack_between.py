"""What others do between our look and our request, and an exchange that says no again and again."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from json import dumps

import pytest
from attack_kit import BREACHED, RULES, world

from guard.daemon import watch as watching
from guard.demo.exchange import Fault, FaultKind
from guard.demo.exchange.margin_change import change_position_margin
from guard.snapshot import MarginMode, Side

DEARER = Decimal("50526.32")  # 24,000 over 0.5 * 0.95: where 5 % are asked for instead of 0.4 %.
POST = {"path": "/positionMargin", "method": "POST"}


def _reject(code: int, times: int | None = None) -> Fault:
    return Fault(kind=FaultKind.REJECT, code=code, message="as the test says", times=times, **POST)


def _by_hand(here, amount: str) -> None:
    fields = {"symbol": "BTCUSDT", "amount": amount, "type": "1"}
    change_position_margin(here.account, fields, here.exchange.marks, here.exchange.now())


async def _breach(here, run, between):
    """Let the trigger be breached, and five seconds after the cycle's read, before the request, something else happen.

    Within these seconds guard acts on what it read: no exchange locks a position while it is looked at.
    """
    here.exchange._now = here.clock
    read_again_if_needed = run.watch.reader.read_again_if_needed

    async def late():
        between()
        here.clock.off_by += timedelta(seconds=5)
        await read_again_if_needed()

    run.watch.reader.read_again_if_needed = late
    here.exchange.set_mark("BTCUSDT", BREACHED)
    await run.watch.cycle()


BETWEEN = {
    "nothing": (lambda here: None, 1),  # Without it a guard that sends nothing at all would pass.
    "the owner adds margin by hand": (lambda here: _by_hand(here, "2000"), 0),
    "the owner closes it": (lambda here: here.exchange.close_position(here.account, "BTCUSDT", Side.LONG), 0),
    "the owner takes the money out": (lambda here: here.account.change_wallet("USDT", Decimal(-20_000)), 0),
}


@pytest.mark.parametrize(("happens", "posts"), BETWEEN.values(), ids=BETWEEN.keys())
async def test_what_happens_before_the_request_leaves_is_seen_and_decides(tmp_path, happens, posts):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        await _breach(here, run, lambda: happens(here))
        assert here.posts() == posts


@pytest.mark.parametrize("code", [-4049, -4050, -4051, -4054])
async def test_an_exchange_that_says_no_is_not_asked_again_at_once_and_each_no_is_told(tmp_path, monkeypatch, code):
    loop, passed = asyncio.get_running_loop(), 0.0
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + passed)  # The wait goes by the clock that nobody sets.
    rules = RULES.replace('reserve = "0"', 'reserve = "0"\ncooldown = "0s"')
    async with world(tmp_path, rules=rules) as here, here.run() as run:
        here.exchange._now = here.clock
        await run.watch.cycle()
        here.exchange.faults.add(_reject(code))
        here.exchange.set_mark("BTCUSDT", BREACHED)
        asked = []
        for seconds in (0, 4, 2, 4, 5, 2):  # 5 s after the first no, 10 s after the second.
            passed += seconds
            run.watch.reader.must_read_again()
            await run.watch.cycle()
            asked.append(here.posts())
        assert asked == [1, 1, 2, 2, 2, 3]
        assert len(run.told("refused")) == 3
        assert {intent.state.value for intent in run.journal.intents()} == {"refused"}
        assert here.moved() == []


async def test_a_cycle_during_which_the_machine_stood_still_is_not_fresh(tmp_path, monkeypatch):
    async with world(tmp_path) as here, here.run() as run:
        monkeypatch.setattr(watching, "READ_WITHIN_S", 1.0)
        await run.watch.cycle()
        assert run.watch.is_fresh

        async def stand_still(_decision):
            await asyncio.sleep(1.2)

        monkeypatch.setattr(run.watch._actor, "act", stand_still)
        await run.watch.cycle()
        assert not run.watch.is_fresh


async def test_a_refused_key_during_a_run_ends_nothing_and_is_over_when_it_is_over(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.faults.add(Fault(kind=FaultKind.REJECT, code=-2015, status=401, method="GET"))
        for _ in range(3):
            await run.watch.cycle()
            assert not run.watch.is_fresh
        here.exchange.faults.clear()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        assert run.watch.is_fresh
        assert len(here.moved()) == 1


async def test_tiers_that_change_are_taken_over_with_their_next_reading(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        before = run.row().figures.liquidation.price
        flat = {"bracket": 1, "initialLeverage": 10, "notionalCap": 10**9, "notionalFloor": 0}
        dearer = {"symbol": "BTCUSDT", "brackets": [{**flat, "maintMarginRatio": 0.05, "cum": 0}]}
        here.exchange.faults.add(
            Fault(kind=FaultKind.ANSWER, path="/leverageBracket", status=200, body=dumps([dearer]))
        )
        await run.watch.cycle()
        assert run.row().figures.liquidation.price == before  # Not due: once a day, or when the daemon starts.
        run.watch.reader.tiers_are_due()
        await run.watch.cycle()
        assert round(run.row().figures.liquidation.price, 2) == DEARER


async def test_a_position_that_became_cross_gets_no_money_whatever_its_rule_says(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.close_position(here.account, "BTCUSDT", Side.LONG)
        here.exchange.open_position(
            here.account,
            symbol="BTCUSDT",
            side=Side.LONG,
            quantity=Decimal("0.5"),
            leverage=5,
            margin_mode=MarginMode.CROSS,
        )
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        assert here.posts() == 0


@pytest.mark.parametrize(("off_by_s", "posts"), [(4, 1), (-4, 1), (7, 0), (-7, 0)])
async def test_a_clock_that_is_far_off_the_exchanges_cannot_count_a_day_and_spends_nothing(tmp_path, off_by_s, posts):
    async with world(tmp_path) as here:
        here.exchange.faults.add(Fault(kind=FaultKind.CLOCK_SKEW, seconds=off_by_s))
        async with here.run() as run:
            await run.watch.cycle()
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await run.watch.cycle()
            await run.watch.cycle()
            assert here.posts() == posts
            if not posts:
                assert "set it (NTP)" in run.row().withheld.text
