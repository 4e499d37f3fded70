"""One HTTP request without a secret in its failures: aiohttp's errors name the url, and our urls hold tokens."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp

from guard.errors import DeliveryFailed

_ANSWER_BYTES_MAX = 65_536  # More than any confirmation needs; a far side that streams for ever is cut off.
_RETRY_AFTER_MAX = timedelta(days=1)  # A longer pause is a mistake of the far side, and would be silence of ours.


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the far side said, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def fields(self) -> Mapping[str, object]:
        """Return the body as a JSON object; empty when it is anything else."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}


class HttpDoor:
    """One lazily opened session: no proxy from the environment, no redirect, no cookie, one deadline per request."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, url: str, *, who: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer. Raises DeliveryFailed without cause or context, since both would name the url."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return Answer(status=response.status, headers=response.headers, body=await _read(response))
        except TimeoutError:
            failure = f"{who}: no answer within {self._timeout.total:g} s"
        except (aiohttp.ClientError, OSError) as error:
            failure = f"{who}: no connection ({type(error).__name__})"
        raise DeliveryFailed(failure)  # Outside the except block: there is no context that could print the url.

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(8_192):
        parts.append(chunk)
        size += len(chunk)
        if size >= _ANSWER_BYTES_MAX:
            break
    return b"".join(parts)


def wait_of(seconds: object) -> timedelta | None:
    """Return a pause that was asked for in seconds, at most a day. None: not a number, or not after now."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not seconds > 0:
        return None
    return timedelta(seconds=min(seconds, _RETRY_AFTER_MAX.total_seconds()))


def retry_after(headers: Mapping[str, str], *, now: Callable[[], datetime]) -> timedelta | None:
    """Return the pause of a Retry-After header, which holds seconds or an HTTP date. None: none, or unreadable."""
    written = headers.get("Retry-After", "").strip()
    if written.isascii() and written.isdigit():
        return wait_of(min(int(written[:12]), 10**9))
    try:
        at = parsedate_to_datetime(written)
    except ValueError:
        return None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return wait_of((aware - now()).total_seconds())
