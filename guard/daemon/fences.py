"""When a lost answer stops locking its position: after its fence, and two fresh reads later (law 10).

After the fence the request can no longer be executed. The exchange's history then says how it ended, mostly at the
first look. Where it does not answer, the position must not stay without help for as long: what two fresh reads show
is all there will be, so a new act may be judged on it, with the old one counted as spent.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog

from guard.journal import Intent, Journal

log = structlog.get_logger(__name__)

READS_TO_UNLOCK = 2
LOOK_AFTER_FENCE = timedelta(milliseconds=300)  # So that the exchange's clock has passed it, too.
SECOND_READ_AFTER = timedelta(seconds=1)


class Fences:
    """The locks of one account's open intents."""

    def __init__(self, journal: Journal, account: str, fence: timedelta) -> None:
        self._journal = journal
        self._account = account
        self._fence = fence
        self._reads: dict[str, int] = {}  # By intent: fresh reads that began after its fence.

    def passed(self) -> tuple[Intent, ...]:
        """Return the intents that lock although their fence is over, by a clock of this process that nobody sets."""
        return tuple(intent for intent in self._locking() if self._left(intent) <= timedelta(0))

    def count_read(self, passed: Iterable[Intent], at: datetime) -> None:
        """Count a complete fresh read that began after these fences; open a lock after two. Raises JournalError."""
        locking = {intent.intent_id for intent in self._locking()}
        for intent in passed:
            reads = self._reads.get(intent.intent_id, 0) + 1
            self._reads[intent.intent_id] = reads
            if reads >= READS_TO_UNLOCK and intent.intent_id in locking:
                self._journal.unlock(intent.intent_id, at)
                log.warning("intent.unlocked", intent=intent.intent_id, state=intent.state.value, reads=reads)
        self._reads = {intent_id: reads for intent_id, reads in self._reads.items() if intent_id in locking}

    def next_look(self) -> timedelta | None:
        """Return how soon to look again on behalf of a locked position. None: no lock asks for it."""
        waits: list[timedelta] = []
        for intent in self._locking():
            left = self._left(intent)
            if left > timedelta(0):
                waits.append(left + LOOK_AFTER_FENCE)
            elif self._reads.get(intent.intent_id):
                waits.append(SECOND_READ_AFTER)
        return min(waits, default=None)

    def _locking(self) -> tuple[Intent, ...]:
        return tuple(intent for intent in self._journal.open_intents(self._account) if intent.locks)

    def _left(self, intent: Intent) -> timedelta:
        return self._fence - self._journal.waited(intent.intent_id, asyncio.get_running_loop().time())
