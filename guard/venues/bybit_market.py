"""Bybit's market data: one mark price, a stream of them, candles of them, tiers. Never the last traded price."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from guard.errors import VenueError, VenueUnavailable
from guard.snapshot import Mark, RiskTier
from guard.venues.protocol import Candle
from guard.venues.rows import Moment, NotATruth, NotNegative, Positive, Row, RowError, Word, read_row

SILENCE_MAX = timedelta(seconds=10)  # The stream speaks ten times a second where anything is traded.
PERCENT = 100


class _Ticker(Row):
    """GET /v5/market/tickers with a symbol."""

    symbol: Word
    mark_price: Positive


class _Candle(Row):
    opened_at: Moment
    open: Positive
    high: Positive
    low: Positive
    close: Positive


class _Update(Row):
    """What ccxt keeps of a tickers topic: the fields that changed, put over those that did not."""

    mark_price: Positive


class _Stamp(Row):
    timestamp: Moment


class _RiskLimit(Row):
    """GET /v5/market/risk-limit."""

    symbol: Word
    risk_limit_value: Positive
    maintenance_margin: Positive
    initial_margin: Positive
    max_leverage: Positive
    mm_deduction: object  # "" on the first tier.


class _Deduction(Row):
    value: NotNegative


def read_mark(result: Mapping[str, Any], at: datetime, market_id: str, symbol: str) -> Mark:
    """Return the mark price, stated at the moment of the answer. Raises VenueUnavailable."""
    rows = result.get("list")
    try:
        if not isinstance(rows, list) or len(rows) != 1:
            raise RowError("list is not one ticker")  # noqa: TRY301  # One end for all that it may be.
        row = read_row(_Ticker, rows[0])
    except RowError as error:
        raise VenueUnavailable(f"mark price of {symbol}: {error}") from None
    if row.symbol != market_id:
        raise VenueUnavailable(f"mark price of {symbol}: the answer is about {row.symbol[:32]!r}")
    return Mark(symbol=symbol, price=row.mark_price, at=at)


def read_candles(
    result: Mapping[str, Any], symbol: str, *, length: timedelta, now: datetime, count: int
) -> tuple[Candle, ...]:
    """Return the last `count` closed candles, oldest first. Raises VenueUnavailable: a hole looks like a calm market.

    The one that is still open is left out: its close is the last traded price (docs, 2026-07).
    """
    rows = result.get("list")
    names = ("openedAt", "open", "high", "low", "close")
    try:
        if not isinstance(rows, list) or not all(isinstance(raw, list) for raw in rows):
            raise RowError("no list of lists")  # noqa: TRY301  # One end for all that it may be.
        candles = [read_row(_Candle, dict(zip(names, raw, strict=False))) for raw in rows]
    except RowError as error:
        raise VenueUnavailable(f"candles of {symbol}: {error}") from None
    closed = sorted((row for row in candles if row.opened_at + length <= now), key=lambda row: row.opened_at)
    return tuple(
        Candle(opened_at=row.opened_at, high=float(row.high), low=float(row.low), close=float(row.close))
        for row in closed[-count:]
    )


def read_tiers(result: Mapping[str, Any], market_id: str) -> tuple[RiskTier, ...]:
    """Return a symbol's tiers, ascending. Raises RowError.

    A rate may be a fraction or in percent: the docs show both. Initial margin x leverage is 1 or 100, and tells.
    """
    raw_rows = result.get("list")
    if not isinstance(raw_rows, list) or not raw_rows:
        raise RowError("no tiers in the answer")
    rows = sorted((read_row(_RiskLimit, raw) for raw in raw_rows), key=lambda row: row.risk_limit_value)
    tiers: list[RiskTier] = []
    for row in rows:
        if row.symbol != market_id:
            raise RowError(f"a tier is about {row.symbol[:32]!r}")
        floor = tiers[-1].notional_cap if tiers else Decimal(0)
        rate = row.maintenance_margin / _unit(row)
        if row.risk_limit_value <= floor or rate >= 1 or (tiers and rate < tiers[-1].maintenance_margin_rate):
            raise RowError(f"its tiers do not ascend at {row.risk_limit_value:f}")
        tiers.append(
            RiskTier(
                notional_floor=floor,
                notional_cap=row.risk_limit_value,
                maintenance_margin_rate=rate,
                maintenance_amount=_deduction(row, is_first=not tiers),
            )
        )
    return tuple(tiers)


def _deduction(row: _RiskLimit, *, is_first: bool) -> Decimal:
    if row.mm_deduction == "" and is_first:
        return Decimal(0)
    return read_row(_Deduction, {"value": row.mm_deduction}).value


def _unit(row: _RiskLimit) -> Decimal:
    product = row.initial_margin * row.max_leverage
    for unit in (Decimal(1), Decimal(PERCENT)):
        if abs(product - unit) < unit / 10:
            return unit
    raise RowError(f"initialMargin is {row.initial_margin} at a leverage of {row.max_leverage}")


async def stream_marks(
    client: Any,
    groups: tuple[tuple[str, ...], ...],
    *,
    now: Callable[[], datetime],
    silence_max: timedelta = SILENCE_MAX,
) -> AsyncGenerator[Mark, None]:
    """Yield each new mark price. `now` is the exchange's clock. Ends by VenueUnavailable: broken, silent or late.

    `groups`: symbols by category, for each category is a stream of its own and ccxt asks all symbols of the first's.
    It wakes us with one symbol, so all of them are looked up whenever it does.
    """
    told: dict[str, datetime] = {}
    loop = asyncio.get_running_loop()
    fresh_by = loop.time() + silence_max.total_seconds()
    waiting: dict[asyncio.Task[object], tuple[str, ...]] = {}
    try:
        while True:
            for group in groups:
                if group not in waiting.values():
                    waiting[loop.create_task(client.watch_tickers(list(group)))] = group
            await _wait_for_news(waiting, fresh_by)
            for mark in _news(client, tuple(symbol for group in groups for symbol in group), told, now()):
                if now() - mark.at <= silence_max:
                    fresh_by = loop.time() + silence_max.total_seconds()
                    yield mark
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await client.close_ws_clients()


async def _wait_for_news(waiting: dict[asyncio.Task[object], tuple[str, ...]], fresh_by: float) -> None:
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


def _news(client: Any, symbols: tuple[str, ...], told: dict[str, datetime], now: datetime) -> list[Mark]:
    """Return the marks that are newer than the ones told before, and note them as told.

    A message that does not name the mark says that it stands still, so its stamp is the mark's too. One that is dated
    far ahead would keep every true one after it from being told: it is passed over.
    """
    marks = []
    for symbol in symbols:
        ticker = client.tickers.get(symbol) or {}
        with suppress(RowError):  # No price yet, or a broken message: the silence limit judges how long that may last.
            at, price = read_row(_Stamp, ticker).timestamp, read_row(_Update, ticker.get("info")).mark_price
            if at - now <= SILENCE_MAX and (symbol not in told or told[symbol] < at):
                told[symbol] = at
                marks.append(Mark(symbol=symbol, price=price, at=at))
    return marks


class _Envelope(Row):
    """What every answer of the v5 API stands in."""

    ret_code: Annotated[Literal[0], NotATruth]
    result: dict[str, Any]


class _Timed(Row):
    time: Moment


def result_of(answer: object, what: str) -> Mapping[str, Any]:
    """Return what an answer holds. Raises VenueUnavailable."""
    try:
        return read_row(_Envelope, answer).result
    except RowError as error:
        raise VenueUnavailable(f"{what}: {error}") from None


def told_at(answer: object, what: str) -> datetime:
    """Return the exchange's time of an answer. Raises VenueUnavailable."""
    try:
        return read_row(_Timed, answer).time
    except RowError as error:
        raise VenueUnavailable(f"{what}: {error}") from None
