"""A unified account: orders that would close a position, how a position that is gone ended, and what the key may do.

Sources: docs UTA "Get Unfilled Strategy Orders", "Get Fill History", "Get Position History", "Get Account Info" and
"Transfer" (copies of 2025-12 and 2026-07).
- Of strategy orders only take-profit and stop-loss orders say what they are for. A trigger order does not say whether
  it closes, so none is counted as a stop. Trailing ones are not documented.
- The words of `tradeSide` in fills are those of classic accounts. Fills are told of a product, not of a symbol.
- A key has no right to transfer that could be kept from it: "UTA mgt." with writing has it, and adding margin needs
  that.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from guard.errors import VenueUnavailable
from guard.snapshot import PositionEnding, PositionKey, Side, StopOrder
from guard.venues.bitget_orders import ENDED_EARLIER_MAX, TOO_MUCH, Fill, closed_ending, forced_ending
from guard.venues.bitget_wire import Market, data_of, list_of, maybe, ms
from guard.venues.protocol import KeyScopes, KeyVerdict
from guard.venues.rows import Moment, Positive, Row, RowError, Word, read_row, shown
from guard.venues.transport import ask

PAGE_ROWS = 100
PAGES_MAX = 20
WAITING = frozenset({"pending", "submitting"})
MANAGE = "uta_mgt"  # The right by which margin is added.


class _Tpsl(Row):
    """One row of GET /api/v3/trade/unfilled-strategy-orders with type=tpsl."""

    symbol: Word
    pos_side: object = None
    side: object = None
    status: object = None
    qty: object = None
    stop_loss: object = None
    sl_trigger_by: object = None


class _Fill(Row):
    """One row of GET /api/v3/trade/fills."""

    symbol: Word
    side: Word
    exec_price: Positive
    trade_side: Word
    created_time: Moment


class _Ended(Row):
    """One row of GET /api/v3/position/history-position."""

    symbol: Word
    pos_side: Word
    close_price_avg: Positive
    updated_time: Moment


class _Rights(Row):
    permissions: list[Word]
    perm_type: Word
    ips: object = None


async def read_stops(client: Any, markets: Mapping[str, Market]) -> tuple[StopOrder, ...]:
    """Read the stop losses of these markets, by Bitget's symbols. Raises VenueUnavailable, also for a row unread."""
    stops: list[StopOrder] = []
    for product in sorted({market.product for market in markets.values()}):
        question = {"category": product, "type": "tpsl"}
        rows = list_of(await ask(client, "privateUtaGetV3TradeUnfilledStrategyOrders", question), "strategy orders")
        for raw in rows:
            market = markets.get(str(raw.get("symbol")).upper()) if isinstance(raw, dict) else None
            if market is None:
                continue
            try:
                stop = _stop(read_row(_Tpsl, raw), market)
            except RowError as error:
                raise VenueUnavailable(f"orders of {market.contract.symbol}: {error}") from None
            stops += [] if stop is None else [stop]
    return tuple(stops)


def _stop(row: _Tpsl, market: Market) -> StopOrder | None:
    """Return the order as a stop; None when it only takes profit, or waits no more. Raises RowError."""
    price = maybe(row.stop_loss)
    if price is None or price <= 0 or (row.status is not None and row.status not in WAITING):
        return None
    side = {"long": Side.LONG, "short": Side.SHORT}.get(str(row.pos_side))
    side = side or {"sell": Side.LONG, "buy": Side.SHORT}.get(str(row.side))  # One-way: what sells closes a long.
    if side is None:
        raise RowError(f"posSide is {shown(row.pos_side, 16)}, side is {shown(row.side, 16)}")
    by = str(row.sl_trigger_by or "market")
    return StopOrder(
        key=PositionKey(market.contract.symbol, side),
        trigger_price=price,
        trigger_by={"mark": "mark", "market": "last"}.get(by, shown(by)),
        quantity=maybe(row.qty) or None,
    )


async def read_ending(client: Any, market: Market, key: PositionKey, since: datetime) -> PositionEnding:
    """Read how a position that is gone ended: forced, by its fills; closed, by the history of positions.

    `since` is by the exchange's clock. Raises VenueUnavailable.
    """
    start = since - ENDED_EARLIER_MAX
    question = {"category": market.product, "startTime": str(ms(start))}
    try:
        told = await _pages(client, "privateUtaGetV3TradeFills", question, "fills")
        mine = [_as_classic(read_row(_Fill, raw)) for raw in told if _is_of(raw, market)]
        forced = forced_ending(mine, key, start)
        if forced is not None:
            return forced
        question |= {"symbol": market.market_id}
        told = await _pages(client, "privateUtaGetV3PositionHistoryPosition", question, "positions history")
        rows = [read_row(_Ended, raw) for raw in told if _is_of(raw, market)]
    except RowError as error:
        raise VenueUnavailable(f"fills or history of {key.symbol}: {error}") from None
    ended = [row for row in rows if row.pos_side == key.side.word and row.updated_time >= start]
    return closed_ending([(row.updated_time, row.close_price_avg) for row in ended])


def _is_of(raw: object, market: Market) -> bool:
    """Say whether a row is of this market; of one that does not say it, reading it will tell that."""
    return not isinstance(raw, dict) or not raw.get("symbol") or str(raw["symbol"]).upper() == market.market_id


def _as_classic(row: _Fill) -> Fill:
    fields: Mapping[str, object] = {
        "symbol": row.symbol,
        "price": f"{row.exec_price:f}",
        "side": row.side,
        "tradeSide": row.trade_side,
        "cTime": ms(row.created_time),
    }
    return read_row(Fill, fields)


async def _pages(client: Any, endpoint: str, question: Mapping[str, str], what: str) -> list[Any]:
    rows: list[Any] = []
    asked = {**question, "limit": str(PAGE_ROWS)}
    for _ in range(PAGES_MAX):
        answer = await ask(client, endpoint, asked)
        page = list_of(answer, what, "list")
        rows += page
        if len(page) < PAGE_ROWS:
            return rows
        cursor = data_of(answer, what).get("cursor")
        if not isinstance(cursor, str) or not cursor or cursor == asked.get("cursor"):
            break
        asked["cursor"] = cursor
    raise VenueUnavailable(f"{what}: more than {PAGES_MAX} pages, or pages that do not go on")


def read_scopes(answer: object) -> KeyScopes:
    """Return what the key may do. Raises VenueUnavailable when that is not said."""
    try:
        rights = read_row(_Rights, data_of(answer, "account info"))
    except RowError as error:
        raise VenueUnavailable(f"account info: {error}") from None
    scopes = tuple(sorted(rights.permissions))
    too_much = " and ".join(dict.fromkeys(TOO_MUCH[one] for one in scopes if one in TOO_MUCH))
    if too_much:
        verdict, text = KeyVerdict.TOO_POWERFUL, f"the key may {too_much}: make one that may not"
    elif rights.perm_type != "read-and-write" or MANAGE not in scopes:
        verdict, text = KeyVerdict.READ_ONLY, "the key may look but not add margin: that needs UTA mgt., read and write"
    else:
        verdict = KeyVerdict.SAFE
        text = (
            "the key cannot withdraw; what lets it add margin also lets it move money between the user's own accounts"
        )
    return KeyScopes(verdict=verdict, scopes=scopes, ip_restricted=bool(rights.ips), text=text)
