"""Who may let the guard spend: its owner, its keys, and a journal that knows the past. And accounts beside each other."""

import asyncio
from decimal import Decimal

import pytest
from daemon_kit import (
    BREACHED,
    NEEDED,
    SHIELD,
    Played,
    account,
    call,
    cycles,
    daemon,
    hold,
    name_of,
    until,
    watching,
    world,
)

from guard.demo.exchange import Fault, FaultKind, KeyPermissions

DEEPER = Decimal(49_000)  # After NEEDED: 6.6 % from liquidation at 45,760.


async def a_disarm_holds_from_the_next_cycle_over_a_restart_until_arm(folder):
    async with world(folder) as here:
        async with daemon(here) as guarded:
            await watching(guarded)
            status, _ = await call(here, "disarm", "main", "--because", "I am asleep")
            assert status == 0
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await until("it says why not", lambda: here.told("refused"), of=guarded)
            assert "I am asleep" in here.told("refused")[0]["text"]
            await cycles(guarded, 1)
        async with daemon(here) as guarded:
            await watching(guarded)
            await cycles(guarded, 1)
            assert here.posts() == 0
            status, _ = await call(here, "arm", "main")
            assert status == 0
            await until("it is saved", lambda: here.moved() == [NEEDED], of=guarded)


def _key_that_can_withdraw(exchange):
    one = account(exchange, permissions=KeyPermissions(withdrawals=True))
    hold(exchange, one, "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)


async def a_key_that_can_withdraw_is_a_critical_alert_no_money_and_still_a_watch(folder):
    async with world(folder, build=_key_that_can_withdraw) as here, daemon(here) as guarded:
        await until("the key is told", lambda: [m for m in here.messages if "key" in m["title"].lower()], of=guarded)
        assert here.messages[-1]["level"] == "critical"
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("danger is told", lambda: [m for m in here.told("alert") if m["level"] == "danger"], of=guarded)
        await until("it says why not", lambda: here.told("refused"), of=guarded)
        assert "too powerful" in here.told("refused")[0]["text"]
        await cycles(guarded, 1)
        assert here.posts() == 0


def _lose_the_journal(here):
    for file in here.config.parent.glob("journal.db*"):
        file.unlink()


async def a_journal_that_was_lost_learns_from_the_exchange_what_was_spent_and_the_limit_holds(folder):
    rules = SHIELD.replace('"3000"', '"1300"')
    async with world(folder, rules=rules) as here:
        here.exchange.set_mark("BTCUSDT", BREACHED)
        async with daemon(here) as guarded:
            await until("it is saved", lambda: here.told("action"), of=guarded)
        _lose_the_journal(here)
        here.exchange.set_mark("BTCUSDT", DEEPER)
        async with daemon(here) as guarded:
            await until("it says why not", lambda: here.told("refused"), of=guarded)
            assert "88.47" in here.told("refused")[0]["text"]
            await cycles(guarded, 1)
        assert here.moved() == [NEEDED]
        assert here.posts() == 1


async def where_the_history_does_not_show_the_opening_it_only_watches_until_arm(folder):
    async with world(folder) as here:
        here.account().margin_changes.clear()
        async with daemon(here) as guarded:
            await watching(guarded)
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await until("it says why not", lambda: here.told("refused"), of=guarded)
            assert "watching only until `guard arm`" in here.told("refused")[0]["text"]
            await cycles(guarded, 1)
            assert here.posts() == 0
            assert (await call(here, "arm"))[0] == 0
            await until("it is saved", lambda: here.moved() == [NEEDED], of=guarded)


def _two_accounts(exchange):
    for name in ("calm", "stuck"):
        hold(exchange, account(exchange, name), "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)


async def an_account_that_hangs_delays_no_other(folder):
    async with world(folder, build=_two_accounts, timeout_ms=6_000) as here, daemon(here) as guarded:
        await watching(guarded, "calm")
        await watching(guarded, "stuck")
        stuck, calm = here.account("stuck"), guarded.service.watches["calm"]
        here.exchange.faults.add(Fault(kind=FaultKind.SLOW, api_key=stuck.api_key, seconds=30))
        await asyncio.sleep(1.5)
        hanging, before = guarded.service.watches["stuck"]._cycles, calm._cycles
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("the other is saved", lambda: here.moved("calm") == [NEEDED], of=guarded, within_s=4)
        await until("the other goes on", lambda: calm._cycles >= before + 3, of=guarded, within_s=4)
        assert guarded.service.watches["stuck"]._cycles == hanging
        assert here.moved("stuck") == []
        here.exchange.faults.clear()
        await until("the stuck one is saved", lambda: here.moved("stuck") == [NEEDED], of=guarded)
        assert here.books_agree("calm")
        assert here.books_agree("stuck")


STORIES = [
    a_disarm_holds_from_the_next_cycle_over_a_restart_until_arm,
    a_key_that_can_withdraw_is_a_critical_alert_no_money_and_still_a_watch,
    a_journal_that_was_lost_learns_from_the_exchange_what_was_spent_and_the_limit_holds,
    where_the_history_does_not_show_the_opening_it_only_watches_until_arm,
    an_account_that_hangs_delays_no_other,
]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return Played(STORIES, tmp_path_factory.mktemp("leave"))


@pytest.mark.parametrize("story", STORIES, ids=name_of)
def test_money_moves_only_by_leave(played, story):
    assert played(story)
