"""The part that all exchanges on loopback share: a ledger, a log of requests, faults, and the words the suite speaks.

An exchange's own server inherits from `WireServer` and says how it speaks: paths, signatures, bodies, errors, stream.
It is written from the exchange's documents and knows nothing of guard.venues' parsers.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web
from wire_faults import NOT_DONE, Call, Cut, Fate, WireRefusal, cut, refused, spoiled
from wire_values import Adjustment, End, Holding, KeyRights, Sample, Stop

from guard.snapshot import Side
from guard.venues.protocol import VenueAccount

Mangle = Callable[[Any], Any]
Key = tuple[str, Side]
PUSH_EVERY_S = 0.5
ACCOUNT = "account"  # Among a connection's channels: it is signed in and hears of the account.


class WireServer:
    """One exchange with one account. What an exchange has not stands in `lacks`: column of the table -> why."""

    exchange: ClassVar[str]  # ccxt id.
    lacks: ClassVar[Mapping[str, str]] = {}
    sample: ClassVar[Sample]
    other: ClassVar[Sample]  # Of another symbol.
    inverse: ClassVar[Sample | None] = None  # None: `lacks["inverse"]` says why.
    refusals: ClassVar[Mapping[str, str]]  # Documented codes by which a margin write is refused, and what they say.
    position_fields: ClassVar[Mapping[str, str]]  # "size", "entry", "mark", "margin" -> name on the wire, dots between.
    reads_per_cycle: ClassVar[int] = 2
    account_sockets: ClassVar[int] = 1  # On which a daemon hears of the account.
    strange_code: ClassVar[str] = "-987654"  # In none of the exchange's lists.

    api_key = "canary-key-5f1d2c9b8a7e"
    secret = "canary-secret-0a9b8c7d6e5f4a3b2c1d"
    password: str | None = None

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.writes: list[Call] = []
        self.written = asyncio.Event()  # A write has arrived.
        self.fate_of_next_write: Fate | str = Fate.DONE
        self.holdings: dict[Key, Holding] = {}
        self.marks: dict[str, Decimal] = {}
        self.wallets: dict[str, tuple[Decimal, Decimal]] = {}  # Balance without isolated margin, available.
        self.adjustments: list[Adjustment] = []
        self.stop_orders: list[Stop] = []
        self.ends: list[End] = []
        self.rights = KeyRights()
        self.clock_skew = 0  # ms, the exchange's clock minus ours.
        self.history_down = False
        self.counted: dict[
            str, list[tuple[str, str]]
        ] = {}  # Asset: from so many units on, which share counts as margin.
        self.closed_rows: list[str] = []  # Symbols of which a row without a position is listed.
        self.is_deaf = False  # Connections stay open, and nothing that comes in is answered.
        self.is_wrong_mode = False  # The account is in the mode in which nobody can add margin.
        self._broken: dict[str, Fate] = {}
        self._slow: dict[str, float] = {}  # By kind: seconds before the answer.
        self._mangled: dict[str, Mangle] = {}
        self._late: list[Callable[[], Any]] = []
        self._sockets: dict[web.WebSocketResponse, set[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for one in (self.sample, self.other, self.inverse):
            if one is not None:
                self.marks[one.symbol] = one.mark
                self.wallets[one.currency] = (one.margin * 10, one.margin * 10)

    # What an exchange says itself.

    def urls(self) -> dict[str, object]:
        """Return what ccxt's `urls` option must be for everything to come here."""
        raise NotImplementedError

    def kind_of(self, call: Call) -> str:
        """Return what a request is: write, positions, wallets, history, or any other word."""
        raise NotImplementedError

    def answer(self, call: Call) -> Any:
        """Check key and signature, carry the request out, and return the body. Raises WireRefusal."""
        raise NotImplementedError

    def refusal(self, code: str) -> WireRefusal:
        """Return the exchange's error of a code, as it answers a margin write."""
        raise NotImplementedError

    def rate_limited(self) -> WireRefusal:
        return WireRefusal(429, {}, **{"Retry-After": "2"})

    def rows_in(self, kind: str, answer: Any) -> list[Any]:
        """Return the rows of an answer, so that changing them changes the answer."""
        raise NotImplementedError

    def liquidation_of(self, symbol: str, side: Side) -> Decimal | None:
        """Return what the exchange itself would print, by its published formula; None where it prints none."""
        raise NotImplementedError

    def tick_of(self, symbol: str) -> Decimal | None:
        """Return the step of a symbol's price where the exchange shows its liquidation price a tick early."""
        return None

    def tier_rows(self, symbol: str) -> list[tuple[Decimal, Decimal, Decimal, Decimal | None]]:
        """Return floor, cap, rate and amount of each tier, ascending."""
        raise NotImplementedError

    def subscribed(self, message: Any, channels: set[str]) -> Iterable[Any]:
        """Take a message of the client, note what it subscribes to, and return what is said to it."""
        raise NotImplementedError

    def ticks(self, channels: set[str]) -> Iterable[Any]:
        """Return a message with the mark of each subscribed channel."""
        raise NotImplementedError

    def opened(self, request: web.Request, channels: set[str]) -> None:
        """Note what the address of a connection alone subscribes to."""

    def account_messages(self, at: datetime) -> Iterable[Any]:
        """Return what is pushed when margin of the sample's position was changed by hand at a moment."""
        raise NotImplementedError

    # The neutral interface.

    def account(self, **ccxt: Any) -> VenueAccount:
        return VenueAccount(
            account="main",
            exchange=self.exchange,
            api_key=self.api_key,
            secret=self.secret,
            password=self.password,
            ccxt={"urls": self.urls(), "rateLimit": 1} | ccxt,
        )

    def credentials(self) -> dict[str, str]:
        """Return the keys of an account as the config names them."""
        words = {"api_key": self.api_key, "secret": self.secret, "password": self.password}
        return {name: word for name, word in words.items() if word is not None}

    def hold(
        self,
        symbol: str,
        side: Side,
        *,
        contracts: Decimal,
        entry: Decimal,
        margin: Decimal | None,
        leverage: int,
        hedged: bool = False,
        auto_add: bool = False,
    ) -> None:
        self.holdings[symbol, side] = Holding(
            symbol=symbol,
            side=side,
            contracts=contracts,
            entry=entry,
            margin=margin,
            leverage=leverage,
            hedged=hedged,
            auto_add=auto_add,
            since=self.now(),
        )

    def hold_sample(self, side: Side = Side.LONG, of: Sample | None = None, **other: Any) -> None:
        one = of or self.sample
        terms: dict[str, Any] = {
            "contracts": one.contracts,
            "entry": one.entry,
            "margin": one.margin,
            "leverage": one.leverage,
        }
        self.hold(one.symbol, side, **terms | other)

    def drop(self, symbol: str, side: Side) -> None:
        del self.holdings[symbol, side]

    def set_mark(self, symbol: str, price: Decimal) -> None:
        self.marks[symbol] = price
        for socket, channels in list(self._sockets.items()):
            self._tell(socket, self.ticks(channels))

    def change_by_hand(self, amount: Decimal, *, at: datetime | None = None) -> None:
        """Add margin to the sample's position as a person would, and push what the exchange pushes then."""
        self.add_to(self.sample.symbol, Side.LONG, amount)
        self.push_news(at=at)

    def push_news(self, *, at: datetime | None = None) -> None:
        self.push_raw(*self.account_messages(at or self.now()))

    def push_raw(self, *messages: Any) -> None:
        """Push these messages to everybody who hears of the account."""
        for socket in self.listeners():
            self._tell(socket, messages)

    def listeners(self) -> list[web.WebSocketResponse]:
        return [socket for socket, channels in self._sockets.items() if ACCOUNT in channels]

    def set_wallet(self, currency: str, balance: Decimal, available: Decimal) -> None:
        self.wallets[currency] = (balance, available)

    def margin_of(self, symbol: str, side: Side) -> Decimal:
        margin = self.holdings[symbol, side].margin
        assert margin is not None, "a cross position has no margin of its own"
        return margin

    def break_reads(self, kind: str, how: Fate | None) -> None:
        """Spoil every answer of a kind until told otherwise by None."""
        self._broken.pop(kind, None)
        if how is not None:
            self._broken[kind] = how

    def slow_reads(self, kind: str, seconds: float) -> None:
        """Let every answer of a kind wait so long."""
        self._slow[kind] = seconds

    def mangle(self, kind: str, change: Mangle | None) -> None:
        """Change every answer of a kind until told otherwise by None."""
        self._mangled.pop(kind, None)
        if change is not None:
            self._mangled[kind] = change

    def arrive(self) -> None:
        """Carry out what is LATE."""
        for late in self._late:
            late()
        self._late.clear()

    def set_key(self, **rights: Any) -> None:
        self.rights = KeyRights(**rights)

    def add_stop(self, symbol: str, side: Side, price: Decimal) -> None:
        holding = self.holdings[symbol, side]
        self.stop_orders.append(Stop(symbol=symbol, side=side, price=price, hedged=holding.hedged, at=self.now()))

    def end_position(self, symbol: str, side: Side, how: str) -> None:
        """End it at the mark: "closed", "liquidated" or "adl"."""
        holding = self.holdings.pop((symbol, side))
        self.ends.append(End(holding=holding, how=how, price=self.marks[symbol], at=self.now()))

    def halve(self, symbol: str, side: Side, how: str) -> None:
        """End one half of it at the mark, as above. Its margin stays."""
        holding = self.holdings[symbol, side]
        half = replace(holding, contracts=holding.contracts / 2)
        self.holdings[symbol, side] = half
        self.ends.append(End(holding=half, how=how, price=self.marks[symbol], at=self.now(), is_part=True))

    def asked(self, path_end: str, method: str | None = None) -> list[dict[str, Any]]:
        return [params for m, path, params in self.requests if path.endswith(path_end) and method in {None, m}]

    # For exchanges' own files.

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(milliseconds=self.clock_skew)

    def now_ms(self) -> int:
        return round(self.now().timestamp() * 1000)

    def sample_of(self, symbol: str) -> Sample:
        known = (self.sample, self.other, self.inverse)
        return next(one for one in known if one is not None and one.symbol == symbol)

    def add_to(self, symbol: str, side: Side, amount: Decimal) -> Holding:
        """Move margin from the wallet into an isolated position, and note it in the history."""
        holding, currency = self.holdings[symbol, side], self.sample_of(symbol).currency
        assert holding.margin is not None
        holding.margin += amount
        balance, available = self.wallets[currency]
        self.wallets[currency] = (balance - amount, available - amount)
        self.adjustments.append(
            Adjustment(
                symbol=symbol,
                side=side,
                hedged=holding.hedged,
                amount=amount,
                currency=currency,
                at=self.now(),
            )
        )
        return holding

    # The machine.

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for socket in list(self._sockets):
                await socket.close()
            await runner.cleanup()

    @property
    def ws_url(self) -> str:
        return self.url.replace("http://", "ws://")

    async def break_streams(self) -> None:
        for socket in list(self._sockets):
            await socket.close(code=1001)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._stream(request)
        body = (await request.read()).decode()
        query = request.rel_url.raw_query_string
        params = {**dict(parse_qsl(query, keep_blank_values=True)), **_body_params(body)}
        call = Call(
            method=request.method, path=request.path, query=query, body=body, headers=request.headers, params=params
        )
        self.requests.append((call.method, call.path, params))
        await asyncio.sleep(self._slow.get(self.kind_of(call), 0.0))
        try:
            return self._respond(call)
        except Cut as how:
            return await cut(request, how)

    def _respond(self, call: Call) -> web.Response:
        kind = self.kind_of(call)
        how: Fate | str = self._broken.get(kind, Fate.DONE)
        if kind == "history" and self.history_down:
            how = Fate.HTTP_500
        if kind == "write":
            self.writes.append(call)
            self.written.set()
            how, self.fate_of_next_write = self.fate_of_next_write, Fate.DONE
        if isinstance(how, str):
            return refused(self.refusal(how))
        try:
            if how is Fate.DONE:
                return web.json_response(self._mangled.get(kind, _as_it_is)(self.answer(call)))
            if how is Fate.LATE:
                self._late.append(lambda: self.answer(call))
            strange = self.refusal(self.strange_code)
            return spoiled(how, lambda: self.answer(call), limit=self.rate_limited(), strange=strange)
        except WireRefusal as refusal:
            assert how not in NOT_DONE
            return refused(refusal)

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)  # For one that is deaf.
        await socket.prepare(request)
        channels = self._sockets[socket] = set()
        self.opened(request, channels)
        pushing = asyncio.create_task(self._push(socket, channels))
        async for message in socket:
            if message.type is WSMsgType.PING and not self.is_deaf:
                await socket.pong(message.data)
            if self.is_deaf or message.type is not WSMsgType.TEXT:
                continue
            try:
                said = json.loads(message.data)
            except ValueError:
                said = message.data  # Some exchanges' pings are bare words.
            await self._say(socket, [*self.subscribed(said, channels), *self.ticks(channels)])
        pushing.cancel()
        del self._sockets[socket]
        return socket

    async def _push(self, socket: web.WebSocketResponse, channels: set[str]) -> None:
        """Tell every mark again and again, as exchanges do."""
        while True:
            await asyncio.sleep(PUSH_EVERY_S)
            await self._say(socket, self.ticks(channels))

    def _tell(self, socket: web.WebSocketResponse, messages: Iterable[Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._say(socket, list(messages)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say(self, socket: web.WebSocketResponse, messages: Iterable[Any]) -> None:
        with suppress(ConnectionError):
            for message in messages:
                await socket.send_str(message if isinstance(message, str) else json.dumps(message))


def _as_it_is(answer: Any) -> Any:
    return answer


def _body_params(body: str) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return dict(parse_qsl(body, keep_blank_values=True))
    return parsed if isinstance(parsed, dict) else {"body": parsed}
