"""What Bitget says of a classic account, row by row: positions and wallets of one product each.

`marginSize` is the margin without unrealized PnL: the documented isolated row (docs "Get All Positions", 2025-10) meets
the published formula to 17 digits in its `liquidationPrice`, and in its `marginRatio` with 0.06 % to close counted in
the requirement. A row that cannot be read is a Gap and the others stay.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from guard.snapshot import Gap, Liquidation, LiquidationKind, MarginMode, Position, PositionKey, Side, Wallet
from guard.venues.bitget_wire import COIN, Market, maybe
from guard.venues.rows import (
    LISTED_TWICE,
    Moment,
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

TOLERANCE = Decimal("0.01")  # Two requests, and funding may fall between them: more than that is a conflict.
PNL_TOLERANCE = Decimal("0.01")  # Of the notional.
NOT_MODELLED = (
    "a position with coin margin: Bitget counts it in coins and converts its margin at an index price, which is not "
    "modelled here"
)


class _Size(Row):
    """What tells whether a row is a position at all."""

    total: NotNegative


class PositionRow(Row):
    """One row of GET /api/v2/mix/position/all-position."""

    symbol: Word
    margin_coin: Word
    hold_side: Literal["long", "short"]
    margin_size: NotNegative
    total: Positive
    leverage: Positive
    open_price_avg: Positive
    margin_mode: Literal["isolated", "crossed"]
    pos_mode: Literal["one_way_mode", "hedge_mode"]
    unrealized_pl: Number = Field(alias="unrealizedPL")
    liquidation_price: object
    mark_price: Positive
    margin_ratio: object = None
    auto_margin: object = None
    c_time: Moment
    u_time: object = None


class AccountRow(Row):
    """One row of GET /api/v2/mix/account/accounts. What may be missing was not told in 2023."""

    margin_coin: Word
    available: Number
    isolated_max_available: Number
    account_equity: Number
    locked: object = None
    unrealized_pl: object = Field(alias="unrealizedPL", default=None)
    crossed_unrealized_pl: object = Field(alias="crossedUnrealizedPL", default=None)
    crossed_margin: object = None
    isolated_margin: object = None
    crossed_risk_rate: object = None
    asset_mode: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A position, and since when it is there."""

    position: Position
    opened_at: datetime


def read_positions(
    rows: Iterable[object], markets: Mapping[str, Market], product: str
) -> tuple[tuple[Held, ...], tuple[Gap, ...]]:
    """Return the open positions of a product, and a Gap for every row that cannot be read or contradicts itself."""
    held: dict[PositionKey, Held] = {}
    gaps: list[Gap] = []
    for raw in rows:
        try:
            if read_row(_Size, raw).total == 0:
                continue  # Closed a moment ago.
            if product == COIN:
                gaps.append(_of_coin(raw))
                continue
            one = _held(read_row(PositionRow, raw), markets, product)
        except RowError as error:
            gaps.append(gap_of(raw, str(error), markets, side_word="holdSide"))
            continue
        key = one.position.key
        if key in held:
            gaps.append(Gap(subject=str(key), reason=LISTED_TWICE, key=key, may_be_cross=True))
        held[key] = min(held.get(key, one), one, key=lambda each: by_nearness(each.position))
    return tuple(held.values()), tuple(gaps)


def _held(row: PositionRow, markets: Mapping[str, Market], product: str) -> Held:
    market = markets.get(row.symbol)
    if market is None or market.product != product:
        raise RowError(f"symbol {row.symbol!r} is not among the markets of {product}")
    side = Side.LONG if row.hold_side == "long" else Side.SHORT
    isolated = row.margin_mode == "isolated"
    _check(row, side, market)
    equity = row.margin_size + row.unrealized_pl
    ratio = maybe(row.margin_ratio)
    position = Position(
        contract=market.contract,
        side=side,
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        quantity=row.total,
        entry_price=row.open_price_avg,
        mark_price=row.mark_price,
        isolated_wallet=row.margin_size if isolated else None,
        leverage=row.leverage,
        hedged=row.pos_mode == "hedge_mode",
        auto_add_margin={"on": True, "off": False}.get(str(row.auto_margin)),
        exchange_liquidation=_liquidation(row, side),
        exchange_maintenance_margin=ratio * equity if isolated and ratio and equity > 0 else None,
        updated_at=_moment(row.u_time),
    )
    return Held(position=position, opened_at=row.c_time)


def _check(row: PositionRow, side: Side, market: Market) -> None:
    """Raise RowError when the row's own figures contradict each other or the contract."""
    if row.margin_coin != market.contract.settle:
        raise RowError(f"marginCoin is {shown(row.margin_coin, 16)}, the market settles in {market.contract.settle}")
    pnl = side * row.total * (row.mark_price - row.open_price_avg)
    if abs(row.unrealized_pl - pnl) > PNL_TOLERANCE * row.total * row.mark_price:
        raise RowError(f"unrealizedPL is {row.unrealized_pl:f}, entry and mark price make {pnl:f}")


def _liquidation(row: PositionRow, side: Side) -> Liquidation:
    """Return the exchange's own answer. Zero or less is "low risk, no price at this time" (docs, 2025-10).

    v1 told zero of every isolated position, so there it is only believed of a long that has paid for itself in full.
    """
    try:
        price = maybe(row.liquidation_price)
    except RowError:
        price = None
    if price is None:
        return Liquidation(kind=LiquidationKind.UNKNOWN)
    if price > 0:
        return Liquidation(kind=LiquidationKind.AT, price=price)
    is_paid = side is Side.LONG and row.margin_size >= row.total * row.open_price_avg
    believed = row.margin_mode == "crossed" or is_paid
    return Liquidation(kind=LiquidationKind.NONE if believed else LiquidationKind.UNKNOWN)


class _Stamp(Row):
    at: Moment


def _moment(raw: object) -> datetime | None:
    with suppress(RowError):
        return read_row(_Stamp, {"at": raw}).at
    return None


def _of_coin(raw: object) -> Gap:
    """Return what is said of a coin-margined position. It leans on its own coin's account and on no other."""
    fields = raw if isinstance(raw, dict) else {}
    name = " ".join(shown(fields.get(one), 16) for one in ("symbol", "holdSide"))
    price = shown(fields.get("liquidationPrice"), 24)
    return Gap(subject=f"position row {name}", reason=f"{NOT_MODELLED}; its liquidation price at Bitget is {price}")


def gap_of(raw: object, reason: str, markets: Mapping[str, Market], *, side_word: str) -> Gap:
    """Return a Gap that names its position when symbol and side can be told from what is left of the row."""
    fields: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
    market = markets.get(str(fields.get("symbol")))
    side = {"long": Side.LONG, "short": Side.SHORT}.get(str(fields.get(side_word)))
    may_be_cross = fields.get("marginMode") != "isolated"
    if market is None or side is None:
        name = f"position row {shown(fields.get('symbol'))}"
        return Gap(subject=name, reason=reason, may_be_cross=True)
    key = PositionKey(market.contract.symbol, side)
    return Gap(subject=str(key), reason=reason, key=key, may_be_cross=may_be_cross)


def read_accounts(rows: Iterable[object]) -> tuple[tuple[AccountRow, ...], tuple[Gap, ...]]:
    accounts: list[AccountRow] = []
    gaps: list[Gap] = []
    for raw in rows:
        try:
            accounts.append(read_row(AccountRow, raw))
        except RowError as error:
            name = shown(raw.get("marginCoin"), 16) if isinstance(raw, dict) else "?"
            gaps.append(Gap(subject=f"wallet {name}", reason=str(error)))
    return tuple(accounts), tuple(gaps)


def read_wallets(
    accounts: Iterable[AccountRow], held: Sequence[Held], unread: Iterable[Gap]
) -> tuple[tuple[Wallet, ...], tuple[Gap, ...]]:
    """Return the wallets that hold something or that a position settles in; a Gap for each that is missing.

    `available` is the balance without PnL and without what isolated positions hold; `isolatedMaxAvailable` is what may
    move into isolated margin (docs example: equity less available is the PnL of the cross positions).
    """
    settles = {one.position.contract.settle for one in held}
    wallets: list[Wallet] = []
    gaps: list[Gap] = []
    for row in accounts:
        if not (row.available or row.account_equity or row.margin_coin in settles):
            continue
        try:
            pnl = maybe(row.crossed_unrealized_pl)
        except RowError as error:
            gaps.append(Gap(subject=f"wallet {row.margin_coin}", reason=f"crossedUnrealizedPL: {error}"))
            continue
        wallets.append(
            Wallet(
                currency=row.margin_coin,
                cross_wallet_balance=row.available,
                cross_unrealized_pnl=_cross_pnl(row.margin_coin, held) if pnl is None else pnl,
                available=max(Decimal(0), row.isolated_max_available),
            )
        )
    known = {wallet.currency for wallet in wallets} | {one.subject.removeprefix("wallet ") for one in (*gaps, *unread)}
    gaps += [Gap(subject=f"wallet {settle}", reason="not listed") for settle in sorted(settles - known)]
    return tuple(wallets), tuple(gaps)


def _cross_pnl(currency: str, held: Iterable[Held]) -> Decimal:
    mine = (one.position for one in held)
    return sum(
        (
            p.side * p.quantity * (p.mark_price - p.entry_price)
            for p in mine
            if p.margin_mode is MarginMode.CROSS and p.contract.settle == currency
        ),
        Decimal(0),
    )


def contradictions(
    accounts: Iterable[AccountRow], held: Sequence[Held], gaps: Sequence[Gap], product: str
) -> tuple[Gap, ...]:
    """Return a Gap where positions are not listed that an account holds margin for, or hold more than it says.

    What orders hold counts in the account's figures too, so only less than the rows is a conflict.
    """
    found: list[Gap] = []
    for row in accounts:
        try:
            isolated, crossed, locked, pnl = (
                maybe(one) for one in (row.isolated_margin, row.crossed_margin, row.locked, row.unrealized_pl)
            )
        except RowError:
            continue  # Not what decides: figures that positions are read from are judged where they are read.
        mine = [one.position for one in held if one.position.contract.settle == row.margin_coin]
        if not mine and not gaps and ((isolated or 0) + (crossed or 0) > (locked or 0) or pnl):
            reason = f"none is listed in {product}, but its {row.margin_coin} account has margin or profit of some"
            found.append(Gap(subject="positions", reason=reason, may_be_cross=True))
        own = [one for one in mine if one.isolated_wallet is not None]
        listed = sum((one.isolated_wallet or Decimal(0) for one in own), Decimal(0))
        pnls = sum((one.side * one.quantity * (one.mark_price - one.entry_price) for one in own), Decimal(0))
        least = min(listed, listed + pnls)
        if isolated is not None and own and not gaps and isolated < least - TOLERANCE * listed:
            told = f"the rows hold {listed:f} {row.margin_coin} of isolated margin, the account says {isolated:f}"
            found += [Gap(subject=str(one.key), reason=told, key=one.key) for one in own]
    return tuple(found)


def union_ratio(accounts: Iterable[AccountRow]) -> tuple[bool, Decimal | None]:
    """Return whether several assets back the account together, and then its own ratio, 1 at liquidation."""
    unions = [row for row in accounts if row.asset_mode == "union"]
    ratios: list[Decimal] = []
    for row in unions:
        with suppress(RowError):
            ratio = maybe(row.crossed_risk_rate)
            ratios += [] if ratio is None else [ratio]
    return bool(unions), max(ratios, default=None)
