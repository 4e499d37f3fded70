"""The row of each position and pool: its level of this moment and why, and where it stands against its rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from guard.margin.figures import PoolFigures, PositionFigures
from guard.outlook import Outlook
from guard.policy import subjects
from guard.policy.budget import Case, Desk, most_left, reserve_of, rooms
from guard.policy.decision import DataState, PoolVerdict, PositionVerdict, TopUp, Triage, Withheld, WithheldReason
from guard.policy.holds import Signal
from guard.policy.ladder import instant_level, signals
from guard.policy.lives import new_life, trigger_in_force
from guard.policy.memory import NO_LEGACY, Life
from guard.policy.rescue import as_near_as_said, guarded_price, margin_beyond, margin_needed
from guard.policy.rules import matching_rule, mode_in_force
from guard.policy.stops import behind_liquidation, of_its_mode, stop_that_counts, unpriced
from guard.policy.terms import Ladder, Level, Mode, Rule
from guard.policy.triage import triage
from guard.snapshot import LiquidationKind, MarginMode, StopOrder

# Accounts that no model covers are watched by the exchange's own ratio (1 is liquidation). Exchanges' apps warn in
# these steps: 80 % is Binance's second warning, 90 % its last.
RATIO_RUNGS = {Level.DANGER: Decimal("0.8"), Level.CRITICAL: Decimal("0.9")}
RATIO_CLEAR = Decimal("0.05")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What this moment shows of a subject, before anything that must last."""

    level: Level
    reason: str
    unseen: str | None  # Why its liquidation is not known, or not to be trusted. None: it is known.
    signals: tuple[Signal, ...] | None  # What it says of each rung. None: nothing.


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """A position on its way to a verdict."""

    figures: PositionFigures
    outlook: Outlook
    rule: Rule | None
    ladder: Ladder
    life: Life | None
    is_new: bool  # Its life begins with this decision.
    sight: Sight
    case: Case | None  # None: it has no budget.


def pool_sight(figures: PoolFigures, desk: Desk) -> Sight:
    """Return what is seen of a cross pool. Sigmas are a matter of one coin: a pool has none."""
    ladder = without_sigmas(desk.terms.ladder)
    level, reason = instant_level(figures.distance, None, ladder)
    said = signals(figures.distance, None, ladder)
    match figures.liquidation.kind:
        case LiquidationKind.UNKNOWN:
            return _unmodelled_pool(figures, desk, ladder)
        case LiquidationKind.PAST:
            level, reason = Level.CRITICAL, "the pool's balance is at or below its requirement"
        case _ if not (figures.pool and figures.pool.legs):
            reason = "nothing leans on it"
        case _:
            pass
    return Sight(level=level, reason=reason, unseen=None, signals=said)


def _unmodelled_pool(figures: PoolFigures, desk: Desk, ladder: Ladder) -> Sight:
    """Return what is seen of a pool without a model: the exchange's own ratio and the exchange's own prices."""
    ratio = figures.exchange_margin_ratio
    unseen = next((gap.reason for gap in desk.assessment.gaps if gap.subject == figures.name), "it is not modelled")
    if ratio is not None:
        unseen = f"{unseen}: {ratio * 100:.1f} %, 100 % is liquidation"
    level, reason = instant_level(figures.distance, None, ladder)
    said = [replace(signal, cleared=False) for signal in signals(figures.distance, None, ladder)]
    if ratio is not None:
        said = [
            _or_by_ratio(signal, ratio, rung.distance, figures) for signal, rung in zip(said, ladder.rungs, strict=True)
        ]
    by_ratio = max((r for r, share in RATIO_RUNGS.items() if ratio is not None and ratio >= share), default=Level.OK)
    return Sight(
        level=max(level, by_ratio, Level.UNKNOWN),
        reason=f"{unseen}; {reason}" if level > Level.UNKNOWN else unseen,
        unseen=unseen,
        signals=tuple(said),
    )


def _or_by_ratio(signal: Signal, ratio: Decimal, distance: Decimal, figures: PoolFigures) -> Signal:
    """Return a rung's signal where the exchange's own ratio speaks as well; it clears five points below its rung."""
    share = RATIO_RUNGS.get(signal.level)
    is_far = figures.distance is None or figures.distance > distance
    if share is None:
        return replace(signal, cleared=is_far)
    return replace(signal, reached=signal.reached or ratio >= share, cleared=is_far and ratio < share - RATIO_CLEAR)


def view(
    figures: PositionFigures,
    desk: Desk,
    pools: Mapping[str, Sight],
    outlook: Outlook,
    step: Callable[[str], Decimal],
) -> PositionView:
    """Return a position with its rule, its life, its level of this moment and its budget case."""
    position = figures.position
    rule = matching_rule(desk.terms, figures.key, position.margin_mode)
    ladder = desk.terms.ladder if rule is None else rule.ladder
    known = desk.memory.lives.get(figures.key)
    legacy = desk.memory.legacies.get(figures.key, NO_LEGACY)
    life = known or new_life(figures, account=desk.terms.account, now=desk.now, legacy=legacy)
    sight = _position_sight(figures, desk, outlook, ladder, pools)
    case: Case | None = None
    if rule is not None and rule.top_up is not None and position.margin_mode is MarginMode.ISOLATED:
        case = Case(
            figures=figures,
            rule=rule,
            top_up=rule.top_up,
            mode=mode_in_force(desk.terms, rule),
            life=life,
            level=sight.level,
            trigger=trigger_in_force(rule.top_up, life)[0],
            leg=figures.leg,
            pool=as_near_as_said(figures),
            step=step(position.contract.settle),
        )
    return PositionView(
        figures=figures,
        outlook=outlook,
        rule=rule,
        ladder=ladder,
        life=life,
        is_new=known is None and life is not None,
        sight=sight,
        case=case,
    )


def plan(views: tuple[PositionView, ...], desk: Desk) -> Triage:
    """Judge every position whose trigger is breached."""
    return triage((one.case for one in views if one.case is not None and one.case.is_breached), desk)


def position_verdict(
    one: PositionView, desk: Desk, answer: TopUp | Withheld | None, stops: Sequence[StopOrder] = ()
) -> PositionVerdict:
    """Return a position's row. `answer` is given where its trigger is breached."""
    stops = of_its_mode(one.figures, stops)
    stop = stop_that_counts(one.figures, stops)
    case = one.case
    level, reason = _level_with_memory(one.sight, desk, _ladder_subject(one.figures))
    if answer is None and case is None:
        answer = _nobody_tops_up(one, level)
    row = PositionVerdict(
        figures=one.figures,
        outlook=one.outlook,
        level=level,
        reason=reason,
        rule=one.rule,
        trigger=None,
        trigger_note=None,
        money_to_target=None,
        idle_margin=None,
        budget_left=None,
        spendable=None,
        guarded_liquidation_price=None,
        top_up=answer if isinstance(answer, TopUp) else None,
        withheld=answer if isinstance(answer, Withheld) else None,
        stop=stop,
        stop_trouble=None if stop is None else behind_liquidation(stop, one.figures),
        stop_unpriced=unpriced(stops),
    )
    if case is None:
        own = one.figures.liquidation.price if one.figures.position.margin_mode is MarginMode.ISOLATED else None
        return replace(row, guarded_liquidation_price=own)
    return _against_its_rule(row, case, desk)


def pool_verdict(figures: PoolFigures, sight: Sight, desk: Desk) -> PoolVerdict:
    """Return a pool's row, with the largest reserve that a rule of this account keeps in its wallet."""
    level, reason = _level_with_memory(sight, desk, subjects.pool(figures.name))
    wallet = desk.assessment.snapshot.wallet(*figures.purse)
    reserve: Decimal | None = None
    if wallet is not None:
        rules = (rule for rule in desk.terms.rules if rule.top_up is not None)
        asked = (reserve_of(rule.top_up, wallet, desk) for rule in rules if rule.top_up is not None)
        reserve = max((amount for amount in asked if amount is not None), default=None)
    spendable = None
    if reserve is not None and figures.available is not None:
        spendable = max(Decimal(0), figures.available - reserve)
    return PoolVerdict(figures=figures, level=level, reason=reason, reserve=reserve, spendable=spendable)


def _against_its_rule(row: PositionVerdict, case: Case, desk: Desk) -> PositionVerdict:
    trigger, note = trigger_in_force(case.top_up, case.life)
    found = rooms(case, desk) if desk.memory.spending_known else None
    total: Decimal | None = None
    budget: Decimal | None = None
    spendable: Decimal | None = None
    if found is not None and not isinstance(found, Withheld):
        of_wallet = {WithheldReason.RESERVE, WithheldReason.CROSS_POOL_NEEDS_IT}
        total = most_left(found)
        budget = most_left([room for room in found if room.reason not in of_wallet])
        spendable = most_left([room for room in found if room.reason is not WithheldReason.CROSS_POOL_NEEDS_IT])
    extra = total if total is not None and case.mode > Mode.OBSERVE else Decimal(0)
    return replace(
        row,
        trigger=trigger,
        trigger_note=note,
        money_to_target=margin_needed(case, case.top_up.target),
        idle_margin=margin_beyond(case, case.top_up.target),
        budget_left=budget,
        spendable=spendable,
        guarded_liquidation_price=guarded_price(case, extra),
    )


def _position_sight(
    figures: PositionFigures, desk: Desk, outlook: Outlook, ladder: Ladder, pools: Mapping[str, Sight]
) -> Sight:
    gap = next((gap for gap in desk.assessment.gaps if gap.key == figures.key), None)
    if figures.pool_name is not None and figures.pool_name in pools:
        pool = pools[figures.pool_name]
        level = max(pool.level, Level.UNKNOWN) if gap is not None else pool.level
        reason = f"{figures.pool_name}: {pool.reason}" if gap is None else gap.reason
        return Sight(level=level, reason=reason, unseen=None if gap is None else gap.reason, signals=None)
    level, reason = instant_level(figures.distance, outlook.sigmas, ladder)
    if figures.distance_basis == LiquidationKind.PAST:
        level, reason = Level.CRITICAL, "its balance is at or below the requirement"
    said = signals(figures.distance, outlook.sigmas, ladder)
    if figures.distance_basis == LiquidationKind.UNKNOWN:
        unseen = "its liquidation is not known, neither by our model nor by the exchange" if gap is None else gap.reason
        return Sight(level=Level.UNKNOWN, reason=unseen, unseen=unseen, signals=None)
    if gap is None:
        return Sight(level=level, reason=reason, unseen=None, signals=said)
    return Sight(
        level=max(level, Level.UNKNOWN),
        reason=f"{gap.reason}; {reason}" if level > Level.UNKNOWN else gap.reason,
        unseen=gap.reason,
        # What contradicts itself may raise a level, and never lowers one.
        signals=tuple(replace(signal, cleared=False) for signal in said),
    )


def _level_with_memory(sight: Sight, desk: Desk, subject: str) -> tuple[Level, str]:
    """Return a row's level: what is not seen now does not make a danger that was in force any smaller."""
    unseen = sight.unseen
    if desk.state is DataState.BLIND:
        age = desk.assessment.snapshot.age(desk.now) // timedelta(seconds=1)
        unseen = f"not read for {age} s; last seen: {sight.reason}"
    if unseen is None:
        return sight.level, sight.reason
    state = desk.memory.alerts.get(subject)
    held = Level.OK if state is None else state.level
    level = max(sight.level, held, Level.UNKNOWN)
    reason = sight.reason if desk.state is not DataState.BLIND else unseen
    return level, reason if held <= sight.level else f"{reason}; it was at {held.word} when last seen"


def _ladder_subject(figures: PositionFigures) -> str:
    return subjects.position(figures.key) if figures.pool_name is None else subjects.pool(figures.pool_name)


def _nobody_tops_up(one: PositionView, level: Level) -> Withheld | None:
    """Say near liquidation why no money will come: without a budget there is no trigger to be breached."""
    if level < Level.DANGER:
        return None
    if one.figures.position.margin_mode is not MarginMode.ISOLATED:
        return Withheld(reason=WithheldReason.NOT_ISOLATED, text="it is cross: the whole wallet backs it already")
    text = "no rule matches it" if one.rule is None else f"rule {one.rule.name} has no top_up"
    return Withheld(reason=WithheldReason.NO_RULE, text=text)


def without_sigmas(ladder: Ladder) -> Ladder:
    return replace(ladder, rungs=tuple(replace(rung, sigmas=None) for rung in ladder.rungs))
