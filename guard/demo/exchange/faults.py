"""Everything that an exchange does wrong, switchable: which requests it meets, when, how often, and what happens.

A fault is chosen by key, method and path, skips its first `after` requests and strikes `times` times. The first that
matches strikes; at most one per request. Those named CONDITIONS are no answers: they hold while they are switched on.

aiohttp, and so ccxt, asks again at once when a GET on a kept connection is dropped: a lost read must strike twice.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import count


class FaultKind(StrEnum):
    REJECT = "reject"  # Refused with `status`, `code` and `message`; nothing is done.
    LOSE_BEFORE = "lose_before"  # The connection is dropped and nothing is done.
    LOSE_AFTER = "lose_after"  # Done, then the connection is dropped.
    HANG = "hang"  # Silence for `seconds`, then the connection is dropped and nothing is done.
    SLOW = "slow"  # Silence for `seconds`, then done and answered.
    APPLY_LATE = "apply_late"  # The connection is dropped at once; done after `seconds`.
    ANSWER = "answer"  # `status`, `body`, `content_type`, Retry-After; done first if `applied`.
    TRUNCATED = "truncated"  # Done; half of the answer arrives, then the connection is dropped.
    FROZEN = "frozen"  # The first answer is kept and given again, whatever happens meanwhile.
    EMPTY_LIST = "empty_list"  # Done; the answer is [].
    BROKEN_ROW = "broken_row"  # Done; in row `row` of the answer `name` is `value`, or missing when that is None.
    WITHDRAWN_SCOPES = "withdrawn_scopes"  # Condition: the key may look but no longer trade.
    CLOCK_SKEW = "clock_skew"  # Condition: the exchange's clock is `seconds` ahead (negative: behind).
    STREAM_SILENT = "stream_silent"  # Condition: stream connections stay open and say nothing.
    STREAM_DROPPED = "stream_dropped"  # Condition: stream connections are closed and no new one is accepted.


CONDITIONS = frozenset(
    {FaultKind.WITHDRAWN_SCOPES, FaultKind.CLOCK_SKEW, FaultKind.STREAM_SILENT, FaultKind.STREAM_DROPPED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing to go wrong. Which fields count depends on the kind."""

    kind: FaultKind
    api_key: str | None = None  # None: any key, and requests without one.
    method: str | None = None
    path: str | None = None  # How the path ends: "/positionRisk".
    times: int | None = None  # How often it strikes. None: until it is cleared.
    after: int = 0  # So many matching requests are spared first.
    seconds: float = 0.0
    status: int = 400
    code: int = -1000
    message: str = "An unknown error occurred while processing the request."
    body: str = ""
    content_type: str = "application/json"
    retry_after_s: int | None = None
    applied: bool = False
    row: int = 0
    name: str = "markPrice"
    value: str | None = "NaN"


def too_many_requests(*, retry_after_s: int = 1, api_key: str | None = None, times: int | None = 1) -> Fault:
    """Answer HTTP 429 with Retry-After."""
    text = '{"code":-1003,"msg":"Too many requests; please use the websocket for live updates."}'
    return Fault(
        kind=FaultKind.ANSWER, status=429, body=text, retry_after_s=retry_after_s, api_key=api_key, times=times
    )


def banned(*, retry_after_s: int = 120, api_key: str | None = None, times: int | None = 1) -> Fault:
    """Answer HTTP 418 with Retry-After."""
    text = '{"code":-1003,"msg":"Way too many requests; IP banned."}'
    return Fault(
        kind=FaultKind.ANSWER, status=418, body=text, retry_after_s=retry_after_s, api_key=api_key, times=times
    )


def html_page(*, path: str | None = None, applied: bool = False, times: int | None = 1, status: int = 200) -> Fault:
    """Give a page for people where JSON is expected."""
    page = "<html><head><title>Just a moment...</title></head><body></body></html>"
    return Fault(
        kind=FaultKind.ANSWER,
        status=status,
        body=page,
        content_type="text/html",
        path=path,
        applied=applied,
        times=times,
    )


@dataclass(slots=True)
class _Switched:
    """A fault that is on, and what it did so far."""

    fault: Fault
    seen: int = 0
    struck: int = 0
    kept: dict[str, bytes] = field(default_factory=dict)

    def is_spent(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A fault that meets this request. `kept` is where a FROZEN one keeps its answers."""

    fault: Fault
    kept: dict[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultState:
    """What is told of a fault that was switched on."""

    id: int
    fault: Fault
    struck: int


class Faults:
    """The switches. Ids are given in order of adding."""

    def __init__(self) -> None:
        self._switched: dict[int, _Switched] = {}
        self._ids = count(1)

    def add(self, fault: Fault) -> int:
        """Switch a fault on and return its id."""
        number = next(self._ids)
        self._switched[number] = _Switched(fault)
        return number

    def clear(self, number: int | None = None) -> None:
        """Switch one fault off, or all of them."""
        if number is None:
            self._switched.clear()
        else:
            self._switched.pop(number, None)

    def states(self) -> list[FaultState]:
        return [FaultState(id=number, fault=one.fault, struck=one.struck) for number, one in self._switched.items()]

    def strike(self, api_key: str | None, method: str, path: str) -> Strike | None:
        """Return what strikes this request, and count it."""
        for one in self._switched.values():
            if one.fault.kind in CONDITIONS or one.is_spent() or not _matches(one.fault, api_key, method, path):
                continue
            one.seen += 1
            if one.seen > one.fault.after:
                one.struck += 1
                return Strike(fault=one.fault, kept=one.kept)
        return None

    def holds(self, kind: FaultKind, api_key: str | None = None) -> bool:
        """Say whether a condition is on, for this key."""
        return any(fault.api_key in {None, api_key} for fault in self._conditions(kind))

    def clock_skew(self) -> timedelta:
        return timedelta(seconds=sum(fault.seconds for fault in self._conditions(FaultKind.CLOCK_SKEW)))

    def _conditions(self, kind: FaultKind) -> list[Fault]:
        return [one.fault for one in self._switched.values() if one.fault.kind is kind]


def _matches(fault: Fault, api_key: str | None, method: str, path: str) -> bool:
    return (
        fault.api_key in {None, api_key}
        and fault.method in {None, method}
        and (fault.path is None or path.endswith(fault.path))
    )
