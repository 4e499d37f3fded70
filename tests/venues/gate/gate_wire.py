"""A Gate futures account on loopback: paths, signature, bodies and stream of API v4, written from its documents.

Source: docs v4.106.88 (2026-05-27), help 22160 (liquidation price), notice of 2025-07-29 (progressive tiers). It knows
nothing of guard's parsers.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, ClassVar

from gate_listed import LISTED, MANY, OF_MARKET
from gate_wire_market import decimals
from gate_wire_news import GateListened
from wire_faults import Call, WireRefusal
from wire_values import Holding, Sample

from guard.snapshot import Side

PREFIX = "/api/v4"
DUAL = {Side.LONG: "dual_long", Side.SHORT: "dual_short"}
TWELVE = Decimal("1E-12")


class GateServer(GateListened):
    exchange: ClassVar[str] = "gate"
    lacks: ClassVar[Mapping[str, str]] = {
        "entries": "Gate keeps no record of margin added to a position",
        "auto margin": "Gate states no switch by which it adds margin itself",
    }
    # Entries at which both liquidation prices fall on the tick, for the exchange prints no other.
    sample: ClassVar[Sample] = Sample(
        symbol="BTC/USDT:USDT", currency="USDT", contracts=Decimal(1000), contract_size=Decimal("0.0001"),
        entry=Decimal("59427.075"), mark=Decimal(58000), margin=Decimal("598.215"), leverage=10, top_up=Decimal("62.31"),
    )  # fmt: skip
    # Its liquidation prices lie in the second tier, so the deduction counts.
    other: ClassVar[Sample] = Sample(
        symbol="ETH/USDT:USDT", currency="USDT", contracts=Decimal(200), contract_size=Decimal("0.01"),
        entry=Decimal("2966.81125"), mark=Decimal(3100), margin=Decimal("659.0975"), leverage=10, top_up=Decimal(50),
    )  # fmt: skip
    inverse: ClassVar[Sample | None] = Sample(
        symbol="BTC/USD:BTC", currency="BTC", contracts=Decimal(5940), contract_size=Decimal(1),
        entry=Decimal(59400), mark=Decimal(58000), margin=Decimal("0.01"), leverage=10, top_up=Decimal("0.00210001"),
        inverse=True,
    )  # fmt: skip
    refusals: ClassVar[Mapping[str, str]] = {
        "POSITION_CROSS_MARGIN": "margin updating is not allowed in cross margin",
        "POSITION_EMPTY": "Position is empty",
        "POSITION_NOT_FOUND": "Position not found",
        "POSITION_DUAL_MODE": "Operation forbidden in dual-mode",
        "INSUFFICIENT_AVAILABLE": "Balance is not enough",
        "REQUEST_EXPIRED": "gap between request Timestamp and server time exceeds 60",
        "READ_ONLY": "API key is read-only",
    }
    position_fields: ClassVar[Mapping[str, str]] = {
        "size": "size", "entry": "entry_price", "mark": "mark_price", "margin": "margin",
    }  # fmt: skip
    reads_per_cycle: ClassVar[int] = 4  # Two for each settle currency: there is money in both.
    account_sockets: ClassVar[int] = 2
    strange_code: ClassVar[str] = "NEVER_SEEN_BEFORE"

    def __init__(self) -> None:
        super().__init__()
        self.margin_mode = 0
        self.position_mode: str | None = None  # None: as the holdings are.
        self.tiered = True
        self.ignores_holding = False  # Closed contracts are listed although only open ones were asked for.
        self.no_account: set[str] = set()  # Settle currencies that were never used.
        self.listed_keys = False  # main_keys answers with a list, as it did until 2026.
        self.account_permission = True
        self.not_collateral: set[str] = set()  # Coins that the owner of a unified account took out of its collateral.
        self.coin_mm = "250"  # Of a unified account in single-currency mode.
        self.totals = ("10000", "2500")  # Margin balance and maintenance margin of a unified account.
        self.funding_rows: list[dict[str, Any]] = []
        self.marks |= {one.symbol: Decimal(10) for one in MANY}
        self.marks |= {"XAU/USDT:USDT": Decimal(4000), "ETH/USD:BTC": Decimal(3000)}

    def urls(self) -> dict[str, object]:
        api = f"{self.url}{PREFIX}"
        public = ("wallet", "futures", "margin", "delivery", "spot", "options", "sub_accounts", "earn")
        private = ("withdrawals", "subAccounts", "unified", "rebate", "account", "loan", "otc")
        sockets = {settle: f"{self.ws_url}/v4/ws/{settle}" for settle in ("usdt", "btc")}
        return {
            "api": {
                "public": dict.fromkeys(public, api),
                "private": dict.fromkeys((*public, *private), api),
                "swap": sockets,
            }
        }

    def hold_many(self, count: int) -> None:
        """Hold isolated longs of that many small coins."""
        for one in MANY[:count]:
            self.hold(
                one.symbol, Side.LONG, contracts=Decimal(100), entry=Decimal(10), margin=Decimal(100), leverage=10
            )

    def sample_of(self, symbol: str) -> Sample:
        known = {one.symbol: one for one in (self.sample, self.other, self.inverse) if one is not None}
        return known.get(symbol, self.sample)

    def kind_of(self, call: Call) -> str:
        if call.method == "POST":
            return "write"
        kinds = {
            "positions": "positions", "accounts": "wallets", "account_book": "history", "risk_limit_tiers": "tiers",
            "tickers": "mark", "candlesticks": "candles", "price_orders": "stops", "position_close": "fills",
            "liquidates": "fills", "auto_deleverages": "fills",
        }  # fmt: skip
        if call.path.endswith("/unified/accounts"):
            return "unified"
        if call.path.endswith("/unified/currency_discount_tiers"):
            return "haircuts"
        part = call.path.rsplit("/", 1)[-1]
        settle = "/btc/" in call.path
        if "/trail/" in call.path:
            return "trails"
        return f"{kinds.get(part, part)}{' in btc' if settle and part in {'positions', 'accounts'} else ''}"

    def answer(self, call: Call) -> Any:
        assert call.path.startswith(PREFIX), call.path
        parts = call.path.removeprefix(PREFIX).strip("/").split("/")
        if parts == ["spot", "time"]:
            return {"server_time": self.now_ms()}
        if parts[0] == "futures" and call.headers.get("X-Gate-Size-Decimal") != "1":
            raise AssertionError("sizes would be cut to whole contracts")
        public: dict[str, Callable[[str, dict[str, Any]], Any]] = {
            "contracts": self._contracts, "tickers": self._tickers, "risk_limit_tiers": self._risk_limits,
            "candlesticks": self._candles,
        }  # fmt: skip
        if parts[0] == "futures" and parts[2] in public:
            return public[parts[2]](parts[1], call.params)
        self._check_signature(call)
        of_account: dict[str, Callable[[], Any]] = {
            "unified/accounts": self._unified, "unified/currency_discount_tiers": self.discount_tiers,
            "account/main_keys": self._keys,
        }  # fmt: skip
        if "/".join(parts) in of_account:
            return of_account["/".join(parts)]()
        private: dict[str, Callable[[str, dict[str, Any]], Any]] = {
            "accounts": self._account, "positions": self._positions, "account_book": self._book,
            "price_orders": self._price_orders, "position_close": self._position_close,
            "liquidates": self._liquidates, "auto_deleverages": self._auto_deleverages,
        }  # fmt: skip
        if self.has_trails:
            private["autoorder/v1/trail/list"] = self.trail_list
        if parts[0] == "futures" and call.method == "GET" and "/".join(parts[2:]) in private:
            return private["/".join(parts[2:])](parts[1], call.params)
        if parts[0] == "futures" and call.method == "POST" and parts[-1] == "margin":
            return self._add_margin(parts[1:-1], call)
        raise WireRefusal(404, {"label": "NOT_FOUND", "message": "no such path"})

    def refusal(self, code: str) -> WireRefusal:
        status = {"REQUEST_EXPIRED": 403, "READ_ONLY": 403, "INVALID_KEY": 401, "INVALID_SIGNATURE": 401}
        return WireRefusal(
            status.get(code, 400), {"label": code, "message": self.refusals.get(code, "no more is said")}
        )

    def rate_limited(self) -> WireRefusal:
        return WireRefusal(429, {"label": "TOO_MANY_REQUESTS", "message": "Request Rate limit Exceeded"})

    def rows_in(self, kind: str, answer: Any) -> list[Any]:
        rows: list[Any] = answer
        return rows

    def tier_rows(self, symbol: str) -> list[tuple[Decimal, Decimal, Decimal, Decimal | None]]:
        floor, rows = Decimal(0), []
        for limit, rate, deduction in LISTED[symbol].tiers:
            rows.append((floor, Decimal(limit), Decimal(rate), Decimal(deduction) if self.tiered else None))
            floor = Decimal(limit)
        return rows

    # Figures of a position, by the help page.

    def liquidation_of(self, symbol: str, side: Side) -> Decimal | None:
        """Return the price at which the margin is the requirement and the standard fee to close, before rounding."""
        holding, one, s = self.holdings[symbol, side], LISTED[symbol], int(side)
        margin = holding.margin if holding.margin is not None else self.wallets[one.settle.upper()][0]
        for floor, cap, rate, deduction in self.tier_rows(symbol):
            m, w = rate + Decimal(one.taker), margin + (deduction or 0)
            if one.inverse:
                value = holding.contracts * one.size
                price = value * holding.entry * (1 + s * m) / (value + s * w * holding.entry)
                at_it = value / price
            else:
                price = (holding.entry - s * w / one.size / holding.contracts) / (1 - s * m)
                at_it = holding.contracts * one.size * price
            if price <= 0:
                return None
            if floor <= at_it < cap:
                return price
        return None

    def shown(self, symbol: str, side: Side) -> str:
        price, tick = self.liquidation_of(symbol, side), LISTED[symbol].tick
        if price is None:
            return "0"
        rounding = ROUND_CEILING if side is Side.LONG else ROUND_FLOOR
        return f"{(price / tick).to_integral_value(rounding) * tick:f}"

    @staticmethod
    def value_of(holding: Holding, price: Decimal) -> Decimal:
        one = LISTED[holding.symbol]
        return holding.contracts * one.size / price if one.inverse else holding.contracts * one.size * price

    @property
    def is_dual(self) -> bool:
        return any(holding.hedged for holding in self.holdings.values())

    def _row(self, holding: Holding) -> dict[str, Any]:
        one, mark = LISTED[holding.symbol], self.marks[holding.symbol]
        value, is_cross = self.value_of(holding, mark), holding.margin is None
        then, inverse = self.value_of(holding, holding.entry), -1 if one.inverse else 1
        rate, ded = next((r, d) for floor, cap, r, d in self.tier_rows(holding.symbol) if floor <= value < cap)
        return {
            "user": 10000, "contract": one.market, "size": f"{holding.contracts * int(holding.side):f}",
            "leverage": "0" if is_cross else str(holding.leverage), "risk_limit": one.tiers[0][0], "leverage_max": "100",
            "cross_leverage_limit": str(holding.leverage) if is_cross else "0", "lever": str(holding.leverage),
            "maintenance_rate": str(rate), "value": f"{value.quantize(TWELVE):f}",
            "margin": "12.5" if is_cross else f"{holding.margin:f}", "entry_price": f"{holding.entry:f}",
            "liq_price": self.shown(holding.symbol, holding.side), "mark_price": f"{mark:f}",
            "initial_margin": f"{value / holding.leverage:f}", "maintenance_margin": f"{value * rate - (ded or 0):f}",
            "unrealised_pnl": f"{(value - then) * int(holding.side) * inverse:f}", "realised_pnl": "-1.2",
            "pnl_pnl": "0", "pnl_fund": "0", "pnl_fee": "-1.2", "history_pnl": "0", "last_close_pnl": "0",
            "realised_point": "0", "history_point": "0", "adl_ranking": 5, "pending_orders": 0, "close_order": None,
            "mode": DUAL[holding.side] if holding.hedged else "single", "pid": 0,
            "pos_margin_mode": "cross" if is_cross else "isolated", "update_id": 3, "risk_limit_table": "",
            "update_time": round(holding.since.timestamp()), "open_time": round(holding.since.timestamp()),
            "average_maintenance_rate": str(rate),
        }  # fmt: skip

    # Answers.

    def _positions(self, settle: str, query: dict[str, Any]) -> Any:
        rows = [self._row(holding) for holding in self.holdings.values() if LISTED[holding.symbol].settle == settle]
        if self.ignores_holding or query.get("holding") != "true":
            flat = {"size": "0", "leverage": "10", "mode": "single", "entry_price": "0", "margin": "0", "value": "0"}
            rows += [
                {**flat, "contract": LISTED[symbol].market, "mark_price": "1", "liq_price": "0", "update_time": 0}
                for symbol in self.closed_rows
                if LISTED[symbol].settle == settle
            ]
        offset = int(query.get("offset", 0))
        return rows[offset : offset + min(100, int(query.get("limit", 100)))]

    def _account(self, settle: str, _: dict[str, Any]) -> Any:
        if settle in self.no_account:
            raise WireRefusal(400, {"label": "USER_NOT_FOUND", "message": "please transfer funds first"})
        currency = settle.upper()
        held = [holding for holding in self.holdings.values() if LISTED[holding.symbol].settle == settle]
        isolated = sum((h.margin for h in held if h.margin is not None), Decimal(0))
        balance, available = self.wallets[currency]
        mode = self.position_mode or ("dual" if self.is_dual else "single")
        return {
            "user": 10000, "currency": currency, "total": f"{balance + isolated:f}", "unrealised_pnl": "0",
            "position_margin": "0", "order_margin": "0", "available": f"{available:f}", "point": "0", "bonus": "0",
            "in_dual_mode": mode == "dual", "enable_credit": True, "position_initial_margin": "0",
            "maintenance_margin": "0", "enable_evolved_classic": True, "cross_order_margin": "0",
            "cross_initial_margin": "0", "cross_maintenance_margin": "0", "cross_unrealised_pnl": "0",
            "cross_available": f"{available:f}", "cross_margin_balance": f"{balance:f}", "cross_mmr": "0",
            "cross_imr": "0", "isolated_position_margin": f"{isolated:f}", "enable_new_dual_mode": True,
            "margin_mode": 2 if self.is_wrong_mode else self.margin_mode, "enable_tiered_mm": self.tiered,
            "enable_dual_plus": False, "position_mode": mode, "history": {"dnw": "10000", "pnl": "0"},
        }  # fmt: skip

    def _unified(self) -> Any:
        coin = {
            "available": "10000", "freeze": "0", "borrowed": "0", "equity": "10000", "cross_balance": "10000",
            "iso_balance": "0", "im": "1000", "mm": self.coin_mm, "imr": "10", "mmr": "40", "margin_balance": "10000",
            "available_margin": "9000",
        }  # fmt: skip
        own = self.margin_mode == 3
        balance, required = ("0", "0") if own else self.totals
        return {
            "user_id": 10001, "mode": "single_currency" if own else "portfolio", "locked": False,
            "balances": {
                "USDT": coin,
                "BTC": {**coin, "mm": "0", "equity": "0.1", "margin_balance": "0.1"},
                **{
                    name: {**coin, "equity": f"{balance:f}", "enabled_collateral": name not in self.not_collateral}
                    for name, (balance, _) in self.wallets.items()
                    if name not in {"USDT", "BTC"}
                },
            },
            "total": "10000", "borrowed": "0", "total_initial_margin": "1000", "total_margin_balance": balance,
            "total_maintenance_margin": required, "total_initial_margin_rate": "10", "total_maintenance_margin_rate": "4",
            "total_available_margin": "9000", "unified_account_total": "10000", "leverage": "2",
        }  # fmt: skip

    def _book(self, settle: str, query: dict[str, Any]) -> Any:
        assert query["type"] == "fund", "margin moves are not in it"
        rows = [row for row in self.funding_rows if row["contract"] == query["contract"]]
        return [row for row in rows if row["time"] >= int(query["from"])]

    def _add_margin(self, parts: list[str], call: Call) -> Any:
        settle, contract = parts[0], parts[-1]
        assert call.body == "", "the amount stands in the query"
        dual, one = parts[1] == "dual_comp", OF_MARKET[settle, contract]
        if dual is not self.is_dual:
            raise self.refusal("POSITION_DUAL_MODE" if self.is_dual else "INVALID_PARAM_VALUE")
        amount, side = call.params["change"], call.params.get("dual_side")
        sides = [leg for leg in Side if not dual or DUAL[leg] == side]
        key = next(((one.symbol, leg) for leg in sides if (one.symbol, leg) in self.holdings), None)
        if key is None:
            raise self.refusal("POSITION_NOT_FOUND")
        if self.holdings[key].margin is None:
            raise self.refusal("POSITION_CROSS_MARGIN")
        if Decimal(amount) <= 0 or decimals(amount) > (2 if settle == "usdt" else 8):
            raise self.refusal("INVALID_PARAM_VALUE")
        if Decimal(amount) > self.wallets[settle.upper()][1]:
            raise self.refusal("INSUFFICIENT_AVAILABLE")
        changed = self.add_to(*key, Decimal(amount))
        if not dual:
            return self._row(changed)
        legs = [self.holdings.get((one.symbol, leg)) for leg in Side]
        return [self._row(leg) for leg in legs if leg is not None]

    def _keys(self) -> Any:
        if not self.account_permission:
            text = "Request API key does not have account permission"
            raise WireRefusal(403, {"label": "FORBIDDEN", "message": text})
        rights = self.rights
        perms = [{"name": "futures", "read_only": rights.read_only}, {"name": "account", "read_only": True}]
        # One permission covers both: withdrawing, and transferring between accounts.
        perms.append({"name": "wallet", "read_only": not (rights.withdraw or rights.transfer)})
        mine = {
            "state": 1, "mode": 1, "name": "guard", "user_id": 1, "perms": perms, "currency_pairs": [],
            "ip_whitelist": ["203.0.113.7"] if rights.ip_bound else [], "key": {"mode": 1}, "created_at": "1753030929",
            "updated_at": "1756300567", "last_access": "1753030929",
        }  # fmt: skip
        if not self.listed_keys:
            return mine
        others = {**mine, "key": "c5dcfbf1f3a7*****", "perms": [{"name": "wallet", "read_only": False}]}
        return [others, {**mine, "key": f"{self.api_key[:12]}*****"}]

    def _check_signature(self, call: Call) -> None:
        head = call.headers
        stamp = head.get("Timestamp", "0")
        hashed = hashlib.sha512(call.body.encode()).hexdigest()
        said = f"{call.method}\n{call.path}\n{call.query}\n{hashed}\n{stamp}"
        expected = hmac.new(self.secret.encode(), said.encode(), hashlib.sha512).hexdigest()
        if head.get("KEY") != self.api_key:
            raise self.refusal("INVALID_KEY")
        if not hmac.compare_digest(expected, head.get("SIGN", "")):
            raise self.refusal("INVALID_SIGNATURE")
        if abs(self.now_ms() - int(stamp) * 1000) > 60_000:
            raise self.refusal("REQUEST_EXPIRED")
        if call.method == "POST" and self.rights.read_only:
            raise self.refusal("READ_ONLY")
