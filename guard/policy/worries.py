"""What can be told about an account: its data, its pools and positions, and what may be wrong about each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from guard.policy import subjects
from guard.policy.decision import AlertKind, DataState, PoolVerdict, PositionVerdict, WithheldReason
from guard.policy.follow import Subject
from guard.policy.holds import Signal
from guard.policy.ladder import repeat_interval
from guard.policy.memory import AlertState, Memory
from guard.policy.phrases import percent
from guard.policy.terms import Ladder, Level, Terms
from guard.policy.verdicts import PositionView, Sight
from guard.snapshot import Mark

AT_ONCE = timedelta(0)
SEEN_AGAIN_FOR = timedelta(
    seconds=5
)  # Two fresh reads, as on the way in: one good answer among bad ones is not the end.
INDEX_FAR = Decimal("0.02")  # Of the index; a mark follows it within tenths of a percent in quiet markets.
SETTLED_FOR = timedelta(minutes=5)

# Why no money comes is not told as a refusal where nobody asked for money, or where something else tells it.
_TOLD_ELSEWHERE = frozenset(
    {
        WithheldReason.NO_RULE,
        WithheldReason.NOT_ISOLATED,
        WithheldReason.MODE,
        WithheldReason.OUTCOME_UNKNOWN,
        WithheldReason.DATA_TOO_OLD,
        WithheldReason.COOLING_DOWN,
    }
)


def account_subject(
    state: DataState, *, is_fresh: bool, age: timedelta | None, memory: Memory, terms: Terms, worst: Level
) -> Subject:
    """Return the account's own subject: stale is warn, blind is unknown, either as bad as what it leaves unseen."""
    before = memory.alerts.get(subjects.ACCOUNT)
    is_blind = state is DataState.BLIND or (
        state is not DataState.STALE and before is not None and before.level >= Level.UNKNOWN
    )
    level = Level.DANGER if is_blind else Level.WARN
    return Subject(
        name=subjects.ACCOUNT,
        kind=AlertKind.BLIND if is_blind else AlertKind.STALE,
        reason=_age_text(state, age),
        said=(
            _account_signal(Level.WARN, reached=state is not DataState.FRESH, is_fresh=is_fresh),
            _account_signal(Level.UNKNOWN, reached=state is DataState.BLIND, is_fresh=is_fresh),
        ),
        repeat_interval=repeat_interval(terms.ladder, level),
        told_at_least_as=worst if state is not DataState.FRESH else Level.OK,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """How a subject was looked at in this cycle."""

    is_fresh: bool  # The account was read for it.
    live_over: timedelta | None = (
        None  # It was not, but a mark is live; so old is what it stands beside. None: none is.
    )

    def ladder_reason(self, reason: str, sight: Sight, state: AlertState | None) -> str:
        if self.is_fresh or self.live_over is None:
            return _ladder_reason(reason, sight, state)
        old = f"by a live mark and positions that were read {self.live_over // timedelta(seconds=1)} s ago"
        return f"{_ladder_reason(sight.reason, sight, state)}; {old}"

    def signals(self, said: tuple[Signal, ...] | None) -> tuple[Signal, ...] | None:
        """Return what it says of each rung: beside an old reading a live mark may raise a level, never lower one."""
        if self.is_fresh or said is None:
            return said
        return None if self.live_over is None else tuple(replace(signal, cleared=False) for signal in said)


def pool_subjects(
    verdict: PoolVerdict, sight: Sight, *, looked: Looked, state: AlertState | None, ladder: Ladder
) -> Iterator[Subject]:
    name = subjects.pool(verdict.figures.name)
    yield Subject(
        name=name,
        kind=AlertKind.ALERT,
        reason=looked.ladder_reason(verdict.reason, sight, state),
        said=looked.signals(sight.signals),
        repeat_interval=_interval(ladder, state, sight),
        pool=verdict,
    )
    yield Subject(
        name=subjects.unseen(name),
        kind=AlertKind.ALERT,
        reason=sight.unseen or verdict.reason,
        said=_unseen_signal(sight.unseen) if looked.is_fresh else None,
        repeat_interval=repeat_interval(ladder, Level.UNKNOWN),
        pool=verdict,
    )


def position_subjects(
    verdict: PositionVerdict,
    one: PositionView,
    *,
    looked: Looked,
    are_stops_known: bool,
    memory: Memory,
    terms: Terms,
) -> Iterator[Subject]:
    """Yield a position's subjects, its ladder first. For a cross one its pool tells, also where it is not seen."""
    is_fresh = looked.is_fresh
    key, state = verdict.key, memory.alerts.get(subjects.position(verdict.key))
    life = memory.lives.get(key)
    eased_at = None if life is None else life.last_top_up_at
    if verdict.figures.pool_name is None:
        yield Subject(
            name=subjects.position(key),
            kind=AlertKind.ALERT,
            reason=looked.ladder_reason(verdict.reason, one.sight, state),
            said=looked.signals(one.sight.signals),
            repeat_interval=_interval(one.ladder, state, one.sight),
            eased_at=eased_at,
            key=key,
            position=verdict,
        )
    yield Subject(
        name=subjects.unseen(subjects.position(key)),
        kind=AlertKind.ALERT,
        reason=one.sight.unseen or verdict.reason,
        said=_unseen_signal(None if verdict.figures.pool_name else one.sight.unseen) if is_fresh else None,
        repeat_interval=repeat_interval(one.ladder, Level.UNKNOWN),
        key=key,
        position=verdict,
    )
    yield _model_subject(verdict, one, is_fresh=is_fresh, terms=terms)
    yield replace(_money_subject(verdict, one, is_fresh=is_fresh), eased_at=eased_at)
    yield _stop_subject(verdict, one, is_known=is_fresh and are_stops_known)


def missing_position(name: str, reason: str, *, is_fresh: bool, ladder: Ladder) -> Subject:
    """Return the worry about a position that has no row: it is believed or feared to exist."""
    return Subject(
        name=name,
        kind=AlertKind.ALERT,
        reason=reason,
        said=(_signal(Level.UNKNOWN, reached=True, cleared=False, clear_for=SEEN_AGAIN_FOR),) if is_fresh else None,
        repeat_interval=repeat_interval(ladder, Level.UNKNOWN),
        key=subjects.key_of(name),
    )


def _model_subject(verdict: PositionVerdict, one: PositionView, *, is_fresh: bool, terms: Terms) -> Subject:
    """Return the worry that our liquidation price and the exchange's lie apart, as a share of the distance."""
    gap, distance = verdict.figures.model_gap, verdict.figures.distance
    said: tuple[Signal, ...] | None = None
    reason = verdict.reason
    if gap is not None and distance is not None:
        is_wide = abs(gap) > terms.model_gap_alert * distance
        said = (_signal(Level.WARN, reached=is_wide, cleared=not is_wide, clear_for=SETTLED_FOR),)
        share = "all" if distance == 0 else f"{abs(gap) / distance * 100:.1f} %"
        reason = f"our liquidation price and the exchange's are {share} of the distance apart"
    return Subject(
        name=subjects.model(verdict.key),
        kind=AlertKind.MODEL_GAP,
        reason=reason,
        said=said if is_fresh else None,
        repeat_interval=repeat_interval(one.ladder, Level.WARN),
        key=verdict.key,
        position=verdict,
    )


def index_subject(verdict: PositionVerdict, mark: Mark | None, ladder: Ladder) -> Subject:
    """Return the worry that a mark lies far from the index, by which a broken feed or a squeeze shows itself.

    A mark that just came in says it, whatever else was read; one without its index says nothing.
    """
    said: tuple[Signal, ...] | None = None
    reason = "the mark price came without its index price"
    if mark is not None and mark.index_price is not None:
        apart = mark.price / mark.index_price - 1
        said = (
            _signal(
                Level.WARN, reached=abs(apart) > INDEX_FAR, cleared=abs(apart) <= INDEX_FAR / 2, clear_for=SETTLED_FOR
            ),
        )
        reason = (
            f"its mark {mark.price:f} is {percent(abs(apart))} {'above' if apart > 0 else 'below'} its index "
            f"{mark.index_price:f}. It is the mark that liquidates, and guard goes by it; look at the price elsewhere"
        )
    return Subject(
        name=subjects.index(verdict.key),
        kind=AlertKind.ALERT,
        reason=reason,
        said=said,
        repeat_interval=repeat_interval(ladder, Level.WARN),
        key=verdict.key,
    )


def _money_subject(verdict: PositionVerdict, one: PositionView, *, is_fresh: bool) -> Subject:
    """Return the worry that a trigger is breached and no money comes. A mere wait neither starts nor ends it."""
    withheld = verdict.withheld
    is_breached = one.case is not None and one.case.is_breached
    is_refused = is_breached and withheld is not None and withheld.reason not in _TOLD_ELSEWHERE
    is_over = not is_breached or verdict.top_up is not None
    return Subject(
        name=subjects.money(verdict.key),
        kind=AlertKind.REFUSED,
        reason=withheld.text if withheld is not None else verdict.reason,
        said=(_signal(Level.WARN, reached=is_refused, cleared=is_over, clear_for=SETTLED_FOR, hold=AT_ONCE),)
        if is_fresh
        else None,
        repeat_interval=repeat_interval(one.ladder, max(Level.WARN, verdict.level)),
        told_at_least_as=verdict.level,
        key=verdict.key,
        position=verdict,
    )


def _stop_subject(verdict: PositionVerdict, one: PositionView, *, is_known: bool) -> Subject:
    """Return the worry that the user's own stop lies behind the liquidation price."""
    is_behind = verdict.stop_trouble is not None
    return Subject(
        name=subjects.stop(verdict.key),
        kind=AlertKind.ALERT,
        reason=verdict.stop_trouble or "the stop comes before liquidation, or there is none any more",
        said=(_signal(Level.WARN, reached=is_behind, cleared=not is_behind, clear_for=SETTLED_FOR),)
        if is_known
        else None,
        repeat_interval=repeat_interval(one.ladder, Level.WARN),
        key=verdict.key,
        position=verdict,
        headline="STOP TOO LATE",
    )


def _unseen_signal(unseen: str | None) -> tuple[Signal, ...]:
    is_unseen = unseen is not None
    return (_signal(Level.UNKNOWN, reached=is_unseen, cleared=not is_unseen, clear_for=SEEN_AGAIN_FOR),)


def _account_signal(level: Level, *, reached: bool, is_fresh: bool) -> Signal:
    return _signal(level, reached=reached, cleared=is_fresh, clear_for=SEEN_AGAIN_FOR, hold=AT_ONCE)


def _signal(
    level: Level, *, reached: bool, cleared: bool, clear_for: timedelta, hold: timedelta | None = None
) -> Signal:
    return Signal(level=level, reached=reached, cleared=cleared, hold=hold, clear_for=clear_for)


def _ladder_reason(reason: str, sight: Sight, state: AlertState | None) -> str:
    """Return why, and where a level is in force that this moment alone would not cause, that it is held."""
    if state is None or state.level <= sight.level or sight.unseen is not None:
        return reason
    return f"{reason}; was at {state.level.word}"


def _interval(ladder: Ladder, state: AlertState | None, sight: Sight) -> timedelta | None:
    """Return how often the level in force is repeated."""
    return repeat_interval(ladder, sight.level if state is None else state.level)


def _age_text(state: DataState, age: timedelta | None) -> str:
    if age is None:
        return "nothing was read yet"
    if state is DataState.FRESH:
        return "it is read again"
    return f"nothing was read for {age / timedelta(seconds=1):.0f} s"
