"""One cycle's answer for one account: levels, alerts and top-ups. The same inputs give the same answer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from guard.margin.figures import AccountAssessment
from guard.outlook import Outlook, without_candles
from guard.policy import subjects, worries
from guard.policy.budget import Desk
from guard.policy.decision import Contender, DataState, Decision, PoolVerdict, PositionVerdict, TopUp
from guard.policy.follow import Clerk, Subject, Told, absent
from guard.policy.freshness import data_state
from guard.policy.ladder import repeat_interval
from guard.policy.memory import AlertState, Life, Memory
from guard.policy.prices import dollar_prices
from guard.policy.stops import Stops
from guard.policy.terms import Level, Terms
from guard.policy.verdicts import PositionView, Sight, plan, pool_sight, pool_verdict, position_verdict, view
from guard.snapshot import Gap, MarginMode, Mark, PositionKey


def decide(
    assessment: AccountAssessment | None,
    *,
    memory: Memory,
    terms: Terms,
    step: Callable[[str], Decimal],
    outlooks: Mapping[PositionKey, Outlook],
    ended: frozenset[PositionKey],
    fresh_read: bool,
    now: datetime,
    live: Mapping[str, Mark] = MappingProxyType({}),
    stops: Stops | None = None,
) -> Decision:
    """Return what to say and what may be spent now.

    `assessment` is of the last good read, however old; None: there was none. `fresh_read`: it was read for this call.
    `live`: by symbol, the marks that came in just now, whether or not anything else was read.
    `ended`: positions that are proven gone; one that is merely absent stays as it is. `step`: by currency, the smallest
    margin that can be added. `stops`: the user's own stop orders; None: not read.
    """
    age = None if assessment is None else assessment.snapshot.age(now)
    state = data_state(age, terms.data_age)
    judged = _Judged()
    if assessment is not None:
        high, low = dollar_prices(assessment), dollar_prices(assessment, of_several=min)
        desk = Desk(assessment=assessment, memory=memory, terms=terms, prices=high, lowest=low, state=state, now=now)
        judged = _judge(desk, outlooks, step, stops or {})
    cycle = _Cycle(
        clerk=Clerk(memory=memory, terms=terms, now=now),
        judged=judged,
        ended=ended,
        is_fresh=fresh_read and state is DataState.FRESH,
        live=live,
        age=age,
        are_stops_known=stops is not None,
        gaps=() if assessment is None else assessment.gaps,
    )
    told = _follow_all(cycle)
    worst = _worst(cycle, told)
    account = cycle.clerk.follow(
        worries.account_subject(state, is_fresh=cycle.is_fresh, age=age, memory=memory, terms=terms, worst=worst)
    )
    everything = [account, *told]
    return Decision(
        assessment=assessment,
        state=state,
        level=worst if state is DataState.FRESH else max(worst, Level.UNKNOWN),
        positions=judged.positions,
        pools=judged.pools,
        gaps=cycle.gaps,
        alerts=tuple(one.alert for one in everything if one.alert is not None),
        top_ups=judged.top_ups,
        alert_states=tuple(one.state for one in everything if one.state is not None),
        new_lives=judged.new_lives,
        contenders=judged.contenders,
        are_stops_known=stops is not None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """The rows of this moment, before anything that must last. Empty: nothing was ever read."""

    views: tuple[PositionView, ...] = ()
    positions: tuple[PositionVerdict, ...] = ()
    pools: tuple[PoolVerdict, ...] = ()
    pool_sights: tuple[Sight, ...] = ()  # In the order of `pools`.
    top_ups: tuple[TopUp, ...] = ()
    contenders: tuple[Contender, ...] = ()

    @property
    def new_lives(self) -> tuple[Life, ...]:
        return tuple(one.life for one in self.views if one.is_new and one.life is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cycle:
    clerk: Clerk
    judged: _Judged
    ended: frozenset[PositionKey]
    is_fresh: bool
    live: Mapping[str, Mark]
    age: timedelta | None  # Of the last good read.
    are_stops_known: bool
    gaps: tuple[Gap, ...]

    def looked(self, symbols: Iterable[str]) -> worries.Looked:
        """Return how these symbols were looked at: without a fresh read one live mark among them is enough to warn."""
        is_live = any(symbol in self.live for symbol in symbols)
        return worries.Looked(is_fresh=self.is_fresh, live_over=self.age if is_live else None)

    @property
    def memory(self) -> Memory:
        return self.clerk.memory


def _judge(
    desk: Desk, outlooks: Mapping[PositionKey, Outlook], step: Callable[[str], Decimal], stops: Stops
) -> _Judged:
    pools = desk.assessment.pools
    sights = {pool.name: pool_sight(pool, desk) for pool in pools}
    views = tuple(
        view(figures, desk, sights, outlooks.get(figures.key) or without_candles(figures.key), step)
        for figures in desk.assessment.positions
    )
    planned = plan(views, desk)
    return _Judged(
        views=views,
        positions=tuple(
            position_verdict(one, desk, planned.answers.get(one.figures.key), stops.get(one.figures.key, ()))
            for one in views
        ),
        pools=tuple(pool_verdict(pool, sights[pool.name], desk) for pool in pools),
        pool_sights=tuple(sights[pool.name] for pool in pools),
        top_ups=planned.top_ups,
        contenders=planned.contenders,
    )


def _follow_all(cycle: _Cycle) -> list[Told]:
    """Follow every subject once: what is seen, what has ended, what is missing, and what is merely remembered."""
    followed: dict[str, Told] = {}
    for subject in _seen(cycle):
        followed[subject.name] = cycle.clerk.follow(subject, keep=subjects.is_ladder(subject.name))
    followed |= _cross_positions(cycle, followed)
    for subject in _gone(cycle):
        followed.setdefault(subject.name, cycle.clerk.end(subject))
    for subject in _missing(cycle):
        followed.setdefault(subject.name, cycle.clerk.follow(subject))
    for name in cycle.memory.alerts:
        if name != subjects.ACCOUNT and name not in followed:
            followed[name] = cycle.clerk.follow(_absent(name, cycle), keep=True)
    return list(followed.values())


def _seen(cycle: _Cycle) -> Iterable[Subject]:
    memory, terms = cycle.memory, cycle.clerk.terms
    for pool, sight in zip(cycle.judged.pools, cycle.judged.pool_sights, strict=True):
        state = memory.alerts.get(subjects.pool(pool.figures.name))
        symbols = {row.key.symbol for row in cycle.judged.positions if row.figures.pool_name == pool.figures.name}
        looked = cycle.looked(symbols)
        yield from worries.pool_subjects(pool, sight, looked=looked, state=state, ladder=terms.ladder)
    for row, one in zip(cycle.judged.positions, cycle.judged.views, strict=True):
        yield from worries.position_subjects(
            row,
            one,
            looked=cycle.looked([row.key.symbol]),
            are_stops_known=cycle.are_stops_known,
            memory=memory,
            terms=terms,
        )
        yield worries.index_subject(row, cycle.live.get(row.key.symbol), one.ladder)


def _cross_positions(cycle: _Cycle, followed: Mapping[str, Told]) -> dict[str, Told]:
    """Give each cross position its pool's level in force, untold: so that it is known how it stood when it vanishes."""
    levels: dict[str, Told] = {}
    for row in cycle.judged.positions:
        pool = followed.get(subjects.pool(row.figures.pool_name or ""))
        if row.figures.position.margin_mode is not MarginMode.CROSS or pool is None or pool.state is None:
            continue
        name = subjects.position(row.key)
        before = cycle.memory.alerts.get(name) or subjects.new_state(name, cycle.clerk.now)
        level = pool.state.level
        state = AlertState(subject=name, level=level, since=before.since if before.level is level else cycle.clerk.now)
        told_by_pool = replace(
            absent(name, reason="it is cross now: its pool tells for it", repeat_interval=None), position=row
        )
        levels[name] = Told(state=state, alert=cycle.clerk.let_go(before, told_by_pool))
    return levels


def _gone(cycle: _Cycle) -> Iterable[Subject]:
    """Yield the subjects of positions proven gone, and of pools that nothing leans on any more."""
    if not cycle.is_fresh:
        return
    for key in sorted(cycle.ended):
        for name in subjects.of_position(key):
            # Its own end says what to do; the worries about it only end.
            what = "position is gone: closed, liquidated or ADL; check"
            yield absent(name, reason=what if subjects.is_ladder(name) else "position is gone", repeat_interval=None)
    listed = {row.key for row in cycle.judged.positions}
    if subjects.remembered_positions(cycle.memory) <= listed | cycle.ended:
        seen = {pool.figures.name for pool in cycle.judged.pools}
        for pool in sorted(subjects.remembered_pools(cycle.memory) - seen):
            for name in subjects.of_pool(pool):
                yield absent(name, reason=f"no cross position is left in {pool}; check", repeat_interval=None)


def _missing(cycle: _Cycle) -> Iterable[Subject]:
    """Yield the worry about each position that should be listed and is not."""
    listed = {row.key for row in cycle.judged.positions} | cycle.ended
    reasons = dict.fromkeys(subjects.remembered_positions(cycle.memory), "not listed, and not proven gone")
    reasons |= {gap.key: gap.reason for gap in cycle.gaps if gap.key is not None}
    for key in sorted(reasons.keys() - listed):
        name = subjects.unseen(subjects.position(key))
        yield worries.missing_position(name, reasons[key], is_fresh=cycle.is_fresh, ladder=cycle.clerk.terms.ladder)


def _absent(name: str, cycle: _Cycle) -> Subject:
    key = subjects.key_of(name)
    reason = next((gap.reason for gap in cycle.gaps if key is not None and gap.key == key), "not seen now")
    level = cycle.memory.alerts[name].level
    interval = repeat_interval(cycle.clerk.terms.ladder, level)
    return absent(name, reason=f"{reason}; it was at {level.word} when last seen", repeat_interval=interval)


def _worst(cycle: _Cycle, told: Iterable[Told]) -> Level:
    """Return the worst of all rows, and of what is remembered or missing and has no row."""
    listed = {row.key for row in cycle.judged.positions}
    rows = {subjects.position(key) for key in listed}
    rows |= {subjects.pool(pool.figures.name) for pool in cycle.judged.pools}
    levels = [row.level for row in cycle.judged.positions] + [pool.level for pool in cycle.judged.pools]
    states = (one.state for one in told if one.state is not None)
    levels.extend(
        max(state.level, Level.UNKNOWN)
        for state in states
        if subjects.is_ladder(state.subject) and state.subject not in rows
    )
    if any(gap.key is not None and gap.key not in listed | cycle.ended for gap in cycle.gaps):
        levels.append(Level.UNKNOWN)
    return max(levels, default=Level.OK)
