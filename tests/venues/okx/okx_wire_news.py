"""OKX's private stream on loopback: sign-in, the balance and position channel, and what margin moved by hand pushes.

Sources: docs v5, WebSocket login, balance and position channel, WebSocket error codes (2026-07).
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aiohttp import web
from okx_wire_ledger import OkxLedgerServer
from wire_server import ACCOUNT

PRIVATE, SIGNED_IN = "private", "signed in"
CHANNEL = {"channel": "balance_and_position"}
LATE_MAX_S = 30


class OkxListened(OkxLedgerServer):
    def opened(self, request: web.Request, channels: set[str]) -> None:
        if request.path == "/ws/v5/private":
            channels.add(PRIVATE)

    def subscribed(self, message: Any, channels: set[str]) -> Iterable[Any]:
        if PRIVATE not in channels or message == "ping":
            return super().subscribed(message, channels)
        if message["op"] == "login":
            (arguments,) = message["args"]
            if not self._is_signed(arguments):
                return [{"event": "error", "code": "60009", "msg": "Login failed.", "connId": "a4d3ae55"}]
            channels.add(SIGNED_IN)
            return [{"event": "login", "code": "0", "msg": "", "connId": "a4d3ae55"}]
        if SIGNED_IN not in channels:
            return [{"event": "error", "code": "60011", "msg": "Please log in", "connId": "a4d3ae55"}]
        if message["args"] != [CHANNEL]:
            return [{"event": "error", "code": "60018", "msg": "Wrong URL or channel", "connId": "a4d3ae55"}]
        channels.add(ACCOUNT)
        return [{"event": "subscribe", "arg": CHANNEL, "connId": "a4d3ae55"}, self._pushed(self.now(), "snapshot")]

    def _is_signed(self, said: Any) -> bool:
        signed = f"{said['timestamp']}GET/users/self/verify".encode()
        expected = base64.b64encode(hmac.new(self.secret.encode(), signed, hashlib.sha256).digest()).decode()
        is_late = abs(int(said["timestamp"]) - self.now_ms() / 1000) > LATE_MAX_S
        right = (self.api_key, self.password, expected)
        return not is_late and (said["apiKey"], said["passphrase"], said["sign"]) == right

    def account_messages(self, at: datetime) -> Iterable[Any]:
        yield self._pushed(at, "adjust_margin")

    def _pushed(self, at: datetime, kind: str) -> dict[str, Any]:
        stamp, one = str(round(at.timestamp() * 1000)), self.sample
        row = {
            "pTime": stamp, "eventType": kind, "trades": [],
            "balData": [{"ccy": one.currency, "cashBal": f"{self.wallets[one.currency][0]:f}", "uTime": stamp}],
            "posData": [
                {
                    "posId": "1111111111", "tradeId": "2", "instId": "BTC-USDT-SWAP", "instType": "SWAP", "uTime": stamp,
                    "mgnMode": "isolated", "posSide": "net", "pos": f"{one.contracts:f}", "ccy": one.currency,
                    "posCcy": "", "avgPx": f"{one.entry:f}",
                }
            ],
        }  # fmt: skip
        return {"arg": {**CHANNEL, "uid": "77982378738415879"}, "data": [row]}
