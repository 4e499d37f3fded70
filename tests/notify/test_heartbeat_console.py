"""The two ways of telling that need no answer from a person."""

import asyncio

import pytest
import structlog
from aiohttp import web
from told_support import message, server

from guard.notify.console import ConsoleChannel
from guard.notify.heartbeat import Heartbeat
from guard.policy.terms import Level


async def ping(handler, **options) -> tuple[bool, list]:
    with structlog.testing.capture_logs() as logs:
        async with server(handler) as url:
            heartbeat = Heartbeat(url=f"{url}/ping/sesame", **options)
            confirmed = await heartbeat.ping()
            await heartbeat.close()
    return confirmed, logs


async def test_a_ping_is_confirmed_by_a_2xx():
    async def handler(request):
        return web.Response(text="OK")

    assert await ping(handler) == (True, [])


@pytest.mark.parametrize("fault", ["500", "redirect", "drop", "hang"])
async def test_a_ping_that_fails_is_a_warning_without_the_url(fault):
    async def handler(request):
        if fault == "drop":
            request.transport.abort()
        if fault == "hang":
            await asyncio.sleep(30)
        if fault == "redirect":
            return web.Response(status=302, headers={"Location": "/"})
        return web.Response(status=500)

    confirmed, logs = await ping(handler, timeout_s=0.3)
    assert not confirmed
    assert [(line["event"], line["log_level"]) for line in logs] == [("heartbeat.failed", "warning")]
    assert "sesame" not in repr(logs)


async def test_while_its_far_side_wants_quiet_nothing_is_asked():
    asked = []

    async def handler(request):
        asked.append(request.path)
        return web.Response(status=429, headers={"Retry-After": "1"}) if len(asked) == 1 else web.Response(text="OK")

    async with server(handler) as url:
        heartbeat = Heartbeat(url=f"{url}/ping")
        assert [await heartbeat.ping() for _ in range(3)] == [False, False, False]
        assert len(asked) == 1
        await asyncio.sleep(1.05)
        assert await heartbeat.ping()
        await heartbeat.close()


@pytest.mark.parametrize(
    ("fields", "log_level"),
    [({}, "warning"), ({"level": Level.WATCH}, "info"), ({"event": "resolved"}, "info")],
)
async def test_the_console_writes_one_line_and_confirms(fields, log_level):
    with structlog.testing.capture_logs() as logs:
        await ConsoleChannel(from_level=Level.WATCH).send(message(**fields), attempt=1)
    (line,) = logs
    assert line["event"] == "alert.told"
    assert line["log_level"] == log_level
    assert line["title"].startswith("DANGER BTC long")
    assert line["alert_level"] == message(**fields).level.word
