"""What Gate says of a futures account's money and modes, and of the unified account around it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from guard.errors import VenueUnavailable
from guard.snapshot import Gap, MarginMode, Position, Wallet
from guard.venues.gateio_account import GateRow
from guard.venues.haircut_rows import Names
from guard.venues.rows import NotNegative, Number, RowError, Word, read_row, rows_of

MODES: Mapping[int, str] = {
    1: "multi-currency margin mode",
    2: "portfolio margin mode",
    3: "single-currency margin mode of the unified account",
}
SPLIT = "dual_plus"  # Several positions of one contract and side. Also called split.
SINGLE_CURRENCY = 3
CURRENCIES = frozenset({"USDT", "BTC"})  # In which its perpetual contracts settle.
HAIRCUTS = Names(asset="currency", steps="discount_tiers", floor="lower_limit", share="discount")


def _choice(value: object) -> object:
    """Return a small whole number that may have come as text; anything else as it is, to be refused."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 1 else value


class Account(GateRow):
    """What must be known of GET /futures/{settle}/accounts."""

    currency: Word
    margin_mode: Annotated[Literal[0, 1, 2, 3], BeforeValidator(_choice)]  # 0: classic.
    position_mode: str | None = None  # single, dual, dual_plus. Stated since 2026; in_dual_mode says less.
    enable_tiered_mm: bool = True  # Whether the requirement is counted slice by slice. All accounts since 2025-07-29.

    @property
    def is_unified(self) -> bool:
        return self.margin_mode != 0

    @property
    def shares_collateral(self) -> bool:
        """Say whether several assets back everything, each by its discount: multi-currency and portfolio mode."""
        return self.is_unified and self.margin_mode != SINGLE_CURRENCY

    @property
    def watch_only(self) -> str | None:
        """Say why nothing is added here; None: it can be."""
        if self.is_unified:
            mode = MODES[self.margin_mode]
            return f"the account is in {mode}, whose rules are not modelled: its own ratio is watched"
        if self.position_mode in {SPLIT, "split"}:
            return "the account is in split position mode, where one request could go to any of several positions"
        return None


class _Money(GateRow):
    """The rest, for a classic account. The total holds what isolated positions hold."""

    total: Number
    available: Number  # What may move into isolated margin; trial funds count into it.
    isolated_position_margin: NotNegative
    cross_unrealised_pnl: Number


class _Held(GateRow):
    total: Number
    isolated_position_margin: NotNegative


def read_account(answer: object, settle: str) -> Account:
    """Return the modes of a futures account. Raises VenueUnavailable: without them no row can be read."""
    try:
        account = read_row(Account, answer)
    except RowError as error:
        raise VenueUnavailable(f"accounts {settle}: {error}") from None
    if account.currency.upper() != settle.upper():
        raise VenueUnavailable(f"accounts {settle}: the answer is about {account.currency[:16]!r}")
    return account


def is_in_use(answer: object) -> bool:
    """Say whether there is money in a futures account, or may be."""
    try:
        held = read_row(_Held, answer)
    except RowError:
        return True
    return held.total != 0 or held.isolated_position_margin != 0


def read_wallet(answer: object, currency: str, positions: Sequence[Position]) -> tuple[Wallet | None, tuple[Gap, ...]]:
    """Return a classic account's wallet, and Gaps for what cannot be read or contradicts the listed positions."""
    try:
        row = read_row(_Money, answer)
    except RowError as error:
        return None, (Gap(subject=f"wallet {currency}", reason=str(error)),)
    listed = sum((position.isolated_wallet or Decimal(0) for position in positions), Decimal(0))
    # An account of before 2024-08 states none here. The larger of the two leaves less to lean on.
    held = max(listed, row.isolated_position_margin)
    wallet = Wallet(
        currency=currency,
        cross_wallet_balance=row.total - held,
        cross_unrealized_pnl=row.cross_unrealised_pnl,
        available=max(Decimal(0), row.available),
    )
    if row.isolated_position_margin > 0 and not any(p.margin_mode is MarginMode.ISOLATED for p in positions):
        reason = (
            f"no isolated one is listed in {currency}, but the account holds {row.isolated_position_margin:f} in such"
        )
        return wallet, (Gap(subject="positions", reason=reason, may_be_cross=True),)
    return wallet, ()


class _Unified(GateRow):
    """The part of GET /unified/accounts that makes the account's ratio."""

    balances: dict[str, Any]
    total_margin_balance: Number
    total_maintenance_margin: NotNegative


class _Coin(GateRow):
    equity: Number
    enabled_collateral: bool = True  # Of multi-currency mode: its owner may take a coin out (docs, since v4.102.0).


class _OwnCoin(_Coin):
    """In single-currency mode each coin stands for itself."""

    margin_balance: Number
    mm: NotNegative


def read_unified(
    answer: object, account: Account, needed: frozenset[str]
) -> tuple[tuple[Wallet, ...], Decimal | None, tuple[Gap, ...]]:
    """Return wallets, the account's own ratio (1 at liquidation; None: nothing is required) and Gaps.

    `needed` are the settle currencies of the positions: their wallets must be there. Other coins are wallets where they
    back everything. The exchange states the inverse, margin balance / maintenance margin, and sells at 100 % and below.
    Raises VenueUnavailable.
    """
    try:
        row = read_row(_Unified, answer)
    except RowError as error:
        raise VenueUnavailable(f"unified accounts: {error}") from None
    wallets: list[Wallet] = []
    gaps: list[Gap] = []
    ratios: list[Decimal] = []
    own = account.margin_mode == SINGLE_CURRENCY
    settles = needed | (row.balances.keys() & CURRENCIES)
    for currency in sorted(settles if own else settles | row.balances.keys()):
        try:
            coin = read_row(_OwnCoin if own else _Coin, row.balances.get(currency))
        except RowError as error:
            gaps.append(Gap(subject=f"wallet {currency}", reason=str(error)))
            continue
        if currency not in settles and (coin.equity == 0 or not coin.enabled_collateral):
            continue
        balance, nothing = coin.equity, Decimal(0)
        wallets.append(
            Wallet(currency=currency, cross_wallet_balance=balance, cross_unrealized_pnl=nothing, available=nothing)
        )
        if isinstance(coin, _OwnCoin):
            ratios += _ratio(coin.mm, coin.margin_balance, currency, gaps)
    if not own:
        ratios += _ratio(row.total_maintenance_margin, row.total_margin_balance, "account", gaps)
    return tuple(wallets), max(ratios, default=None), tuple(gaps)


def discount_rows(answer: object) -> list[Any]:
    """Return what is listed of each asset, whether the list stands in another one or not. Raises VenueUnavailable."""
    rows = rows_of(answer, "discount tiers")
    return [one for row in rows for one in (row if isinstance(row, list) else [row])]


def _ratio(required: Decimal, balance: Decimal, what: str, gaps: list[Gap]) -> list[Decimal]:
    if required == 0:
        return []
    if balance <= 0:
        gaps.append(Gap(subject=f"{what} margin ratio", reason=f"{required:f} is required of a balance of {balance:f}"))
        return []
    return [required / balance]
