"""One reading of one account: positions, wallets, and what could not be seen."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from guard.snapshot.contract import Contract, Liquidation, MarginMode, Purse, Side


class AssetMode(StrEnum):
    """What backs the cross positions: each settle currency its own (SINGLE), or all assets together (MULTI)."""

    SINGLE = "single"
    MULTI = "multi"


@dataclass(frozen=True, slots=True, order=True)
class PositionKey:
    """Which position of an account: a one-way position and a hedge leg of the same side have the same key."""

    symbol: str
    side: Side

    def __str__(self) -> str:
        return f"{self.symbol} {self.side.word}"

    @property
    def settle(self) -> str:
        """The currency it settles in: BTC of BTC/USD:BTC, and of BTC/USD:BTC-261225."""
        return self.symbol.partition(":")[2].partition("-")[0]

    @property
    def opposite(self) -> "PositionKey":
        """The other side of the same symbol."""
        return PositionKey(self.symbol, Side(-self.side))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something we failed to see, and why. Never replaced by a zero or an empty list.

    `key` names the position when it is one that we know to exist or fear to exist; None when the gap is wider.
    """

    subject: str  # For people: "ETH/USDT:USDT long", "tiers", "wallet USDT".
    reason: str  # "markPrice is 'NaN'", "timed out after 8 s".
    key: PositionKey | None = None
    may_be_cross: bool = False  # Behind it may stand a position that leans on the cross wallet.
    wallet: str | None = None  # By its name, the only wallet that it may lean on. None: any.


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A mark price and when the exchange stated it (aware UTC), or, where it does not say so, when it came."""

    symbol: str
    price: Decimal
    at: datetime
    index_price: Decimal | None = None  # What the coin costs on spot markets. None: not stated with it.
    is_dated: bool = True  # False: it came by itself without a date, and may be an old one said again.


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """An open position as the exchange's own payload states it."""

    contract: Contract
    side: Side
    margin_mode: MarginMode
    quantity: Decimal  # Contracts, positive.
    entry_price: Decimal
    mark_price: Decimal
    isolated_wallet: Decimal | None  # Margin in it without unrealized PnL, settle currency. None: cross.
    leverage: Decimal | None  # As chosen by the user. None: the exchange did not say.
    hedged: bool  # The account keeps long and short of a symbol apart.
    auto_add_margin: bool | None  # The exchange itself tops it up. None: not known.
    exchange_liquidation: Liquidation
    exchange_maintenance_margin: Decimal | None  # Settle currency. None: not stated.
    updated_at: datetime | None  # The exchange's own time of the last change.

    @property
    def key(self) -> PositionKey:
        return PositionKey(self.contract.symbol, self.side)


@dataclass(frozen=True, slots=True, kw_only=True)
class HaircutTier:
    """From this balance on, what is above it counts with this haircut. Slice by slice, as an income tax."""

    balance_floor: Decimal  # Asset units; the first tier's is zero.
    haircut: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """One asset of a margin balance. Counted value = wallet_balance * price * (1 - haircut); a debt counts in full."""

    asset: str
    wallet_balance: Decimal  # Asset units, without unrealized PnL, without what isolated positions hold.
    price: Decimal  # In the pool's currency.
    haircut: Decimal  # Fraction: 0.05 means that 95 % counts.
    haircut_tiers: tuple[HaircutTier, ...] = ()  # Where given they hold instead of `haircut`.
    surcharge: Decimal = Decimal(
        0
    )  # On a debt, and on the requirement of what settles in it: 0.01 makes 100 count 101.


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """One settle currency's wallet: it backs the cross positions and pays margin into isolated ones."""

    currency: str
    cross_wallet_balance: Decimal  # Without unrealized PnL, without what isolated positions hold.
    cross_unrealized_pnl: Decimal
    available: Decimal  # The exchange's own figure for what may move into isolated margin now.
    name: str = ""  # As in `Contract.wallet`.

    @property
    def purse(self) -> Purse:
        return Purse(self.currency, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """Everything one cycle read of one account. Times are aware UTC, taken when each request was started."""

    account: str  # The user's name for it.
    exchange: str  # The ccxt id.
    asset_mode: AssetMode
    positions: tuple[Position, ...]
    wallets: tuple[Wallet, ...]
    positions_read_at: datetime
    wallets_read_at: datetime
    exchange_margin_ratio: Decimal | None  # The account's own ratio, turned so that 1 is liquidation. None: not stated.
    gaps: tuple[Gap, ...] = ()

    def age(self, now: datetime) -> timedelta:
        """Return the age of the older of wallets and positions."""
        return now - min(self.positions_read_at, self.wallets_read_at)

    def wallet(self, currency: str, name: str = "") -> Wallet | None:
        """Return a wallet of a settle currency; None when the exchange listed none."""
        return next((wallet for wallet in self.wallets if wallet.purse == (currency, name)), None)

    def unseen_in_cross(self, currency: str | None, wallet: str = "") -> tuple[Gap, ...]:
        """Return the gaps behind which a position may lean on a currency's cross wallet. None: on any wallet."""
        listed = {position.key for position in self.positions}
        return tuple(
            gap
            for gap in self.gaps
            if gap.may_be_cross
            and gap.key not in listed
            and (currency is None or gap.wallet in {None, wallet})
            and (gap.key is None or currency is None or gap.key.settle == currency)
        )
