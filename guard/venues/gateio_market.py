"""Gate's market data: one mark price, a stream of them, candles of them, tiers. Never the last traded price."""

from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from guard.errors import VenueUnavailable
from guard.snapshot import Mark, RiskTier
from guard.venues.gateio_account import GateRow, Market, Moment
from guard.venues.mark_stream import grouped_marks
from guard.venues.protocol import Candle
from guard.venues.rows import Moment as Milliseconds
from guard.venues.rows import NotNegative, Positive, RowError, Word, read_row, rows_of

SILENCE_MAX = timedelta(seconds=10)  # The stream speaks about once a second where anything is traded.


class _Ticker(GateRow):
    """GET /futures/{settle}/tickers, and a message of the stream."""

    contract: Word
    mark_price: Positive


class _Index(GateRow):
    """Read apart: without an index price the mark is as good."""

    index_price: Positive


class _Stamp(GateRow):
    t: Milliseconds


class _Candle(GateRow):
    t: Moment
    o: Positive
    h: Positive
    l: Positive  # noqa: E741  # Gate's name.
    c: Positive


class _RiskLimit(GateRow):
    """GET /futures/{settle}/risk_limit_tiers with a contract."""

    risk_limit: Positive
    maintenance_rate: Positive


class _Deduction(GateRow):
    deduction: NotNegative


class _ServerTime(GateRow):
    server_time: Milliseconds


def read_time(answer: object) -> datetime:
    """Return the exchange's time. Raises VenueUnavailable."""
    try:
        return read_row(_ServerTime, answer).server_time
    except RowError as error:
        raise VenueUnavailable(f"time: {error}") from None


def read_mark(answer: object, market: Market, at: datetime) -> Mark:
    """Return the mark price. The answer has no time of its own: `at` is when it was asked for, by their clock.

    Raises VenueUnavailable.
    """
    symbol = market.contract.symbol
    rows = rows_of(answer, f"mark price of {symbol}")
    try:
        if len(rows) != 1:
            raise RowError("not one ticker")  # noqa: TRY301  # One end for all that it may be.
        row = read_row(_Ticker, rows[0])
    except RowError as error:
        raise VenueUnavailable(f"mark price of {symbol}: {error}") from None
    if row.contract != market.market_id:
        raise VenueUnavailable(f"mark price of {symbol}: the answer is about {row.contract[:32]!r}")
    return Mark(symbol=symbol, price=row.mark_price, at=at, index_price=_index(rows[0]))


def _index(raw: object) -> Decimal | None:
    try:
        return read_row(_Index, raw).index_price
    except RowError:
        return None


def read_candles(answer: object, symbol: str) -> tuple[Candle, ...]:
    """Return candles, oldest first. Raises VenueUnavailable: a hole would look like a calm market."""
    what = f"candles of {symbol}"
    try:
        rows = [read_row(_Candle, raw) for raw in rows_of(answer, what)]
    except RowError as error:
        raise VenueUnavailable(f"{what}: {error}") from None
    return tuple(
        Candle(opened_at=row.t, high=float(row.h), low=float(row.l), close=float(row.c))
        for row in sorted(rows, key=lambda row: row.t)
    )


def read_tiers(answer: object, *, progressive: bool) -> tuple[RiskTier, ...]:
    """Return a contract's tiers, ascending. Raises RowError or VenueUnavailable.

    `progressive`: the account's requirement is counted slice by slice, so each tier has its deduction.
    """
    raw_rows = rows_of(answer, "risk_limit_tiers")
    if not raw_rows:
        raise RowError("no tiers in the answer")
    tiers: list[RiskTier] = []
    rows = [(read_row(_RiskLimit, raw), raw) for raw in raw_rows]
    for row, raw in sorted(rows, key=lambda pair: pair[0].risk_limit):
        floor = tiers[-1].notional_cap if tiers else Decimal(0)
        rate = row.maintenance_rate
        if row.risk_limit <= floor or rate >= 1 or (tiers and rate < tiers[-1].maintenance_margin_rate):
            raise RowError(f"its tiers do not ascend at {row.risk_limit:f}")
        tiers.append(
            RiskTier(
                notional_floor=floor,
                notional_cap=row.risk_limit,
                maintenance_margin_rate=rate,
                maintenance_amount=read_row(_Deduction, raw).deduction if progressive else None,
            )
        )
    return tuple(tiers)


def stream_marks(
    client: Any,
    groups: tuple[tuple[str, ...], ...],
    *,
    now: Callable[[], datetime],
    silence_max: timedelta = SILENCE_MAX,
) -> AsyncGenerator[Mark, None]:
    """Yield each new mark price; see `grouped_marks`. `groups`: symbols by kind, each with a stream of its own."""
    _keep_stamps(client)
    return grouped_marks(client, groups, _read_update, now=now, silence_max=silence_max)


def _read_update(ticker: Mapping[str, Any], symbol: str) -> Mark:
    raw = ticker.get("info")
    at, price = read_row(_Stamp, raw).t, read_row(_Ticker, raw).mark_price
    return Mark(symbol=symbol, price=price, at=at, index_price=_index(raw))


def _keep_stamps(client: Any) -> None:
    """Have ccxt keep a message's own time, which it drops, in each of its tickers (`t`, seen in ccxt 4.5.90)."""
    if "handle_ticker" in vars(client):
        return
    handle = client.handle_ticker

    def handle_stamped(connection: Any, message: Any) -> None:
        rows = message.get("result")
        for row in rows if isinstance(rows, list) else [rows]:
            if isinstance(row, dict):
                row["t"] = message.get("time_ms")
        handle(connection, message)

    client.handle_ticker = handle_stamped
