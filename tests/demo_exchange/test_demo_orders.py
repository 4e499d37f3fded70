"""Stops and ends at the demo exchange, as the daemon's own venue reads them over the wire."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from demo_exchange_support import API_KEY, SECRET

from guard.demo.exchange import ccxt_urls
from guard.snapshot import EndKind, PositionKey, Side
from guard.venues import open_venue
from guard.venues.protocol import Venue, VenueAccount

BTC = PositionKey("BTC/USDT:USDT", Side.LONG)


@pytest.fixture
async def venue(exchange, account, url) -> AsyncIterator[Venue]:
    exchange.set_mark("BTCUSDT", Decimal(60_000))
    exchange.open_position(account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.5"), leverage=10)
    terms = VenueAccount(
        account="main",
        exchange="binanceusdm",
        api_key=API_KEY,
        secret=SECRET,
        password=None,
        ccxt={"urls": ccxt_urls(url), "rateLimit": 1},
    )
    one = open_venue(terms, now=lambda: datetime.now(UTC))
    yield one
    await one.close()


async def test_a_stop_is_listed_until_its_position_is_gone(exchange, account, venue):
    symbols = frozenset({BTC.symbol})
    assert await venue.stops(symbols) == ()
    exchange.place_stop(account, symbol="BTCUSDT", closes=Side.LONG, trigger_price=Decimal(56_000))
    (stop,) = await venue.stops(symbols)
    assert (stop.key, stop.trigger_price, stop.trigger_by) == (BTC, Decimal(56_000), "mark")
    exchange.close_position(account, "BTCUSDT", Side.LONG)
    assert await venue.stops(symbols) == ()


async def test_a_closed_position_ended_by_a_fill(exchange, account, venue):
    exchange.close_position(account, "BTCUSDT", Side.LONG)
    ending = await venue.ending(BTC, datetime.now(UTC) - timedelta(minutes=1))
    assert (ending.kind, ending.price) == (EndKind.CLOSED, Decimal(60_000))


async def test_a_liquidated_position_ended_by_the_exchanges_order(exchange, account, venue):
    exchange.set_mark("BTCUSDT", Decimal(50_000))
    assert account.positions == {}
    ending = await venue.ending(BTC, datetime.now(UTC) - timedelta(minutes=1))
    assert (ending.kind, ending.price) == (EndKind.LIQUIDATED, Decimal(50_000))


async def test_a_position_of_which_nothing_is_recorded_ended_nobody_knows_how(exchange, account, venue):
    del account.positions["BTCUSDT", "BOTH"]
    ending = await venue.ending(BTC, datetime.now(UTC) - timedelta(minutes=1))
    assert ending.kind is EndKind.UNKNOWN
