"""When the markets are read again for what is not among them: a position may be of one that was listed today.

A minute after a read that failed, for on a listing day exchanges are busy; ten minutes after one that did not bring it.
Not with every look: in a crash the list of all markets is the heaviest question there is.
"""

from collections.abc import Set as AbstractSet

AFTER_FAILURE_S = 60.0
AFTER_SUCCESS_S = 600.0


class Search:
    """Which names were missed among some markets, and when these may be read again. Times are the loop's."""

    def __init__(self) -> None:
        self._missed_s: dict[object, float] = {}  # When each was missed first.
        self._due_s = 0.0

    def begins(self, unknown: AbstractSet[object], now_s: float, *, after_failure_s: float = AFTER_FAILURE_S) -> bool:
        """Say whether the markets are to be read now. Until `succeeded` the read counts as one that failed."""
        is_new = not unknown <= self._missed_s.keys()
        if not unknown or (not is_new and now_s < self._due_s):
            return False
        self._missed_s = dict.fromkeys(unknown, now_s) | self._missed_s
        self._due_s = now_s + after_failure_s
        return True

    def missed_s(self, unknown: AbstractSet[object]) -> float:
        """Return since when all of these are missed: markets read before it may be from before their listing."""
        return max(self._missed_s[name] for name in unknown)

    def succeeded(self, now_s: float) -> None:
        self._due_s = now_s + AFTER_SUCCESS_S
