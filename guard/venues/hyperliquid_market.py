"""Hyperliquid's market data, and what stands and stood at it for one account: stops, fills, funding.

Mark prices are `markPx` only: `midPx`, `allMids` and what ccxt calls a ticker's last price are the middle of the book.
Neither answer nor stream dates a mark, so one that is asked for is dated by the moment it was asked, and one that
comes by itself by the moment it came, and said to be undated: a stream that goes on with an old price looks alive, and
may only make a position look nearer to its end than the account's own answer does, whose time is told. Candles are of
trades, for there are none of mark prices.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from guard.errors import VenueError, VenueUnavailable
from guard.snapshot import EndKind, Mark, PositionEnding, PositionKey, Side, StopOrder
from guard.venues.protocol import Candle
from guard.venues.rows import Moment, NotNegative, Number, Positive, Row, RowError, Word, read_row, rows_of

SILENCE_MAX = timedelta(seconds=10)  # The stream speaks with every few blocks, about once a second.
FILLS_MAX = 2000  # Of one answer.
PAYMENTS_MAX = 500  # Of one answer.
INTERVALS = {1: "1m", 3: "3m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 120: "2h", 240: "4h", 480: "8h", 1440: "1d"}


class _ServerTime(Row):
    """POST /info exchangeStatus."""

    time: Moment


class _Named(Row):
    name: Word


class _Context(Row):
    """A market's figures in POST /info metaAndAssetCtxs and on the stream's channel activeAssetCtx."""

    mark_px: Positive


class _Candle(Row):
    t: Moment
    s: Word
    h: Positive
    l: Positive  # noqa: E741  # Its name on the wire.
    c: Positive


class _Order(Row):
    """An order of POST /info frontendOpenOrders."""

    coin: Word
    side: Word  # B buys, A sells.
    is_trigger: bool
    reduce_only: bool
    is_position_tpsl: bool
    order_type: Word
    trigger_px: NotNegative
    sz: NotNegative


class _Fill(Row):
    """A fill of POST /info userFillsByTime."""

    coin: Word
    px: Positive
    sz: Positive
    dir: Word  # "Close Long", "Liquidated Isolated Short", "Auto-Deleveraging", "Settlement", "Long > Short", ...
    start_position: Number
    time: Moment
    liquidation: object = None  # Of both sides of a forced trade: {"liquidatedUser": "0x...", "method": "market", ...}.

    def is_liquidation_of(self, address: str) -> bool:
        user = self.liquidation.get("liquidatedUser") if isinstance(self.liquidation, Mapping) else None
        return isinstance(user, str) and user.lower() == address


class _Payment(Row):
    coin: Word
    usdc: Number  # Positive: received.


class _Funding(Row):
    """A row of POST /info userFunding."""

    delta: _Payment


def read_time(answer: object) -> datetime:
    """Return the exchange's clock. Raises VenueUnavailable."""
    try:
        return read_row(_ServerTime, answer).time
    except RowError as error:
        raise VenueUnavailable(f"exchangeStatus: {error}") from None


def read_mark(answer: object, coin: str, symbol: str, *, asked_at: datetime) -> Mark:
    """Return the mark price out of metaAndAssetCtxs: two lists in the same order. Raises VenueUnavailable."""
    what = f"mark price of {symbol}"
    pair = rows_of(answer, what)
    meta, contexts = (pair[0], rows_of(pair[1], what)) if len(pair) == 2 else (None, [])
    universe = rows_of(meta.get("universe") if isinstance(meta, dict) else None, what)
    if len(universe) != len(contexts):
        raise VenueUnavailable(f"{what}: {len(universe)} markets and {len(contexts)} figures")
    for raw, context in zip(universe, contexts, strict=True):
        try:
            if read_row(_Named, raw).name == coin:
                return Mark(symbol=symbol, price=read_row(_Context, context).mark_px, at=asked_at)
        except RowError as error:
            if isinstance(raw, dict) and raw.get("name") == coin:
                raise VenueUnavailable(f"{what}: {error}") from None
    raise VenueUnavailable(f"{what}: not among the markets")


def read_candles(answer: object, coin: str, symbol: str) -> tuple[Candle, ...]:
    """Return candles of trades, oldest first. Raises VenueUnavailable: a hole would look like a calm market."""
    what = f"candles of {symbol}"
    try:
        rows = [read_row(_Candle, raw) for raw in rows_of(answer, what)]
    except RowError as error:
        raise VenueUnavailable(f"{what}: {error}") from None
    strange = next((row.s for row in rows if row.s != coin), None)
    if strange is not None:
        raise VenueUnavailable(f"{what}: the answer is about {strange!r}")
    return tuple(
        Candle(opened_at=row.t, high=float(row.h), low=float(row.l), close=float(row.c))
        for row in sorted(rows, key=lambda row: row.t)
    )


def read_stops(answer: object, symbols: Mapping[str, str]) -> tuple[StopOrder, ...]:
    """Return the stop orders of these coins (coin: symbol). Raises VenueUnavailable for an order of theirs unreadable.

    What waits as another order's child is not listed: it does not stand yet.
    """
    stops = []
    for raw in rows_of(answer, "open orders"):
        symbol = symbols.get(str(raw.get("coin"))) if isinstance(raw, dict) else None
        if symbol is None:
            continue
        try:
            order = read_row(_Order, raw)
        except RowError as error:
            raise VenueUnavailable(f"open orders of {symbol}: {error}") from None
        closes = order.reduce_only or order.is_position_tpsl
        if not (order.is_trigger and closes and order.order_type.startswith("Stop")):
            continue
        stops.append(
            StopOrder(
                key=PositionKey(symbol, Side.LONG if order.side == "A" else Side.SHORT),
                trigger_price=order.trigger_px,
                trigger_by="mark",  # Docs, take profit and stop loss orders: always the mark price.
                quantity=None if order.is_position_tpsl and order.sz == 0 else order.sz,
            )
        )
    return tuple(stops)


def read_ending(answer: object, coin: str, key: PositionKey, address: str) -> PositionEnding:
    """Return how a position of an address (in small letters) ended, from the fills that made it smaller.

    What was sold on the book for it counts as a liquidation, too, whatever its `dir` says. Raises VenueUnavailable.
    """
    rows = rows_of(answer, f"fills of {key.symbol}")
    try:
        fills = [read_row(_Fill, raw) for raw in rows if isinstance(raw, dict) and raw.get("coin") == coin]
    except RowError as error:
        raise VenueUnavailable(f"fills of {key.symbol}: {error}") from None
    ends = [fill for fill in fills if fill.start_position * key.side > 0 and not fill.dir.startswith("Open ")]
    ends.sort(key=lambda fill: fill.time)
    if not ends:
        return PositionEnding(kind=EndKind.UNKNOWN, evidence="no fill of it is listed")
    last = ends[-1]
    kind = min((_kind(fill, address) for fill in ends), key=_GRAVITY.index)
    words = ", ".join(dict.fromkeys(fill.dir for fill in ends))
    text = f"{len(ends)} fills until {last.time:%H:%M:%S} UTC, the last at {last.px:f} ({words})"
    if len(rows) >= FILLS_MAX:
        text += f"; the answer was full with {len(rows)} fills, there may be later ones"
    return PositionEnding(kind=kind, evidence=text, at=last.time, price=last.px)


_GRAVITY = (EndKind.LIQUIDATED, EndKind.DELEVERAGED, EndKind.UNKNOWN, EndKind.CLOSED)  # The worst is told.


def _kind(fill: _Fill, address: str) -> EndKind:
    if fill.dir.startswith("Liquidated ") or fill.is_liquidation_of(address):
        return EndKind.LIQUIDATED
    if fill.dir == "Auto-Deleveraging":
        return EndKind.DELEVERAGED
    by_user = fill.dir.startswith("Close ") or fill.dir in {"Long > Short", "Short > Long"}
    return EndKind.CLOSED if by_user else EndKind.UNKNOWN


def read_funding(answer: object, coin: str, symbol: str) -> Decimal:
    """Return what funding added to the margin of a coin's position, USDC. Raises VenueUnavailable."""
    what = f"funding of {symbol}"
    rows = rows_of(answer, what)
    if len(rows) >= PAYMENTS_MAX:
        raise VenueUnavailable(f"{what}: the answer is full with {len(rows)} payments, there may be more")
    try:
        payments = [read_row(_Funding, raw).delta for raw in rows]
    except RowError as error:
        raise VenueUnavailable(f"{what}: {error}") from None
    return sum((payment.usdc for payment in payments if payment.coin == coin), Decimal(0))


async def stream_marks(
    client: Any, symbols: tuple[str, ...], *, now: Callable[[], datetime], silence_max: timedelta = SILENCE_MAX
) -> AsyncGenerator[Mark, None]:
    """Yield each mark price as it comes. `now` is the exchange's clock. Ends by VenueUnavailable: broken or silent.

    ccxt has a channel per symbol, so each symbol has a task that waits for its next message.
    """
    waiting = {symbol: _next(client, symbol) for symbol in symbols}
    clock = asyncio.get_running_loop().time
    fresh_by = clock() + silence_max.total_seconds()
    try:
        while True:
            left_s = max(0.0, fresh_by - clock())
            done, _ = await asyncio.wait(waiting.values(), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise VenueUnavailable("mark stream: no price for too long")
            for symbol in [symbol for symbol, task in waiting.items() if task in done]:
                price = _price(waiting[symbol])
                waiting[symbol] = _next(client, symbol)
                if price is not None:
                    fresh_by = clock() + silence_max.total_seconds()
                    yield Mark(symbol=symbol, price=price, at=now(), is_dated=False)
    finally:
        for task in waiting.values():
            task.cancel()
        await asyncio.gather(*waiting.values(), return_exceptions=True)
        await client.close_ws_clients()


def _next(client: Any, symbol: str) -> "asyncio.Task[Any]":
    return asyncio.get_running_loop().create_task(client.watch_ticker(symbol))


def _price(task: "asyncio.Task[Any]") -> Decimal | None:
    """Return the mark price of a message; None when it holds none. Raises VenueUnavailable when the stream broke."""
    try:
        return read_row(_Context, (task.result() or {}).get("info")).mark_px
    except RowError:
        return None  # The silence limit judges how long that may last.
    except VenueError:
        raise
    except Exception as error:  # noqa: BLE001  # ccxt hands on whatever broke the connection.
        failure = f"mark stream: {type(error).__name__}"
    raise VenueUnavailable(failure)  # Out here, for the address of the stream stands in ccxt's errors.
