"""What Bitget says of a unified account (UTA, v3): its level, its positions, its assets, its own ratio.

Sources: docs UTA "Get Account Setting", "Get Position Info", "Get Account Assets", "Get Discount Rate" and
"Introduction" (copies of 2025-12 and 2026-07), help page 12560603884121 (2026-05), recorded rows of 2025-06 and 2025-09
(cross ones).
- Positions name their side and mode with other words than in classic accounts, and have a rate `mmr` where those have
  `marginRatio` (ccxt issue 26838). Whether Bitget adds margin by itself is not told.
- `positionBalance` of an isolated row is "the isolated margin amount for this position" (docs, 2026-07); of a recorded
  cross row it is the initial margin at the mark and 0.06 % to close. No recorded isolated row is at hand. So it is
  believed of a row only where it is the margin that Bitget's own liquidation price of that row asks for.
- Equity, balance and maintenance margin are those of "the cross margin account": isolated positions are beside them.
- The level says what backs the cross positions: there are none (`isolated`), the dollar coins together (`basic`), all
  assets at their collateral ratios (`advanced`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from guard.errors import VenueUnavailable
from guard.margin import (
    RuleBook,
    TierTable,
    contract_value,
    isolated_pool,
    leg_of,
    margin_balance,
    pool_requirement,
)
from guard.snapshot import Gap, Liquidation, LiquidationKind, MarginMode, Position, PositionKey, Side, Wallet
from guard.venues.bitget_account import NOT_MODELLED, PNL_TOLERANCE, TOLERANCE, gap_of
from guard.venues.bitget_wire import COIN, PRODUCT_OF_SETTLE, Market, data_of, maybe
from guard.venues.haircut_rows import Names
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
    listed_once,
    read_row,
    shown,
)

COARSEST = Decimal("0.01")  # Of a price: no contract is priced in larger steps.
HAIRCUTS = Names(asset="coin", steps="list", floor="tierStartValue", share="discountRate")  # Floors in dollars.
ISOLATED, BASIC, ADVANCED, DELTA = "isolated", "basic", "advanced", "delta"  # accountLevel.


class Settings(Row):
    """The part of GET /api/v3/account/settings that tells what the account is."""

    account_mode: Word  # unified, hybrid, upgrading, switching.
    account_level: object = None  # Missing until 2026.

    @property
    def level(self) -> str:
        """What the account is as a unified one, in Bitget's words; "?" where it does not say."""
        return shown(self.account_level, 16) if self.account_mode == "unified" else self.account_mode


def shares_collateral(level: str | None) -> bool:
    """Say whether all assets back cross positions, each by its collateral ratio; yes where the level is not known."""
    return level not in {ISOLATED, BASIC}


def watch_only(level: str | None, owed: Iterable[str]) -> str | None:
    """Return why no margin is added in a unified account of this level, for people. None: it can be.

    `owed`: the assets that it owes, by their names.
    """
    if level == DELTA:
        return "the unified account is in delta neutral mode, which has rules of its own: it is watched"
    if level not in {ISOLATED, BASIC, ADVANCED}:
        return f"the mode of the unified account is {level or '?'}, which is not known here: it is watched"
    debts = ", ".join(sorted(owed))
    if debts:
        return f"the account owes {debts}: what loans need of it is not modelled, and they come first"
    return None


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
    locked: object = None  # By orders; not told in every copy.


def read_positions(
    rows: Iterable[object], markets: Mapping[str, Market], product: str
) -> tuple[tuple[Position, ...], tuple[Gap, ...]]:
    """Return the open positions of a product, and a Gap for every row that cannot be read.

    The margin of an isolated one is what its row says, which is to be held against its price: see `confirmed`.
    """
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
        key = position.key
        if key in positions:
            gaps.append(Gap(subject=str(key), reason=LISTED_TWICE, key=key, may_be_cross=True))
        positions[key] = min(positions.get(key, position), position, key=by_nearness)
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
    """Zero or less: "liquidation will not occur" (docs, 2025-10).

    Of an isolated position that is only believed of a long that has paid for itself in full.
    """
    try:
        price = maybe(row.liquidation_price)
    except RowError:
        price = None
    if price is None:
        return Liquidation(kind=LiquidationKind.UNKNOWN)
    if price > 0:
        return Liquidation(kind=LiquidationKind.AT, price=price)
    is_paid = row.pos_side == "long" and row.position_balance >= row.total * row.avg_price
    believed = row.margin_mode == "crossed" or is_paid
    return Liquidation(kind=LiquidationKind.NONE if believed else LiquidationKind.UNKNOWN)


def confirmed(
    positions: Iterable[Position], tables: Mapping[str, TierTable], rules: RuleBook
) -> tuple[tuple[Position, ...], tuple[Gap, ...]]:
    """Return the positions, the isolated ones with their margin where their own price confirms it.

    Where it does not, the margin is not known, and a Gap named like the position says why.
    """
    found: list[Position] = []
    gaps: list[Gap] = []
    for position in positions:
        reason = doubt(position, tables.get(position.contract.symbol), rules)
        if reason is not None:
            gaps.append(Gap(subject=str(position.key), reason=reason))
        found.append(position if reason is None else replace(position, isolated_wallet=None))
    return tuple(found), tuple(gaps)


def doubt(position: Position, table: TierTable | None, rules: RuleBook, *, within: Decimal | None = None) -> str | None:
    """Return why the margin of an isolated row is not known, for people. None: it is, or the position is a cross one.

    It is the margin with which our model ends where Bitget says, to 1 % and what the last digit of the price is worth,
    which is no more than 1 % of the price.
    `within`: to no more than that, in the settle currency.
    """
    said, price = position.isolated_wallet, position.exchange_liquidation.price
    if said is None:
        return None
    if position.exchange_liquidation.kind is LiquidationKind.NONE:
        return None  # It has paid for itself in full.
    if table is None:
        return "its margin is not confirmed: without its tiers the liquidation price of its row tells nothing"
    if price is None:
        return "its margin is not confirmed: its row states no liquidation price"
    meant = _margin_for(position, price, table, rules)
    exponent = price.as_tuple().exponent
    assert isinstance(exponent, int), "it is finite: it was read as a number"
    # Zeros at the end may be left out: "0.9" of a coin of a dollar says more than its last digit.
    last = min(Decimal(1).scaleb(exponent), COARSEST * price)
    digit = contract_value(position.contract, position.quantity, last)
    slack = TOLERANCE * max(meant, Decimal(0)) + digit
    if abs(said - meant) <= (slack if within is None else min(slack, within)):
        return None
    return f"its margin is not confirmed: its row says {said:f}, its liquidation price {price:f} asks for {meant:.8f}"


def _margin_for(position: Position, price: Decimal, table: TierTable, rules: RuleBook) -> Decimal:
    """Return the margin without PnL with which the position is liquidated at a price, in the settle currency."""
    leg = leg_of(position, table, rules.of(position.contract.symbol, MarginMode.ISOLATED))
    there = {position.contract.base: price / position.mark_price}
    bare = isolated_pool(leg, Decimal(0))
    return pool_requirement(bare, there) - margin_balance(bare, there)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """What GET /api/v3/account/assets says."""

    wallets: tuple[Wallet, ...]
    ratio: Decimal  # The account's own: 1 at liquidation.
    required: Decimal  # Maintenance margin of cross positions and loans, in dollars.
    owed: tuple[str, ...]  # Assets of which there is a debt.
    gaps: tuple[Gap, ...]


def read_assets(answer: object, level: str | None = None) -> Assets:
    """Return the wallets, the account's own ratio, and what cannot be read.

    The ratio is maintenance margin by effective equity: the larger of what is stated and of what its parts make. Where
    nothing but isolated positions is traded, coins that none settles in are no wallets. Raises VenueUnavailable:
    without the totals there is no account.
    """
    try:
        totals = read_row(_Totals, data_of(answer, "account assets"))
    except RowError as error:
        raise VenueUnavailable(f"account assets: {error}") from None
    wallets: list[Wallet] = []
    owed: list[str] = []
    gaps: list[Gap] = []
    for raw in totals.assets:
        try:
            row = read_row(_Asset, raw)
            wallet = _wallet(row)
        except RowError as error:
            name = shown(raw.get("coin"), 16) if isinstance(raw, dict) else "?"
            gaps.append(Gap(subject=f"wallet {name}", reason=str(error)))
            continue
        owed += [row.coin] * (row.debt > 0)
        if level != ISOLATED or row.coin in PRODUCT_OF_SETTLE:
            wallets.append(wallet)
    wallets, twice = listed_once(wallets, gaps)
    made = totals.mmr / totals.eff_equity if totals.eff_equity > 0 else Decimal(0)
    ratio = max(totals.mgn_ratio, made)
    return Assets(wallets=tuple(wallets), ratio=ratio, required=totals.mmr, owed=tuple(owed), gaps=(*gaps, *twice))


def missing_cross(positions: Iterable[Position], assets: Assets) -> tuple[Gap, ...]:
    """Return a Gap where no cross position is listed, and the account needs maintenance margin for one all the same.

    Loans need it too: where something is owed it proves nothing.
    """
    if assets.required == 0 or assets.owed or any(one.margin_mode is MarginMode.CROSS for one in positions):
        return ()
    reason = f"none in cross margin is listed, but the account needs {assets.required:f} USD of maintenance margin"
    return (Gap(subject="positions", reason=reason, may_be_cross=True),)


def _wallet(row: _Asset) -> Wallet:
    """Return an asset as a wallet. Equity is its balance, what is locked, and the PnL of cross positions.

    Raises RowError.
    """
    balance = row.balance - row.debt
    return Wallet(
        currency=row.coin,
        cross_wallet_balance=balance,
        cross_unrealized_pnl=row.equity - balance - (maybe(row.locked) or 0),
        available=max(Decimal(0), min(row.available, balance)),
    )
