"""What Binance's futures exchanges say of an account, row by row: positions, wallets, risk tiers.

USD-M and COIN-M say the same in different fields, so each turns its position rows into `Stated` by its own `Terms`. A
row that cannot be read is a Gap and the others stay. Nothing is estimated: `isolatedWallet` is the margin without
unrealized PnL, `liquidationPrice` "0" means that no positive price liquidates, and both endpoints must name the same
positions with the same sizes and isolated margins.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, Protocol

from pydantic import AliasChoices, Field

from guard.margin import contract_value
from guard.snapshot import (
    Contract,
    Gap,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Position,
    PositionKey,
    RiskTier,
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
    listed_once,
    read_row,
    shown,
)

CLOCK_TOLERANCE = timedelta(minutes=1)  # A clock that is off by more has its requests refused, and is measured then.
WALLET_TOLERANCE = Decimal("0.01")  # Two requests, and funding may fall between them: more than that is a conflict.
NOTIONAL_TOLERANCE = Decimal("0.01")  # Of the notional: more than rounding, less than any wrong field.

PositionSide = Literal["BOTH", "LONG", "SHORT"]
Leg = tuple[str, str]  # Binance's symbol and positionSide: what both endpoints name a position by.


class Amount(Row):
    """What tells whether a row is a position at all, in every list of positions."""

    symbol: Word
    position_side: PositionSide
    position_amt: Number  # Base units (USD-M) or contracts (COIN-M); negative is short.


class _IsolatedWallet(Amount):
    """What both endpoints say of an isolated position's margin."""

    isolated_wallet: Number


class PositionRow(Amount):
    """What both exchanges' positionRisk has."""

    entry_price: Positive
    mark_price: Positive
    update_time: Moment
    liquidation_price: object = None  # The one that may be missing: then it is unknown, and the position stays seen.


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A position row in the form that both exchanges have in common."""

    row: PositionRow
    is_isolated: bool
    isolated_wallet: Decimal  # Without unrealized PnL. Of a cross position: zero, or the row contradicts itself.
    notional: Decimal  # Signed as the position is, in the settle currency.
    margin_asset: str
    leverage: Decimal
    auto_add_margin: bool
    maintenance_margin: Decimal | None


class Terms(Protocol):
    """What must be known to read a position row."""

    @property
    def contracts(self) -> Mapping[str, Contract]:
        """The contracts by Binance's symbol."""
        ...

    @property
    def account_tells_wallets(self) -> bool:
        """Whether the account endpoint states each isolated margin, too."""
        ...

    def stated(self, raw: object, contract: Contract) -> Stated:
        """Return what an open position's row says. Raises RowError."""
        ...

    def is_isolated(self, raw: Mapping[str, object]) -> bool:
        """Say whether what is left of a broken row is known to be isolated."""
        ...


class _Asset(Row):
    asset: Word
    wallet_balance: Number  # With what isolated positions hold.
    cross_wallet_balance: Number  # Without it.
    cross_un_pnl: Number
    available_balance: Number


class Bracket(Row):
    """One row of a table, in the settle currency."""

    notional_floor: NotNegative = Field(validation_alias=AliasChoices("notionalFloor", "qtyFloor", "qtylFloor"))
    notional_cap: Positive = Field(validation_alias=AliasChoices("notionalCap", "qtyCap"))
    maint_margin_ratio: Positive = Field(lt=1)
    cum: NotNegative


class _Brackets(Row):
    brackets: list[Bracket] = Field(min_length=1)


def open_legs(rows: list[object]) -> dict[Leg, Decimal]:
    """Return the size of every leg that is open, as far as rows can be read."""
    legs: dict[Leg, Decimal] = {}
    for raw in rows:
        try:
            row = read_row(Amount, raw)
        except RowError:
            continue  # It becomes a Gap where rows are read in full.
        if row.position_amt:
            legs[row.symbol, row.position_side] = row.position_amt
    return legs


def read_positions(
    rows: list[object], account_rows: list[object], terms: Terms, *, now: datetime
) -> tuple[tuple[Position, ...], tuple[Gap, ...]]:
    """Return the open positions, and a Gap for every row that cannot be read or contradicts another.

    `now` is the exchange's clock. A row that changed after it is not read: every true one after it would look old.
    """
    positions: dict[PositionKey, Position] = {}
    gaps: list[Gap] = []
    bad: set[Leg] = set()
    flat = {_leg(raw) for raw in rows if _is_flat(raw)}
    for raw in rows:
        if _is_flat(raw):
            continue
        try:
            position = _position(raw, terms, now)
        except RowError as error:
            gaps.append(_gap(raw, str(error), terms))
            bad.add(_leg(raw))
            continue
        key = position.key
        if key in positions or _leg(raw) in flat:
            gaps.append(Gap(subject=str(key), reason=LISTED_TWICE, key=key))
        positions[key] = min(positions.get(key, position), position, key=by_nearness)
    return tuple(positions.values()), (*gaps, *_disagreements(rows, account_rows, bad, terms))


def _is_flat(raw: object) -> bool:
    """Say whether a row is only there for its open orders: its size is exactly zero, whatever else it holds."""
    try:
        return read_row(Amount, raw).position_amt == 0
    except RowError:
        return False


def _position(raw: object, terms: Terms, now: datetime) -> Position:
    symbol = read_row(Amount, raw).symbol
    contract = terms.contracts.get(symbol)
    if contract is None:
        raise RowError(f"symbol {symbol!r} is not among the markets")
    stated = terms.stated(raw, contract)
    row, side = stated.row, Side.LONG if stated.row.position_amt > 0 else Side.SHORT
    if row.update_time > now + CLOCK_TOLERANCE:
        raise RowError(f"updateTime is {row.update_time:%Y-%m-%d %H:%M:%S}, which is yet to come")
    _check(stated, side, contract)
    return Position(
        contract=contract,
        side=side,
        margin_mode=MarginMode.ISOLATED if stated.is_isolated else MarginMode.CROSS,
        quantity=abs(row.position_amt),
        entry_price=row.entry_price,
        mark_price=row.mark_price,
        isolated_wallet=stated.isolated_wallet if stated.is_isolated else None,
        leverage=stated.leverage,
        hedged=row.position_side != "BOTH",
        auto_add_margin=stated.auto_add_margin,
        exchange_liquidation=_liquidation(row.liquidation_price),
        exchange_maintenance_margin=stated.maintenance_margin,
        updated_at=row.update_time,
    )


def _check(stated: Stated, side: Side, contract: Contract) -> None:
    """Raise RowError when the row's own figures contradict each other."""
    row = stated.row
    if row.position_side not in {"BOTH", side.word.upper()}:
        raise RowError(f"positionSide is {row.position_side} and positionAmt is {row.position_amt}")
    if stated.margin_asset != contract.settle:
        raise RowError(f"marginAsset is {stated.margin_asset}, the market settles in {contract.settle}")
    expected = contract_value(contract, row.position_amt, row.mark_price)
    if abs(stated.notional - expected) > NOTIONAL_TOLERANCE * abs(expected):
        raise RowError(f"notional is {stated.notional}, size and mark price make {expected:f}")
    if not stated.is_isolated and stated.isolated_wallet != 0:
        raise RowError(f"its margin mode is cross, isolatedWallet is {stated.isolated_wallet}")


def _liquidation(raw: object) -> Liquidation:
    """Return the exchange's own answer: "0" is none, anything that is no price is unknown."""
    try:
        price = read_row(_Price, {"price": raw}).price
    except RowError:
        return Liquidation(kind=LiquidationKind.UNKNOWN)
    return Liquidation(kind=LiquidationKind.AT, price=price) if price else Liquidation(kind=LiquidationKind.NONE)


class _Price(Row):
    price: NotNegative


def _gap(raw: object, reason: str, terms: Terms) -> Gap:
    """Return a Gap that names its position when symbol and side can be told from what is left of the row."""
    fields = raw if isinstance(raw, dict) else {}
    contract = terms.contracts.get(str(fields.get("symbol")))
    side = _side(fields)
    if contract is None or side is None:
        return Gap(subject=f"position row {shown(fields.get('symbol'))}", reason=reason, may_be_cross=True)
    key = PositionKey(contract.symbol, side)
    return Gap(subject=str(key), reason=reason, key=key, may_be_cross=not terms.is_isolated(fields))


def _side(fields: Mapping[str, object]) -> Side | None:
    if fields.get("positionSide") in ("LONG", "SHORT"):
        return Side[str(fields["positionSide"])]
    for name in ("positionAmt", "notional", "notionalValue"):
        try:
            signed = read_row(_Signed, {"value": fields.get(name)}).value
        except RowError:
            continue
        if signed:
            return Side.LONG if signed > 0 else Side.SHORT
    return None


class _Signed(Row):
    value: Number


def _leg(raw: object) -> Leg:
    fields = raw if isinstance(raw, dict) else {}
    return str(fields.get("symbol")), str(fields.get("positionSide"))


def _disagreements(rows: list[object], account_rows: list[object], bad: set[Leg], terms: Terms) -> list[Gap]:
    """Return a Gap for every position that the two endpoints do not state alike; `bad` ones are Gaps already.

    They are two requests: a position that moved between them disagrees for one cycle.
    """
    ours, theirs = open_legs(rows), open_legs(account_rows)
    our_wallets, their_wallets = _isolated_wallets(rows), _isolated_wallets(account_rows)
    times_listed = Counter(map(_leg, account_rows))
    gaps = []
    for leg in sorted((ours.keys() | theirs.keys()) - bad):
        one, other = ours.get(leg), theirs.get(leg)
        if one != other:
            reason = f"positionRisk says {_size(one)}, account says {_size(other)}"
        elif times_listed[leg] > 1:
            reason = "account lists it twice"
        else:
            reason = _of_two_wallets(our_wallets.get(leg), their_wallets.get(leg), terms)
        if reason:
            raw = {"symbol": leg[0], "positionSide": leg[1], "positionAmt": str(one or other)}
            gaps.append(_gap(raw, reason, terms))
    return gaps


def _of_two_wallets(held: Decimal | None, told: Decimal | None, terms: Terms) -> str:
    """Return why the account's word for an isolated margin does not bear out ours; empty when it does."""
    if held is None:
        return ""  # The row itself is a Gap, or states its margin otherwise.
    if told is None:
        reason = f"positionRisk says {held:f} of isolated margin, account nothing that can be read"
        return reason if terms.account_tells_wallets else ""
    return f"positionRisk says {held:f} of isolated margin, account says {told:f}" if _differ(held, told) else ""


def _isolated_wallets(rows: list[object]) -> dict[Leg, Decimal]:
    wallets: dict[Leg, Decimal] = {}
    for raw in rows:
        with suppress(RowError):  # Where it matters it is a Gap already.
            row = read_row(_IsolatedWallet, raw)
            wallets[row.symbol, row.position_side] = row.isolated_wallet
    return wallets


def _differ(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) > WALLET_TOLERANCE * max(abs(one), abs(other))


def _size(size: Decimal | None) -> str:
    return "no position" if size is None else f"{size:f}"


def read_wallets(assets: list[object], positions: tuple[Position, ...]) -> tuple[tuple[Wallet, ...], tuple[Gap, ...]]:
    """Return the wallets that hold something or that a position settles in; a Gap for what cannot be read."""
    settles = {position.contract.settle for position in positions}
    wallets: list[Wallet] = []
    gaps: list[Gap] = []
    for raw in assets:
        try:
            row = read_row(_Asset, raw)
        except RowError as error:
            name = shown(raw.get("asset"), 16) if isinstance(raw, dict) else "?"
            gaps.append(Gap(subject=f"wallet {name}", reason=str(error)))
            continue
        if row.wallet_balance or row.cross_wallet_balance or row.asset in settles:
            wallets.append(
                Wallet(
                    currency=row.asset,
                    cross_wallet_balance=row.cross_wallet_balance,
                    cross_unrealized_pnl=row.cross_un_pnl,
                    available=row.available_balance,
                )
            )
    wallets, twice = listed_once(wallets, gaps)
    gaps += twice
    known = {wallet.currency for wallet in wallets} | {gap.subject.removeprefix("wallet ") for gap in gaps}
    gaps += [Gap(subject=f"wallet {settle}", reason="not listed") for settle in sorted(settles - known)]
    return tuple(wallets), tuple(gaps)


def hidden_positions(held: Decimal, positions: tuple[Position, ...], gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """Return a Gap when no position is listed although the account's totals hold margin for some."""
    if positions or gaps or held == 0:
        return ()
    reason = f"none is listed, but the account holds {held:f} of margin for some"
    return (Gap(subject="positions", reason=reason, may_be_cross=True),)


def held_margin(assets: list[object]) -> Decimal:
    """Return the largest margin that an asset holds for positions; an asset that cannot be read is a Gap already."""
    held = Decimal(0)
    for raw in assets:
        with suppress(RowError):
            row = read_row(_Held, raw)
            held = max(held, row.maint_margin, row.position_initial_margin)
    return held


class _Held(Row):
    maint_margin: NotNegative
    position_initial_margin: NotNegative


def read_brackets(raw: object) -> tuple[RiskTier, ...]:
    """Return a symbol's tiers, ascending and without holes. Raises RowError."""
    row = read_row(_Brackets, raw)
    tiers = tuple(
        RiskTier(
            notional_floor=bracket.notional_floor,
            notional_cap=bracket.notional_cap,
            maintenance_margin_rate=bracket.maint_margin_ratio,
            maintenance_amount=bracket.cum,
        )
        for bracket in sorted(row.brackets, key=lambda bracket: bracket.notional_floor)
    )
    floors = [tier.notional_floor for tier in tiers]
    if floors != [Decimal(0), *(tier.notional_cap for tier in tiers[:-1])]:
        raise RowError("its brackets leave holes or overlap")
    rates = [tier.maintenance_margin_rate for tier in tiers]
    if rates != sorted(rates):
        raise RowError("a higher bracket asks for less margin than a lower one")
    return tiers
