"""One subject through one cycle: what was seen moves its holds, its holds decide what is told."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from guard.policy import subjects
from guard.policy.decision import Alert, AlertEvent, AlertKind, PoolVerdict, PositionVerdict
from guard.policy.holds import Signal
from guard.policy.ladder import climb, worst_waiting
from guard.policy.memory import AlertState, Memory
from guard.policy.subjects import new_state, stable_id
from guard.policy.telling import tell
from guard.policy.terms import Level, Terms
from guard.snapshot import MarginMode, PositionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something that can be told about, and what this cycle says of it."""

    name: str
    kind: AlertKind
    reason: str
    said: tuple[Signal, ...] | None  # None: this cycle did not see it.
    repeat_interval: timedelta | None = None
    eased_at: datetime | None = None  # When money was added last: what is so again since then is told again at once.
    told_at_least_as: Level = Level.OK  # Its messages carry this level where its own is milder.
    key: PositionKey | None = None
    position: PositionVerdict | None = None
    pool: PoolVerdict | None = None
    headline: str | None = None  # What the message is called. None: after its kind and level.

    @property
    def margin_mode(self) -> MarginMode | None:
        if self.pool is not None:
            return MarginMode.CROSS
        return None if self.position is None else self.position.figures.position.margin_mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A subject's next state (None: forget it) and what people are told."""

    state: AlertState | None
    alert: Alert | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clerk:
    """Follows subjects of one account through one moment."""

    memory: Memory
    terms: Terms
    now: datetime

    def follow(self, subject: Subject, *, keep: bool = False) -> Told:
        """Return what becomes of a subject. `keep`: its state stays although nothing is in force or on its way."""
        before = self.memory.alerts.get(subject.name) or new_state(subject.name, self.now)
        climbed = climb(before, subject.said, now=self.now, unwatched_max=self.terms.data_age.blind_after)
        state, event = tell(
            before.level,
            climbed,
            account=self.terms.account,
            repeat_interval=subject.repeat_interval,
            is_back=_is_back(subject, before, self.now),
            now=self.now,
        )
        alert: Alert | None = None
        if event is AlertEvent.RESOLVED:
            alert = self.alert(subject, event, before, level=before.told_level or before.level)
        elif event is not None:
            level = max(state.level, subject.told_at_least_as)
            state = replace(state, told_level=max(level, state.told_level or level))
            alert = self.alert(subject, event, state, level=level)
        is_idle = not state.holds and state.alert_id is None
        return Told(state=None if is_idle and not keep else state, alert=alert)

    def end(self, subject: Subject) -> Told:
        """Return the end of a subject that is gone: vanished, where it was at warn or worse or on its way there.

        Vanished is no end that is good: who closes an incident by `resolved` must not close it by a liquidation.
        """
        state = self.memory.alerts.get(subject.name)
        if state is None:
            return Told(state=None)
        worst = max(worst_waiting(state), state.level)
        is_ladder = subjects.is_ladder(subject.name)
        if state.alert_id is None and not (is_ladder and worst >= Level.WARN):
            return Told(state=None)
        event = AlertEvent.FIRED if state.alert_id is None else AlertEvent.RESOLVED
        if is_ladder and worst >= Level.WARN:
            subject = replace(subject, kind=AlertKind.VANISHED)
            event = AlertEvent.FIRED if state.alert_id is None else AlertEvent.ESCALATED
        return Told(state=None, alert=self.alert(subject, event, state, level=max(worst, state.told_level or worst)))

    def let_go(self, state: AlertState, subject: Subject) -> Alert | None:
        """Return the end of an alert whose subject is told elsewhere from now on. None: nothing was being told."""
        if state.alert_id is None:
            return None
        return self.alert(subject, AlertEvent.RESOLVED, state, level=state.told_level or state.level)

    def alert(self, subject: Subject, event: AlertEvent, state: AlertState, *, level: Level) -> Alert:
        return Alert(
            alert_id=state.alert_id or stable_id(self.terms.account, subject.name, self.now.isoformat()),
            kind=subject.kind,
            event=event,
            level=level,
            account=self.terms.account,
            happened_at=self.now,
            key=subject.key,
            margin_mode=subject.margin_mode,
            reason=subject.reason,
            position=subject.position,
            pool=subject.pool,
            headline=subject.headline,
        )


def _is_back(subject: Subject, state: AlertState, now: datetime) -> bool:
    """Say whether what was told before money was added is so once more: people were told since that it was helped.

    A time that a clock which was set back has yet to reach says nothing: all that is told is before it.
    """
    if subject.eased_at is None or state.told_at is None or not state.told_at < subject.eased_at <= now:
        return False
    return any(signal.reached and signal.level >= state.level for signal in subject.said or ())


def absent(name: str, *, reason: str, repeat_interval: timedelta | None) -> Subject:
    """Return a remembered subject that this cycle says nothing of: it stays as it is, and is repeated."""
    return Subject(
        name=name,
        kind=subjects.kind_of(name),
        reason=reason,
        said=None,
        repeat_interval=repeat_interval,
        key=subjects.key_of(name),
    )
