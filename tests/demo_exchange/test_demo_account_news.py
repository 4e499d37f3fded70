"""The demo exchange's stream of an account, followed by the real ccxt.pro and by a bare socket."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from demo_exchange_support import API_KEY

from guard.demo.exchange import Fault, FaultKind
from guard.demo.exchange.margin_change import change_position_margin
from guard.snapshot import Side

LONG = {"symbol": "BTCUSDT", "side": Side.LONG, "quantity": Decimal("0.1"), "leverage": 10}
ADDED = {"symbol": "BTCUSDT", "amount": "50", "type": "1"}


@asynccontextmanager
async def listening(http, key=None):
    answer = await http.post("/fapi/v1/listenKey", headers={"X-MBX-APIKEY": API_KEY})
    key = key or (await answer.json())["listenKey"]
    async with http.ws_connect("/private/ws", params={"listenKey": key}) as socket:
        await asyncio.sleep(0.1)
        yield socket


async def test_ccxt_itself_hears_of_a_position_and_of_the_wallet(exchange, client, account):
    hearing = asyncio.ensure_future(client.watch_balance())
    await asyncio.sleep(1)
    exchange.open_position(account, **LONG)
    async with asyncio.timeout(5):
        assert (await hearing)["USDT"]["total"] == 10_000
    assert exchange.requests["POST", "/fapi/v1/listenKey"] == 1


async def test_every_way_in_which_an_account_changes_is_told_once_with_its_reason(exchange, http, account):
    async with listening(http) as socket:
        exchange.open_position(account, **LONG)
        told = await socket.receive_json(timeout=5)
        assert told["a"]["P"][0] | {"up": "0"} == {
            "s": "BTCUSDT", "ps": "BOTH", "pa": "0.1", "ep": "60000", "up": "0", "cr": "0", "mt": "isolated",
            "iw": "600.00000000", "ma": "USDT",
        }  # fmt: skip
        change_position_margin(account, ADDED, exchange.marks, exchange.now())
        exchange.tell(account, "MARGIN_TRANSFER", "BTCUSDT", "BOTH")
        added = await socket.receive_json(timeout=5)
        assert (added["a"]["m"], added["a"]["P"][0]["iw"]) == ("MARGIN_TRANSFER", "650.00000000")
        exchange.close_position(account, "BTCUSDT", Side.LONG)
        assert (await socket.receive_json(timeout=5))["a"]["P"][0]["pa"] == "0"
        exchange.open_position(account, **LONG)
        exchange.set_mark("BTCUSDT", Decimal(1000))
        reasons = [(await socket.receive_json(timeout=5))["a"]["m"] for _ in range(2)]
        assert (told["a"]["m"], reasons) == ("ORDER", ["ORDER", "INSURANCE_CLEAR"])
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=1.5)


async def test_with_another_key_the_connection_is_silent_and_without_one_there_is_none(exchange, http, account):
    async with listening(http, key="another") as socket:
        exchange.open_position(account, **LONG)
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=0.5)
    refused = await http.post("/fapi/v1/listenKey", headers={"X-MBX-APIKEY": "nobody"})
    assert (refused.status, (await refused.json())["code"]) == (401, -2015)


async def test_a_silent_stream_tells_of_the_account_when_it_speaks_again(exchange, http, account):
    async with listening(http) as socket:
        number = exchange.faults.add(Fault(kind=FaultKind.STREAM_SILENT))
        exchange.open_position(account, **LONG)
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=0.5)
        exchange.faults.clear(number)
        assert (await socket.receive_json(timeout=5))["e"] == "ACCOUNT_UPDATE"
