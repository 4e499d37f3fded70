"""Whether a position whose trigger is breached gets money now, how much, and if not, why not."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from guard.margin import MarginPool, distance_of, idle_margin, liquidation_with_margin, margin_to_distance, with_margin
from guard.margin.figures import PositionFigures
from guard.policy.budget import Case, Desk, Room, action_room, in_full_dollars, most_left, rooms, smallest
from guard.policy.decision import DataState, TopUp, Withheld, WithheldReason
from guard.policy.freshness import may_be_spent_on
from guard.policy.left_out import already_added
from guard.policy.phrases import money_left, money_needed, percent
from guard.policy.terms import Level, Mode
from guard.snapshot import LiquidationKind

CLEAR_ABOVE_TRIGGER = Decimal("0.02")  # "Its clear level" of law 9: the trigger in force + 2 points.
MISSES_MAX = 2  # So many acts in a row without effect stop acting.


def judge(case: Case, desk: Desk) -> TopUp | Withheld:
    """Return the top-up that all limits allow now, or the first reason to withhold it."""
    withheld = next((found for stop in _STOPS if (found := stop(case, desk)) is not None), None)
    if withheld is not None:
        return withheld
    in_total = rooms(case, desk)
    one_act = action_room(case, desk)
    if isinstance(in_total, Withheld):
        return in_total
    if isinstance(one_act, Withheld):
        return one_act
    return _cooling_down(case, desk) or _priced(case, desk, in_total, one_act)


def as_near_as_said(figures: PositionFigures) -> MarginPool | None:
    """Return the position's pool, less what makes it end where the exchange's nearer price says (law 6).

    None: not modelled. Money is reckoned on this pool, so that a target is reached by the stricter of both.
    """
    pool, leg, distance = figures.pool, figures.leg, figures.distance
    if pool is None or leg is None:
        return None
    ours = distance_of(figures.crossings, leg.mark_price)
    if distance is None or (ours is not None and ours <= distance):
        return pool
    # Taken away first, so that the answer is never cut off at zero: more than the position can hold.
    away = figures.notional + max(Decimal(0), figures.margin_balance or Decimal(0))
    given_back = margin_to_distance(with_margin(pool, -away), leg, distance)
    return with_margin(pool, min(Decimal(0), given_back - away))


def clear_level(case: Case) -> Decimal:
    return case.trigger + CLEAR_ABOVE_TRIGGER


def margin_needed(case: Case, distance: Decimal) -> Decimal | None:
    """Return the margin that restores a distance, unrounded; 0: none. None: not modelled, or no amount does."""
    if case.pool is None or case.leg is None:
        return None
    needed = margin_to_distance(case.pool, case.leg, distance)
    return needed if needed.is_finite() else None


def margin_beyond(case: Case, distance: Decimal) -> Decimal | None:
    """Return the margin that a distance does not need, unrounded; 0: none. None: not modelled."""
    return None if case.pool is None or case.leg is None else idle_margin(case.pool, case.leg, distance)


def rounded_up(amount: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of the exchange's step that is at least the amount."""
    whole = rounded_down(amount, step)
    return whole if whole >= amount else whole + step


def rounded_down(amount: Decimal, step: Decimal) -> Decimal:
    return amount // step * step


def _priced(case: Case, desk: Desk, in_total: Sequence[Room], one_act: Room | None) -> TopUp | Withheld:
    """Return what the limits leave of the amount that restores the target."""
    bounds = [*in_total, *([one_act] if one_act is not None else [])]
    empty = next((room for room in bounds if room.left < case.step), None)
    wanted = margin_needed(case, case.top_up.target)
    if empty is not None:
        return Withheld(reason=empty.reason, text=f"{empty.text}; {_wanted_text(wanted, case)} wanted")
    hopeless = _cannot_save(case, in_total, desk)
    if hopeless is not None:
        return hopeless
    tightest = smallest(bounds)
    amount = None if wanted is None else max(case.step, rounded_up(wanted, case.step))
    cut_by: str | None = None
    if tightest is not None and (amount is None or tightest.left < amount):
        amount, cut_by = rounded_down(tightest.left, case.step), tightest.name
    if amount is None:  # Only with `when_short = "spend"`, no limit at all and a target that no amount reaches.
        return Withheld(reason=WithheldReason.CANNOT_SAVE, text=_unreachable(case))
    return top_up_of(case, desk, amount, cut_by)


def _cannot_save(case: Case, in_total: Sequence[Room], desk: Desk) -> Withheld | None:
    """Law 9: no money goes where all that may still be spent cannot restore the clear level."""
    if case.top_up.when_short_spend:
        return None
    clear = clear_level(case)
    needed, left = margin_needed(case, clear), most_left(in_total)
    if needed is None:
        return Withheld(reason=WithheldReason.CANNOT_SAVE, text=_unreachable(case))
    if left is None or rounded_up(needed, case.step) <= rounded_down(left, case.step):
        return None
    tightest = smallest(in_total)
    why = "" if tightest is None else f" ({tightest.text}{already_added(case, tightest.reason, desk)})"
    text = (
        f"your budget cannot save this: needs {money_needed(needed, case.settle)} to reach {percent(clear)}, "
        f"{money_left(left, case.settle)} can be spent{why}"
    )
    return Withheld(reason=WithheldReason.CANNOT_SAVE, text=text)


def top_up_of(case: Case, desk: Desk, amount: Decimal, cut_by: str | None) -> TopUp:
    """Return the top-up of a breached, modelled position by an amount that the limits allow."""
    assert case.pool is not None  # _not_modelled stood before.
    assert case.leg is not None
    assert case.figures.distance is not None  # It is breached.
    after = liquidation_with_margin(case.pool, case.leg, amount)
    # At no price is as far as it gets: a long that would outlive a price of zero has the whole mark between.
    reached = distance_of(after, case.leg.mark_price)
    before = case.figures.distance
    return TopUp(
        key=case.key,
        rule=case.rule.name,
        amount=amount,
        currency=case.settle,
        dollars=in_full_dollars(amount, case, desk),
        trigger=case.trigger,
        target=case.top_up.target,
        distance_before=before,
        distance_after=Decimal(1) if reached is None else reached,
        liquidation_after=after.nearest.price,
        cut_by=cut_by,
        priority=case.top_up.priority,
        mode=case.mode,
        reason=f"distance {percent(before)} is at or below the trigger {percent(case.trigger)}"
        + (f"; made smaller by {cut_by}" if cut_by else ""),
    )


def _mode(case: Case, _desk: Desk) -> Withheld | None:
    if case.mode > Mode.OBSERVE:
        return None
    return Withheld(reason=WithheldReason.MODE, text="mode observe: guard only looks")


def _disarmed(case: Case, desk: Desk) -> Withheld | None:
    if case.mode < Mode.ACT or desk.memory.armed:
        return None
    because = desk.memory.disarmed_because or "no reason was written"
    return Withheld(reason=WithheldReason.DISARMED, text=f"disarmed: {because}")


def _spending_not_known(_case: Case, desk: Desk) -> Withheld | None:
    if desk.memory.spending_known:
        return None
    reason = WithheldReason.SPENDING_NOT_KNOWN
    return Withheld(reason=reason, text=f"{reason.value}: no limit can be checked")


def _outcome_unknown(case: Case, _desk: Desk) -> Withheld | None:
    if case.life is None or not case.life.has_open_intent:
        return None
    reason = WithheldReason.OUTCOME_UNKNOWN
    return Withheld(reason=reason, text=f"{reason.value}: nothing more is sent before it is, or can no longer happen")


def _too_old(_case: Case, desk: Desk) -> Withheld | None:
    age = desk.assessment.snapshot.age(desk.now)
    if desk.state is DataState.FRESH and may_be_spent_on(age, desk.terms.data_age):
        return None
    allowed = desk.terms.data_age.spend_within.total_seconds()
    text = f"the data is {age.total_seconds():.1f} s old, money moves on at most {allowed:g} s"
    return Withheld(reason=WithheldReason.DATA_TOO_OLD, text=text)


def _contradiction(case: Case, desk: Desk) -> Withheld | None:
    if case.leg is None:  # Then the gap says why it is not modelled.
        return None
    gap = next((gap for gap in desk.assessment.gaps if gap.key == case.key), None)
    return None if gap is None else Withheld(reason=WithheldReason.CONTRADICTION, text=f"{gap.subject}: {gap.reason}")


def _no_effect(case: Case, _desk: Desk) -> Withheld | None:
    if case.life is None or case.life.misses < MISSES_MAX:
        return None
    text = f"the last {case.life.misses} top-ups did not have their effect: look at the position at the exchange"
    return Withheld(reason=WithheldReason.NO_EFFECT, text=text)


def _rival(case: Case, _desk: Desk) -> Withheld | None:
    if case.life is None or case.life.rival is None:
        return None
    text = (
        f"somebody else added {case.life.rival} together with guard: is another guard running on this account? "
        "(`guard arm` goes on)"
    )
    return Withheld(reason=WithheldReason.RIVAL, text=text)


def _exchange_tops_up(case: Case, _desk: Desk) -> Withheld | None:
    if case.figures.position.auto_add_margin is not True:
        return None
    text = "the exchange's own auto-margin is on for it: switch one of the two off"
    return Withheld(reason=WithheldReason.EXCHANGE_TOPS_UP, text=text)


def _not_modelled(case: Case, desk: Desk) -> Withheld | None:
    if case.leg is not None and case.pool is not None and case.life is not None:
        return None
    gap = next((gap for gap in desk.assessment.gaps if gap.key == case.key), None)
    text = "the position cannot be modelled" if gap is None else gap.reason
    return Withheld(reason=WithheldReason.NOT_MODELLED, text=text)


def _cooling_down(case: Case, desk: Desk) -> Withheld | None:
    """Critical bypasses the wait; nothing bypasses a limit. A clock that stepped back does not end it."""
    last = None if case.life is None else case.life.last_top_up_at
    if last is None or case.level is Level.CRITICAL or desk.now - last >= case.top_up.cooldown:
        return None
    wait = (case.top_up.cooldown - (desk.now - last)).total_seconds()
    text = f"cooling down: the last top-up was at {last:%H:%M:%S} UTC, the next may be in {wait:.0f} s"
    return Withheld(reason=WithheldReason.COOLING_DOWN, text=text)


def _wanted_text(wanted: Decimal | None, case: Case) -> str:
    return "more than any amount" if wanted is None else money_needed(wanted, case.settle)


def _unreachable(case: Case) -> str:
    return f"your budget cannot save this: no amount of margin reaches {percent(clear_level(case))}"


_STOPS: tuple[Callable[[Case, Desk], Withheld | None], ...] = (
    _mode,
    _disarmed,
    _spending_not_known,
    _outcome_unknown,
    _too_old,
    _contradiction,
    _no_effect,
    _rival,
    _exchange_tops_up,
    _not_modelled,
)


def guarded_price(case: Case, extra: Decimal) -> Decimal | None:
    """Return our liquidation price after so much more margin, quote per base. None: none, past or not modelled."""
    figures = case.figures
    if figures.pool is None or figures.leg is None:
        return None
    if figures.liquidation.kind is LiquidationKind.PAST:
        return None
    return liquidation_with_margin(figures.pool, figures.leg, rounded_down(extra, case.step)).nearest.price
