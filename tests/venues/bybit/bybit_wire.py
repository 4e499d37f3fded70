"""A unified Bybit account on loopback: paths, signature, bodies and stream of the v5 API, written from its documents.

Source: bybit-exchange/docs (v5, of 2026-07-24) and the help pages "The New Margin Calculation" (2025-09-18) and
"Liquidation Price Calculation under Isolated Mode" (2026-05-27). It knows nothing of guard's parsers.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, ClassVar

from bybit_listed import LISTED, MANY, OF_MARKET, Listed
from bybit_wire_news import BybitListened
from wire_faults import Call, WireRefusal
from wire_values import Holding, Sample

from guard.snapshot import Side

CENT_OF_MICRO = Decimal("0.00000001")
BORROWED_NOT = {"spotBorrow": "0", "borrowAmount": "0", "accruedInterest": "0", "spotHedgingQty": "0"}


class BybitServer(BybitListened):
    exchange: ClassVar[str] = "bybit"
    lacks: ClassVar[Mapping[str, str]] = {"entries": "Bybit keeps no record of margin added to a position"}
    # Entries at which both liquidation prices fall on the tick, for the exchange prints no other.
    sample: ClassVar[Sample] = Sample(
        symbol="BTC/USDT:USDT", currency="USDT", contracts=Decimal("0.1"), contract_size=Decimal(1),
        entry=Decimal("59998.5"), mark=Decimal(58000), margin=Decimal("599.985"), leverage=10, top_up=Decimal("62.3125"),
    )  # fmt: skip
    other: ClassVar[Sample] = Sample(
        symbol="ETH/USDT:USDT", currency="USDT", contracts=Decimal(2), contract_size=Decimal(1),
        entry=Decimal("2999.925"), mark=Decimal(3100), margin=Decimal("599.985"), leverage=10, top_up=Decimal(50),
    )  # fmt: skip
    inverse: ClassVar[Sample | None] = Sample(
        symbol="BTC/USD:BTC", currency="BTC", contracts=Decimal(5940), contract_size=Decimal(1),
        entry=Decimal(59400), mark=Decimal(58000), margin=Decimal("0.01"), leverage=10, top_up=Decimal("0.0021"),
        inverse=True,
    )  # fmt: skip
    usdc: ClassVar[Sample] = Sample(
        symbol="BTC/USDC:USDC", currency="USDC", contracts=Decimal("0.1"), contract_size=Decimal(1),
        entry=Decimal("59998.5"), mark=Decimal(58000), margin=Decimal("599.985"), leverage=10, top_up=Decimal("62.5"),
    )  # fmt: skip
    refusals: ClassVar[Mapping[str, str]] = {
        "110014": "Insufficient available balance to add additional margin.",
        "110015": "The position is in cross margin mode.",
        "110033": "You can't set margin without an open position",
        "10005": "Permission denied, please check your API key permissions.",
    }
    position_fields: ClassVar[Mapping[str, str]] = {
        "size": "size", "entry": "avgPrice", "mark": "markPrice", "margin": "positionIM",
    }  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.margin_mode = "ISOLATED_MARGIN"
        self.pages_of = 200  # Rows of a page of position/list.
        self.refuse_signed: str | None = None  # A code by which every signed request is refused.
        self.account_mm_rate = "0.25"  # Of a cross or portfolio account.
        self.session_prices: dict[str, Decimal] = {}  # USDC contracts settle three times a day.
        self.funding_rows: list[dict[str, str]] = []
        self.marks |= {one.symbol: Decimal(10) for one in MANY} | {self.usdc.symbol: self.usdc.mark}
        self.wallets["USDC"] = (Decimal(0), Decimal(0))

    def urls(self) -> dict[str, object]:
        names = ("spot", "futures", "v2", "public", "private")
        sockets = {name: f"{self.ws_url}/v5/public/{name}" for name in ("spot", "linear", "inverse", "option")}
        return {
            "api": {
                **dict.fromkeys(names, self.url),
                "ws": {"public": sockets, "private": {"contract": f"{self.ws_url}/v5/private"}},
            }
        }

    def hold_many(self, count: int) -> None:
        """Hold isolated longs of that many small coins."""
        for one in MANY[:count]:
            self.hold(
                one.symbol, Side.LONG, contracts=Decimal(100), entry=Decimal(10), margin=Decimal(100), leverage=10
            )

    def sample_of(self, symbol: str) -> Sample:
        return self.usdc if symbol == self.usdc.symbol else super().sample_of(symbol)

    def kind_of(self, call: Call) -> str:
        if call.path == "/v5/position/list" and not ({"symbol"} & call.params.keys()):
            return "positions" if call.params.get("settleCoin") == "USDT" else "positions elsewhere"
        kinds = {
            "position/list": "positions", "account/wallet-balance": "wallets", "position/add-margin": "write",
            "account/transaction-log": "history", "market/risk-limit": "tiers", "market/tickers": "mark",
            "market/mark-price-kline": "candles", "order/realtime": "stops", "execution/list": "fills",
            "spot-margin-trade/collateral": "haircuts",
        }  # fmt: skip
        return kinds.get(call.path.removeprefix("/v5/"), call.path.rsplit("/", 1)[-1])

    def answer(self, call: Call) -> Any:
        public = call.path.startswith(("/v5/market/", "/v5/spot-margin-trade/collateral"))
        if not public:
            self._check_signature(call)
        routes: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("GET", "/v5/market/time"): self._time,
            ("GET", "/v5/market/instruments-info"): self._instruments,
            ("GET", "/v5/market/risk-limit"): self._risk_limit,
            ("GET", "/v5/market/tickers"): self._tickers,
            ("GET", "/v5/market/mark-price-kline"): self._candles,
            ("GET", "/v5/spot-margin-trade/collateral"): self._collateral,
            ("GET", "/v5/position/list"): self._positions,
            ("GET", "/v5/account/wallet-balance"): self._balance,
            ("GET", "/v5/account/info"): lambda _: {
                "marginMode": self.mode, "updatedTime": "1697078946000", "unifiedMarginStatus": 6, "dcpStatus": "OFF",
                "timeWindow": 0, "smpGroup": 0, "isMasterTrader": False, "spotHedgingStatus": "OFF",
            },
            ("GET", "/v5/account/fee-rate"): self._fees,
            ("GET", "/v5/account/transaction-log"): lambda _: {"nextPageCursor": "", "list": self.funding_rows},
            ("GET", "/v5/user/query-api"): self._key,
            ("GET", "/v5/order/realtime"): self._orders,
            ("GET", "/v5/execution/list"): self._executions,
            ("POST", "/v5/position/add-margin"): self._add_margin,
        }  # fmt: skip
        route = routes.get((call.method, call.path))
        if route is None:
            raise WireRefusal(404, {"retCode": 10017, "retMsg": "Route not found."})
        return self._envelope(route(call.params))

    @property
    def mode(self) -> str:
        shared = any(holding.margin is None for holding in self.holdings.values())
        is_cross = self.is_wrong_mode or (shared and self.margin_mode == "ISOLATED_MARGIN")
        return "REGULAR_MARGIN" if is_cross else self.margin_mode

    def refusal(self, code: str) -> WireRefusal:
        text = self.refusals.get(code, "something that nobody wrote down")
        return WireRefusal(200, {**self._envelope({}), "retCode": int(code), "retMsg": text})

    def rate_limited(self) -> WireRefusal:
        headers = {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0"}
        body = {**self._envelope({}), "retCode": 10006, "retMsg": "Too many visits!"}
        headers["X-Bapi-Limit-Reset-Timestamp"] = str(body["time"] + 700)
        return WireRefusal(200, body, **headers)

    def rows_in(self, kind: str, answer: Any) -> list[Any]:
        rows: list[Any] = answer["result"]["list"]
        return rows[0]["coin"] if kind == "wallets" else rows

    def tier_rows(self, symbol: str) -> list[tuple[Decimal, Decimal, Decimal, Decimal | None]]:
        floor, rows = Decimal(0), []
        for limit, rate, deduction, _ in LISTED[symbol].tiers:
            rows.append((floor, Decimal(limit), Decimal(rate), Decimal(deduction or 0)))
            floor = Decimal(limit)
        return rows

    # Figures of a position, by the help pages.

    def reserve_of(self, holding: Holding) -> Decimal:
        """The fee to close at the leverage's own bankruptcy price: in initial and in maintenance margin."""
        value = self._value(holding, holding.entry)
        return value * (1 - self._toward(holding) / Decimal(holding.leverage)) * LISTED[holding.symbol].taker

    def liquidation_of(self, symbol: str, side: Side) -> Decimal | None:
        holding, one = self.holdings[symbol, side], LISTED[symbol]
        if holding.margin is None:
            return None
        value, s, t = self._value(holding, holding.entry), int(side), one.taker
        own = value / holding.leverage
        extra = holding.margin - own  # What was added.
        for floor, cap, rate, ded in self.tier_rows(symbol):
            if one.inverse:
                q = holding.contracts
                price = q * (1 + s * rate) / (value + s * (own + extra / (1 + s * t) + ded))
                at_it = q / price
            else:
                price = (value * (1 - s / Decimal(holding.leverage)) - s * (extra / (1 - s * t) + ded)) / (
                    holding.contracts * (1 - s * rate)
                )
                at_it = holding.contracts * price
            if floor <= at_it < cap:
                return price if price > 0 else None
        return None

    def shown(self, price: Decimal | None, side: Side, tick: Decimal) -> str:
        if price is None:
            return ""
        rounding = ROUND_CEILING if side is Side.LONG else ROUND_FLOOR
        return f"{(price / tick).to_integral_value(rounding) * tick:f}"

    @staticmethod
    def _toward(holding: Holding) -> int:
        """1 where margin makes the value at bankruptcy smaller, -1 where it makes it larger."""
        return int(holding.side) * (-1 if LISTED[holding.symbol].inverse else 1)

    @staticmethod
    def _value(holding: Holding, price: Decimal) -> Decimal:
        return holding.contracts / price if LISTED[holding.symbol].inverse else holding.contracts * price

    def _profit(self, holding: Holding) -> Decimal:
        start = self.session_prices.get(holding.symbol, holding.entry)
        then, now = self._value(holding, start), self._value(holding, self.marks[holding.symbol])
        return (now - then) * self._toward(holding)

    def _initial(self, holding: Holding) -> Decimal:
        if holding.margin is not None:
            return holding.margin + self.reserve_of(holding)
        return self._value(holding, self.marks[holding.symbol]) / holding.leverage + self.reserve_of(holding)

    def _maintenance(self, holding: Holding) -> Decimal:
        value = self._value(holding, self.marks[holding.symbol])
        rate, ded = next((r, d) for floor, cap, r, d in self.tier_rows(holding.symbol) if floor <= value < cap)
        return value * rate - (ded or 0) + self.reserve_of(holding)

    def _row(self, holding: Holding) -> dict[str, Any]:
        one, portfolio = LISTED[holding.symbol], self.mode == "PORTFOLIO_MARGIN"
        initial, maintenance = _short(self._initial(holding)), _short(self._maintenance(holding))
        liquidation = self.shown(self.liquidation_of(holding.symbol, holding.side), holding.side, one.tick)
        return {
            "positionIdx": {Side.LONG: 1, Side.SHORT: 2}[holding.side] if holding.hedged else 0,
            "riskId": 1, "riskLimitValue": one.tiers[0][0], "symbol": one.market,
            "side": "Buy" if holding.side is Side.LONG else "Sell", "size": f"{holding.contracts:f}",
            "avgPrice": f"{holding.entry:f}", "markPrice": f"{self.marks[holding.symbol]:f}",
            "positionValue": _short(self._value(holding, self.marks[holding.symbol])), "tradeMode": 0,
            "positionStatus": "Normal", "autoAddMargin": int(holding.auto_add), "adlRankIndicator": 2,
            "leverage": "" if portfolio else str(holding.leverage), "breakEvenPrice": "0", "positionBalance": "0",
            "liqPrice": "" if portfolio else liquidation, "bustPrice": "",
            "positionIM": "" if portfolio else initial, "positionIMByMp": "" if portfolio else initial,
            "positionMM": "" if portfolio else maintenance, "positionMMByMp": "" if portfolio else maintenance,
            "tpslMode": "Full", "takeProfit": "", "stopLoss": "", "trailingStop": "0",
            "unrealisedPnl": _short(self._profit(holding)), "curRealisedPnl": "0", "cumRealisedPnl": "0",
            "sessionAvgPrice": f"{self.session_prices[holding.symbol]:f}" if holding.symbol in self.session_prices else "",
            "seq": 5723621632, "isReduceOnly": False, "mmrSysUpdatedTime": "", "leverageSysUpdatedTime": "",
            "createdTime": "1676538056258", "updatedTime": str(round(holding.since.timestamp() * 1000)),
        }  # fmt: skip

    # Answers.

    def _positions(self, query: dict[str, Any]) -> Any:
        if query["category"] == "linear" and not ({"symbol", "settleCoin"} & query.keys()):
            raise self.refusal("10001")
        rows = [
            self._row(holding) for holding in self.holdings.values() if self._asked_for(LISTED[holding.symbol], query)
        ]
        rows += [{**self._flat_row(symbol)} for symbol in self.closed_rows if self._asked_for(LISTED[symbol], query)]
        size = min(int(query.get("limit", 20)), self.pages_of)
        start = int(query.get("cursor") or 0)
        page = rows[start : start + size]
        # The last page has a cursor too; only what comes after it is empty.
        return {"list": page, "nextPageCursor": str(start + len(page)) if page else "", "category": query["category"]}

    def _flat_row(self, symbol: str) -> dict[str, Any]:
        return {
            "positionIdx": 0, "symbol": LISTED[symbol].market, "side": "", "size": "0", "avgPrice": "0",
            "markPrice": f"{self.marks[symbol]:f}", "liqPrice": "", "positionIM": "0", "positionMM": "0",
            "unrealisedPnl": "", "leverage": "10", "positionValue": "", "autoAddMargin": 0, "sessionAvgPrice": "",
            "positionStatus": "Normal", "createdTime": "1676538056258", "updatedTime": "1697673600012",
        }  # fmt: skip

    @staticmethod
    def _asked_for(one: Listed, query: Mapping[str, Any]) -> bool:
        return (
            one.category == query["category"]
            and query.get("symbol", one.market) == one.market
            and query.get("settleCoin", one.settle) == one.settle
        )

    def _balance(self, query: dict[str, Any]) -> Any:
        assert query["accountType"] == "UNIFIED", query
        isolated, portfolio = self.mode == "ISOLATED_MARGIN", self.mode == "PORTFOLIO_MARGIN"
        coins = []
        for currency, (balance, available) in self.wallets.items():
            held = [h for h in self.holdings.values() if LISTED[h.symbol].settle == currency]
            margins, pnl = sum(map(self._initial, held), Decimal(0)), sum(map(self._profit, held), Decimal(0))
            whole = balance + (margins if isolated else 0)
            if not whole and not held:
                continue  # What holds nothing is not listed.
            coins.append({
                "coin": currency, "equity": _short(whole + pnl), "usdValue": _short(whole), "walletBalance": _short(whole),
                "locked": "0", "totalOrderIM": "" if portfolio else _short(balance - available),
                "totalPositionIM": "" if portfolio else _short(margins),
                "totalPositionMM": "" if portfolio else _short(sum(map(self._maintenance, held), Decimal(0))),
                "unrealisedPnl": _short(pnl), "cumRealisedPnl": "0", "bonus": "0", "marginCollateral": True,
                "collateralSwitch": True, "availableToWithdraw": "", "availableToBorrow": "", **BORROWED_NOT,
            })  # fmt: skip
        rate = "" if isolated else self.account_mm_rate
        return {
            "list": [
                {
                    "accountType": "UNIFIED", "accountIMRate": rate, "accountMMRate": rate, "accountIMRateByMp": rate,
                    "accountMMRateByMp": rate, "totalEquity": "10000", "totalWalletBalance": "10000", "totalPerpUPL": "0",
                    "totalMarginBalance": "" if isolated else "10000", "totalInitialMargin": "" if isolated else "1000",
                    "totalMaintenanceMargin": "" if isolated else "100", "accountLTV": "0",
                    "totalAvailableBalance": "" if isolated else "9000", "coin": coins,
                }
            ]
        }  # fmt: skip

    def _collateral(self, _: dict[str, Any]) -> Any:
        """Docs, "Get Tiered Collateral Ratio" (2026)."""
        return {
            "list": [
                {
                    "currency": asset,
                    "collateralRatioList": [
                        {"minQty": floor, "maxQty": up, "collateralRatio": share}
                        for (floor, share), up in zip(steps, [*(one[0] for one in steps[1:]), ""], strict=True)
                    ],
                }
                for asset, steps in self.counted.items()
            ]
        }

    def _add_margin(self, body: dict[str, Any]) -> Any:
        one, amount = OF_MARKET[body["symbol"]], Decimal(body["margin"])
        if one.category != body["category"] or amount.as_tuple().exponent < -4 or amount <= 0:
            raise self.refusal("10001")
        if self.mode != "ISOLATED_MARGIN":
            raise self.refusal("110015")
        sides = {0: (Side.LONG, Side.SHORT), 1: (Side.LONG,), 2: (Side.SHORT,)}[body.get("positionIdx", 0)]
        key = next(((one.symbol, side) for side in sides if (one.symbol, side) in self.holdings), None)
        if key is None or self.holdings[key].hedged != bool(body.get("positionIdx", 0)):
            raise self.refusal("110033")
        if amount > self.wallets[one.settle][1]:
            raise self.refusal("110014")
        row = self._row(self.add_to(*key, amount))
        return {
            "category": one.category,
            **{name: row[name] for name in row if name not in {"side", "seq", "tradeMode"}},
        }

    def _key(self, _: dict[str, Any]) -> Any:
        rights = self.rights
        wallet = ["AccountTransfer", "SubMemberTransfer"] if rights.transfer else []
        expires = rights.expires_at
        return {
            "id": "2208369", "note": "guard", "apiKey": self.api_key, "readOnly": int(rights.read_only), "secret": "",
            "permissions": {
                "ContractTrade": ["Order", "Position"], "Spot": [], "Options": [], "Derivatives": ["DerivativesTrade"],
                "Wallet": [*wallet, *(["Withdraw"] if rights.withdraw else [])], "Exchange": [], "Earn": [],
            },
            "ips": ["18.181.170.164"] if rights.ip_bound else ["*"], "type": 1,
            "deadlineDay": -2 if expires is None else max(0, (expires - self.now()).days),
            "expiredAt": "1970-01-01T00:00:00Z" if expires is None else f"{expires:%Y-%m-%dT%H:%M:%SZ}",
            "createdAt": "2025-10-13T03:20:45Z", "unified": 0, "uta": 1, "userID": 1448939, "isMaster": True,
        }  # fmt: skip

    def _envelope(self, result: Any) -> dict[str, Any]:
        return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": self.now_ms()}

    def _check_signature(self, call: Call) -> None:
        head = call.headers
        stamp, window = head.get("X-BAPI-TIMESTAMP", "0"), head.get("X-BAPI-RECV-WINDOW", "5000")
        said = stamp + head.get("X-BAPI-API-KEY", "") + window + (call.body if call.method == "POST" else call.query)
        expected = hmac.new(self.secret.encode(), said.encode(), hashlib.sha256).hexdigest()
        if head.get("X-BAPI-API-KEY") != self.api_key:
            raise self.refusal("10003")
        if not hmac.compare_digest(expected, head.get("X-BAPI-SIGN", "")):
            raise self.refusal("10004")
        if not self.now_ms() - int(window) <= int(stamp) < self.now_ms() + 1000:
            raise self.refusal("10002")
        if self.refuse_signed is not None:
            raise self.refusal(self.refuse_signed)
        if call.method == "POST" and self.rights.read_only:
            raise self.refusal("10005")


def _short(number: Decimal) -> str:
    return f"{number.quantize(CENT_OF_MICRO):f}"
