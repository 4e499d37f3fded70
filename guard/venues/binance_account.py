"""What Binance USD-M says of an account, row by row: positions, wallets, risk tiers.

A row that cannot be read is a Gap and the others stay. Nothing is estimated: `isolatedWallet` is the margin without
unrealized PnL, `liquidationPrice` "0" means that no positive price liquidates, and both endpoints must name the same
positions with the same sizes and isolated margins.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field

from guard.errors import VenueUnavailable
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
from guard.venues.rows import Moment, NotNegative, Number, Positive, Row, RowError, Word, read_row, shown

WALLET_TOLERANCE = Decimal("0.01")  # Two requests, and funding may fall between them: more than that is a conflict.
NOTIONAL_TOLERANCE = Decimal("0.01")  # Of the notional: more than rounding, less than any wrong field.

PositionSide = Literal["BOTH", "LONG", "SHORT"]
Leg = tuple[str, str]  # Binance's symbol and positionSide: what both endpoints name a position by.


class _Amount(Row):
    """What tells whether a row is a position at all. Source: GET /fapi/v3/positionRisk and /fapi/v3/account."""

    symbol: Word
    position_side: PositionSide
    position_amt: Number  # Base units; negative is short.


class _IsolatedWallet(_Amount):
    """What both endpoints say of an isolated position's margin."""

    isolated_wallet: Number


class _PositionRisk(_Amount):
    """The rest of what we read of GET /fapi/v3/positionRisk."""

    entry_price: Positive
    mark_price: Positive
    isolated_wallet: Number  # Without unrealized PnL. "0" for cross.
    notional: Number  # Signed as the position is.
    maint_margin: NotNegative
    margin_asset: Word
    update_time: Moment
    liquidation_price: object = None  # The one that may be missing: then it is unknown, and the position stays seen.


class SymbolConfig(Row):
    """GET /fapi/v1/symbolConfig: chosen by the user, per symbol, and not part of v3 position rows."""

    symbol: Word
    margin_type: Literal["CROSSED", "ISOLATED"]
    is_auto_add_margin: bool
    leverage: Positive


class AccountConfig(Row):
    """GET /fapi/v1/accountConfig."""

    dual_side_position: bool
    multi_assets_margin: bool


class AccountTotals(Row):
    """The envelope of GET /fapi/v3/account."""

    total_maint_margin: NotNegative
    total_margin_balance: Number
    total_position_initial_margin: NotNegative
    assets: list[object]
    positions: list[object]


class _Asset(Row):
    asset: Word
    wallet_balance: Number  # With what isolated positions hold.
    cross_wallet_balance: Number  # Without it.
    cross_un_pnl: Number
    available_balance: Number


class _Bracket(Row):
    notional_floor: NotNegative
    notional_cap: Positive
    maint_margin_ratio: Positive = Field(lt=1)
    cum: NotNegative


class _Brackets(Row):
    brackets: list[_Bracket] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What must be known to read a row: contracts and the user's choices, by Binance's symbol."""

    contracts: Mapping[str, Contract]
    configs: Mapping[str, SymbolConfig]
    changed_by: datetime | None = None  # The exchange's clock and some more: no row has changed later. None: not asked.


def account_totals(answer: object) -> AccountTotals:
    """Return the envelope. Raises VenueUnavailable: without it there is no account."""
    try:
        return read_row(AccountTotals, answer)
    except RowError as error:
        raise VenueUnavailable(f"account: {error}") from None


def open_legs(rows: list[object]) -> dict[Leg, Decimal]:
    """Return the size of every leg that is open, as far as rows can be read."""
    legs: dict[Leg, Decimal] = {}
    for raw in rows:
        try:
            row = read_row(_Amount, raw)
        except RowError:
            continue  # It becomes a Gap where rows are read in full.
        if row.position_amt:
            legs[row.symbol, row.position_side] = row.position_amt
    return legs


def contradicts(rows: list[object], terms: Terms) -> bool:
    """Say whether a cross position holds isolated margin, or an isolated one none: the user's choices have moved."""
    for raw in rows:
        try:
            row = read_row(_PositionRisk, raw)
        except RowError:
            continue
        config = terms.configs.get(row.symbol)
        if config and row.position_amt and (config.margin_type == "ISOLATED") != (row.isolated_wallet != 0):
            return True
    return False


def read_positions(
    rows: list[object], account_rows: list[object], terms: Terms
) -> tuple[tuple[Position, ...], tuple[Gap, ...]]:
    """Return the open positions, and a Gap for every row that cannot be read or contradicts another."""
    positions: dict[PositionKey, Position] = {}
    gaps: list[Gap] = []
    bad: set[Leg] = set()
    for raw in rows:
        if _is_flat(raw):
            continue
        try:
            position = _position(read_row(_PositionRisk, raw), terms)
        except RowError as error:
            gaps.append(_gap(raw, str(error), terms))
            bad.add(_leg(raw))
            continue
        if position.key in positions:
            gaps.append(Gap(subject=str(position.key), reason="listed twice", key=position.key))
        positions[position.key] = position
    return tuple(positions.values()), (*gaps, *_disagreements(rows, account_rows, bad, terms))


def _is_flat(raw: object) -> bool:
    """Say whether a row is only there for its open orders: its size is exactly zero, whatever else it holds."""
    try:
        return read_row(_Amount, raw).position_amt == 0
    except RowError:
        return False


def _position(row: _PositionRisk, terms: Terms) -> Position:
    contract, config = terms.contracts.get(row.symbol), terms.configs.get(row.symbol)
    if contract is None:
        raise RowError(f"symbol {row.symbol!r} is not among the markets")
    if config is None:
        raise RowError("its margin mode is not known (no symbolConfig)")
    side = Side.LONG if row.position_amt > 0 else Side.SHORT
    if terms.changed_by is not None and row.update_time > terms.changed_by:
        raise RowError(f"updateTime is {row.update_time:%Y-%m-%d %H:%M:%S}, which is yet to come")
    isolated = config.margin_type == "ISOLATED"
    _check(row, side, contract, isolated=isolated)
    return Position(
        contract=contract,
        side=side,
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        quantity=abs(row.position_amt),  # Of contracts of one base unit.
        entry_price=row.entry_price,
        mark_price=row.mark_price,
        isolated_wallet=row.isolated_wallet if isolated else None,
        leverage=config.leverage,
        hedged=row.position_side != "BOTH",
        auto_add_margin=config.is_auto_add_margin,
        exchange_liquidation=_liquidation(row.liquidation_price),
        exchange_maintenance_margin=row.maint_margin,
        updated_at=row.update_time,
    )


def _check(row: _PositionRisk, side: Side, contract: Contract, *, isolated: bool) -> None:
    """Raise RowError when the row's own figures contradict each other."""
    if row.position_side not in {"BOTH", side.word.upper()}:
        raise RowError(f"positionSide is {row.position_side} and positionAmt is {row.position_amt}")
    if row.margin_asset != contract.settle:
        raise RowError(f"marginAsset is {row.margin_asset}, the market settles in {contract.settle}")
    expected = row.position_amt * row.mark_price
    if abs(row.notional - expected) > NOTIONAL_TOLERANCE * abs(expected):
        raise RowError(f"notional is {row.notional}, size and mark price make {expected:f}")
    if not isolated and row.isolated_wallet != 0:
        raise RowError(f"symbolConfig says CROSSED, isolatedWallet is {row.isolated_wallet}")


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
    key, config = PositionKey(contract.symbol, side), terms.configs.get(str(fields.get("symbol")))
    may_be_cross = config is None or config.margin_type == "CROSSED"
    return Gap(subject=str(key), reason=reason, key=key, may_be_cross=may_be_cross)


def _side(fields: Mapping[str, object]) -> Side | None:
    if fields.get("positionSide") in ("LONG", "SHORT"):
        return Side[str(fields["positionSide"])]
    for name in ("positionAmt", "notional"):
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
            reason = _of_two_wallets(our_wallets.get(leg), their_wallets.get(leg))
        if reason:
            raw = {"symbol": leg[0], "positionSide": leg[1], "positionAmt": str(one or other)}
            gaps.append(_gap(raw, reason, terms))
    return gaps


def _of_two_wallets(held: Decimal | None, told: Decimal | None) -> str:
    """Return why the account's word for an isolated margin does not bear out ours; empty when it does."""
    if held is None:
        return ""  # The row itself is a Gap.
    if told is None:
        return f"positionRisk says {held:f} of isolated margin, account nothing that can be read"
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


def read_wallets(totals: AccountTotals, positions: tuple[Position, ...]) -> tuple[tuple[Wallet, ...], tuple[Gap, ...]]:
    """Return the wallets that hold something or that a position settles in; a Gap for what cannot be read."""
    settles = {position.contract.settle for position in positions}
    wallets: list[Wallet] = []
    gaps: list[Gap] = []
    for raw in totals.assets:
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
    twice = {currency for currency, times in Counter(wallet.currency for wallet in wallets).items() if times > 1}
    wallets = [wallet for wallet in wallets if wallet.currency not in twice]  # Which of both holds, nobody knows.
    gaps += [Gap(subject=f"wallet {currency}", reason="listed twice") for currency in sorted(twice)]
    known = {wallet.currency for wallet in wallets} | {gap.subject.removeprefix("wallet ") for gap in gaps}
    gaps += [Gap(subject=f"wallet {settle}", reason="not listed") for settle in sorted(settles - known)]
    return tuple(wallets), tuple(gaps)


def hidden_positions(totals: AccountTotals, positions: tuple[Position, ...], gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """Return a Gap when no position is listed although the account's totals hold margin for some."""
    held = max(totals.total_maint_margin, totals.total_position_initial_margin)
    if positions or gaps or held == 0:
        return ()
    reason = f"none is listed, but the account holds {held:f} of margin for some"
    return (Gap(subject="positions", reason=reason, may_be_cross=True),)


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
