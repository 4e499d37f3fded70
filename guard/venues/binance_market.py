"""Binance futures' market data: one mark price, a stream of them, and candles of them. Never the last traded price."""

from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import Field

from guard.errors import VenueUnavailable
from guard.snapshot import Mark
from guard.venues.mark_stream import dated_marks
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
    return Mark(symbol=symbol, price=row.mark_price, at=row.time, index_price=_index(_Index, stated))


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


def stream_marks(
    client: Any, symbols: tuple[str, ...], *, now: Callable[[], datetime], silence_max: timedelta = SILENCE_MAX
) -> AsyncGenerator[Mark, None]:
    """Yield each new mark price; see `dated_marks`."""
    return dated_marks(client, symbols, _read_update, now=now, silence_max=silence_max)


def _read_update(ticker: Mapping[str, Any], symbol: str) -> Mark:
    raw = ticker.get("info")
    row = read_row(_MarkUpdate, raw)
    return Mark(symbol=symbol, price=row.price, at=row.at, index_price=_index(_IndexUpdate, raw))
