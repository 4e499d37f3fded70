"""OKX on loopback and a venue on it, for every test in this folder."""

from datetime import UTC, datetime

import pytest
from okx_wire import OkxServer

from guard.venues.okx import Okx


@pytest.fixture
async def server():
    async with OkxServer().serving() as one:
        yield one


@pytest.fixture
async def okx(server):
    one = Okx(server.account(), now=lambda: datetime.now(UTC))
    yield one
    await one.close()
