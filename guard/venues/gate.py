"""What may leave for an exchange: listed requests to hosts fixed at start, one at a time, none in a ban."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl

import yarl

from guard.errors import ConfigError, VenueUnavailable
from guard.venues.protocol import VenueAccount
from guard.venues.shared import Need, RateLimit, present_need

WRITE_WAIT_S = 0.5  # What is written rests on facts that grow old.
BURST_S = 1.0  # So much of the pace may be saved up: a re-read and the write after it do not wait.


class NotSent(VenueUnavailable):
    """The request never left this process, so it changed nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRule:
    """A request other than GET that may leave: to this path and no other, with these fields as they are said here.

    The path is the exchange's own, whole; `{name}` in it is one part. Fields are those of the query, and of a form or
    JSON body; one inside another is written `action.type`.
    """

    method: str
    path: str
    fields: Mapping[str, str]
    positive: tuple[str, ...] = ()  # Fields that must be numbers above zero: with a minus they would take money away.
    one_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # Fields that must have one of these values.
    parts: Mapping[str, str] = field(default_factory=dict)  # What may stand in each `{name}` of the path: a pattern.

    def leads_to(self, path: str) -> bool:
        """Say whether a path, as it goes over the wire, is this one."""
        texts = re.split(r"\{(\w+)\}", self.path)  # Every other one is a name.
        pattern = "".join(f"(?:{self.parts[one]})" if at % 2 else re.escape(one) for at, one in enumerate(texts))
        return re.fullmatch(pattern, path) is not None

    def begins_with(self, address: str) -> bool:
        """Say whether the path goes on where an address ends: only then can the request be made of it."""
        return self.path.startswith(yarl.URL(address).raw_path.rstrip("/") + "/")


class Gate:
    """Decides whether a request may leave now. Origins and writes are fixed when it is made."""

    def __init__(
        self,
        account: VenueAccount,
        urls: tuple[str, ...],
        posts: tuple[PostRule, ...],
        limit: RateLimit | None = None,
    ) -> None:
        origins = {yarl.URL(url).origin() for url in urls}
        plain = [o for o in origins if o.scheme not in {"https", "wss"} and not is_loopback(o.host or "")]
        if plain:
            raise ConfigError(*(f"accounts.{account.account}: {o}: plain http is for loopback only" for o in plain))
        asked = [url for url in urls if yarl.URL(url).scheme in {"https", "http"}]
        lost = [rule for rule in posts if not any(rule.begins_with(url) for url in asked)]
        if lost:  # Said now, and not when the write is needed.
            where = f"accounts.{account.account}.ccxt.urls: no address leads to"
            raise ConfigError(*(f"{where} {rule.method} {rule.path}" for rule in lost))
        self.origins = frozenset(origins)
        self.secrets = tuple(value for value in (account.api_key, account.secret, account.password) if value)
        self.is_loopback = all(is_loopback(origin.host or "") for origin in origins)
        self.write_wait_s = WRITE_WAIT_S  # A write that waits longer is not sent: a venue's fence counts on it.
        self._posts = posts
        self._one_at_a_time = asyncio.Lock()
        self._quiet_until = 0.0  # Event loop time.
        self._pauses: dict[yarl.URL, tuple[float, str]] = {}  # By origin: until when (event loop time), and why.
        self._free_at = 0.0  # Event loop time at which the pace allows the next request.
        # A loopback exchange is our own: it has no address to share.
        self.budget = None if limit is None or self.is_loopback else account.shared.budget(self.hosts, limit)

    @property
    def hosts(self) -> tuple[str, ...]:
        named = ((origin.host or "", origin.explicit_port) for origin in self.origins)
        return tuple(sorted({f"{host}:{port}" if port else host for host, port in named}))

    @asynccontextmanager
    async def turn(
        self, what: str, *, wait_s: float, pace_s: float, path: str = "", is_write: bool = False
    ) -> AsyncIterator[None]:
        """Hold the line for one request.

        Raises NotSent when its turn, by line, pace and the address's budget, does not come in `wait_s`.
        """
        until, need = asyncio.get_running_loop().time() + wait_s, Need.RESCUE if is_write else present_need()
        while True:
            left_s = await self._hold_line(what, path, until, wait_s=wait_s, pace_s=pace_s, need=need)
            if left_s <= 0:
                break
            await asyncio.sleep(left_s)  # Off the line: who needs it more may go first.
        try:
            yield
        finally:
            self._one_at_a_time.release()

    async def _hold_line(
        self, what: str, path: str, until: float, *, wait_s: float, pace_s: float, need: Need
    ) -> float:
        """Return 0 with the line held, the pace kept and the weight taken; else how long the weight is not there."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until):
                await self._one_at_a_time.acquire()
        except TimeoutError:
            raise NotSent(f"{what}: not sent, an earlier request held the line for {wait_s:g} s") from None
        left_s = math.inf
        try:
            self._free_at = max(self._free_at, loop.time() - BURST_S)
            if self._free_at > until:
                raise NotSent(f"{what}: not sent, the pace of requests allows it only in more than {wait_s:g} s")
            await asyncio.sleep(max(0.0, self._free_at - loop.time()))
            left_s = self._take_weight(what, path, until, need)
            if left_s <= 0:
                self._free_at += pace_s
        finally:
            if left_s > 0:
                self._one_at_a_time.release()
        return left_s

    def _take_weight(self, what: str, path: str, until: float, need: Need) -> float:
        """Take a request's weight and return 0, or how long it is not there. Raises NotSent where that is too long."""
        if self.budget is None:
            return 0.0
        now_s = asyncio.get_running_loop().time()
        weight = self.budget.limit.weight_of(path)
        left_s = self.budget.wait_s(weight, now_s, need)
        if left_s <= 0:
            self.budget.take(weight, now_s)
            return 0.0
        if now_s + left_s > until:
            used, most = self.budget.used(now_s), self.budget.limit.weight_max
            raise NotSent(f"{what}: not sent, {used} of {most} of the weight that this address may use is used")
        return left_s

    def note_used(self, headers: Mapping[str, str]) -> None:
        """Take over the exchange's own count of what this address used, where it states one."""
        name = None if self.budget is None else self.budget.limit.used_header
        said = headers.get(name, "") if name else ""
        if self.budget is not None and said.isascii() and said.isdigit():
            self.budget.note_used(int(said), asyncio.get_running_loop().time())

    def check_host(self, url: str, what: str) -> None:
        """Raise NotSent for a host that was not fixed at start."""
        origin = yarl.URL(url).origin()
        if origin not in self.origins:
            raise NotSent(f"{what}: not sent, {origin} is not a host of this account")

    def check(self, method: str, url: str, body: str | None, what: str) -> None:
        """Raise NotSent unless this request may leave now."""
        self.check_host(url, what)
        if method != "GET" and not any(_allows(rule, method, url, body) for rule in self._posts):
            raise NotSent(f"{what}: not sent, this write is not on the list")
        of_address = 0.0 if self.budget is None else self.budget.quiet_until_s
        left = max(self._quiet_until, of_address) - asyncio.get_running_loop().time()
        if left > 0:
            raise NotSent(
                f"{what}: not sent, the exchange asked for quiet for another {left:.0f} s",
                retry_after=timedelta(seconds=left),
            )

        paused_until, why = self._pauses.get(yarl.URL(url).origin(), (0.0, ""))
        if (left := paused_until - asyncio.get_running_loop().time()) > 0:
            raise NotSent(f"{what}: not sent, {why}; asked again in {left:.0f} s")

    def pause(self, url: str, seconds: float, why: str) -> None:
        """Leave one origin alone for so long, of our own accord: asking it again at once would only make it worse."""
        self._pauses[yarl.URL(url).origin()] = (asyncio.get_running_loop().time() + seconds, why)

    def be_quiet(self, seconds: float, status: int | None = None) -> None:
        """Send nothing for so long; nor let another account at this address, where the status asks that of all."""
        until = asyncio.get_running_loop().time() + seconds
        self._quiet_until = max(self._quiet_until, until)
        if self.budget is not None and status in self.budget.limit.quiet_statuses:
            self.budget.quiet_until_s = max(self.budget.quiet_until_s, until)


def _allows(rule: PostRule, method: str, url: str, body: str | None) -> bool:
    if method != rule.method or not rule.leads_to(yarl.URL(url, encoded=True).raw_path):
        return False
    fields = _fields(url, body)
    wanted = {name: (value,) for name, value in rule.fields.items()} | dict(rule.one_of)
    said = {name: [value for key, value in fields if key == name] for name in (*wanted, *rule.positive)}
    return (
        all(len(values) == 1 for values in said.values())
        and all(said[name][0] in values for name, values in wanted.items())
        and all(_is_positive(said[name][0]) for name in rule.positive)
    )


def _fields(url: str, body: str | None) -> list[tuple[str, str]]:
    """Return every field of a request, twice what stands in it twice. A body that is neither form nor JSON has none."""
    fields = parse_qsl(yarl.URL(url, encoded=True).raw_query_string, keep_blank_values=True)
    if body and body.lstrip()[:1] in {"{", "["}:
        with suppress(ValueError, RecursionError):
            fields += _flat(json.loads(body, object_pairs_hook=_Pairs, parse_float=str, parse_int=str), "")
        return fields
    return fields + parse_qsl(body or "", keep_blank_values=True)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all of its keys, so that one that stands in it twice is seen."""


def _flat(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, _Pairs):
        for key, inner in value:
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _is_positive(text: str) -> bool:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return False
    return number.is_finite() and number > 0


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
