"""What systemd hears of the running daemon, over a real datagram socket; and what the daemon leaves behind."""

import asyncio
import gc
import socket
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from daemon_kit import POSITIONS, cycles, daemon, until, watching, world

from guard.config import load
from guard.daemon.service import Service
from guard.demo.exchange import Fault, FaultKind


@contextmanager
def _notify_socket():
    """Give a socket's path and everything that arrives there. The path is short: the kernel takes 107 bytes."""
    heard: list[str] = []
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = str(Path(folder) / "notify")
        listener.bind(path)
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(listener, lambda: heard.append(listener.recv(4096).decode()))
        try:
            yield path, heard
        finally:
            loop.remove_reader(listener)


def _fed(heard):
    return sum("WATCHDOG=1" in one for one in heard)


async def test_it_is_ready_after_the_first_cycle_fed_by_each_and_by_none_that_hangs(tmp_path):
    with _notify_socket() as (path, heard):
        environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "180000000"}
        async with world(tmp_path, timeout_ms=60_000) as here, daemon(here, environ) as guarded:
            await watching(guarded)
            await until("it is ready", lambda: "READY=1" in heard, of=guarded)
            assert heard[0] == "READY=1"
            await until("it is fed", lambda: _fed(heard) >= 2, of=guarded)
            assert "STATUS=1 accounts, worst level watch" in heard[-1]
            here.exchange.faults.add(Fault(kind=FaultKind.SLOW, path="/positionRisk", seconds=4, times=1))
            before = here.exchange.requests[POSITIONS]
            await until("a read hangs", lambda: here.exchange.requests[POSITIONS] > before, of=guarded)
            fed = _fed(heard)
            await asyncio.sleep(2.5)
            assert _fed(heard) == fed
            await until("it goes on", lambda: _fed(heard) > fed, of=guarded)
            await cycles(guarded, 1)
        await until("it said that it stops", lambda: "STOPPING=1" in heard)
        assert heard.count("READY=1") == 1


async def test_an_exchange_that_does_not_answer_does_not_starve_the_watchdog_but_is_named(tmp_path):
    with _notify_socket() as (path, heard):
        async with world(tmp_path) as here:
            here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE))
            async with daemon(here, {"NOTIFY_SOCKET": path}) as guarded:
                await until("it is fed", lambda: _fed(heard) >= 2, of=guarded)
                assert heard[0] == "READY=1"
                assert "not read: main" in heard[-1]


async def test_a_daemon_that_sent_heartbeats_leaves_no_connection_open_when_it_stops(tmp_path):
    async with world(tmp_path) as here:
        settings = load(here.config, environ={})
        pinged = f"{here.url}/fapi/v1/ping"
        stop = asyncio.Event()
        service = Service(
            replace(settings, heartbeat_url=pinged, heartbeat_interval=timedelta(milliseconds=50)), environ={}
        )
        running = asyncio.create_task(service.run(stop))
        await until("it pings", lambda: here.exchange.requests.get(("GET", "/fapi/v1/ping"), 0) >= 2)
        left_open: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: left_open.append(context["message"]))
        stop.set()
        await running
        del service, running
        gc.collect()
        assert left_open == []
