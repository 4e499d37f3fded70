"""The demo exchange on loopback: signed HTTP as Binance USD-M speaks it, its mark stream, and a control desk."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from guard.demo.binance import payloads
from guard.demo.binance.faults import Fault, FaultKind
from guard.demo.binance.ledger import DemoAccount
from guard.demo.binance.market import DemoExchange, Refused

Query = dict[str, str]
STREAM_EVERY_S = 1.0
KEY_REFUSED = Refused(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def ccxt_urls(url: str) -> dict[str, Any]:
    """Return the `urls` table that points ccxt's binanceusdm at this exchange, and nowhere else."""
    api: dict[str, Any] = {f"fapi{access}": f"{url}/fapi/v1" for access in ("Public", "Private")}
    for version in ("V2", "V3"):
        api |= {f"fapi{access}{version}": f"{url}/fapi/{version.lower()}" for access in ("Public", "Private")}
    api["sapi"] = f"{url}/sapi/v1"
    api["ws"] = {"linear": url.replace("http://", "ws://") + "/ws"}
    return {"api": api}


@asynccontextmanager
async def serve(exchange: DemoExchange, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the exchange while the block runs; give its url. Port 0 takes a free one."""
    desk = _Desk(exchange)
    app = web.Application()
    app.router.add_get("/ws/{rest:.*}", desk.stream)
    app.router.add_get("/market/ws/{rest:.*}", desk.stream)
    app.router.add_get("/demo/state", desk.state)
    app.router.add_post("/demo/faults", desk.add_fault)
    app.router.add_delete("/demo/faults", desk.clear_faults)
    app.router.add_post("/demo/marks", desk.move_marks)
    app.router.add_route("*", "/{path:.*}", desk.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class _Desk:
    """Takes requests, applies faults, asks the exchange."""

    def __init__(self, exchange: DemoExchange) -> None:
        self._exchange = exchange
        self._late: set[asyncio.Task[None]] = set()
        self._public: dict[str, Callable[[Query], Any]] = {
            "/fapi/v1/ping": lambda _: {},
            "/fapi/v1/time": lambda _: {"serverTime": exchange.now_ms()},
            "/fapi/v1/exchangeInfo": lambda _: payloads.exchange_info(exchange),
            "/fapi/v1/premiumIndex": self._premium_index,
            "/fapi/v1/klines": lambda query: payloads.klines(exchange, query),
            "/fapi/v1/markPriceKlines": lambda query: payloads.klines(exchange, query),
        }
        self._signed: dict[str, Callable[[DemoAccount, Query], Any]] = {
            "/fapi/v1/leverageBracket": lambda _, query: payloads.leverage_brackets(exchange, query.get("symbol")),
            "/fapi/v3/positionRisk": lambda one, query: payloads.position_risk(exchange, one, query.get("symbol")),
            "/fapi/v3/account": lambda one, _: payloads.account(exchange, one),
            "/fapi/v1/symbolConfig": lambda one, query: payloads.symbol_config(exchange, one, query.get("symbol")),
            "/fapi/v1/accountConfig": lambda one, _: payloads.account_config(one),
            "/fapi/v1/positionSide/dual": lambda one, _: {"dualSidePosition": one.hedge_mode},
            "/fapi/v1/multiAssetsMargin": lambda one, _: {"multiAssetsMargin": one.multi_assets},
            "/fapi/v1/openOrders": lambda _one, _query: [],
            "/fapi/v1/positionMargin/history": payloads.margin_history,
            "/sapi/v1/account/apiRestrictions": lambda one, _: payloads.restrictions(one),
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, through whatever fault is on."""
        counted = (request.method, request.path)
        self._exchange.requests[counted] = self._exchange.requests.get(counted, 0) + 1
        body = await request.text()
        if request.path == "/fapi/v1/positionMargin":
            self._exchange.margin_posts.append(dict(parse_qsl(body)))
        key = request.headers.get("X-MBX-APIKEY", "")
        fault = self._exchange.faults.hit(request.method, request.path, key)

        async def truly() -> web.Response:
            return self._truly(request, body)

        return await (truly() if fault is None else self._faulty(fault, request, truly))

    def _truly(self, request: web.Request, body: str) -> web.Response:
        try:
            return _json(self._dispatch(request, body))
        except Refused as refusal:
            return _json({"code": refusal.code, "msg": refusal.message}, status=refusal.status)

    def _dispatch(self, request: web.Request, body: str) -> Any:
        query = dict(request.query)
        if request.method == "GET" and request.path in self._public:
            return self._public[request.path](query)
        account, query = self._authenticate(request, body)
        if request.method == "GET" and request.path in self._signed:
            return self._signed[request.path](account, query)
        if (request.method, request.path) == ("POST", "/fapi/v1/positionMargin"):
            return self._position_margin(account, query)
        raise Refused(-5000, f"Path {request.path}, Method {request.method} is invalid", status=404)

    def _authenticate(self, request: web.Request, body: str) -> tuple[DemoAccount, Query]:
        """Check key, signature and timestamp as Binance does: HMAC SHA256 over the parameters as they were sent."""
        account = self._exchange.accounts.get(request.headers.get("X-MBX-APIKEY", ""))
        if account is None:
            raise KEY_REFUSED
        sent = f"{request.query_string}{body}"
        unsigned, _, signature = sent.rpartition("&signature=")
        wanted = hmac.new(account.secret.encode(), unsigned.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, signature):
            raise Refused(-1022, "Signature for this request is not valid.")
        query = dict(parse_qsl(unsigned, keep_blank_values=True))
        window = int(query.get("recvWindow", 5000))
        age_ms = self._exchange.now_ms() - int(query.get("timestamp", 0))
        if age_ms > window or age_ms < -1000:
            raise Refused(-1021, "Timestamp for this request is outside of the recvWindow.")
        return account, query

    def _position_margin(self, account: DemoAccount, query: Query) -> Any:
        try:
            amount = Decimal(query["amount"])
        except (KeyError, InvalidOperation):
            raise Refused(-1102, "Mandatory parameter 'amount' was not sent, was empty/null, or malformed.") from None
        if amount != round(amount, 8):
            raise Refused(-1111, "Precision is over the maximum defined for this asset.")
        side, kind = query.get("positionSide", "BOTH"), query.get("type", "")
        if kind not in {"1", "2"} or query.get("symbol") not in self._exchange.marks:
            raise Refused(-1102, "Mandatory parameter 'symbol' or 'type' is malformed.")
        self._exchange.change_margin(account, query["symbol"], side, amount, kind)
        return {"amount": float(amount), "code": 200, "msg": "Successfully modify position margin.", "type": int(kind)}

    def _premium_index(self, query: Query) -> Any:
        if "symbol" not in query:
            return [payloads.premium_index(self._exchange, symbol) for symbol in self._exchange.marks]
        if query["symbol"] not in self._exchange.marks:
            raise Refused(-1121, "Invalid symbol.")
        return payloads.premium_index(self._exchange, query["symbol"])

    async def _faulty(
        self, fault: Fault, request: web.Request, truly: Callable[[], Awaitable[web.Response]]
    ) -> web.StreamResponse:
        match fault.kind:
            case FaultKind.REJECT:
                return _json({"code": fault.code, "msg": fault.message}, status=fault.status)
            case FaultKind.BODY:
                return web.Response(status=fault.status, text=fault.body, content_type="text/html")
            case FaultKind.RATE_LIMIT:
                return _json(
                    {"code": -1003, "msg": "Too many requests."},
                    status=fault.status if fault.status in {418, 429} else 429,
                    headers={"Retry-After": f"{fault.seconds:.0f}"},
                )
            case FaultKind.HANG:
                await asyncio.sleep(fault.seconds)
                return await truly()
            case FaultKind.STALE | FaultKind.EMPTY | FaultKind.BROKEN_ROW:
                return await _altered(fault, request, truly)
            case _:
                return await self._lost(fault, request, truly)

    async def _lost(
        self, fault: Fault, request: web.Request, truly: Callable[[], Awaitable[web.Response]]
    ) -> web.StreamResponse:
        if fault.kind is FaultKind.LATE:
            task = asyncio.create_task(_later(fault.seconds, truly))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        elif fault.kind is not FaultKind.LOST_BEFORE:
            answer = await truly()
            if fault.kind is FaultKind.TRUNCATED:
                return await _truncated(request, answer)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        """Push mark prices of the subscribed symbols: at every move, and at least every second."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        wanted: set[str] = set()
        moved = asyncio.Event()
        queue: dict[str, Decimal] = {}

        def note(symbol: str, price: Decimal) -> None:
            if symbol in wanted:
                queue[symbol] = price
                moved.set()

        self._exchange.on_mark.append(note)
        pusher = asyncio.create_task(self._push(socket, wanted, queue, moved))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await _subscribe(socket, message.json(), wanted)
        finally:
            self._exchange.on_mark.remove(note)
            pusher.cancel()
        return socket

    async def _push(
        self, socket: web.WebSocketResponse, wanted: set[str], queue: dict[str, Decimal], moved: asyncio.Event
    ) -> None:
        while not socket.closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(STREAM_EVERY_S):
                    await moved.wait()
            moved.clear()
            prices = dict(queue) or {symbol: self._exchange.marks[symbol] for symbol in wanted}
            queue.clear()
            for symbol, price in prices.items():
                with suppress(ConnectionError):
                    await socket.send_json(payloads.mark_update(symbol, price, self._exchange.now_ms()))

    async def state(self, _: web.Request) -> web.Response:
        """Tell what really happened: for tests and for people who play."""
        exchange = self._exchange
        return _json(
            {
                "marks": {symbol: f"{price:f}" for symbol, price in exchange.marks.items()},
                "requests": {f"{method} {path}": count for (method, path), count in exchange.requests.items()},
                "margin_posts": exchange.margin_posts,
                "accounts": {one.name: self._account_state(one) for one in exchange.accounts.values()},
            }
        )

    def _account_state(self, one: DemoAccount) -> dict[str, Any]:
        return {
            "equity": f"{one.equity(self._exchange.marks):f}",
            "wallet": f"{one.wallet:f}",
            "positions": payloads.position_risk(self._exchange, one, None),
            "margin_changes": [asdict(change) | {"amount": f"{change.amount:f}"} for change in one.changes],
            "liquidations": [
                asdict(taken) | {"mark_price": f"{taken.mark_price:f}", "loss": f"{taken.loss:f}"}
                for taken in one.liquidated
            ],
        }

    async def add_fault(self, request: web.Request) -> web.Response:
        fields = await request.json()
        self._exchange.faults.add(Fault(**{**fields, "kind": FaultKind(fields["kind"])}))
        return _json({"ok": True})

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._exchange.faults.clear()
        return _json({"ok": True})

    async def move_marks(self, request: web.Request) -> web.Response:
        taken = [
            one
            for symbol, price in (await request.json()).items()
            for one in self._exchange.set_mark(symbol, Decimal(price))
        ]
        return _json({"liquidated": [f"{one.account} {one.symbol} {one.side}" for one in taken]})


async def _altered(
    fault: Fault, request: web.Request, truly: Callable[[], Awaitable[web.Response]]
) -> web.StreamResponse:
    answer = await truly()
    if fault.kind is FaultKind.STALE:
        return _json(fault.remembered.setdefault(request.path, json.loads(answer.text or "null")))
    if fault.kind is FaultKind.EMPTY:
        return _json([])
    rows = json.loads(answer.text or "null")
    if isinstance(rows, list) and rows:
        if fault.value is None:
            rows[0].pop(fault.field_name, None)
        else:
            rows[0][fault.field_name] = fault.value
    return _json(rows)


async def _truncated(request: web.Request, answer: web.Response) -> web.StreamResponse:
    """Promise the whole body, send half of it, and hang up."""
    body = (answer.text or "").encode()
    response = web.StreamResponse(status=answer.status, headers={"Content-Length": str(len(body))})
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _later(seconds: float, truly: Callable[[], Awaitable[web.Response]]) -> None:
    await asyncio.sleep(seconds)
    await truly()


async def _subscribe(socket: web.WebSocketResponse, command: dict[str, Any], wanted: set[str]) -> None:
    symbols = {name.partition("@")[0].upper() for name in command.get("params", []) if "@markPrice" in name}
    if command.get("method") == "SUBSCRIBE":
        wanted |= symbols
    elif command.get("method") == "UNSUBSCRIBE":
        wanted -= symbols
    await socket.send_json({"result": None, "id": command.get("id")})


def _json(document: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    extra = {"X-MBX-USED-WEIGHT-1M": "1", **(headers or {})}
    return web.Response(status=status, text=json.dumps(document), content_type="application/json", headers=extra)
