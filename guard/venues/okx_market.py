"""OKX's market data: one mark price, a stream of them, and candles of them. Never the last traded price."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from typing import Any

from guard.errors import VenueError, VenueUnavailable
from guard.snapshot import Mark
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


async def stream_marks(
    client: Any, symbols: tuple[str, ...], *, now: Callable[[], datetime], silence_max: timedelta = SILENCE_MAX
) -> AsyncGenerator[Mark, None]:
    """Yield each new mark price. `now` is the exchange's clock. Ends by VenueUnavailable: broken, silent or late.

    ccxt wakes us with one symbol of a burst, so all of them are looked up whenever it does.
    """
    told: dict[str, Mark] = {}
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


def _news(client: Any, symbols: tuple[str, ...], told: dict[str, Mark], now: datetime) -> list[Mark]:
    """Return the marks that are newer than those told before, or others of the same moment; note them as told.

    One that is dated far ahead would keep every true one after it from being told: it is passed over.
    """
    marks = []
    for symbol in symbols:
        try:
            row = read_row(MarkRow, (client.tickers.get(symbol) or {}).get("info"))
        except RowError:
            continue  # No price yet, or a broken message: the silence limit judges how long that may last.
        mark, known = Mark(symbol=symbol, price=row.mark_px, at=row.ts), told.get(symbol)
        is_news = known is None or known.at < mark.at or (known.at == mark.at and known != mark)
        if is_news and mark.at - now <= SILENCE_MAX:
            told[symbol] = mark
            marks.append(mark)
    return marks


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
