"""Marks from ccxt.pro's streams, where its clients keep the latest message of each symbol: new, dated, not too late."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from guard.errors import VenueError, VenueUnavailable
from guard.snapshot import Mark
from guard.venues.rows import RowError

Reader = Callable[[Mapping[str, Any], str], Mark]  # Of ccxt's ticker and the unified symbol. Raises RowError.


async def dated_marks(
    client: Any, symbols: tuple[str, ...], read: Reader, *, now: Callable[[], datetime], silence_max: timedelta
) -> AsyncGenerator[Mark, None]:
    """Yield each new mark price. `now` is the exchange's clock. Ends by VenueUnavailable: broken, silent or late.

    ccxt wakes us with one symbol of a burst, so all of them are looked up whenever it does. It is silent also when one
    symbol is that was told before: only for channels that repeat a price that stands still.
    """
    told: dict[str, Mark] = {}
    clock, silence_max_s = asyncio.get_running_loop().time, silence_max.total_seconds()
    first_by = clock() + silence_max_s
    fresh_by: dict[str, float] = {}
    try:
        while True:
            await _wait_for_news(client, symbols, min(fresh_by.values(), default=first_by))
            for mark in _news(client, symbols, read, told, now() + silence_max):
                if now() - mark.at <= silence_max:
                    fresh_by[mark.symbol] = clock() + silence_max_s
                    yield mark
    finally:
        await client.close_ws_clients()


async def grouped_marks(
    client: Any,
    groups: tuple[tuple[str, ...], ...],
    read: Reader,
    *,
    now: Callable[[], datetime],
    silence_max: timedelta,
) -> AsyncGenerator[Mark, None]:
    """Yield each new mark price where it comes with the tickers, and ccxt asks all symbols of the first one's stream.

    `groups`: symbols of one stream each. The rest is as with `dated_marks`, but that one symbol may be silent while
    others are told: a ticker comes with a change, and nobody says that one which stands still is repeated.
    """
    told: dict[str, Mark] = {}
    symbols = tuple(symbol for group in groups for symbol in group)
    loop = asyncio.get_running_loop()
    fresh_by = loop.time() + silence_max.total_seconds()
    waiting: dict[asyncio.Task[object], tuple[str, ...]] = {}
    try:
        while True:
            for group in groups:
                if group not in waiting.values():
                    waiting[loop.create_task(client.watch_tickers(list(group)))] = group
            await _wait_for_any(waiting, fresh_by)
            for mark in _news(client, symbols, read, told, now() + silence_max):
                if now() - mark.at <= silence_max:
                    fresh_by = loop.time() + silence_max.total_seconds()
                    yield mark
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await client.close_ws_clients()


async def _wait_for_any(waiting: dict[asyncio.Task[object], tuple[str, ...]], fresh_by: float) -> None:
    """Wait until one of the streams spoke, and take it off the list."""
    left = fresh_by - asyncio.get_running_loop().time()
    done, _ = await asyncio.wait(waiting, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
    failure = "" if done else "mark stream: no fresh price for too long"
    for task in done:
        del waiting[task]
        error = task.exception()
        if isinstance(error, VenueError):
            raise error
        if error is not None:
            failure = f"mark stream: {type(error).__name__}"  # Its text holds the address of the stream.
    if failure:
        raise VenueUnavailable(failure)


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


def _news(client: Any, symbols: tuple[str, ...], read: Reader, told: dict[str, Mark], latest: datetime) -> list[Mark]:
    """Return the marks that are newer than those told before, or others of the same moment; note them as told.

    One that is dated far ahead would keep every true one after it from being told: it is passed over.
    """
    marks = []
    for symbol in symbols:
        try:
            mark = read(client.tickers.get(symbol) or {}, symbol)
        except RowError:
            continue  # No price yet, or a broken message: the silence limit judges how long that may last.
        known = told.get(symbol)
        is_new = known is None or known.at < mark.at or (known.at == mark.at and known.price != mark.price)
        if is_new and mark.at <= latest:
            told[symbol] = mark
            marks.append(mark)
    return marks
