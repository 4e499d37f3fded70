"""The endpoints: what each asks for, what it answers, and the request weight that it costs.

An endpoint is a plain function of the exchange and the request; faults, sockets and signatures are others' business.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from guard.demo.exchange import order_payloads, payloads
from guard.demo.exchange.exchange import DemoExchange
from guard.demo.exchange.faults import FaultKind
from guard.demo.exchange.ledger import DemoAccount, Fill
from guard.demo.exchange.margin_change import change_position_margin
from guard.demo.exchange.payloads import Json
from guard.demo.exchange.signing import ApiError, milliseconds, missing, whole_number

HISTORY_ROWS = 50
HISTORY_ROWS_MAX = 500
INCOME_ROWS = 100
INCOME_ROWS_MAX = 1000
KLINES = 500
KLINES_MAX = 1500
INTERVAL_MINUTES = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "8h": 480,
    "12h": 720,
    "1d": 1440,
}

MARGIN_PATH = "/fapi/v1/positionMargin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that may be answered: its parameters, and the account that signed it."""

    exchange: DemoExchange
    fields: Mapping[str, str]
    signer: DemoAccount | None

    @property
    def account(self) -> DemoAccount:
        assert self.signer is not None, "only signed endpoints ask for it"
        return self.signer

    def symbol(self) -> str | None:
        """Return the symbol asked for; None when none was. Raises ApiError for an unknown one."""
        symbol = self.fields.get("symbol")
        if symbol is not None and symbol not in self.exchange.marks:
            raise ApiError(-1121, "Invalid symbol.")
        return symbol

    def needed_symbol(self) -> str:
        symbol = self.symbol()
        if symbol is None:
            raise missing("symbol")
        return symbol

    def symbols(self) -> list[str]:
        """Return the symbol asked for, or all."""
        symbol = self.symbol()
        return [symbol] if symbol is not None else list(self.exchange.marks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    answer: Callable[[Call], Json]
    signed: bool
    weight: int
    keyed: bool = False  # Not signed, but for the account of the key in the header.


def _ping(_: Call) -> Json:
    return {}


def _time(call: Call) -> Json:
    return {"serverTime": milliseconds(call.exchange.now())}


def _exchange_info(call: Call) -> Json:
    return payloads.exchange_info(call.exchange.market.listings, call.exchange.now())


def _leverage_bracket(call: Call) -> Json:
    return [payloads.leverage_brackets(symbol) for symbol in call.symbols()]


def _position_risk(call: Call) -> Json:
    return payloads.position_rows(call.account, call.exchange.marks, call.symbol())


def _account(call: Call) -> Json:
    return payloads.account_payload(call.account, call.exchange.marks)


def _symbol_config(call: Call) -> Json:
    return [payloads.symbol_config(call.account, symbol) for symbol in call.symbols()]


def _account_config(call: Call) -> Json:
    return payloads.account_config(call.account)


def _position_mode(call: Call) -> Json:
    return {"dualSidePosition": call.account.hedge_mode}


def _assets_mode(call: Call) -> Json:
    return {"multiAssetsMargin": call.account.multi_assets}


def _premium_index(call: Call) -> Json:
    now, marks = call.exchange.now(), call.exchange.marks
    rows = [payloads.premium_index(symbol, marks[symbol], now) for symbol in call.symbols()]
    return rows[0] if call.symbol() is not None else rows


def _klines(call: Call) -> Json:
    minutes = INTERVAL_MINUTES.get(call.fields.get("interval", ""))
    if minutes is None:
        raise ApiError(-1120, "Invalid interval.")
    interval, symbol = timedelta(minutes=minutes), call.needed_symbol()
    count = min(whole_number(call.fields, "limit") or KLINES, KLINES_MAX)
    bars = call.exchange.market.bars(symbol, interval=interval, count=count, now=call.exchange.now())
    return [payloads.kline(bar, interval) for bar in bars]


def _open_orders(call: Call) -> Json:
    symbols = call.symbols()
    return [order_payloads.open_order(order) for order in call.account.orders if order.symbol in symbols]


def _open_algo_orders(call: Call) -> Json:
    symbols = call.symbols()
    return [order_payloads.algo_order(order) for order in call.account.stops if order.symbol in symbols]


def _user_trades(call: Call) -> Json:
    return [order_payloads.fill(row) for row in _fills(call)]


def _force_orders(call: Call) -> Json:
    return [order_payloads.force_order(row) for row in _fills(call) if row.is_liquidation]


def _fills(call: Call) -> list[Fill]:
    symbols, start = call.symbols(), whole_number(call.fields, "startTime")
    return [
        row for row in call.account.fills if row.symbol in symbols and (start is None or milliseconds(row.at) >= start)
    ]


def _margin_history(call: Call) -> Json:
    symbol = call.needed_symbol()
    start, end = whole_number(call.fields, "startTime"), whole_number(call.fields, "endTime")
    change_type = whole_number(call.fields, "type")
    limit = min(whole_number(call.fields, "limit") or HISTORY_ROWS, HISTORY_ROWS_MAX)
    if start is not None and end is not None and start > end:
        raise ApiError(-1023, "Start time is greater than end time.")
    rows = [
        row
        for row in call.account.margin_changes
        if row.symbol == symbol
        and (start is None or milliseconds(row.at) >= start)
        and (end is None or milliseconds(row.at) <= end)
        and change_type in {None, row.change_type}
    ]
    return [payloads.margin_change(row) for row in rows[-limit:]]


def _income(call: Call) -> Json:
    """Answer what was booked, oldest first; without a symbol of every one."""
    symbol, income_type = call.symbol(), call.fields.get("incomeType")
    start, end = whole_number(call.fields, "startTime"), whole_number(call.fields, "endTime")
    limit = min(whole_number(call.fields, "limit") or INCOME_ROWS, INCOME_ROWS_MAX)
    rows = [
        row
        for row in call.account.income
        if symbol in {None, row.symbol}
        and income_type in {None, row.income_type}
        and (start is None or milliseconds(row.at) >= start)
        and (end is None or milliseconds(row.at) <= end)
    ]
    return [payloads.income(row) for row in rows[:limit]]


def _position_margin(call: Call) -> Json:
    if not may_trade(call.exchange, call.account):
        raise ApiError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
    answer = change_position_margin(call.account, call.fields, call.exchange.marks, call.exchange.now())
    call.exchange.tell(call.account, "MARGIN_TRANSFER", call.fields["symbol"], call.fields.get("positionSide", "BOTH"))
    return answer


def _listen_key(call: Call) -> Json:
    return {"listenKey": call.account.listen_key}


def _api_restrictions(call: Call) -> Json:
    return payloads.api_restrictions(call.account, may_trade=may_trade(call.exchange, call.account))


def _nothing(_: Call) -> Json:
    """There are no coins to deposit and no margin pairs here; ccxt asks for them while it loads markets."""
    return []


def may_trade(exchange: DemoExchange, account: DemoAccount) -> bool:
    withdrawn = exchange.faults.holds(FaultKind.WITHDRAWN_SCOPES, account.api_key)
    return account.permissions.futures and not withdrawn


def _public(answer: Callable[[Call], Json], weight: int = 1) -> Endpoint:
    return Endpoint(answer=answer, signed=False, weight=weight)


def _signed(answer: Callable[[Call], Json], weight: int = 1) -> Endpoint:
    return Endpoint(answer=answer, signed=True, weight=weight)


ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ("GET", "/fapi/v1/ping"): _public(_ping),
    ("GET", "/fapi/v1/time"): _public(_time),
    ("GET", "/fapi/v1/exchangeInfo"): _public(_exchange_info),
    ("GET", "/fapi/v1/premiumIndex"): _public(_premium_index),
    ("GET", "/fapi/v1/klines"): _public(_klines, 5),
    ("GET", "/fapi/v1/markPriceKlines"): _public(_klines, 5),
    ("GET", "/fapi/v1/leverageBracket"): _signed(_leverage_bracket),
    ("GET", "/fapi/v3/positionRisk"): _signed(_position_risk, 5),
    ("GET", "/fapi/v3/account"): _signed(_account, 5),
    ("GET", "/fapi/v1/symbolConfig"): _signed(_symbol_config, 5),
    ("GET", "/fapi/v1/accountConfig"): _signed(_account_config, 5),
    ("GET", "/fapi/v1/positionSide/dual"): _signed(_position_mode, 30),
    ("GET", "/fapi/v1/multiAssetsMargin"): _signed(_assets_mode, 30),
    ("GET", "/fapi/v1/openOrders"): _signed(_open_orders),
    ("GET", "/fapi/v1/openAlgoOrders"): _signed(_open_algo_orders),
    ("GET", "/fapi/v1/userTrades"): _signed(_user_trades, 5),
    ("GET", "/fapi/v1/forceOrders"): _signed(_force_orders, 20),
    ("GET", "/fapi/v1/positionMargin/history"): _signed(_margin_history),
    ("GET", "/fapi/v1/income"): _signed(_income, 30),
    ("POST", MARGIN_PATH): _signed(_position_margin),
    ("POST", "/fapi/v1/listenKey"): Endpoint(answer=_listen_key, signed=False, weight=1, keyed=True),
    ("GET", "/sapi/v1/account/apiRestrictions"): _signed(_api_restrictions),
    ("GET", "/sapi/v1/capital/config/getall"): _signed(_nothing, 10),
    ("GET", "/sapi/v1/margin/allPairs"): _signed(_nothing),
}
