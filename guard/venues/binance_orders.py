"""Orders that wait for a price at Binance, and how a position that is gone ended.

Sources, seen 2026-11: docs "Current All Algo Open Orders", "Current All Open Orders", "User's Force Orders" (a
liquidation's client id begins with "autoclose-", an auto-deleveraging's is "adl_autoclose"), "Account Trade List"
(the latest where no start is asked for); change log of 2025-12-09 for the algo service.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import AliasChoices, Field

from guard.errors import VenueUnavailable
from guard.snapshot import EndKind, PositionEnding, PositionKey, Side, StopOrder
from guard.venues.binance_account import PositionSide
from guard.venues.rows import Moment, NotNegative, Positive, Row, RowError, Word, read_row

BY_SYMBOL_MAX = 40  # Requests of weight 1 each; one request for all symbols costs 40.
FILLS_SPAN = timedelta(days=7) - timedelta(minutes=1)
ROWS_MAX = {"limit": 100}
FILLS_MAX = 1000  # Without a start the latest are listed, with one the first after it: the end is among the latest.
TRAILING = "TRAILING_STOP_MARKET"  # It states where it begins to trail, not where it stands.
STOPS = frozenset({"STOP", "STOP_MARKET", TRAILING})
TRIGGERS = {"MARK_PRICE": "mark", "CONTRACT_PRICE": "last"}


class _Order(Row):
    """What tells which order it is. The algo service says `orderType`, the book `type`."""

    symbol: Word
    kind: Word = Field(validation_alias=AliasChoices("orderType", "type"))


class _Stop(_Order):
    side: Literal["BUY", "SELL"]
    position_side: PositionSide
    quantity: NotNegative = Field(validation_alias=AliasChoices("quantity", "origQty"))
    close_position: bool
    working_type: Word


class _Price(Row):
    trigger_price: Positive = Field(validation_alias=AliasChoices("triggerPrice", "stopPrice"))


class _Fill(Row):
    """One row of GET /fapi/v1/userTrades or /dapi/v1/userTrades."""

    order_id: int
    side: Literal["BUY", "SELL"]
    position_side: PositionSide
    price: Positive
    time: Moment


class _Forced(Row):
    """One row of GET /fapi/v1/forceOrders or /dapi/v1/forceOrders."""

    order_id: int
    client_order_id: Word
    side: Literal["BUY", "SELL"]
    position_side: PositionSide
    update_time: Moment


def fewest_requests(market_ids: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the parameters of the requests that ask for these symbols' orders with the least weight."""
    return [{"symbol": one} for one in market_ids] if len(market_ids) <= BY_SYMBOL_MAX else [{}]


def read_stops(rows: Sequence[object], market_ids: Mapping[str, str]) -> list[StopOrder]:
    """Return the orders that close a position once its price has moved against it. Raises VenueUnavailable.

    One that cannot be read spoils the answer: a stop that is overlooked would be told as missing.
    """
    stops = []
    for raw in rows:
        try:
            order = read_row(_Order, raw)
            symbol = market_ids.get(order.symbol)
            if order.kind not in STOPS or symbol is None:
                continue
            stop = read_row(_Stop, raw)
            price = None if order.kind == TRAILING else read_row(_Price, raw).trigger_price
        except RowError as error:
            raise VenueUnavailable(f"open orders: {error}") from None
        side = _closes(stop.side, stop.position_side)
        if side is not None:
            stops.append(
                StopOrder(
                    key=PositionKey(symbol, side),
                    trigger_price=price,
                    trigger_by=TRIGGERS.get(stop.working_type, stop.working_type),
                    quantity=None if stop.close_position else stop.quantity,
                )
            )
    return stops


def _closes(side: str, position_side: str) -> Side | None:
    """Return the side of the position that an order closes. None: it opens one."""
    closed = Side.LONG if side == "SELL" else Side.SHORT
    return closed if position_side in {"BOTH", closed.name} else None


def window(market_id: str, since: datetime, now: datetime) -> dict[str, Any]:
    start = max(since, now - FILLS_SPAN)
    return {"symbol": market_id, "startTime": round(start.timestamp() * 1000), **ROWS_MAX}


def read_ending(
    key: PositionKey, forced_rows: Sequence[object], fill_rows: Sequence[object], since: datetime
) -> PositionEnding:
    """Return how a position ended, from its forced orders and its fills from `since` on. Raises VenueUnavailable."""
    try:
        forced = [read_row(_Forced, row) for row in forced_rows]
        fills = [read_row(_Fill, row) for row in fill_rows]
    except RowError as error:
        raise VenueUnavailable(f"fills of {key.symbol}: {error}") from None
    forced = [one for one in forced if _closes(one.side, one.position_side) is key.side]
    closing = (one for one in fills if one.time >= since and _closes(one.side, one.position_side) is key.side)
    fills = sorted(closing, key=lambda one: one.time)
    if not fills and not forced:
        return PositionEnding(kind=EndKind.UNKNOWN, evidence="the exchange lists no fill that closed it")
    at = max(one.time for one in fills) if fills else max(one.update_time for one in forced)
    price = fills[-1].price if fills else None
    told = f"{_count(len(fills), 'fill')} until {at:%H:%M:%S} UTC" + (f", the last at {price:f}" if price else "")
    if not forced:
        return PositionEnding(kind=EndKind.CLOSED, evidence=told, at=at, price=price)
    last = max(forced, key=lambda one: one.update_time)
    return PositionEnding(
        kind=_kind(last.client_order_id),
        evidence=f"{told}; {_count(len(forced), 'forced order')} ({last.client_order_id})",
        at=at,
        price=price,
    )


def _kind(client_order_id: str) -> EndKind:
    if client_order_id.startswith("autoclose-"):
        return EndKind.LIQUIDATED
    return EndKind.DELEVERAGED if client_order_id.startswith("adl_autoclose") else EndKind.UNKNOWN


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
