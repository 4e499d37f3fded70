"""Levers for other processes, under /demo, for requests from this machine only: faults, marks, and the truth.

POST   /demo/faults   {"kind": "lose_after", "path": "/positionMargin", "times": 1}, or a list  -> {"ids": [1]}
GET    /demo/faults                                                                  -> those that are on
DELETE /demo/faults   all of them; ?id=1 only that one
POST   /demo/marks    {"BTCUSDT": "58000"}: they move in the same instant
GET    /demo/state    equity, positions, liquidations, request counts, the log of margin requests
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from typing import Any

import orjson
from aiohttp import web
from pydantic import TypeAdapter

from guard.demo.exchange.exchange import DemoExchange
from guard.demo.exchange.faults import Fault
from guard.demo.exchange.ledger import DemoAccount, available, equity, liquidation_of
from guard.demo.exchange.market import QUOTES
from guard.snapshot import Side

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_FAULT = TypeAdapter(Fault)
FAULT_FIELDS = frozenset(field.name for field in fields(Fault))


def add_levers(app: web.Application, exchange: DemoExchange) -> None:
    levers = _Levers(exchange)
    app.router.add_post("/demo/faults", local_only(levers.add_faults))
    app.router.add_get("/demo/faults", local_only(levers.list_faults))
    app.router.add_delete("/demo/faults", local_only(levers.clear_faults))
    app.router.add_post("/demo/marks", local_only(levers.set_marks))
    app.router.add_get("/demo/state", local_only(levers.state))


def local_only(handler: Handler) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.remote is None or not ip_address(request.remote).is_loopback:
            return web.Response(status=403, text="from this machine only\n")
        try:
            return await handler(request)
        except (ValueError, TypeError, KeyError) as error:
            return web.Response(status=400, text=f"{error}\n")

    return guarded


class _Levers:
    def __init__(self, exchange: DemoExchange) -> None:
        self._exchange = exchange

    async def add_faults(self, request: web.Request) -> web.Response:
        wanted = orjson.loads(await request.read())
        faults = [_fault(row) for row in (wanted if isinstance(wanted, list) else [wanted])]
        return _json({"ids": [self._exchange.faults.add(fault) for fault in faults]})

    async def list_faults(self, _: web.Request) -> web.Response:
        states = self._exchange.faults.states()
        return _json([{"id": state.id, "struck": state.struck} | asdict(state.fault) for state in states])

    async def clear_faults(self, request: web.Request) -> web.Response:
        number = request.query.get("id")
        self._exchange.faults.clear(None if number is None else int(number))
        return _json({})

    async def set_marks(self, request: web.Request) -> web.Response:
        wanted = orjson.loads(await request.read())
        try:
            marks = {symbol: Decimal(price) for symbol, price in wanted.items() if isinstance(price, str)}
        except InvalidOperation:
            raise ValueError("a mark price is a decimal string") from None
        if len(marks) != len(wanted):
            raise ValueError("a mark price is a decimal string")
        self._exchange.set_marks(marks)
        return _json({})

    async def state(self, _: web.Request) -> web.Response:
        return _json(state_of(self._exchange))


def state_of(exchange: DemoExchange) -> dict[str, Any]:
    """Return the truth of the exchange as /demo/state gives it: amounts as decimal strings, times in ISO 8601."""
    return {
        "time": exchange.now(),
        "marks": exchange.marks,
        "accounts": [_account(exchange, account) for account in exchange.accounts.values()],
        "liquidations": [asdict(event) for event in exchange.liquidations],
        "requests": {f"{method} {path}": times for (method, path), times in exchange.requests.items()},
        "margin_posts": [asdict(post) for post in exchange.margin_posts],
    }


def _account(exchange: DemoExchange, account: DemoAccount) -> dict[str, Any]:
    marks = exchange.marks
    return {
        "account": account.name,
        "equity": equity(account, marks),
        "available": {asset: available(account, asset, marks) for asset in QUOTES if asset in account.balances},
        "balances": account.balances,
        "positions": [
            asdict(position)
            | {
                "unrealized_pnl": position.unrealized_pnl(marks),
                "maintenance_margin": position.maintenance_margin(marks),
                "liquidation_price": liquidation_of(account, position, marks),
            }
            for position in account.positions.values()
        ],
    }


def _fault(row: Any) -> Fault:
    if not isinstance(row, dict) or "kind" not in row:
        raise ValueError("a fault is an object with a kind")
    if unknown := row.keys() - FAULT_FIELDS:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(sorted(FAULT_FIELDS))}")
    return _FAULT.validate_python(row)


def _json(answer: object) -> web.Response:
    body = orjson.dumps(_plain(answer), option=orjson.OPT_UTC_Z)
    return web.Response(body=body, content_type="application/json")


def _plain(value: Any) -> Any:
    """Return what orjson can write: decimals as strings, sides as words."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Side):
        return value.word
    return value if isinstance(value, str | int | float | bool | datetime | None) else str(value)
