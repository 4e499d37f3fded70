"""Bybit's private stream on loopback: sign-in, topics, and what is pushed when margin is moved by hand.

Sources: docs v5, websocket connect, position, wallet, execution (2026-07).
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aiohttp import web
from bybit_wire_market import BybitMarket
from wire_server import ACCOUNT

PRIVATE, SIGNED_IN = "private", "signed in"


class BybitListened(BybitMarket):
    def opened(self, request: web.Request, channels: set[str]) -> None:
        if request.path == "/v5/private":
            channels.add(PRIVATE)

    def subscribed(self, message: Any, channels: set[str]) -> Iterable[Any]:
        if PRIVATE not in channels:
            return super().subscribed(message, channels)
        operation = message.get("op")
        said = {"req_id": message.get("req_id"), "op": operation, "conn_id": "ce3dpomvha7dha97tvp0-2xh"}
        if operation == "ping":
            return [said | {"op": "pong", "args": [str(self.now_ms())]}]
        if operation == "auth":
            is_right = self._is_signed(*message["args"])
            channels |= {SIGNED_IN} if is_right else set()
            return [said | {"success": is_right, "ret_msg": "" if is_right else "error:USVC1111"}]
        if SIGNED_IN not in channels:
            return [said | {"success": False, "ret_msg": "Request not authorized"}]
        channels |= set(message["args"])
        if {"position", "wallet", "execution"} <= channels:
            channels.add(ACCOUNT)
        return [said | {"success": True, "ret_msg": ""}]

    def _is_signed(self, api_key: str, expires: str, signature: str) -> bool:
        expected = hmac.new(self.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
        return (api_key, signature) == (self.api_key, expected) and int(expires) > self.now_ms()

    def account_messages(self, at: datetime) -> Iterable[Any]:
        """Return a position and a wallet, as after margin was added by hand."""
        stamp, one = round(at.timestamp() * 1000), self.sample
        holding = next(iter(self.holdings.values()), None)
        margin = "0" if holding is None or holding.margin is None else f"{holding.margin:f}"
        yield {
            "id": "59232430b58efe-5fc5-4470-9337-4ce293b68edd", "topic": "position", "creationTime": stamp,
            "data": [
                {
                    "positionIdx": 0, "symbol": "BTCUSDT", "side": "Buy", "size": f"{one.contracts:f}",
                    "entryPrice": f"{one.entry:f}", "positionIM": margin, "category": "linear", "updatedTime": str(stamp),
                }
            ],
        }  # fmt: skip
        yield {
            "id": "592324803b2785-26fa-4214-9963-bdd4727f07be", "topic": "wallet", "creationTime": stamp,
            "data": [{"accountType": "UNIFIED", "coin": [{"coin": one.currency, "walletBalance": "1"}]}],
        }  # fmt: skip
