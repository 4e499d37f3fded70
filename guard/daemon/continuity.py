"""Whether a position that is no longer listed is gone, or only was not shown.

Exchanges have been seen answering an empty list while positions were open (reliability study, F29), so a missing row
is first a gap. A position has ended when it is missing from two fresh reads in a row, three when the whole list is
empty, or when a one-way account shows the other side of its symbol. A read in which a row cannot be told from another
proves nothing gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from guard.snapshot import AccountSnapshot, Gap, MarginMode, PositionKey

READS_TO_BELIEVE = 2
READS_TO_BELIEVE_EMPTY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """When a position was last listed, and in how many fresh reads since then it was missing."""

    last_seen_at: datetime
    missing_reads: int = 0
    may_be_cross: bool = True  # False: it was isolated when last listed.


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


def follow(before: Mapping[PositionKey, Sighting], snapshot: AccountSnapshot, *, counts: bool = True) -> Continuity:
    """Hold a fresh read against the positions known to be open.

    Without `counts` it follows another read so closely that what is missing again proves nothing more.
    """
    listed = {position.key for position in snapshot.positions}
    unreadable = {gap.key for gap in snapshot.gaps if gap.key is not None}
    one_way = {position.key.symbol for position in snapshot.positions if not position.hedged}
    needed = READS_TO_BELIEVE if listed or unreadable else READS_TO_BELIEVE_EMPTY
    is_hidden = any(gap.may_be_cross and gap.key is None for gap in snapshot.gaps)  # Some row, nobody knows of what.
    sightings = {
        position.key: Sighting(
            last_seen_at=snapshot.positions_read_at, may_be_cross=position.margin_mode is MarginMode.CROSS
        )
        for position in snapshot.positions
    }
    ended: dict[PositionKey, str] = {}
    gaps: list[Gap] = []
    for key, sighting in before.items():
        if key in listed:
            continue
        if key in unreadable:
            sightings[key] = sighting
            continue
        missing = sighting.missing_reads + (counts and not is_hidden)
        if key.symbol in one_way:
            ended[key] = "its side flipped"
        elif missing >= needed:
            ended[key] = f"missing from {missing} fresh reads in a row"
        else:
            sightings[key] = replace(sighting, missing_reads=missing)
            gaps.append(_missed(key, sighting, missing, needed))
    return Continuity(snapshot=replace(snapshot, gaps=(*snapshot.gaps, *gaps)), sightings=sightings, ended=ended)


def _missed(key: PositionKey, sighting: Sighting, missing: int, needed: int) -> Gap:
    return Gap(
        subject=str(key),
        reason=f"listed at {sighting.last_seen_at:%H:%M:%S} UTC, missing now "
        f"(read {missing} of {needed} before it counts as gone)",
        key=key,
        may_be_cross=sighting.may_be_cross,
    )
