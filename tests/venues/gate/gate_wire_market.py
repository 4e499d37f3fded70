"""What the Gate server says of the market, of orders and of endings, and its public stream. Source: docs (2026-05)."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from aiohttp import web
from gate_listed import LISTED, OF_MARKET, Listed, contract
from wire_server import WireServer
from wire_values import End, Stop

from guard.snapshot import Side

TEXTS = {"closed": "web", "liquidated": "liq-38452637", "adl": "auto_deleveraging"}


class GateMarket(WireServer):
    """Answers to public questions, and to questions about orders and endings."""

    stream_paths: set[str]

    def __init__(self) -> None:
        super().__init__()
        self.stream_paths = set()
        self.plain_texts = False  # Closing orders say nothing of their reason.
        self.take_profits: list[Stop] = []
        self.trails: list[dict[str, Any]] = []
        self.has_trails = True

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        self.stream_paths.add(request.path)
        return await super()._stream(request)

    def subscribed(self, message: Any, channels: set[str]) -> Iterable[Any]:
        channel = message["channel"]
        said = {"time": self.now_ms() // 1000, "time_ms": self.now_ms(), "id": message.get("id"), "channel": channel}
        if channel == "futures.ping":
            return [{**said, "channel": "futures.pong", "event": "", "result": None}]
        assert (channel, message["event"]) == ("futures.tickers", "subscribe"), message
        channels |= set(message["payload"])
        return [{**said, "event": "subscribe", "result": {"status": "success"}}]

    def ticks(self, channels: set[str]) -> Iterable[Any]:
        for market in sorted(channels):
            one = next(one for one in LISTED.values() if one.market == market)
            yield {
                "time": self.now_ms() // 1000,
                "time_ms": self.now_ms(),
                "channel": "futures.tickers",
                "event": "update",
                "result": [self._ticker(one)],
            }

    def _ticker(self, one: Listed) -> dict[str, Any]:
        mark = f"{self.marks[one.symbol]:f}"
        return {
            "contract": one.market, "last": "1", "change_percentage": "0.11", "total_size": "92473", "low_24h": "1",
            "high_24h": "2", "volume_24h": "1", "volume_24h_base": "1", "volume_24h_quote": "1",
            "volume_24h_settle": "1", "mark_price": mark, "funding_rate": "0.0001", "index_price": mark,
            "lowest_ask": "1", "highest_bid": "1", "quanto_base_rate": "",
        }  # fmt: skip

    def _tickers(self, settle: str, query: dict[str, Any]) -> Any:
        return [self._ticker(one) for one in self._listed(settle, query)]

    @staticmethod
    def _listed(settle: str, query: dict[str, Any]) -> list[Listed]:
        return [
            one for one in LISTED.values() if one.settle == settle and query.get("contract", one.market) == one.market
        ]

    def _contracts(self, settle: str, query: dict[str, Any]) -> Any:
        return [contract(one) for one in self._listed(settle, query)]

    def _risk_limits(self, settle: str, query: dict[str, Any]) -> Any:
        assert "contract" in query, "without one they come in pages"
        return [
            {
                "tier": number, "risk_limit": limit, "initial_rate": "0.01", "maintenance_rate": rate,
                "leverage_max": "100", "contract": one.market, "deduction": deduction,
            }
            for one in self._listed(settle, query)
            for number, (limit, rate, deduction) in enumerate(one.tiers, 1)
        ]  # fmt: skip

    def discount_tiers(self) -> Any:
        """Docs of 2025: a list in a list. The limits are dollars (announcements of 2024-03 and 2024-12), the last has none."""
        return [
            [
                {
                    "currency": asset,
                    "discount_tiers": [
                        {
                            "tier": str(number), "discount": share, "lower_limit": floor, "leverage": "10",
                            "upper_limit": steps[number][0] if number < len(steps) else "+",
                        }
                        for number, (floor, share) in enumerate(steps, 1)
                    ],
                }
                for asset, steps in self.counted.items()
            ]
        ]  # fmt: skip

    def _candles(self, settle: str, query: dict[str, Any]) -> Any:
        """Oldest first, of mark prices where the contract's name says so."""
        kind, _, market = query["contract"].partition("_")
        step = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600}[query["interval"]]
        start = self.now_ms() // 1000 // step * step
        price = f"{self.marks[OF_MARKET[settle, market].symbol]:f}" if kind == "mark" else "1"
        rows = [start - age * step for age in reversed(range(int(query["limit"])))]
        return [{"t": t, "v": 0, "c": price, "h": price, "l": price, "o": price, "sum": "0"} for t in rows]

    def _price_orders(self, settle: str, query: dict[str, Any]) -> Any:
        assert query["status"] == "open", query
        stops = [(stop, False) for stop in self.stop_orders] + [(stop, True) for stop in self.take_profits]
        rows = [_stop_row(stop, profit=p) for stop, p in stops if LISTED[stop.symbol].settle == settle]
        offset = int(query.get("offset", 0))
        return rows[offset : offset + int(query["limit"])]

    def trail_list(self, settle: str, query: dict[str, Any]) -> Any:
        """Docs of the SDK, "TrailOrder" (2026): pages are counted from 1."""
        assert query["is_finished"] == "false", query
        rows = [row for row in self.trails if row["settle"] == settle]
        start = (int(query["page_num"]) - 1) * int(query["page_size"])
        page = rows[start : start + int(query["page_size"])]
        return {"code": 0, "message": "", "data": {"orders": page}, "timestamp": self.now_ms()}

    def _position_close(self, settle: str, query: dict[str, Any]) -> Any:
        return [self._close_row(end) for end in self._ended(settle, query) if not end.is_part]

    def _liquidates(self, settle: str, query: dict[str, Any]) -> Any:
        return [
            {
                "time": round(end.at.timestamp()), "contract": LISTED[end.holding.symbol].market, "leverage": "10",
                "size": f"{end.holding.contracts * int(end.holding.side):f}", "margin": "0", "entry_price": "1",
                "liq_price": "1", "mark_price": "1", "order_id": 1, "order_price": "1", "fill_price": "1", "left": "0",
            }
            for end in self._ended(settle, query)
            if end.how == "liquidated"
        ]  # fmt: skip

    def _auto_deleverages(self, settle: str, query: dict[str, Any]) -> Any:
        return [
            {
                "time": round(end.at.timestamp()), "user": 1, "order_id": 1, "leverage": "10",
                "contract": LISTED[end.holding.symbol].market, "cross_leverage_limit": "0", "entry_price": "1",
                "fill_price": "1", "trade_size": "10",
                "position_size": f"{end.holding.contracts * int(end.holding.side) * end.is_part:f}",
            }
            for end in self._ended(settle, query)
            if end.how == "adl"
        ]  # fmt: skip

    def _ended(self, settle: str, query: dict[str, Any]) -> list[End]:
        markets = {one.symbol for one in self._listed(settle, query)}
        since = int(query.get("from", 0))
        return [end for end in self.ends if end.holding.symbol in markets and end.at.timestamp() >= since]

    def _close_row(self, end: End) -> dict[str, Any]:
        holding = end.holding
        is_long = holding.side is Side.LONG
        entry, price = f"{holding.entry:f}", f"{end.price:f}"
        return {
            "time": end.at.timestamp(), "contract": LISTED[holding.symbol].market, "side": holding.side.word,
            "pnl": "-1", "pnl_pnl": "-1", "pnl_fund": "0", "pnl_fee": "0",
            "text": "" if self.plain_texts else TEXTS[end.how], "max_size": f"{holding.contracts:f}",
            "accum_size": f"{holding.contracts:f}", "first_open_time": round(holding.since.timestamp()),
            "long_price": entry if is_long else price, "short_price": price if is_long else entry,
        }  # fmt: skip


def _stop_row(stop: Stop, *, profit: bool) -> dict[str, Any]:
    """A stop loss (or take profit) of the whole position."""
    is_long = stop.side is Side.LONG
    falls = is_long is not profit
    word = "long" if is_long else "short"
    return {
        "user": 1, "id": 1432329, "id_string": "1432329", "create_time": stop.at.timestamp(), "trade_id": 0,
        "status": "open", "reason": "", "finish_as": "", "order_type": f"close-{word}-position", "me_order_id": 0,
        "trigger": {
            "strategy_type": 0, "price_type": 1, "price": f"{stop.price:f}", "rule": 2 if falls else 1, "expiration": 0,
        },
        "initial": {
            "contract": LISTED[stop.symbol].market, "size": 0, "price": "0", "tif": "ioc", "text": "api",
            "is_close": not stop.hedged, "is_reduce_only": True, "close": not stop.hedged, "reduce_only": True,
            "auto_size": f"close_{word}" if stop.hedged else "",
        },
    }  # fmt: skip


def trail_row(**fields: Any) -> dict[str, Any]:
    """A trailing order of the documents, that sells ten contracts."""
    return {
        "id": 1, "user_id": 1, "contract": "BTC_USDT", "settle": "usdt", "amount": "-10", "is_gte": True,
        "activation_price": "62000", "price_type": 1, "price_offset": "1%", "text": "apiv4", "reduce_only": True,
        "position_related": False, "created_at": 1770000000, "activated_at": 0, "trigger_price": "0", "status": "open",
        "side_label": "", "is_dual_mode": False, "extremum_price": "0", "original_status": 1,
    } | fields  # fmt: skip


def decimals(text: str) -> int:
    """Return how many digits a number has behind its point."""
    exponent = Decimal(text).normalize().as_tuple().exponent
    return max(0, -int(exponent))
