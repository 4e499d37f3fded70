"""A Gate futures account on loopback, and a venue on it whose clock a test may set on."""

from datetime import UTC, datetime, timedelta

import pytest
from gate_wire import GateServer

from guard.venues.gateio import GateIo


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
    async with GateServer().serving() as one:
        yield one


@pytest.fixture
async def venue(server, clock):
    one = GateIo(server.account(), now=clock)
    yield one
    await one.close()
