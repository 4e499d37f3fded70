"""Gate's open stops, how a position ended, and what its key may do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from guard.errors import VenueUnavailable
from guard.snapshot import EndKind, PositionEnding, PositionKey, Side, StopOrder
from guard.venues.gateio_account import GateRow, Market, Moment
from guard.venues.protocol import KeyScopes, KeyVerdict
from guard.venues.rows import Number, Positive, RowError, Word, read_row, rows_of

TRIGGERED_BY: Mapping[int, str] = {0: "last", 1: "mark", 2: "index"}
# What the text of a closing order begins with when the exchange closed it (docs, futures order, 2026-05).
LIQUIDATED = ("liq", "hedge-liq", "pm_liq", "comb_margin_liq", "scm_liq", "insurance")
DELEVERAGED = ("auto_delever", "auto-delever", "adl")
ADL_WITHIN = timedelta(minutes=1)  # Between the closing and the record of the deleveraging that caused it.
# Permissions by which money can leave the account, when they are not read-only.
PAYING = frozenset({"wallet", "withdraw", "sub_accounts", "custody", "otc", "crossx"})


class _Initial(GateRow):
    contract: Word
    size: Number  # 0: all of it.
    is_reduce_only: bool = False
    is_close: bool = False
    auto_size: str | None = None


class _Trigger(GateRow):
    price: Positive
    price_type: Literal[0, 1, 2]
    rule: Literal[1, 2]  # 1: at or above, 2: at or below.
    strategy_type: Literal[0, 1] = 0  # 1: a distance between two prices, not a price.


class _Stop(GateRow):
    """GET /futures/{settle}/price_orders."""

    initial: _Initial
    trigger: _Trigger
    order_type: str | None = None


def read_stops(rows: Iterable[object], markets: Mapping[str, Market]) -> tuple[StopOrder, ...]:
    """Return the stops among a settle currency's open orders. Raises VenueUnavailable: one unread looks like none.

    `markets` are those asked about, by Gate's symbol.
    """
    try:
        read = [read_row(_Stop, raw) for raw in rows]
    except RowError as error:
        raise VenueUnavailable(f"price_orders: {error}") from None
    return tuple(
        StopOrder(
            key=PositionKey(markets[row.initial.contract].contract.symbol, side),
            trigger_price=row.trigger.price,
            trigger_by=TRIGGERED_BY[row.trigger.price_type],
            quantity=abs(row.initial.size) or None,
        )
        for row in read
        if row.initial.contract in markets and (side := _closes(row)) is not None
    )


class _Trailing(GateRow):
    """GET /futures/{settle}/autoorder/v1/trail/list. Which of its prices is where it stands now is not documented."""

    contract: Word
    amount: Number  # Positive buys.
    reduce_only: bool = False
    position_related: bool = False
    side_label: str | None = None


def trailing_rows(answer: object) -> list[object]:
    """Return the list of trailing orders, which may stand in an envelope. Raises VenueUnavailable."""
    inner = answer.get("data", answer) if isinstance(answer, dict) else None
    rows = inner.get("orders") if isinstance(inner, dict) else None
    if not isinstance(rows, list):
        raise VenueUnavailable("trailing orders: no list of orders in the answer")
    return rows


def read_trailing(rows: Iterable[object], markets: Mapping[str, Market]) -> tuple[StopOrder, ...]:
    """Return the trailing orders that close positions of these markets. Raises VenueUnavailable."""
    stops: list[StopOrder] = []
    for raw in rows:
        try:
            row = read_row(_Trailing, raw)
        except RowError as error:
            raise VenueUnavailable(f"trailing orders: {error}") from None
        words = (row.side_label or "").lower()
        closes = "close" in words or row.reduce_only or row.position_related
        if row.contract not in markets or not closes:
            continue
        named = Side.LONG if "close long" in words else Side.SHORT if "close short" in words else None
        side = named or (Side.LONG if row.amount < 0 else Side.SHORT)
        key = PositionKey(markets[row.contract].contract.symbol, side)
        stops.append(StopOrder(key=key, trigger_price=None, trigger_by="", quantity=abs(row.amount) or None))
    return tuple(stops)


def _closes(row: _Stop) -> Side | None:
    """Return the side of the position that an order closes against it; None when it does not."""
    against = Side.LONG if row.trigger.rule == 2 else Side.SHORT  # 2: the price falls.
    words = f"{row.order_type or ''} {row.initial.auto_size or ''}".replace("_", "-")
    said = Side.LONG if "close-long" in words else Side.SHORT if "close-short" in words else None
    if row.trigger.strategy_type != 0:
        return None
    if said is not None:
        return said if said is against else None  # Else it takes a profit.
    if not (row.initial.is_reduce_only or row.initial.is_close):
        return None  # It may open a position as well.
    sells = row.initial.size < 0
    return against if row.initial.size == 0 or sells is (against is Side.LONG) else None


class _Close(GateRow):
    """GET /futures/{settle}/position_close."""

    time: Moment
    contract: Word
    side: Literal["long", "short"]
    text: str
    long_price: Positive  # Of the opening for a long, of the closing for a short.
    short_price: Positive


class _Liquidate(GateRow):
    """GET /futures/{settle}/liquidates."""

    time: Moment
    contract: Word
    size: Number  # Of the position: negative is short.


class _Deleverage(GateRow):
    """GET /futures/{settle}/auto_deleverages."""

    time: Moment
    contract: Word
    position_size: Number = Decimal(0)  # What it left: negative is short, 0 nothing.


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The exchange's three answers that tell how positions ended, as they came."""

    closes: object
    liquidates: object
    deleverages: object


def read_ending(records: Records, key: PositionKey, market: Market, since: datetime) -> PositionEnding:
    """Return how a position ended, or what the exchange took of it, after a moment. Raises VenueUnavailable."""
    try:
        closed = [read_row(_Close, raw) for raw in rows_of(records.closes, "position_close")]
        liquidated = [read_row(_Liquidate, raw) for raw in rows_of(records.liquidates, "liquidates")]
        deleveraged = [read_row(_Deleverage, raw) for raw in rows_of(records.deleverages, "auto_deleverages")]
    except RowError as error:
        raise VenueUnavailable(f"records of {key}: {error}") from None
    mine = [
        row for row in closed if (row.contract, row.side) == (market.market_id, key.side.word) and row.time >= since
    ]
    sold = [
        row
        for row in liquidated
        if row.contract == market.market_id and row.size * int(key.side) > 0 and row.time >= since
    ]
    last = max(mine, key=lambda row: row.time, default=None)
    if last is None:
        reduced = [
            row
            for row in deleveraged
            if row.contract == market.market_id and row.position_size * int(key.side) > 0 and row.time >= since
        ]
        return _not_closed([row.time for row in sold], [row.time for row in reduced])
    is_adl = any(r.contract == last.contract and abs(r.time - last.time) <= ADL_WITHIN for r in deleveraged)
    kind = _kind(last.text, is_liquidated=bool(sold), is_deleveraged=is_adl)
    price = last.short_price if key.side is Side.LONG else last.long_price
    evidence = f"closed at {last.time:%H:%M:%S} UTC at {price:f} ({last.text[:32] or 'no text'}): {kind}"
    return PositionEnding(kind=kind, evidence=evidence, at=last.time, price=price)


def _not_closed(sold_at: Sequence[datetime], reduced_at: Sequence[datetime]) -> PositionEnding:
    if sold_at:
        at = max(sold_at)
        return PositionEnding(kind=EndKind.LIQUIDATED, evidence=f"liquidated at {at:%H:%M:%S} UTC", at=at)
    if reduced_at:
        at = max(reduced_at)
        return PositionEnding(kind=EndKind.DELEVERAGED, evidence=f"auto-deleveraged at {at:%H:%M:%S} UTC", at=at)
    return PositionEnding(kind=EndKind.UNKNOWN, evidence="no record of its closing is there")


def _kind(text: str, *, is_liquidated: bool, is_deleveraged: bool) -> EndKind:
    if text.startswith(LIQUIDATED) or is_liquidated:
        return EndKind.LIQUIDATED
    if text.startswith(DELEVERAGED) or is_deleveraged:
        return EndKind.DELEVERAGED
    return EndKind.CLOSED


class _Permission(GateRow):
    name: Word
    read_only: bool = False  # Without a word it is the larger right.


class _Key(GateRow):
    """GET /account/main_keys: of the key that asks, or (older) a list of all keys of the account."""

    state: Literal[1, 2, 3]  # 1: normal. 2: locked. 3: frozen.
    perms: list[_Permission]
    ip_whitelist: list[str] | None = None


def read_scopes(answer: object, api_key: str) -> KeyScopes:
    """Return what the key may do. Raises VenueUnavailable when it is not told, or not of which key."""
    rows: Sequence[object] = answer if isinstance(answer, list) else [answer]
    mine = [raw for raw in rows if not isinstance(answer, list) or _is_masked(raw, api_key)]
    if len(mine) != 1:
        raise VenueUnavailable(f"main_keys: {len(mine)} of {len(rows)} keys look like this one")
    try:
        row = read_row(_Key, mine[0])
    except RowError as error:
        raise VenueUnavailable(f"main_keys: {error}") from None
    scopes = tuple(f"{one.name}{' (read only)' if one.read_only else ''}" for one in row.perms)
    writes = {one.name for one in row.perms if not one.read_only}
    if writes & PAYING:
        named = ", ".join(sorted(writes & PAYING))
        verdict, text = KeyVerdict.TOO_POWERFUL, f"the key may withdraw or transfer ({named}): make one that may not"
    elif "futures" not in writes or row.state != 1:
        verdict, text = KeyVerdict.READ_ONLY, "the key may look but not add margin: that needs futures, not read only"
    else:
        verdict, text = KeyVerdict.SAFE, "the key may trade futures and can neither withdraw nor transfer"
    bound = None if row.ip_whitelist is None else bool(row.ip_whitelist)
    return KeyScopes(verdict=verdict, scopes=scopes, ip_restricted=bound, text=text)


class _Masked(GateRow):
    key: Word


def _is_masked(raw: object, api_key: str) -> bool:
    """Say whether a listed key, whose end is starred out, is this one."""
    try:
        shown = read_row(_Masked, raw).key.rstrip("*")
    except RowError:
        return False
    return bool(shown) and api_key.startswith(shown)
