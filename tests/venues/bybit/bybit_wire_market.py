"""What the Bybit server says of the market, of orders and of fills, and its public stream. Source: docs v5 (2026-07)."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web
from bybit_listed import LISTED, OF_MARKET, instrument, risk_limits
from wire_server import WireServer
from wire_values import End, Stop

from guard.snapshot import Side

MINUTE_MS = 60_000
CLOSING = {
    "closed": ("Trade", "CreateByUser", "UNKNOWN"),
    "liquidated": ("BustTrade", "CreateByTakeOver_PassThrough", "UNKNOWN"),
    "adl": ("AdlTrade", "CreateByAdl_PassThrough", "UNKNOWN"),
}


class BybitMarket(WireServer):
    """Answers to public questions, and to questions about orders and fills."""

    silent_on_marks = False  # Later messages of the stream do not name the mark, as if it had not moved.

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions: list[set[str]] = []  # The topics of each subscription.
        self.stream_paths: set[str] = set()

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        self.stream_paths.add(request.path)
        return await super()._stream(request)

    def subscribed(self, message: Any, channels: set[str]) -> Iterable[Any]:
        if message.get("op") == "ping":
            return [{"success": True, "ret_msg": "pong", "conn_id": "1", "op": "ping"}]
        channels |= set(message.get("args", ()))
        self.subscriptions.append(set(message.get("args", ())))
        return [{"success": True, "ret_msg": "", "conn_id": "1", "req_id": message.get("req_id"), "op": "subscribe"}]

    def ticks(self, channels: set[str]) -> Iterable[Any]:
        """The first message of a topic is whole; later ones hold what changed only."""
        for channel in sorted(one for one in channels if one.startswith("tickers.")):
            market = channel.removeprefix("tickers.")
            whole = f"told {channel}" not in channels
            mark = f"{self.marks[OF_MARKET[market].symbol]:f}"
            data = {"symbol": market, "volume24h": str(self.now_ms())}
            if whole or not self.silent_on_marks:
                data["markPrice"] = mark
            if whole:
                data |= {"lastPrice": "1", "indexPrice": mark, "bid1Price": "1", "ask1Price": "2"}
            channels.add(f"told {channel}")
            yield {
                "topic": channel,
                "type": "snapshot" if whole else "delta",
                "data": data,
                "cs": 9532239429,
                "ts": self.now_ms(),
            }

    def _time(self, _: dict[str, Any]) -> Any:
        now = self.now_ms()
        return {"timeSecond": str(now // 1000), "timeNano": f"{now}000000"}

    def _instruments(self, query: dict[str, Any]) -> Any:
        rows = [] if query.get("status") == "PreLaunch" else [one for one in LISTED.values() if self._fits(one, query)]
        return {"category": query["category"], "list": [instrument(one) for one in rows], "nextPageCursor": ""}

    def _risk_limit(self, query: dict[str, Any]) -> Any:
        rows = [row for one in LISTED.values() if self._fits(one, query) for row in risk_limits(one)]
        return {"category": query["category"], "list": rows, "nextPageCursor": ""}

    def _tickers(self, query: dict[str, Any]) -> Any:
        rows = [
            {"symbol": one.market, "lastPrice": "1", "indexPrice": "2", "markPrice": f"{self.marks[one.symbol]:f}"}
            for one in LISTED.values()
            if self._fits(one, query)
        ]
        return {"category": query["category"], "list": rows}

    def _candles(self, query: dict[str, Any]) -> Any:
        """Newest first. The one that is still open closes at the last traded price."""
        step = int(query["interval"]) * MINUTE_MS
        start, mark = self.now_ms() // step * step, f"{self.marks[OF_MARKET[query['symbol']].symbol]:f}"
        rows = [[str(start - age * step), mark, mark, mark, mark if age else "1"] for age in range(int(query["limit"]))]
        return {"symbol": query["symbol"], "category": query["category"], "list": rows}

    def _fees(self, query: dict[str, Any]) -> Any:
        rows = [
            {"symbol": one.market, "takerFeeRate": f"{one.taker:f}", "makerFeeRate": "0.0002"}
            for one in LISTED.values()
            if self._fits(one, query)
        ]
        return {"list": rows}

    @staticmethod
    def _fits(one: Any, query: dict[str, Any]) -> bool:
        return (
            one.category == query["category"]
            and query.get("symbol", one.market) == one.market
            and query.get("settleCoin", one.settle) == one.settle
        )

    def _orders(self, query: dict[str, Any]) -> Any:
        rows = [_stop_row(stop) for stop in self.stop_orders if self._fits(LISTED[stop.symbol], query)]
        return {"category": query["category"], "list": rows, "nextPageCursor": "page_args%3D1" if rows else ""}

    def _executions(self, query: dict[str, Any]) -> Any:
        rows = [_fill(end) for end in self.ends if self._fits(LISTED[end.holding.symbol], query)]
        start = int(query.get("startTime", 0))
        newest_first = sorted((row for row in rows if int(row["execTime"]) >= start), key=lambda r: r["execTime"])[::-1]
        cursor = "132766%3A2" if newest_first and "cursor" not in query else ""
        return {
            "category": query["category"],
            "list": [] if "cursor" in query else newest_first,
            "nextPageCursor": cursor,
        }


def _stop_row(stop: Stop) -> dict[str, Any]:
    """A stop loss set on the position: of the whole of it, so its quantity is 0."""
    return {
        "orderId": "fd4300ae-7847-404e-b947-b46980a4d140", "orderLinkId": "", "symbol": LISTED[stop.symbol].market,
        "price": "0", "qty": "0", "side": "Sell" if stop.side is Side.LONG else "Buy",
        "positionIdx": {Side.LONG: 1, Side.SHORT: 2}[stop.side] if stop.hedged else 0, "orderStatus": "Untriggered",
        "leavesQty": "0", "orderType": "Market", "stopOrderType": "StopLoss", "triggerPrice": f"{stop.price:f}",
        "triggerDirection": 2 if stop.side is Side.LONG else 1, "triggerBy": "MarkPrice", "tpslMode": "Full",
        "reduceOnly": True, "closeOnTrigger": True, "takeProfit": "", "stopLoss": "",
        "createdTime": str(round(stop.at.timestamp() * 1000)), "updatedTime": str(round(stop.at.timestamp() * 1000)),
    }  # fmt: skip


def _fill(end: End) -> dict[str, Any]:
    holding = end.holding
    kind, created, stop = CLOSING[end.how]
    return {
        "symbol": LISTED[holding.symbol].market, "orderType": "Market", "side": "Sell" if holding.side > 0 else "Buy",
        "orderId": "8c065341-7b52-4ca9-ac2c-37e31ac55c94", "stopOrderType": stop, "createType": created, "leavesQty": "0",
        "execTime": str(round(end.at.timestamp() * 1000)), "isMaker": False, "execFee": "0.071409", "feeRate": "0.0006",
        "execId": "e0cbe81d-0f18-5866-9415-cf319b5dab3b", "execPrice": f"{end.price:f}", "markPrice": f"{end.price:f}",
        "orderQty": f"{holding.contracts:f}", "orderPrice": "0", "execValue": "1", "execType": kind,
        "execQty": f"{holding.contracts:f}", "closedSize": f"{holding.contracts:f}", "seq": 4688002127,
    }  # fmt: skip
