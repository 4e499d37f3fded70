"""The heartbeat is a proof, not a habit: it stops when an account is not seen and when nobody hears what is critical."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from daemon_kit import account, hold, until, world

from guard.config import load
from guard.daemon import service as service_room
from guard.daemon.service import Service
from guard.demo.exchange import Fault, FaultKind

PING = ("GET", "/fapi/v1/ping")
CRITICAL = Decimal(49_000)  # 1.6 % from 48,192.77.


def _two_accounts(exchange):
    for name in ("main", "other"):
        hold(exchange, account(exchange, name), "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)


@asynccontextmanager
async def pinging(here):
    """Run the daemon with a quick heartbeat; give a function that counts its pings."""
    settings = replace(
        load(here.config, environ={}),
        heartbeat_url=f"{here.url}/fapi/v1/ping",
        heartbeat_interval=timedelta(milliseconds=50),
    )
    stop = asyncio.Event()
    running = asyncio.create_task(Service(settings, environ={}).run(stop))
    try:
        yield lambda: here.exchange.requests.get(PING, 0)
    finally:
        stop.set()
        await asyncio.wait_for(running, 12)


async def _ends(pings):
    """Return whether a second passes without a ping; some that were on their way may still arrive before."""
    for _ in range(20):
        before = pings()
        await asyncio.sleep(1)
        if pings() == before:
            return True
    return False


async def test_one_account_of_two_that_is_not_seen_stops_it_until_it_is_seen_again(tmp_path):
    async with world(tmp_path, build=_two_accounts) as here, pinging(here) as pings:
        await until("it pings", lambda: pings() >= 2)
        here.exchange.faults.add(
            Fault(kind=FaultKind.LOSE_BEFORE, path="/positionRisk", api_key=here.account("other").api_key)
        )
        assert await _ends(pings)
        before = pings()
        here.exchange.faults.clear()
        await until("it pings again", lambda: pings() > before)


async def test_something_critical_that_no_channel_takes_stops_it(tmp_path, monkeypatch):
    monkeypatch.setattr(service_room, "UNHEARD_MAX", timedelta(seconds=1))
    async with world(tmp_path, mode="observe") as here:
        text = here.config.read_text()
        hook = next(line for line in text.splitlines() if line.startswith('url = "http://127.0.0.1'))
        here.config.write_text(text.replace(hook, 'url = "http://127.0.0.1:9/nobody"'))
        async with pinging(here) as pings:
            await until("it pings", lambda: pings() >= 2)
            here.exchange.set_mark("BTCUSDT", CRITICAL)
            assert await _ends(pings)
