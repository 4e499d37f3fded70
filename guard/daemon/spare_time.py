"""The part of a cycle that saves nobody: what is gone, and what changed. It ends at once when a rescue is due."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class SpareTime:
    """One account's: begun anew with each cycle, and over when a mark reaches a line of one that is still open."""

    def __init__(self) -> None:
        self._is_over = False
        self._running: asyncio.Timeout | None = None

    @property
    def is_over(self) -> bool:
        return self._is_over

    def begin(self) -> None:
        self._is_over = False

    def end(self) -> None:
        """Cut off what runs in it, and leave none until the next cycle."""
        self._is_over = True
        if self._running is not None:
            self._running.reschedule(asyncio.get_running_loop().time())
            self._running = None  # Rescheduled once: one that ends already takes no other time.

    @asynccontextmanager
    async def until(self, at_s: float) -> AsyncIterator[None]:
        """Let something run until a loop time. Raises TimeoutError when that, or the spare time, is over."""
        if self._is_over or asyncio.get_running_loop().time() >= at_s:
            raise TimeoutError("there was no time for it in this cycle")
        async with asyncio.timeout_at(at_s) as running:
            self._running = running
            try:
                yield
            finally:
                self._running = None
