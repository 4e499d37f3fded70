"""Orders that would close a position at OKX, and how a position that is gone ended."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from guard.errors import VenueUnavailable
from guard.snapshot import EndKind, MarginMode, PositionEnding, PositionKey, Side, StopOrder
from guard.venues.okx_contracts import Market
from guard.venues.okx_rows import AlgoRow, EndRow, data_of
from guard.venues.rows import RowError, read_row
from guard.venues.transport import ask

PAGE_ROWS = 100
PAGES_MAX = 20
ORDER_TYPES = ("conditional,oco", "trigger", "move_order_stop")  # No more than these two go into one request.
ENDED_EARLIER_MAX = timedelta(seconds=5)  # Before it was last seen open, by clocks that differ.

MODES: Mapping[str, MarginMode] = {"isolated": MarginMode.ISOLATED, "cross": MarginMode.CROSS}

# `type` of positions-history: the last way in which the position was closed. Source: docs, seen 2026-09.
ENDS: Mapping[str, tuple[EndKind, str]] = {
    "2": (EndKind.CLOSED, "closed"),
    "3": (EndKind.LIQUIDATED, "liquidated"),
    "4": (EndKind.LIQUIDATED, "liquidated in parts"),
    "5": (EndKind.DELEVERAGED, "auto-deleveraged"),
    "6": (EndKind.DELEVERAGED, "auto-deleveraged in full"),
}


async def read_stops(client: Any, markets: Mapping[str, Market], symbols: frozenset[str]) -> tuple[StopOrder, ...]:
    """Read the stop orders of these symbols. Raises VenueUnavailable, also when a row cannot be read."""
    stops: list[StopOrder] = []
    for order_type in ORDER_TYPES:
        for raw in await _pages(client, order_type):
            market = markets.get(str(raw.get("instId"))) if isinstance(raw, dict) else None
            if market is None or market.contract.symbol not in symbols:
                continue
            try:
                stop = _stop(read_row(AlgoRow, raw), market)
            except RowError as error:
                raise VenueUnavailable(f"orders of {market.contract.symbol}: {error}") from None
            if stop is not None:
                stops.append(stop)
    return tuple(stops)


async def _pages(client: Any, order_type: str) -> list[Any]:
    rows: list[Any] = []
    parameters = {"ordType": order_type, "limit": str(PAGE_ROWS)}
    for _ in range(PAGES_MAX):
        page = data_of(await ask(client, "privateGetTradeOrdersAlgoPending", parameters), "algo orders")
        rows += page
        if len(page) < PAGE_ROWS:
            return rows
        last = page[-1].get("algoId") if isinstance(page[-1], dict) else None
        if not last or last == parameters.get("after"):
            break
        parameters["after"] = last
    raise VenueUnavailable(f"algo orders: more than {PAGES_MAX} pages, or pages that do not go on")


def _stop(row: AlgoRow, market: Market) -> StopOrder | None:
    """Return the order as a stop; None when it takes profit, or opens instead of closing."""
    side = Side.LONG if row.side == "sell" else Side.SHORT  # Of the position that it closes.
    if row.pos_side in {"long", "short"} and row.pos_side != side.word:
        return None
    closes = (
        row.pos_side in {"long", "short"}
        or row.ord_type in {"conditional", "oco"}
        or str(row.reduce_only).lower() == "true"
        or row.close_fraction is not None
    )
    price, by = row.sl_trigger_px, row.sl_trigger_px_type
    if row.ord_type == "trigger":
        price, by = row.trigger_px, row.trigger_px_type
        if price is not None and row.last is not None and int(side) * (row.last - price) < 0:
            return None  # It waits on the profitable side.
    trails = row.ord_type == "move_order_stop"
    if trails:
        price, by = row.move_trigger_px or None, ""  # Empty until it has begun to trail.
    if not closes or not (price or trails):
        return None
    return StopOrder(
        key=PositionKey(market.contract.symbol, side),
        trigger_price=price,
        trigger_by=by,
        quantity=None if row.close_fraction else row.sz,
        margin_mode=MODES.get(row.td_mode),
    )


async def read_closed(client: Any, since: datetime) -> frozenset[str] | None:
    """Return the instruments of positions that were closed or made smaller since; None: more than one page of them."""
    answer = await ask(client, "privateGetAccountPositionsHistory", {"limit": str(PAGE_ROWS)})
    try:
        rows = [read_row(EndRow, raw) for raw in data_of(answer, "positions history")]
    except RowError as error:
        raise VenueUnavailable(f"positions history: {error}") from None
    if len(rows) >= PAGE_ROWS and min(row.u_time for row in rows) >= since:
        return None
    return frozenset(row.inst_id for row in rows if row.u_time >= since)


async def read_ending(client: Any, market: Market, key: PositionKey, since: datetime) -> PositionEnding:
    """Read how a position that is gone ended. `since` is by the exchange's clock. Raises VenueUnavailable."""
    parameters = {"instType": market.inst_type, "instId": market.inst_id, "limit": str(PAGE_ROWS)}
    answer = await ask(client, "privateGetAccountPositionsHistory", parameters)
    try:
        rows = [read_row(EndRow, raw) for raw in data_of(answer, "positions history")]
    except RowError as error:
        raise VenueUnavailable(f"positions history of {key.symbol}: {error}") from None
    mine = [row for row in rows if row.direction == key.side.word and row.u_time >= since - ENDED_EARLIER_MAX]
    if not mine:
        return PositionEnding(kind=EndKind.UNKNOWN, evidence="OKX's history of positions does not show its end yet")
    last = max(mine, key=lambda row: row.u_time)
    kind, word = ENDS.get(last.type, (EndKind.UNKNOWN, f"ended in a way that is not known here (type {last.type})"))
    price = last.close_avg_px or None
    evidence = f"OKX's history: {word} at {last.u_time:%H:%M:%S} UTC"
    if price is not None:
        evidence += f", on average at {price:f}"
    if last.trigger_px:
        evidence += f", by a mark price of {last.trigger_px:f}"
    return PositionEnding(kind=kind, evidence=evidence, at=last.u_time, price=price)
