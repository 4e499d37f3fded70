"""What each fault makes of a request: answers that never come, come late, come cut or come wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from guard.demo.exchange.faults import Fault, FaultKind, Strike
from guard.demo.exchange.wire import Reply, Visit, refusal

STAMPS = frozenset({"timestamp", "recvWindow"})  # They differ between requests for the same thing.


class Dropped(Exception):  # No error: it is what the fault is for.
    """The connection is to be closed now; `said` has been sent of an answer of `length` bytes."""

    def __init__(self, said: bytes = b"", length: int = 0) -> None:
        super().__init__()
        self.said = said
        self.length = length


async def struck(visit: Visit, strike: Strike) -> web.Response:
    """Return what the fault answers. Raises Dropped."""
    return await _STRIKES[strike.fault.kind](visit, strike)


def honest(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, content_type="application/json")


async def _reject(visit: Visit, strike: Strike) -> web.Response:
    visit.leave_undone()
    return honest(refusal(strike.fault.status, strike.fault.code, strike.fault.message))


async def _lose_before(visit: Visit, strike: Strike) -> web.Response:
    visit.leave_undone()
    await asyncio.sleep(strike.fault.seconds)
    raise Dropped


async def _lose_after(visit: Visit, strike: Strike) -> web.Response:
    visit.carry_out()
    await asyncio.sleep(strike.fault.seconds)
    raise Dropped


async def _slow(visit: Visit, strike: Strike) -> web.Response:
    await asyncio.sleep(strike.fault.seconds)
    return honest(visit.carry_out())


async def _apply_late(visit: Visit, strike: Strike) -> web.Response:
    asyncio.get_running_loop().call_later(strike.fault.seconds, visit.carry_out)
    raise Dropped


async def _answer(visit: Visit, strike: Strike) -> web.Response:
    fault = strike.fault
    if fault.applied:
        visit.carry_out()
    else:
        visit.leave_undone()
    headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
    body = fault.body.encode()
    return web.Response(status=fault.status, body=body, content_type=fault.content_type, headers=headers)


async def _truncated(visit: Visit, _: Strike) -> web.Response:
    body = visit.carry_out().body
    raise Dropped(body[: len(body) // 2], len(body))


async def _frozen(visit: Visit, strike: Strike) -> web.Response:
    fields = {name: value for name, value in visit.incoming.fields().items() if name not in STAMPS}
    key = f"{visit.incoming.api_key} {visit.incoming.path} {sorted(fields.items())}"
    reply = visit.carry_out()
    if reply.code != 200:
        return honest(reply)
    return honest(Reply(status=200, body=strike.kept.setdefault(key, reply.body), code=200))


async def _empty_list(visit: Visit, _: Strike) -> web.Response:
    visit.carry_out()
    return honest(Reply(status=200, body=b"[]", code=200))


async def _broken_row(visit: Visit, strike: Strike) -> web.Response:
    reply = visit.carry_out()
    answer = orjson.loads(reply.body)
    return honest(Reply(status=reply.status, body=orjson.dumps(_break(answer, strike.fault)), code=reply.code))


def _break(answer: Any, fault: Fault) -> Any:
    rows = answer if isinstance(answer, list) else answer.get("positions", [answer])
    if fault.row < len(rows):
        if fault.value is None:
            rows[fault.row].pop(fault.name, None)
        else:
            rows[fault.row][fault.name] = fault.value
    return answer


_STRIKES: Mapping[FaultKind, Callable[[Visit, Strike], Awaitable[web.Response]]] = {
    FaultKind.REJECT: _reject,
    FaultKind.LOSE_BEFORE: _lose_before,
    FaultKind.LOSE_AFTER: _lose_after,
    FaultKind.HANG: _lose_before,
    FaultKind.SLOW: _slow,
    FaultKind.APPLY_LATE: _apply_late,
    FaultKind.ANSWER: _answer,
    FaultKind.TRUNCATED: _truncated,
    FaultKind.FROZEN: _frozen,
    FaultKind.EMPTY_LIST: _empty_list,
    FaultKind.BROKEN_ROW: _broken_row,
}
