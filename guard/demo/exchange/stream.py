"""The streams: WebSocket connections that subscribe to symbols and are told their marks, or hear of one account.

An account is heard of by whoever opens a connection with its key; with another key it is silent. A mark is pushed when
it changes, and every subscribed one once a second. A connection that reads slowly gets the newest marks, not every one
between.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal

import orjson
from aiohttp import WSMsgType, web

from guard.demo.exchange.account_update import account_update
from guard.demo.exchange.exchange import DemoExchange
from guard.demo.exchange.faults import FaultKind
from guard.demo.exchange.ledger import DemoAccount
from guard.demo.exchange.payloads import mark_update

EVERY_S = 1.0
ALL_MARKETS = "!markPrice@arr"


class MarkStreams:
    """All stream connections of a served exchange."""

    def __init__(self, exchange: DemoExchange) -> None:
        self._exchange = exchange
        self._open: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self._is_dropped():
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._open.add(socket)
        key = request.query.get("listenKey")
        account = next((one for one in self._exchange.accounts.values() if one.listen_key == key), None)
        connection = _Connection(socket, self._exchange, account)
        pushing = asyncio.create_task(connection.push_for_ever())
        try:
            await connection.listen()
        finally:
            pushing.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await pushing
            self._open.discard(socket)
        return socket

    async def close(self) -> None:
        """Close every connection, as a server that goes away."""
        for socket in tuple(self._open):
            await socket.close(code=1001)

    def _is_dropped(self) -> bool:
        return self._exchange.faults.holds(FaultKind.STREAM_DROPPED)


class _Connection:
    def __init__(self, socket: web.WebSocketResponse, exchange: DemoExchange, account: DemoAccount | None) -> None:
        self._socket = socket
        self._exchange = exchange
        self._account = account
        self._changes_told = 0 if account is None else len(account.changes)
        self._streams: set[str] = set()
        self._told: dict[str, Decimal] = {}
        self._news = asyncio.Event()

    async def listen(self) -> None:
        """Take SUBSCRIBE and UNSUBSCRIBE until the connection ends."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            await self._socket.send_str(orjson.dumps(self._obey(message.data)).decode())
            self._told.clear()
            self._news.set()

    def _obey(self, text: str) -> dict[str, object]:
        try:
            request = orjson.loads(text)
            method, streams, number = request["method"], request["params"], request["id"]
        except (ValueError, KeyError, TypeError):
            return {"error": {"code": 3, "msg": "Invalid JSON: expected method, params and id"}}
        if method == "SUBSCRIBE":
            self._streams.update(streams)
        elif method == "UNSUBSCRIBE":
            self._streams.difference_update(streams)
        else:
            return {"error": {"code": 2, "msg": f"Invalid request: unknown method {method}"}, "id": number}
        return {"result": None, "id": number}

    async def push_for_ever(self) -> None:
        """Push changed marks when they change, and all of them once a second."""
        stop = self._exchange.on_news(self._news.set)
        loop = asyncio.get_running_loop()
        all_due_at = loop.time()
        try:
            while not self._socket.closed:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(all_due_at):
                        await self._news.wait()
                self._news.clear()
                if loop.time() >= all_due_at:
                    self._told.clear()
                    all_due_at = loop.time() + EVERY_S
                if self._exchange.faults.holds(FaultKind.STREAM_DROPPED):
                    await self._socket.close(code=1001)
                    return
                await self._push()
                await asyncio.sleep(self._exchange.push_gap.total_seconds())
        finally:
            stop()

    async def _push(self) -> None:
        if self._exchange.faults.holds(FaultKind.STREAM_SILENT):
            return
        await self._push_changes()
        changed = [symbol for symbol, mark in self._exchange.marks.items() if self._told.get(symbol) != mark]
        if not changed or not self._streams:
            return
        self._told.update((symbol, self._exchange.marks[symbol]) for symbol in changed)
        if any(stream.startswith(ALL_MARKETS) for stream in self._streams):
            await self._send([self._message(symbol) for symbol in changed])
        for symbol in self._subscribed(changed):
            await self._send(self._message(symbol))

    async def _push_changes(self) -> None:
        """Tell what happened to the account since the connection was opened."""
        while self._account is not None and self._changes_told < len(self._account.changes):
            change = self._account.changes[self._changes_told]
            self._changes_told += 1
            await self._send(account_update(self._account, change, self._exchange.marks))

    def _subscribed(self, symbols: Iterable[str]) -> list[str]:
        wanted = {stream.partition("@")[0].upper() for stream in self._streams if "@markPrice" in stream}
        return [symbol for symbol in symbols if symbol in wanted]

    def _message(self, symbol: str) -> dict[str, object]:
        return mark_update(symbol, self._exchange.marks[symbol], self._exchange.now())

    async def _send(self, message: object) -> None:
        await self._socket.send_str(orjson.dumps(message).decode())
