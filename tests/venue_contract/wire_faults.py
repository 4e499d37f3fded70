"""What may go wrong between an exchange and us, in words that hold for every exchange."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiohttp import web

PAGE = "<!DOCTYPE html><html><body>Just a moment...</body></html>"


class Fate(Enum):
    """What becomes of a request and of its answer."""

    DONE = "done"
    LOST_BEFORE = "connection cut, nothing was done"
    LOST_AFTER = "connection cut, it was done"
    LATE = "connection cut, it is done when the server says so"
    HTML_200 = "a web page with status 200"
    EMPTY_200 = "status 200 and no body"
    NULL_200 = "status 200 and null"
    BARE_200 = "status 200 and an object with nothing in it"
    TRUNCATED = "half of the answer, then the end"
    HTTP_500 = "status 500"
    HTTP_502_HTML = "status 502 and a web page"
    RATE_LIMITED = "too many requests"
    UNKNOWN_CODE = "an error code that nobody ever saw"


# A write that meets these is not carried out. All others are, and their answers do not say so.
NOT_DONE = frozenset({Fate.LOST_BEFORE, Fate.RATE_LIMITED, Fate.UNKNOWN_CODE})
OF_READS = tuple(fate for fate in Fate if fate not in {Fate.DONE, Fate.LATE, Fate.LOST_AFTER})
# Of a write: all that prove neither yes nor no.
UNCLEAR = tuple(fate for fate in Fate if fate not in {Fate.DONE, Fate.RATE_LIMITED})


class WireRefusal(Exception):  # Named by what happened.
    """An error of the exchange in its own envelope."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = headers


class Cut(Exception):  # Named by what happened.
    """The connection ends here. `said` is what was sent of an answer of `length` bytes."""

    def __init__(self, said: bytes = b"", length: int = 0) -> None:
        super().__init__()
        self.said = said
        self.length = length


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it arrived. Query and body are raw too, for they are what was signed."""

    method: str
    path: str
    query: str
    body: str
    headers: Any
    params: dict[str, Any] = field(default_factory=dict)  # Query, form body and JSON body together.


BODIES = {  # Status, body, type.
    Fate.HTML_200: (200, PAGE, "text/html"),
    Fate.EMPTY_200: (200, "", "application/json"),
    Fate.NULL_200: (200, "null", "application/json"),
    Fate.BARE_200: (200, "{}", "application/json"),
    Fate.HTTP_500: (500, "{}", "application/json"),
    Fate.HTTP_502_HTML: (502, PAGE, "text/html"),
}


def spoiled(how: Fate, honest: Callable[[], Any], *, limit: WireRefusal, strange: WireRefusal) -> web.Response:
    """Return what `how` makes of an answer. `honest` carries the request out. Raises Cut."""
    if how in {Fate.LOST_BEFORE, Fate.LATE}:
        raise Cut
    if how in {Fate.RATE_LIMITED, Fate.UNKNOWN_CODE}:
        return refused(limit if how is Fate.RATE_LIMITED else strange)
    body = json.dumps(honest()).encode()
    if how is Fate.LOST_AFTER:
        raise Cut
    if how is Fate.TRUNCATED:
        raise Cut(body[: len(body) // 2], len(body))
    status, text, kind = BODIES[how]
    return web.Response(status=status, text=text, content_type=kind)


def refused(refusal: WireRefusal) -> web.Response:
    return web.json_response(refusal.body, status=refusal.status, headers=refusal.headers)


async def cut(request: web.Request, how: Cut) -> web.StreamResponse:
    """End the connection, in the middle of an answer when one was begun."""
    response = web.StreamResponse()
    if how.length:
        response.content_length = how.length
        response.content_type = "application/json"
        await response.prepare(request)
        await response.write(how.said)
        await asyncio.sleep(0)
    if request.transport is not None:
        request.transport.close()
    return response
