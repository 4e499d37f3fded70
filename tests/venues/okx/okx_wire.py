"""OKX v5 on loopback: its paths, signature, envelopes, errors and stream, written from its documents.

Sources: docs-v5 "REST authentication", "Get instruments", "Get positions", "Get balance", "Get account configuration",
"Increase/decrease margin", "Get bills details", "Get position tiers", "Get fee rates", "Error Code" (copies of 2025-07
and 2026); liquidation price by the help pages on isolated and single-currency cross margin, one tick early as recorded
(ccxt issues 10547 and 28121).
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from okx_wire_market import INSTRUMENTS
from okx_wire_news import OkxListened
from wire_faults import Call, WireRefusal
from wire_values import Sample

from guard.snapshot import Side

D = Decimal

API = "/api/v5"
# HTTP status of errors that do not come with 200.
STATUSES = {
    "50000": 400, "50001": 503, "50002": 400, "50004": 400, "50005": 410, "50006": 400, "50013": 429, "50014": 400,
    "50026": 500, "50035": 403, "50100": 400, "51000": 400,
    **{str(code): 401 for code in range(50101, 50115)},
}  # fmt: skip


class OkxServer(OkxListened):
    """One account with its key."""

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
    refusals: ClassVar[Mapping[str, str]] = {
        "50009": "Account is frozen due to stop-out.",
        "50017": "Position frozen and related operations restricted due to auto-deleveraging (ADL).",
        "50102": "Timestamp request expired.",
        "50120": "This API key doesn't have permission to use this function",
        "51030": "Funding fee is being settled.",
        "59200": "Insufficient account balance.",
        "59300": "Margin call failed. Position does not exist.",
        "59301": "Margin adjustment failed for exceeding the max limit.",
        "59303": "Insufficient available margin, add margin or reduce the borrowing amount",
    }
    position_fields: ClassVar[Mapping[str, str]] = {
        "size": "pos",
        "entry": "avgPx",
        "mark": "markPx",
        "margin": "margin",
    }
    lacks: ClassVar[Mapping[str, str]] = {"auto margin": "OKX has no auto-margin switch for contracts in its API"}

    def __init__(self) -> None:
        super().__init__()
        self.ct_iso_mode = "automatic"
        self.pos_mode: str | None = None  # None: as the holdings are.
        self.needs_header = False  # The key is for demo trading.

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
            "/public/discount-rate-interest-free-quota": "haircuts",
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

    # Requests.

    def answer(self, call: Call) -> Any:
        path = call.path.removeprefix(API)
        open_to_all = {
            "/public/time": lambda _c: [{"ts": str(self.now_ms())}],
            "/public/instruments": self.instruments,
            "/public/mark-price": self.mark_price,
            "/public/position-tiers": self.position_tiers,
            "/public/discount-rate-interest-free-quota": self.discount_rates,
            "/market/history-mark-price-candles": self.candles,
        }
        if path in open_to_all:
            return ok(open_to_all[path](call))
        self._check_key(call)
        return ok(
            {
                "/account/config": self._config,
                "/account/positions": self._positions,
                "/account/balance": self._balance,
                "/account/trade-fee": self.trade_fee,
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
        perm = [
            "read_only",
            *([] if rights.read_only else ["trade"]),
            *(["withdraw"] if rights.withdraw or rights.transfer else []),
        ]
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


def ok(rows: list[Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": rows}
