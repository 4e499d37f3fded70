"""The delivery over the real SQLite outbox: what was not confirmed survives the process."""

import asyncio
from datetime import timedelta

import pytest
from told_support import FOUR_O_CLOCK, ScriptedChannel, message, virtual_clock

from guard.errors import DeliveryFailed
from guard.journal import Journal
from guard.notify.delivery import flush
from guard.policy.terms import Level

pytestmark = pytest.mark.looptime


def untold(news):
    raise AssertionError(f"no channel died, but {news}")


async def flushed(path, channel: ScriptedChannel, *, within: float) -> bool:
    journal = Journal.open(path, exclusive=True)
    now = virtual_clock(asyncio.get_running_loop())
    try:
        return await flush(journal, [channel], now=now, within=timedelta(seconds=within), tell=untold)
    finally:
        journal.close()


async def test_what_was_not_confirmed_goes_out_after_a_restart_under_the_same_id_and_the_worst_first(tmp_path):
    path = tmp_path / "journal.db"
    journal = Journal.open(path, exclusive=True)
    for number, level in enumerate((Level.WARN, Level.CRITICAL)):
        journal.enqueue(message(number, level=level), ["phone"], FOUR_O_CLOCK)
    journal.close()
    phone = ScriptedChannel("phone", [DeliveryFailed("no connection") for _ in range(4)])
    assert not await flushed(path, phone, within=7)
    assert phone.confirmed == []
    assert await flushed(path, phone, within=60)
    assert [told.id for told in phone.confirmed] == ["msg_1", "msg_0"]
    assert await flushed(path, phone, within=60)
    assert len(phone.confirmed) == 2
