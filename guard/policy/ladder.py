"""The ladder by distance: the level of this moment, and the level in force after `for` and `clear`."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from guard.policy.holds import Signal, freeze, is_clearing, turn
from guard.policy.memory import AlertState, Hold
from guard.policy.phrases import percent
from guard.policy.terms import Ladder, Level, Rung


def instant_level(distance: Decimal | None, sigmas: float | None, ladder: Ladder) -> tuple[Level, str]:
    """Return the level of this moment and why. Distance None: no positive price liquidates it. Sigmas None: not known.

    `status` shows this one; alerts go by the level in force.
    """
    reached = [rung for rung in ladder.rungs if _by_distance(rung, distance) or _by_sigmas(rung, sigmas)]
    uses_sigmas = any(rung.sigmas is not None for rung in ladder.rungs)
    untold = "; sigmas are not known" if sigmas is None and uses_sigmas else ""
    if not reached:
        far = "no price liquidates it" if distance is None else f"distance {percent(distance)} is above every rung"
        return Level.OK, far + untold
    worst = max(reached, key=lambda rung: rung.level)
    if distance is not None and _by_distance(worst, distance):
        line = f"{worst.level.word} {percent(worst.distance)}"
        return worst.level, f"distance {percent(distance)} is at or below {line}{untold}"
    return worst.level, f"{sigmas:.1f} sigmas is at or below {worst.level.word} {worst.sigmas:g}"


def signals(distance: Decimal | None, sigmas: float | None, ladder: Ladder) -> tuple[Signal, ...]:
    """Return what one read says of each rung."""
    return tuple(_signal(rung, distance, sigmas) for rung in ladder.rungs)


def climb(state: AlertState, said: tuple[Signal, ...] | None, *, now: datetime, unwatched_max: timedelta) -> AlertState:
    """Return the state after one read: holds turned, the worst one in force. None: the read did not show the subject.

    Nobody looking for longer than `unwatched_max` cannot have seen it clear. A rung that the ladder no longer has is
    dropped.
    """
    if said is None:
        return replace(state, holds=tuple(freeze(hold) for hold in state.holds), seen_at=None)
    before = {hold.level: hold for hold in state.holds}
    is_continuous = state.seen_at is not None and now - state.seen_at <= unwatched_max
    turned = (
        turn(before.get(signal.level, Hold(level=signal.level)), signal, now=now, is_continuous=is_continuous)
        for signal in said
    )
    holds = tuple(hold for hold in turned if hold != Hold(level=hold.level))
    level = max((hold.level for hold in holds if hold.in_force), default=Level.OK)
    return replace(
        state,
        level=level,
        since=state.since if level is state.level else now,
        holds=holds,
        # Only clearing needs it: a quiet cycle leaves its state as it was, and nothing is written to disk.
        seen_at=now if any(is_clearing(hold) for hold in holds) else None,
    )


def worst_waiting(state: AlertState) -> Level:
    """Return the worst level that is in force or on its way."""
    return max((hold.level for hold in state.holds), default=state.level)


def repeat_interval(ladder: Ladder, level: Level) -> timedelta | None:
    """Return how often a level is told again. Unknown is told as often as warn. None: once."""
    wanted = Level.WARN if level is Level.UNKNOWN else level
    return next((rung.repeat_interval for rung in ladder.rungs if rung.level is wanted), None)


def rung_distance(ladder: Ladder, level: Level) -> Decimal:
    """Return a rung's distance; zero where the ladder has no such rung."""
    return next((rung.distance for rung in ladder.rungs if rung.level is level), Decimal(0))


def _signal(rung: Rung, distance: Decimal | None, sigmas: float | None) -> Signal:
    near, quiet = _by_distance(rung, distance), _by_sigmas(rung, sigmas)
    return Signal(
        level=rung.level,
        reached=near or quiet,
        cleared=(distance is None or distance > rung.clear) and not quiet,
        hold=rung.hold,
        clear_for=rung.clear_for,
        by_sigmas=None if rung.sigmas is not None and sigmas is None else quiet and not near,
    )


def _by_distance(rung: Rung, distance: Decimal | None) -> bool:
    return distance is not None and distance <= rung.distance


def _by_sigmas(rung: Rung, sigmas: float | None) -> bool:
    return rung.sigmas is not None and sigmas is not None and sigmas <= rung.sigmas
