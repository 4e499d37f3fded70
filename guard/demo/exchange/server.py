"""The demo exchange on a socket of this machine: HTTP, streams and levers behind one address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from guard.demo.exchange.control import add_levers
from guard.demo.exchange.exchange import DemoExchange
from guard.demo.exchange.signing import Incoming
from guard.demo.exchange.stream import MarkStreams
from guard.demo.exchange.strikes import Dropped, honest, struck
from guard.demo.exchange.wire import Visit, Weights

SHUTDOWN_S = 0.2  # Nobody needs what a stopping demo would still have said.


@asynccontextmanager
async def serve(exchange: DemoExchange, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve until the block ends; give the address, http://127.0.0.1:PORT. Port 0 takes any free one."""
    app = web.Application()
    streams = MarkStreams(exchange)
    for path in ("/ws", "/ws/{rest:.*}", "/market/ws", "/market/ws/{rest:.*}", "/private/ws"):
        app.router.add_get(path, streams.handle)
    add_levers(app, exchange)
    app.router.add_route("*", "/{path:.*}", _Api(exchange).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await streams.close()
        await runner.cleanup()


class _Api:
    """Takes requests off the socket and puts answers, or what a fault leaves of them, back on it."""

    def __init__(self, exchange: DemoExchange) -> None:
        self._exchange = exchange
        self._weights = Weights()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode(errors="replace")
        incoming = Incoming(
            method=request.method,
            path=request.path,
            query=request.rel_url.raw_query_string,
            body=body,
            api_key=request.headers.get("X-MBX-APIKEY"),
        )
        self._exchange.requests[incoming.method, incoming.path] += 1
        strike = self._exchange.faults.strike(incoming.api_key, incoming.method, incoming.path)
        now = self._exchange.now()
        fault = strike.fault if strike else None
        visit = Visit(exchange=self._exchange, incoming=incoming, arrived_at=now, fault=fault)
        try:
            response = honest(visit.carry_out()) if strike is None else await struck(visit, strike)
        except Dropped as dropped:
            return await _drop(request, dropped)
        response.headers.update(self._weights.header(visit.weight(), now))
        return response


async def _drop(request: web.Request, dropped: Dropped) -> web.StreamResponse:
    """Close the connection, in the middle of an answer if one was begun."""
    response = web.StreamResponse()
    if dropped.length:
        response.content_length = dropped.length
        response.content_type = "application/json"
        await response.prepare(request)
        await response.write(dropped.said)
    if request.transport is not None:
        request.transport.close()
    return response


def ccxt_urls(url: str) -> dict[str, Any]:
    """Return `urls` for ccxt's constructor, in which every address of binanceusdm is this server's.

    A nested dict of strings, fit for a TOML table: {"urls": ccxt_urls(url)} is an account's `ccxt`.
    """
    stream = url.replace("http", "ws", 1)
    paths = {
        "public": "api/v3",
        "private": "api/v3",
        "v1": "api/v1",
        "sapi": "sapi/v1",
        "sapiV2": "sapi/v2",
        "sapiV3": "sapi/v3",
        "sapiV4": "sapi/v4",
        **{f"fapi{who}{version}": f"fapi/{(version or 'v1').lower()}" for who in _WHO for version in ("", "V2", "V3")},
        "fapiData": "futures/data",
        "dapiData": "futures/data",
        "dapiPublic": "dapi/v1",
        "dapiPrivate": "dapi/v1",
        "dapiPrivateV2": "dapi/v2",
        "eapiPublic": "eapi/v1",
        "eapiPrivate": "eapi/v1",
        "papi": "papi/v1",
        "papiV2": "papi/v2",
    }
    streams = ("spot", "margin", "linear", "inverse", "stock", "option", "optionMarket", "optionPrivate", "papi")
    sockets = {
        **dict.fromkeys(streams, f"{stream}/ws"),
        "ws-api": dict.fromkeys(("spot", "linear", "inverse"), f"{stream}/ws-api"),
    }
    return {"api": {name: f"{url}/{path}" for name, path in paths.items()} | {"ws": sockets}}


_WHO = ("Public", "Private")
