"""What of [accounts.NAME.ccxt] may reach ccxt: nothing that logs, retries writes, moves keys or weakens TLS.

Nor what its owner took for a test mode and is none: he would practice on the real hosts, with real money.

Facts: ccxt 4.5.90, base/exchange.py (constructor: every key becomes an attribute; `sandbox` takes the test hosts there,
a `sandboxMode` in `options` only remembers that it was done) and docs/ARCHITECTURE.md.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from guard.config.hosts import require_safe
from guard.config.problems import Path, did_you_mean, shown

_PROXIES = frozenset({"httpProxy", "httpsProxy", "socksProxy", "wsProxy", "wssProxy", "wsSocksProxy"})
_OWN = frozenset({"urls", "hostname", "sandbox", "options", "timeout", "rateLimit", "enableRateLimit", "userAgent"})
ALLOWED = _OWN | _PROXIES
_PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks5", "socks5h"})  # TLS to the exchange goes through them.
_URL_SCHEMES = frozenset({"https", "http", "wss", "ws"})
_HOSTNAME = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?", re.ASCII)
_EXCLUSIVE = (("httpProxy", "httpsProxy", "socksProxy"), ("wsProxy", "wssProxy", "wsSocksProxy"))  # ccxt: one of them.
_TIMEOUT_MS = range(1_000, 60_001)
_RATE_LIMIT_MS = range(10_001)
_TEST_MODES = frozenset({"sandbox", "enableDemoTrading"})  # In `options`: what really leads to the test hosts.
_LIKE_A_TEST_MODE = re.compile(r"sandbox|testnet|testmode|demo|paper|paptrading|simulat")
_NO_TEST_MODES = frozenset({"disableFuturesSandboxWarning"})  # A word of ccxt's that is like one.

_KEY = "keys do not belong here, expected api_key, secret or password (or their _file) of the account"
_TLS = "would weaken TLS, expected to be left out"
_RETRY = "would send a write again whose answer was lost, expected to be left out"
_DENIED = {  # By the name in small letters without underscores, wherever it stands.
    **dict.fromkeys(
        ("apikey", "secret", "password", "uid", "accountid", "login", "privatekey", "token", "twofa"), _KEY
    ),
    "walletaddress": _KEY,
    **dict.fromkeys(("verify", "ssl", "sslcontext", "validateserverssl", "validateclientssl", "cafile"), _TLS),
    **dict.fromkeys(("maxretriesonfailure", "maxretriesonfailuredelay"), _RETRY),
    **dict.fromkeys(
        ("trustenv", "aiohttptrustenv", "requeststrustenv"),
        "would take proxies from the environment, expected httpsProxy",
    ),
    **dict.fromkeys(("proxy", "proxyurl"), "would send signed requests to another host, expected httpsProxy"),
    "verbose": "would log requests with their keys, expected to be left out",
    "headers": "may carry keys to another host, expected to be left out",
}


def screen(table: Mapping[str, object], path: Path) -> Iterator[tuple[Path, str]]:
    """Yield what must not be handed to ccxt, with the reason."""
    for key, value in table.items():
        here = (*path, key)
        if reason := _denied(key):
            yield here, reason
        elif key not in ALLOWED and _is_like_a_test_mode(key):
            yield here, _no_test_mode("sandbox = true")
        elif key not in ALLOWED:
            yield (
                here,
                f"is not handed on to ccxt, expected one of {', '.join(sorted(ALLOWED))}{did_you_mean(key, ALLOWED)}",
            )
        elif key in {"urls", *_PROXIES}:
            yield from _urls(value, here, _PROXY_SCHEMES if key in _PROXIES else _URL_SCHEMES)
        else:
            yield from _figures(key, value, here)
            yield from _deep(value, here)
    yield from _test_modes(table, path)
    for rivals in _EXCLUSIVE:
        for second in [key for key in rivals if key in table][1:]:
            yield (*path, second), f"found a second proxy, expected one of {', '.join(rivals)}"


def _test_modes(table: Mapping[str, object], path: Path) -> Iterator[tuple[Path, str]]:
    """Yield what is no test mode, or a second one: ccxt takes one of them."""
    options = table.get("options")
    if not isinstance(options, dict):
        return
    where = (*path, "options")
    asked = [(*path, "sandbox")] if table.get("sandbox") is True else []
    for key in sorted(_TEST_MODES & options.keys()):
        value, here = options[key], (*where, key)
        if not isinstance(value, bool):
            yield here, f"found {shown(here, value)}, expected true or false"
        elif value:
            asked.append(here)
    for second in asked[1:]:
        yield second, "found a second test mode, expected one"
    for here, value in _leaves({key: value for key, value in options.items() if key not in _TEST_MODES}, where):
        if value is not False and _is_like_a_test_mode(str(here[-1])):
            yield here, _no_test_mode("sandbox = true beside options")


def _leaves(table: Mapping[str, object], path: Path) -> Iterator[tuple[Path, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _is_like_a_test_mode(key: str) -> bool:
    return key not in _NO_TEST_MODES and bool(_LIKE_A_TEST_MODE.search(key.replace("_", "").lower()))


def _no_test_mode(instead: str) -> str:
    return f"is not how a test mode is switched on, expected {instead}: this would ask the real hosts"


def _denied(key: str) -> str | None:
    return _DENIED.get(key.replace("_", "").lower())


def _deep(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            if reason := _denied(key):
                yield (*path, key), reason
            else:
                yield from _deep(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _deep(child, (*path, index))


def _urls(value: object, path: Path, schemes: frozenset[str]) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            if reason := _denied(key):
                yield (*path, key), reason
            else:
                yield from _urls(child, (*path, key), schemes)
    elif isinstance(value, str):
        try:
            if schemes is _PROXY_SCHEMES:
                _require_proxy(value)
            else:
                require_safe(value.replace("{hostname}", "hostname.invalid"), schemes)
        except ValueError as error:
            yield path, str(error)
    else:
        yield path, f"found {shown(path, value)}, expected a url in quotes"


def _require_proxy(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_proxy = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        is_proxy = False
    if not is_proxy:
        raise ValueError(
            f"expected a proxy that starts with {', '.join(f'{name}://' for name in sorted(_PROXY_SCHEMES))}"
        )


def _figures(key: str, value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if key == "enableRateLimit" and value is not True:
        yield path, f"found {shown(path, value)}, expected true: without it the exchange bans this address"
    bounds = {"timeout": _TIMEOUT_MS, "rateLimit": _RATE_LIMIT_MS}.get(key)
    if bounds and (isinstance(value, bool) or value not in bounds):
        yield path, f"found {shown(path, value)}, expected milliseconds from {bounds.start} to {bounds.stop - 1}"
    if key == "sandbox" and not isinstance(value, bool):
        yield path, f"found {shown(path, value)}, expected true or false"
    if key == "userAgent" and not (isinstance(value, str) and value.isprintable()):
        yield path, f"found {shown(path, value)}, expected text in quotes"
    if key == "hostname" and not (isinstance(value, str) and _HOSTNAME.fullmatch(value)):
        yield path, f"found {shown(path, value)}, expected a host name such as 'binance.com'"
    if key == "options" and not isinstance(value, dict):
        yield path, f"found {shown(path, value)}, expected a table"
