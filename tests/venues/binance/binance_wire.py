"""Binance's two futures exchanges on loopback: USD-M (/fapi) and COIN-M (/dapi), as their documents describe them.

Sources, seen 2026-11: developers.binance.com (derivatives, general information, account, trade, market data, error
codes), the response models of Binance's own SDKs (binance-connector-python of 2026-08), recorded answers of 2024-07.
Liquidation prices by the published formulas (FAQ b3c689c1 for USD-M, ceccfcfb for COIN-M), iterated over the tiers.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from binance_ledger import EIGHT, text
from binance_wire_news import BinanceListened
from wire_faults import Call, WireRefusal
from wire_values import Adjustment, End, Holding, Stop

RECV_WINDOW_MAX_MS = 60_000

MESSAGES = {
    "-1003": "Too many requests; current limit is 2400 requests per minute.",
    "-1008": "Server is currently overloaded with other requests. Please try again in a few minutes.",
    "-1021": "Timestamp for this request is outside of the recvWindow.",
    "-1022": "Signature for this request is not valid.",
    "-2015": "Invalid API-key, IP, or permissions for action.",
    "-2019": "Margin is insufficient.",
    "-4050": "Cross balance insufficient.",
    "-4051": "Isolated balance insufficient.",
    "-4054": "Cannot add position margin: position is 0.",
    "-4055": "Amount must be positive.",
    "-4061": "Order's position side does not match user's setting.",
    "-4168": "Unable to adjust to isolated-margin mode under the Multi-Assets mode.",
}
STATUSES = {"-1003": 429, "-1008": 503, "-2014": 401, "-2015": 401}


class BinanceServer(BinanceListened):
    """What both exchanges share: signature, parameters, refusals, history, key rights, orders, fills."""

    position_fields: ClassVar[Mapping[str, str]] = {
        "size": "positionAmt",
        "entry": "entryPrice",
        "mark": "markPrice",
        "margin": "isolatedWallet",
    }
    refusals: ClassVar[Mapping[str, str]] = {
        code: MESSAGES[code]
        for code in ("-1008", "-2019", "-4050", "-4051", "-4054", "-4055", "-4061", "-1021", "-2015")
    }

    def kind_of(self, call: Call) -> str:
        path = call.path.removeprefix(f"/{self.api}/")
        if call.method == "POST":
            return "listen" if path == "v1/listenKey" else "write"
        kinds = {
            "v1/exchangeInfo": "markets",
            "v3/positionRisk": "positions",
            "v1/positionRisk": "positions",
            "v3/account": "wallets",
            "v1/account": "wallets",
            "v1/positionMargin/history": "history",
            "v1/income": "history",
            "v1/leverageBracket": "tiers",
            "v2/leverageBracket": "tiers",
            "v1/premiumIndex": "mark",
            "v1/markPriceKlines": "candles",
            "v1/openAlgoOrders": "stops",
            "v1/openOrders": "stops",
            "v1/userTrades": "fills",
            "v1/forceOrders": "fills",
        }
        return kinds.get(path, path)

    def refusal(self, code: str) -> WireRefusal:
        message = MESSAGES.get(code, "An unknown error occurred while processing the request.")
        return WireRefusal(STATUSES.get(code, 400), {"code": int(code), "msg": message})

    def rate_limited(self) -> WireRefusal:
        return WireRefusal(429, {"code": -1003, "msg": MESSAGES["-1003"]}, **{"Retry-After": "2"})

    def rows_in(self, kind: str, answer: Any) -> list[Any]:
        return answer["assets"] if kind == "wallets" else answer

    # Requests.

    def answer(self, call: Call) -> Any:
        name = f"{call.method} {call.path}"
        public = self.public(name, call.params)
        if public is not None:
            return public
        if name == f"POST /{self.api}/v1/listenKey":  # Not signed; the key in the header is enough.
            if call.headers.get("X-MBX-APIKEY") != self.api_key:
                raise self.refusal("-2015")
            return {"listenKey": self.listen_key}
        self.check_signature(call)
        if call.method == "POST" and name == f"POST /{self.api}/v1/positionMargin":
            return self.move_margin(call.params)
        return self.private(name, call.params)

    def check_signature(self, call: Call) -> None:
        """Refuse what is not signed as documented: HMAC SHA256 over query and body, key in the header, a fresh stamp."""
        if call.headers.get("X-MBX-APIKEY") != self.api_key:
            raise self.refusal("-2015")
        pairs = [pair for pair in f"{call.query}&{call.body}".split("&") if pair]
        payload = "".join(
            "&".join(one for one in part.split("&") if not one.startswith("signature="))
            for part in (call.query, call.body)
        )
        signatures = [pair.partition("=")[2] for pair in pairs if pair.startswith("signature=")]
        expected = hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        if signatures != [expected]:
            raise self.refusal("-1022")
        stamp, window = int(call.params["timestamp"]), int(call.params.get("recvWindow", 5000))
        if stamp > self.now_ms() + 1000 or self.now_ms() - stamp > min(window, RECV_WINDOW_MAX_MS):
            raise self.refusal("-1021")

    def public(self, name: str, params: Mapping[str, Any]) -> Any:
        prefix = f"GET /{self.api}/v1/"
        if name == prefix + "time":
            return {"serverTime": self.now_ms()}
        if name == prefix + "exchangeInfo":
            return {"timezone": "UTC", "assets": [], "symbols": [self.market(symbol) for symbol in self.marks]}
        if name == prefix + "premiumIndex":
            return self.premium_index(self.unified(params["symbol"]))
        if name == prefix + "markPriceKlines":
            return self.klines(self.unified(params["symbol"]), int(params["limit"]))
        return None

    def private(self, name: str, params: Mapping[str, Any]) -> Any:
        prefix = f"GET /{self.api}/v1/"
        answers: dict[str, Callable[[], Any]] = {
            "GET /sapi/v1/account/apiRestrictions": self.restrictions,
            f"{prefix}positionMargin/history": lambda: self.history(params),
            f"{prefix}income": lambda: [self.income_row(end) for end in self.ends],
            f"{prefix}openAlgoOrders": lambda: [
                self.algo_order(stop) for stop in self.stops_at(params) if not self.is_in_book(stop)
            ],
            f"{prefix}openOrders": lambda: [
                self.booked_order(stop) for stop in self.stops_at(params) if self.is_in_book(stop)
            ],
            f"{prefix}userTrades": lambda: self.fills(params),
            f"{prefix}forceOrders": lambda: self.forced(params),
        }
        if name not in answers:
            raise WireRefusal(404, {"code": -5000, "msg": f"Path {name} is invalid"})
        return answers[name]()

    def ends_at(self, params: Mapping[str, Any]) -> list[End]:
        start_ms = int(params.get("startTime", 0))
        return [
            end
            for end in self.ends
            if self.is_about(end.holding.symbol, params) and round(end.at.timestamp() * 1000) >= start_ms
        ]

    def fills(self, params: Mapping[str, Any]) -> list[Any]:
        """With a start the first of them, without one the latest; 500 unless more is asked for, 1,000 at most."""
        rows, most = [self.fill(end) for end in self.ends_at(params)], min(int(params.get("limit", 500)), 1000)
        return rows[:most] if "startTime" in params else rows[-most:]

    def forced(self, params: Mapping[str, Any]) -> list[Any]:
        wanted = {"liquidated": "LIQUIDATION", "adl": "ADL"}
        return [
            self.force_order(end)
            for end in self.ends_at(params)
            if end.how != "closed" and params.get("autoCloseType") in {None, wanted[end.how]}
        ]

    def stops_at(self, params: Mapping[str, Any]) -> list[Stop]:
        return [stop for stop in self.stop_orders if self.is_about(stop.symbol, params)]

    def is_in_book(self, stop: Stop) -> bool:
        """Say whether an order waits in the book. At USD-M none does since 2025-12-09."""
        return False

    def is_about(self, symbol: str, params: Mapping[str, Any]) -> bool:
        return params.get("symbol") in {None, self.wire_name(symbol)}

    def unified(self, wire_name: str) -> str:
        for symbol in self.marks:
            if self.wire_name(symbol) == wire_name:
                return symbol
        raise self.refusal("-1121")

    def move_margin(self, params: Mapping[str, Any]) -> Any:
        symbol, amount = self.unified(params["symbol"]), Decimal(params["amount"])
        if params["type"] != "1" or amount <= 0 or amount != amount.quantize(EIGHT):
            raise self.refusal("-4055")
        if self.is_wrong_mode:
            raise self.refusal("-4168")
        if self.rights.read_only:
            raise self.refusal("-2015")
        side = params.get("positionSide", "BOTH")
        legs = [one for (name, _), one in self.holdings.items() if name == symbol]
        if any(one.hedged for one in legs) != (side != "BOTH"):
            raise self.refusal("-4061")
        legs = [one for one in legs if side in {"BOTH", one.side.name}]
        if not legs or legs[0].margin is None:
            raise self.refusal("-4054")
        if amount > self.wallets[self.sample_of(symbol).currency][1]:
            raise self.refusal("-4050")
        self.add_to(symbol, legs[0].side, amount)
        return {
            "amount": float(amount),
            "code": 200,
            "msg": "Successfully modify position margin.",
            "type": 1,
        }

    def history(self, params: Mapping[str, Any]) -> list[Any]:
        start, end = int(params.get("startTime", 0)), int(params.get("endTime", self.now_ms()))
        rows = [self.history_row(one) for one in self.adjustments if self.is_about(one.symbol, params)]
        return [row for row in rows if start <= row["time"] <= end][: int(params.get("limit", 50))]

    def history_row(self, one: Adjustment) -> dict[str, Any]:
        return {
            "symbol": self.wire_name(one.symbol),
            "type": 1,
            "amount": text(one.amount),
            "asset": one.currency,
            "time": round(one.at.timestamp() * 1000),
            "positionSide": one.side.name if one.hedged else "BOTH",
        }

    def income_row(self, end: End) -> dict[str, Any]:
        """Of a position that is closed its profit is booked, in whichever way it ended."""
        return {
            "symbol": self.wire_name(end.holding.symbol),
            "incomeType": "REALIZED_PNL",
            "income": "-1.00000000",
            "asset": self.sample_of(end.holding.symbol).currency,
            "time": round(end.at.timestamp() * 1000),
        }

    def restrictions(self) -> dict[str, Any]:
        rights = self.rights
        return {
            "ipRestrict": rights.ip_bound,
            "createTime": 1698645219000,
            "enableReading": True,
            "enableFutures": not rights.read_only,
            "enableWithdrawals": rights.withdraw,
            "enableInternalTransfer": rights.transfer,
            "permitsUniversalTransfer": rights.transfer,
            "enableMargin": False,
            "enableSpotAndMarginTrading": False,
            "enableVanillaOptions": False,
            "enablePortfolioMarginTrading": False,
        } | (
            {"tradingAuthorityExpirationTime": round(rights.expires_at.timestamp() * 1000)} if rights.expires_at else {}
        )

    def algo_order(self, stop: Stop) -> dict[str, Any]:
        placed = round(stop.at.timestamp() * 1000)
        return {
            "algoId": 2146760,
            "clientAlgoId": "6B2I9XVcJpCjqPAJ4YoFX7",
            "algoType": "CONDITIONAL",
            "orderType": "STOP_MARKET",
            "symbol": self.wire_name(stop.symbol),
            "side": "SELL" if stop.side > 0 else "BUY",
            "positionSide": stop.side.name if stop.hedged else "BOTH",
            "timeInForce": "GTC",
            "quantity": "0",
            "algoStatus": "NEW",
            "triggerPrice": text(stop.price),
            "price": "0.00",
            "icebergQuantity": None,
            "workingType": "MARK_PRICE",
            "priceMatch": "NONE",
            "closePosition": True,
            "priceProtect": False,
            "reduceOnly": True,
            "createTime": placed,
            "updateTime": placed,
            "triggerTime": 0,
            "goodTillDate": 0,
        }

    def booked_order(self, stop: Stop) -> dict[str, Any]:
        row = self.algo_order(stop)
        names = ("symbol", "side", "positionSide", "timeInForce", "price", "workingType", "closePosition", "reduceOnly")
        return {name: row[name] for name in names} | {
            "orderId": 283194212,
            "clientOrderId": "KJ4yJ1jNXQv9XdFuKZmcqC",
            "avgPrice": "0",
            "origQty": row["quantity"],
            "executedQty": "0",
            "origType": row["orderType"],
            "type": row["orderType"],
            "status": "NEW",
            "stopPrice": row["triggerPrice"],
            "priceProtect": False,
            "time": row["createTime"],
            "updateTime": row["updateTime"],
        }

    def fill(self, end: End) -> dict[str, Any]:
        holding = end.holding
        return {
            "symbol": self.wire_name(holding.symbol),
            "id": 28457,
            "orderId": 283194212,
            "side": "SELL" if holding.side > 0 else "BUY",
            "price": text(end.price),
            "qty": f"{holding.contracts:f}",
            "realizedPnl": text(self.pnl(holding, end.price)),
            "commission": "0.00000001",
            "commissionAsset": self.sample_of(holding.symbol).currency,
            "time": round(end.at.timestamp() * 1000),
            "positionSide": holding.side.name if holding.hedged else "BOTH",
            "buyer": holding.side < 0,
            "maker": False,
        }

    def force_order(self, end: End) -> dict[str, Any]:
        holding, at = end.holding, round(end.at.timestamp() * 1000)
        return {
            "orderId": 283194212,
            "symbol": self.wire_name(holding.symbol),
            "status": "FILLED",
            "clientOrderId": "autoclose-1596542005017000006" if end.how == "liquidated" else "adl_autoclose",
            "price": text(end.price),
            "avgPrice": text(end.price),
            "origQty": f"{holding.contracts:f}",
            "executedQty": f"{holding.contracts:f}",
            "timeInForce": "IOC",
            "type": "LIMIT",
            "reduceOnly": False,
            "closePosition": False,
            "side": "SELL" if holding.side > 0 else "BUY",
            "positionSide": holding.side.name if holding.hedged else "BOTH",
            "stopPrice": "0",
            "workingType": "CONTRACT_PRICE",
            "origType": "LIMIT",
            "time": at,
            "updateTime": at,
        }

    def klines(self, symbol: str, count: int) -> list[Any]:
        price, minute = text(self.marks[symbol]), self.now_ms() // 60_000
        opens = [(minute - back) * 60_000 for back in range(count - 1, -1, -1)]
        return [[at, price, price, price, price, "0", at + 59_999, "0", 60, "0", "0", "0"] for at in opens]

    def position_row(self, holding: Holding) -> dict[str, Any]:
        """Return what both exchanges' positionRisk have in common."""
        liquidation = self.liquidation_of(holding.symbol, holding.side)
        margin, pnl = holding.margin, self.unrealized(holding)
        return {
            "symbol": self.wire_name(holding.symbol),
            "positionSide": holding.side.name if holding.hedged else "BOTH",
            "positionAmt": f"{holding.side * holding.contracts:f}",
            "entryPrice": text(holding.entry),
            "breakEvenPrice": text(holding.entry),
            "markPrice": text(self.marks[holding.symbol]),
            "unRealizedProfit": text(pnl),
            "liquidationPrice": "0" if liquidation is None else text(liquidation),
            "isolatedMargin": "0" if margin is None else text(margin + pnl),
            "isolatedWallet": "0" if margin is None else text(margin),
            "updateTime": round(holding.since.timestamp() * 1000),
        }

    def flat_row(self, symbol: str) -> dict[str, Any]:
        """Return a row that is there for an order, or for nothing."""
        zeros = ("entryPrice", "breakEvenPrice", "unRealizedProfit", "liquidationPrice", "isolatedMargin")
        return {
            "symbol": self.wire_name(symbol),
            "positionSide": "BOTH",
            "positionAmt": "0",
            "markPrice": "0.00000000",
            **dict.fromkeys(zeros, "0.0"),
            "isolatedWallet": "0",
            "updateTime": 0,
        }

    def asset_row(self, currency: str) -> dict[str, Any]:
        balance, available = self.wallets[currency]
        mine = [one for one in self.holdings.values() if self.sample_of(one.symbol).currency == currency]
        pnl = sum((self.unrealized(one) for one in mine), Decimal(0))
        cross_pnl = sum((self.unrealized(one) for one in mine if one.margin is None), Decimal(0))
        wallet = balance + sum((one.margin or Decimal(0) for one in mine), Decimal(0))
        initial = sum((self.notional(one, self.marks[one.symbol]) / one.leverage for one in mine), Decimal(0))
        return {
            "asset": currency,
            "walletBalance": text(wallet),
            "unrealizedProfit": text(pnl),
            "marginBalance": text(wallet + pnl),
            "maintMargin": text(sum((self.maintenance(one) for one in mine), Decimal(0))),
            "initialMargin": text(initial),
            "positionInitialMargin": text(initial),
            "openOrderInitialMargin": "0.00000000",
            "maxWithdrawAmount": text(available),
            "crossWalletBalance": text(balance),
            "crossUnPnl": text(cross_pnl),
            "availableBalance": text(available),
            "updateTime": self.now_ms(),
        }
