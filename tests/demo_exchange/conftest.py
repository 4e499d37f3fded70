"""A served demo exchange with one account, and ccxt in front of it."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from demo_exchange_support import account_with, client_at

from guard.demo.exchange import DemoAccount, DemoExchange, serve


@pytest.fixture
def exchange() -> DemoExchange:
    return DemoExchange()


@pytest.fixture
def account(exchange: DemoExchange) -> DemoAccount:
    return exchange.add_account(account_with())


@pytest.fixture
async def url(exchange: DemoExchange) -> AsyncIterator[str]:
    async with serve(exchange) as address:
        yield address


@pytest.fixture
async def client(url: str) -> AsyncIterator[Any]:
    one = client_at(url)
    yield one
    await one.close()


@pytest.fixture
async def http(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=url) as session:
        yield session
