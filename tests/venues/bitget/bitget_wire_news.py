"""Bitget's streams on loopback: tickers, and the private channels of classic (v2) and unified (v3) accounts.

Sources: docs v2 and v3, websocket login, positions and account channels (2025-10); for the word of v3, an SDK of 2026.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aiohttp import web
from bitget_wire_market import OF_MARKET, BitgetMarket
from wire_server import ACCOUNT

PRIVATE, SIGNED_IN = "private", "signed in"
LATE_MAX_S = 30
CLASSIC = [
    {"instType": product, "channel": name, of: "default"}
    for product in ("USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES")
    for name, of in (("positions", "instId"), ("account", "coin"))
]
UNIFIED = [{"instType": "UTA", "topic": topic} for topic in ("position", "account")]


class BitgetListened(BitgetMarket):
    is_unified = False  # Else it is a classic account.

    def opened(self, request: web.Request, channels: set[str]) -> None:
        if request.path == ("/v3/ws/private" if self.is_unified else "/v2/ws/private"):
            channels.add(PRIVATE)

    def subscribed(self, message: Any, channels: set[str]) -> Iterable[Any]:
        if PRIVATE not in channels or message == "ping":
            return self._of_tickers(message, channels)
        if message["op"] == "login":
            (arguments,) = message["args"]
            if not self._is_signed(arguments):
                return [{"event": "error", "code": 30005, "msg": "Invalid sign"}]
            channels.add(SIGNED_IN)
            return [{"event": "login", "code": 0}]
        if SIGNED_IN not in channels:
            return [{"event": "error", "code": 30004, "msg": "User needs to log in"}]
        known = UNIFIED if self.is_unified else CLASSIC
        if any(argument not in known for argument in message["args"]):
            return [{"event": "error", "code": 30001, "msg": "Channel doesn't exist"}]
        channels |= {str(argument) for argument in message["args"]}
        if {str(argument) for argument in known} <= channels:
            channels.add(ACCOUNT)
        return [{"event": "subscribe", "arg": argument} for argument in message["args"]]

    def _is_signed(self, said: Any) -> bool:
        signed = f"{said['timestamp']}GET/user/verify".encode()
        expected = base64.b64encode(hmac.new(self.secret.encode(), signed, hashlib.sha256).digest()).decode()
        is_late = abs(int(said["timestamp"]) - self.now_ms() / 1000) > LATE_MAX_S
        right = (self.api_key, self.password, expected)
        return not is_late and (said["apiKey"], said["passphrase"], said["sign"]) == right

    def ticks(self, channels: set[str]) -> Iterable[Any]:
        return () if PRIVATE in channels else super().ticks(channels)

    def account_messages(self, at: datetime) -> Iterable[Any]:
        stamp = round(at.timestamp() * 1000)
        for argument in UNIFIED if self.is_unified else CLASSIC[:2]:
            word = "update" if self.is_unified else "snapshot"  # Of what comes after the first push.
            yield {"action": word, "arg": argument, "data": [{"uTime": str(stamp)}], "ts": stamp}

    def _of_tickers(self, message: Any, channels: set[str]) -> Iterable[Any]:
        if message == "ping":
            return ["pong"]
        said = []
        for argument in message.get("args", []):
            one = OF_MARKET.get(argument["instId"])
            if one is None or one.product != argument["instType"]:
                text = f"{argument['instType']} {argument['instId']} doesn't exist"
                said.append({"event": "error", "arg": argument, "code": 30001, "msg": text})
                continue
            channels.add(f"{argument['channel']}:{argument['instId']}")
            said.append({"event": message["op"], "arg": argument})
        return said
