"""Binance's user data stream: its key is asked for, renewed, never closed and never seen; what ends it without a word."""

import asyncio
import gc
import logging
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest
from coinm_wire import BinanceCoinmServer
from usdm_wire import BinanceUsdmServer
from wire_faults import Fate

from guard.errors import KeysRefused, VenueUnavailable
from guard.venues import account_stream, base, binance_news, open_venue, transport


@pytest.fixture(params=[BinanceUsdmServer, BinanceCoinmServer], ids=["usd-m", "coin-m"])
async def server(request):
    async with request.param().serving() as one:
        yield one


@pytest.fixture
async def venue(server):
    one = open_venue(server.account(), now=lambda: datetime.now(UTC))
    yield one
    await one.close()


def keys_asked(server):
    return len(server.asked("/listenKey"))


async def test_it_asks_for_the_time_and_a_key_and_for_nothing_else(server, venue):
    async with aclosing(venue.watch_account()) as news:
        await anext(news)
        server.push_news()
        await anext(news)
    asked = [(method, path.rpartition("/")[2]) for method, path, _ in server.requests]
    assert asked == [("GET", "time"), ("POST", "listenKey")], "no snapshot behind it, and it is never closed"
    assert server.writes == []


async def test_nothing_that_is_pushed_is_kept_and_no_client_outlives_its_connection(server, venue, monkeypatch):
    opened = []

    def open_client(*arguments):
        opened.append(transport.open_client(*arguments))
        return opened[-1]

    monkeypatch.setattr(base, "open_client", open_client)
    server.hold_sample()
    for _ in range(2):
        async with aclosing(venue.watch_account()) as news:
            await anext(news)
            for _ in range(100):
                server.push_news()
            await anext(news)
            await asyncio.sleep(0.2)
            (socket,) = opened[-1].clients.values()
            assert list(socket.futures) == [account_stream.ENDED]
    first, second = opened
    assert first is not second
    for client in opened:
        assert not any((client.balance, client.positions, client.orders, client.myTrades, client.clients))
        assert client.session is None, "closed"


async def test_its_key_is_renewed_and_one_that_was_replaced_ends_it(server, venue, monkeypatch):
    monkeypatch.setattr(binance_news, "RENEW_EVERY_S", 0.1)
    async with aclosing(venue.watch_account()) as news:
        await anext(news)
        waiting = asyncio.ensure_future(anext(news))
        done, _ = await asyncio.wait({waiting}, timeout=0.7)
        assert not done
        assert keys_asked(server) >= 4, "more than once: ccxt's own renewal comes once and never again"
        server.listen_key = "anotherKeyOfTheSameAccount12345"
        with pytest.raises(VenueUnavailable, match="key has ended"):
            await waiting


async def test_one_renewal_may_fail_and_two_end_it(server, venue, monkeypatch):
    monkeypatch.setattr(binance_news, "RENEW_EVERY_S", 0.2)
    async with aclosing(venue.watch_account()) as news:
        await anext(news)
        server.break_reads("listen", Fate.HTTP_500)
        await asyncio.sleep(0.3)
        server.break_reads("listen", None)
        server.push_news()
        await anext(news)
        server.break_reads("listen", Fate.HTTP_500)
        with pytest.raises(VenueUnavailable):
            await anext(news)


@pytest.mark.parametrize(
    "said", [{"listenKey": ""}, {"listenKey": None}, {"listenKey": "a/../b?c=d@e"}, {}, []], ids=str
)
async def test_an_answer_without_a_usable_key_opens_nothing(server, venue, said):
    server.mangle("listen", lambda _: said)
    with pytest.raises(VenueUnavailable, match="no usable listenKey"):
        await anext(venue.watch_account())
    assert not server.listeners()


async def test_a_refused_key_is_told_as_one(server, venue):
    server.break_reads("listen", "-2015")
    with pytest.raises(KeysRefused):
        await anext(venue.watch_account())


@pytest.mark.parametrize("event", ["listenKeyExpired", "eventStreamTerminated"])
async def test_the_exchange_may_end_it_though_the_connection_stays(server, venue, event):
    async with aclosing(venue.watch_account()) as news:
        await anext(news)
        server.push_raw({"e": event, "E": server.now_ms(), "listenKey": server.listen_key})
        with pytest.raises(VenueUnavailable, match="ended it"):
            await anext(news)


@pytest.mark.parametrize("kind", ["MARGIN_CALL", "ACCOUNT_CONFIG_UPDATE"])
async def test_margin_calls_and_chosen_leverage_are_news_and_orders_are_not(server, venue, kind):
    async with aclosing(venue.watch_account()) as news:
        await anext(news)
        stamp = server.now_ms()
        server.push_raw({"e": "ORDER_TRADE_UPDATE", "E": stamp - 90_000, "T": stamp, "o": {}})
        server.push_raw({"stream": "x", "data": {"e": kind, "E": stamp - 5_000}})
        assert abs((await anext(news)).age - timedelta(seconds=5)) < timedelta(seconds=2)


async def test_the_key_of_the_stream_is_in_no_error_and_no_log_however_it_ends(server, venue, caplog, monkeypatch):
    monkeypatch.setattr(account_stream, "KEEP_ALIVE_MS", 100)
    errors = []
    with caplog.at_level(logging.DEBUG):
        for end in ("deaf", "broken", "expired", "expired and broken", "an error"):
            async with aclosing(venue.watch_account()) as news:
                await anext(news)
                server.is_deaf = end == "deaf"
                if end.startswith("expired"):
                    server.push_raw({"e": "listenKeyExpired", "E": server.now_ms(), "listenKey": server.listen_key})
                if end == "an error":
                    server.push_raw({"error": {"code": 1, "msg": server.listen_key}, "id": server.listen_key})
                if end in {"broken", "an error", "expired and broken"}:
                    await asyncio.sleep(0.1)
                    await server.break_streams()
                    await asyncio.sleep(0.1)  # Both have come in before anybody looks.
                with pytest.raises(VenueUnavailable) as caught:
                    await anext(news)
                server.is_deaf = False
            errors.append(repr(caught.value))
            assert caught.value.__context__ is None
            assert caught.value.__cause__ is None
            del caught, news  # They hold what was waited for.
        gc.collect()
    assert server.listen_key not in f"{errors} {caplog.text}"
    assert "never retrieved" not in caplog.text, "asyncio would write the whole error, and what stands in it"
