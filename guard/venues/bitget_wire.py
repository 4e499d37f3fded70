"""How Bitget is reached: hosts, lean options, its envelope, how long it wants quiet, and its contracts as listed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from guard.errors import ConfigError, VenueUnavailable
from guard.snapshot import Contract, ContractKind
from guard.venues.bitget_margin import ADD_MARGIN, CLOCK_IS_OFF
from guard.venues.bitget_news import private_address
from guard.venues.bitget_uta_margin import ADD_UNIFIED
from guard.venues.protocol import VenueAccount
from guard.venues.rows import Number, Row, RowError, Word, read_row
from guard.venues.shared import RateLimit
from guard.venues.transport import Wire

HOSTNAME = "bitget.com"  # `hostname` in the account's ccxt options names another.
USDT, USDC, COIN = "USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES"
PRODUCTS = (USDT, USDC, COIN)
PRODUCT_OF_SETTLE: Mapping[str, str] = {"USDT": USDT, "USDC": USDC}
CLASSIC_ONLY = frozenset({"40084", "25245"})  # Codes: "you are in Classic", "not the unified account mode".
UNIFIED_ONLY = "40085"  # "You are in Unified Account mode".

# 6,000 requests a minute and address, each endpoint's own limits beside it (docs, 2025-10). "It takes 5 minutes to
# recover", so it is never to be reached.
LIMIT = RateLimit(weight_max=6000, window_s=60.0, weights={}, weight_else=1)
QUIET_S = 2.0  # The limits that can be met are by the second.

# A write waits at most half a second for its turn, and is taken until it is 30 s older than its stamp ("must be within
# 30 seconds of the API server time", docs, Standard specification). How long the backend may then take nobody
# documents: 10 s as at Binance, and 8.5 s for what nobody knows: 49 s.
FENCE = timedelta(seconds=0.5) + timedelta(seconds=30) + timedelta(seconds=10) + timedelta(seconds=8.5)
LOOPBACK_FENCE = timedelta(seconds=2)  # Half a second for its turn, and no backend behind it.

KEYS_REFUSED = frozenset({"40006", "40009", "40011", "40012", "40014", "40018", "40022", "40037", "40099"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One contract in USDT or USDC. A quantity is in base units."""

    contract: Contract
    market_id: str
    product: str


class _Named(Row):
    id: Word
    symbol: Word
    base: Word
    quote: Word
    settle: Word


def read_market(listed: Mapping[str, Any]) -> Market | None:
    """Return a contract that pays in the dollar it is quoted in; None for any other: demo coins, coin margin, spot."""
    if not listed.get("contract") or not listed.get("linear"):
        return None
    try:
        row = read_row(_Named, listed)
    except RowError:
        return None
    product = PRODUCT_OF_SETTLE.get(row.settle)
    if product is None or row.quote != row.settle:
        return None
    contract = Contract(
        symbol=row.symbol, kind=ContractKind.LINEAR, base=row.base, settle=row.settle, contract_size=Decimal(1)
    )
    return Market(contract=contract, market_id=row.id, product=product)


def wire_of(account: VenueAccount) -> Wire:
    """Return how an account is reached. Raises ConfigError for a key without its passphrase."""
    if not account.password:
        raise ConfigError(f"accounts.{account.account}.password: missing, a key of Bitget has a passphrase")
    hostname = str(account.ccxt.get("hostname") or HOSTNAME)
    options = account.ccxt.get("options")
    named = options if isinstance(options, Mapping) else {}
    is_demo = any((account.ccxt.get("sandbox"), *(named.get(one) for one in DEMO_OPTIONS)))
    return Wire(
        # `uta` preset: ccxt would ask, take a time-out for "classic" and remember it (4.5.90, handle_uta_and_params).
        options={"fetchMarkets": {"types": ["swap"]}, "uta": False, "defaultType": "swap"},
        urls=lambda api: _addresses(api, hostname, is_demo=is_demo),
        writes=(ADD_MARGIN, ADD_UNIFIED),
        error=error_of,
        keys_refused=KEYS_REFUSED,
        clock_is_off=CLOCK_IS_OFF,
        quiet_s=quiet_s,
        limit=LIMIT,
    )


DEMO_OPTIONS = ("sandboxMode", "sandbox", "enableDemoTrading")


def _addresses(api: Mapping[str, Any], hostname: str, *, is_demo: bool) -> tuple[str, ...]:
    streams = api.get("demo" if is_demo else "ws")
    stream = streams.get("public") if isinstance(streams, Mapping) else None
    rest = [api.get(kind) for kind in ("mix", "spot", "common", "uta")]
    if not isinstance(stream, str) or not all(isinstance(url, str) for url in rest):
        raise ConfigError("ccxt.urls.api: expected addresses for mix, spot, common and uta, and a table ws with public")
    private = (private_address(streams, is_unified=is_unified) for is_unified in (False, True))
    sockets = (stream, *(url for url in private if url is not None))
    return (*(str(url).replace("{hostname}", hostname) for url in rest), *sockets)


def error_of(answer: object) -> tuple[str, str] | None:
    """Return code and text of {"code": "40712", "msg": "..."}; None when the answer is no error, or no envelope."""
    if not isinstance(answer, dict) or "code" not in answer or answer["code"] == "00000":
        return None
    return str(answer["code"])[:16], str(answer.get("msg", ""))


def quiet_s(status: int, headers: Mapping[str, str], answer: object) -> float | None:
    """Return for how many seconds the exchange wants no request; None: as Retry-After says, or not at all."""
    error = error_of(answer)
    is_limit = status == 429 or (error is not None and error[0] == "429")
    return QUIET_S if is_limit and headers.get("Retry-After") is None else None


def data_of(answer: object, what: str) -> Any:
    """Return what stands in {"code": "00000", "data": ...}. Raises VenueUnavailable."""
    if not isinstance(answer, dict) or answer.get("code") != "00000" or "data" not in answer:
        raise VenueUnavailable(f"{what}: expected code 00000 with data")
    return answer["data"]


def list_of(answer: object, what: str, name: str | None = None) -> list[Any]:
    """Return the rows of an answer; `name`: they stand in a field of it, and there null stands for none."""
    rows = data_of(answer, what)
    if name is not None:
        if not isinstance(rows, dict) or name not in rows:
            raise VenueUnavailable(f"{what}: no {name} in the answer")
        rows = [] if rows[name] is None else rows[name]
    if not isinstance(rows, list):
        raise VenueUnavailable(f"{what}: expected a list, found {type(rows).__name__}")
    return rows


class _One(Row):
    number: Number


def maybe(value: object) -> Decimal | None:
    """Return a number; None where it is missing or empty: "does not apply here". Raises RowError."""
    return None if value is None or value == "" else read_row(_One, {"number": value}).number


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
