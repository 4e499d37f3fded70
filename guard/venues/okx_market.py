"""OKX's market data: one mark price, a stream of them, and candles of them. Never the last traded price."""

from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from guard.errors import VenueUnavailable
from guard.snapshot import Mark
from guard.venues.mark_stream import dated_marks
from guard.venues.okx_contracts import Market
from guard.venues.okx_rows import MarkRow, TimeRow, data_of
from guard.venues.protocol import Candle
from guard.venues.rows import Moment, Positive, Row, RowError, read_row
from guard.venues.transport import ask

SILENCE_MAX = timedelta(seconds=15)  # The stream repeats a price that stands still every 10 s.
PAGE_ROWS = 100

BARS = {1: "1m", 3: "3m", 5: "5m", 15: "15m", 30: "30m", 60: "1H", 120: "2H", 240: "4H", 1440: "1Dutc"}


async def read_mark(client: Any, market: Market) -> Mark:
    """Read one mark price now. Raises VenueUnavailable."""
    symbol = market.contract.symbol
    parameters = {"instType": market.inst_type, "instId": market.inst_id}
    rows = data_of(await ask(client, "publicGetPublicMarkPrice", parameters), f"mark price of {symbol}")
    try:
        row = read_row(MarkRow, rows[0] if rows else {})
    except RowError as error:
        raise VenueUnavailable(f"mark price of {symbol}: {error}") from None
    if row.inst_id != market.inst_id:
        raise VenueUnavailable(f"mark price of {symbol}: the answer is about {row.inst_id[:32]!r}")
    return Mark(symbol=symbol, price=row.mark_px, at=row.ts)


def stream_marks(
    client: Any, symbols: tuple[str, ...], *, now: Callable[[], datetime], silence_max: timedelta = SILENCE_MAX
) -> AsyncGenerator[Mark, None]:
    """Yield each new mark price; see `dated_marks`."""
    return dated_marks(client, symbols, _read_update, now=now, silence_max=silence_max)


def _read_update(ticker: Mapping[str, Any], symbol: str) -> Mark:
    row = read_row(MarkRow, ticker.get("info"))
    return Mark(symbol=symbol, price=row.mark_px, at=row.ts)


class _Candle(Row):
    opened_at: Moment
    open: Positive
    high: Positive
    low: Positive
    close: Positive


async def read_candles(client: Any, market: Market, *, minutes: int, count: int) -> tuple[Candle, ...]:
    """Read mark-price candles, oldest first. Raises VenueUnavailable: a hole would look like a calm market."""
    what = f"candles of {market.contract.symbol}"
    rows: list[_Candle] = []
    parameters = {"instId": market.inst_id, "bar": BARS[minutes], "limit": str(min(count, PAGE_ROWS))}
    while len(rows) < count:
        page = data_of(await ask(client, "publicGetMarketHistoryMarkPriceCandles", parameters), what)
        try:
            read = [read_row(_Candle, _named(raw)) for raw in page]
        except RowError as error:
            raise VenueUnavailable(f"{what}: {error}") from None
        if rows and read and max(row.opened_at for row in read) >= rows[-1].opened_at:
            raise VenueUnavailable(f"{what}: a page repeats the one before it")
        rows += sorted(read, key=lambda row: row.opened_at, reverse=True)
        if len(page) < PAGE_ROWS:
            break
        parameters["after"] = str(round(rows[-1].opened_at.timestamp() * 1000))
    return tuple(
        Candle(opened_at=row.opened_at, high=float(row.high), low=float(row.low), close=float(row.close))
        for row in reversed(rows[:count])
    )


def _named(raw: object) -> dict[str, object]:
    if not isinstance(raw, list):
        raise RowError("a candle is no list")
    return dict(zip(("openedAt", "open", "high", "low", "close"), raw, strict=False))


async def server_time(client: Any) -> datetime:
    """Read the exchange's clock. Raises VenueUnavailable."""
    rows = data_of(await ask(client, "publicGetPublicTime", {}), "time")
    try:
        return read_row(TimeRow, rows[0] if rows else {}).ts
    except RowError as error:
        raise VenueUnavailable(f"time: {error}") from None
