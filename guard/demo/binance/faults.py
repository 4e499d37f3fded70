"""Faults that can be switched on: what real exchanges, proxies and networks have been seen doing."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """What happens to a request instead of its answer."""

    REJECT = "reject"  # The exchange's own error: `code`, `message`, `status`.
    LOST_BEFORE = "lost_before"  # Connection closed; nothing was applied.
    LOST_AFTER = "lost_after"  # Applied, then the connection is closed.
    LATE = "late"  # Connection closed at once; applied `seconds` later.
    HANG = "hang"  # No answer for `seconds`, then the true one.
    RATE_LIMIT = "rate_limit"  # HTTP 429 with Retry-After `seconds`; 418 by `status`.
    BODY = "body"  # HTTP `status` with `body`, as it is: HTML, nothing, null, {}.
    TRUNCATED = "truncated"  # The true answer, cut in the middle.
    STALE = "stale"  # The answer that this path gave when the fault was switched on.
    EMPTY = "empty"  # An empty list.
    BROKEN_ROW = "broken_row"  # `field_name` of the first row becomes `value`; value None takes it away.


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault. It hits requests of `path` (its end; empty: all) and `api_key` (empty: all)."""

    kind: FaultKind
    path: str = ""
    method: str = ""
    api_key: str = ""
    after: int = 0  # Lets so many matching requests through first.
    times: int | None = None  # Then hits so many. None: until it is cleared.
    status: int = 400
    code: int = -1000
    message: str = "a fault of the demo"
    body: str = ""
    seconds: float = 0.0
    field_name: str = ""
    value: str | None = None
    remembered: dict[str, Any] = field(default_factory=dict)  # STALE: by path and query.

    def matches(self, method: str, path: str, api_key: str) -> bool:
        return (
            path.endswith(self.path)
            and self.method in {"", method}
            and self.api_key in {"", api_key}
            and not path.startswith("/demo/")
        )


class Faults:
    """The faults that are on, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        self._faults.clear()

    def hit(self, method: str, path: str, api_key: str) -> Fault | None:
        """Return the fault that hits a request, and count it. None: it is answered truly."""
        for fault in self._faults:
            if not fault.matches(method, path, api_key):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.times is not None:
                if fault.times == 0:
                    continue
                fault.times -= 1
            return fault
        return None
