"""A unified account at Bitget on loopback (v3), from its documents.

Sources: docs UTA (copies of 2025-12 and 2026-07): "Get Account Setting", "Get Position Info", "Get Account Assets",
"Set Margin", "Get Financial Records", "Get Unfilled Strategy Orders", "Get Fill History", "Get Position History", "Get
Account Info", "Get Position Tier", "Get Discount Rate" (tiers begin at so many "U"). It knows nothing of guard's parsers.
"""

import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from bitget_wire_market import LISTED, OF_MARKET, fill_row, ms
from bitget_wire_news import BitgetListened
from wire_values import End, Holding, Stop

from guard.snapshot import Side

D = Decimal


class BitgetUnified(BitgetListened):
    """The part of an account that is told where it is unified. In the wrong mode it is delta neutral."""

    def __init__(self) -> None:
        super().__init__()
        self.level: str | None = "isolated"  # None: not told, as until 2026.
        self.debts: dict[str, str] = {}
        self.added_word = "FIXED_INCREASE_MARGIN"
        self.extra_records: list[dict[str, str]] = []
        self.strategies: list[dict[str, Any]] = []
        self.price_digits: int | None = None  # To which liquidation prices are printed. None: all.

    def of_unified(self) -> Mapping[str, Callable[[dict[str, Any]], Any]]:
        return {
            "v3/account/settings": self._settings,
            "v3/position/current-position": self._unified_positions,
            "v3/account/assets": self._assets,
            "v3/account/set-margin": self._set_unified_margin,
            "v3/account/financial-records": self._records,
            "v3/trade/unfilled-strategy-orders": self._strategies,
            "v3/trade/fills": self._unified_fills,
            "v3/position/history-position": self._unified_history,
            "v3/account/info": self._unified_key,
        }

    def unified_tiers(self, query: dict[str, Any]) -> list[dict[str, str]]:
        one = OF_MARKET.get(query["symbol"])
        if one is None or one.product != query["category"]:
            raise self.refusal("25100")
        return [
            {"tier": str(number), "minTierValue": low, "maxTierValue": high, "leverage": "125", "mmr": rate}
            for number, (low, high, rate) in enumerate(one.tiers, 1)
        ]

    def discount_rates(self) -> list[dict[str, Any]]:
        """Steps by their start in dollars, of every coin at once."""
        return [
            {"coin": coin, "list": [{"tierStartValue": start, "discountRate": share} for start, share in steps]}
            for coin, steps in self.counted.items()
        ]

    def _settings(self, _: dict[str, Any]) -> dict[str, Any]:
        level = {} if self.level is None else {"accountLevel": "delta" if self.is_wrong_mode else self.level}
        hedged = any(one.hedged for one in self.holdings.values())
        return {
            "uid": "1", "accountMode": "unified", "assetMode": "multi_assets", "stpMode": "none",
            "holdMode": "hedge_mode" if hedged else "one_way_mode", "symbolConfigList": [], "coinConfigList": [],
        } | level  # fmt: skip

    def _unified_positions(self, query: dict[str, Any]) -> dict[str, Any]:
        rows = [
            self._unified_row(one)
            for one in self.holdings.values()
            if LISTED[one.symbol].product == query["category"]
            and query.get("symbol") in {None, LISTED[one.symbol].market}
        ]
        flat = [one for symbol in self.closed_rows if (one := LISTED[symbol]).product == query["category"]]
        names = ("positionBalance", "available", "frozen", "total", "avgPrice", "unrealisedPnl", "liquidationPrice")
        rows += [{"symbol": one.market, "posSide": "long"} | dict.fromkeys(names, "0") for one in flat]
        return {"list": rows or None}

    def _unified_row(self, holding: Holding) -> dict[str, str]:
        row = self._row(holding)
        same = ("symbol", "marginCoin", "marginMode", "available", "total", "leverage", "markPrice")
        price = D(row["liquidationPrice"])
        if self.price_digits is not None:
            price = round(price, self.price_digits)
        return {name: row[name] for name in same} | {
            "category": LISTED[holding.symbol].product, "holdMode": row["posMode"], "posSide": row["holdSide"],
            "positionBalance": row["marginSize"], "frozen": "0", "curRealisedPnl": "0", "avgPrice": row["openPriceAvg"],
            "positionStatus": "normal", "unrealisedPnl": row["unrealizedPL"], "mmr": row["keepMarginRate"],
            "profitRate": "0", "breakEvenPrice": "0", "totalFunding": "0", "openFeeTotal": "0", "closeFeeTotal": "0",
            "createdTime": row["cTime"], "updatedTime": row["cTime"], "liquidationPrice": f"{price:f}",
        }  # fmt: skip

    def _assets(self, _: dict[str, Any]) -> dict[str, Any]:
        """All figures are those of "the cross margin account": of isolated positions nothing is in them."""
        crossed = [one for one in self.holdings.values() if one.margin is None]
        coins = []
        for coin in dict.fromkeys([*self.wallets, *self.debts]):
            balance, available = self.wallets.get(coin, (D(0), D(0)))
            pnl = sum((self.profit(one) for one in crossed if LISTED[one.symbol].settle == coin), D(0))
            debt = D(self.debts.get(coin, "0"))
            if balance or pnl or debt:
                coins.append(
                    {
                        "coin": coin, "equity": f"{balance + pnl:f}", "usdValue": f"{balance + pnl:f}",
                        "balance": f"{balance:f}", "available": f"{available:f}", "debt": f"{debt:f}", "locked": "0",
                    }
                )  # fmt: skip
        equity = sum((D(one["equity"]) for one in coins), D(0))
        mmr = sum((self.requirement(one) for one in crossed), D(0))
        return {
            "accountEquity": f"{equity:f}", "usdtEquity": f"{equity:f}", "btcEquity": "0.1", "unrealisedPnl": "0",
            "usdtUnrealisedPnl": "0", "btcUnrealizedPnl": "0", "effEquity": f"{equity:f}", "mmr": f"{mmr:f}", "imr": "0",
            "mgnRatio": f"{mmr / equity:.8f}" if equity else "0", "positionMgnRatio": "0", "assets": coins,
        }  # fmt: skip

    def _set_unified_margin(self, body: dict[str, Any]) -> str:
        one = OF_MARKET.get(str(body.get("symbol")))
        side = {"long": Side.LONG, "short": Side.SHORT}.get(body.get("posSide", ""))
        if one is None or one.product != body.get("category"):
            raise self.refusal("25100")
        if side is None or body.get("operation") not in {"add", "reduce"} or not isinstance(body.get("amount"), str):
            raise self.refusal("25200")
        holding, amount = self.holdings.get((one.symbol, side)), D(body["amount"])
        if amount <= 0 or body["operation"] != "add":
            raise self.refusal("25200")
        if holding is None or holding.margin is None:
            raise self.refusal("25227" if holding is None else "25236")
        if amount > self.wallets[one.settle][1]:
            raise self.refusal("25202")
        self.add_to(one.symbol, side, amount)
        return "success"

    def _records(self, query: dict[str, Any]) -> dict[str, Any]:
        start, end = int(query["startTime"]), int(query["endTime"])
        if end - start > 30 * 86_400_000:
            raise self.refusal("25200")
        rows = [self.record(one.symbol, self.added_word, -one.amount, ms(one.at)) for one in self.adjustments]
        rows = [
            row
            for row in rows + self.extra_records
            if row["type"] == query.get("type", row["type"])
            and row["category"] == query["category"]
            and start <= int(row["ts"]) <= end
        ]
        return _page(rows, query, "id")

    def record(self, symbol: str, kind: str, amount: Decimal, at_ms: int) -> dict[str, str]:
        one = LISTED[symbol]
        number = at_ms * 1000 + int(hashlib.sha256(f"{symbol}{kind}{amount}".encode()).hexdigest(), 16) % 1000
        return {
            "category": one.product, "id": str(number), "symbol": one.market, "coin": one.settle, "type": kind,
            "amount": f"{amount:f}", "fee": "0", "balance": "232.21", "ts": str(at_ms),
        }  # fmt: skip

    def _strategies(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        if query.get("type", "tpsl") != "tpsl":
            raise self.refusal("25200")
        rows = [strategy_row(stop) for stop in self.stop_orders] + self.strategies
        return [row for row in rows if row["category"] == query["category"]]

    def _unified_fills(self, query: dict[str, Any]) -> dict[str, Any]:
        rows = [unified_fill(end) for end in self.ends if LISTED[end.holding.symbol].product == query["category"]]
        return _page(
            [row for row in rows if int(row["createdTime"]) >= int(query.get("startTime", 0))], query, "execId"
        )

    def _unified_history(self, query: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "positionId": str(ms(end.at)), "category": one.product, "symbol": one.market, "marginCoin": one.settle,
                "holdMode": "hedge_mode" if end.holding.hedged else "one_way_mode", "posSide": end.holding.side.word,
                "marginMode": "isolated", "openPriceAvg": f"{end.holding.entry:f}", "closePriceAvg": f"{end.price:f}",
                "openTotalPos": f"{end.holding.contracts:f}", "closeTotalPos": f"{end.holding.contracts:f}",
                "cumRealisedPnl": "-1", "netProfit": "-1", "totalFunding": "0", "openFeeTotal": "0", "closeFeeTotal": "0",
                "createdTime": str(ms(end.holding.since)), "updatedTime": str(ms(end.at)),
            }
            for end in self.ends
            if (one := LISTED[end.holding.symbol]).product == query["category"]
            and query.get("symbol") in {None, one.market}
            and ms(end.at) >= int(query.get("startTime", 0))
            and not end.is_part
        ]  # fmt: skip
        return _page(rows, query, "positionId")

    def _unified_key(self, _: dict[str, Any]) -> dict[str, Any]:
        """A right to transfer is not told apart: a key that may withdraw stands for it here."""
        rights = self.rights
        words = ["uta_mgt", "uta_trade"] + ["withdraw"] * (rights.withdraw or rights.transfer)
        return {
            "userId": "1", "inviterId": "2", "parentId": "1", "channelCode": "", "channel": "",
            "ips": "203.0.113.7,203.0.113.8" if rights.ip_bound else "",
            "permissions": words if self.authorities is None else self.authorities,
            "permType": "read-only" if rights.read_only else "read-and-write", "regisTime": "1246566789345",
        }  # fmt: skip


def _page(rows: list[dict[str, Any]], query: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the newest first, those after a cursor, with the cursor of what follows; null where there is nothing."""
    rows = sorted(rows, key=lambda row: int(row[name]), reverse=True)
    rows = [row for row in rows if int(row[name]) < int(query.get("cursor", 10**30))][: int(query.get("limit", 100))]
    return {"list": rows or None, "cursor": rows[-1][name] if rows else ""}


def strategy_row(stop: Stop, **fields: str) -> dict[str, Any]:
    one = LISTED[stop.symbol]
    return {
        "orderId": "111", "clientOid": "112", "category": one.product, "symbol": one.market, "qty": "",
        "posSide": stop.side.word, "tpTriggerBy": "market", "slTriggerBy": "mark", "takeProfit": "",
        "stopLoss": f"{stop.price:f}", "tpOrderType": "market", "slOrderType": "market", "tpLimitPrice": "",
        "slLimitPrice": "", "createdTime": str(ms(stop.at)), "updatedTime": str(ms(stop.at)),
    } | fields  # fmt: skip


def unified_fill(end: End) -> dict[str, Any]:
    row = fill_row(end)
    return {
        "execId": str(ms(end.at)), "execLinkId": "1", "orderId": "1", "clientOid": "1", "symbol": row["symbol"],
        "category": LISTED[end.holding.symbol].product, "orderType": "market", "side": row["side"],
        "execPrice": row["price"], "execQty": row["baseVolume"], "execValue": "1069.501", "tradeScope": "taker",
        "tradeSide": row["tradeSide"], "feeDetail": [{"feeCoin": "USDT", "fee": "0.6"}], "createdTime": row["cTime"],
        "updatedTime": row["cTime"], "execPnl": "-0.002",
    }  # fmt: skip
