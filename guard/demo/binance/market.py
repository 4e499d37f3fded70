"""The exchange itself: markets and their marks, accounts, and what happens to both at every tick."""

import time
from collections.abc import Callable
from decimal import Decimal

from guard.demo.binance.brackets import brackets_of, maintenance
from guard.demo.binance.faults import Faults
from guard.demo.binance.ledger import ZERO, Change, DemoAccount, Holding, Liquidated

HISTORY_BARS = 1500  # One-minute bars that are kept per symbol.


class Refused(Exception):
    """The exchange's own error answer."""

    def __init__(self, code: int, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class DemoExchange:
    """Marks, accounts and faults. Every `set_mark` marks to market and liquidates. Times are exchange milliseconds."""

    def __init__(self, marks: dict[str, Decimal]) -> None:
        self.marks = dict(marks)
        self.accounts: dict[str, DemoAccount] = {}  # By API key.
        self.faults = Faults()
        self.clock_skew_ms = 0
        self.requests: dict[tuple[str, str], int] = {}  # By method and path.
        self.margin_posts: list[dict[str, str]] = []  # Every POST positionMargin that arrived, applied or not.
        self.bars: dict[str, list[list[Decimal]]] = {symbol: [] for symbol in marks}
        self.on_mark: list[Callable[[str, Decimal], None]] = []
        self.on_liquidation: list[Callable[[Liquidated], None]] = []

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.clock_skew_ms

    def add_account(self, account: DemoAccount) -> DemoAccount:
        self.accounts[account.api_key] = account
        return account

    def open_position(
        self,
        account: DemoAccount,
        symbol: str,
        amount: Decimal,
        *,
        leverage: int,
        isolated: bool,
        entry_price: Decimal | None = None,
    ) -> Holding:
        """Open a position at the mark. Isolated: its initial margin leaves the wallet and stands in its history."""
        entry = entry_price if entry_price is not None else self.marks[symbol]
        margin = abs(amount) * entry / leverage
        side = ("LONG" if amount > 0 else "SHORT") if account.hedge_mode else "BOTH"
        holding = Holding(
            symbol=symbol,
            amount=amount,
            entry_price=entry,
            leverage=leverage,
            position_side=side,
            isolated_wallet=margin if isolated else None,
            updated_ms=self.now_ms(),
        )
        if isolated:
            assert margin <= account.wallet, "not enough in the wallet for this position"
            account.wallet -= margin
            account.changes.append(
                Change(symbol=symbol, position_side=side, kind="TRADE", amount=margin, time_ms=self.now_ms())
            )
        account.holdings.append(holding)
        return holding

    def close_position(self, account: DemoAccount, holding: Holding) -> None:
        """Close at the mark; margin and PnL return to the wallet."""
        account.holdings.remove(holding)
        account.wallet += (holding.isolated_wallet or ZERO) + holding.pnl(self.marks[holding.symbol])

    def set_mark(self, symbol: str, price: Decimal) -> list[Liquidated]:
        """Move one mark; mark every account to market; return what was liquidated."""
        self.marks[symbol] = price
        self._note_bar(symbol, price)
        now = self.now_ms()
        taken = [one for account in self.accounts.values() for one in account.mark_to_market(self.marks, now)]
        for listener in self.on_mark:
            listener(symbol, price)
        for one in taken:
            for hear in self.on_liquidation:
                hear(one)
        return taken

    def change_margin(self, account: DemoAccount, symbol: str, position_side: str, amount: Decimal, kind: str) -> None:
        """Move margin between the wallet and an isolated position. Raises Refused as Binance does."""
        if account.hedge_mode == (position_side == "BOTH"):
            raise Refused(-4061, "Order's position side does not match user's setting.")
        holding = account.find(symbol, position_side)
        if holding is None:
            raise Refused(-4054, "Cannot add position margin: position is 0.")
        if holding.isolated_wallet is None:
            raise Refused(-4049, "Add margin only support for isolated position.")
        if amount <= 0:
            raise Refused(-4055, "Amount must be positive.")
        signed = amount if kind == "1" else -amount
        if signed > account.available(self.marks):
            raise Refused(-4051, "Isolated balance insufficient.")
        if signed < 0 and holding.isolated_wallet + signed < holding.initial_margin(self.marks[symbol]):
            raise Refused(-4051, "Isolated balance insufficient.")
        account.wallet -= signed
        holding.isolated_wallet += signed
        holding.updated_ms = self.now_ms()
        account.changes.append(
            Change(
                symbol=symbol,
                position_side=position_side,
                kind="USER_ADJUST",
                amount=amount,
                time_ms=self.now_ms(),
                added=signed > 0,
            )
        )

    def maintenance(self, holding: Holding) -> Decimal:
        return maintenance(brackets_of(holding.symbol), holding.notional(self.marks[holding.symbol]))

    def _note_bar(self, symbol: str, price: Decimal) -> None:
        bars = self.bars.setdefault(symbol, [])
        minute = Decimal(self.now_ms() // 60_000 * 60_000)
        if not bars or bars[-1][0] != minute:
            bars.append([minute, price, price, price, price])
            del bars[:-HISTORY_BARS]
        else:
            bar = bars[-1]
            bar[2], bar[3], bar[4] = max(bar[2], price), min(bar[3], price), price
