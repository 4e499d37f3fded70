"""OKX's account on loopback: positions, balance, bills, ends and orders. Sources: see okx_wire."""

import hashlib
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

from okx_wire_market import INSTRUMENTS, TAKER, TIERS, OkxMarketServer, ms
from wire_faults import Call
from wire_values import Holding

from guard.snapshot import Side

D = Decimal


class OkxLedgerServer(OkxMarketServer):
    """What is told to the owner of the key."""

    def __init__(self) -> None:
        super().__init__()
        self.acct_lv = "2"
        self.extra_rows: list[dict[str, Any]] = []  # Of account/positions.
        self.extra_bills: list[dict[str, Any]] = []
        self.algo_rows: list[dict[str, Any]] = []
        self.details_of: dict[str, dict[str, str]] = {}  # Currency: fields that differ.
        self.totals: dict[str, str] = {}

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
        equity = sum((D(row["cashBal"]) for row in details if row["ccy"] == "USDT"), D(0)) + sum(
            map(self._upl, crossed)
        )
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
        empty = dict.fromkeys(
            ("liab", "crossLiab", "isoLiab", "interest", "maxLoan", "mgnRatio", "imr", "mmr", "twap"), ""
        )
        texts = {name: f"{value:f}" for name, value in fields.items()}
        return empty | texts | {"ccy": currency, "uTime": str(self.now_ms())} | self.details_of.get(currency, {})

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
            added = sum(
                (a.amount for a in self.adjustments if (a.symbol, a.side) == (holding.symbol, holding.side)), D(0)
            )
            opening = holding.margin - added
            hedge, net = ("3", "1") if holding.side is Side.LONG else ("4", "2")
            sub_type = hedge if holding.hedged else net
            rows.append(self.bill(holding.symbol, "2", sub_type, opening, holding.since, mgnMode="isolated"))
        return rows

    def _transfer_bills(self) -> list[dict[str, str]]:
        return [self.bill(one.symbol, "6", "160", one.amount, one.at) for one in self.adjustments]

    def bill(
        self, symbol: str, kind: str, sub_type: str, moved: Decimal, at: datetime, **fields: str
    ) -> dict[str, str]:
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
        parts = {"closed": "1", "liquidated": "4", "adl": "5"}
        return [
            {
                "cTime": str(ms(end.holding.since)), "ccy": self._currency(end.holding), "closeAvgPx": str(end.price),
                "closeTotalPos": str(end.holding.contracts), "direction": end.holding.side.word, "fee": "0", "fundingFee": "0",
                "instId": self.inst_id(end.holding.symbol), "instType": "SWAP", "lever": str(end.holding.leverage),
                "liqPenalty": "0", "mgnMode": "isolated", "openAvgPx": str(end.holding.entry), "openMaxPos": "1", "pnl": "0",
                "pnlRatio": "0", "posId": "1", "posSide": end.holding.side.word if end.holding.hedged else "net",
                "realizedPnl": "0", "triggerPx": "" if end.how == "closed" else str(end.price), "type": (parts if end.is_part else kinds)[end.how],
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
