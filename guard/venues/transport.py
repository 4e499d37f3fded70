"""One strict ccxt client per account: ccxt names, signs and parses; what leaves and what comes back is judged here.

ccxt takes HTML, empty bodies, `null` and HTTP 524 for empty accounts or moved money, keeps asking during a ban, follows
redirects with the keys, and writes signed addresses into its errors (measured, ccxt 4.5.90). So the one function that
sends is replaced:

- nothing leaves for a host that was not fixed at start, and nothing but a read unless the venue listed it;
- requests go out one at a time, paced by ccxt's own costs on the monotonic clock (ccxt paces by the wall clock: a step
  back would stop it for as long), each with a deadline, none before a 429 or 418 has run out;
- only a 2xx with a JSON object or list, at most 8 MB, is an answer. Everything else is an error in our own words.
"""

import asyncio
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
from guard.venues.gate import Gate, NotSent, PostRule
from guard.venues.lazy_ccxt import exchange_class
from guard.venues.protocol import VenueAccount
from guard.venues.shared import MARKET_TABLES, RateLimit, Shared
from guard.venues.stream_messages import StreamMessages

DEADLINE_S = 8.0
FAILURES_TO_RENEW = 3  # Failed connections in a row after which the session, its resolver included, is made anew.
ANSWER_BYTES_MAX = 8 * 2**20
RETRY_AFTER_MAX_S = 3 * 86400.0  # The longest ban that Binance documents.
RETRY_AFTER_UNSAID_S = {429: 60.0, 418: 120.0}  # One minute of weight; the shortest ban that Binance documents.
# Refusals that do not come from the exchange's own program, and for how long it is left alone: longer than between two
# polls, for a firewall counts what it refuses, and a region does not change.
PAUSES = {
    403: (30.0, "a firewall before the exchange refuses this address"),
    451: (60.0, "the exchange does not serve the region of this address"),
}
TEXT_MAX = 160
DECIMALS_MAX = 100  # Of a price or an amount: no market has more.

# Would log secrets, resend writes, weaken TLS, send elsewhere, or replace what this file decides.
REFUSED_OPTIONS = frozenset(
    {
        *("verbose", "logger", "log", "returnResponseHeaders", "fetchHistoryCacheSize"),
        *("maxRetriesOnFailure", "maxRetriesOnFailureDelay"),
        *("verify", "trust_env", "aiohttp_trust_env", "requests_trust_env"),
        *("session", "own_session", "asyncio_loop", "apiKey", "secret", "password"),
        *("walletAddress", "privateKey"),
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


def _no_word(status: int, headers: Mapping[str, str], answer: object) -> float | None:  # noqa: ARG001
    return None


def _by_key_and_secret(account: VenueAccount) -> Mapping[str, object]:
    return {"apiKey": account.api_key, "secret": account.secret, "password": account.password}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What transport must know of an exchange."""

    options: Mapping[str, object]  # ccxt options for a lean start; the user's own come over them.
    urls: Callable[[Mapping[str, Any]], tuple[str, ...]]  # Picks the addresses in use out of ccxt's urls["api"].
    writes: tuple[PostRule, ...]
    error: Callable[[object], tuple[str, str] | None]  # Code and text, when a parsed answer is an error.
    keys_refused: frozenset[str]  # Codes by which a read says that the keys are not accepted.
    clock_is_off: frozenset[str] = frozenset()  # Codes by which it says that a request was stamped too early or late.
    reads: tuple[PostRule, ...] = ()  # Requests other than GET that change nothing of the account.
    limit: RateLimit | None = None  # None: ccxt's pace is all that is known.
    is_judged_by_ccxt: bool = False  # Error envelopes are ccxt's to know: of exchanges without a file of their own.
    # For how many seconds an answer asks for quiet, by status, headers and body. None: as 429, 418 and Retry-After say.
    quiet_s: Callable[[int, Mapping[str, str], object], float | None] = _no_word
    headers: Mapping[str, str] = field(default_factory=dict)  # Sent with every request, over ccxt's.
    bare_words: frozenset[str] = frozenset()  # JSON strings that are answers, beside objects and lists.
    credentials: Callable[[VenueAccount], Mapping[str, object]] = _by_key_and_secret  # For ccxt's constructor.


def open_client(account: VenueAccount, wire: Wire, gate: Gate | None = None) -> Any:
    """Return a strict ccxt.pro client, behind the gate of another of this account or one of its own.

    Raises ConfigError for options or addresses that a guard must not use.
    """
    refused = [f"accounts.{account.account}.ccxt.{key}: not allowed here" for key in _refused(account.ccxt)]
    if refused:
        raise ConfigError(*refused)
    logging.getLogger("ccxt").setLevel(logging.WARNING)  # At DEBUG it writes every header, keys included.
    options = account.ccxt.get("options")
    user_options: Mapping[str, object] = options if isinstance(options, Mapping) else {}
    for_ccxt = {
        **account.ccxt,
        **wire.credentials(account),
        "enableRateLimit": True,
        "aiohttp_trust_env": False,
        "options": {**wire.options, **user_options, "maxRetriesOnFailure": 0},
    }
    client = _made(account, for_ccxt, user_options)
    client.has["fetchCurrencies"] = False
    if (client.socksProxy or client.wsSocksProxy) and find_spec("aiohttp_socks") is None:
        raise ConfigError(f"accounts.{account.account}.ccxt: a SOCKS proxy needs the package aiohttp_socks")
    client.deadline_s = min(DEADLINE_S, client.timeout / 1000)
    client.ssl_context = _tls()
    client.wire = wire
    client.gate = gate or Gate(account, wire.urls(client.urls["api"]), (*wire.writes, *wire.reads), wire.limit)
    client.shared = account.shared
    client.markets_loaded_s = None
    if client.gate.is_loopback:
        client.timeout_on_exit = 0  # ms. ccxt waits for TLS connections to close; there are none.
    return client


def _made(account: VenueAccount, for_ccxt: Mapping[str, object], options: Mapping[str, object]) -> Any:
    """Return a client of ccxt. Raises ConfigError for a test mode that ccxt has no addresses for, and stumbles over."""
    written = {f"options.{word}": options.get(word) for word in ("enableDemoTrading", "sandbox")}
    asked = [word for word, value in {**written, "sandbox": account.ccxt.get("sandbox")}.items() if value]
    try:
        client = _strict_class(account.exchange)(for_ccxt)
        if options.get("enableDemoTrading"):
            client.enable_demo_trading(True)
    except (KeyError, TypeError):
        if not asked:
            raise
        key = f"accounts.{account.account}.ccxt.{asked[0]}"
        raise ConfigError(f"{key}: ccxt has no addresses of that test mode at {account.exchange}") from None
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


class StrictClient(StreamMessages):
    """Comes before a ccxt class and replaces what sends. Raises VenueUnavailable, NotSent, Answered or KeysRefused."""

    id: str
    wire: Wire
    gate: Gate
    deadline_s: float
    shared: Shared
    markets_loaded_s: float | None  # Loop time. None: not yet.
    markets_since_s = 0.0  # Loop time before which others' are too old: a symbol was missed then.
    _failures = 0  # Connections that failed in a row.
    _retired: aiohttp.ClientSession | None = None  # The session before this one.

    async def load_markets(self, reload: bool = False, params: Mapping[str, object] | None = None) -> Any:
        """Load the markets, or take what another account of this exchange loaded in the last minutes."""
        ccxt: Any = self
        exchange, now_s = (self.id, self.gate.hosts), asyncio.get_running_loop().time()
        found = self.shared.markets(exchange, now_s, self.markets_loaded_s, self.markets_since_s) if reload else None
        if found is not None:
            self.markets_loaded_s, tables = found
            vars(self).update(tables)
            return ccxt.markets
        markets = await super().load_markets(reload, params or {})  # type: ignore[misc]  # ccxt's class comes after.
        self.markets_loaded_s = now_s
        self.shared.keep_markets(exchange, now_s, {name: getattr(self, name) for name in MARKET_TABLES})
        return markets

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
        is_read = self._reads(method, path)
        wait_s = DEADLINE_S if is_read else self.gate.write_wait_s
        pace_s = ccxt.calculate_rate_limiter_cost(api, method, path, params, config) * ccxt.rateLimit / 1000
        what, loop = f"{self.id} {method} {path}", asyncio.get_running_loop()
        asked_s = loop.time()
        place = f"/{path}" if self.wire.limit is None else self.wire.limit.place(f"/{path}", params)
        async with self.gate.turn(what, wait_s=wait_s, pace_s=pace_s, path=place, is_write=not is_read):
            if not is_read and loop.time() - asked_s > wait_s:  # The machine stood still, and the facts grew old.
                raise NotSent(f"{what}: not sent, its turn came {loop.time() - asked_s:.0f} s late")
            request = ccxt.sign(path, api, method, params)  # Here, so that no stamp grows old in the queue.
            return await self.fetch(request["url"], request["method"], request["headers"], request["body"])

    def _reads(self, method: str, path: str) -> bool:
        """Say whether a request only reads, as far as that can be told before it is signed: a write waits less long."""
        return method == "GET" or any(
            method == rule.method and rule.path.endswith(f"/{path}") for rule in self.wire.reads
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
            await self._count_failure()
        else:
            self._failures = 0
            self.gate.note_used(answer_headers)
            self._pause_if_refused(url, status, raw)
            if self.wire.is_judged_by_ccxt:
                self._ask_ccxt(what, status, url, method, raw)
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

    async def _count_failure(self) -> None:
        """After a few failures in a row use a new session: connections, resolver and routes of the old one are suspect.

        The old one is closed one renewal later, for a stream may still live on it.
        """
        self._failures += 1
        if self._failures < FAILURES_TO_RENEW:
            return
        ccxt: Any = self
        self._failures = 0
        retired, self._retired = self._retired, ccxt.session
        ccxt.session = ccxt.tcp_connector = None
        if retired is not None:
            await retired.close()

    async def close(self, *arguments: Any) -> None:
        """Close every session. The name and the arguments are ccxt's."""
        await super().close(*arguments)  # type: ignore[misc]  # ccxt's class comes after this one.
        if self._retired is not None:
            await self._retired.close()

    def _pause_if_refused(self, url: str, status: int, raw: bytes) -> None:
        if status in PAUSES and self.wire.error(parse(raw)) is None:
            self.gate.pause(url, *PAUSES[status])

    def _judge(self, what: str, status: int, headers: Mapping[str, str], raw: bytes, *, reads: bool) -> Any:
        """Return the parsed answer, or raise what it is instead."""
        answer = parse(raw, self.wire.bare_words)
        error = self.wire.error(answer)
        seconds = self.wire.quiet_s(status, headers, answer)
        if seconds is None and status in RETRY_AFTER_UNSAID_S:
            seconds = _retry_after_s(headers.get("Retry-After"), RETRY_AFTER_UNSAID_S[status])
        retry_after = None
        if seconds is not None:
            self.gate.be_quiet(seconds, status)
            retry_after = timedelta(seconds=seconds)
        if error is None and 200 <= status < 300 and answer is not None:
            return answer
        code, text = error or (
            None,
            PAUSES[status][1] if status in PAUSES else "no usable JSON" if answer is None else "",
        )
        code, text = code and clean(code, self.gate.secrets), clean(text, self.gate.secrets)
        message = f"{what}: " + ", ".join(
            part for part in (f"HTTP {status}", f"code {code}" if code else "", text) if part
        )
        if reads and code in self.wire.keys_refused:
            raise KeysRefused(message)
        raise Answered(message, status=status, code=code, retry_after=retry_after)

    def _ask_ccxt(self, what: str, status: int, url: str, method: str, raw: bytes) -> None:
        """Raise KeysRefused or VenueUnavailable where ccxt finds an error in a JSON answer."""
        ccxt: Any = self
        answer = parse(raw)
        if answer is None:
            return
        try:
            ccxt.handle_errors(status, "", url, method, {}, raw.decode(errors="replace"), answer, {}, "")
        except Exception as error:  # noqa: BLE001  # ccxt parses foreign text: what it may raise is not a closed list.
            failure = f"{what}: HTTP {status}, {type(error).__name__}: {clean(str(error), self.gate.secrets)}"
            is_refused = any(kind.__name__ == "AuthenticationError" for kind in type(error).__mro__)
        else:
            return
        raise KeysRefused(failure) if is_refused else VenueUnavailable(failure)

    def parse_precision(self, precision: str | None = None) -> Any:
        """Return ccxt's step for so many decimals. Raises ValueError: it writes out every zero, of a billion too."""
        if precision is not None and abs(int(precision)) > DECIMALS_MAX:
            raise ValueError(f"{precision:.20} decimals")
        return super().parse_precision(precision)  # type: ignore[misc]  # ccxt's class comes after this one.


async def _read_at_most(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            raise ValueError(f"answer is longer than {bytes_max} bytes")
    return bytes(body)


def parse(raw: bytes, bare_words: frozenset[str] = frozenset()) -> Any:
    """Return a JSON object, a list or a listed word, non-integers as text so that no digit is lost; None otherwise."""
    try:
        answer = json.loads(raw, parse_float=str, parse_constant=_not_a_number, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict | list) or (isinstance(answer, str) and answer in bare_words) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object without the keys that stand in it twice and differ: which of both is meant, nobody knows."""
    found = dict(pairs)
    if len(found) < len(pairs):  # By repr: false and 0 are equal, and not the same answer.
        said = [key for key, _ in {(key, repr(value)) for key, value in pairs}]
        found = {key: value for key, value in found.items() if said.count(key) == 1}
    return found


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
