"""Accounts of the demo exchange and what they come to: wallets, positions, equity, what is available, what is due.

Amounts are in the margin asset and follow the published rules of single-asset mode; multi-assets mode sums all assets
in dollars, positive ones at their collateral rate. No fees and no funding are charged.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from guard.demo.exchange.brackets import brackets_of, maintenance_margin
from guard.demo.exchange.liquidation import PricedLeg, liquidation_price
from guard.demo.exchange.market import QUOTES
from guard.snapshot import MarginMode, Side

# Multi-assets mode: the share of an asset's value that counts.
COLLATERAL_RATES: Mapping[str, Decimal] = {
    "USDT": Decimal(1),
    "USDC": Decimal(1),
    "BTC": Decimal("0.95"),
    "ETH": Decimal("0.95"),
    "SOL": Decimal("0.9"),
    "XRP": Decimal("0.9"),
    "DOGE": Decimal("0.9"),
}

Leg = tuple[str, str]  # Symbol and positionSide (BOTH, LONG or SHORT): what names a position.
Marks = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPosition:
    symbol: str
    position_side: str
    side: Side
    quantity: Decimal  # Base units, positive.
    entry_price: Decimal
    leverage: int
    isolated_wallet: Decimal | None  # Without unrealized PnL. None: cross.
    updated_at: datetime

    @property
    def leg(self) -> Leg:
        return self.symbol, self.position_side

    @property
    def asset(self) -> str:
        return margin_asset(self.symbol)

    def notional(self, marks: Marks) -> Decimal:
        return self.quantity * marks[self.symbol]

    def unrealized_pnl(self, marks: Marks) -> Decimal:
        return self.side * self.quantity * (marks[self.symbol] - self.entry_price)

    def initial_margin(self, marks: Marks) -> Decimal:
        return self.notional(marks) / self.leverage

    def maintenance_margin(self, marks: Marks) -> Decimal:
        return maintenance_margin(brackets_of(self.symbol), self.notional(marks))

    def priced(self) -> PricedLeg:
        return PricedLeg(sign=int(self.side), quantity=self.quantity, entry_price=self.entry_price)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalOrder:
    """A stop that closes a whole position at the mark. It is listed, and never triggered here."""

    order_id: int
    symbol: str
    position_side: str
    closes: Side  # The side of the position.
    trigger_price: Decimal
    placed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What closed a position, all of it."""

    order_id: int
    symbol: str
    position_side: str
    closes: Side  # The side of the position.
    price: Decimal
    quantity: Decimal
    pnl: Decimal
    at: datetime
    is_liquidation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """A resting limit order: it reserves margin and makes a row, and is never filled."""

    order_id: int
    symbol: str
    position_side: str
    side: Side  # What it would buy (LONG) or sell (SHORT).
    price: Decimal
    quantity: Decimal
    placed_at: datetime

    @property
    def leg(self) -> Leg:
        return self.symbol, self.position_side

    @property
    def notional(self) -> Decimal:
        return self.price * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginChangeRow:
    """One row of the adjustment history."""

    symbol: str
    position_side: str
    change_type: int  # 1 added, 2 taken away.
    delta_type: str  # USER_ADJUST for requests; TRADE when a position took its margin.
    amount: Decimal  # Positive.
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomeRow:
    """One row of what was booked to the wallet: here what a closed or liquidated position left."""

    symbol: str
    income_type: str
    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolChoice:
    """What the account's owner chose for one symbol."""

    margin_mode: MarginMode = MarginMode.CROSS
    leverage: int = 20
    auto_add_margin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPermissions:
    """What the account's key may do, as GET /sapi/v1/account/apiRestrictions tells."""

    futures: bool = True
    withdrawals: bool = False
    internal_transfer: bool = False
    universal_transfer: bool = False
    ip_restricted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """Something that the account's stream tells of."""

    reason: str  # The exchange's word.
    symbol: str
    position_side: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class DemoAccount:
    """One account and its only key. It changes as the market does: the exchange owns and changes it."""

    name: str
    api_key: str
    secret: str = field(repr=False)
    balances: dict[str, Decimal]  # Cross wallets: without unrealized PnL and without what isolated positions hold.
    hedge_mode: bool = False
    multi_assets: bool = False
    permissions: KeyPermissions = KeyPermissions()
    positions: dict[Leg, DemoPosition] = field(default_factory=dict)
    choices: dict[str, SymbolChoice] = field(default_factory=dict)
    orders: list[OpenOrder] = field(default_factory=list)
    stops: list[ConditionalOrder] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    margin_changes: list[MarginChangeRow] = field(default_factory=list)
    income: list[IncomeRow] = field(default_factory=list)
    changes: list[AccountChange] = field(default_factory=list)

    @property
    def listen_key(self) -> str:
        """Return what its stream is opened with: the same for every program of the account."""
        return hashlib.sha256(f"stream of {self.secret}".encode()).hexdigest()

    def choice(self, symbol: str) -> SymbolChoice:
        return self.choices.get(symbol, SymbolChoice())

    def isolated(self) -> list[DemoPosition]:
        return [position for position in self.positions.values() if position.isolated_wallet is not None]

    def cross(self, asset: str | None = None) -> list[DemoPosition]:
        """Return cross positions; with an asset only those that its wallet backs."""
        cross = [position for position in self.positions.values() if position.isolated_wallet is None]
        return [position for position in cross if asset in {None, position.asset}]

    def change_wallet(self, asset: str, amount: Decimal) -> None:
        self.balances[asset] = self.balances.get(asset, Decimal(0)) + amount


def margin_asset(symbol: str) -> str:
    return next(quote for quote in QUOTES if symbol.endswith(quote))


def total_pnl(positions: Iterable[DemoPosition], marks: Marks) -> Decimal:
    return sum((position.unrealized_pnl(marks) for position in positions), Decimal(0))


def total_maintenance(positions: Iterable[DemoPosition], marks: Marks) -> Decimal:
    return sum((position.maintenance_margin(marks) for position in positions), Decimal(0))


def total_initial(positions: Iterable[DemoPosition], marks: Marks) -> Decimal:
    return sum((position.initial_margin(marks) for position in positions), Decimal(0))


def order_margin(account: DemoAccount, asset: str) -> Decimal:
    """Return what resting orders reserve of an asset."""
    mine = [order for order in account.orders if margin_asset(order.symbol) == asset]
    return sum((order.notional / account.choice(order.symbol).leverage for order in mine), Decimal(0))


def wallet_balance(account: DemoAccount, asset: str) -> Decimal:
    """Return the whole wallet of an asset: the cross wallet and what isolated positions hold of it."""
    held = [
        position.isolated_wallet or Decimal(0) for position in account.positions.values() if position.asset == asset
    ]
    return account.balances.get(asset, Decimal(0)) + sum(held, Decimal(0))


def equity(account: DemoAccount, marks: Marks) -> Decimal:
    """Return what the account is worth in dollars now: wallets and unrealized PnL, no haircut."""
    assets = {*account.balances, *(position.asset for position in account.positions.values())}
    wallets = sum((wallet_balance(account, asset) * asset_price(asset, marks) for asset in assets), Decimal(0))
    return wallets + total_pnl(account.positions.values(), marks)


def asset_price(asset: str, marks: Marks) -> Decimal:
    """Return an asset's price in dollars. Raises KeyError for a coin that is not listed."""
    return Decimal(1) if asset in QUOTES else marks[f"{asset}USDT"]


def available(account: DemoAccount, asset: str, marks: Marks) -> Decimal:
    """Return what new margin may take: margin balance less initial margins and order margins, never negative."""
    if account.multi_assets:
        margins = total_initial(account.cross(), marks) + sum(
            (order_margin(account, one) for one in QUOTES), Decimal(0)
        )
        return max(Decimal(0), (multi_assets_equity(account, marks) - margins) / asset_price(asset, marks))
    cross = account.cross(asset)
    balance = account.balances.get(asset, Decimal(0)) + total_pnl(cross, marks)
    return max(Decimal(0), balance - total_initial(cross, marks) - order_margin(account, asset))


def withdrawable(account: DemoAccount, asset: str, marks: Marks) -> Decimal:
    """Return what may leave the wallet: `available` without unrealized gains and not more than the wallet holds."""
    gains = max(Decimal(0), total_pnl(account.cross(asset), marks))
    wallet = max(Decimal(0), account.balances.get(asset, Decimal(0)))
    return max(Decimal(0), min(available(account, asset, marks) - gains, wallet))


def multi_assets_equity(account: DemoAccount, marks: Marks) -> Decimal:
    """Return the account's margin balance in dollars: every asset with its PnL, positive ones at their rate."""
    value = Decimal(0)
    for asset in {*account.balances, *(position.asset for position in account.cross())}:
        owned = account.balances.get(asset, Decimal(0)) + total_pnl(account.cross(asset), marks)
        rate = COLLATERAL_RATES.get(asset, Decimal(0)) if owned > 0 else Decimal(1)
        value += owned * asset_price(asset, marks) * rate
    return value


def cross_balance(account: DemoAccount, asset: str, marks: Marks) -> Decimal:
    """Return the margin balance that backs the cross positions of an asset."""
    if account.multi_assets:
        return multi_assets_equity(account, marks)
    return account.balances.get(asset, Decimal(0)) + total_pnl(account.cross(asset), marks)


def pool_of(account: DemoAccount, position: DemoPosition) -> list[DemoPosition]:
    """Return the cross positions that live and die with a cross position, itself included."""
    return account.cross(None if account.multi_assets else position.asset)


def liquidation_of(account: DemoAccount, position: DemoPosition, marks: Marks) -> Decimal | None:
    """Return the liquidation price as the exchange states it, unrounded. None: no positive price."""
    brackets, mark = brackets_of(position.symbol), marks[position.symbol]
    if position.isolated_wallet is not None:
        return liquidation_price([position.priced()], brackets, wallet=position.isolated_wallet, mark=mark)
    pool = pool_of(account, position)
    legs = [one for one in pool if one.symbol == position.symbol]
    others = [one for one in pool if one.symbol != position.symbol]
    wallet = cross_balance(account, position.asset, marks) - total_pnl(legs, marks) - total_maintenance(others, marks)
    return liquidation_price([leg.priced() for leg in legs], brackets, wallet=wallet, mark=mark)
