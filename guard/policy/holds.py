"""One rung's alarm: how long a reading must last before it counts, on the way in and on the way out."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from guard.policy.memory import Hold
from guard.policy.terms import Level

READS = 2  # Without a written `for`: this many fresh reads,
READS_APART = timedelta(seconds=5)  # this far apart; critical takes one.


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What one read says of one rung. Between `reached` and `cleared` lies the stretch in which nothing changes."""

    level: Level
    reached: bool
    cleared: bool
    hold: timedelta | None = None  # The TOML key `for`. None: the default above.
    clear_for: timedelta
    by_sigmas: bool | None = False  # Reached by sigmas alone. None: sigmas are not known now.


def turn(hold: Hold, signal: Signal, *, now: datetime, is_continuous: bool) -> Hold:
    """Return the hold after one fresh read. Not continuous: nobody looked for so long that clearing starts anew."""
    return _out(hold, signal, now, is_continuous) if hold.in_force else _in(hold, signal, now)


def freeze(hold: Hold) -> Hold:
    """Return the hold after a read that did not show its subject: clearing starts anew, waiting alarms keep waiting."""
    return replace(hold, turning_since=None, turning_reads=0) if hold.in_force else hold


def is_clearing(hold: Hold) -> bool:
    return hold.in_force and hold.turning_since is not None


def _in(hold: Hold, signal: Signal, now: datetime) -> Hold:
    if not signal.reached:
        return Hold(level=hold.level)
    since, reads = _since(hold, now), hold.turning_reads + 1
    if _is_held(signal, now - since, reads):
        return Hold(level=hold.level, in_force=True, by_sigmas=bool(signal.by_sigmas))
    return replace(hold, turning_since=since, turning_reads=reads)


def _is_held(signal: Signal, lasted: timedelta, reads: int) -> bool:
    if signal.hold is not None:
        return lasted >= signal.hold
    return signal.level is Level.CRITICAL or (reads >= READS and lasted >= READS_APART)


def _out(hold: Hold, signal: Signal, now: datetime, is_continuous: bool) -> Hold:
    by_sigmas = hold.by_sigmas if signal.by_sigmas is None else signal.by_sigmas or (hold.by_sigmas and signal.cleared)
    kept = Hold(level=hold.level, in_force=True, by_sigmas=by_sigmas)
    if not signal.cleared or (by_sigmas and signal.by_sigmas is None):
        return kept
    since = _since(hold, now) if is_continuous else now
    if now - since >= signal.clear_for:
        return Hold(level=hold.level)
    return replace(kept, turning_since=since, turning_reads=hold.turning_reads + 1)


def _since(hold: Hold, now: datetime) -> datetime:
    """Return since when it turns: now, too, where the clock has stepped back behind what is remembered."""
    return now if hold.turning_since is None else min(hold.turning_since, now)
