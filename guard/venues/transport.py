"""One strict ccxt client per account: ccxt names, signs and parses; what leaves and what comes back is judged here.

ccxt takes HTML, empty bodies, `null` and HTTP 524 for empty accounts or moved money, keeps asking during a ban, follows
redirects with the keys, and writes signed addresses into its errors (measured, ccxt 4.5.90). So the one function that
sends is replaced:

- nothing leaves for a host that was not fixed at start, and nothing but a read unless the venue listed it;
- requests go out one at a time, paced by ccxt's own costs on the monotonic clock (ccxt paces by the wall clock: a step
  back would stop it for as long), each with a deadline, none before a 429 or 418 has run out;
- only a 2xx with a JSON object or list, at most 8 MB, is an answer. Everything else is an error in our own words.
"""

import json
import logging
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from typing import Any

import aiohttp
import certifi
import yarl

from guard.errors import ConfigError, KeysRefused, VenueError, VenueUnavailable
from guard.venues.gate import Gate, PostRule
from guard.venues.lazy_ccxt import exchange_class
from guard.venues.protocol import VenueAccount

DEADLINE_S = 8.0
ANSWER_BYTES_MAX = 8 * 2**20
RETRY_AFTER_MAX_S = 3 * 86400.0  # The longest ban that Binance documents.
RETRY_AFTER_UNSAID_S = {429: 60.0, 418: 120.0}  # One minute of weight; the shortest ban that Binance documents.
TEXT_MAX = 160
DECIMALS_MAX = 100  # Of a price or an amount: no market has more.

# Would log secrets, resend writes, weaken TLS, send elsewhere, or replace what this file decides.
REFUSED_OPTIONS = frozenset(
    {
        *("verbose", "logger", "log", "returnResponseHeaders", "fetchHistoryCacheSize"),
        *("maxRetriesOnFailure", "maxRetriesOnFailureDelay"),
        *("verify", "trust_env", "aiohttp_trust_env", "requests_trust_env"),
        *("session", "own_session", "asyncio_loop", "apiKey", "secret", "password"),
        *("proxy", "proxyUrl", "proxy_url", "proxyUrlCallback", "proxy_url_callback"),
        *("httpProxyCallback", "http_proxy_callback", "httpsProxyCallback", "https_proxy_callback"),
        *("socksProxyCallback", "socks_proxy_callback"),
    }
)


class Answered(VenueUnavailable):
    """Something answered, but not what was asked for. `code` is the exchange's own; None when it gave none."""

    def __init__(self, message: str, *, status: int, code: str | None, retry_after: timedelta | None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What transport must know of an exchange."""

    options: Mapping[str, object]  # ccxt options for a lean start; the user's own come over them.
    urls: Callable[[Mapping[str, Any]], tuple[str, ...]]  # Picks the addresses in use out of ccxt's urls["api"].
    writes: tuple[PostRule, ...]
    error: Callable[[object], tuple[str, str] | None]  # Code and text, when a parsed answer is an error.
    keys_refused: frozenset[str]  # Codes by which a read says that the keys are not accepted.
    clock_is_off: frozenset[str] = frozenset()  # Codes by which it says that a request was stamped too early or late.
    reads: tuple[PostRule, ...] = ()  # Requests other than GET that change nothing.
    headers: Mapping[str, str] = field(default_factory=dict)  # Sent with every request, over ccxt's.


def open_client(account: VenueAccount, wire: Wire) -> Any:
    """Return a strict ccxt.pro client. Raises ConfigError for options or addresses that a guard must not use."""
    refused = [f"accounts.{account.account}.ccxt.{key}: not allowed here" for key in _refused(account.ccxt)]
    if refused:
        raise ConfigError(*refused)
    logging.getLogger("ccxt").setLevel(logging.WARNING)  # At DEBUG it writes every header, keys included.
    options = account.ccxt.get("options")
    user_options: Mapping[str, object] = options if isinstance(options, Mapping) else {}
    client = _strict_class(account.exchange)(
        {
            **account.ccxt,
            "apiKey": account.api_key,
            "secret": account.secret,
            "password": account.password,
            "enableRateLimit": True,
            "aiohttp_trust_env": False,
            "options": {**wire.options, **user_options, "maxRetriesOnFailure": 0},
        }
    )
    client.has["fetchCurrencies"] = False
    if user_options.get("enableDemoTrading"):
        client.enable_demo_trading(True)
    if (client.socksProxy or client.wsSocksProxy) and find_spec("aiohttp_socks") is None:
        raise ConfigError(f"accounts.{account.account}.ccxt: a SOCKS proxy needs the package aiohttp_socks")
    client.deadline_s = min(DEADLINE_S, client.timeout / 1000)
    client.ssl_context = _tls()
    client.wire = wire
    client.gate = Gate(account, wire.urls(client.urls["api"]), (*wire.writes, *wire.reads))
    if client.gate.is_loopback:
        client.timeout_on_exit = 0  # ms. ccxt waits for TLS connections to close; there are none.
    return client


@cache
def _strict_class(exchange: str) -> Any:
    base = exchange_class(exchange)
    return type(base.__name__, (StrictClient, base), {})


@cache
def _tls() -> ssl.SSLContext:
    """Return the one context of all accounts: certificates are always checked, and the list of them is read once."""
    return ssl.create_default_context(cafile=certifi.where())


def _refused(table: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if key in REFUSED_OPTIONS:
            yield prefix + key
        elif isinstance(value, Mapping):
            yield from _refused(value, f"{prefix}{key}.")


class StrictClient:
    """Comes before a ccxt class and replaces what sends. Raises VenueUnavailable, NotSent, Answered or KeysRefused."""

    id: str
    wire: Wire
    gate: Gate
    deadline_s: float

    async def fetch2(
        self,
        path: str,
        api: Any = "public",
        method: str = "GET",
        params: Mapping[str, object] | None = None,
        config: Mapping[str, object] | None = None,
    ) -> Any:
        """Send one request when its turn comes. The name and the arguments are ccxt's."""
        ccxt: Any = self
        params, config = dict(params or {}), dict(config or {})
        wait_s = DEADLINE_S if self._reads(method, path) else self.gate.write_wait_s
        pace_s = ccxt.calculate_rate_limiter_cost(api, method, path, params, config) * ccxt.rateLimit / 1000
        async with self.gate.turn(f"{self.id} {method} {path}", wait_s=wait_s, pace_s=pace_s):
            request = ccxt.sign(path, api, method, params)  # Here, so that no stamp grows old in the queue.
            return await self.fetch(request["url"], request["method"], request["headers"], request["body"])

    def _reads(self, method: str, path: str) -> bool:
        """Say whether a request only reads, as far as that can be told before it is signed: a write waits less long."""
        return method == "GET" or any(
            method == rule.method and f"/{path}".endswith(rule.path_end) for rule in self.wire.reads
        )

    async def fetch(
        self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: str | None = None
    ) -> Any:
        """Send one request, once, and return its parsed answer. Numbers with a point come back as text."""
        what = f"{self.id} {method} {yarl.URL(url).path}"
        self.gate.check(method, url, body, what)
        try:
            status, answer_headers, raw = await self._send(method, url, headers, body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            failure = f"{what}: {_reason(error, self.deadline_s)}"
        else:
            return self._judge(what, status, answer_headers, raw, reads=self._reads(method, yarl.URL(url).path[1:]))
        raise VenueUnavailable(failure)  # Out here, for aiohttp's errors carry the signed address.

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: str | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        ccxt: Any = self
        ccxt.open(lazy=True)  # No new session after close().
        session = ccxt.get_socks_proxy_session(ccxt.socksProxy) if ccxt.socksProxy else ccxt.session
        async with session.request(
            method,
            yarl.URL(url, encoded=True),
            data=body.encode() if body else None,
            headers={**ccxt.prepare_request_headers(dict(headers or {})), **self.wire.headers},
            timeout=aiohttp.ClientTimeout(total=self.deadline_s),
            allow_redirects=False,
            proxy=ccxt.httpsProxy or ccxt.httpProxy,
        ) as response:
            return response.status, response.headers, await _read_at_most(response, ANSWER_BYTES_MAX)

    def _judge(self, what: str, status: int, headers: Mapping[str, str], raw: bytes, *, reads: bool) -> Any:
        """Return the parsed answer, or raise what it is instead."""
        retry_after = None
        if status in RETRY_AFTER_UNSAID_S:
            seconds = _retry_after_s(headers.get("Retry-After"), RETRY_AFTER_UNSAID_S[status])
            self.gate.be_quiet(seconds)
            retry_after = timedelta(seconds=seconds)
        answer = parse(raw)
        error = self.wire.error(answer)
        if error is None and 200 <= status < 300 and answer is not None:
            return answer
        code, text = error or (None, "no usable JSON" if answer is None else "")
        message = f"{what}: " + ", ".join(
            part for part in (f"HTTP {status}", f"code {code}" if code else "", clean(text, self.gate.secrets)) if part
        )
        if reads and code in self.wire.keys_refused:
            raise KeysRefused(message)
        raise Answered(message, status=status, code=code, retry_after=retry_after)

    def parse_precision(self, precision: str | None = None) -> Any:
        """Return ccxt's step for so many decimals. Raises ValueError: it writes out every zero, of a billion too."""
        if precision is not None and abs(int(precision)) > DECIMALS_MAX:
            raise ValueError(f"{precision:.20} decimals")
        return super().parse_precision(precision)  # type: ignore[misc]  # ccxt's class comes after this one.

    def client(self, url: str) -> Any:
        """Return ccxt's stream client, for known hosts only."""
        self.gate.check_host(url, f"{self.id} stream")
        return super().client(url)  # type: ignore[misc]  # ccxt's class comes after this one.


async def _read_at_most(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            raise ValueError(f"answer is longer than {bytes_max} bytes")
    return bytes(body)


def parse(raw: bytes) -> Any:
    """Return a JSON object or list, with non-integers as text so that no digit is lost; None for anything else."""
    try:
        answer = json.loads(raw, parse_float=str, parse_constant=_not_a_number, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict | list) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object without the keys that stand in it twice and differ: which of both is meant, nobody knows."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    return {key: value for key, value in found.items() if all(other == value for name, other in pairs if name == key)}


def _not_a_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def clean(text: str, secrets: tuple[str, ...]) -> str:
    """Return foreign text fit for a log: short, printable, without our secrets, signatures or long keys."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = re.sub(r"[A-Za-z0-9+/=_-]{32,}", "***", re.sub(r"[^\x20-\x7e]+", " ", text))
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 3] + "..."


def _retry_after_s(header: str | None, unsaid_s: float) -> float:
    if header is None or not header.strip().isascii() or not header.strip().isdigit():
        return unsaid_s
    return min(max(float(header), 1.0), RETRY_AFTER_MAX_S)


def _reason(error: Exception, deadline_s: float) -> str:
    """Return why no answer came, in words that hold no address."""
    if isinstance(error, TimeoutError):
        return f"no answer within {deadline_s:g} s"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection ({type(error).__name__})"
    if isinstance(error, aiohttp.ClientError | OSError):
        return f"connection lost ({type(error).__name__})"
    return f"unusable ({error})" if str(error).startswith("answer is longer") else f"unusable ({type(error).__name__})"


async def ask(client: Any, endpoint: str, *arguments: object) -> Any:
    """Call a method of ccxt that only reads. It fails by VenueUnavailable or KeysRefused, whatever ccxt raises."""
    try:
        return await getattr(client, endpoint)(*arguments)
    except VenueError:
        raise
    except Exception as error:  # noqa: BLE001  # ccxt parses foreign text: what it may raise is not a closed list.
        failure = f"{client.id} {endpoint}: {type(error).__name__}"
    raise VenueUnavailable(failure)  # Out here, for ccxt's errors carry addresses and bodies.
