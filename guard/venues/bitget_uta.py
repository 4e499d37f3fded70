"""What Bitget says of a unified account (UTA, v3), which is watched: its positions, its assets, its own ratio.

Positions name their side and mode with other words than in classic accounts, and have a rate `mmr` where those have
`marginRatio` (ccxt issues 26838; recorded rows of 2025-06 and 2025-09). `positionBalance` of a recorded cross row is
the initial margin at the mark and 0.06 % to close; of an isolated row no recorded answer is at hand.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

from guard.errors import VenueUnavailable
from guard.snapshot import Gap, Liquidation, LiquidationKind, MarginMode, Position, PositionKey, Side, Wallet
from guard.venues.bitget_account import NOT_MODELLED, PNL_TOLERANCE, gap_of
from guard.venues.bitget_wire import COIN, Market, data_of, maybe
from guard.venues.rows import Moment, NotNegative, Number, Positive, Row, RowError, Word, read_row, shown

WATCHED = (
    "this is a unified account: its positions and its own ratio are watched, but how it books isolated margin is not "
    "confirmed by any answer at hand, so no margin is added"
)


class Settings(Row):
    """The part of GET /api/v3/account/settings that tells what the account is."""

    account_mode: Word  # unified, hybrid, upgrading, switching.


class _Size(Row):
    total: NotNegative


class _Position(Row):
    """One row of GET /api/v3/position/current-position."""

    symbol: Word
    margin_coin: Word
    hold_mode: Literal["one_way_mode", "hedge_mode"]
    pos_side: Literal["long", "short"]
    margin_mode: Literal["crossed", "isolated"]
    position_balance: NotNegative
    total: Positive
    leverage: Positive
    avg_price: Positive
    unrealised_pnl: Number
    liquidation_price: object
    mark_price: Positive
    updated_time: Moment


class _Totals(Row):
    """GET /api/v3/account/assets."""

    eff_equity: Number
    mmr: NotNegative  # An amount in dollars here.
    mgn_ratio: NotNegative
    assets: list[object]


class _Asset(Row):
    coin: Word
    equity: Number
    balance: Number
    available: Number
    debt: NotNegative


def read_positions(
    rows: Iterable[object], markets: Mapping[str, Market], product: str
) -> tuple[tuple[Position, ...], tuple[Gap, ...]]:
    """Return the open positions of a product, and a Gap for every row that cannot be read."""
    positions: dict[PositionKey, Position] = {}
    gaps: list[Gap] = []
    for raw in rows:
        try:
            if read_row(_Size, raw).total == 0:
                continue
            if product == COIN:
                name = shown(raw.get("symbol")) if isinstance(raw, dict) else "?"
                gaps.append(Gap(subject=f"position row {name}", reason=NOT_MODELLED))
                continue
            position = _position(read_row(_Position, raw), markets)
        except RowError as error:
            gaps.append(gap_of(raw, str(error), markets, side_word="posSide"))
            continue
        positions[position.key] = position
    return tuple(positions.values()), tuple(gaps)


def _position(row: _Position, markets: Mapping[str, Market]) -> Position:
    market = markets.get(row.symbol)
    if market is None or row.margin_coin != market.contract.settle:
        raise RowError(f"symbol {row.symbol!r} in {shown(row.margin_coin, 16)} is not among the markets")
    side = Side.LONG if row.pos_side == "long" else Side.SHORT
    pnl = side * row.total * (row.mark_price - row.avg_price)
    if abs(row.unrealised_pnl - pnl) > PNL_TOLERANCE * row.total * row.mark_price:
        raise RowError(f"unrealisedPnl is {row.unrealised_pnl:f}, entry and mark price make {pnl:f}")
    isolated = row.margin_mode == "isolated"
    return Position(
        contract=market.contract,
        side=side,
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        quantity=row.total,
        entry_price=row.avg_price,
        mark_price=row.mark_price,
        isolated_wallet=row.position_balance if isolated else None,
        leverage=row.leverage,
        hedged=row.hold_mode == "hedge_mode",
        auto_add_margin=None,
        exchange_liquidation=_liquidation(row),
        exchange_maintenance_margin=None,
        updated_at=row.updated_time,
    )


def _liquidation(row: _Position) -> Liquidation:
    """Zero or less: "liquidation will not occur" (docs, 2025-10). Of an isolated position that is not believed."""
    try:
        price = maybe(row.liquidation_price)
    except RowError:
        price = None
    if price is not None and price > 0:
        return Liquidation(kind=LiquidationKind.AT, price=price)
    is_none = price is not None and row.margin_mode == "crossed"
    return Liquidation(kind=LiquidationKind.NONE if is_none else LiquidationKind.UNKNOWN)


def read_assets(answer: object) -> tuple[tuple[Wallet, ...], Decimal, tuple[Gap, ...]]:
    """Return the wallets, the account's own ratio (1 at liquidation), and what cannot be read.

    The ratio is maintenance margin by effective equity: the larger of what is stated and of what its parts make.
    Raises VenueUnavailable: without the totals there is no account.
    """
    try:
        totals = read_row(_Totals, data_of(answer, "account assets"))
    except RowError as error:
        raise VenueUnavailable(f"account assets: {error}") from None
    wallets: list[Wallet] = []
    gaps: list[Gap] = []
    for raw in totals.assets:
        try:
            row = read_row(_Asset, raw)
        except RowError as error:
            name = shown(raw.get("coin"), 16) if isinstance(raw, dict) else "?"
            gaps.append(Gap(subject=f"wallet {name}", reason=str(error)))
            continue
        balance = row.balance - row.debt
        wallets.append(
            Wallet(
                currency=row.coin,
                cross_wallet_balance=balance,
                cross_unrealized_pnl=row.equity - balance,
                available=max(Decimal(0), min(row.available, balance)),
            )
        )
    made = totals.mmr / totals.eff_equity if totals.eff_equity > 0 else Decimal(0)
    return tuple(wallets), max(totals.mgn_ratio, made), tuple(gaps)
