"""Bitget on loopback: paths, signature, bodies and errors of a classic account (v2), from its documents.

Sources: docs v2 (copies of 2025-10): "Signature", "Get All Positions", "Get Account List", "Adjust Position
Margin", "Get Account Bills", "Get Position Tier", "Get Pending Trigger Order", "Get Order Fill Details", "Get Historical
Position", "Get Account Information", "Market Channel"; liquidation price and progressive tiers by the help pages
12560603808759 and 12560603841952. A unified account: bitget_wire_unified.py. It knows nothing of guard's parsers.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from bitget_wire_market import FEE, LISTED, OF_MARKET, fill_row, ms, plan_row
from bitget_wire_unified import BitgetUnified
from wire_faults import Call, WireRefusal
from wire_values import Holding, Sample

from guard.snapshot import Side

D = Decimal


class BitgetServer(BitgetUnified):
    """One account with its key. In the wrong mode several assets back it; `is_unified` makes it a unified one."""

    exchange: ClassVar[str] = "bitget"
    password = "canary-passphrase-31c0de"
    lacks: ClassVar[Mapping[str, str]] = {
        "inverse": "Bitget's coin-margined contracts count in coins and convert at an index price: told as not modelled",
    }
    sample: ClassVar[Sample] = Sample(
        symbol="BTC/USDT:USDT", currency="USDT", contracts=D("0.1"), contract_size=D(1), entry=D(60000), mark=D(58000),
        margin=D(600), leverage=10, top_up=D("62.31"),
    )  # fmt: skip
    other: ClassVar[Sample] = Sample(
        symbol="ETH/USDT:USDT", currency="USDT", contracts=D(100), contract_size=D(1), entry=D(3000), mark=D(2950),
        margin=D(30000), leverage=10, top_up=D("2000.01"),
    )  # fmt: skip
    usdc: ClassVar[Sample] = Sample(
        symbol="BTC/USDC:USDC", currency="USDC", contracts=D("0.2"), contract_size=D(1), entry=D(60000), mark=D(58000),
        margin=D(1200), leverage=10, top_up=D("62.5"),
    )  # fmt: skip
    refusals: ClassVar[Mapping[str, str]] = {
        "22002": "No position to close",
        "40008": "Request timestamp expired",
        "40014": "Incorrect permissions",
        "40711": "Insufficient contract account balance",
        "40712": "Insufficient margin",
        "43012": "Insufficient balance",
    }
    position_fields: ClassVar[Mapping[str, str]] = {
        "size": "total", "entry": "openPriceAvg", "mark": "markPrice", "margin": "marginSize",
    }  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.marks[self.usdc.symbol] = self.usdc.mark
        self.wallets["USDC"] = (D(0), D(0))
        self.needs_header = False  # The key is for demo trading.
        self.asset_mode = "single"
        self.coin_rows: list[dict[str, str]] = []  # Positions of COIN-FUTURES.
        self.extra_bills: list[dict[str, str]] = []
        self.plans: list[dict[str, Any]] = []
        self.account_fields: dict[str, str] = {}  # That differ.
        self.authorities: list[str] | None = None  # None: as the rights say.

    @property
    def _asset_mode(self) -> str:
        return "union" if self.is_wrong_mode else self.asset_mode

    def urls(self) -> dict[str, object]:
        api: dict[str, object] = dict.fromkeys(("mix", "spot", "common", "uta", "margin"), self.url)
        streams = {name: f"{self.ws_url}/v2/ws/{name}" for name in ("public", "private")}
        streams["utaPrivate"] = f"{self.ws_url}/v3/ws/private"
        return {"api": api | {"ws": streams, "demo": streams}}

    def sample_of(self, symbol: str) -> Sample:
        return self.usdc if symbol == self.usdc.symbol else super().sample_of(symbol)

    def kind_of(self, call: Call) -> str:
        kinds = {
            "v2/mix/account/set-margin": "write", "v2/mix/position/all-position": "positions",
            "v3/position/current-position": "positions", "v2/mix/account/accounts": "wallets",
            "v3/account/assets": "wallets", "v2/mix/account/bill": "history", "v2/mix/order/fills": "fills",
            "v2/mix/position/history-position": "fills", "v2/mix/order/orders-plan-pending": "stops",
            "v2/mix/market/query-position-lever": "tiers", "v2/mix/market/symbol-price": "mark",
            "v2/mix/market/history-mark-candles": "candles", "v3/account/set-margin": "write",
            "v3/account/financial-records": "history", "v3/trade/fills": "fills",
            "v3/position/history-position": "fills", "v3/trade/unfilled-strategy-orders": "stops",
            "v3/market/position-tier": "tiers", "v3/market/discount-rate": "haircuts",
        }  # fmt: skip
        kind = kinds.get(call.path.removeprefix("/api/"), call.path)
        elsewhere = call.params.get("productType", call.params.get("category", "USDT-FUTURES")) != "USDT-FUTURES"
        return f"{kind} elsewhere" if elsewhere and kind in {"positions", "wallets"} else kind

    def refusal(self, code: str) -> WireRefusal:
        text = self.refusals.get(code, "something that nobody wrote down")
        return WireRefusal(400, {"code": code, "msg": text, "requestTime": self.now_ms(), "data": None})

    def rate_limited(self) -> WireRefusal:
        return WireRefusal(429, {"code": "429", "msg": "Too Many Requests", "requestTime": self.now_ms(), "data": None})

    def rows_in(self, kind: str, answer: Any) -> list[Any]:
        rows: Any = answer["data"]
        if isinstance(rows, dict):  # Of a unified account.
            name = "list" if kind == "positions" else "assets"
            rows[name] = rows[name] or []
            rows = rows[name]
        return rows

    # Requests.

    def answer(self, call: Call) -> Any:
        path = call.path.removeprefix("/api/")
        public = {
            "v2/public/time": lambda _: {"serverTime": str(self.now_ms())},
            "v2/mix/market/contracts": self.contracts,
            "v2/mix/market/symbol-price": self.symbol_price,
            "v2/mix/market/query-position-lever": self.position_lever,
            "v2/mix/market/history-mark-candles": self.candles,
        }
        if path in public:
            return self._ok(public[path](call.params))
        if path == "v3/market/position-tier":
            return self._ok(self.unified_tiers(call.params))
        if path == "v3/market/discount-rate":
            return self._ok(self.discount_rates())
        unified = path.startswith("v3/")
        if unified != self.is_unified:  # Said even before the signature is looked at.
            raise self.refusal("40084" if unified else "40085")
        self._check_key(call)
        private = {
            "v2/mix/position/all-position": self._positions,
            "v2/mix/account/accounts": self._accounts,
            "v2/mix/account/set-margin": self._set_margin,
            "v2/mix/account/bill": self._bills,
            "v2/mix/order/orders-plan-pending": self._plans,
            "v2/mix/order/fills": self._fills,
            "v2/mix/position/history-position": self._history,
            "v2/spot/account/info": self._key_info,
            **self.of_unified(),
        }
        return self._ok(private[path](call.params))

    def _ok(self, data: Any) -> dict[str, Any]:
        return {"code": "00000", "msg": "success", "requestTime": self.now_ms(), "data": data}

    def _check_key(self, call: Call) -> None:
        headers = call.headers
        stamp = headers.get("ACCESS-TIMESTAMP", "")
        if headers.get("ACCESS-KEY") != self.api_key:
            raise self.refusal("40006")
        if headers.get("ACCESS-PASSPHRASE") != self.password:
            raise self.refusal("40012")
        if self.needs_header != (headers.get("paptrading") == "1"):
            raise self.refusal("40099")
        if not stamp.isdigit():
            raise self.refusal("40005")
        if abs(self.now_ms() - int(stamp)) > 30_000:
            raise self.refusal("40008")
        target = call.path + (f"?{call.query}" if call.query else "")
        digest = hmac.new(self.secret.encode(), f"{stamp}{call.method}{target}{call.body}".encode(), hashlib.sha256)
        if headers.get("ACCESS-SIGN") != base64.b64encode(digest.digest()).decode():
            raise self.refusal("40009")
        if call.method == "POST" and self.rights.read_only:
            raise self.refusal("40014")

    def _set_margin(self, body: dict[str, Any]) -> str:
        one = OF_MARKET.get(str(body.get("symbol")).upper())
        side = {"long": Side.LONG, "short": Side.SHORT}.get(body.get("holdSide", ""))
        if one is None or one.product != body.get("productType") or body.get("marginCoin") != one.settle:
            raise self.refusal("40017")
        if side is None:  # In one-way mode too.
            raise self.refusal("40206")
        if not isinstance(body.get("amount"), str):
            raise self.refusal("40020")
        holding, amount = self.holdings.get((one.symbol, side)), D(body["amount"])
        if holding is None or holding.margin is None:
            raise self.refusal("22002" if holding is None else "40714")
        if amount > self.wallets[one.settle][1]:
            raise self.refusal("40711")
        self.add_to(one.symbol, side, amount)
        return ""

    # Figures of a position, by the help pages.

    def value(self, holding: Holding) -> Decimal:
        return holding.contracts * self.marks[holding.symbol]

    def profit(self, holding: Holding) -> Decimal:
        return holding.side * holding.contracts * (self.marks[holding.symbol] - holding.entry)

    def requirement(self, holding: Holding) -> Decimal:
        value = self.value(holding)
        rate, amount = next((r, a) for low, high, r, a in self.tier_rows(holding.symbol) if low <= value < high)
        return value * (rate + FEE) - (amount or 0)

    def liquidation_of(self, symbol: str, side: Side) -> Decimal | None:
        holding = self.holdings[symbol, side]
        backing = holding.margin if holding.margin is not None else self.wallets[LISTED[symbol].settle][0]
        q, s = holding.contracts, int(side)
        for low, high, rate, amount in self.tier_rows(symbol):
            price = (backing + (amount or 0) - q * holding.entry * s) / (q * (rate + FEE - s))
            if low <= q * price < high:
                return price if price > 0 else None
        return None

    def _row(self, holding: Holding) -> dict[str, str]:
        one, liquidation = LISTED[holding.symbol], self.liquidation_of(holding.symbol, holding.side)
        margin = holding.margin if holding.margin is not None else self.value(holding) / holding.leverage
        equity = margin + self.profit(holding)
        rate = next(r for low, high, r, _ in self.tier_rows(holding.symbol) if low <= self.value(holding) < high)
        return {
            "marginCoin": one.settle, "symbol": one.market, "holdSide": holding.side.word, "openDelegateSize": "0",
            "marginSize": f"{margin:f}", "available": f"{holding.contracts:f}", "locked": "0",
            "total": f"{holding.contracts:f}", "leverage": str(holding.leverage), "achievedProfits": "0",
            "openPriceAvg": f"{holding.entry:f}", "marginMode": "crossed" if holding.margin is None else "isolated",
            "posMode": "hedge_mode" if holding.hedged else "one_way_mode", "unrealizedPL": f"{self.profit(holding):f}",
            "liquidationPrice": "0" if liquidation is None else f"{liquidation:f}", "keepMarginRate": f"{rate:f}",
            "markPrice": f"{self.marks[holding.symbol]:f}", "breakEvenPrice": f"{holding.entry:f}", "totalFee": "",
            "deductedFee": "0.388", "takeProfit": "", "stopLoss": "", "takeProfitId": "", "stopLossId": "",
            "marginRatio": f"{self.requirement(holding) / equity:f}", "assetMode": self._asset_mode,
            "autoMargin": "on" if holding.auto_add else "off", "cTime": str(ms(holding.since)),
            "uTime": str(ms(holding.since)),
        }  # fmt: skip

    def _positions(self, query: dict[str, Any]) -> list[dict[str, str]]:
        product = query["productType"]
        if product == "COIN-FUTURES":
            return self.coin_rows
        rows = [self._row(one) for one in self.holdings.values() if LISTED[one.symbol].product == product]
        flat = [one for symbol in self.closed_rows if (one := LISTED[symbol]).product == product]
        names = ("marginSize", "available", "locked", "total", "openPriceAvg", "unrealizedPL", "liquidationPrice")
        return rows + [{"symbol": one.market, "holdSide": "long"} | dict.fromkeys(names, "0") for one in flat]

    def _accounts(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        product = query["productType"]
        return [
            self._account(one)
            for one in self.wallets
            if {"USDT": "USDT-FUTURES", "USDC": "USDC-FUTURES"}[one] == product
        ]

    def _account(self, currency: str) -> dict[str, Any]:
        balance, available = self.wallets[currency]
        mine = [one for one in self.holdings.values() if LISTED[one.symbol].settle == currency]
        isolated = sum((one.margin or D(0) for one in mine), D(0))
        crossed = sum((self.value(one) / one.leverage for one in mine if one.margin is None), D(0))
        own = sum((self.profit(one) for one in mine if one.margin is not None), D(0))
        shared = sum((self.profit(one) for one in mine if one.margin is None), D(0))
        return {
            "marginCoin": currency, "locked": "0", "available": f"{balance:f}", "crossedMaxAvailable": f"{available:f}",
            "isolatedMaxAvailable": f"{available:f}", "maxTransferOut": f"{available:f}",
            "accountEquity": f"{balance + isolated + own + shared:f}", "usdtEquity": "1", "btcEquity": "0.0001",
            "crossedRiskRate": "0", "unrealizedPL": f"{own + shared:f}" if mine else "", "coupon": "0",
            "unionTotalMagin": "0", "unionAvailable": "0", "unionMm": "0", "assetList": [],
            "isolatedMargin": f"{isolated:f}", "crossedMargin": f"{crossed:f}", "crossedUnrealizedPL": f"{shared:f}",
            "isolatedUnrealizedPL": f"{own:f}", "assetMode": self._asset_mode,
        } | self.account_fields  # fmt: skip

    # What happened.

    def _bills(self, query: dict[str, Any]) -> dict[str, Any]:
        start, end = int(query["startTime"]), int(query["endTime"])
        if end - start > 30 * 86_400_000:
            raise self.refusal("40705")
        rows = [self.bill(one.symbol, "append_margin", -one.amount, ms(one.at)) for one in self.adjustments]
        rows = [
            row
            for row in rows + self.extra_bills
            if row["businessType"] == query.get("businessType", row["businessType"])
            and start <= int(row["cTime"]) <= end
            and int(row["billId"]) < int(query.get("idLessThan", 10**30))
            and OF_MARKET[row["symbol"]].product == query["productType"]
        ]
        rows.sort(key=lambda row: int(row["billId"]), reverse=True)
        page = rows[: int(query.get("limit", 20))]
        return {"bills": page, "endId": page[-1]["billId"] if page else ""}

    def bill(self, symbol: str, kind: str, amount: Decimal, at_ms: int) -> dict[str, str]:
        one = LISTED[symbol]
        number = at_ms * 1000 + int(hashlib.sha256(f"{symbol}{kind}{amount}".encode()).hexdigest(), 16) % 1000
        return {
            "billId": str(number), "symbol": one.market, "amount": f"{amount:f}", "fee": "0", "feeByCoupon": "",
            "businessType": kind, "coin": one.settle, "balance": "232.21", "cTime": str(at_ms),
        }  # fmt: skip

    def _plans(self, query: dict[str, Any]) -> dict[str, Any]:
        plan = query["planType"]
        rows = [plan_row(stop) for stop in self.stop_orders] + self.plans
        told = {"profit_loss": {"profit_plan", "loss_plan", "moving_plan", "pos_profit", "pos_loss"}}.get(plan, {plan})
        mine = [
            row
            for row in rows
            if row["planType"] in told and OF_MARKET[row["symbol"].upper()].product == query["productType"]
        ]
        return {"entrustedList": mine or None, "endId": mine[-1]["orderId"] if mine else None}

    def _fills(self, query: dict[str, Any]) -> dict[str, Any]:
        rows = [fill_row(end) for end in self.ends if LISTED[end.holding.symbol].market == query["symbol"]]
        rows = [row for row in rows if int(row["cTime"]) >= int(query.get("startTime", 0))]
        return {"fillList": rows, "endId": "123"}

    def _history(self, query: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "positionId": "1", "marginCoin": "USDT", "symbol": LISTED[end.holding.symbol].market,
                "holdSide": end.holding.side.word, "openAvgPrice": f"{end.holding.entry:f}",
                "closeAvgPrice": f"{end.price:f}", "marginMode": "isolated", "openTotalPos": "0.01",
                "closeTotalPos": "0.01", "pnl": "14.1", "netProfit": "12.1", "totalFunding": "0.1", "openFee": "0.01",
                "closeFee": "0.01", "posMode": "one_way_mode", "ctime": str(ms(end.holding.since)), "utime": str(ms(end.at)),
            }
            for end in self.ends
            if LISTED[end.holding.symbol].product == query["productType"]
            and not end.is_part
            and query.get("symbol") in {None, LISTED[end.holding.symbol].market}
        ]  # fmt: skip
        return {"list": rows, "endId": "1"}

    def _key_info(self, _: dict[str, Any]) -> dict[str, Any]:
        rights = self.rights
        words = ["coor", "cpor", *([] if rights.read_only else ["coow", "cpow"])]
        words += ["wwow"] * rights.withdraw + ["wtow"] * rights.transfer
        return {
            "userId": "1", "inviterId": "2", "ips": "203.0.113.7" if rights.ip_bound else "",
            "authorities": words if self.authorities is None else self.authorities, "parentId": 1,
            "traderType": "not_trader", "channelCode": "", "channel": "", "regisTime": "1246566789345",
        }  # fmt: skip
