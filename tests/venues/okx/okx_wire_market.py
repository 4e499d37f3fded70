"""OKX's market on loopback: instruments, marks, tiers, fees, candles and the stream. Sources: see okx_wire."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from wire_faults import Call
from wire_server import WireServer

D = Decimal
TAKER = D("0.0005")
BARS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "2H": 120, "4H": 240, "1Dutc": 1440}  # Minutes.

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


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


class OkxMarketServer(WireServer):
    """What is told to everybody, and the fees."""

    def __init__(self) -> None:
        super().__init__()
        self.fee_groups: list[dict[str, str]] = [{"groupId": "7", "taker": f"-{TAKER}", "maker": "-0.0002"}]
        self.marks["BTC/USDT:USDT-270326"] = D(58100)

    def is_cross(self, symbol: str) -> bool:
        return any(h.margin is None for (held, _), h in self.holdings.items() if held == symbol)

    def tick_of(self, symbol: str) -> Decimal:
        return D(INSTRUMENTS[self.inst_id(symbol)][6])

    def inst_id(self, symbol: str) -> str:
        return next(inst_id for inst_id, terms in INSTRUMENTS.items() if terms[0] == symbol)

    def tier_rows(self, symbol: str) -> list[tuple[Decimal, Decimal, Decimal, Decimal | None]]:
        """A size equal to `maxSz` belongs to that tier, and the next lot to the next one."""
        lot = D(INSTRUMENTS[self.inst_id(symbol)][7])
        rows = TIERS["cross" if self.is_cross(symbol) else "isolated"]
        floors = [D(0), *(D(top) + lot for _, top, _ in rows[:-1])]
        caps = [*floors[1:], D(rows[-1][1])]
        return [(floor, cap, D(rate), None) for floor, cap, (_, _, rate) in zip(floors, caps, rows, strict=True)]

    def instruments(self, call: Call) -> list[dict[str, Any]]:
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

    def mark_price(self, call: Call) -> list[dict[str, str]]:
        inst_id = call.params["instId"]
        if inst_id not in INSTRUMENTS:
            raise self.refusal("51001")
        return [self.mark_row(inst_id)]

    def mark_row(self, inst_id: str) -> dict[str, str]:
        inst_type = "SWAP" if inst_id.endswith("SWAP") else "FUTURES"
        mark = self.marks[INSTRUMENTS[inst_id][0]]
        return {"instId": inst_id, "instType": inst_type, "markPx": str(mark), "ts": str(self.now_ms())}

    def discount_rates(self, _call: Call) -> list[dict[str, Any]]:
        """Docs, "Get discount rate and interest-free quota" (2026)."""
        return [
            {
                "amt": "0", "ccy": asset, "collateralRestrict": False, "discountLv": "", "minDiscountRate": "0",
                "details": [
                    {
                        "discountRate": share, "minAmt": floor, "maxAmt": up, "liqPenaltyRate": "0.02", "tier": str(number),
                        "disCcyEq": "0",
                    }
                    for number, ((floor, share), up) in enumerate(
                        zip(steps, [*(one[0] for one in steps[1:]), ""], strict=True), 1
                    )
                ],
            }
            for asset, steps in self.counted.items()
        ]  # fmt: skip

    def position_tiers(self, call: Call) -> list[dict[str, str]]:
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

    def candles(self, call: Call) -> list[list[str]]:
        width = BARS[call.params["bar"]] * 60_000
        last = int(call.params.get("after") or self.now_ms()) // width * width
        last -= width if call.params.get("after") else 0
        mark = self.marks[INSTRUMENTS[call.params["instId"]][0]]
        limit = min(int(call.params.get("limit") or 100), 100)
        return [[str(last - n * width), str(mark), str(mark + 5), str(mark - 5), str(mark), "1"] for n in range(limit)]

    def trade_fee(self, call: Call) -> list[dict[str, Any]]:
        return [
            {
                "category": "1", "delivery": "0.0002", "exercise": "", "feeGroup": self.fee_groups, "fiat": [],
                "instType": call.params["instType"], "level": "Lv1", "maker": "-0.0002", "makerU": "-0.0002",
                "makerUSDC": "-0.0002", "ruleType": "normal", "taker": "-0.0006", "takerU": "-0.0007", "takerUSDC": "-0.0008",
                "ts": str(self.now_ms()),
            }
        ]  # fmt: skip

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
            {"arg": {"channel": "mark-price", "instId": inst_id}, "data": [self.mark_row(inst_id)]} for inst_id in ids
        ]
