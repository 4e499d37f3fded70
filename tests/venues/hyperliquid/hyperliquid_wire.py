"""Hyperliquid on loopback, as its documents say: POST /info by address, POST /exchange by an agent's signature.

Sources: docs for developers (info, exchange, websocket, error responses, asset IDs, nonces and API wallets; seen
2026-09), answers recorded by the official Python SDK, refusals as measured by others on testnet and mainnet in 2026. It is the test
network: a signature for the main one is refused.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from hyperliquid_ledger import usd
from hyperliquid_signature import address_of_private, signer
from hyperliquid_wire_dexes import HyperliquidDexes
from wire_faults import Call, WireRefusal
from wire_server import ACCOUNT as HEARS
from wire_values import End, Sample, Stop

from guard.snapshot import Side

BTC, ETH = "BTC/USDC:USDC", "ETH/USDC:USDC"
ACCOUNT = "0x5e9ee1089755c3435139848e47e6635505d5a13a"
AGENT_KEY = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
ZEROS = "0x" + "0" * 64
STATES = "allDexsClearinghouseState"

SENTENCES: Mapping[str, str] = {  # Code, by which guard names it: the exchange's sentence.
    "Action already expired": "Action already expired",
    "Invalid nonce: nonce too low # < #": "Invalid nonce: nonce too low 1776584283874 < 1776584799101",
    "Invalid nonce: nonce too high # > #": "Invalid nonce: nonce too high 1791572677029 > 1791486156858",
    "User or API Wallet 0x does not exist": "User or API Wallet 0xb8a6f8b26223de27c31938d56e470a5b832703a5 does not exist.",
    "Must deposit before performing actions. User: 0x": (
        "Must deposit before performing actions. User: 0xb8a6f8b26223de27c31938d56e470a5b832703a5"
    ),
    "Unable to recover signer": "Unable to recover signer.",
    "Action disabled when unified account is active": "Action disabled when unified account is active",
    "Too many cumulative requests sent (# > #) for cumulative volume traded $#": (
        "Too many cumulative requests sent (37986 > 10436) for cumulative volume traded $437.92. "
        "Place taker orders to free up 1 request per USDC traded."
    ),
}


class HyperliquidServer(HyperliquidDexes):
    exchange = "hyperliquid"
    reads_per_cycle = 1
    lacks: ClassVar = {
        "sign in": "its streams are by address, and nobody signs in",
        "inverse": "its contracts are all linear in USDC",
        "hedge": "it has no hedge mode",
        "hedge side": "it has no hedge mode",
        "auto margin": "it has no auto margin",
        "entries": "it keeps no history of margin",
        "ip": "its keys are bound to no address",
    }
    api_key = ACCOUNT
    secret = AGENT_KEY
    sample = Sample(
        symbol=BTC,
        currency="USDC",
        contracts=Decimal("0.5"),
        contract_size=Decimal(1),
        entry=Decimal(60_000),
        mark=Decimal(57_500),
        margin=Decimal(3_000),
        leverage=10,
        top_up=Decimal("62.310007"),
    )
    other = Sample(
        symbol=ETH,
        currency="USDC",
        contracts=Decimal("200.125"),  # Over the lower bound of the second tier.
        contract_size=Decimal(1),
        entry=Decimal(3_000),
        mark=Decimal(2_900),
        margin=Decimal(60_000),
        leverage=10,
        top_up=Decimal("1000.07"),
    )
    coins: ClassVar = {BTC: "BTC", ETH: "ETH"}
    tables: ClassVar = {"BTC": [("0.0", 40), ("150000000.0", 20)], "ETH": [("0.0", 25), ("300000.0", 15)]}
    refusals: ClassVar = SENTENCES
    position_fields: ClassVar = {
        "size": "position.szi",
        "entry": "position.entryPx",
        "mark": "position.positionValue",
        "margin": "position.leverage.rawUsd",
    }
    sub_account_of: str | None = None  # The master, where the account is a sub-account.

    def __init__(self) -> None:
        super().__init__()
        self.nonces: set[int] = set()
        self.abstraction: str | None = None  # None: by `is_wrong_mode`.
        self.spot: dict[str, Any] = {"balances": []}
        self.orders: list[dict[str, Any]] = []  # Beside the stops.
        self.fills: list[dict[str, Any]] = []  # Beside the ends.
        self.payments: list[dict[str, Any]] = []
        self.paid = Decimal(0)  # Into the account, as the stream tells it.
        self.account_role: dict[str, Any] = {"role": "user"}

    def urls(self) -> dict[str, object]:
        return {"api": {"public": self.url, "private": self.url, "ws": {"public": f"{self.ws_url}/ws"}}}

    def kind_of(self, call: Call) -> str:
        if call.path == "/exchange":
            return "write"
        kind = str(call.params.get("type"))
        if kind == "clearinghouseState" and call.params.get("dex"):
            return f"state of {call.params['dex']}"
        if kind == "clearinghouseState":
            if self.history_down:
                return "history"  # It is the only evidence there is.
            return "wallets" if "wallets" in self._broken else "positions"  # Both are in one answer.
        kinds = {"meta": "tiers", "metaAndAssetCtxs": "mark", "candleSnapshot": "candles"}
        kinds |= {"frontendOpenOrders": "stops", "userFillsByTime": "fills"}
        return kinds.get(kind, kind)

    def refusal(self, code: str) -> WireRefusal:
        return WireRefusal(200, {"status": "err", "response": SENTENCES.get(code, code)})

    def rate_limited(self) -> WireRefusal:
        return WireRefusal(429, None, **{"Retry-After": "2"})

    def rows_in(self, kind: str, answer: Any) -> list[Any]:
        rows: list[Any] = answer["assetPositions"]
        return rows

    # Reads.

    def answer(self, call: Call) -> Any:
        if call.method != "POST" or call.headers.get("Content-Type") != "application/json":
            raise WireRefusal(422, "Failed to deserialize the JSON body into the target type")
        if call.path == "/exchange":
            return self.act(json.loads(call.body))
        assert call.path == "/info", call.path
        return self.info(str(call.params["type"]), call.params)

    def info(self, kind: str, params: Mapping[str, Any]) -> Any:
        mine, dex = str(params.get("user", "")).lower() == self.api_key, str(params.get("dex", ""))
        answers: dict[str, Any] = {
            "exchangeStatus": lambda: {"time": self.now_ms(), "specialStatuses": None},
            "meta": lambda: self.meta(dex),
            "metaAndAssetCtxs": lambda: [self.meta(dex), [self.context(symbol) for symbol in self.coins_at(dex)]],
            "clearinghouseState": lambda: self.state_of(dex, mine=mine),
            "spotMeta": self.spot_meta,
            "spotClearinghouseState": lambda: self.spot,
            "userAbstraction": lambda: self.abstraction or ("unifiedAccount" if self.is_wrong_mode else "disabled"),
            "perpDexs": lambda: [None, *({"name": name, "fullName": name} for name in self.dex_names())],
            "userRole": lambda: self.role(str(params["user"]).lower()),
            "extraAgents": self.agents,
            "frontendOpenOrders": lambda: [
                *(self.stop(one) for one in self.stop_orders if self.dex_of(one.symbol) == dex),
                *([] if dex else self.orders),
            ],
            "userFillsByTime": lambda: [
                *(row for end in self.ends if (row := self.fill(end))["time"] >= params["startTime"]),
                *self.fills,
            ],
            "userFunding": lambda: [row for row in self.payments if row["time"] >= params["startTime"]],
            "candleSnapshot": lambda: self.candles(params["req"]),
        }
        if dex and dex not in self.dex_names():
            return None
        if kind not in answers:
            raise WireRefusal(422, "Failed to deserialize the JSON body into the target type")
        return answers[kind]()

    def meta(self, dex: str = "") -> dict[str, Any]:
        return self.dex_meta(self.deployed[dex]) if dex else self.main_meta()

    def main_meta(self) -> dict[str, Any]:
        universe = [
            {"szDecimals": 5, "name": coin, "maxLeverage": self.tables[coin][0][1], "marginTableId": 50 + index}
            for index, coin in enumerate(self.coins.values())
        ]
        tables = [
            [50 + index, {"description": "tiered", "marginTiers": [
                {"lowerBound": floor, "maxLeverage": leverage} for floor, leverage in self.tables[coin]]}]
            for index, coin in enumerate(self.coins.values())
        ]  # fmt: skip
        return {"universe": universe, "marginTables": tables, "collateralToken": 0}

    def context(self, symbol: str) -> dict[str, Any]:
        mark = self.marks[symbol]
        return {
            "funding": "0.0000125",
            "openInterest": "688.11",
            "prevDayPx": usd(mark * Decimal("1.2")),
            "dayNtlVlm": "1169046.29406",
            "premium": "0.00031774",
            "oraclePx": usd(mark * Decimal("1.01")),
            "markPx": usd(mark),
            "midPx": usd(mark * Decimal("1.02")),
            "impactPxs": [usd(mark * Decimal("1.03")), usd(mark * Decimal("1.04"))],
        }

    def state_of(self, dex: str, *, mine: bool) -> dict[str, Any]:
        if mine and dex not in self.dexes:
            return self.clearinghouse_state(dex)
        if mine and self.dexes[dex] is not None:
            state: dict[str, Any] = self.dexes[dex]
            return state | {"time": self.now_ms()}
        zeros = dict.fromkeys(("accountValue", "totalNtlPos", "totalRawUsd", "totalMarginUsed"), "0.0")
        return {
            "marginSummary": zeros,
            "crossMarginSummary": zeros,
            "crossMaintenanceMarginUsed": "0.0",
            "withdrawable": "0.0",
            "assetPositions": [],
            "time": self.now_ms(),
        }

    def role(self, address: str) -> dict[str, Any]:
        if address == self.api_key:
            return self.account_role
        if address != address_of_private(self.secret) or self.rights.read_only:
            return {"role": "missing"}
        if self.rights.withdraw or self.rights.transfer:
            return {"role": "user"}  # The key is an account's own.
        return {"role": "agent", "data": {"user": self.sub_account_of or self.api_key}}

    def agents(self) -> list[dict[str, Any]]:
        ends = self.rights.expires_at
        agent = {"name": "guard", "address": address_of_private(self.secret)}
        return [agent | {"validUntil": round(ends.timestamp() * 1000)}] if ends else []

    def stop(self, stop: Stop) -> dict[str, Any]:
        return {
            "coin": self.coin_of(stop.symbol),
            "side": "A" if stop.side > 0 else "B",
            "limitPx": usd(stop.price * Decimal("0.92")),
            "sz": "0.0",
            "oid": 3184595906,
            "timestamp": round(stop.at.timestamp() * 1000),
            "triggerCondition": f"Price below {stop.price}",
            "isTrigger": True,
            "triggerPx": usd(stop.price),
            "children": [],
            "isPositionTpsl": True,
            "reduceOnly": True,
            "orderType": "Stop Market",
            "origSz": "0.0",
            "tif": None,
            "cloid": None,
        }

    def fill(self, end: End) -> dict[str, Any]:
        holding = end.holding
        side = "Long" if holding.side > 0 else "Short"
        kind = "Isolated" if holding.margin is not None else "Cross"
        words = {"closed": f"Close {side}", "liquidated": f"Liquidated {kind} {side}", "adl": "Auto-Deleveraging"}
        row = {
            "coin": self.coin_of(holding.symbol),
            "px": usd(end.price),
            "sz": usd(holding.contracts),
            "side": "A" if holding.side > 0 else "B",
            "time": round(end.at.timestamp() * 1000),
            "startPosition": usd(holding.side * holding.contracts),
            "dir": words[end.how],
            "closedPnl": "0.0",
            "hash": ZEROS,
            "oid": 90542681,
            "crossed": True,
            "fee": "0.01",
            "tid": 118906512037719,
            "feeToken": "USDC",
        }
        if end.how == "liquidated":
            row["liquidation"] = {"liquidatedUser": self.api_key, "markPx": usd(end.price), "method": "market"}
        return row

    def candles(self, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        symbol = next(symbol for symbol, coin in self.all_coins().items() if coin == wanted["coin"])
        price, length = usd(self.marks[symbol]), 60_000
        first = -(-int(wanted["startTime"]) // length)
        return [
            {"t": at, "T": at + length - 1, "s": wanted["coin"], "i": wanted["interval"], "o": price, "c": price}
            | {"h": price, "l": price, "v": "1.0", "n": 5}
            for at in range(first * length, int(wanted["endTime"]) + 1, length)
        ]

    # The write.

    def act(self, body: dict[str, Any]) -> Any:
        action, nonce, ends = body["action"], body["nonce"], body.get("expiresAfter")
        owner = signer(
            action,
            body["signature"],
            nonce=nonce,
            mainnet=False,
            sub_account=body.get("vaultAddress"),
            expires_after=ends,
        )
        if owner != address_of_private(self.secret) or self.role(owner)["role"] != "agent":
            raise self.said(f"User or API Wallet {owner} does not exist.")
        if (body.get("vaultAddress") is not None) != (self.sub_account_of is not None):
            raise self.said("Vault not registered")
        self.check_nonce(nonce)
        if ends is not None and self.now_ms() > ends:
            raise self.said("Action already expired")
        if self.is_wrong_mode:
            raise self.said("Action disabled when unified account is active")
        assert list(action) == ["type", "asset", "isBuy", "ntli"], action
        assert (action["type"], action["isBuy"]) == ("updateIsolatedMargin", True), action
        self.move(self.symbol_of(action["asset"]), Decimal(action["ntli"]) / 1_000_000)
        return {"status": "ok", "response": {"type": "default"}}

    def pay_funding(self, symbol: str, side: Side, usdc: Decimal) -> None:
        """Book one funding payment into an isolated position; a negative one is paid by it."""
        holding = self.holdings[symbol, side]
        assert holding.margin is not None
        holding.margin += usdc
        delta = {"coin": self.coin_of(symbol), "fundingRate": "0.0001", "nSamples": 24, "szi": "0.5", "type": "funding"}
        self.payments.append({"delta": delta | {"usdc": usd(usdc)}, "hash": ZEROS, "time": self.now_ms()})

    def check_nonce(self, nonce: int) -> None:
        low = self.now_ms() - timedelta(days=2) // timedelta(milliseconds=1)
        high = self.now_ms() + timedelta(days=1) // timedelta(milliseconds=1)
        if nonce < low:
            raise self.said(f"Invalid nonce: nonce too low {nonce} < {low}")
        if nonce > high:
            raise self.said(f"Invalid nonce: nonce too high {nonce} > {high}")
        if nonce in self.nonces:
            raise self.said(f"Invalid nonce: duplicate nonce {nonce}")
        self.nonces.add(nonce)

    def move(self, symbol: str, amount: Decimal) -> None:
        side = next((side for side in Side if (symbol, side) in self.holdings), None)
        if side is None or self.holdings[symbol, side].margin is None:
            raise self.said("No isolated position to update.")
        if amount <= 0 or amount > self.wallets[self.wallet_at(self.dex_of(symbol))][1]:
            raise self.said("Insufficient margin.")
        self.add_to(symbol, side, amount)

    def said(self, sentence: str) -> WireRefusal:
        return WireRefusal(200, {"status": "err", "response": sentence})

    # Stream.

    def subscribed(self, message: Any, channels: set[str]) -> Iterable[Any]:
        if message["method"] == "ping":
            return [{"channel": "pong"}]
        wanted = message["subscription"]
        if message["method"] == "subscribe" and wanted["type"] == "activeAssetCtx":
            channels.add(wanted["coin"])
        if message["method"] == "subscribe" and wanted == {"type": STATES, "user": self.api_key}:
            channels.add(HEARS)
        return [{"channel": "subscriptionResponse", "data": message}]

    def ticks(self, channels: set[str]) -> Iterable[Any]:
        if HEARS in channels:
            yield self._told(self.now())
        for symbol, coin in self.all_coins().items():
            if coin in channels:
                yield {"channel": "activeAssetCtx", "data": {"coin": coin, "ctx": self.context(symbol)}}

    def account_messages(self, at: datetime) -> Iterable[Any]:
        """Return the account with a little more money in it: of what was the same before, nothing is news."""
        self.paid += Decimal("0.000001")
        yield self._told(at)

    def _told(self, at: datetime) -> dict[str, Any]:
        names = ["", *self.deployed]
        states = {dex: self.clearinghouse_state(dex) | {"time": round(at.timestamp() * 1000)} for dex in names}
        raw = Decimal(states[""]["marginSummary"]["totalRawUsd"]) + self.paid
        states[""]["marginSummary"] = states[""]["marginSummary"] | {"totalRawUsd": usd(raw)}
        data = {"user": self.api_key, "clearinghouseStates": [[dex, state] for dex, state in states.items()]}
        return {"channel": STATES, "data": data}
