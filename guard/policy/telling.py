"""When people are told: fired once, escalated when it gets worse, repeated while it lasts, resolved once.

An alert keeps its id from fired to resolved. It is resolved when the level falls below warn; one that never was above
watch, when that ends. In between an easing is told as a repeat at the lower level: nothing says "over" while a danger
lasts, and nobody wonders why critical fell silent.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from guard.policy.decision import AlertEvent
from guard.policy.holds import is_clearing
from guard.policy.memory import AlertState
from guard.policy.subjects import stable_id
from guard.policy.terms import Level


def tell(
    before: Level,
    state: AlertState,
    *,
    account: str,
    repeat_interval: timedelta | None,
    is_back: bool = False,
    now: datetime,
) -> tuple[AlertState, AlertEvent | None]:
    """Return what is to be told of a subject whose level was `before`, and its state once that is told.

    `is_back`: it is as bad again as it was told to be, and in between it was told to be better.
    """
    if state.alert_id is None or state.told_level is None:
        # Warn and worse is told whenever it is not being told; watch only on the way up, not after "over".
        if state.level < Level.WARN and not (state.level is Level.WATCH and before < Level.WATCH):
            return state, None
        fired = replace(state, alert_id=stable_id(account, state.subject, now.isoformat()))
        return _told(fired, now), AlertEvent.FIRED
    if state.level < min(state.told_level, Level.WARN):
        return replace(state, alert_id=None, told_level=None, told_at=None), AlertEvent.RESOLVED
    if state.level > before:
        return _told(state, now), AlertEvent.ESCALATED
    if state.level < before or is_back or _is_due(state, repeat_interval, now):
        return _told(state, now), AlertEvent.REPEATED
    return state, None


def _told(state: AlertState, now: datetime) -> AlertState:
    return replace(state, told_level=max(state.level, state.told_level or Level.OK), told_at=now)


def _is_due(state: AlertState, repeat_interval: timedelta | None, now: datetime) -> bool:
    """Say whether it is time to repeat; a clock that stepped back behind the last telling does not silence it.

    What is clear already and only waits for its end is not repeated: "still critical" is not said from afar.
    """
    if repeat_interval is None or state.told_at is None:
        return False
    if any(hold.level is state.level and is_clearing(hold) for hold in state.holds):
        return False
    return not state.told_at <= now < state.told_at + repeat_interval
