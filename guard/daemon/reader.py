"""What one account looks like now: a fresh read, its tiers, the marks since, and the model's view of it."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from guard.daemon.continuity import Continuity, Sighting, follow, without_changes_to_come
from guard.errors import KeysRefused, VenueUnavailable
from guard.margin import TierTable, assess, reprice
from guard.margin.figures import AccountAssessment
from guard.snapshot import AccountSnapshot, Mark, PositionKey
from guard.venues.protocol import TierTables, Venue

log = structlog.get_logger(__name__)

TIER_RETRY = timedelta(minutes=1)
TIER_RETRY_WITHOUT = timedelta(seconds=10)  # Without any table no position can be helped.
SPEND_ON_READS_WITHIN = timedelta(seconds=4)  # Of the five that the law allows; the mark is read after it.
# A position row does not say when its mark was true, and lists have been seen to stand still while the market fell. So
# a mark that the exchange dated holds against an undated one that was read up to so much later. One that a stream says
# without a date may be old for as long as it is said: it counts only where it is worse than what was read.
DATED_MARK_HOLDS = timedelta(seconds=3)
READS_WHILE_CLOCK_STEPS = 3
LISTS_LAG_S = 1.0  # So much later than what is pushed may a list of an exchange's show it.
MARK_LIVES_FOR = timedelta(seconds=5)  # After it came in; a stream says one every second to three.
MARK_AGE_MAX = SPEND_ON_READS_WITHIN  # By the exchange's own clock, for a mark that was just asked for.


class _Assessed(NamedTuple):
    """The last assessment, and what it was made of: at newer marks most of it still holds."""

    snapshot: AccountSnapshot
    tiers: TierTables | None
    assessment: AccountAssessment


class AccountReader:
    """Reads one account and remembers the last good read. Raises VenueUnavailable or KeysRefused from `read`."""

    def __init__(self, venue: Venue, now: Callable[[], datetime]) -> None:
        self.venue = venue
        self._now = now
        self._opened = False
        self._tiers: TierTables | None = None
        self._tiers_for: frozenset[str] = frozenset()  # The symbols that they were read for.
        self._tier_gaps: set[str] = set()  # As last logged.
        self._tiers_due_s = 0.0  # Loop time: the wall clock may step.
        self.sightings: Mapping[PositionKey, Sighting] = {}
        self.snapshot: AccountSnapshot | None = None
        self._marks: dict[str, tuple[Mark, datetime]] = {}  # With when we got it, by our own clock.
        self._undated: dict[str, tuple[Mark, datetime]] = {}  # The same of marks that the exchange did not date.
        self._assessed: _Assessed | None = None
        self._read_again = True
        self._clock_was_set = False  # Since the present read began.
        self._read_began_s: float | None = None  # Loop time at which the last complete read began.
        self.is_suspect = False  # Something is missed and not yet believed gone.
        self.ended: Mapping[PositionKey, str] = {}  # Proven gone in any read, until `forget_ended`.

    def remember_open(self, keys: Iterable[PositionKey], *, at: datetime) -> None:
        """Take up positions that were open before a restart, so that an empty first answer is not believed."""
        self.sightings = {key: Sighting(last_seen_at=at, is_remembered=True) for key in keys}

    async def read(self, *, counts: bool = True) -> Continuity:
        """Read the account afresh and hold it against what was open before. `counts`: see `follow`."""
        if not self._opened:
            await self.venue.open()
            self._opened = True
        began_s = asyncio.get_running_loop().time()
        snapshot = await self._dated_by_one_clock()
        snapshot = without_changes_to_come(snapshot, self._now() + (self.venue.skew or timedelta(0)))
        continuity = follow(self.sightings, snapshot, counts=counts)
        self.sightings = continuity.sightings
        self.snapshot = continuity.snapshot
        self.is_suspect = continuity.is_suspect
        self.ended = {**self.ended, **continuity.ended}
        self._read_again = False
        self._read_began_s = began_s
        await self._refresh_tiers_if_due()
        return continuity

    async def _dated_by_one_clock(self) -> AccountSnapshot:
        """Read once more when our clock was set meanwhile: such a read has dates of both clocks, and looks fresh."""
        for _ in range(READS_WHILE_CLOCK_STEPS):
            self._clock_was_set = False
            snapshot = await self.venue.snapshot()
            if not self._clock_was_set:
                return snapshot
        raise VenueUnavailable("this machine's clock is set again and again")

    async def read_again_if_needed(self) -> None:
        """Read afresh if a write of ours went out since, or the last read is too old to spend on."""
        if self._read_again or self.snapshot is None or self.snapshot.age(self._now()) > SPEND_ON_READS_WITHIN:
            await self.read(counts=False)

    def has_read_since(self, happened_s: float) -> bool:
        """Say whether the last complete read shows what happened at a loop time, also where lists lag behind pushes."""
        return self._read_began_s is not None and self._read_began_s >= happened_s + LISTS_LAG_S

    def must_read_again(self) -> None:
        """Note that a write of ours may have changed what was read."""
        self._read_again = True

    def follow_clock(self, step: timedelta) -> None:
        """Date what was read by the clock that has stepped. It is no older, but nothing is spent on it any more."""
        if self.snapshot is not None:
            self.snapshot = replace(
                self.snapshot,
                positions_read_at=self.snapshot.positions_read_at + step,
                wallets_read_at=self.snapshot.wallets_read_at + step,
            )
        self._clock_was_set = True
        self.venue.follow_clock(step)
        self._marks = {symbol: (mark, got_at + step) for symbol, (mark, got_at) in self._marks.items()}
        self._undated = {symbol: (mark, got_at + step) for symbol, (mark, got_at) in self._undated.items()}
        self.must_read_again()

    def check_fit_to_spend(self) -> None:
        """Raise VenueUnavailable when the last read grew too old meanwhile; a write may still wait for its turn."""
        if self._read_again or self.snapshot is None or self.snapshot.age(self._now()) > SPEND_ON_READS_WITHIN:
            raise VenueUnavailable("the look before sending took too long")

    def forget_ended(self, keys: Iterable[PositionKey]) -> None:
        """Note that these ends are written down."""
        self.ended = {key: reason for key, reason in self.ended.items() if key not in set(keys)}

    async def read_mark(self, symbol: str) -> None:
        """Read one mark price now, to spend on. Raises VenueUnavailable also when the exchange dates it back."""
        mark = await self.venue.mark(symbol)
        age = self._now() + (self.venue.skew or timedelta(0)) - mark.at
        if age >= -MARK_AGE_MAX:  # One from the future would keep out every true one after it.
            self.note_mark(mark)
        if abs(age) > MARK_AGE_MAX:
            raise VenueUnavailable(f"mark price of {symbol}: the exchange dates it {age.total_seconds():.1f} s back")

    def note_mark(self, mark: Mark) -> None:
        """Take up a mark price that came in now, unless a newer one of its kind is known."""
        marks = self._marks if mark.is_dated else self._undated
        known = marks.get(mark.symbol)
        if known is None or known[0].at <= mark.at:
            marks[mark.symbol] = (mark, self._now())

    async def tiers_of(self, symbol: str) -> TierTable:
        """Return the leverage brackets of a symbol, read now if need be. Raises VenueUnavailable or KeysRefused."""
        table = None if self._tiers is None else self._tiers.by_symbol.get(symbol)
        table = table or (await self.venue.tiers(frozenset({symbol}))).by_symbol.get(symbol)
        if table is None:
            raise VenueUnavailable(f"{self.venue.account}: the leverage brackets of {symbol} could not be read")
        return table

    def mark_since(self, symbol: str, since: datetime) -> Mark | None:
        """Return the newest mark that came in after a moment of our clock. None: none did."""
        known = self._known_marks().get(symbol)
        return known[0] if known is not None and known[1] > since else None

    def live_marks(self) -> Mapping[str, Mark]:
        """Return the marks that came in just now, by symbol: a stream brings them while nothing can be read."""
        now = self._now()
        return {
            symbol: mark for symbol, (mark, got_at) in self._known_marks().items() if now - got_at <= MARK_LIVES_FOR
        }

    def _known_marks(self) -> Mapping[str, tuple[Mark, datetime]]:
        """Return the newest marks with when they came, dated or not."""
        newer = {
            symbol: known
            for symbol, known in self._undated.items()
            if symbol not in self._marks or self._marks[symbol][0].at <= known[0].at
        }
        return {**self._marks, **newer}

    def data_ages(self, symbol: str) -> Mapping[str, timedelta | None]:
        """Return how old the facts about a symbol's positions are. None: its mark came with them."""
        now = self._now()
        read, known = self.snapshot, self._marks.get(symbol)
        return {
            "positions": None if read is None else now - read.positions_read_at,
            "wallets": None if read is None else now - read.wallets_read_at,
            "mark": None if known is None else now + (self.venue.skew or timedelta(0)) - known[0].at,
        }

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols of the positions last read, in order."""
        positions = self.snapshot.positions if self.snapshot else ()
        return tuple(sorted({position.contract.symbol for position in positions}))

    def assess(self, snapshot: AccountSnapshot | None) -> AccountAssessment | None:
        """Return the model's view of a read at the newest marks; None when nothing was ever read."""
        if snapshot is None:
            return None
        last = self._assessed
        is_same = last is not None and last.snapshot is snapshot and last.tiers is self._tiers
        assessment = assess(
            self._at_newest_marks(snapshot),
            self._tiers.by_symbol if self._tiers else {},
            self.venue.rules,
            self._now(),
            before=last.assessment if last is not None and is_same else None,
        )
        self._assessed = _Assessed(snapshot, self._tiers, assessment)
        return assessment

    def _at_newest_marks(self, snapshot: AccountSnapshot) -> AccountSnapshot:
        newer = _newer(self._marks, snapshot.positions_read_at)
        told = reprice(snapshot, newer)
        undated = _newer(self._undated, snapshot.positions_read_at)
        if not undated:
            return told
        later = [one for one in undated.values() if one.symbol not in newer or newer[one.symbol].at <= one.at]
        return reprice(told, {mark.symbol: mark for mark in later if _is_against_all(mark, told)})

    @property
    def tables(self) -> TierTables | None:
        """The leverage brackets as last read. None: they never were."""
        return self._tiers

    def assess_by(self, snapshot: AccountSnapshot | None, tables: Mapping[str, TierTable]) -> AccountAssessment | None:
        """Return the model's view with other tables of some symbols: what a change of them does."""
        if snapshot is None:
            return None
        known = self._tiers.by_symbol if self._tiers else {}
        return assess(self._at_newest_marks(snapshot), {**known, **tables}, self.venue.rules, self._now())

    def tiers_are_due(self) -> None:
        """Read the tier tables again with the next cycle."""
        self._tiers_due_s = 0.0

    def _is_news(self, gaps: set[str]) -> bool:
        """Note what is missed. Asked every ten seconds, it is said once."""
        before, self._tier_gaps = self._tier_gaps, gaps
        return gaps != before

    async def _refresh_tiers_if_due(self) -> None:
        """Keep the old tables when new ones cannot be read: an old table is nearer to the truth than none."""
        now_s = asyncio.get_running_loop().time()
        symbols = frozenset(self.symbols())
        if now_s < self._tiers_due_s and symbols <= self._tiers_for:
            return
        old = {} if self._tiers is None else self._tiers.by_symbol
        try:
            read = await self.venue.tiers(symbols)
            kept = {symbol: table for symbol, table in old.items() if symbol in symbols}
            self._tiers = replace(read, by_symbol={**kept, **read.by_symbol})
            self._tiers_for = symbols | read.by_symbol.keys()
            self._tiers_due_s = math.inf
            missing = symbols - read.by_symbol.keys()
            gaps = {f"{gap.subject}: {gap.reason}" for gap in read.gaps if missing}
            if self._is_news(gaps) and gaps and read.by_symbol:
                log.warning("tiers.missed", account=self.venue.account, gaps=sorted(gaps))
            if missing and read.by_symbol:  # Where none is read by design, none comes by asking.
                wait = TIER_RETRY if missing <= self._tiers.by_symbol.keys() else TIER_RETRY_WITHOUT
                self._tiers_due_s = now_s + wait.total_seconds()
        except (VenueUnavailable, KeysRefused) as error:
            is_covered = self._tiers is not None and symbols <= old.keys()
            wait = TIER_RETRY if is_covered else TIER_RETRY_WITHOUT
            self._tiers_for |= symbols  # Asked for again when the wait is over.
            self._tiers_due_s = now_s + wait.total_seconds()
            kept_old = self._tiers is not None
            if self._is_news({str(error)}):
                log.warning("tiers.not_read", account=self.venue.account, reason=str(error), kept_old=kept_old)


def _newer(marks: Mapping[str, tuple[Mark, datetime]], read_at: datetime) -> dict[str, Mark]:
    """Return the marks by which a read of that moment is to be judged."""
    return {
        symbol: mark
        for symbol, (mark, got_at) in marks.items()
        if got_at > read_at or min(got_at, mark.at) > read_at - DATED_MARK_HOLDS
    }


def _is_against_all(mark: Mark, snapshot: AccountSnapshot) -> bool:
    """Say whether a mark is worse for each position of its symbol than the one that it has there."""
    held = [position for position in snapshot.positions if position.contract.symbol == mark.symbol]
    return all((mark.price - position.mark_price) * position.side < 0 for position in held)
