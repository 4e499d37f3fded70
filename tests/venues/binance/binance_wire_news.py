"""Binance's streams on loopback: marks by subscription, and the account by a key in the address.

Sources, seen 2026-11: developers.binance.com, user data streams of both exchanges (events ACCOUNT_UPDATE,
ORDER_TRADE_UPDATE, listenKeyExpired), and the address that ccxt 4.5.90 uses for them.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from aiohttp import web
from binance_ledger import BinanceLedger, text
from wire_server import ACCOUNT


class BinanceListened(BinanceLedger):
    api: ClassVar[str]  # "fapi" or "dapi".
    listen_key = "canaryListenKeyPqia91ma19a5s61cv6a81va65sdf19v8a65a1"

    def opened(self, request: web.Request, channels: set[str]) -> None:
        """Whoever knows the key of the stream hears; with another one the connection stands and is silent."""
        said = request.query.get("listenKey") if self.api == "fapi" else request.path.rpartition("/")[2]
        if said == self.listen_key and (self.api == "dapi" or request.path == "/private/ws"):
            channels.add(ACCOUNT)

    def account_messages(self, at: datetime) -> Iterable[Any]:
        """Return the event of margin that was moved into a position, and one of an order, which is none of the account."""
        stamp = round(at.timestamp() * 1000)
        one = self.sample
        holding = next(iter(self.holdings.values()), None)
        margin = "0" if holding is None or holding.margin is None else text(holding.margin)
        balance = text(self.wallets[one.currency][0])
        yield {"e": "ORDER_TRADE_UPDATE", "E": stamp, "T": stamp, "o": {"s": self.wire_name(one.symbol), "X": "NEW"}}
        yield {
            "e": "ACCOUNT_UPDATE", "E": stamp, "T": stamp,
            "a": {
                "m": "MARGIN_TRANSFER",
                "B": [{"a": one.currency, "wb": balance, "cw": balance, "bc": "0"}],
                "P": [
                    {
                        "s": self.wire_name(one.symbol), "pa": f"{one.contracts:f}", "ep": text(one.entry),
                        "cr": "0", "up": "0", "mt": "isolated", "iw": margin, "ps": "BOTH",
                    }
                ],
            },
        }  # fmt: skip

    def subscribed(self, message: Any, channels: set[str]) -> Iterable[Any]:
        if message["method"] == "SUBSCRIBE":
            channels.update(message["params"])
        return [{"result": None, "id": message["id"]}]

    def ticks(self, channels: set[str]) -> Iterable[Any]:
        for symbol, price in self.marks.items():
            name = self.wire_name(symbol)
            if f"{name.lower()}@markPrice@1s" in channels:
                yield {"e": "markPriceUpdate", "E": self.now_ms(), "s": name, "p": text(price), "P": text(price)} | {
                    "i": text(price), "r": "0.0001", "T": self.now_ms() + 60_000
                }  # fmt: skip
