"""Bybit's market data: one mark price, a stream of them, candles of them, tiers. Never the last traded price."""

from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from guard.errors import VenueUnavailable
from guard.snapshot import Mark, RiskTier
from guard.venues.mark_stream import grouped_marks
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


def stream_marks(
    client: Any,
    groups: tuple[tuple[str, ...], ...],
    *,
    now: Callable[[], datetime],
    silence_max: timedelta = SILENCE_MAX,
) -> AsyncGenerator[Mark, None]:
    """Yield each new mark price; see `grouped_marks`. `groups`: symbols by category, each a stream of its own."""
    return grouped_marks(client, groups, _read_update, now=now, silence_max=silence_max)


def _read_update(ticker: Mapping[str, Any], symbol: str) -> Mark:
    """Return the mark. A message that does not name it says that it stands still, so its stamp is the mark's too."""
    at, price = read_row(_Stamp, ticker).timestamp, read_row(_Update, ticker.get("info")).mark_price
    return Mark(symbol=symbol, price=price, at=at)


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
