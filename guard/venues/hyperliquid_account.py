"""What Hyperliquid says of an account at one dex, row by row: positions and the money behind them.

One answer, `clearinghouseState`, holds positions and wallet of one moment, and states its totals beside its rows: a
list that does not add up to them is a Gap. Nothing is estimated but by exact sums: a position's mark price is its
value over its size, and its margin without unrealized PnL is `rawUsd` + size x entry price, so that our PnL on top of
it makes the exchange's `marginUsed` again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from guard.errors import VenueUnavailable
from guard.snapshot import (
    Contract,
    Gap,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Position,
    PositionKey,
    Purse,
    Side,
    Wallet,
)
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

USDC = "USDC"
USDC_TOKEN = 0  # Of spot balances, and of a dex's collateral.
CENT = Decimal("0.01")
ROUNDING = Decimal("0.00001")  # Of a position's value: prices have five or six digits, and so has the entry price.
PNL_TOLERANCE = Decimal("0.01")  # Of a position's value: more than rounding, less than any wrong field.


class _Leverage(Row):
    type: Literal["isolated", "cross"]
    value: Positive
    raw_usd: Number | None = None  # Isolated only: USDC in the position before its value, negative for a long.


class _Size(Row):
    """What tells whether a row is a position at all."""

    coin: Word
    szi: Number  # Coins; negative is short.


class _Position(_Size):
    """The rest of what we read of a position in POST /info clearinghouseState."""

    leverage: _Leverage
    entry_px: Positive
    position_value: Positive
    unrealized_pnl: Number
    margin_used: Number  # Isolated: with unrealized PnL. Cross: the initial margin.
    liquidation_px: object = "missing"  # The one that may be missing: then it is unknown, and the position stays seen.

    @property
    def value(self) -> Decimal:
        """Return the position's value, negative for a short."""
        return self.position_value.copy_sign(self.szi)

    @property
    def pnl(self) -> Decimal:
        return self.value - self.szi * self.entry_px

    @property
    def isolated_wallet(self) -> Decimal | None:
        """Return the margin without our PnL; None: cross. `rawUsd` plus value is the exchange's `marginUsed`."""
        raw_usd = self.leverage.raw_usd
        return None if raw_usd is None else raw_usd + self.szi * self.entry_px


class _Envelope(Row):
    type: Literal["oneWay"]  # There is no other yet; one that comes later is not read as if it were this.
    position: dict[str, Any]


class Summary(Row):
    """What the exchange counts together itself. Money is the dex's collateral, USDC on the main one."""

    account_value: Number
    total_ntl_pos: NotNegative
    total_raw_usd: Number
    total_margin_used: Number


class AccountState(Row):
    """POST /info clearinghouseState of one dex."""

    margin_summary: Summary  # All positions.
    cross_margin_summary: Summary  # The cross pool alone.
    cross_maintenance_margin_used: NotNegative
    withdrawable: Number
    asset_positions: list[object]
    time: Moment


class SpotState(Row):
    """POST /info spotClearinghouseState."""

    balances: list[object]


class _SpotBalance(Row):
    token: int
    total: Number
    hold: NotNegative


class _PortfolioRatio(Row):
    portfolio_margin_ratio: NotNegative


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What a dex's positions are counted and paid in."""

    token: int  # Its index among the tokens of spot.
    purse: Purse  # The wallet behind it, which dexes share in a unified account.


MAIN = Money(token=USDC_TOKEN, purse=Purse(USDC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one clearinghouseState says. `cross_pnl` None: a cross row could not be read, so no wallet either."""

    money: Money
    positions: tuple[Position, ...]
    gaps: tuple[Gap, ...]
    cross_pnl: Decimal | None
    isolated_margin: Decimal  # With unrealized PnL, of the positions that could be read.


def account_state(answer: object) -> AccountState:
    """Return the envelope. Raises VenueUnavailable: without it there is no account."""
    try:
        return read_row(AccountState, answer)
    except RowError as error:
        raise VenueUnavailable(f"clearinghouseState: {error}") from None


def coins_of(state: AccountState) -> frozenset[str]:
    """Return the coins that are named, as far as rows can be read."""
    rows = (raw.get("position") for raw in state.asset_positions if isinstance(raw, dict))
    return frozenset(row["coin"] for row in rows if isinstance(row, dict) and isinstance(row.get("coin"), str))


def read_positions(state: AccountState, contracts: Mapping[str, Contract], money: Money = MAIN) -> Reading:
    """Return the open positions, and a Gap for every row that cannot be read and for a list that does not add up.

    `contracts` are the dex's, by Hyperliquid's coin.
    """
    positions: dict[PositionKey, Position] = {}
    gaps: list[Gap] = []
    cross_pnl: Decimal | None = Decimal(0)
    isolated_margin = Decimal(0)
    for raw in state.asset_positions:
        try:
            row = _row(raw)
            if row is None:
                continue
            position = _position(row, contracts)
        except RowError as error:
            gaps.append(_gap(raw, str(error), contracts))
            cross_pnl = None if gaps[-1].may_be_cross else cross_pnl
            continue
        key = position.key
        if key in positions:
            gaps.append(Gap(subject=str(key), reason=LISTED_TWICE, key=key))
        positions[key] = min(positions.get(key, position), position, key=by_nearness)
        if position.margin_mode is MarginMode.ISOLATED:
            isolated_margin += row.margin_used
        elif cross_pnl is not None:
            cross_pnl += row.pnl
    found = tuple(positions.values())
    gaps += () if gaps else _does_not_add_up(state, found, money.purse.currency)
    return Reading(
        money=money,
        positions=found,
        gaps=tuple(replace(gap, wallet=money.purse.name) for gap in gaps),
        cross_pnl=cross_pnl,
        isolated_margin=isolated_margin,
    )


def _row(raw: object) -> _Position | None:
    """Return a position's row; None when its size is exactly zero, whatever else it holds."""
    inner = read_row(_Envelope, raw).position
    if read_row(_Size, inner).szi == 0:
        return None
    row = read_row(_Position, inner)
    _check(row)
    return row


def _check(row: _Position) -> None:
    """Raise RowError when the row's own figures contradict each other."""
    isolated, raw_usd = row.leverage.type == "isolated", row.leverage.raw_usd
    if isolated != (raw_usd is not None):
        raise RowError(f"leverage.type is {row.leverage.type}, leverage.rawUsd is {raw_usd}")
    if raw_usd is not None and abs(raw_usd + row.value - row.margin_used) > ROUNDING * row.position_value + CENT:
        raise RowError(f"marginUsed is {row.margin_used}, rawUsd and value make {raw_usd + row.value:f}")
    if abs(row.pnl - row.unrealized_pnl) > PNL_TOLERANCE * row.position_value + CENT:
        raise RowError(f"unrealizedPnl is {row.unrealized_pnl}, size, value and entry price make {row.pnl:f}")


def _position(row: _Position, contracts: Mapping[str, Contract]) -> Position:
    contract = contracts.get(row.coin)
    if contract is None:
        raise RowError(f"coin {row.coin!r} is not among the markets")
    return Position(
        contract=contract,
        side=Side.LONG if row.szi > 0 else Side.SHORT,
        margin_mode=MarginMode.ISOLATED if row.leverage.type == "isolated" else MarginMode.CROSS,
        quantity=abs(row.szi),  # Of contracts of one coin.
        entry_price=row.entry_px,
        mark_price=row.position_value / abs(row.szi),
        isolated_wallet=row.isolated_wallet,
        leverage=row.leverage.value,
        hedged=False,
        auto_add_margin=False,  # Hyperliquid has no such thing.
        exchange_liquidation=_liquidation(row.liquidation_px),
        exchange_maintenance_margin=None,  # Stated for the cross pool only.
        updated_at=None,
    )


class _Price(Row):
    price: Positive


def _liquidation(raw: object) -> Liquidation:
    """Return the exchange's own answer: null is none, anything that is no price is unknown."""
    if raw is None:
        return Liquidation(kind=LiquidationKind.NONE)
    try:
        return Liquidation(kind=LiquidationKind.AT, price=read_row(_Price, {"price": raw}).price)
    except RowError:
        return Liquidation(kind=LiquidationKind.UNKNOWN)


def _gap(raw: object, reason: str, contracts: Mapping[str, Contract]) -> Gap:
    """Return a Gap that names its position when coin and side can be told from what is left of the row."""
    inner = raw.get("position") if isinstance(raw, dict) else None
    fields = inner if isinstance(inner, dict) else {}
    leverage = fields.get("leverage")
    may_be_cross = not (isinstance(leverage, dict) and leverage.get("type") == "isolated")
    contract = contracts.get(str(fields.get("coin")))
    try:
        size = read_row(_Size, fields).szi
    except RowError:
        size = Decimal(0)
    if contract is None or size == 0:
        subject = f"position row {shown(fields.get('coin'))}"
        return Gap(subject=subject, reason=reason, may_be_cross=True)
    key = PositionKey(contract.symbol, Side.LONG if size > 0 else Side.SHORT)
    return Gap(subject=str(key), reason=reason, key=key, may_be_cross=may_be_cross)


def _does_not_add_up(state: AccountState, positions: tuple[Position, ...], currency: str) -> tuple[Gap, ...]:
    """Return a Gap when the rows' values are not the value that the account's own totals state."""
    total = sum((position.quantity * position.mark_price for position in positions), Decimal(0))
    stated = state.margin_summary.total_ntl_pos
    if abs(total - stated) <= ROUNDING * stated + CENT:
        return ()
    reason = f"those listed are worth {total:f} {currency}, the account's total says {stated:f}"
    return (Gap(subject="positions", reason=reason, may_be_cross=True),)


def read_wallet(state: AccountState, reading: Reading) -> tuple[tuple[Wallet, ...], tuple[Gap, ...]]:
    """Return a dex's own wallet. `withdrawable` is what is left over open orders and initial margins."""
    purse, cross_pnl = reading.money.purse, reading.cross_pnl
    if cross_pnl is None:
        return (), (Gap(subject=f"wallet {purse}", reason="a position that may lean on it cannot be read"),)
    wallet = Wallet(
        currency=purse.currency,
        name=purse.name,
        cross_wallet_balance=state.cross_margin_summary.account_value - cross_pnl,
        cross_unrealized_pnl=cross_pnl,
        available=max(state.withdrawable, Decimal(0)),
    )
    return (wallet,), ()


def read_unified_wallet(spot: object, readings: Sequence[Reading]) -> tuple[tuple[Wallet, ...], tuple[Gap, ...]]:
    """Return the wallet of an account whose money is in spot: all of it, less what isolated positions hold.

    `readings`: of all dexes with this collateral. Source: docs, account abstraction modes, "Unified account ratio"
    (2026-09).
    """
    money = readings[0].money
    subject = f"wallet {money.purse}"
    profits = [reading.cross_pnl for reading in readings if reading.cross_pnl is not None]
    if len(profits) < len(readings):
        return (), (Gap(subject=subject, reason="a position that may lean on it cannot be read"),)
    try:
        held = _held(spot, money)
    except RowError as error:
        return (), (Gap(subject=subject, reason=f"spotClearinghouseState: {error}"),)
    profit = sum(profits, Decimal(0))
    wallet = Wallet(
        currency=money.purse.currency,
        cross_wallet_balance=held.total - _isolated_margin(readings) - profit,
        cross_unrealized_pnl=profit,
        available=max(held.total - held.hold, Decimal(0)),
    )
    return (wallet,), ()


def _isolated_margin(readings: Sequence[Reading]) -> Decimal:
    return sum((reading.isolated_margin for reading in readings), Decimal(0))


def _held(spot: object, money: Money) -> _SpotBalance:
    """Return what spot holds of a token. Raises RowError."""
    listed = [one for one in read_row(SpotState, spot).balances if isinstance(one, dict)]
    mine = [one for one in listed if one.get("token") == money.token]
    if len(mine) > 1:
        raise RowError(f"{money.purse.currency} is listed twice")
    if mine:
        return read_row(_SpotBalance, mine[0])
    return _SpotBalance.model_construct(token=money.token, total=Decimal(0), hold=Decimal(0))  # None is held.


def unified_ratio(spot: object, maintenance_margin: Decimal, readings: Sequence[Reading]) -> Decimal:
    """Return one token's account ratio by the documents: cross maintenance margin over what isolated positions leave.

    `readings`: of all dexes with this collateral. 1 is liquidation. Raises RowError.
    """
    money = readings[0].money
    backing = _held(spot, money).total - _isolated_margin(readings)
    if backing <= 0:
        raise RowError(f"the {money.purse.currency} that backs cross positions is {backing:f}")
    return maintenance_margin / backing


def portfolio_ratio(spot: object) -> Decimal:
    """Return the exchange's portfolio margin ratio, turned so that 1 is liquidation (its own is 0.95)."""
    return read_row(_PortfolioRatio, spot).portfolio_margin_ratio / Decimal("0.95")
