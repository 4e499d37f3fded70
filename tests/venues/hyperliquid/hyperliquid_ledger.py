"""What Hyperliquid on loopback computes: values, margins, its liquidation price by the published formula.

Source: docs, "Liquidations" (liquidation price), "Margin tiers", "Margining" (seen 2026-09).
"""

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


class HyperliquidLedger(WireServer):
    """Positions of the main dex. A table is a list of lower bound and highest leverage."""

    coins: ClassVar[dict[str, str]]  # Unified symbol: coin.
    tables: ClassVar[dict[str, list[tuple[str, int]]]]  # By coin.

    def tier_rows(self, symbol: str) -> list[tuple[Decimal, Decimal, Decimal, Decimal | None]]:
        steps = [(Decimal(floor), Decimal(1) / (2 * leverage)) for floor, leverage in self.tables[self.coins[symbol]]]
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

    @property
    def all_cross(self) -> list[Holding]:
        return [one for one in self.holdings.values() if one.margin is None]

    def cross_value(self) -> Decimal:
        return self.wallets["USDC"][0] + sum((self.pnl(one) for one in self.all_cross), ZERO)

    def cross_maintenance(self) -> Decimal:
        return sum((self.maintenance(one.symbol, self.value(one)) for one in self.all_cross), ZERO)

    def liquidation_of(self, symbol: str, side: Side) -> Decimal | None:
        """price - side x margin available / size / (1 - l x side), by the tier of the value at that price."""
        holding = self.holdings[symbol, side]
        price = self.marks[symbol]
        balance = self.cross_value() if holding.margin is None else self.margin_used(holding)
        others = (
            self.cross_maintenance() - self.maintenance(symbol, self.value(holding)) if holding.margin is None else ZERO
        )
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

    def clearinghouse_state(self) -> dict[str, Any]:
        held = list(self.holdings.values())
        isolated = sum((self.margin_used(one) for one in held if one.margin is not None), ZERO)
        rows = [{"type": "oneWay", "position": self.position(one)} for one in held]
        rows += [{"type": "oneWay", "position": self.flat(symbol)} for symbol in self.closed_rows]
        return {
            "marginSummary": self.summary(held, self.cross_value() + isolated),
            "crossMarginSummary": self.summary(self.all_cross, self.cross_value()),
            "crossMaintenanceMarginUsed": usd(self.cross_maintenance()),
            "withdrawable": usd(self.wallets["USDC"][1]),
            "assetPositions": rows,
            "time": self.now_ms(),
        }

    def position(self, holding: Holding) -> dict[str, Any]:
        liquidation = self.liquidation_of(holding.symbol, holding.side)
        leverage: dict[str, Any] = {"type": "cross", "value": holding.leverage}
        if holding.margin is not None:
            leverage = {"type": "isolated", "value": holding.leverage, "rawUsd": usd(self.raw_usd(holding))}
        coin = self.coins[holding.symbol]
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
            "maxLeverage": self.tables[coin][0][1],
            "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
        }

    def flat(self, symbol: str) -> dict[str, Any]:
        zeros = dict.fromkeys(("szi", "positionValue", "unrealizedPnl", "returnOnEquity", "marginUsed"), "0.0")
        leverage = {"type": "cross", "value": 20}
        return {"coin": self.coins[symbol], "leverage": leverage, "entryPx": None, "liquidationPx": None, **zeros}
