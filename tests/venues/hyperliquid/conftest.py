"""The server of tests/venues/hyperliquid on loopback, and a venue on it."""

from datetime import UTC, datetime

import pytest
from hyperliquid_wire import HyperliquidServer
from hyperliquid_wire_dexes import OF_TSLA

from guard.venues.hyperliquid import Hyperliquid


@pytest.fixture
async def server():
    async with HyperliquidServer().serving() as one:
        yield one


@pytest.fixture
async def venue(server):
    one = Hyperliquid(server.account(), now=lambda: datetime.now(UTC))
    yield one
    await one.close()


@pytest.fixture
def dexes(server):
    """The server with two dexes deployed, and a position on the main one and on xyz."""
    server.deploy()
    server.hold_sample()
    server.hold_sample(of=OF_TSLA)
    return server
