"""OKX v5 on loopback: its paths, signature, envelopes, errors and stream, written from its documents.

Sources: docs-v5 "REST authentication", "Get instruments", "Get positions", "Get balance", "Get account configuration",
"Increase/decrease margin", "Get bills details", "Get position tiers", "Get fee rates", "Error Code" (copies of 2025-07
and 2026); liquidation price by the help pages on isolated and single-currency cross margin, one tick early as recorded
(ccxt issues 10547 and 28121).
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

from wire_faults import Call, WireRefusal
from wire_server import Holding, Sample, WireServer

from guard.snapshot import Side

D = Decimal
TAKER = D("0.0005")
API = "/api/v5"

# instId: symbol, family, kind, ctVal, settle, tick, lot.
INSTRUMENTS = {
    "BTC-USDT-SWAP": ("BTC/USDT:USDT", "BTC-USDT", "linear", "0.01", "BTC", "USDT", "0.1", "0.01"),
    "ETH-USDT-SWAP": ("ETH/USDT:USDT", "ETH-USDT", "linear", "0.1", "ETH", "USDT", "0.01", "0.01"),
    "BTC-USD-SWAP": ("BTC/USD:BTC", "BTC-USD", "inverse", "100", "USD", "BTC", "0.1", "1"),
    "BTC-USDT-270326": ("BTC/USDT:USDT-270326", "BTC-USDT", "linear", "0.01", "BTC", "USDT", "0.1", "0.01"),
}
# tdMode, minSz, maxSz, mmr. The hole between the first two is OKX's own (freqtrade issue 11923).
TIERS = {
    "isolated": [("0", "6500", "0.004"), ("6501", "13000", "0.005"), ("13000", "20000", "0.01")],
    "cross": [("0", "6000", "0.005"), ("6001", "12000", "0.006"), ("12000", "20000", "0.012")],
}
# HTTP status of errors that do not come with 200.
STATUSES = {
    "50000": 400, "50001": 503, "50002": 400, "50004": 400, "50005": 410, "50006": 400, "50013": 429, "50014": 400,
    "50026": 500, "50035": 403, "50100": 400, "51000": 400,
    **{str(code): 401 for code in range(50101, 50115)},
}  # fmt: skip


class OkxServer(WireServer):
    exchange = "okx"
    password = "canary-passphrase-77aa88bb"
    sample = Sample(
        symbol="BTC/USDT:USDT", currency="USDT", contracts=D(10), contract_size=D("0.01"), entry=D(60000),
        mark=D(58000), margin=D(600), leverage=10, top_up=D("62.31"),
    )  # fmt: skip
    other = Sample(
        symbol="ETH/USDT:USDT", currency="USDT", contracts=D(12), contract_size=D("0.1"), entry=D(3000),
        mark=D(2950), margin=D(360), leverage=10, top_up=D("20.01"),
    )  # fmt: skip
    inverse = Sample(
        symbol="BTC/USD:BTC", currency="BTC", contracts=D(60), contract_size=D(100), entry=D(60000), mark=D(58000),
        margin=D("0.012"), leverage=10, top_up=D("0.00123456"), inverse=True,
    )  # fmt: skip
    refusals = {
        "50009": "Account is frozen due to stop-out.",
        "50011": "Rate limit reached.",
        "50017": "Position frozen and related operations restricted due to auto-deleveraging (ADL).",
        "50102": "Timestamp request expired.",
        "50120": "This API key doesn't have permission to use this function",
        "51030": "Funding fee is being settled.",
        "59200": "Insufficient account balance.",
        "59300": "Margin call failed. Position does not exist.",
        "59301": "Margin adjustment failed for exceeding the max limit.",
        "59303": "Insufficient available margin, add margin or reduce the borrowing amount",
    }
    position_fields = {"size": "pos", "entry": "avgPx", "mark": "markPx", "margin": "margin"}
    lacks = {"auto margin": "OKX has no auto-margin switch for contracts in its API"}

    def __init__(self) -> None:
        super().__init__()
        self.acct_lv = "2"
        self.ct_iso_mode = "automatic"
        self.pos_mode: str | None = None  # None: as the holdings are.
        self.extra_rows: list[dict[str, Any]] = []  # Of account/positions.
        self.extra_bills: list[dict[str, Any]] = []
        self.algo_rows: list[dict[str, Any]] = []
        self.details_of: dict[str, dict[str, str]] = {}  # Currency: fields that differ.
        self.totals: dict[str, str] = {}
        self.fee_groups: list[dict[str, str]] = [{"groupId": "7", "taker": f"-{TAKER}", "maker": "-0.0002"}]
        self.needs_header = False  # The key is for demo trading.
        self.marks["BTC/USDT:USDT-270326"] = D(58100)

    # Words of the neutral interface.

    def urls(self) -> dict[str, object]:
        return {"api": {"rest": self.url, "ws": f"{self.ws_url}/ws/v5"}}

    def kind_of(self, call: Call) -> str:
        kinds = {
            "/account/position/margin-balance": "write",
            "/account/positions": "positions",
            "/account/balance": "wallets",
            "/account/bills": "history",
            "/account/bills-archive": "history",
            "/public/position-tiers": "tiers",
            "/public/mark-price": "mark",
            "/market/history-mark-price-candles": "candles",
            "/trade/orders-algo-pending": "stops",
            "/account/positions-history": "fills",
        }
        return kinds.get(call.path.removeprefix(API), call.path)

    def refusal(self, code: str) -> WireRefusal:
        return WireRefusal(STATUSES.get(code, 200), {"code": code, "data": [], "msg": self.refusals.get(code, "No.")})

    def rate_limited(self) -> WireRefusal:
        return WireRefusal(429, {"code": "50011", "data": [], "msg": "Too Many Requests"})

    def rows_in(self, kind: str, answer: Any) -> list[Any]:
        rows: list[Any] = answer["data"]
        return rows[0]["details"] if kind == "wallets" else rows

    def tier_rows(self, symbol: str) -> list[tuple[Decimal, Decimal, Decimal, Decimal | None]]:
        """A size equal to `maxSz` belongs to that tier, and the next lot to the next one."""
        lot = D(INSTRUMENTS[self.inst_id(symbol)][7])
        rows = TIERS["cross" if self._is_cross(symbol) else "isolated"]
        floors = [D(0), *(D(top) + lot for _, top, _ in rows[:-1])]
        caps = [*floors[1:], D(rows[-1][1])]
        return [(floor, cap, D(rate), None) for floor, cap, (_, _, rate) in zip(floors, caps, rows, strict=True)]

    # Requests.

    def answer(self, call: Call) -> Any:
        path = call.path.removeprefix(API)
        open_to_all = {
            "/public/time": lambda _c: [{"ts": str(self.now_ms())}],
            "/public/instruments": self._instruments,
            "/public/mark-price": self._mark_price,
            "/public/position-tiers": self._position_tiers,
            "/market/history-mark-price-candles": self._candles,
        }
        if path in open_to_all:
            return ok(open_to_all[path](call))
        self._check_key(call)
        return ok(
            {
                "/account/config": self._config,
                "/account/positions": self._positions,
                "/account/balance": self._balance,
                "/account/trade-fee": self._trade_fee,
                "/account/bills": lambda c: self._bills(c, timedelta(days=7)),
                "/account/bills-archive": lambda c: self._bills(c, timedelta(days=90)),
                "/account/positions-history": self._positions_history,
                "/trade/orders-algo-pending": self._algo_orders,
                "/account/position/margin-balance": self._margin_balance,
            }[path](call)
        )

    def _check_key(self, call: Call) -> None:
        headers = call.headers
        stamp = headers.get("OK-ACCESS-TIMESTAMP", "")
        if headers.get("OK-ACCESS-KEY") != self.api_key:
            raise self.refusal("50111")
        if headers.get("OK-ACCESS-PASSPHRASE") != self.password:
            raise self.refusal("50105")
        if self.needs_header != (headers.get("x-simulated-trading") == "1"):
            raise self.refusal("50101")
        try:
            stamped_at = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        except ValueError:
            raise self.refusal("50112") from None
        if abs(self.now() - stamped_at) > timedelta(seconds=30):
            raise self.refusal("50102")
        target = call.path + (f"?{call.query}" if call.query else "")
        digest = hmac.new(self.secret.encode(), f"{stamp}{call.method}{target}{call.body}".encode(), hashlib.sha256)
        if headers.get("OK-ACCESS-SIGN") != base64.b64encode(digest.digest()).decode():
            raise self.refusal("50113")
        if call.method == "POST" and self.rights.read_only:
            raise self.refusal("50120")

    def _margin_balance(self, call: Call) -> list[dict[str, str]]:
        body = call.params
        symbol = INSTRUMENTS[body["instId"]][0] if body.get("instId") in INSTRUMENTS else None
        if symbol is None or body.get("type") not in {"add", "reduce"} or not isinstance(body.get("amt"), str):
            raise self.refusal("51000")
        side = self._side_named(symbol, body.get("posSide"))
        holding = self.holdings.get((symbol, side)) if side else None
        if holding is None or holding.margin is None:
            raise self.refusal("59300")
        amount = D(body["amt"])
        currency = self.sample_of(symbol).currency
        if amount > self.wallets[currency][1]:
            raise self.refusal("59200")
        self.add_to(symbol, holding.side, amount)
        return [
            {
                "amt": body["amt"], "ccy": currency, "instId": body["instId"], "leverage": "",
                "posSide": body["posSide"], "type": body["type"],
            }
        ]  # fmt: skip

    def _side_named(self, symbol: str, word: object) -> Side | None:
        if word == "net":
            return next((side for (held, side), h in self.holdings.items() if held == symbol and not h.hedged), None)
        side = {"long": Side.LONG, "short": Side.SHORT}.get(str(word))
        holding = self.holdings.get((symbol, side)) if side else None
        return side if holding is not None and holding.hedged else None

    def _config(self, _call: Call) -> list[dict[str, Any]]:
        rights = self.rights
        perm = ["read_only", *([] if rights.read_only else ["trade"]), *(["withdraw"] if rights.withdraw or rights.transfer else [])]
        hedged = any(holding.hedged for holding in self.holdings.values())
        return [
            {
                "acctLv": "4" if self.is_wrong_mode else self.acct_lv, "acctStpMode": "cancel_maker", "autoLoan": False,
                "ctIsoMode": self.ct_iso_mode, "enableSpotBorrow": False, "feeType": "0", "greeksType": "PA",
                "ip": "203.0.113.7" if rights.ip_bound else "", "kycLv": "3", "label": "guard", "level": "Lv1",
                "levelTmp": "", "liquidationGear": "-1", "mainUid": "44705892343619584", "mgnIsoMode": "automatic",
                "opAuth": "1", "perm": ",".join(perm), "posMode": self.pos_mode or ("long_short_mode" if hedged else "net_mode"),
                "roleType": "0", "settleCcy": "USDC", "settleCcyList": ["USD", "USDC"], "spotOffsetType": "",
                "spotRoleType": "0", "spotTraderInsts": [], "stgyType": "0", "traderInsts": [], "type": "0",
                "uid": "44705892343619584",
            }
        ]  # fmt: skip

    # The account.

    def tick_of(self, symbol: str) -> Decimal:
        return D(INSTRUMENTS[self.inst_id(symbol)][6])

    def inst_id(self, symbol: str) -> str:
        return next(inst_id for inst_id, terms in INSTRUMENTS.items() if terms[0] == symbol)

    def _is_cross(self, symbol: str) -> bool:
        return any(h.margin is None for (held, _), h in self.holdings.items() if held == symbol)

    def _rate(self, holding: Holding) -> Decimal:
        """The rate of the tier: of the position's own contracts, or in cross of all of its family."""
        if holding.margin is not None:
            mode, size = "isolated", holding.contracts
        else:
            family = INSTRUMENTS[self.inst_id(holding.symbol)][1]
            mode = "cross"
            size = sum(
                h.contracts
                for h in self.holdings.values()
                if h.margin is None and INSTRUMENTS[self.inst_id(h.symbol)][1] == family
            )
        return next((D(rate) for _, top, rate in TIERS[mode] if size <= D(top)), D(TIERS[mode][-1][2]))

    def _terms(self, holding: Holding) -> tuple[bool, Decimal, Decimal]:
        """Return whether it is inverse, its size in base units or dollars, and the mark."""
        _, _, kind, ct_val, *_ = INSTRUMENTS[self.inst_id(holding.symbol)]
        return kind == "inverse", holding.contracts * D(ct_val), self.marks[holding.symbol]

    def _value(self, holding: Holding) -> Decimal:
        inverse, size, mark = self._terms(holding)
        return size / mark if inverse else size * mark

    def _upl(self, holding: Holding) -> Decimal:
        inverse, size, mark = self._terms(holding)
        return int(holding.side) * (size / holding.entry - size / mark if inverse else size * (mark - holding.entry))

    def _currency(self, holding: Holding) -> str:
        return INSTRUMENTS[self.inst_id(holding.symbol)][5]

    def liquidation_of(self, symbol: str, side: Side) -> Decimal | None:
        holding = self.holdings[symbol, side]
        inverse, size, _ = self._terms(holding)
        s, charge = int(side), self._rate(holding) + TAKER
        backing = holding.margin
        if backing is None:  # The wallet, with what the other cross positions of the currency win and need.
            currency = self._currency(holding)
            others = [
                h
                for h in self.holdings.values()
                if h is not holding and h.margin is None and self._currency(h) == currency
            ]
            backing = self.wallets[currency][0] + sum(
                (self._upl(h) - self._value(h) * (self._rate(h) + TAKER) for h in others), D(0)
            )
        tick = self.tick_of(symbol)
        if not inverse:
            price = (holding.entry - s * backing / size) / (1 - s * charge)
        else:
            below = s * backing + size / holding.entry
            if s * below <= 0 or below <= 0:
                return None
            price = size * (1 + s * charge) / below
        return price + s * tick if price > 0 else None

    def _positions(self, call: Call) -> list[dict[str, Any]]:
        wanted = call.params.get("instId")
        rows = [self._position_row(holding) for holding in self.holdings.values()]
        rows += [self._closed_row(symbol) for symbol in self.closed_rows] + self.extra_rows
        return [row for row in rows if wanted in {None, row["instId"]}]

    def _position_row(self, holding: Holding) -> dict[str, Any]:
        inverse, size, mark = self._terms(holding)
        inst_id = self.inst_id(holding.symbol)
        value, upl, rate = self._value(holding), self._upl(holding), self._rate(holding)
        liquidation = self.liquidation_of(holding.symbol, holding.side)
        net_sign = 1 if holding.hedged else int(holding.side)
        backing = holding.margin if holding.margin is not None else self.wallets[self._currency(holding)][0]
        return {
            "adl": "1", "availPos": "", "avgPx": str(holding.entry), "baseBal": "", "bePx": "", "bizRefId": "",
            "cTime": str(ms(holding.since)), "ccy": self._currency(holding), "closeOrderAlgo": [], "fee": "0",
            "fundingFee": "0", "idxPx": str(mark), "imr": "" if holding.margin is not None else str(value / holding.leverage),
            "instId": inst_id, "instType": "SWAP" if inst_id.endswith("SWAP") else "FUTURES", "interest": "",
            "last": str(mark), "lever": str(holding.leverage), "liab": "", "liabCcy": "", "liqPenalty": "0",
            "liqPx": "" if liquidation is None else f"{liquidation:f}", "margin": "" if holding.margin is None else f"{holding.margin:f}",
            "markPx": str(mark), "mgnMode": "cross" if holding.margin is None else "isolated",
            "mgnRatio": str((backing + upl) / (value * (rate + TAKER))), "mmr": f"{value * rate:f}",
            "notionalUsd": f"{size if inverse else value:f}", "optVal": "", "pnl": "0", "pos": str(net_sign * holding.contracts),
            "posCcy": "", "posId": "653944598162657280", "posSide": holding.side.word if holding.hedged else "net",
            "realizedPnl": "0", "tradeId": "38002016", "uTime": str(ms(holding.since)), "upl": f"{upl:f}",
            "uplRatio": "0", "usdPx": "1" if not inverse else str(mark),
        }  # fmt: skip

    def _closed_row(self, symbol: str) -> dict[str, Any]:
        inst_id = self.inst_id(symbol)
        return {
            "instId": inst_id, "instType": "SWAP", "mgnMode": "isolated", "posSide": "net", "pos": "0", "avgPx": "",
            "markPx": "", "margin": "", "liqPx": "", "lever": "", "mmr": "", "upl": "", "ccy": "USDT", "uTime": "1706612162996",
        }  # fmt: skip

    def _balance(self, _call: Call) -> list[dict[str, Any]]:
        details = [self._detail(currency) for currency in self.wallets]
        crossed = [h for h in self.holdings.values() if h.margin is None]
        multi = self.acct_lv in {"3", "4"} or self.is_wrong_mode
        equity = sum((D(row["cashBal"]) for row in details if row["ccy"] == "USDT"), D(0)) + sum(map(self._upl, crossed))
        needed = sum((self._value(h) * (self._rate(h) + TAKER) for h in crossed), D(0))
        totals = {
            "adjEq": str(equity) if multi else "", "availEq": str(equity) if multi else "", "borrowFroz": "",
            "imr": "0" if multi else "", "isoEq": "0", "mgnRatio": str(equity / needed) if multi and needed else "",
            "mmr": str(sum((self._value(h) * self._rate(h) for h in crossed), D(0))) if multi else "",
            "notionalUsd": "", "ordFroz": "", "totalEq": str(equity), "uTime": str(self.now_ms()), "upl": "",
        }  # fmt: skip
        return [totals | {"details": details} | self.totals]

    def _detail(self, currency: str) -> dict[str, str]:
        balance, available = self.wallets[currency]
        mine = [h for h in self.holdings.values() if self._currency(h) == currency]
        isolated = [h for h in mine if h.margin is not None]
        iso_upl = sum(map(self._upl, isolated), D(0))
        upl = sum(map(self._upl, mine), D(0))
        iso_eq = sum((h.margin or D(0) for h in isolated), D(0)) + iso_upl
        fields = {
            "cashBal": balance, "eq": balance + iso_eq + upl - iso_upl, "isoEq": iso_eq, "isoUpl": iso_upl, "upl": upl,
            "availBal": available, "availEq": available, "frozenBal": D(0), "ordFrozen": D(0), "stgyEq": D(0),
            "spotIsoBal": D(0), "smtSyncEq": D(0), "spotCopyTradingEq": D(0), "fixedBal": D(0),
        }  # fmt: skip
        empty = dict.fromkeys(("liab", "crossLiab", "isoLiab", "interest", "maxLoan", "mgnRatio", "imr", "mmr", "twap"), "")
        texts = {name: f"{value:f}" for name, value in fields.items()}
        return empty | texts | {"ccy": currency, "uTime": str(self.now_ms())} | self.details_of.get(currency, {})

    # The market.

    def _instruments(self, call: Call) -> list[dict[str, Any]]:
        rows = []
        for inst_id, (_, family, kind, ct_val, val_ccy, settle, tick, lot) in INSTRUMENTS.items():
            inst_type = "SWAP" if inst_id.endswith("SWAP") else "FUTURES"
            expiry = "" if inst_type == "SWAP" else str(ms(datetime(2027, 3, 26, 8, tzinfo=UTC)))
            rows.append(
                {
                    "alias": "", "baseCcy": "", "category": "1", "ctMult": "1", "ctType": kind, "ctVal": ct_val,
                    "ctValCcy": val_ccy, "expTime": expiry, "groupId": "7", "instFamily": family, "instId": inst_id,
                    "instType": inst_type, "lever": "100", "listTime": "1573557408000", "lotSz": lot, "maxLmtSz": "100000000",
                    "maxMktSz": "12000", "minSz": lot, "optType": "", "quoteCcy": "", "ruleType": "normal", "settleCcy": settle,
                    "state": "live", "stk": "", "tickSz": tick, "uly": family,
                }
            )  # fmt: skip
        # Not described yet: only these two are there (ccxt's note).
        rows.append({"instId": "ETH-USD_UM-SWAP", "instType": "SWAP", "state": "preopen"})
        return [row for row in rows if row["instType"] == call.params.get("instType")]

    def _mark_price(self, call: Call) -> list[dict[str, str]]:
        inst_id = call.params["instId"]
        if inst_id not in INSTRUMENTS:
            raise self.refusal("51001")
        return [self._mark_row(inst_id)]

    def _mark_row(self, inst_id: str) -> dict[str, str]:
        inst_type = "SWAP" if inst_id.endswith("SWAP") else "FUTURES"
        mark = self.marks[INSTRUMENTS[inst_id][0]]
        return {"instId": inst_id, "instType": inst_type, "markPx": str(mark), "ts": str(self.now_ms())}

    def _position_tiers(self, call: Call) -> list[dict[str, str]]:
        families = call.params["instFamily"].split(",")
        if len(families) > 5:
            raise self.refusal("51000")
        return [
            {
                "baseMaxLoan": "", "imr": str(D(rate) * 2), "instFamily": family, "instId": "", "maxLever": "100",
                "maxSz": top, "minSz": bottom, "mmr": rate, "optMgnFactor": "0", "quoteMaxLoan": "",
                "tier": str(number), "uly": family,
            }
            for family in families
            for number, (bottom, top, rate) in enumerate(TIERS[call.params["tdMode"]], 1)
        ]  # fmt: skip

    def _candles(self, call: Call) -> list[list[str]]:
        width = {"1m": 60_000, "1H": 3_600_000}[call.params["bar"]]
        last = int(call.params.get("after") or self.now_ms()) // width * width
        last -= width if call.params.get("after") else 0
        mark = self.marks[INSTRUMENTS[call.params["instId"]][0]]
        limit = min(int(call.params.get("limit") or 100), 100)
        return [[str(last - n * width), str(mark), str(mark + 5), str(mark - 5), str(mark), "1"] for n in range(limit)]

    def _trade_fee(self, call: Call) -> list[dict[str, Any]]:
        return [
            {
                "category": "1", "delivery": "0.0002", "exercise": "", "feeGroup": self.fee_groups, "fiat": [],
                "instType": call.params["instType"], "level": "Lv1", "maker": "-0.0002", "makerU": "-0.0002",
                "makerUSDC": "-0.0002", "ruleType": "normal", "taker": "-0.0006", "takerU": "-0.0007", "takerUSDC": "-0.0008",
                "ts": str(self.now_ms()),
            }
        ]  # fmt: skip

    # What happened.

    def _bills(self, call: Call, kept: timedelta) -> list[dict[str, str]]:
        query = parse_qs(call.query)
        begin, end = int(query["begin"][0]), int(query["end"][0])
        rows = [*self._opening_bills(), *self._transfer_bills(), *self.extra_bills]
        rows = [
            row
            for row in rows
            if begin < int(row["ts"]) < end
            and int(row["ts"]) > self.now_ms() - kept / timedelta(milliseconds=1)
            and call.params.get("instId") in {None, row["instId"]}
            and call.params.get("type") in {None, row["type"]}
        ]
        rows.sort(key=lambda row: int(row["billId"]), reverse=True)
        after = call.params.get("after")
        rows = [row for row in rows if after is None or int(row["billId"]) < int(after)]
        return rows[: int(call.params.get("limit") or 100)]

    def _opening_bills(self) -> list[dict[str, str]]:
        rows = []
        for holding in self.holdings.values():
            if holding.margin is None:
                continue
            added = sum((a.amount for a in self.adjustments if (a.symbol, a.side) == (holding.symbol, holding.side)), D(0))
            opening = holding.margin - added
            hedge, net = ("3", "1") if holding.side is Side.LONG else ("4", "2")
            sub_type = hedge if holding.hedged else net
            rows.append(self.bill(holding.symbol, "2", sub_type, opening, holding.since, mgnMode="isolated"))
        return rows

    def _transfer_bills(self) -> list[dict[str, str]]:
        return [self.bill(one.symbol, "6", "160", one.amount, one.at) for one in self.adjustments]

    def bill(self, symbol: str, kind: str, sub_type: str, moved: Decimal, at: datetime, **fields: str) -> dict[str, str]:
        inst_id = self.inst_id(symbol)
        number = ms(at) * 100 + int(hashlib.sha256(f"{symbol}{kind}{moved}".encode()).hexdigest(), 16) % 100
        return {
            "bal": "1000", "balChg": f"{-moved:f}", "billId": str(number), "ccy": INSTRUMENTS[inst_id][5], "clOrdId": "",
            "execType": "", "fee": "0", "fillTime": "", "from": "", "instId": inst_id, "instType": "SWAP", "interest": "0",
            "mgnMode": "", "notes": "", "ordId": "", "pnl": "0", "posBal": "0", "posBalChg": f"{moved:f}", "px": "",
            "subType": sub_type, "sz": f"{abs(moved):f}", "tag": "", "to": "", "tradeId": "", "ts": str(ms(at)), "type": kind,
        } | fields  # fmt: skip

    def _positions_history(self, call: Call) -> list[dict[str, str]]:
        kinds = {"closed": "2", "liquidated": "3", "adl": "6"}
        return [
            {
                "cTime": str(ms(end.holding.since)), "ccy": self._currency(end.holding), "closeAvgPx": str(end.price),
                "closeTotalPos": str(end.holding.contracts), "direction": end.holding.side.word, "fee": "0", "fundingFee": "0",
                "instId": self.inst_id(end.holding.symbol), "instType": "SWAP", "lever": str(end.holding.leverage),
                "liqPenalty": "0", "mgnMode": "isolated", "openAvgPx": str(end.holding.entry), "openMaxPos": "1", "pnl": "0",
                "pnlRatio": "0", "posId": "1", "posSide": end.holding.side.word if end.holding.hedged else "net",
                "realizedPnl": "0", "triggerPx": "" if end.how == "closed" else str(end.price), "type": kinds[end.how],
                "uTime": str(ms(end.at)), "uly": "",
            }
            for end in reversed(self.ends)
            if call.params.get("instId") in {None, self.inst_id(end.holding.symbol)}
        ]  # fmt: skip

    def _algo_orders(self, call: Call) -> list[dict[str, Any]]:
        if "ordType" not in call.params:
            raise self.refusal("50014")
        types = call.params["ordType"].split(",")
        if len(types) > 1 and set(types) != {"conditional", "oco"}:
            raise self.refusal("51000")
        rows = [
            algo_row(
                instId=self.inst_id(stop.symbol), side="sell" if stop.side is Side.LONG else "buy",
                posSide=stop.side.word if stop.hedged else "net", slTriggerPx=str(stop.price), slTriggerPxType="mark",
                slOrdPx="-1", closeFraction="1", reduceOnly="false" if stop.hedged else "true",
            )
            for stop in self.stop_orders
        ]  # fmt: skip
        return [row for row in rows + self.algo_rows if row["ordType"] in types]

    # The stream.

    def subscribed(self, message: Any, channels: set[str]) -> Iterable[Any]:
        if message == "ping":
            return ["pong"]
        said = []
        for argument in message.get("args", []):
            channels.add(f"{argument['channel']}:{argument['instId']}")
            said.append({"event": message["op"], "arg": argument, "connId": "a4d3ae55"})
        return said

    def ticks(self, channels: set[str]) -> Iterable[Any]:
        ids = sorted(channel.removeprefix("mark-price:") for channel in channels if channel.startswith("mark-price:"))
        return [
            {"arg": {"channel": "mark-price", "instId": inst_id}, "data": [self._mark_row(inst_id)]} for inst_id in ids
        ]


def algo_row(**fields: Any) -> dict[str, Any]:
    """One row of orders-algo-pending, shape of the documents' example."""
    return {
        "actualPx": "", "actualSide": "", "actualSz": "0", "algoClOrdId": "", "algoId": "681096944655273984",
        "attachAlgoOrds": [], "cTime": "1708658165774", "callbackRatio": "", "ccy": "", "clOrdId": "", "closeFraction": "",
        "failCode": "", "instId": "BTC-USDT-SWAP", "instType": "SWAP", "last": "58000", "lever": "10", "moveTriggerPx": "",
        "ordId": "", "ordPx": "", "ordType": "conditional", "posSide": "net", "reduceOnly": "true", "side": "sell",
        "slOrdPx": "", "slTriggerPx": "", "slTriggerPxType": "", "state": "live", "sz": "10", "tdMode": "isolated",
        "tpOrdPx": "", "tpTriggerPx": "", "tpTriggerPxType": "", "triggerPx": "", "triggerPxType": "", "triggerTime": "0",
    } | fields  # fmt: skip


def ok(rows: list[Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": rows}


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
