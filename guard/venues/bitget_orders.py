"""Orders that would close a position at Bitget, how a position that is gone ended, and what the key may do."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from guard.errors import VenueUnavailable
from guard.snapshot import EndKind, PositionEnding, PositionKey, Side, StopOrder
from guard.venues.bitget_wire import Market, data_of, list_of, maybe, ms
from guard.venues.protocol import KeyScopes, KeyVerdict
from guard.venues.rows import Moment, Positive, Row, RowError, Word, read_row, shown
from guard.venues.transport import ask

PAGE_ROWS = 100
PAGES_MAX = 20
PLANS = ("profit_loss", "normal_plan", "track_plan")
STOPS = frozenset({"loss_plan", "pos_loss"})
TRAILING = frozenset({"moving_plan", "track_plan"})  # They tell where they begin to trail, not where they stand.
TRIGGERED_BY: Mapping[str, str] = {"mark_price": "mark", "fill_price": "last", "index_price": "index"}
ENDED_EARLIER_MAX = timedelta(seconds=5)  # Before it was last seen open, by clocks that differ.

# `tradeSide` of a fill that was not the user's: of a leg of a hedge the word names it, else the side tells.
FORCED: Mapping[str, EndKind] = {
    "burst_": EndKind.LIQUIDATED,
    "reduce_": EndKind.LIQUIDATED,
    "dte_sys_adl_": EndKind.DELEVERAGED,
}
# Authorities of a key (docs "Get Account Information", copy of 2025-10; the older words of its example beside them).
TOO_MUCH: Mapping[str, str] = {
    "wwow": "withdraw money",
    "withdraw": "withdraw money",
    "wtow": "move money between accounts",
    "transfer": "move money between accounts",
    "p2p": "trade with other people",
    "chow": "manage subaccounts and their keys",
}
MAY_ADD = frozenset({"coow", "cpow", "trade"})


class _Plan(Row):
    """One row of GET /api/v2/mix/order/orders-plan-pending."""

    plan_type: Word
    symbol: Word
    side: Word
    pos_side: object = None
    trade_side: object = None
    reduce_only: object = None
    size: object = None
    trigger_price: object = None
    trigger_type: object = None


class Fill(Row):
    """A fill as both kinds of account are read here; the words on the wire are those of v2."""

    symbol: Word
    price: Positive
    side: Word
    trade_side: Word
    c_time: Moment


class _Ended(Row):
    """One row of GET /api/v2/mix/position/history-position."""

    symbol: Word
    hold_side: Word
    close_avg_price: Positive


class _Stamp(Row):
    at: Moment


async def read_stops(client: Any, markets: Mapping[str, Market], marks: Mapping[str, Decimal]) -> tuple[StopOrder, ...]:
    """Read the stop orders of these markets. `marks` tell a stop from a target where the order does not say it.

    Raises VenueUnavailable, also when a row cannot be read.
    """
    stops: list[StopOrder] = []
    for product in sorted({market.product for market in markets.values()}):
        for plan in PLANS:
            for raw in await _pages(client, product, plan):
                market = markets.get(str(raw.get("symbol")).upper()) if isinstance(raw, dict) else None
                if market is None:
                    continue
                try:
                    stop = _stop(read_row(_Plan, raw), market, marks.get(market.contract.symbol))
                except RowError as error:
                    raise VenueUnavailable(f"orders of {market.contract.symbol}: {error}") from None
                stops += [] if stop is None else [stop]
    return tuple(stops)


async def _pages(client: Any, product: str, plan: str) -> list[Any]:
    rows: list[Any] = []
    question = {"productType": product, "planType": plan, "limit": str(PAGE_ROWS)}
    for _ in range(PAGES_MAX):
        answer = await ask(client, "privateMixGetV2MixOrderOrdersPlanPending", question)
        page = list_of(answer, "plan orders", "entrustedList")
        rows += page
        if len(page) < PAGE_ROWS:
            return rows
        last = str(data_of(answer, "plan orders").get("endId") or "")
        if not last or last == question.get("idLessThan"):
            break
        question["idLessThan"] = last
    raise VenueUnavailable(f"plan orders: more than {PAGES_MAX} pages, or pages that do not go on")


def _stop(row: _Plan, market: Market, mark: Decimal | None) -> StopOrder | None:
    """Return the order as a stop; None when it takes profit, or opens instead of closing."""
    side = {"long": Side.LONG, "short": Side.SHORT}.get(str(row.pos_side))
    if side is None:  # One-way: what sells closes a long.
        side = Side.LONG if row.side == "sell" else Side.SHORT
    closes = row.trade_side == "close" or str(row.reduce_only).lower() in {"yes", "true"}
    price = None if row.plan_type in TRAILING else maybe(row.trigger_price)
    if price is None:
        is_stop = row.plan_type == "moving_plan" or (row.plan_type == "track_plan" and closes)
    else:
        waits_below = mark is not None and side * (mark - price) > 0
        waits_to_close = row.plan_type == "normal_plan" and closes and waits_below
        is_stop = price > 0 and (row.plan_type in STOPS or waits_to_close)
    if not is_stop:
        return None
    by = "" if not row.trigger_type else shown(row.trigger_type)
    return StopOrder(
        key=PositionKey(market.contract.symbol, side),
        trigger_price=price,
        trigger_by=TRIGGERED_BY.get(by, by),
        quantity=maybe(row.size) or None,
    )


async def read_ending(client: Any, market: Market, key: PositionKey, since: datetime) -> PositionEnding:
    """Read how a position that is gone ended: forced, by its fills; closed, by the history of positions.

    `since` is by the exchange's clock. Raises VenueUnavailable.
    """
    start = since - ENDED_EARLIER_MAX
    question = {"symbol": market.market_id, "productType": market.product, "startTime": str(ms(start)), "limit": "100"}
    rows = list_of(await ask(client, "privateMixGetV2MixOrderFills", question), "fills", "fillList")
    try:
        forced = forced_ending([read_row(Fill, raw) for raw in rows], key, start)
    except RowError as error:
        raise VenueUnavailable(f"fills of {key.symbol}: {error}") from None
    return forced or await _closed(client, market, key, start)


def forced_ending(fills: Iterable[Fill], key: PositionKey, start: datetime) -> PositionEnding | None:
    """Return the ending of a position that was not its user's. None: no fill since then says so."""
    forced = [
        (fill, kind)
        for fill in fills
        if (kind := _forced(fill.trade_side)) is not None and _leg(fill) is key.side and fill.c_time >= start
    ]
    if not forced:
        return None
    last, kind = max(forced, key=lambda one: one[0].c_time)
    word = "liquidated" if kind is EndKind.LIQUIDATED else "auto-deleveraged"
    until = f"{last.c_time:%H:%M:%S} UTC"
    text = f"{len(forced)} fills {shown(last.trade_side)}: {word} until {until}, the last at {last.price:f}"
    return PositionEnding(kind=kind, evidence=text, at=last.c_time, price=last.price)


def _forced(word: str) -> EndKind | None:
    return next((kind for start, kind in FORCED.items() if word.startswith(start)), None)


def _leg(fill: Fill) -> Side:
    if fill.trade_side.endswith(("_long", "_short")):
        return Side.LONG if fill.trade_side.endswith("_long") else Side.SHORT
    return Side.LONG if fill.side == "sell" else Side.SHORT


async def _closed(client: Any, market: Market, key: PositionKey, start: datetime) -> PositionEnding:
    question = {"symbol": market.market_id, "productType": market.product, "startTime": str(ms(start)), "limit": "100"}
    answer = await ask(client, "privateMixGetV2MixPositionHistoryPosition", question)
    ended: list[tuple[datetime, _Ended]] = []
    try:
        for raw in list_of(answer, "positions history", "list"):
            row, at = read_row(_Ended, raw), _ended_at(raw)
            if row.hold_side == key.side.word and row.symbol.upper() == market.market_id and at >= start:
                ended.append((at, row))
    except RowError as error:
        raise VenueUnavailable(f"positions history of {key.symbol}: {error}") from None
    return closed_ending([(at, row.close_avg_price) for at, row in ended])


def closed_ending(ended: Sequence[tuple[datetime, Decimal]]) -> PositionEnding:
    """Return the ending that the history of positions tells. `ended`: when, and on average at which price."""
    if not ended:
        return PositionEnding(kind=EndKind.UNKNOWN, evidence="Bitget's history of positions does not show its end yet")
    at, price = max(ended)
    text = f"Bitget's history: closed at {at:%H:%M:%S} UTC, on average at {price:f}"
    return PositionEnding(kind=EndKind.CLOSED, evidence=text, at=at, price=price)


class _Closed(Row):
    symbol: Word


async def read_closed(client: Any, products: tuple[str, ...], start: datetime) -> frozenset[str] | None:
    """Return the symbols of the positions that were closed since. None: too many to tell. Raises VenueUnavailable."""
    symbols: set[str] = set()
    for product in products:
        question = {"productType": product, "startTime": str(ms(start)), "limit": str(PAGE_ROWS)}
        for _ in range(PAGES_MAX):
            answer = await ask(client, "privateMixGetV2MixPositionHistoryPosition", question)
            page = list_of(answer, "positions history", "list")
            try:
                symbols |= {read_row(_Closed, raw).symbol.upper() for raw in page}
            except RowError as error:
                raise VenueUnavailable(f"positions history: {error}") from None
            if len(page) < PAGE_ROWS:
                break
            last = str(data_of(answer, "positions history").get("endId") or "")
            if not last or last == question.get("idLessThan"):
                return None
            question["idLessThan"] = last
        else:
            return None
    return frozenset(symbols)


def _ended_at(raw: Mapping[str, Any]) -> datetime:
    """Return `uTime`, which the documents' example writes `utime`. Raises RowError."""
    return read_row(_Stamp, {"at": raw.get("uTime", raw.get("utime"))}).at


class _Rights(Row):
    authorities: list[Word]
    ips: object


def read_scopes(answer: object) -> KeyScopes:
    """Return what the key may do. Raises VenueUnavailable when that is not said."""
    try:
        rights = read_row(_Rights, data_of(answer, "account info"))
    except RowError as error:
        raise VenueUnavailable(f"account info: {error}") from None
    scopes = tuple(sorted(rights.authorities))
    too_much = _named(TOO_MUCH[one] for one in scopes if one in TOO_MUCH)
    if too_much:
        verdict, text = KeyVerdict.TOO_POWERFUL, f"the key may {too_much}: make one that may not"
    elif not MAY_ADD & set(scopes):
        verdict, text = KeyVerdict.READ_ONLY, "the key may look but not add margin: that needs the futures permission"
    else:
        verdict, text = KeyVerdict.SAFE, "the key may trade futures and can neither withdraw nor transfer"
    return KeyScopes(verdict=verdict, scopes=scopes, ip_restricted=bool(rights.ips), text=text)


def _named(words: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(words))
