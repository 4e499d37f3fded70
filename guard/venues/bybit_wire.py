"""How Bybit is reached: hosts, lean options, error envelope, and how long it wants quiet."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from guard.errors import ConfigError
from guard.venues import bybit_margin, bybit_news
from guard.venues.gate import is_loopback
from guard.venues.protocol import VenueAccount
from guard.venues.rows import error_said
from guard.venues.shared import RateLimit
from guard.venues.transport import Wire

# Where Bybit's own API answers (docs, Integration Guidance, 2026-07). A key is sent to none but these.
HOSTNAMES = frozenset(
    {
        *("bybit.com", "bytick.com", "bybit.nl", "bybit.tr", "bybit.kz", "bybitgeorgia.ge"),
        *("bybit.ae", "bybit.eu", "bybit.id", "manepa.jp"),
    }
)
TEST_PREFIXES = ("api-testnet.", "api-demo.")

# A write waits at most half a second for its turn and is then stamped. The exchange takes it until its stamp is
# recv_window old, and takes one that is up to a second ahead (docs, Integration Guidance, 2026-07). How long its
# backend may still work on one that it took, nobody documents: 10 s for that (Binance's figure) and 8.5 s more: 25 s.
RECV_WINDOW = timedelta(seconds=5)
FENCE = timedelta(seconds=0.5) + RECV_WINDOW + timedelta(seconds=1) + timedelta(seconds=10) + timedelta(seconds=8.5)
LOOPBACK_RECV_WINDOW = timedelta(seconds=1)
LOOPBACK_FENCE = timedelta(seconds=2)  # Half a second for its turn, recv_window, and no backend behind it.

CLOCK_IS_OFF = "10002"
LIMIT = RateLimit(weight_max=600, window_s=5.0, weights={}, weight_else=1)  # Requests of an address (docs, 2026-07).
QUIET_MIN_S, QUIET_MAX_S = 0.1, 5.0  # The limit of the user is by the second.
BLOCKED_S = 600.0  # The limit of the address: "wait for at least 10 minutes" (docs, Rate Limit Rules, 2026-07).
FORBIDDEN_S = 60.0  # A 403 that gives no reason: asked again once a minute, for ten minutes without a look are long.


def wire_of(account: VenueAccount) -> Wire:
    """Return how an account is reached. Raises ConfigError for a hostname that is not Bybit's."""
    hostname = account.ccxt.get("hostname", "bybit.com")
    if hostname not in HOSTNAMES:
        expected = ", ".join(sorted(HOSTNAMES))
        raise ConfigError(f"accounts.{account.account}.ccxt.hostname: found {hostname!r}, expected one of {expected}")
    return Wire(
        options={
            "fetchMarkets": {"types": ["linear", "inverse"]},
            # Preset, so that no probe of ccxt's can fail and be remembered.
            "enableUnifiedMargin": False,
            "enableUnifiedAccount": True,
            "unifiedMarginStatus": 6,
        },
        urls=_urls_in_use(str(hostname)),
        writes=(bybit_margin.ADD_MARGIN,),
        error=error_of,
        keys_refused=frozenset({"10003", "10004", "10005", "10007", "10010", "33004"}),
        clock_is_off=frozenset({CLOCK_IS_OFF}),
        limit=LIMIT,
        quiet_s=quiet_s,
    )


def _urls_in_use(hostname: str) -> Callable[[Mapping[str, Any]], tuple[str, ...]]:
    def urls(api: Mapping[str, Any]) -> tuple[str, ...]:
        sockets = api.get("ws")
        public = sockets.get("public") if isinstance(sockets, dict) else None
        if not isinstance(public, dict) or not all(isinstance(public.get(kind), str) for kind in ("linear", "inverse")):
            raise ConfigError("ccxt.urls.api.ws.public: expected a table with the streams linear and inverse")
        used = (api["public"], api["private"], public["linear"], public["inverse"], bybit_news.private_address(api))
        return tuple(url.replace("{hostname}", hostname) for url in used if url is not None)

    return urls


def is_test_host(host: str) -> bool:
    """Say whether no real money is behind a host that takes keys. Marks of a demo account come from the main host."""
    return is_loopback(host) or host.startswith(TEST_PREFIXES)


def is_demo(url: str) -> bool:
    return "//api-demo." in url


def error_of(answer: object) -> tuple[str, str] | None:
    """Return code and text of {"retCode": 10001, "retMsg": "..."}; None when the answer is no error."""
    code = answer.get("retCode") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or code is None or code == 0:
        return None
    return error_said(code, answer.get("retMsg"))


def quiet_s(status: int, headers: Mapping[str, str], answer: object) -> float | None:
    """Return for how many seconds the exchange wants no request; None: it does not say so."""
    fields = answer if isinstance(answer, dict) else {}
    code, text = error_of(answer) or ("", "")
    if code == "10018" or (status == 403 and "too frequent" in text):
        return BLOCKED_S
    if code != "10006":
        return FORBIDDEN_S if status == 403 else None
    limit, now = headers.get("X-Bapi-Limit-Reset-Timestamp", ""), str(fields.get("time"))
    if limit.isascii() and limit.isdigit() and now.isascii() and now.isdigit():
        return min(max((int(limit) - int(now)) / 1000, QUIET_MIN_S), QUIET_MAX_S)
    return 1.0
