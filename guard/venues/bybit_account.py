"""What Bybit says of a unified account's positions, row by row, and of the mode that the account is in.

A row that cannot be read is a Gap and the others stay. A row's unrealized PnL is held against its size and prices, and
what it holds against what its wallet says (guard.venues.bybit_wallet).
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from guard.margin import contract_value
from guard.snapshot import (
    AssetMode,
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
    Moment,
    NotATruth,
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

TOLERANCE = Decimal("0.01")  # Of a figure that is stated twice: two requests lie between, and each is rounded.
# Above the taker fee of every fee group (docs, 2026-07): a reserve taken for larger leaves less margin to us.
TAKER_RATE_UNKNOWN = Decimal("0.001")


def _choice(value: object) -> object:
    """Return a small whole number that may have come as text; anything else as it is, to be refused."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 1 else value


Index = Annotated[Literal[0, 1, 2], BeforeValidator(_choice), NotATruth]
Flag = Annotated[Literal[0, 1], BeforeValidator(_choice), NotATruth]
MODES: Mapping[str, str] = {
    "ISOLATED_MARGIN": "isolated margin mode",
    "REGULAR_MARGIN": "cross margin mode",
    "PORTFOLIO_MARGIN": "portfolio margin mode",
}


class _Size(Row):
    """What tells whether a row is a position at all. With a symbol asked for, there is a row without one."""

    symbol: Word
    size: NotNegative


class _Listed(_Size):
    """What a row of GET /v5/position/list holds in every account mode."""

    side: Literal["Buy", "Sell"]
    position_idx: Index  # 0: one-way. 1, 2: the long and the short of a hedge.
    avg_price: Positive
    mark_price: Positive
    unrealised_pnl: Number
    auto_add_margin: Flag
    position_status: Word  # Normal, Liq, Adl.
    updated_time: Moment
    liq_price: object = None  # The one that may be missing: then it is unknown, and the position stays seen.
    session_avg_price: object = None  # USDC contracts: the price at which profit was last paid out. Others: "".


class _Cross(_Listed):
    leverage: Positive
    position_mm: NotNegative = Field(alias="positionMM")  # At the mark, with the reserve for the fee to close.
    # Held against what the wallet says; nothing else rests on it.
    initial_margin: object = Field(validation_alias=AliasChoices("positionIM"), default=None)


class _Isolated(_Cross):
    position_im: Positive = Field(alias="positionIM")  # What is in it, added margin and the same reserve included.


_ROWS: Mapping[str, type[_Listed]] = {"ISOLATED_MARGIN": _Isolated, "REGULAR_MARGIN": _Cross}


class AccountInfo(Row):
    """GET /v5/account/info."""

    margin_mode: Literal["ISOLATED_MARGIN", "REGULAR_MARGIN", "PORTFOLIO_MARGIN"]
    unified_margin_status: Annotated[
        Literal[1, 3, 4, 5, 6], NotATruth
    ]  # 1: classic. 3, 4: unified 1.0. 5, 6: unified 2.0.


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A contract as Bybit lists it."""

    contract: Contract
    category: str  # linear, inverse.
    market_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What must be known to read a row. Markets and taker fees are by Bybit's symbol."""

    markets: Mapping[str, Market]
    info: AccountInfo
    taker_rates: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def asset_mode(self) -> AssetMode:
        return AssetMode.SINGLE if self.is_isolated else AssetMode.MULTI

    @property
    def is_isolated(self) -> bool:
        return self.info.margin_mode == "ISOLATED_MARGIN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A position, and what the row itself says that is in it. None: portfolio margin, or it does not say."""

    position: Position
    initial_margin: Decimal | None


def open_rows(rows: Iterable[object]) -> list[object]:
    """Return the rows that are positions, or may be."""
    return [raw for raw in rows if not _is_flat(raw)]


def _is_flat(raw: object) -> bool:
    try:
        return read_row(_Size, raw).size == 0
    except RowError:
        return False


def read_positions(rows: Iterable[object], terms: Terms) -> tuple[tuple[Held, ...], tuple[Gap, ...]]:
    """Return the open positions, and a Gap for every row that cannot be read."""
    found: dict[PositionKey, Held] = {}
    gaps: list[Gap] = []
    for raw in open_rows(rows):
        try:
            held = _held(read_row(_ROWS.get(terms.info.margin_mode, _Listed), raw), terms)
        except RowError as error:
            gaps.append(_gap(raw, str(error), terms))
            continue
        key = held.position.key
        if key in found:
            gaps.append(Gap(subject=str(key), reason=LISTED_TWICE, key=key, may_be_cross=not terms.is_isolated))
        found[key] = min(found.get(key, held), held, key=lambda one: by_nearness(one.position))
    return tuple(found.values()), tuple(gaps)


def _held(row: _Listed, terms: Terms) -> Held:
    market = terms.markets.get(row.symbol)
    if market is None:
        raise RowError(f"symbol {row.symbol!r} is not among the markets")
    if market.category == "inverse" and terms.info.unified_margin_status < 5:
        raise RowError("a unified account 1.0 keeps inverse contracts in another wallet: upgrade it to 2.0")
    side = Side.LONG if row.side == "Buy" else Side.SHORT
    if row.position_idx not in {0, 1 if side is Side.LONG else 2}:
        raise RowError(f"positionIdx is {row.position_idx} and side is {row.side}")
    entry = _entry(row, market.contract, side)
    rate = terms.taker_rates.get(row.symbol, TAKER_RATE_UNKNOWN)
    reserve = _reserve(row, market.contract, side, rate)
    wallet = row.position_im - reserve if isinstance(row, _Isolated) else None
    position = Position(
        contract=market.contract,
        side=side,
        margin_mode=MarginMode.CROSS if wallet is None else MarginMode.ISOLATED,
        quantity=row.size,
        entry_price=entry,
        mark_price=row.mark_price,
        isolated_wallet=wallet,
        leverage=row.leverage if isinstance(row, _Cross) else None,
        hedged=row.position_idx != 0,
        auto_add_margin=bool(row.auto_add_margin),
        exchange_liquidation=_liquidation(row, terms),
        exchange_maintenance_margin=max(Decimal(0), row.position_mm - reserve) if isinstance(row, _Cross) else None,
        updated_at=row.updated_time,
    )
    return Held(position=position, initial_margin=_initial_margin(row))


def _initial_margin(row: _Listed) -> Decimal | None:
    try:
        return read_row(_Figure, {"figure": row.initial_margin}).figure if isinstance(row, _Cross) else None
    except RowError:
        return None


def _entry(row: _Listed, contract: Contract, side: Side) -> Decimal:
    """Return the price from which the stated unrealized PnL counts. Raises RowError when it fits none.

    USDC contracts pay profit and loss out three times a day, and count anew from the price of that moment.
    """
    candidates = [row.avg_price]
    with suppress(RowError):
        candidates.append(read_row(_Price, {"price": row.session_avg_price}).price)
    notional = contract_value(contract, row.size, row.mark_price)
    miss, entry = min(
        (abs(_profit(contract, side, row.size, price, row.mark_price) - row.unrealised_pnl), index)
        for index, price in enumerate(candidates)
    )
    if miss > TOLERANCE * notional:
        expected = _profit(contract, side, row.size, row.avg_price, row.mark_price)
        raise RowError(f"unrealisedPnl is {row.unrealised_pnl}, size and prices make {expected:f}")
    return candidates[entry]


def _profit(contract: Contract, side: Side, size: Decimal, entry: Decimal, mark: Decimal) -> Decimal:
    then, now = contract_value(contract, size, entry), contract_value(contract, size, mark)
    return (now - then) * _toward(contract, side)


def _toward(contract: Contract, side: Side) -> int:
    """Return 1 where margin makes the value at bankruptcy smaller than at entry, -1 where it makes it larger."""
    return int(side) if contract.kind is ContractKind.LINEAR else -int(side)


def _reserve(row: _Listed, contract: Contract, side: Side, rate: Decimal) -> Decimal:
    """Return what initial and maintenance margin hold alike for the fee to close at the leverage's bankruptcy price.

    Added margin stands in full beside it; the published liquidation price counts it as amount / (1 -+ taker rate), so
    ours is up to that share of what was added beside it. Source: help pages "The New Margin Calculation" (2025-09-18)
    and "Liquidation Price Calculation under Isolated Mode" (2026-05-27).
    """
    if not isinstance(row, _Cross):
        return Decimal(0)
    value = contract_value(contract, row.size, row.avg_price)
    return value * (1 - _toward(contract, side) / row.leverage) * rate


class _Price(Row):
    price: Positive


class _Figure(Row):
    figure: NotNegative


def _liquidation(row: _Listed, terms: Terms) -> Liquidation:
    """Return the exchange's own answer: "" is none within the prices it allows; portfolio margin has no such price."""
    if row.position_status == "Liq":
        return Liquidation(kind=LiquidationKind.PAST)  # It is being sold now.
    if terms.info.margin_mode == "PORTFOLIO_MARGIN":
        return Liquidation(kind=LiquidationKind.UNKNOWN)
    if row.liq_price in ("", "0"):
        return Liquidation(kind=LiquidationKind.NONE)
    try:
        return Liquidation(kind=LiquidationKind.AT, price=read_row(_Price, {"price": row.liq_price}).price)
    except RowError:
        return Liquidation(kind=LiquidationKind.UNKNOWN)


def _gap(raw: object, reason: str, terms: Terms) -> Gap:
    """Return a Gap that names its position when symbol and side can be told from what is left of the row."""
    fields = raw if isinstance(raw, dict) else {}
    market = terms.markets.get(str(fields.get("symbol")))
    side = {"Buy": Side.LONG, "Sell": Side.SHORT}.get(str(fields.get("side")))
    if market is None or side is None:
        return Gap(subject=f"position row {shown(fields.get('symbol'))}", reason=reason, may_be_cross=True)
    key = PositionKey(market.contract.symbol, side)
    return Gap(subject=str(key), reason=reason, key=key, may_be_cross=not terms.is_isolated)
