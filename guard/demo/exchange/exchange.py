"""The demo exchange itself: market, accounts, and the engine that marks to market and liquidates.

Published rule: an isolated position is liquidated when its wallet and unrealized PnL fall to its maintenance margin;
the cross positions of a wallet, all of them, when the wallet and their unrealized PnL fall to the sum of theirs. What a
liquidation costs is the worst case: an isolated position's whole wallet, or the whole cross wallet.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from guard.demo.exchange.faults import Faults
from guard.demo.exchange.ledger import (
    AccountChange,
    ConditionalOrder,
    DemoAccount,
    DemoPosition,
    Fill,
    IncomeRow,
    MarginChangeRow,
    OpenOrder,
    asset_price,
    cross_balance,
    pool_of,
    total_maintenance,
)
from guard.demo.exchange.market import DEFAULT_MARKS, QUOTES, Market
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
        self.market.set_marks({**DEFAULT_MARKS, **(marks or {})}, self.now())

    @property
    def marks(self) -> Mapping[str, Decimal]:
        return self.market.marks

    def now(self) -> datetime:
        """Return the exchange's clock (aware UTC), off by what the clock-skew faults say."""
        return self._now() + self.faults.clock_skew()

    def add_account(self, account: DemoAccount) -> DemoAccount:
        """Add it. Raises ValueError for a key that is taken or a coin that has no price here."""
        if account.api_key in self.accounts:
            raise ValueError("that api key is taken")
        unpriced = [asset for asset in account.balances if asset not in QUOTES and f"{asset}USDT" not in self.marks]
        if unpriced:
            raise ValueError(f"{account.name}: {', '.join(unpriced)}: no such coin is listed")
        self.accounts[account.api_key] = account
        return account

    def set_mark(self, symbol: str, mark: Decimal) -> list[LiquidationEvent]:
        return self.set_marks({symbol: mark})

    def set_marks(self, marks: Mapping[str, Decimal]) -> list[LiquidationEvent]:
        """Set prices that move in the same instant, all or none; return what that liquidated. Raises ValueError."""
        liquidated_before = len(self.liquidations)
        self.market.set_marks(marks, self.now())
        for account in self.accounts.values():
            self._liquidate(account)
        self._wake()
        return self.liquidations[liquidated_before:]

    def on_news(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after every change of marks or of an account; returns what ends that."""
        self._listeners.add(wake)
        return lambda: self._listeners.discard(wake)

    def tell(self, account: DemoAccount, reason: str, symbol: str, position_side: str) -> None:
        """Note what the account's stream is to tell, and have it told."""
        account.changes.append(AccountChange(reason=reason, symbol=symbol, position_side=position_side, at=self.now()))
        self._wake()

    def _wake(self) -> None:
        for wake in tuple(self._listeners):
            wake()

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
        held, cost = (before.quantity, before.quantity * before.entry_price) if before else (Decimal(0), Decimal(0))
        margin = isolated_wallet if isolated_wallet is not None else quantity * price / leverage
        in_it = (before and before.isolated_wallet) or Decimal(0)
        position = DemoPosition(
            symbol=symbol,
            position_side=position_side,
            side=side,
            quantity=held + quantity,
            entry_price=(cost + quantity * price) / (held + quantity),
            leverage=leverage,
            isolated_wallet=in_it + margin if margin_mode is MarginMode.ISOLATED else None,
            updated_at=self.now(),
        )
        _check_opening(account, position)
        if margin_mode is MarginMode.ISOLATED:
            self._fund(account, position, margin)
        account.choices[symbol] = replace(account.choice(symbol), margin_mode=margin_mode, leverage=leverage)
        account.positions[position.leg] = position
        self.tell(account, "ORDER", *position.leg)
        return position

    def _fund(self, account: DemoAccount, position: DemoPosition, margin: Decimal) -> None:
        """Move a new position's margin out of the cross wallet. Raises ValueError."""
        if account.balances.get(position.asset, Decimal(0)) < margin:
            raise ValueError(f"{account.name}: {margin} {position.asset} of margin is more than the wallet holds")
        account.change_wallet(position.asset, -margin)
        account.margin_changes.append(
            MarginChangeRow(
                symbol=position.symbol,
                position_side=position.position_side,
                change_type=1,
                delta_type="TRADE",
                amount=margin,
                at=position.updated_at,
            )
        )

    def close_position(self, account: DemoAccount, symbol: str, side: Side) -> None:
        """Close a position at the mark price; its margin and PnL go to the cross wallet. Raises KeyError."""
        leg = (symbol, side.name if account.hedge_mode else "BOTH")
        position = account.positions.pop(leg)
        margin, profit = position.isolated_wallet or Decimal(0), position.unrealized_pnl(self.marks)
        account.change_wallet(position.asset, margin + profit)
        self._book(account, position, "REALIZED_PNL", profit)
        self._fill(account, position, is_liquidation=False)

    def _fill(self, account: DemoAccount, position: DemoPosition, *, is_liquidation: bool) -> None:
        """Note what closed a position at the mark; its stops go with it."""
        account.stops = [stop for stop in account.stops if (stop.symbol, stop.position_side) != position.leg]
        account.fills.append(
            Fill(
                order_id=next(self._order_ids),
                symbol=position.symbol,
                position_side=position.position_side,
                closes=position.side,
                price=self.marks[position.symbol],
                quantity=position.quantity,
                pnl=position.unrealized_pnl(self.marks),
                at=self.now(),
                is_liquidation=is_liquidation,
            )
        )
        self.tell(account, "INSURANCE_CLEAR" if is_liquidation else "ORDER", *position.leg)

    def place_stop(self, account: DemoAccount, *, symbol: str, closes: Side, trigger_price: Decimal) -> None:
        """List an order that would close a position of this side at a mark. It reserves nothing."""
        account.stops.append(
            ConditionalOrder(
                order_id=next(self._order_ids),
                symbol=symbol,
                position_side=closes.name if account.hedge_mode else "BOTH",
                closes=closes,
                trigger_price=trigger_price,
                placed_at=self.now(),
            )
        )

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

    def _book(self, account: DemoAccount, position: DemoPosition, income_type: str, amount: Decimal) -> None:
        account.income.append(IncomeRow(symbol=position.symbol, income_type=income_type, amount=amount, at=self.now()))

    def _record(self, account: DemoAccount, position: DemoPosition, loss: Decimal) -> None:
        self._fill(account, position, is_liquidation=True)
        self._book(account, position, "INSURANCE_CLEAR", -loss)
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


def _check_opening(account: DemoAccount, wanted: DemoPosition) -> None:
    """Raise ValueError for a position that a real exchange would not open."""
    before = account.positions.get(wanted.leg)
    if account.multi_assets and wanted.isolated_wallet is not None:
        raise ValueError(f"{account.name}: no isolated positions in multi-assets mode")
    if before is not None and before.side is not wanted.side:
        raise ValueError(f"{account.name}: {wanted.symbol} is {before.side.word} already: close it first")
    legs = [position for position in account.positions.values() if position.symbol == wanted.symbol]
    if any((leg.isolated_wallet is None) != (wanted.isolated_wallet is None) for leg in legs):
        raise ValueError(f"{account.name}: {wanted.symbol} has a position in the other margin mode")
    if any(leg.leverage != wanted.leverage for leg in legs):
        raise ValueError(
            f"{account.name}: {wanted.symbol} has a position with another leverage: there is one per symbol"
        )
