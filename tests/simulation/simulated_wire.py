"""The wire between the real client and the simulated exchange: requests go out, arrive, are executed and answered.

Everything after the first byte belongs to the world and goes on when the daemon dies.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import orjson
from simulated_exchange import Exchange, Refused
from simulated_faults import STAND_INS, Arrival, Fate, Fates
from simulated_payloads import PATHS, answer
from simulated_time import World

POST_PATH = "/fapi/v1/positionMargin"
FUTURE_MS = 1000  # So far ahead of the exchange's clock a request may be dated.
CACHED = {"positions", "account", "mark"}  # What a cache in between may answer from.

Reply = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it left the daemon."""

    number: int
    account: str
    method: str
    host: str
    path: str
    fields: Mapping[str, str]
    sent_s: float

    @property
    def what(self) -> str:
        return PATHS.get(self.path, self.path)


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """An answer that reached the daemon. `truth_s`: when what it says was true."""

    request: Request
    body: Any
    truth_s: float
    is_whole: bool  # The exchange's own answer, nothing taken out of it.
    prices: Mapping[str, Decimal]  # At the time of the answer.


class SimulatedWire:
    """All requests of one account."""

    def __init__(self, exchange: Exchange, fates: Fates, world: World) -> None:
        self.exchange = exchange
        self.fates = fates
        self.world = world
        self.sent = 0
        self.on_request: Callable[[Request], None] = lambda request: None
        self.on_delivered: Callable[[Delivered], None] = lambda delivered: None
        self.on_refused: Callable[[Request, int, Mapping[str, str]], None] = lambda request, status, headers: None
        self._cache: dict[str, deque[tuple[float, Any]]] = {}

    async def send(self, deadline_s: float, method: str, url: str, body: str | None) -> Reply:
        """Send one request and wait for its answer, as the client's own `_send` does. Raises as aiohttp does."""
        request = self._request(method, url, body)
        self.on_request(request)
        fate = self.fates.of_write(self.world.time_s) if method == "POST" else self.fates.of_read(self.world.time_s)
        self.world.note(self.exchange.name, method, request.what, fate.arrival.name, fate.reply)
        answered: asyncio.Future[tuple[Reply, Delivered | None]] = asyncio.get_running_loop().create_future()
        self.world.after(fate.delay_s, lambda: self._arrive(request, fate, answered))
        async with asyncio.timeout(deadline_s):
            reply, delivered = await answered
        if fate.reply == "cut":
            raise aiohttp.ClientPayloadError("Response payload is not completed")
        if reply[0] in {418, 429}:
            self.on_refused(request, reply[0], reply[1])
        if delivered is not None:
            self.on_delivered(delivered)
        return reply

    def _request(self, method: str, url: str, body: str | None) -> Request:
        self.sent += 1
        place, _, query = url.removeprefix("https://").partition("?")
        host, _, path = place.partition("/")
        return Request(
            number=self.sent,
            account=self.exchange.name,
            method=method,
            host=host,
            path=f"/{path}",
            fields=_fields(query) | _fields(body or ""),
            sent_s=self.world.time_s,
        )

    def _arrive(self, request: Request, fate: Fate, answered: "asyncio.Future[Any]") -> None:
        reply: Reply | None = None
        delivered: Delivered | None = None
        if fate.arrival is Arrival.LATE:
            if self._is_in_time(request):
                self.world.after(fate.late_s, lambda: self._execute(request))
        elif fate.arrival is Arrival.DONE:
            reply, delivered = self._done(request, fate)
        if fate.reply in STAND_INS:
            status, raw, headers = STAND_INS[fate.reply]
            # An empty list is an answer about positions, and a wrong one.
            is_list = raw == b"[]" and request.what == "positions" and delivered is not None
            delivered = replace(delivered, body=[], is_whole=False) if delivered is not None and is_list else None
            reply = (status, headers, raw)
        if reply is not None and fate.reply != "none":
            self.world.after(fate.answer_s, lambda: answered.done() or answered.set_result((reply, delivered)))

    def _done(self, request: Request, fate: Fate) -> tuple[Reply, Delivered | None]:
        if not self._is_in_time(request):
            return _error(400, -1021, "Timestamp for this request is outside of the recvWindow."), None
        if request.method == "POST":
            return self._execute(request), None
        if request.path not in PATHS:
            return _error(404, -5000, f"Path {request.path} is not valid"), None
        body, truth_s = answer(self.exchange, request.path, request.fields), self.world.time_s
        if request.what in CACHED:
            place = self._cache.setdefault(request.what + request.fields.get("symbol", ""), deque(maxlen=40))
            place.append((truth_s, body))
            if fate.reply == "stale":
                truth_s, body = self._old(place)
        body, is_whole = _damaged(request.what, body, fate.reply)
        prices = dict(self.exchange.market.prices)
        delivered = Delivered(request=request, body=body, truth_s=truth_s, is_whole=is_whole, prices=prices)
        return (200, {}, orjson.dumps(body)), delivered

    def _old(self, place: "deque[tuple[float, Any]]") -> tuple[float, Any]:
        """Return an answer of up to three minutes ago."""
        fit = [(at_s, body) for at_s, body in place if self.world.time_s - at_s <= 180]
        return fit[len(fit) // 3]

    def _is_in_time(self, request: Request) -> bool:
        if "timestamp" not in request.fields:
            return True
        now = round(self.world.true_now().timestamp() * 1000)
        stamp = int(request.fields["timestamp"])
        return stamp < now + FUTURE_MS and now - stamp <= int(request.fields.get("recvWindow", "5000"))

    def _execute(self, request: Request) -> Reply:
        fields = request.fields
        if request.path != POST_PATH or fields.get("type") != "1":
            return _error(400, -1100, "not simulated")
        amount = Decimal(fields["amount"])
        coin = fields["symbol"].removesuffix("USDT")
        try:
            self.exchange.add_margin(coin, fields.get("positionSide", "BOTH"), amount, request.number)
        except Refused as refusal:
            self.world.note(self.exchange.name, "refused", refusal.code)
            return _error(400, refusal.code, str(refusal))
        confirmation = {"code": 200, "msg": "Successfully modify position margin.", "type": 1}
        return 200, {}, orjson.dumps(confirmation | {"amount": f"{amount:f}"})


def _damaged(what: str, body: Any, reply: str) -> tuple[Any, bool]:
    """Return the answer as it is sent, and whether it is whole."""
    if what not in {"positions", "account"} or reply not in {"empty", "torn", "null_rows"}:
        return body, True
    if what == "account":
        if reply != "empty":
            return body, True
        return body | {"positions": [], "totalMaintMargin": "0", "totalPositionInitialMargin": "0"}, False
    if reply == "empty" or not body:
        return [], False
    if reply == "torn":
        return body[:-1], False
    return [body[0] | {"markPrice": None}, *body[1:]], False


def _fields(text: str) -> dict[str, str]:
    """Return the fields of a query or form. Nothing that the guard sends needs escaping; if it did, it goes the long way."""
    if "%" in text or "+" in text:
        return dict(parse_qsl(text))
    return dict([pair.split("=", 1) for pair in text.split("&") if not pair.endswith("=")] if text else ())


def _error(status: int, code: int, text: str) -> Reply:
    return status, {}, orjson.dumps({"code": code, "msg": text})
