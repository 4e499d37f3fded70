"""What Bybit says of a unified account's money: its coins, its own ratio, and what positions hold of it.

In isolated mode each coin stands for itself and what is of the whole account is not filled; in cross and portfolio mode
all coins stand together and the account's own ratio is watched.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import Field

from guard.errors import VenueUnavailable
from guard.margin import contract_value
from guard.snapshot import Gap, PositionKey, Wallet
from guard.venues.bybit_account import TOLERANCE, Held, Terms
from guard.venues.rows import NotNegative, Number, Row, RowError, Word, listed_once, read_row, shown

RESERVE_TOLERANCE = Decimal("0.002")  # Of the notional: whether a wallet's sum counts the fee to close twice.


class AccountTotals(Row):
    """The only row of GET /v5/account/wallet-balance. In isolated mode what is of the whole account is not filled."""

    account_mm_rate: object = Field(alias="accountMMRate")
    total_maintenance_margin: object
    total_margin_balance: object
    total_available_balance: object
    coin: list[object]


class _Holding(Row):
    """What one coin's row says that positions hold."""

    coin: Word
    total_position_im: Number = Field(alias="totalPositionIM")


class _Coin(Row):
    coin: Word
    wallet_balance: Number  # With what isolated positions hold, and with what is borrowed.
    spot_borrow: NotNegative
    unrealised_pnl: Number
    usd_value: Number
    equity: Number


class _OwnCoin(_Coin):
    """The rest, which in isolated mode is filled for each coin."""

    total_position_im: NotNegative = Field(alias="totalPositionIM")
    total_order_im: NotNegative = Field(alias="totalOrderIM")
    locked: NotNegative
    bonus: NotNegative


def account_totals(result: Mapping[str, Any]) -> AccountTotals:
    """Return the account's row. Raises VenueUnavailable: without it there is no account."""
    rows = result.get("list")
    try:
        if not isinstance(rows, list) or len(rows) != 1:
            raise RowError("list is not one account")  # noqa: TRY301  # One end for all that it may be.
        return read_row(AccountTotals, rows[0])
    except RowError as error:
        raise VenueUnavailable(f"wallet-balance: {error}") from None


def margin_by_coin(totals: AccountTotals) -> Mapping[str, Decimal | None]:
    """Return what each coin's positions hold, as its wallet says. None: it does not say (portfolio margin)."""
    held: dict[str, Decimal | None] = {}
    for raw in totals.coin:
        name = str(raw.get("coin")) if isinstance(raw, dict) else ""
        try:
            held[name] = read_row(_Holding, raw).total_position_im
        except RowError:
            held[name] = None
    return held


def read_wallets(
    totals: AccountTotals, terms: Terms, held: Sequence[Held]
) -> tuple[tuple[Wallet, ...], tuple[Gap, ...]]:
    """Return the wallets that hold something or that a position settles in; a Gap for what cannot be read."""
    settles = {one.position.contract.settle for one in held}
    wallets: list[Wallet] = []
    gaps: list[Gap] = []
    for raw in totals.coin:
        try:
            wallet = _own_wallet(read_row(_OwnCoin, raw)) if terms.is_isolated else _shared_wallet(raw, totals)
        except RowError as error:
            name = shown(raw.get("coin"), 16) if isinstance(raw, dict) else "?"
            gaps.append(Gap(subject=f"wallet {name}", reason=str(error)))
            continue
        if wallet.cross_wallet_balance or wallet.available or wallet.currency in settles:
            wallets.append(wallet)
    wallets, twice = listed_once(wallets, gaps)
    gaps += twice
    known = {wallet.currency for wallet in wallets} | {gap.subject.removeprefix("wallet ") for gap in gaps}
    gaps += [Gap(subject=f"wallet {settle}", reason="not listed") for settle in sorted(settles - known)]
    return tuple(wallets), tuple(gaps)


def _own_wallet(row: _OwnCoin) -> Wallet:
    """Return a coin that pays for its own positions. `available` is by Bybit's formula (docs, 2026-07), less debts."""
    free = row.wallet_balance - row.spot_borrow - row.total_position_im
    return Wallet(
        currency=row.coin,
        cross_wallet_balance=free,
        cross_unrealized_pnl=Decimal(0),  # The PnL in the row is that of isolated positions.
        available=max(Decimal(0), free - row.total_order_im - row.locked - row.bonus),
    )


def _shared_wallet(raw: object, totals: AccountTotals) -> Wallet:
    """In cross and portfolio mode all coins pay together: a coin's share is at most what the whole account has free."""
    row = read_row(_Coin, raw)
    available = read_row(_Available, {"available": totals.total_available_balance}).available
    price = row.usd_value / row.equity if row.equity > 0 and row.usd_value > 0 else None
    return Wallet(
        currency=row.coin,
        cross_wallet_balance=row.wallet_balance - row.spot_borrow,
        cross_unrealized_pnl=row.unrealised_pnl,
        available=max(Decimal(0), min(row.wallet_balance, available / price)) if price else Decimal(0),
    )


class _Available(Row):
    available: Number


def contradictions(
    totals: AccountTotals, terms: Terms, held: Sequence[Held], gaps: Sequence[Gap], searched: frozenset[str]
) -> tuple[Gap, ...]:
    """Return a Gap where a wallet's positions are not listed, or hold by their rows what the wallet does not say.

    `searched` are the settle coins whose positions were asked for.
    """
    found: list[Gap] = []
    for coin, stated in margin_by_coin(totals).items():
        mine = [one for one in held if one.position.contract.settle == coin]
        if coin not in searched or stated is None or any(gap.key is None or _settles_in(gap.key, coin) for gap in gaps):
            continue
        if not mine and stated > 0:
            reason = f"no contract is listed in {coin}, but its wallet holds {stated:f} of margin for positions"
            found.append(Gap(subject="positions", reason=reason, may_be_cross=True))
        if not terms.is_isolated and mine and _lacks(stated, mine):
            total = sum((one.initial_margin or Decimal(0) for one in mine), Decimal(0))
            reason = f"those listed in {coin} hold {total:f} of margin by their rows, and {stated:f} by the wallet"
            found.append(Gap(subject="positions", reason=reason, may_be_cross=True))
        if terms.is_isolated and mine and _differ(stated, mine):
            total = sum((one.initial_margin or Decimal(0) for one in mine), Decimal(0))
            reason = f"the positions in {coin} hold {total:f} by their rows and {stated:f} by the wallet"
            found += [Gap(subject=str(one.position.key), reason=reason, key=one.position.key) for one in mine]
    return tuple(found)


def _settles_in(key: PositionKey, coin: str) -> bool:
    return key.symbol.partition(":")[2].partition("-")[0] == coin


def _differ(stated: Decimal, mine: Sequence[Held]) -> bool:
    return abs(_more(stated, mine)) > _bearable(mine)


def _lacks(stated: Decimal, mine: Sequence[Held]) -> bool:
    """Say whether a wallet holds margin for more than these. Less may be: hedged legs may count for one together."""
    return all(one.initial_margin is not None for one in mine) and _more(stated, mine) > _bearable(mine)


def _more(stated: Decimal, mine: Sequence[Held]) -> Decimal:
    return stated - sum((one.initial_margin or Decimal(0) for one in mine), Decimal(0))


def _bearable(mine: Sequence[Held]) -> Decimal:
    total = sum((one.initial_margin or Decimal(0) for one in mine), Decimal(0))
    notional = sum(
        (contract_value(p.contract, p.quantity, p.entry_price) for p in (one.position for one in mine)), Decimal(0)
    )
    return TOLERANCE * total + RESERVE_TOLERANCE * notional


class _Ratio(Row):
    account_mm_rate: NotNegative
    total_maintenance_margin: NotNegative
    total_margin_balance: Number


def account_ratio(
    totals: AccountTotals, terms: Terms, *, has_positions: bool
) -> tuple[Decimal | None, tuple[Gap, ...]]:
    """Return the account's own ratio, 1 at liquidation; None in isolated mode, where there is none.

    In cross mode it is maintenance margin / (margin balance - haircuts), so never less than without haircuts. The
    larger of the two holds, and one that is less than half of the other is of another unit: a Gap.
    """
    if terms.is_isolated or (not has_positions and not _is_filled(totals.account_mm_rate)):
        return None, ()
    fields = {
        "accountMmRate": totals.account_mm_rate,
        "totalMaintenanceMargin": totals.total_maintenance_margin,
        "totalMarginBalance": totals.total_margin_balance,
    }
    try:
        row = read_row(_Ratio, fields)
    except RowError as error:
        return None, (Gap(subject="account margin ratio", reason=str(error)),)
    if terms.info.margin_mode != "REGULAR_MARGIN" or row.total_margin_balance <= 0:
        return row.account_mm_rate, ()
    least = row.total_maintenance_margin / row.total_margin_balance
    if row.account_mm_rate < least / 2:
        reason = f"accountMMRate is {row.account_mm_rate}, its own totals make at least {least:f}"
        return None, (Gap(subject="account margin ratio", reason=reason),)
    return max(row.account_mm_rate, least), ()


def speaks_of_another_mode(totals: AccountTotals, terms: Terms, *, has_positions: bool) -> bool:
    """Say whether the account's own rate is filled in isolated mode, or empty in another: the mode may have moved."""
    filled = _is_filled(totals.account_mm_rate)
    return filled if terms.is_isolated else has_positions and not filled


class _Rate(Row):
    rate: Number


def _is_filled(raw: object) -> bool:
    try:
        return read_row(_Rate, {"rate": raw}).rate != 0
    except RowError:
        return False
