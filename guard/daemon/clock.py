"""The daemon's clock: it looks like the wall clock but does not step with it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def wall_clock() -> datetime:
    """Return what this machine says the time is, aware UTC."""
    return datetime.now(UTC)


class SteadyClock:
    """Aware UTC that follows the monotonic clock from its anchor on the wall clock.

    Ages and waits stay right when the wall clock steps. The schedule notices a step and then calls `follow_wall`, so
    that written moments are right again from the next cycle on.
    """

    def __init__(
        self, *, wall: Callable[[], datetime] = wall_clock, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._steady = steady
        self.follow_wall()

    def follow_wall(self) -> None:
        """Anchor anew at what the wall clock says now."""
        self._anchor_at = self._wall()
        self._anchor_s = self._steady()

    def __call__(self) -> datetime:
        return self._anchor_at + timedelta(seconds=self._steady() - self._anchor_s)
