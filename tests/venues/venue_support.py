"""A small server on loopback that answers as Binance USD-M documents, one reply at a time replaceable."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import WSMsgType, web

from guard.venues.binance import BinanceUsdm
from guard.venues.protocol import VenueAccount

API_KEY = "canary-key-5f1d2c9b8a7e"
SECRET = "canary-secret-0a9b8c7d6e5f4a3b2c1d"

Reply = Callable[[web.Request], Any]


def market(market_id: str, base: str, quote: str = "USDT") -> dict[str, Any]:
    """One symbol of exchangeInfo, in the fields that ccxt reads. Source: docs, Exchange Information (2026-07)."""
    return {
        "symbol": market_id, "pair": market_id, "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000, "status": "TRADING", "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
        "baseAsset": base, "quoteAsset": quote, "marginAsset": quote, "pricePrecision": 2, "quantityPrecision": 3,
        "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": [], "settlePlan": 0,
        "triggerProtect": "0.05", "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "1000000", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        ],
    }  # fmt: skip


def position_row(**fields: Any) -> dict[str, Any]:
    """An isolated BTC long of GET /fapi/v3/positionRisk. Shape: the recorded answer of 2024-07-28."""
    return {
        "symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "0.100", "entryPrice": "60000.0",
        "breakEvenPrice": "60030.0", "markPrice": "58000.00000000", "unRealizedProfit": "-200.00000000",
        "liquidationPrice": "54216.86746988", "isolatedMargin": "400.00000000", "notional": "5800.00000000",
        "marginAsset": "USDT", "isolatedWallet": "600.00000000", "initialMargin": "580.00000000",
        "maintMargin": "23.20000000", "positionInitialMargin": "580.00000000", "openOrderInitialMargin": "0",
        "adl": "2", "bidNotional": "0", "askNotional": "0", "updateTime": 1722161166529,
    } | fields  # fmt: skip


def account_of(rows: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """GET /fapi/v3/account that fits these position rows. Shape: the recorded answer of 2024-07-28."""
    asset = {
        "asset": "USDT", "walletBalance": "2600.00000000", "unrealizedProfit": "-200.00000000",
        "marginBalance": "2400.00000000", "maintMargin": "23.20000000", "initialMargin": "580.00000000",
        "positionInitialMargin": "580.00000000", "openOrderInitialMargin": "0.00000000",
        "crossWalletBalance": "2000.00000000", "crossUnPnl": "0.00000000", "availableBalance": "2000.00000000",
        "maxWithdrawAmount": "2000.00000000", "updateTime": 1722161166529,
    }  # fmt: skip
    empty = dict.fromkeys(asset, "0.00000000") | {"asset": "BNB", "updateTime": 0}
    names = ("symbol", "positionSide", "positionAmt", "isolatedWallet", "notional", "maintMargin", "updateTime")
    return {
        "totalInitialMargin": "580.00000000", "totalMaintMargin": "23.20000000", "totalWalletBalance": "2600.00000000",
        "totalUnrealizedProfit": "-200.00000000", "totalMarginBalance": "2400.00000000",
        "totalPositionInitialMargin": "580.00000000", "totalOpenOrderInitialMargin": "0.00000000",
        "totalCrossWalletBalance": "2000.00000000", "totalCrossUnPnl": "0.00000000",
        "availableBalance": "2000.00000000", "maxWithdrawAmount": "2000.00000000", "assets": [asset, empty],
        "positions": [{name: row[name] for name in names if name in row} for row in rows],
    } | fields  # fmt: skip


class StubExchange:
    """What the server answers, and what it was asked. `replies` maps a path's end to a function or a value."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []  # Method, path, parameters.
        self.asked_something = asyncio.Event()
        self.markets = [market("BTCUSDT", "BTC"), market("ETHUSDT", "ETH"), market("1000SHIBUSDT", "1000SHIB")]
        self.positions: list[Any] = [position_row()]
        self.account: Any = None  # None: made to fit the positions.
        self.margin_types = {"BTCUSDT": "ISOLATED", "ETHUSDT": "CROSSED", "1000SHIBUSDT": "ISOLATED"}
        self.multi_assets = False
        self.history: list[dict[str, Any]] = []
        self.replies: dict[str, Reply] = {}
        self.ticks: list[dict[str, Any]] = []
        self.url = ""

    def asked(self, path_end: str, method: str | None = None) -> list[dict[str, str]]:
        return [p for m, path, p in self.requests if path.endswith(path_end) and method in {None, m}]

    def forget_requests(self) -> None:
        self.requests.clear()
        self.asked_something.clear()

    def count(self) -> Counter[str]:
        return Counter(f"{method} {path}" for method, path, _ in self.requests)

    def urls(self) -> dict[str, object]:
        names = ("fapiPublic", "fapiPublicV2", "fapiPublicV3", "fapiPrivate", "fapiPrivateV2", "fapiPrivateV3")
        versions = {"V2": "v2", "V3": "v3"}
        api: dict[str, object] = {name: f"{self.url}/fapi/{versions.get(name[-2:], 'v1')}" for name in names}
        api["sapi"] = f"{self.url}/sapi/v1"
        api["ws"] = {"linear": self.url.replace("http://", "ws://") + "/ws"}
        return {"api": api}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        self.requests.append((request.method, request.path, dict(request.query) | dict(parse_qsl(body))))
        self.asked_something.set()
        for end, reply in self.replies.items():
            if request.path.endswith(end):
                answer = reply(request)
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if isinstance(answer, web.StreamResponse):
                    return answer
                return web.json_response(answer)
        return web.json_response(self.answer(request))

    def answer(self, request: web.Request) -> Any:
        answers: dict[str, Callable[[], Any]] = {
            "/fapi/v1/exchangeInfo": lambda: {"timezone": "UTC", "symbols": self.markets, "assets": []},
            "/fapi/v1/time": lambda: {"serverTime": int(datetime.now(UTC).timestamp() * 1000)},
            "/fapi/v1/accountConfig": lambda: {"dualSidePosition": False, "multiAssetsMargin": self.multi_assets},
            "/fapi/v1/symbolConfig": lambda: [
                {"symbol": s, "marginType": m, "isAutoAddMargin": "false", "leverage": 10, "maxNotionalValue": "1000"}
                for s, m in self.margin_types.items()
            ],
            "/fapi/v3/positionRisk": lambda: self.positions,
            "/fapi/v3/account": lambda: self.account or account_of([r for r in self.positions if isinstance(r, dict)]),
            "/fapi/v1/positionMargin/history": lambda: self.history_page(request.query),
        }
        return answers[request.path]()

    def history_page(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        start, end = int(query["startTime"]), int(query["endTime"])
        rows = [row for row in self.history if start <= row["time"] <= end and row["symbol"] == query["symbol"]]
        return rows[: int(query["limit"])]

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_json({"result": None, "id": message.json()["id"]})
                for tick in self.ticks:
                    await socket.send_json(tick)
                if not self.ticks:
                    break
        return socket


@asynccontextmanager
async def stub_exchange() -> AsyncIterator[StubExchange]:
    stub = StubExchange()
    app = web.Application()
    app.router.add_get("/market/ws/{n}", stub.stream)
    app.router.add_route("*", "/{path:.*}", stub.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield stub
    await runner.cleanup()


@pytest.fixture
async def exchange() -> AsyncIterator[StubExchange]:
    async with stub_exchange() as stub:
        yield stub


def account_at(exchange: StubExchange, **ccxt: Any) -> VenueAccount:
    options = {"urls": exchange.urls(), "rateLimit": 1} | ccxt
    return VenueAccount(
        account="main", exchange="binanceusdm", api_key=API_KEY, secret=SECRET, password=None, ccxt=options
    )


@pytest.fixture
async def venue(exchange: StubExchange) -> AsyncIterator[BinanceUsdm]:
    one = BinanceUsdm(account_at(exchange), now=lambda: datetime.now(UTC))
    yield one
    await one.close()
