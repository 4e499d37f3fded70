"""Positions that became smaller: whether the exchange took that part by force, as its records say, told once.

Beside the cycle, one question at a time: who reduces his position in every minute must not use up the requests of all.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from guard.daemon.endings import CLOCK_SLACK, LOOK_BACK, TRY_FOR_S
from guard.daemon.tell import Teller, new_id
from guard.errors import JournalError, KeysRefused, VenueUnavailable
from guard.journal.records import WAS_CUT
from guard.notify.cut_texts import cut_message
from guard.policy.decision import Decision
from guard.snapshot import EndKind, PositionEnding, PositionKey
from guard.venues.protocol import Venue

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=10)
SAME_AGAIN_S = 60.0  # A forced sale in many steps is one message a minute.
WITHIN_S = 3.0
FORCED = frozenset({EndKind.LIQUIDATED, EndKind.DELEVERAGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    quantity: Decimal  # Contracts.
    listed_at: datetime
    first_listed_at: datetime  # What was forced before that was of another one.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Smaller:
    """A position whose size fell, or whose past nobody watched: to be asked about."""

    since: datetime
    before: Decimal | None  # Contracts. None: not known.
    until_s: float  # Loop time: so long is asked.


class Cuts:
    """Holds the sizes of one account's positions from read to read."""

    def __init__(self, venue: Venue, teller: Teller, now: Callable[[], datetime]) -> None:
        self._venue = venue
        self._teller = teller
        self._now = now
        self._held: dict[PositionKey, _Held] | None = None  # None: nothing was read yet.
        self._smaller: dict[PositionKey, _Smaller] = {}
        self._asked_s: dict[PositionKey, float] = {}

    def note(self, decision: Decision, ended: Iterable[PositionKey]) -> None:
        """Take up what a cycle read, and what it proved gone. Raises JournalError."""
        for key in ended:
            self._smaller.pop(key, None)
            if self._held is not None:
                self._held.pop(key, None)
        if decision.assessment is None:
            return
        at = decision.assessment.snapshot.positions_read_at
        quantities = {one.key: one.figures.position.quantity for one in decision.positions}
        if self._held is None:
            self._take_up(quantities, at)
            return
        for key, quantity in quantities.items():
            last = self._held.get(key)
            if last is not None and quantity < last.quantity:
                self._note_smaller(key, last)
            first_at = at if last is None else last.first_listed_at
            self._held[key] = _Held(quantity=quantity, listed_at=at, first_listed_at=first_at)

    def _take_up(self, quantities: dict[PositionKey, Decimal], at: datetime) -> None:
        """Begin; of what was open before this process, the time in which none may have watched is asked about."""
        lives = self._teller.journal.open_lives(self._venue.account)
        self._held = {}
        for key, quantity in quantities.items():
            since = lives[key].first_seen_at if key in lives else at
            self._held[key] = _Held(quantity=quantity, listed_at=at, first_listed_at=since)
            if since < at:
                until_s = asyncio.get_running_loop().time() + TRY_FOR_S
                self._smaller[key] = _Smaller(since=max(since, at - LOOK_BACK), before=None, until_s=until_s)

    def _note_smaller(self, key: PositionKey, last: _Held) -> None:
        known = self._smaller.get(key)
        since = max(last.listed_at - CLOCK_SLACK, last.first_listed_at)
        self._smaller[key] = _Smaller(
            since=since if known is None else min(since, known.since),
            before=last.quantity if known is None else known.before,
            until_s=asyncio.get_running_loop().time() + TRY_FOR_S,
        )

    async def look(self) -> timedelta:
        """Ask about one position, and tell what the exchange took of it; return the wait until the next time."""
        now_s = asyncio.get_running_loop().time()
        due = [key for key in self._smaller if now_s - self._asked_s.get(key, -math.inf) >= SAME_AGAIN_S]
        if due:
            key = min(due, key=lambda one: self._asked_s.get(one, -math.inf))
            self._asked_s[key] = now_s
            try:
                await self._look_at(key, self._smaller[key])
            except JournalError as error:
                log.critical("journal.failed", account=self._venue.account, reason=str(error))
        return LOOK_EVERY

    async def look_at_all(self) -> None:
        """Ask about each position once, one after the other."""
        for _ in range(len(self._smaller)):
            await self.look()

    async def _look_at(self, key: PositionKey, one: _Smaller) -> None:
        told_at = self._told_at(key)
        skew = self._venue.skew or timedelta(0)
        since = one.since if told_at is None else max(one.since, told_at - skew + timedelta(milliseconds=1))
        try:
            async with asyncio.timeout(WITHIN_S):
                cut = await self._venue.ending(key, since)
        except (TimeoutError, VenueUnavailable, KeysRefused) as error:
            cut = PositionEnding(kind=EndKind.UNKNOWN, evidence=f"nothing: {error}")
        # Some venues look back a little further, so that what is told may be told again, or be another position's.
        is_new = cut.at is not None and cut.at >= since + skew and (told_at is None or cut.at > told_at)
        held = None if self._held is None else self._held.get(key)
        if cut.kind in FORCED and is_new and held is not None and key in self._smaller:
            self._tell(key, cut, one.before, held.quantity)
        is_over = asyncio.get_running_loop().time() >= one.until_s
        # What became smaller still in the meantime is asked about again.
        if (cut.kind is not EndKind.UNKNOWN or is_over) and self._smaller.get(key) is one:
            del self._smaller[key]

    def _told_at(self, key: PositionKey) -> datetime | None:
        """Return the exchange's time of what was told last of this position. None: nothing was."""
        event = self._teller.journal.last_event(self._venue.account, WAS_CUT, str(key))
        return None if event is None or event.data is None else datetime.fromisoformat(event.data)

    def _tell(self, key: PositionKey, cut: PositionEnding, before: Decimal | None, quantity: Decimal) -> None:
        assert cut.at is not None
        account, now, other = self._venue.account, self._now(), key.opposite
        message = cut_message(
            key,
            cut,
            account=account,
            before=before,
            quantity=quantity,
            beside=other if self._held is not None and other in self._held else None,
            now=now,
            new_id=new_id,
        )
        self._teller.tell(message)
        text = f"{cut.kind.value} in part: {cut.evidence}"
        self._teller.journal.event(now, account, WAS_CUT, str(key), text, cut.at.isoformat())
        log.warning("position.cut", account=account, position=str(key), how=cut.kind.value)

    def follow_clock(self, step: timedelta) -> None:
        """Date what was seen by a clock that was set back. One set forth may be a pause, in which nobody watched."""
        step = min(step, timedelta(0))
        self._smaller = {key: replace(one, since=one.since + step) for key, one in self._smaller.items()}
        self._held = self._held and {
            key: replace(one, listed_at=one.listed_at + step, first_listed_at=one.first_listed_at + step)
            for key, one in self._held.items()
        }
