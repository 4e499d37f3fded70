"""What Hyperliquid on loopback computes: values, margins, its liquidation price by the published formula.

Sources: docs, "Liquidations" (liquidation price), "Margin tiers", "Margining", "Account abstraction modes" (standard:
a balance for each dex, and cross margin for each dex separately; seen 2026-09).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from wire_server import WireServer
from wire_values import Holding

from guard.snapshot import Side

ZERO = Decimal(0)


def usd(amount: Decimal) -> str:
    """Return an amount as the exchange prints it: without zeros at the end, but with a point."""
    text = f"{amount:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text if "." in text else f"{text}.0"


@dataclass(kw_only=True)
class WireDex:
    """A dex that somebody deployed (HIP-3)."""

    coins: Mapping[str, str]  # Unified symbol: coin, in the order of its universe.
    tables: Mapping[str, list[tuple[str, int]]]  # By coin.
    token: int = 0
    currency: str = "USDC"
    modes: Mapping[str, str] = field(default_factory=dict)  # By coin: strictIsolated, noCross.


class HyperliquidLedger(WireServer):
    """Positions of every dex. A table is a list of lower bound and highest leverage.

    The wallet of another dex is kept under "USDC xyz": its currency and its name.
    """

    coins: ClassVar[dict[str, str]]  # Of the main dex, unified symbol: coin.
    tables: ClassVar[dict[str, list[tuple[str, int]]]]  # By coin.
    deployed: dict[str, WireDex]  # By name, in the order of perpDexs.

    def dex_of(self, symbol: str) -> str:
        return next((name for name, dex in self.deployed.items() if symbol in dex.coins), "")

    def coins_at(self, dex: str) -> Mapping[str, str]:
        return self.deployed[dex].coins if dex else self.coins

    def coin_of(self, symbol: str) -> str:
        return self.coins_at(self.dex_of(symbol))[symbol]

    def table_of(self, symbol: str) -> list[tuple[str, int]]:
        dex = self.dex_of(symbol)
        return (self.deployed[dex].tables if dex else self.tables)[self.coin_of(symbol)]

    def wallet_at(self, dex: str) -> str:
        return f"{self.deployed[dex].currency} {dex}" if dex else "USDC"

    def held_at(self, dex: str) -> list[Holding]:
        return [one for one in self.holdings.values() if self.dex_of(one.symbol) == dex]

    def tier_rows(self, symbol: str) -> list[tuple[Decimal, Decimal, Decimal, Decimal | None]]:
        steps = [(Decimal(floor), Decimal(1) / (2 * leverage)) for floor, leverage in self.table_of(symbol)]
        rows: list[tuple[Decimal, Decimal, Decimal, Decimal | None]] = []
        deduction, rate_before = ZERO, ZERO
        for index, (floor, rate) in enumerate(steps):
            deduction += floor * (rate - rate_before)
            rate_before = rate
            cap = steps[index + 1][0] if index + 1 < len(steps) else Decimal("1E+18")
            rows.append((floor, cap, rate, deduction))
        return rows

    def value(self, holding: Holding) -> Decimal:
        return holding.contracts * self.marks[holding.symbol]

    def pnl(self, holding: Holding) -> Decimal:
        return holding.side * holding.contracts * (self.marks[holding.symbol] - holding.entry)

    def raw_usd(self, holding: Holding) -> Decimal:
        """Return what is left of a position without its coins: margin less the cost of a long, plus that of a short."""
        assert holding.margin is not None
        return holding.margin - holding.side * holding.contracts * holding.entry

    def margin_used(self, holding: Holding) -> Decimal:
        if holding.margin is None:
            return self.value(holding) / holding.leverage
        return holding.margin + self.pnl(holding)

    def maintenance(self, symbol: str, value: Decimal) -> Decimal:
        rows = [row for row in self.tier_rows(symbol) if row[0] <= value]
        _, _, rate, deduction = rows[-1]
        assert deduction is not None
        return value * rate - deduction

    def all_cross(self, dex: str) -> list[Holding]:
        return [one for one in self.held_at(dex) if one.margin is None]

    def cross_value(self, dex: str = "") -> Decimal:
        balance, _ = self.wallets.get(self.wallet_at(dex), (ZERO, ZERO))
        return balance + sum((self.pnl(one) for one in self.all_cross(dex)), ZERO)

    def cross_maintenance(self, dex: str = "") -> Decimal:
        return sum((self.maintenance(one.symbol, self.value(one)) for one in self.all_cross(dex)), ZERO)

    def liquidation_of(self, symbol: str, side: Side) -> Decimal | None:
        """price - side x margin available / size / (1 - l x side), by the tier of the value at that price."""
        holding = self.holdings[symbol, side]
        price, dex = self.marks[symbol], self.dex_of(symbol)
        balance, others = self.margin_used(holding), ZERO
        if holding.margin is None:
            balance = self.cross_value(dex)
            others = self.cross_maintenance(dex) - self.maintenance(symbol, self.value(holding))
        for floor, cap, rate, deduction in self.tier_rows(symbol):
            assert deduction is not None
            required = self.value(holding) * rate - deduction
            available = balance - others - required
            answer = price - side * available / holding.contracts / (1 - rate * side)
            if answer <= 0:
                return None
            if floor <= answer * holding.contracts < cap:
                return answer
        return None

    def summary(self, holdings: list[Holding], value: Decimal) -> dict[str, Any]:
        coins = sum((one.side * self.value(one) for one in holdings), ZERO)
        return {
            "accountValue": usd(value),
            "totalNtlPos": usd(sum((self.value(one) for one in holdings), ZERO)),
            "totalRawUsd": usd(value - coins),
            "totalMarginUsed": usd(sum((self.margin_used(one) for one in holdings), ZERO)),
        }

    def clearinghouse_state(self, dex: str = "") -> dict[str, Any]:
        held = self.held_at(dex)
        isolated = sum((self.margin_used(one) for one in held if one.margin is not None), ZERO)
        rows = [{"type": "oneWay", "position": self.position(one)} for one in held]
        rows += [
            {"type": "oneWay", "position": self.flat(symbol)}
            for symbol in self.closed_rows
            if self.dex_of(symbol) == dex
        ]
        return {
            "marginSummary": self.summary(held, self.cross_value(dex) + isolated),
            "crossMarginSummary": self.summary(self.all_cross(dex), self.cross_value(dex)),
            "crossMaintenanceMarginUsed": usd(self.cross_maintenance(dex)),
            "withdrawable": usd(self.wallets.get(self.wallet_at(dex), (ZERO, ZERO))[1]),
            "assetPositions": rows,
            "time": self.now_ms(),
        }

    def position(self, holding: Holding) -> dict[str, Any]:
        liquidation = self.liquidation_of(holding.symbol, holding.side)
        leverage: dict[str, Any] = {"type": "cross", "value": holding.leverage}
        if holding.margin is not None:
            leverage = {"type": "isolated", "value": holding.leverage, "rawUsd": usd(self.raw_usd(holding))}
        coin = self.coin_of(holding.symbol)
        return {
            "coin": coin,
            "szi": usd(holding.side * holding.contracts),
            "leverage": leverage,
            "entryPx": usd(holding.entry),
            "positionValue": usd(self.value(holding)),
            "unrealizedPnl": usd(self.pnl(holding)),
            "returnOnEquity": "0.0",
            "liquidationPx": None if liquidation is None else f"{liquidation:.10f}",
            "marginUsed": usd(self.margin_used(holding)),
            "maxLeverage": self.table_of(holding.symbol)[0][1],
            "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
        }

    def flat(self, symbol: str) -> dict[str, Any]:
        zeros = dict.fromkeys(("szi", "positionValue", "unrealizedPnl", "returnOnEquity", "marginUsed"), "0.0")
        leverage = {"type": "cross", "value": 20}
        return {"coin": self.coin_of(symbol), "leverage": leverage, "entryPx": None, "liquidationPx": None, **zeros}
