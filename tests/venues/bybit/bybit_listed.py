"""The contracts that the Bybit server lists: linear in USDT and USDC, and inverse, each with its risk limits."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One contract as it is listed."""

    symbol: str  # ccxt's.
    market: str  # Bybit's.
    category: str
    base: str
    quote: str
    settle: str
    tick: Decimal
    taker: Decimal
    tiers: tuple[tuple[str, str, str, str], ...]  # Risk limit, rate, deduction, initial rate.

    @property
    def inverse(self) -> bool:
        return self.category == "inverse"


_BTC_TIERS = (("2000000", "0.005", "", "0.01"), ("10000000", "0.01", "10000", "0.02"))
_COIN_TIERS = (("150", "0.005", "", "0.01"), ("300", "0.01", "0.75", "0.02"))
LISTED = {
    one.symbol: one
    for one in (
        Listed(
            symbol="BTC/USDT:USDT", market="BTCUSDT", category="linear", base="BTC", quote="USDT", settle="USDT",
            tick=Decimal("0.10"), taker=Decimal("0.00055"), tiers=_BTC_TIERS,
        ),
        Listed(
            symbol="ETH/USDT:USDT", market="ETHUSDT", category="linear", base="ETH", quote="USDT", settle="USDT",
            tick=Decimal("0.01"), taker=Decimal("0.00055"), tiers=(("900000", "0.005", "", "0.01"),),
        ),
        Listed(
            symbol="BTC/USDC:USDC", market="BTCPERP", category="linear", base="BTC", quote="USDC", settle="USDC",
            tick=Decimal("0.10"), taker=Decimal("0.00055"), tiers=_BTC_TIERS,
        ),
        Listed(
            symbol="BTC/USD:BTC", market="BTCUSD", category="inverse", base="BTC", quote="USD", settle="BTC",
            tick=Decimal("0.50"), taker=Decimal("0.0006"), tiers=_COIN_TIERS,
        ),
    )
}  # fmt: skip
MANY = tuple(
    Listed(
        symbol=f"COIN{number}/USDT:USDT", market=f"COIN{number}USDT", category="linear", base=f"COIN{number}",
        quote="USDT", settle="USDT", tick=Decimal("0.01"), taker=Decimal("0.00055"), tiers=(("900000", "0.01", "", "0.02"),),
    )
    for number in range(1, 31)
)  # fmt: skip
LISTED |= {one.symbol: one for one in MANY}
OF_MARKET = {one.market: one for one in LISTED.values()}


def instrument(one: Listed) -> dict[str, Any]:
    """One row of instruments-info. Source: docs, Get Instruments Info (2026-07)."""
    kind = "InversePerpetual" if one.inverse else "LinearPerpetual"
    step = "1" if one.inverse else "0.001"
    return {
        "symbol": one.market, "contractType": kind, "status": "Trading", "baseCoin": one.base, "quoteCoin": one.quote,
        "launchTime": "1585526400000", "deliveryTime": "0", "deliveryFeeRate": "", "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": f"{one.tick}", "maxPrice": "1999999.80", "tickSize": f"{one.tick}"},
        "lotSizeFilter": {
            "maxOrderQty": "1190.000", "minOrderQty": step, "qtyStep": step, "postOnlyMaxOrderQty": "1190.000",
            "maxMktOrderQty": "500.000", "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True, "fundingInterval": 480, "settleCoin": one.settle, "copyTrading": "both",
        "upperFundingRate": "0.00375", "lowerFundingRate": "-0.00375", "isPreListing": False, "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"}, "symbolType": "",
    }  # fmt: skip


def risk_limits(one: Listed) -> list[dict[str, Any]]:
    """The rows of risk-limit for one symbol. Source: docs, Get Risk Limit (2026-07)."""
    return [
        {
            "id": number, "symbol": one.market, "riskLimitValue": limit, "maintenanceMargin": rate,
            "initialMargin": initial, "isLowestRisk": int(number == 1), "maxLeverage": f"{1 / Decimal(initial):.2f}",
            "mmDeduction": deduction,
        }
        for number, (limit, rate, deduction, initial) in enumerate(one.tiers, start=1)
    ]  # fmt: skip
