"""Marks, streams, candles, clocks and keys of every exchange."""

import asyncio
from contextlib import aclosing
from datetime import timedelta
from decimal import Decimal

import pytest
from wire_faults import OF_READS

from guard.errors import VenueUnavailable
from guard.venues.protocol import KeyVerdict

column = pytest.mark.column


@column("stream")
async def test_a_mark_is_read_as_the_exchange_states_it(server, venue):
    await venue.open()
    price = server.sample.mark * Decimal("0.97")
    server.set_mark(server.sample.symbol, price)
    mark = await venue.mark(server.sample.symbol)
    assert (mark.symbol, mark.price) == (server.sample.symbol, price)
    assert abs(mark.at - server.now()) < timedelta(seconds=5)


@column("stream")
@pytest.mark.parametrize("how", OF_READS)
async def test_a_mark_that_cannot_be_read_is_none(server, venue, how):
    await venue.open()
    server.break_reads("mark", how)
    with pytest.raises(VenueUnavailable):
        await venue.mark(server.sample.symbol)


@column("stream", "push")
async def test_the_stream_tells_every_symbols_new_mark(server, venue):
    await venue.open()
    symbols = (server.sample.symbol, server.other.symbol)
    moved = {symbol: server.marks[symbol] * Decimal("0.9") for symbol in symbols}
    told: dict[str, Decimal] = {}
    async with asyncio.timeout(15), aclosing(venue.watch_marks(symbols)) as stream:
        async for mark in stream:
            told[mark.symbol] = mark.price
            if set(told) == set(symbols) and told != moved:
                for symbol, price in moved.items():
                    server.set_mark(symbol, price)
            if told == moved:
                break
    assert told == moved


@column("stream", "push")
async def test_a_broken_stream_says_so(server, venue):
    await venue.open()
    async with asyncio.timeout(15), aclosing(venue.watch_marks((server.sample.symbol,))) as stream:
        await anext(stream)
        await server.break_streams()
        with pytest.raises(VenueUnavailable):
            await all_of(stream)


async def all_of(stream):
    async for _ in stream:
        pass


@column("stream", "candles")
async def test_candles_are_of_mark_prices_and_oldest_first(server, venue):
    await venue.open()
    candles = await venue.candles(server.sample.symbol, minutes=1, count=5)
    assert len(candles) == 5
    assert [candle.opened_at for candle in candles] == sorted(candle.opened_at for candle in candles)
    assert candles[-1].close == float(server.sample.mark)


@column("clock")
@pytest.mark.parametrize("skew_ms", [-3_000, 3_000])
async def test_the_exchanges_clock_is_measured(server, venue, skew_ms):
    await venue.open()
    server.clock_skew = skew_ms
    measured = await venue.clock_skew()
    assert abs(measured - timedelta(milliseconds=skew_ms)) < timedelta(seconds=0.5)


@column("clock")
@pytest.mark.parametrize("skew_ms", [-120_000, 120_000])
async def test_an_account_is_read_although_our_clock_is_off(server, venue, skew_ms):
    server.clock_skew = skew_ms
    server.hold_sample()
    assert len((await venue.snapshot()).positions) == 1


@column("key audit")
@pytest.mark.parametrize(
    ("rights", "verdict"),
    [
        ({}, KeyVerdict.SAFE),
        ({"withdraw": True}, KeyVerdict.TOO_POWERFUL),
        ({"transfer": True}, KeyVerdict.TOO_POWERFUL),
        ({"read_only": True}, KeyVerdict.READ_ONLY),
    ],
    ids=["trade only", "withdraw", "transfer", "read only"],
)
async def test_what_a_key_may_do_is_told(server, venue, rights, verdict):
    server.set_key(**rights)
    scopes = await venue.key_scopes()
    assert scopes.verdict is verdict, scopes.text
    assert scopes.text


@column("key audit", "ip")
@pytest.mark.parametrize("bound", [True, False])
async def test_whether_a_key_is_bound_to_an_address_is_told(server, venue, bound):
    server.set_key(ip_bound=bound)
    assert (await venue.key_scopes()).ip_restricted is bound


@column("key audit")
async def test_every_host_in_use_is_named(server, venue):
    assert venue.hosts() == (server.url.removeprefix("http://"),)
    assert venue.write_terms.test_host


@column("key audit")
async def test_no_secret_is_in_an_error(server, venue):
    server.hold_sample()
    server.break_reads("positions", OF_READS[-1])
    with pytest.raises(VenueUnavailable) as caught:
        await venue.snapshot()
    for secret in (server.api_key, server.secret, server.password):
        assert secret is None or secret not in f"{caught.value!r}"
