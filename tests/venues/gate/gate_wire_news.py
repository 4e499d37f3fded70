"""Gate's private channels on loopback, a socket for each settle currency: signature, user, and what is pushed.

Sources: docs, futures websocket v4, authentication, positions and balances channels (2026-05).
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aiohttp import web
from gate_wire_market import GateMarket
from wire_server import ACCOUNT

USER = 10000
PRIVATE = {"futures.positions": [str(USER), "!all"], "futures.balances": [str(USER)]}
LATE_MAX_S = 60


IN_BTC = "in btc"  # Among a connection's channels: it is the socket of what settles in BTC.


class GateListened(GateMarket):
    def opened(self, request: web.Request, channels: set[str]) -> None:
        if request.path.endswith("/btc"):
            channels.add(IN_BTC)

    def sockets(self, settle: str) -> list[web.WebSocketResponse]:
        """Return the connections that hear of the account in a settle currency."""
        said = {one: IN_BTC in self._sockets[one] for one in self.listeners()}
        return [one for one, in_btc in said.items() if in_btc is (settle == "btc")]

    def push_to(self, settle: str, *messages: Any) -> None:
        for socket in self.sockets(settle):
            self._tell(socket, messages)

    def subscribed(self, message: Any, channels: set[str]) -> Iterable[Any]:
        channel = message["channel"]
        if channel not in PRIVATE:
            return super().subscribed(message, channels)
        said = self._envelope_of(channel, self.now()) | {"id": message.get("id"), "event": "subscribe"}
        if not self._is_signed(message):
            return [said | {"error": {"code": 4, "message": "authentication fail"}, "result": None}]
        if message["payload"] != PRIVATE[channel]:
            return [said | {"error": {"code": 2, "message": "invalid argument"}, "result": {"status": "fail"}}]
        channels.add(channel)
        if set(PRIVATE) <= channels:
            channels.add(ACCOUNT)
        return [said | {"error": None, "result": {"status": "success"}}]

    def _is_signed(self, message: Any) -> bool:
        auth, at = message["auth"], message["time"]
        signed = f"channel={message['channel']}&event={message['event']}&time={at}".encode()
        expected = hmac.new(self.secret.encode(), signed, hashlib.sha512).hexdigest()
        is_late = abs(at - self.now_ms() / 1000) > LATE_MAX_S
        return not is_late and (auth["method"], auth["KEY"], auth["SIGN"]) == ("api_key", self.api_key, expected)

    def ticks(self, channels: set[str]) -> Iterable[Any]:
        return super().ticks(channels - {ACCOUNT, IN_BTC, *PRIVATE})

    def account_messages(self, at: datetime) -> Iterable[Any]:
        one = self.sample
        holding = next(iter(self.holdings.values()), None)
        margin = "0" if holding is None or holding.margin is None else f"{holding.margin:f}"
        seconds, stamp = round(at.timestamp()), round(at.timestamp() * 1000)
        yield self._envelope_of("futures.positions", at) | {
            "event": "update",
            "result": [
                {
                    "contract": "BTC_USDT", "entry_price": f"{one.entry:f}", "leverage": one.leverage, "margin": margin,
                    "mode": "single", "size": f"{one.contracts:f}", "time": seconds, "time_ms": stamp, "user": str(USER),
                }
            ],
        }  # fmt: skip
        yield self._envelope_of("futures.balances", at) | {
            "event": "update",
            "result": [
                {
                    "balance": "9.998739899488", "change": "-0.000002074115", "text": "BTC_USDT:3914424", "type": "dnw",
                    "time": seconds, "time_ms": stamp, "user": str(USER), "currency": "usdt",
                }
            ],
        }  # fmt: skip

    def _envelope_of(self, channel: str, at: datetime) -> dict[str, Any]:
        return {"time": round(at.timestamp()), "time_ms": round(at.timestamp() * 1000), "channel": channel}
