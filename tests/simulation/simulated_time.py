"""Time of a world of our own: nothing waits, nothing is threaded, and the same seed gives the same run.

A `World` holds true time and what will happen outside the daemon. A `VirtualLoop` is the event loop of one process in
it: when nothing is ready it moves the world's time to the next thing that is due. One step is one callback, so that a
process can be killed or stopped between any two awaits.
"""

import asyncio
import hashlib
import heapq
import itertools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta


class ProcessDied(BaseException):
    """Stands in for kill -9 in the middle of a function: nothing of ours runs after it."""


class World:
    """True time, the events outside the daemon, the trace of the run and its first broken invariant."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        self.time_s = 0.0  # True and monotonic.
        self.wall_off = timedelta(0)  # What the machine's wall clock is wrong by.
        self.violations: list[str] = []
        self.lines: list[str] | None = None  # A list: the trace is kept for reading.
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._hash = hashlib.sha256()

    def true_now(self) -> datetime:
        return self.start + timedelta(seconds=self.time_s)

    def wall(self) -> datetime:
        """Return what the machine says the time is."""
        return self.true_now() + self.wall_off

    def steady(self) -> float:
        return self.time_s

    def after(self, wait_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.time_s + wait_s, next(self._numbers), action))

    def advance_to(self, until_s: float) -> None:
        """Move to the next event, run it and stop there; without one move to `until_s`."""
        if self._events and self._events[0][0] <= until_s:
            at_s, _, action = heapq.heappop(self._events)
            self.time_s = max(self.time_s, at_s)
            action()
        else:
            self.time_s = max(self.time_s, until_s)

    def pass_over(self, wait_s: float) -> None:
        """Let time go by with nobody looking: a process is stopped, or dead."""
        until_s = self.time_s + wait_s
        while self.time_s < until_s and not self.violations:
            self.advance_to(until_s)

    def note(self, *facts: object) -> None:
        """Add to the trace. No fact may hold an id that was drawn at random by the daemon."""
        line = f"{self.time_s:10.3f} " + " ".join(map(str, facts))
        self._hash.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    def remark(self, *facts: object) -> None:
        """Say something to the reader of a trace that is not part of it."""
        if self.lines is not None:
            self.lines.append(f"{self.time_s:10.3f}     " + " ".join(map(str, facts)).replace("\n", " | "))

    def violated(self, invariant: str, text: str) -> None:
        self.note("VIOLATED", invariant, text)
        self.violations.append(f"{invariant}: {text} (at {self.time_s:.3f} s)")

    @property
    def trace_hash(self) -> str:
        return self._hash.hexdigest()[:16]


class VirtualLoop(asyncio.BaseEventLoop):
    """The event loop of one simulated process."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.set_exception_handler(self._on_exception)

    def time(self) -> float:
        return self._world.time_s

    def step(self, until_s: float) -> bool:
        """Run one callback, or move time on. False: nothing is scheduled, and nothing ever will be."""
        scheduled, ready, now_s = self._scheduled, self._ready, self._world.time_s
        while scheduled and (scheduled[0]._cancelled or scheduled[0]._when <= now_s):
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                ready.append(handle)
        if ready:
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()
            return True
        if not scheduled:
            return False
        self._world.advance_to(min(until_s, scheduled[0]._when))
        return True

    def abandon(self) -> None:
        """Drop everything that was to be done, as a killed process does."""
        tasks = asyncio.all_tasks(self)
        self._ready.clear()
        self._scheduled.clear()
        for task in tasks:
            task._log_destroy_pending = False
            _close(task.get_coro())

    def _on_exception(self, _loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if not isinstance(context.get("exception"), ProcessDied):
            self._world.violated("no bug", f"the event loop was handed {context}")

    def _write_to_self(self) -> None:
        """Everything runs in one thread: nobody has to be woken."""

    def _process_events(self, event_list: object) -> None:
        """There are no sockets."""


def _close(coroutine: Coroutine[object, object, object]) -> None:
    """Unwind a coroutine of a dead process now; its `finally` blocks find nothing left that they could do."""
    for _ in range(10):
        with suppress(BaseException):  # Whatever its unwinding stumbles over, nobody is there to hear it.
            coroutine.close()
            return
