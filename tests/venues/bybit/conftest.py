"""A unified Bybit account on loopback, and a venue on it whose clock a test may set on."""

from datetime import UTC, datetime, timedelta

import pytest
from bybit_wire import BybitServer

from guard.venues.bybit import Bybit


class Clock:
    def __init__(self):
        self.ahead = timedelta(0)

    def __call__(self):
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def server():
    async with BybitServer().serving() as one:
        yield one


@pytest.fixture
async def venue(server, clock):
    one = Bybit(server.account(), now=clock)
    yield one
    await one.close()
