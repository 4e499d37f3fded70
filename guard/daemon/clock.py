"""The daemon's clock: it looks like the wall clock but does not step with it."""

import time
from datetime import UTC, datetime, timedelta


class SteadyClock:
    """Aware UTC that follows the monotonic clock from its anchor on the wall clock.

    Ages and waits stay right when the wall clock steps. The schedule notices a step and then calls `follow_wall`, so
    that written moments are right again from the next cycle on.
    """

    def __init__(self) -> None:
        self.follow_wall()

    def follow_wall(self) -> None:
        """Anchor anew at what the wall clock says now."""
        self._anchor_at = datetime.now(UTC)
        self._anchor_s = time.monotonic()

    def __call__(self) -> datetime:
        return self._anchor_at + timedelta(seconds=time.monotonic() - self._anchor_s)
