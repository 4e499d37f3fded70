"""Bitget's market on loopback: contracts, marks, tiers, candles, the ticker stream, and rows of orders and fills. Sources: see bitget_wire."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from wire_server import WireServer
from wire_values import End, Stop

from guard.snapshot import Side

D = Decimal
FEE = D("0.0006")
BARS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "4H": 240, "12Hutc": 720, "1Dutc": 1440}  # Minutes.

FORCED = {
    "liquidated": {True: "burst_close_{leg}", False: "burst_{side}_single"},
    "adl": {True: "dte_sys_adl_close_{leg}", False: "dte_sys_adl_{side}_in_single_side_mode"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    symbol: str  # ccxt's.
    market: str  # Bitget's.
    product: str
    base: str
    settle: str
    tiers: tuple[tuple[str, str, str], ...]  # startUnit, endUnit, keepMarginRate.


# The first tiers of BTCUSDT as recorded (ccxt fixture, 2025-07).
BTC_TIERS = (("0", "150000", "0.004"), ("150000", "900000", "0.005"), ("900000", "12000000", "0.01"))
ETH_TIERS = (("0", "100000", "0.005"), ("100000", "500000", "0.0075"), ("500000", "5000000", "0.01"))
LISTED = {
    one.symbol: one
    for one in (
        Listed(
            symbol="BTC/USDT:USDT", market="BTCUSDT", product="USDT-FUTURES", base="BTC", settle="USDT", tiers=BTC_TIERS
        ),
        Listed(
            symbol="ETH/USDT:USDT", market="ETHUSDT", product="USDT-FUTURES", base="ETH", settle="USDT", tiers=ETH_TIERS
        ),
        Listed(
            symbol="BTC/USDC:USDC", market="BTCPERP", product="USDC-FUTURES", base="BTC", settle="USDC", tiers=BTC_TIERS
        ),
    )
}
OF_MARKET = {one.market: one for one in LISTED.values()}


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


class BitgetMarket(WireServer):
    """What is told to everybody."""

    def tier_rows(self, symbol: str) -> list[tuple[Decimal, Decimal, Decimal, Decimal | None]]:
        """Slice by slice since 2025-11-10: what is deducted is what makes the requirement meet itself at a floor."""
        rows: list[tuple[Decimal, Decimal, Decimal, Decimal | None]] = []
        for low, high, rate in LISTED[symbol].tiers:
            deducted = sum(
                (D(below[1]) - D(below[0])) * (D(rate) - D(below[2])) for below in LISTED[symbol].tiers[: len(rows)]
            )
            rows.append((D(low), D(high), D(rate), D(deducted)))
        return rows

    def contracts(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        listed = [contract(one) for one in LISTED.values() if one.product == query["productType"]]
        if query["productType"] == "COIN-FUTURES":
            coin = Listed(symbol="", market="BTCUSD", product="COIN-FUTURES", base="BTC", settle="BTC", tiers=())
            listed.append(contract(coin) | {"quoteCoin": "USD", "supportMarginCoins": ["BTC", "ETH", "USDC"]})
        return listed

    def symbol_price(self, query: dict[str, Any]) -> list[dict[str, str]]:
        one = OF_MARKET.get(query["symbol"])
        if one is None or one.product != query["productType"]:
            raise self.refusal("40034")
        mark = self.marks[one.symbol]
        return [
            {
                "symbol": one.market, "price": "1", "indexPrice": f"{mark + 1:f}", "markPrice": f"{mark:f}",
                "ts": str(self.now_ms()),
            }
        ]  # fmt: skip

    def position_lever(self, query: dict[str, Any]) -> list[dict[str, str]]:
        return [
            {
                "symbol": query["symbol"], "level": str(number), "startUnit": low, "endUnit": high, "leverage": "125",
                "keepMarginRate": rate,
            }
            for number, (low, high, rate) in enumerate(OF_MARKET[query["symbol"]].tiers, 1)
        ]  # fmt: skip

    def candles(self, query: dict[str, Any]) -> list[list[str]]:
        """Oldest first."""
        width, mark = BARS[query["granularity"]] * 60_000, f"{self.marks[OF_MARKET[query['symbol']].symbol]:f}"
        last = (int(query.get("endTime") or self.now_ms()) - 1) // width * width
        limit = min(int(query.get("limit", 100)), 200)
        return [[str(last - age * width), mark, mark, mark, mark, "0", "0"] for age in reversed(range(limit))]

    def ticks(self, channels: set[str]) -> Iterable[Any]:
        for channel in sorted(channels):
            one = OF_MARKET[channel.partition(":")[2]]
            mark, now = self.marks[one.symbol], self.now_ms()
            yield {
                "action": "snapshot", "arg": {"instType": one.product, "channel": "ticker", "instId": one.market},
                "data": [
                    {
                        "instId": one.market, "lastPr": "1", "bidPr": "1", "askPr": "1", "bidSz": "2.71", "askSz": "8.76",
                        "open24h": "1", "high24h": "1", "low24h": "1", "change24h": "0", "fundingRate": "0.00001",
                        "nextFundingTime": "1695722400000", "markPrice": f"{mark:f}", "indexPrice": f"{mark + 1:f}",
                        "holdingAmount": "929.502", "baseVolume": "368.9", "quoteVolume": "10152429.961", "openUtc": "1",
                        "symbolType": 1, "symbol": one.market, "deliveryPrice": "0", "ts": str(now),
                    }
                ],
                "ts": now,
            }  # fmt: skip


def contract(one: Listed) -> dict[str, Any]:
    """One row of mix/market/contracts. Source: docs, "Get Contract Config" (2025-10)."""
    return {
        "symbol": one.market, "baseCoin": one.base, "quoteCoin": one.settle, "buyLimitPriceRatio": "0.01",
        "sellLimitPriceRatio": "0.01", "feeRateUpRatio": "0.005", "makerFeeRate": "0.0002", "takerFeeRate": "0.0006",
        "openCostUpRatio": "0.01", "supportMarginCoins": [one.settle], "minTradeNum": "0.001", "priceEndStep": "1",
        "volumePlace": "3", "pricePlace": "1", "sizeMultiplier": "0.001", "symbolType": "perpetual", "minTradeUSDT": "5",
        "maxSymbolOrderNum": "200", "maxProductOrderNum": "400", "maxPositionNum": "150", "symbolStatus": "normal",
        "offTime": "-1", "limitOpenTime": "-1", "deliveryTime": "", "deliveryStartTime": "", "deliveryPeriod": "",
        "launchTime": "", "fundInterval": "8", "minLever": "1", "maxLever": "125", "posLimit": "0.05", "maintainTime": "",
    }  # fmt: skip


def plan_row(stop: Stop, **fields: str) -> dict[str, Any]:
    """A stop loss set on the position: of the whole of it, so it has no size."""
    return {
        "planType": "pos_loss", "symbol": LISTED[stop.symbol].market.lower(), "size": "", "orderId": "123",
        "clientOid": "121212", "price": "", "executePrice": "0", "callbackRatio": "", "triggerPrice": f"{stop.price:f}",
        "triggerType": "mark_price", "planStatus": "live",
        # In hedge mode a close has the side of the opening (docs, "Place Order").
        "side": {Side.LONG: "buy", Side.SHORT: "sell"}[Side(stop.side if stop.hedged else -stop.side)],
        "posSide": stop.side.word if stop.hedged else "net", "marginCoin": "usdt", "marginMode": "isolated",
        "enterPointSource": "api", "tradeSide": "close" if stop.hedged else "", "posMode": "hedge_mode" if stop.hedged else "one_way_mode",
        "orderType": "market", "orderSource": "pos_loss_market", "cTime": str(ms(stop.at)), "uTime": "",
        "stopSurplusExecutePrice": "", "stopSurplusTriggerPrice": "", "stopSurplusTriggerType": "",
        "stopLossExecutePrice": "", "stopLossTriggerPrice": "", "stopLossTriggerType": "",
    } | fields  # fmt: skip


def fill_row(end: End) -> dict[str, Any]:
    holding = end.holding
    side = "sell" if holding.side is Side.LONG else "buy"
    words = FORCED.get(end.how, {True: "close", False: "{side}_single"})
    return {
        "tradeId": "123", "symbol": LISTED[holding.symbol].market, "orderId": "121212", "price": f"{end.price:f}",
        "baseVolume": f"{holding.contracts:f}", "feeDetail": [], "side": side, "quoteVolume": "1902", "profit": "102",
        "enterPointSource": "api", "tradeSide": words[holding.hedged].format(side=side, leg=holding.side.word),
        "posMode": "hedge_mode" if holding.hedged else "one_way_mode", "tradeScope": "taker", "cTime": str(ms(end.at)),
    }  # fmt: skip
