"""Bitget on loopback and a venue on it, for every test in this folder."""

from datetime import UTC, datetime, timedelta

import pytest
from bitget_wire import BitgetServer

from guard.venues.bitget import Bitget


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
    async with BitgetServer().serving() as one:
        yield one


@pytest.fixture
async def venue(server, clock):
    one = Bitget(server.account(), now=clock)
    yield one
    await one.close()
