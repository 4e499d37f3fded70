"""Bybit's open stops, and how a position ended, from its fills. Also what its key may do."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

from guard.errors import VenueUnavailable
from guard.snapshot import EndKind, PositionEnding, PositionKey, Side, StopOrder
from guard.venues.bybit_account import Flag, Index, Market
from guard.venues.protocol import KeyScopes, KeyVerdict
from guard.venues.rows import Moment, NotNegative, Positive, Row, RowError, Word, read_row

TRAILING = "TrailingStop"  # Its price is where it begins to trail, not where it stands.
STOPS = frozenset({"StopLoss", "PartialStopLoss", "Stop", TRAILING})  # What closes a position against it.
TRIGGERED_BY: Mapping[str, str] = {"LastPrice": "last", "MarkPrice": "mark", "IndexPrice": "index"}
BUSTED = frozenset({"CreateByLiq", "CreateByTakeOver_PassThrough"})  # Sold in steps, or taken over whole.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # What stands where a key has no end.
# Permissions by which money can leave the account, beside the wallet's own.
PAYING = ("FiatP2P", "FiatBitPay", "FiatBybitPay", "FiatGlobalPay", "BitCard")  # Bybit Pay has an older name too.


class _Kind(Row):
    symbol: Word
    stop_order_type: str


class _Stop(_Kind):
    """The part of GET /v5/order/realtime that makes a stop."""

    side: Word  # Of the order, which closes the other side.
    position_idx: Index
    trigger_direction: Index  # 1: rise, 2: fall, 0: not said.
    trigger_by: str
    qty: NotNegative  # 0: the whole position.
    reduce_only: bool
    close_on_trigger: bool


class _Price(Row):
    trigger_price: Positive


class _Fill(Row):
    """GET /v5/execution/list."""

    symbol: Word
    side: Word
    exec_type: Word
    create_type: str = ""  # The one that may be missing: what was taken over has an execType of its own.
    exec_price: Positive
    exec_time: Moment
    closed_size: object  # "" where nothing was closed.


def read_stops(rows: Iterable[object], markets: Mapping[str, Market]) -> tuple[StopOrder, ...]:
    """Return the stops among open orders. Raises VenueUnavailable: a stop that is not read looks like none."""
    try:
        kinds = [(read_row(_Kind, raw), raw) for raw in rows]
        stops = [
            (read_row(_Stop, raw), None if kind.stop_order_type == TRAILING else read_row(_Price, raw).trigger_price)
            for kind, raw in kinds
            if kind.stop_order_type in STOPS
        ]
    except RowError as error:
        raise VenueUnavailable(f"open orders: {error}") from None
    return tuple(
        StopOrder(
            key=PositionKey(markets[row.symbol].contract.symbol, side),
            trigger_price=price,
            trigger_by=TRIGGERED_BY.get(row.trigger_by, row.trigger_by),
            quantity=row.qty or None,
        )
        for row, price in stops
        if row.symbol in markets and (side := _closes(row)) is not None
    )


def _closes(row: _Stop) -> Side | None:
    """Return the side of the position that an order closes against it; None when it does not."""
    side = Side.LONG if row.side == "Sell" else Side.SHORT
    if row.stop_order_type == TRAILING:
        return side  # It is of the position. Its direction is that of its beginning.
    against = row.trigger_direction in {0, 2 if side is Side.LONG else 1}
    if row.stop_order_type == "Stop" and (row.trigger_direction == 0 or not (row.reduce_only or row.close_on_trigger)):
        return None  # It may open a position as well.
    return side if against else None


def read_ending(rows: Iterable[object], key: PositionKey, market: Market) -> PositionEnding:
    """Return how a position ended by the fills that closed it. Raises VenueUnavailable.

    In hedge mode fills of both legs stand there: `closedSize` tells closing from opening.
    """
    closing = "Sell" if key.side is Side.LONG else "Buy"
    try:
        fills = [read_row(_Fill, raw) for raw in rows]
        closed = sorted(
            (f for f in fills if f.symbol == market.market_id and f.side == closing and _closed(f)),
            key=lambda fill: fill.exec_time,
        )
    except RowError as error:
        raise VenueUnavailable(f"fills of {key}: {error}") from None
    if not closed:
        return PositionEnding(kind=EndKind.UNKNOWN, evidence="no fill that closed it is in the records")
    last = closed[-1]
    kind = EndKind.CLOSED
    if any(fill.exec_type == "BustTrade" or fill.create_type in BUSTED for fill in closed):
        kind = EndKind.LIQUIDATED
    elif last.exec_type == "AdlTrade":
        kind = EndKind.DELEVERAGED
    count = f"{len(closed)} fill{'s' if len(closed) > 1 else ''}"
    evidence = f"{count} until {last.exec_time:%H:%M:%S} UTC, the last ({last.exec_type}) at {last.exec_price:f}"
    return PositionEnding(kind=kind, evidence=evidence, at=last.exec_time, price=last.exec_price)


class _Closed(Row):
    size: NotNegative


def _closed(fill: _Fill) -> bool:
    if fill.exec_type == "Funding":
        return False
    if fill.exec_type in {"BustTrade", "AdlTrade"}:
        return True
    return fill.closed_size != "" and read_row(_Closed, {"size": fill.closed_size}).size > 0


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("not a time")  # noqa: TRY004  # pydantic takes ValueError for a finding.
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


class _Key(Row):
    """GET /v5/user/query-api."""

    read_only: Flag
    permissions: dict[str, list[str]]
    ips: list[str]
    expired_at: Annotated[datetime, BeforeValidator(_moment)]  # Only keys that are bound to no address have an end.


def read_scopes(result: Mapping[str, Any]) -> KeyScopes:
    """Return what the key may do. Raises VenueUnavailable when a field that matters cannot be read."""
    try:
        row = read_row(_Key, result)
    except RowError as error:
        raise VenueUnavailable(f"query-api: {error}") from None
    scopes = tuple(f"{group}.{name}" for group, names in row.permissions.items() for name in names)
    bound = bool(row.ips) and "*" not in row.ips
    expires_at = row.expired_at if row.expired_at > NEVER else None
    may_pay = bool(row.permissions.get("Wallet")) or any(row.permissions.get(group) for group in PAYING)
    if may_pay and not row.read_only:  # One that is read-only may look at wallets, whatever it lists.
        verdict, text = KeyVerdict.TOO_POWERFUL, "the key may withdraw, transfer or pay: make one that may not"
    elif row.read_only or not _may_add_margin(row):
        verdict, text = KeyVerdict.READ_ONLY, "the key may look but not add margin: that needs contract positions"
    else:
        verdict, text = KeyVerdict.SAFE, "the key may trade contracts and can neither withdraw nor transfer"
    return KeyScopes(verdict=verdict, scopes=scopes, ip_restricted=bound, text=text, expires_at=expires_at)


def _may_add_margin(row: _Key) -> bool:
    return "Position" in row.permissions.get("ContractTrade", []) or bool(row.permissions.get("Derivatives"))


class _Fee(Row):
    """GET /v5/account/fee-rate."""

    symbol: Word
    taker_fee_rate: NotNegative


def read_fees(rows: Iterable[object]) -> Mapping[str, Decimal]:
    """Return the taker rate of each symbol. Raises VenueUnavailable."""
    try:
        return {row.symbol: row.taker_fee_rate for row in (read_row(_Fee, raw) for raw in rows)}
    except RowError as error:
        raise VenueUnavailable(f"fee-rate: {error}") from None
