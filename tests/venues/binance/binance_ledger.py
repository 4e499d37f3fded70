"""What Binance computes of a position: notional, requirement, PnL, and where it is liquidated."""

from abc import abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from wire_server import WireServer
from wire_values import Holding

from guard.snapshot import Side

EIGHT = Decimal("0.00000001")
Tier = tuple[Decimal, Decimal, Decimal, Decimal]  # Floor, cap, rate, cum.


def text(amount: Decimal) -> str:
    return f"{amount.quantize(EIGHT) + 0:f}"


def tiers_of(*rows: tuple[str, str], cap: str) -> list[Tier]:
    """Build a table of (floor, rate); cum_n = floor_n * (rate_n - rate_n-1) + cum_n-1."""
    tiers: list[Tier] = []
    for number, (floor, rate) in enumerate(rows):
        top = rows[number + 1][0] if number + 1 < len(rows) else cap
        cum = Decimal(0)
        if tiers:
            cum = Decimal(floor) * (Decimal(rate) - tiers[-1][2]) + tiers[-1][3]
        tiers.append((Decimal(floor), Decimal(top), Decimal(rate), cum))
    return tiers


class BinanceLedger(WireServer):
    tables: ClassVar[Mapping[str, list[Tier]]]

    @abstractmethod
    def wire_name(self, symbol: str) -> str: ...

    @abstractmethod
    def market(self, symbol: str) -> dict[str, Any]: ...

    @abstractmethod
    def premium_index(self, symbol: str) -> Any: ...

    @abstractmethod
    def notional(self, holding: Holding, price: Decimal) -> Decimal: ...

    @abstractmethod
    def pnl(self, holding: Holding, price: Decimal) -> Decimal: ...

    @abstractmethod
    def root(self, legs: list[Holding], tiers: list[Tier], balance: Decimal) -> Decimal | None:
        """Solve the published formula for these tiers. None: it has no positive root."""

    def tier_rows(self, symbol: str) -> list[tuple[Decimal, Decimal, Decimal, Decimal | None]]:
        return list(self.tables[symbol])

    def tier_at(self, holding: Holding, price: Decimal) -> Tier:
        notional, table = self.notional(holding, price), self.tables[holding.symbol]
        return next(tier for tier in reversed(table) if notional >= tier[0])

    def maintenance(self, holding: Holding) -> Decimal:
        price = self.marks[holding.symbol]
        _, _, rate, cum = self.tier_at(holding, price)
        return self.notional(holding, price) * rate - cum

    def unrealized(self, holding: Holding) -> Decimal:
        return self.pnl(holding, self.marks[holding.symbol])

    def liquidation_of(self, symbol: str, side: Side) -> Decimal | None:
        holding = self.holdings[symbol, side]
        legs, balance = [holding], holding.margin
        if balance is None:
            currency = self.sample_of(symbol).currency
            cross = [
                one for one in self.holdings.values()
                if one.margin is None and self.sample_of(one.symbol).currency == currency
            ]  # fmt: skip
            legs = [one for one in cross if one.symbol == symbol]
            others = [one for one in cross if one.symbol != symbol]
            balance = self.wallets[currency][0] + sum(
                (self.unrealized(one) - self.maintenance(one) for one in others), Decimal(0)
            )
        price: Decimal | None = self.marks[symbol]
        for _ in range(len(self.tables[symbol]) + 2):
            tiers = [self.tier_at(leg, price) for leg in legs]
            price = self.root(legs, tiers, balance)
            if price is None or tiers == [self.tier_at(leg, price) for leg in legs]:
                return price
        raise AssertionError("the tiers of this sample's liquidation price do not settle")
