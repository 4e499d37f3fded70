"""How Gate is reached: hosts, lean options, error envelope, and until when a write may still be carried out."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from guard.errors import ConfigError
from guard.venues import gateio_margin
from guard.venues.gate import is_loopback
from guard.venues.shared import RateLimit
from guard.venues.transport import Wire

SETTLES = ("usdt", "btc")  # Gate's words for its two kinds of perpetual contracts. Dated ones are not read.
IN_USE = {"public": ("futures", "spot"), "private": ("futures", "account", "unified"), "swap": SETTLES}
TEST_HOSTS = frozenset({"api-testnet.gateapi.io", "fx-api-testnet.gateio.ws"})

# A write waits at most half a second for its turn and is then stamped, in whole seconds, by the exchange's clock. The
# exchange takes it while its stamp is within 60 s of its own time (docs, authentication, 2026-05). There is no header
# that makes this shorter here: x-gate-exptime is documented for orders only. How long its backend may still work on one
# that it took, nobody documents: 10 s for that (Binance's figure) and 8.5 s more: 80 s.
VALID = timedelta(seconds=60)
FENCE = timedelta(seconds=0.5) + VALID + timedelta(seconds=1) + timedelta(seconds=10) + timedelta(seconds=8.5)
LOOPBACK_FENCE = timedelta(seconds=2)  # Half a second for its turn; a loopback exchange keeps nothing back.

CLOCK_IS_OFF = "REQUEST_EXPIRED"
NO_RIGHT = "FORBIDDEN"
NO_ACCOUNT = "USER_NOT_FOUND"  # Nothing was ever moved into the futures account of this settle currency.

# 200 requests in 10 s for each address of the public endpoints and for each user of the private ones (docs, frequency
# limit rule, 2026-05). They are counted by endpoint there and together here.
TOO_MANY = 429
LIMIT = RateLimit(weight_max=200, window_s=10.0, weights={}, weight_else=1)


def wire_of() -> Wire:
    return Wire(
        options={
            "fetchMarkets": {"types": ["swap"]},
            "swap": {"fetchMarkets": {"settlementCurrencies": list(SETTLES)}},
            "unifiedAccount": False,  # Preset: ccxt's probe takes a timeout for a no and remembers it.
        },
        urls=_urls_in_use,
        writes=(gateio_margin.ADD_MARGIN, gateio_margin.ADD_MARGIN_TO_LEG),
        error=error_of,
        keys_refused=frozenset(
            {"INVALID_KEY", "INVALID_SIGNATURE", "INVALID_CREDENTIALS", "IP_FORBIDDEN", "ACCOUNT_LOCKED"}
        ),
        clock_is_off=frozenset({CLOCK_IS_OFF}),
        limit=LIMIT,
        quiet_s=quiet_s,
        headers={"X-Gate-Size-Decimal": "1"},  # Without it sizes are cut to whole contracts.
    )


def _urls_in_use(api: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses in use. A testnet lacks some of them: what is asked there fails by itself."""
    urls: list[str] = []
    for name, parts in IN_USE.items():
        table = api.get(name)
        if not isinstance(table, Mapping):
            raise ConfigError(f"ccxt.urls.api.{name}: expected a table of addresses")
        urls += [url for part in parts if isinstance(url := table.get(part), str)]
    return tuple(urls)


def quiet_s(status: int, headers: Mapping[str, str], answer: object) -> float | None:  # noqa: ARG001
    """Return for how long there is quiet after too many requests: one window.

    Its reset header is in seconds or milliseconds, by whom one asks; it sends no Retry-After, but one would hold.
    """
    return LIMIT.window_s if status == TOO_MANY and "Retry-After" not in headers else None


def is_test_host(host: str) -> bool:
    return is_loopback(host) or host in TEST_HOSTS


def error_of(answer: object) -> tuple[str, str] | None:
    """Return label and text of {"label": "INVALID_KEY", "message": "..."}; None when the answer is no error."""
    label = answer.get("label") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(label, str) or not label:
        return None
    return label[:64], str(answer.get("message") or answer.get("detail") or "")
