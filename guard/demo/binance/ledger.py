"""Accounts and positions of the demo exchange, with its own arithmetic: it knows nothing of guard's model.

Source of the rules: Binance's published liquidation price and margin formulas for USD-M futures (single-asset mode).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from guard.demo.binance.brackets import Bracket, bracket_at, brackets_of, maintenance

ZERO = Decimal(0)
ASSET = "USDT"


@dataclass(slots=True, kw_only=True)
class Holding:
    """One open position. `amount` is signed base units."""

    symbol: str
    amount: Decimal
    entry_price: Decimal
    leverage: int
    position_side: str  # BOTH, LONG or SHORT.
    isolated_wallet: Decimal | None  # None: cross.
    updated_ms: int
    auto_add_margin: bool = False

    @property
    def is_isolated(self) -> bool:
        return self.isolated_wallet is not None

    @property
    def sign(self) -> int:
        return 1 if self.amount > 0 else -1

    def notional(self, mark: Decimal) -> Decimal:
        return abs(self.amount) * mark

    def pnl(self, mark: Decimal) -> Decimal:
        return self.amount * (mark - self.entry_price)

    def maintenance(self, mark: Decimal) -> Decimal:
        return maintenance(brackets_of(self.symbol), self.notional(mark))

    def initial_margin(self, mark: Decimal) -> Decimal:
        return self.notional(mark) / self.leverage


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row of the margin adjustment history."""

    symbol: str
    position_side: str
    kind: str  # USER_ADJUST or TRADE.
    amount: Decimal
    time_ms: int
    added: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidated:
    """A position that the exchange took. `loss` is the margin that went with it."""

    account: str
    symbol: str
    side: str
    margin_mode: str
    mark_price: Decimal
    loss: Decimal
    time_ms: int


@dataclass(slots=True, kw_only=True)
class DemoAccount:
    """One customer. `wallet` is the cross wallet: what isolated positions hold is not in it."""

    name: str
    api_key: str
    secret: str
    wallet: Decimal = ZERO
    hedge_mode: bool = False
    multi_assets: bool = False
    holdings: list[Holding] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    liquidated: list[Liquidated] = field(default_factory=list)
    scopes: dict[str, bool] = field(default_factory=dict)  # Overrides of the key's restrictions.

    def cross(self) -> Iterator[Holding]:
        return (holding for holding in self.holdings if not holding.is_isolated)

    def cross_pnl(self, marks: Mapping[str, Decimal]) -> Decimal:
        return sum((holding.pnl(marks[holding.symbol]) for holding in self.cross()), ZERO)

    def cross_maintenance(self, marks: Mapping[str, Decimal]) -> Decimal:
        return sum((holding.maintenance(marks[holding.symbol]) for holding in self.cross()), ZERO)

    def available(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return what may move into isolated margin: the cross balance less the initial margin of cross positions."""
        used = sum((holding.initial_margin(marks[holding.symbol]) for holding in self.cross()), ZERO)
        pnl = self.cross_pnl(marks)
        return max(ZERO, self.wallet + pnl - used)

    def equity(self, marks: Mapping[str, Decimal]) -> Decimal:
        held = sum((holding.isolated_wallet or ZERO for holding in self.holdings), ZERO)
        return self.wallet + held + sum((holding.pnl(marks[holding.symbol]) for holding in self.holdings), ZERO)

    def find(self, symbol: str, position_side: str) -> Holding | None:
        return next((one for one in self.holdings if (one.symbol, one.position_side) == (symbol, position_side)), None)

    def mark_to_market(self, marks: Mapping[str, Decimal], time_ms: int) -> list[Liquidated]:
        """Take every position that the rule takes at these marks, and return them."""
        taken = [
            self._take(holding, marks, -(holding.isolated_wallet or ZERO), time_ms)
            for holding in self.holdings
            if holding.isolated_wallet is not None
            and holding.isolated_wallet + holding.pnl(marks[holding.symbol])
            <= holding.maintenance(marks[holding.symbol])
        ]
        if any(self.cross()) and self.wallet + self.cross_pnl(marks) <= self.cross_maintenance(marks):
            share = -self.wallet / sum(1 for _ in self.cross())
            taken += [self._take(holding, marks, share, time_ms) for holding in self.cross()]
            self.wallet = ZERO
        gone = {(one.symbol, one.side, one.margin_mode) for one in taken}
        self.holdings = [one for one in self.holdings if (one.symbol, _side(one), _mode(one)) not in gone]
        self.liquidated += taken
        return taken

    def _take(self, holding: Holding, marks: Mapping[str, Decimal], loss: Decimal, time_ms: int) -> Liquidated:
        return Liquidated(
            account=self.name,
            symbol=holding.symbol,
            side=_side(holding),
            margin_mode=_mode(holding),
            mark_price=marks[holding.symbol],
            loss=-loss,
            time_ms=time_ms,
        )


def liquidation_price(account: DemoAccount, holding: Holding, marks: Mapping[str, Decimal]) -> Decimal:
    """Return the exchange's own liquidation price of a position, unrounded; 0 where no positive price liquidates it.

    Source: Binance FAQ "How to calculate liquidation price of USD-M futures contracts": both hedge legs of a cross
    symbol share one price, other symbols stand still. The bracket of each leg is the one that its notional has at the
    answer: every combination is tried, and the answer that fits its own brackets and lies nearest to the mark holds.
    """
    mark = marks[holding.symbol]
    legs = [holding]
    if holding.isolated_wallet is not None:
        balance = holding.isolated_wallet
    else:
        legs = [one for one in account.cross() if one.symbol == holding.symbol]
        others = [one for one in account.cross() if one.symbol != holding.symbol]
        balance = account.wallet + sum(
            (one.pnl(marks[one.symbol]) - one.maintenance(marks[one.symbol]) for one in others), ZERO
        )
    answers = [price for choice in _choices(holding.symbol, len(legs)) if (price := _solve(balance, legs, choice)) > 0]
    return min(answers, key=lambda price: abs(price - mark), default=ZERO)


def _solve(balance: Decimal, legs: list[Holding], choice: tuple[Bracket, ...]) -> Decimal:
    """Solve balance + sum of pnl(P) = sum of maintenance(P) under a choice of brackets; 0 when P does not fit it."""
    top = balance + sum(bracket.cum for bracket in choice) - sum(leg.amount * leg.entry_price for leg in legs)
    bottom = sum(abs(leg.amount) * bracket.rate - leg.amount for leg, bracket in zip(legs, choice, strict=True))
    if bottom == 0:
        return ZERO
    price = top / bottom
    fits = all(
        bracket_at(brackets_of(leg.symbol), leg.notional(price)) == bracket
        for leg, bracket in zip(legs, choice, strict=True)
        if price > 0
    )
    return price if price > 0 and fits else ZERO


def _choices(symbol: str, legs: int) -> Iterator[tuple[Bracket, ...]]:
    rows = brackets_of(symbol)
    if legs == 1:
        yield from ((row,) for row in rows)
        return
    yield from ((one, other) for one in rows for other in rows)


def _side(holding: Holding) -> str:
    return "long" if holding.amount > 0 else "short"


def _mode(holding: Holding) -> str:
    return "isolated" if holding.is_isolated else "cross"
