"""Whether a position that is no longer listed is gone, or only was not shown.

Exchanges have been seen answering an empty list while positions were open (reliability study, F29), so a missing row
is first a gap. A position has ended when it is missing from two fresh reads in a row, three when the whole list is
empty, or when a one-way account shows the other side of its symbol. A read in which a row cannot be told from another
proves nothing gone. Nor does a row that is older, by the exchange's own time, than what was seen before: caches in
between have been seen to answer, and an old answer must not pass for a position that changed back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from guard.snapshot import AccountSnapshot, Gap, MarginMode, Position, PositionKey

READS_TO_BELIEVE = 2
READS_TO_BELIEVE_EMPTY = 3
CLOCK_TOLERANCE = timedelta(minutes=1)  # Between the exchange's clock as we know it and the one that dates changes.


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """When a position was last listed, and in how many fresh reads since then it was missing."""

    last_seen_at: datetime
    updated_at: datetime | None = None  # The exchange's own time of the last change that was seen.
    missing_reads: int = 0
    may_be_cross: bool = True  # False: it was isolated when last listed.
    is_remembered: bool = False  # From before a restart: this process has not seen it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuity:
    """One read, held against what was open before. `snapshot` has a gap for each position that is missed."""

    snapshot: AccountSnapshot
    sightings: Mapping[PositionKey, Sighting]  # The next memory.
    ended: Mapping[PositionKey, str]  # Proven gone, with the reason.

    @property
    def is_suspect(self) -> bool:
        """Say whether something is missed and not yet believed gone: look again soon."""
        return any(sighting.missing_reads for sighting in self.sightings.values())


def without_changes_to_come(snapshot: AccountSnapshot, now: datetime) -> AccountSnapshot:
    """Return the snapshot without dates of changes after `now`, the exchange's clock.

    Remembered, such a date would make every true row after it look old.
    """
    latest = now + CLOCK_TOLERANCE
    return replace(
        snapshot,
        positions=tuple(
            replace(one, updated_at=None) if one.updated_at is not None and one.updated_at > latest else one
            for one in snapshot.positions
        ),
    )


def follow(before: Mapping[PositionKey, Sighting], snapshot: AccountSnapshot, *, counts: bool = True) -> Continuity:
    """Hold a fresh read against the positions known to be open.

    Without `counts` it follows another read so closely that what is missing again proves nothing more.
    """
    snapshot = _without_old_rows(snapshot, before)
    listed = {position.key for position in snapshot.positions}
    unreadable = {gap.key for gap in snapshot.gaps if gap.key is not None}
    is_hedged = any(position.hedged for position in snapshot.positions)
    # In a one-way account a row that contradicts itself or another says nothing of the other side either.
    contested = set() if is_hedged else {key.symbol for key in unreadable}
    one_way = {p.key.symbol for p in snapshot.positions if not p.hedged and p.key.symbol not in contested}
    needed = READS_TO_BELIEVE if listed or unreadable else READS_TO_BELIEVE_EMPTY
    is_hidden = any(gap.may_be_cross and gap.key is None for gap in snapshot.gaps)  # Some row, nobody knows of what.
    sightings = {
        position.key: _sighting(position, snapshot.positions_read_at, before) for position in snapshot.positions
    }
    ended: dict[PositionKey, str] = {}
    gaps: list[Gap] = []
    for key, sighting in before.items():
        if key in listed:
            continue
        if key in unreadable or key.symbol in contested:
            sightings[key] = sighting
            if key not in unreadable:
                gaps.append(_contested(key))
            continue
        missing = sighting.missing_reads + (counts and not is_hidden)
        if key.symbol in one_way and not sighting.is_remembered:  # Else one old answer could end it after a restart.
            ended[key] = "its side flipped"
        elif missing >= needed:
            ended[key] = f"missing from {missing} fresh reads in a row"
        else:
            sightings[key] = replace(sighting, missing_reads=missing)
            gaps.append(_missed(key, sighting, missing, needed))
    return Continuity(snapshot=replace(snapshot, gaps=(*snapshot.gaps, *gaps)), sightings=sightings, ended=ended)


def _sighting(position: Position, at: datetime, before: Mapping[PositionKey, Sighting]) -> Sighting:
    changes = (position.updated_at, _last_change(position, before))
    return Sighting(
        last_seen_at=at,
        updated_at=max((change for change in changes if change is not None), default=None),
        may_be_cross=position.margin_mode is MarginMode.CROSS,
    )


def _last_change(position: Position, before: Mapping[PositionKey, Sighting]) -> datetime | None:
    """Return the exchange's latest time of a change of this position that was seen; in a one-way account of its symbol.

    None: none was seen.
    """
    sightings = (
        sighting
        for key, sighting in before.items()
        if key == position.key or (not position.hedged and key.symbol == position.key.symbol)
    )
    return max((sighting.updated_at for sighting in sightings if sighting.updated_at is not None), default=None)


def _without_old_rows(snapshot: AccountSnapshot, before: Mapping[PositionKey, Sighting]) -> AccountSnapshot:
    """Return the snapshot with a gap for every position of which it holds an old row.

    The row itself stays only where that position is known to be open: an old one must not bring back what is gone.
    """
    old = {position.key: last for position in snapshot.positions if (last := _outdone_by(position, before)) is not None}
    symbols = {key.symbol for key in old}
    known = [key for key in before if key in old or key.symbol in symbols]
    return replace(
        snapshot,
        positions=tuple(
            position for position in snapshot.positions if position.key not in old or position.key in before
        ),
        gaps=(*snapshot.gaps, *(_old(key, old) for key in known)),
    )


def _outdone_by(position: Position, before: Mapping[PositionKey, Sighting]) -> datetime | None:
    """Return the later change that was seen before; None: the row is not older than what was seen."""
    last = _last_change(position, before)
    return last if position.updated_at is not None and last is not None and position.updated_at < last else None


def _old(key: PositionKey, old: Mapping[PositionKey, datetime]) -> Gap:
    last = max(at for other, at in old.items() if other.symbol == key.symbol)
    reason = f"the exchange answered with an old state: its change at {last:%H:%M:%S} UTC was seen before"
    return Gap(subject=str(key), reason=reason, key=key)


def _contested(key: PositionKey) -> Gap:
    return Gap(subject=str(key), reason="the exchange's answers contradict each other about this symbol", key=key)


def _missed(key: PositionKey, sighting: Sighting, missing: int, needed: int) -> Gap:
    return Gap(
        subject=str(key),
        reason=f"listed at {sighting.last_seen_at:%H:%M:%S} UTC, missing now "
        f"(read {missing} of {needed} before it counts as gone)",
        key=key,
        may_be_cross=sighting.may_be_cross,
    )
