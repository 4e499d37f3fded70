"""Binance futures' market data: one mark price, a stream of them, and candles of them. Never the last traded price."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import Field

from guard.errors import VenueError, VenueUnavailable
from guard.snapshot import Mark
from guard.venues.protocol import Candle
from guard.venues.rows import Moment, Positive, Row, RowError, Word, read_row, rows_of

INTERVALS = {1: "1m", 3: "3m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 120: "2h", 240: "4h", 480: "8h", 1440: "1d"}
SILENCE_MAX = timedelta(seconds=10)  # The stream speaks once a second.


class _PremiumIndex(Row):
    """GET /fapi/v1/premiumIndex or /dapi/v1/premiumIndex with a symbol."""

    symbol: Word
    mark_price: Positive
    time: Moment


class _Candle(Row):
    opened_at: Moment
    open: Positive
    high: Positive
    low: Positive
    close: Positive


class _MarkUpdate(Row):
    """A markPriceUpdate message; its names are single letters."""

    at: Moment = Field(alias="E")
    price: Positive = Field(alias="p")


class _Index(Row):
    """The index price beside a mark in premiumIndex. Read apart: without one the mark is as good."""

    index_price: Positive


class _IndexUpdate(Row):
    index_price: Positive = Field(alias="i")


def _index(model: type[_Index | _IndexUpdate], raw: object) -> Decimal | None:
    try:
        return read_row(model, raw).index_price
    except RowError:
        return None


def read_mark(answer: object, market_id: str, symbol: str) -> Mark:
    """Return the mark price. COIN-M answers with a list of one. Raises VenueUnavailable."""
    stated = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    try:
        row = read_row(_PremiumIndex, stated)
    except RowError as error:
        raise VenueUnavailable(f"mark price of {symbol}: {error}") from None
    if row.symbol != market_id:
        raise VenueUnavailable(f"mark price of {symbol}: the answer is about {row.symbol[:32]!r}")
    return Mark(symbol=symbol, price=row.mark_price, at=row.time, index_price=_index(_Index, answer))


def read_candles(answer: object, symbol: str) -> tuple[Candle, ...]:
    """Return candles, oldest first. Raises VenueUnavailable: a hole would look like a calm market."""
    what = f"candles of {symbol}"
    names = ("openedAt", "open", "high", "low", "close")
    try:
        rows = [read_row(_Candle, dict(zip(names, raw, strict=False))) for raw in map(_list, rows_of(answer, what))]
    except RowError as error:
        raise VenueUnavailable(f"{what}: {error}") from None
    return tuple(
        Candle(opened_at=row.opened_at, high=float(row.high), low=float(row.low), close=float(row.close))
        for row in sorted(rows, key=lambda row: row.opened_at)
    )


def _list(raw: object) -> list[Any]:
    if not isinstance(raw, list):
        raise RowError("a candle is no list")
    return raw


async def stream_marks(
    client: Any, symbols: tuple[str, ...], *, now: Callable[[], datetime], silence_max: timedelta = SILENCE_MAX
) -> AsyncGenerator[Mark, None]:
    """Yield each new mark price. `now` is the exchange's clock. Ends by VenueUnavailable: broken, silent or late.

    ccxt wakes us with one symbol of a burst, so all of them are looked up whenever it does.
    """
    told: dict[str, datetime] = {}
    fresh_by = asyncio.get_running_loop().time() + silence_max.total_seconds()
    try:
        while True:
            await _wait_for_news(client, symbols, fresh_by)
            for mark in _news(client, symbols, told, now()):
                if now() - mark.at <= silence_max:
                    fresh_by = asyncio.get_running_loop().time() + silence_max.total_seconds()
                    yield mark
    finally:
        await client.close_ws_clients()


async def _wait_for_news(client: Any, symbols: tuple[str, ...], fresh_by: float) -> None:
    try:
        async with asyncio.timeout_at(fresh_by):
            await client.watch_mark_prices(list(symbols))
            return
    except VenueError:
        raise
    except TimeoutError:
        failure = "mark stream: no fresh price for too long"
    except Exception as error:  # noqa: BLE001  # ccxt hands on whatever broke the connection.
        failure = f"mark stream: {type(error).__name__}"
    raise VenueUnavailable(failure)  # Out here, for the address of the stream stands in ccxt's errors.


def _news(client: Any, symbols: tuple[str, ...], told: dict[str, datetime], now: datetime) -> list[Mark]:
    """Return the marks that are newer than the ones told before, and note them as told.

    One that is dated far ahead would keep every true one after it from being told: it is passed over.
    """
    marks = []
    for symbol in symbols:
        raw = (client.tickers.get(symbol) or {}).get("info")
        try:
            row = read_row(_MarkUpdate, raw)
        except RowError:
            continue  # No price yet, or a broken message: the silence limit judges how long that may last.
        if row.at - now <= SILENCE_MAX and (symbol not in told or told[symbol] < row.at):
            told[symbol] = row.at
            index_price = _index(_IndexUpdate, raw)
            marks.append(Mark(symbol=symbol, price=row.price, at=row.at, index_price=index_price))
    return marks
