"""Bitget's market data: one mark price, a stream of them, candles of them, tiers. Never the last traded price."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from guard.errors import VenueUnavailable
from guard.margin import TierTable
from guard.snapshot import Mark, RiskTier
from guard.venues.bitget_wire import Market, data_of, list_of, ms
from guard.venues.mark_stream import grouped_marks
from guard.venues.protocol import Candle
from guard.venues.rows import Moment, NotNegative, Positive, Row, RowError, Word, read_row
from guard.venues.transport import ask

SILENCE_MAX = timedelta(seconds=15)  # The stream speaks several times a second where anything is traded.
PAGE_ROWS = 200
BARS = {1: "1m", 3: "3m", 5: "5m", 15: "15m", 30: "30m", 60: "1H", 240: "4H", 720: "12Hutc", 1440: "1Dutc"}


class _Price(Row):
    """One row of GET /api/v2/mix/market/symbol-price."""

    symbol: Word
    mark_price: Positive
    ts: Moment


class _Index(Row):
    index_price: Positive


class _Tick(Row):
    """The part of a ticker message that we read."""

    mark_price: Positive
    ts: Moment


class _Tier(Row):
    """One row of GET /api/v2/mix/market/query-position-lever."""

    symbol: Word
    start_unit: NotNegative
    end_unit: Positive
    keep_margin_rate: Positive


class _UnifiedTier(Row):
    """One row of GET /api/v3/market/position-tier, which names no symbol."""

    min_tier_value: NotNegative
    max_tier_value: Positive
    mmr: Positive


class _Candle(Row):
    opened_at: Moment
    open: Positive
    high: Positive
    low: Positive
    close: Positive


class _Time(Row):
    server_time: Moment


async def read_mark(client: Any, market: Market) -> Mark:
    """Read one mark price now. Raises VenueUnavailable."""
    symbol = market.contract.symbol
    question = {"symbol": market.market_id, "productType": market.product}
    rows = list_of(await ask(client, "publicMixGetV2MixMarketSymbolPrice", question), f"mark price of {symbol}")
    try:
        row = read_row(_Price, rows[0] if len(rows) == 1 else {})
    except RowError as error:
        raise VenueUnavailable(f"mark price of {symbol}: {error}") from None
    if row.symbol != market.market_id:
        raise VenueUnavailable(f"mark price of {symbol}: the answer is about {row.symbol[:32]!r}")
    return Mark(symbol=symbol, price=row.mark_price, at=row.ts, index_price=_index(rows[0]))


def _index(raw: object) -> Decimal | None:
    with suppress(RowError):
        return read_row(_Index, raw).index_price
    return None


def stream_marks(
    client: Any,
    groups: tuple[tuple[str, ...], ...],
    *,
    now: Callable[[], datetime],
    silence_max: timedelta = SILENCE_MAX,
) -> AsyncGenerator[Mark, None]:
    """Yield each new mark price; see `grouped_marks`. `groups`: the symbols of one product each."""
    return grouped_marks(client, groups, _read_update, now=now, silence_max=silence_max)


def _read_update(ticker: Mapping[str, Any], symbol: str) -> Mark:
    row = read_row(_Tick, ticker.get("info"))
    return Mark(symbol=symbol, price=row.mark_price, at=row.ts, index_price=_index(ticker.get("info")))


async def read_candles(client: Any, market: Market, *, minutes: int, count: int) -> tuple[Candle, ...]:
    """Read mark-price candles, oldest first. Raises VenueUnavailable: a hole would look like a calm market."""
    what = f"candles of {market.contract.symbol}"
    question = {
        "symbol": market.market_id,
        "productType": market.product,
        "granularity": BARS[minutes],
        "limit": str(min(count, PAGE_ROWS)),
    }
    found: dict[datetime, _Candle] = {}
    while len(found) < count:
        page = list_of(await ask(client, "publicMixGetV2MixMarketHistoryMarkCandles", question), what)
        try:
            read = [read_row(_Candle, _named(raw)) for raw in page]
        except RowError as error:
            raise VenueUnavailable(f"{what}: {error}") from None
        new = {row.opened_at: row for row in read if row.opened_at not in found}
        if not new:
            break
        found |= new
        if len(page) < int(question["limit"]):
            break
        question["endTime"] = str(ms(min(found)))
    opened = sorted(found)[-count:]
    return tuple(
        Candle(opened_at=at, high=float(found[at].high), low=float(found[at].low), close=float(found[at].close))
        for at in opened
    )


def _named(raw: object) -> dict[str, object]:
    if not isinstance(raw, list):
        raise RowError("a candle is no list")
    return dict(zip(("openedAt", "open", "high", "low", "close"), raw, strict=False))


async def read_tiers(client: Any, market: Market) -> TierTable:
    """Read a symbol's tiers. Raises VenueUnavailable or RowError.

    They are told without a deduction and hold slice by slice since 2025-11-10 (help page 12560603841952), so what is
    deducted is what makes the requirement meet itself at each floor.
    """
    question = {"symbol": market.market_id, "productType": market.product}
    answer = await ask(client, "publicMixGetV2MixMarketQueryPositionLever", question)
    rows = [read_row(_Tier, raw) for raw in list_of(answer, "position tiers")]
    if any(row.symbol.upper() != market.market_id for row in rows):
        raise RowError("no tiers of this symbol from zero on are listed")
    return _table(rows)


async def read_unified_tiers(client: Any, market: Market) -> TierTable:
    """Read a symbol's tiers as unified accounts are told them. Raises VenueUnavailable or RowError."""
    question = {"category": market.product, "symbol": market.market_id}
    answer = await ask(client, "publicUtaGetV3MarketPositionTier", question)
    told = [read_row(_UnifiedTier, raw) for raw in list_of(answer, "position tiers")]
    rows = (
        {
            "symbol": market.market_id,
            "startUnit": f"{row.min_tier_value:f}",
            "endUnit": f"{row.max_tier_value:f}",
            "keepMarginRate": f"{row.mmr:f}",
        }
        for row in told
    )
    return _table([read_row(_Tier, row) for row in rows])


def _table(rows: list[_Tier]) -> TierTable:
    """Return the table of rows that belong together, or raise RowError."""
    rows.sort(key=lambda row: row.start_unit)
    if not rows or rows[0].start_unit != 0:
        raise RowError("no tiers of this symbol from zero on are listed")
    for below, above in pairwise(rows):
        if below.end_unit != above.start_unit or above.keep_margin_rate < below.keep_margin_rate:
            raise RowError("its tiers leave holes, overlap, or ask for less the higher they are")
    amount, rate = Decimal(0), rows[0].keep_margin_rate
    tiers: list[RiskTier] = []
    for row in rows:
        amount += row.start_unit * (row.keep_margin_rate - rate)
        rate = row.keep_margin_rate
        tiers.append(
            RiskTier(
                notional_floor=row.start_unit,
                notional_cap=row.end_unit,
                maintenance_margin_rate=rate,
                maintenance_amount=amount,
            )
        )
    return TierTable.of(tiers)


async def server_time(client: Any) -> datetime:
    """Read the exchange's clock. Raises VenueUnavailable."""
    answer = await ask(client, "publicCommonGetV2PublicTime", {})
    try:
        return read_row(_Time, data_of(answer, "time")).server_time
    except RowError as error:
        raise VenueUnavailable(f"time: {error}") from None
