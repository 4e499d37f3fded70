"""The demo exchange itself: market, accounts, and the engine that marks to market and liquidates.

Published rule: an isolated position is liquidated when its wallet and unrealized PnL fall to its maintenance margin;
the cross positions of a wallet, all of them, when the wallet and their unrealized PnL fall to the sum of theirs. What a
liquidation costs is the worst case: an isolated position's whole wallet, or the whole cross wallet.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from guard.demo.exchange.faults import Faults
from guard.demo.exchange.ledger import (
    DemoAccount,
    DemoPosition,
    MarginChangeRow,
    OpenOrder,
    SymbolChoice,
    asset_price,
    cross_balance,
    margin_asset,
    pool_of,
    total_maintenance,
)
from guard.demo.exchange.market import DEFAULT_MARKS, Market
from guard.snapshot import MarginMode, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationEvent:
    """One position that the exchange took. Money in the margin asset."""

    account: str
    at: datetime
    symbol: str
    side: Side
    margin_mode: MarginMode
    quantity: Decimal
    entry_price: Decimal
    mark: Decimal
    loss: Decimal  # Of the isolated wallet, or this position's share (by notional) of the cross wallet.


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginPost:
    """One request to move margin that arrived, whatever became of its answer."""

    at: datetime
    account: str | None  # None: no known key.
    fields: Mapping[str, str]  # As sent, without signature.
    applied: bool
    code: int  # 200, or the exchange's error code; 0 when a fault kept it from being looked at.
    fault: str | None


class DemoExchange:
    """Symbols, accounts, faults and records of one exchange. Serve it with `serve`.

    `marks` adds symbols to the five that are always listed, or sets their first price.
    """

    def __init__(
        self, marks: Mapping[str, Decimal] | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.market = Market()
        self.accounts: dict[str, DemoAccount] = {}  # By api key.
        self.liquidations: list[LiquidationEvent] = []
        self.margin_posts: list[MarginPost] = []
        self.requests: Counter[tuple[str, str]] = Counter()  # By method and path.
        self.faults = Faults()
        self.push_gap = timedelta(0)  # The shortest time between two pushes on one stream connection.
        self._now = now
        self._order_ids = count(1)
        self._listeners: set[Callable[[], None]] = set()
        for symbol, mark in {**DEFAULT_MARKS, **(marks or {})}.items():
            self.market.set_mark(symbol, mark, self.now())

    @property
    def marks(self) -> Mapping[str, Decimal]:
        return self.market.marks

    def now(self) -> datetime:
        """Return the exchange's clock (aware UTC), off by what the clock-skew faults say."""
        return self._now() + self.faults.clock_skew()

    def add_account(self, account: DemoAccount) -> DemoAccount:
        if account.api_key in self.accounts:
            raise ValueError("that api key is taken")
        self.accounts[account.api_key] = account
        return account

    def set_mark(self, symbol: str, mark: Decimal) -> None:
        self.set_marks({symbol: mark})

    def set_marks(self, marks: Mapping[str, Decimal]) -> None:
        """Set prices that move in the same instant, then liquidate what they liquidate, then tell the streams."""
        now = self.now()
        for symbol, mark in marks.items():
            self.market.set_mark(symbol, mark, now)
        for account in self.accounts.values():
            self._liquidate(account)
        for wake in tuple(self._listeners):
            wake()

    def on_marks(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after every change of marks; returns what ends that."""
        self._listeners.add(wake)
        return lambda: self._listeners.discard(wake)

    def open_position(
        self,
        account: DemoAccount,
        *,
        symbol: str,
        side: Side,
        quantity: Decimal,
        leverage: int = 10,
        margin_mode: MarginMode = MarginMode.ISOLATED,
        entry_price: Decimal | None = None,
        isolated_wallet: Decimal | None = None,
    ) -> DemoPosition:
        """Open a position, or add to it at its average entry. Entry at the mark price unless given.

        Isolated: `isolated_wallet`, or entry notional / leverage, moves out of the cross wallet. Raises ValueError for
        what a real exchange would refuse.
        """
        price = entry_price if entry_price is not None else self.marks[symbol]
        position_side = side.name if account.hedge_mode else "BOTH"
        before = account.positions.get((symbol, position_side))
        _check_opening(account, symbol, side, margin_mode, before)
        wallet = None
        if margin_mode is MarginMode.ISOLATED:
            margin = isolated_wallet if isolated_wallet is not None else quantity * price / leverage
            self._fund(account, symbol, position_side, margin)
            wallet = margin + ((before and before.isolated_wallet) or Decimal(0))
        held, cost = (before.quantity, before.quantity * before.entry_price) if before else (Decimal(0), Decimal(0))
        position = DemoPosition(
            symbol=symbol,
            position_side=position_side,
            side=side,
            quantity=held + quantity,
            entry_price=(cost + quantity * price) / (held + quantity),
            leverage=leverage,
            isolated_wallet=wallet,
            updated_at=self.now(),
        )
        account.choices[symbol] = SymbolChoice(margin_mode=margin_mode, leverage=leverage)
        account.positions[position.leg] = position
        return position

    def _fund(self, account: DemoAccount, symbol: str, position_side: str, margin: Decimal) -> None:
        asset = margin_asset(symbol)
        if account.balances.get(asset, Decimal(0)) < margin:
            raise ValueError(f"{account.name}: {margin} {asset} of margin is more than the wallet holds")
        account.change_wallet(asset, -margin)
        account.margin_changes.append(
            MarginChangeRow(
                symbol=symbol,
                position_side=position_side,
                change_type=1,
                delta_type="TRADE",
                amount=margin,
                at=self.now(),
            )
        )

    def close_position(self, account: DemoAccount, symbol: str, side: Side) -> None:
        """Close a position at the mark price; its margin and PnL go to the cross wallet. Raises KeyError."""
        leg = (symbol, side.name if account.hedge_mode else "BOTH")
        position = account.positions.pop(leg)
        margin = position.isolated_wallet or Decimal(0)
        account.change_wallet(position.asset, margin + position.unrealized_pnl(self.marks))

    def place_order(
        self, account: DemoAccount, *, symbol: str, side: Side, price: Decimal, quantity: Decimal
    ) -> OpenOrder:
        """Place a resting order, which reserves margin and is never filled."""
        order = OpenOrder(
            order_id=next(self._order_ids),
            symbol=symbol,
            position_side=side.name if account.hedge_mode else "BOTH",
            side=side,
            price=price,
            quantity=quantity,
            placed_at=self.now(),
        )
        account.orders.append(order)
        return order

    def _liquidate(self, account: DemoAccount) -> None:
        for position in account.isolated():
            balance = (position.isolated_wallet or Decimal(0)) + position.unrealized_pnl(self.marks)
            if balance <= position.maintenance_margin(self.marks):
                self._take_isolated(account, position)
        for pool in self._pools(account):
            if cross_balance(account, pool[0].asset, self.marks) <= total_maintenance(pool, self.marks):
                self._take_pool(account, pool)

    def _pools(self, account: DemoAccount) -> Iterator[list[DemoPosition]]:
        pools = {tuple(one.leg for one in pool): pool for pool in (pool_of(account, p) for p in account.cross())}
        yield from pools.values()

    def _take_isolated(self, account: DemoAccount, position: DemoPosition) -> None:
        account.orders = [order for order in account.orders if order.symbol != position.symbol]
        del account.positions[position.leg]
        self._record(account, position, position.isolated_wallet or Decimal(0))

    def _take_pool(self, account: DemoAccount, pool: list[DemoPosition]) -> None:
        """Take every position of a pool, and all that backed it."""
        lost: dict[str, Decimal] = {}
        for asset in tuple(account.balances) if account.multi_assets else (pool[0].asset,):
            lost[asset] = max(Decimal(0), account.balances.get(asset, Decimal(0)))
            account.balances[asset] = Decimal(0)
        account.orders.clear()
        loss = sum((amount * asset_price(asset, self.marks) for asset, amount in lost.items()), Decimal(0))
        notional = sum((position.notional(self.marks) for position in pool), Decimal(0))
        for position in pool:
            del account.positions[position.leg]
            self._record(account, position, loss * position.notional(self.marks) / notional)

    def _record(self, account: DemoAccount, position: DemoPosition, loss: Decimal) -> None:
        self.liquidations.append(
            LiquidationEvent(
                account=account.name,
                at=self.now(),
                symbol=position.symbol,
                side=position.side,
                margin_mode=MarginMode.CROSS if position.isolated_wallet is None else MarginMode.ISOLATED,
                quantity=position.quantity,
                entry_price=position.entry_price,
                mark=self.marks[position.symbol],
                loss=loss,
            )
        )


def _check_opening(
    account: DemoAccount, symbol: str, side: Side, margin_mode: MarginMode, before: DemoPosition | None
) -> None:
    """Raise ValueError for a position that a real exchange would not open."""
    if account.multi_assets and margin_mode is MarginMode.ISOLATED:
        raise ValueError(f"{account.name}: no isolated positions in multi-assets mode")
    if before is not None and before.side is not side:
        raise ValueError(f"{account.name}: {symbol} is {before.side.word} already: close it first")
    legs = [position for position in account.positions.values() if position.symbol == symbol]
    if any((leg.isolated_wallet is None) != (margin_mode is MarginMode.CROSS) for leg in legs):
        raise ValueError(f"{account.name}: {symbol} has a position in the other margin mode")
