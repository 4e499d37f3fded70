"""What Gate says of an account's perpetual positions, row by row.

A row that cannot be read is a Gap and the others stay. A row's value is held against its size, contract and mark.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict

from guard.margin import contract_value
from guard.snapshot import (
    Contract,
    ContractKind,
    Gap,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Position,
    PositionKey,
    Side,
)
from guard.venues.rows import (
    LISTED_TWICE,
    NotNegative,
    Number,
    Positive,
    Row,
    RowError,
    Word,
    by_nearness,
    read_row,
    shown,
)

TOLERANCE = Decimal("0.01")  # Of a figure that is stated twice: each is rounded.
CLOCK_TOLERANCE = timedelta(minutes=1)  # A clock that is off by more has its requests refused.
SIDES: Mapping[str, Side] = {"dual_long": Side.LONG, "dual_short": Side.SHORT}
INVERSE_SIZE = Decimal(1)  # One dollar; the exchange states 0 as the multiplier of such a contract.


class GateRow(Row):
    """A row whose names are written with underscores, as ours are."""

    model_config = ConfigDict(alias_generator=None)


class _Seconds(GateRow):
    seconds: Positive


def read_moment(value: object) -> datetime:
    """Return a moment from seconds since 1970, whole or not. Raises RowError."""
    seconds = read_row(_Seconds, {"seconds": value}).seconds
    if seconds >= Decimal("1E+11"):
        raise RowError(f"time is {value!r}")
    return datetime.fromtimestamp(float(seconds), UTC)


def _moment(value: object) -> datetime:
    try:
        return read_moment(value)
    except RowError as error:
        raise ValueError(str(error)) from None


Moment = Annotated[datetime, BeforeValidator(_moment)]  # From seconds since 1970, aware UTC.


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A contract as Gate lists it."""

    contract: Contract
    settle: str  # usdt, btc.
    market_id: str
    taker_rate: Decimal  # The standard one: whatever a user pays, the trigger counts it.


Markets = Mapping[tuple[str, str], Market]  # By settle and Gate's symbol.


class _Listing(GateRow):
    """GET /futures/{settle}/contracts."""

    name: Word
    type: Literal["direct", "inverse"]
    quanto_multiplier: NotNegative
    taker_fee_rate: NotNegative


def read_market(market: Mapping[str, Any]) -> Market | None:
    """Return a contract; None for one that is neither linear nor inverse (quanto) or cannot be read."""
    try:
        row = read_row(_Listing, market["info"])
    except RowError:
        return None
    inverse = row.type == "inverse"
    expected = market["base"] if inverse else market["quote"]
    size = INVERSE_SIZE if inverse and row.quanto_multiplier == 0 else row.quanto_multiplier
    if market["settle"] != expected or size == 0:
        return None
    return Market(
        contract=Contract(
            symbol=market["symbol"],
            kind=ContractKind.INVERSE if inverse else ContractKind.LINEAR,
            base=market["base"],
            settle=market["settle"],
            contract_size=size,
        ),
        settle=market["settle"].lower(),
        market_id=row.name,
        taker_rate=row.taker_fee_rate,
    )


class _Size(GateRow):
    """What tells whether a row is a position at all: closed ones are listed too."""

    contract: Word
    size: Number


class _Listed(_Size):
    """What is needed of a row of GET /futures/{settle}/positions."""

    mode: Literal["single", "dual_long", "dual_short"]
    leverage: NotNegative  # 0: cross.
    entry_price: Positive
    mark_price: Positive
    margin: Number  # Without unrealized PnL, the fee to close included.
    value: Number  # At the mark.
    pos_margin_mode: Literal["isolated", "cross"] | None = None  # Came in 2026; where it stands it must fit.
    lever: object = None  # The leverage of a cross position.
    liq_price: object = None  # These may be missing: then they are unknown, and the position stays seen.
    maintenance_margin: object = None
    update_time: object = None


def read_positions(
    rows: Iterable[object], markets: Markets, settle: str, *, shared: bool, now: datetime
) -> tuple[tuple[Position, ...], tuple[Gap, ...]]:
    """Return the open positions of one settle currency, and a Gap for every row that cannot be read.

    `shared`: a unified account, where several currencies stand behind a position. `now` is the exchange's clock.
    """
    found: dict[PositionKey, Position] = {}
    gaps: list[Gap] = []
    for raw in open_rows(rows):
        try:
            position = _position(read_row(_Listed, raw), markets, settle, shared=shared, now=now)
        except RowError as error:
            gaps.append(_gap(raw, str(error), markets, settle))
            continue
        key = position.key
        if key in found:
            gaps.append(Gap(subject=str(key), reason=LISTED_TWICE, key=key, may_be_cross=True))
        found[key] = min(found.get(key, position), position, key=by_nearness)
    return tuple(found.values()), tuple(gaps)


def open_rows(rows: Iterable[object]) -> list[object]:
    """Return the rows that are positions, or may be."""
    return [raw for raw in rows if not _is_flat(raw)]


def _is_flat(raw: object) -> bool:
    try:
        return read_row(_Size, raw).size == 0
    except RowError:
        return False


def _position(row: _Listed, markets: Markets, settle: str, *, shared: bool, now: datetime) -> Position:
    market = markets.get((settle, row.contract))
    if market is None:
        raise RowError(f"contract {row.contract!r} is not among the linear and inverse ones")
    side = Side.LONG if row.size > 0 else Side.SHORT
    if SIDES.get(row.mode, side) is not side:
        raise RowError(f"mode is {row.mode} and size is {row.size}")
    is_cross = row.leverage == 0
    if row.pos_margin_mode is not None and (row.pos_margin_mode == "cross") is not is_cross:
        raise RowError(f"pos_margin_mode is {row.pos_margin_mode} and leverage is {row.leverage}")
    quantity = abs(row.size)
    expected = contract_value(market.contract, quantity, row.mark_price)
    if abs(abs(row.value) - expected) > TOLERANCE * expected:
        raise RowError(f"value is {row.value}, size and mark make {expected:f}")
    return Position(
        contract=market.contract,
        side=side,
        margin_mode=MarginMode.CROSS if is_cross else MarginMode.ISOLATED,
        quantity=quantity,
        entry_price=row.entry_price,
        mark_price=row.mark_price,
        isolated_wallet=None if is_cross else row.margin,
        leverage=_positive(row.lever) if is_cross else row.leverage,
        hedged=row.mode != "single",
        auto_add_margin=None,  # The exchange states no such switch.
        exchange_liquidation=_liquidation(row.liq_price, shared=shared),
        exchange_maintenance_margin=_positive(row.maintenance_margin),  # "0" was stated for what had one.
        updated_at=_update_time(row.update_time, now),
    )


class _Figure(GateRow):
    figure: Positive


def _positive(raw: object) -> Decimal | None:
    try:
        return read_row(_Figure, {"figure": raw}).figure
    except RowError:
        return None


def _update_time(raw: object, now: datetime) -> datetime | None:
    """Return when a row was changed last. One that is yet to come is none: every true one after it would look old."""
    try:
        moment = read_moment(raw)
    except RowError:
        return None
    return moment if moment <= now + CLOCK_TOLERANCE else None


def _liquidation(raw: object, *, shared: bool) -> Liquidation:
    """Return the exchange's own answer. 0 is none at any price; in a unified account it may be no answer at all."""
    price = _positive(raw)
    if price is not None:
        return Liquidation(kind=LiquidationKind.AT, price=price)
    is_zero = not shared and raw in {"0", 0} and not isinstance(raw, bool) if isinstance(raw, str | int) else False
    return Liquidation(kind=LiquidationKind.NONE if is_zero else LiquidationKind.UNKNOWN)


def _gap(raw: object, reason: str, markets: Markets, settle: str) -> Gap:
    """Return a Gap that names its position when contract and side can be told from what is left of the row."""
    fields = raw if isinstance(raw, dict) else {}
    market = markets.get((settle, str(fields.get("contract"))))
    side = SIDES.get(str(fields.get("mode"))) or _side_of(raw)
    if market is None or side is None:
        return Gap(subject=f"position row {shown(fields.get('contract'))}", reason=reason, may_be_cross=True)
    key = PositionKey(market.contract.symbol, side)
    return Gap(subject=str(key), reason=reason, key=key, may_be_cross=True)


def _side_of(raw: object) -> Side | None:
    try:
        size = read_row(_Size, raw).size
    except RowError:
        return None
    return Side.LONG if size > 0 else Side.SHORT
