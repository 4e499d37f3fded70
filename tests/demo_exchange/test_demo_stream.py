"""The mark-price stream, followed by the real ccxt.pro and by a bare socket."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from guard.demo.exchange import Fault, FaultKind

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


async def price_of(client: Any, symbol: str, wanted: float) -> None:
    """Wait until the stream says so."""
    told = None
    async with asyncio.timeout(5):
        while told != wanted:
            told = (await client.watch_mark_prices([symbol]))[symbol]["markPrice"]
    assert told == wanted


async def test_ccxt_follows_marks_as_they_change(exchange, client, account):
    await price_of(client, BTC, 60_000)
    for mark in (59_000, 58_500):
        exchange.set_mark("BTCUSDT", Decimal(mark))
        await price_of(client, BTC, mark)


async def test_a_mark_that_stands_still_is_told_again_every_second(client, account):
    stamps = []
    async with asyncio.timeout(8):
        while len(stamps) < 3:
            stamps.append((await client.watch_mark_price(BTC))["timestamp"])
    assert stamps == sorted(set(stamps))
    assert stamps[-1] - stamps[0] >= 900


async def test_only_subscribed_symbols_are_told_and_unsubscribing_ends_it(exchange, http):
    async with http.ws_connect("/market/ws/0") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@markPrice@1s"], "id": 7})
        assert await socket.receive_json() == {"result": None, "id": 7}
        message = await socket.receive_json()
        assert (message["e"], message["s"], message["p"]) == ("markPriceUpdate", "BTCUSDT", "60000.00000000")
        assert set(message) >= {"E", "i", "P", "r", "T"}
        await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@markPrice@1s"], "id": 8})
        while "result" not in (message := await socket.receive_json()):
            assert message["s"] == "BTCUSDT"
        assert message["id"] == 8
        exchange.set_marks({"BTCUSDT": Decimal(1), "ETHUSDT": Decimal(1)})
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=1.5)


async def test_all_symbols_come_as_one_list(exchange, http):
    async with http.ws_connect("/market/ws/0") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["!markPrice@arr@1s"], "id": 1})
        await socket.receive_json()
        assert {row["s"] for row in await socket.receive_json()} == set(exchange.marks)


async def test_nonsense_on_the_socket_is_answered_and_survived(http):
    async with http.ws_connect("/market/ws/0") as socket:
        await socket.send_str("hello")
        assert "error" in await socket.receive_json()
        await socket.send_json({"method": "DANCE", "params": [], "id": 3})
        answer = await socket.receive_json()
        assert (answer["id"], "error" in answer) == (3, True)


async def test_pushes_can_be_slowed_and_then_the_newest_mark_is_told(exchange, http):
    exchange.push_gap = timedelta(seconds=1.2)
    async with http.ws_connect("/market/ws/0") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@markPrice@1s"], "id": 1})
        await socket.receive_json()
        first = await socket.receive_json()
        for mark in (59_000, 58_000, 57_000):
            exchange.set_mark("BTCUSDT", Decimal(mark))
            await asyncio.sleep(0.01)
        second = await socket.receive_json()
    assert (first["p"], second["p"]) == ("60000.00000000", "57000.00000000")
    assert second["E"] - first["E"] >= 1150


async def test_a_silent_stream_stays_open_and_says_nothing(exchange, http):
    async with http.ws_connect("/market/ws/0") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@markPrice@1s"], "id": 1})
        await socket.receive_json()
        await socket.receive_json()
        number = exchange.faults.add(Fault(kind=FaultKind.STREAM_SILENT))
        exchange.set_mark("BTCUSDT", Decimal(59_000))
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=1.5)
        exchange.faults.clear(number)
        assert (await socket.receive_json(timeout=5))["p"] == "59000.00000000"


async def test_a_dropped_stream_breaks_the_connection_and_takes_no_new_one(exchange, client, account):
    await price_of(client, BTC, 60_000)
    exchange.faults.add(Fault(kind=FaultKind.STREAM_DROPPED))
    with pytest.raises(ccxt.pro.NetworkError):
        await price_of(client, BTC, -1)
    with pytest.raises(ccxt.pro.NetworkError):
        await price_of(client, ETH, 3_000)
    exchange.faults.clear()
    await price_of(client, BTC, 60_000)
