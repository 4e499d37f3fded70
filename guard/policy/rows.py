"""An account as one element of `status --json` (design 4.2): every key, in its order, figures unrounded."""

from datetime import datetime, timedelta

from guard.margin import decimal_text, pool_fields, position_fields
from guard.policy.decision import Contender, Decision, PoolVerdict, PositionVerdict
from guard.policy.stops import of_a_part_only
from guard.policy.terms import Mode
from guard.snapshot import Gap

_STOPS_GAP = Gap(subject="stop_price", reason="the standing orders were not read")
_OUTLOOK_GAP = Gap(subject="sigmas, touch_probability", reason="not measured yet")


def account_row(decision: Decision, *, account: str, exchange: str, mode: Mode, now: datetime) -> dict[str, object]:
    """Return one account of the status document. `data_age_s` is null where nothing was ever read."""
    age = None if decision.assessment is None else decision.assessment.snapshot.age(now)
    gaps = list(decision.gaps)
    if any(row.outlook.gap is not None for row in decision.positions):
        gaps.append(_OUTLOOK_GAP)  # Once, not once per position: the same is missing everywhere.
    if decision.positions and not decision.are_stops_known:
        gaps.append(_STOPS_GAP)
    return {
        "account": account,
        "exchange": exchange,
        "mode": mode.word,
        "state": decision.state.value,
        "data_age_s": None if age is None else age / timedelta(seconds=1),
        "level": decision.level.word,
        "pools": [pool_row(pool) for pool in decision.pools],
        "positions": [position_row(row) for row in decision.positions],
        "gaps": [{"subject": gap.subject, "reason": gap.reason} for gap in gaps],
        "contenders": [contender_row(contender) for contender in decision.contenders],
    }


def position_row(verdict: PositionVerdict) -> dict[str, object]:
    """Return a position's row. Amounts are decimal strings in the row's `currency`."""
    outlook = verdict.outlook
    chances = outlook.touch_probability
    trigger = None if verdict.trigger_note is None else f"trigger: {verdict.trigger_note}"
    part_only = None if verdict.stop is None else of_a_part_only(verdict.stop)
    told = (verdict.reason, trigger, verdict.stop_unpriced, part_only)
    reason = "; ".join(part for part in told if part is not None)
    return {
        **position_fields(verdict.figures),
        "guarded_liquidation_price": decimal_text(verdict.guarded_liquidation_price),
        "sigmas": None if outlook.sigmas is None else repr(outlook.sigmas),
        "touch_probability": None
        if chances is None
        else {horizon: repr(chance) for horizon, chance in chances.items()},
        "stop_price": None if verdict.stop is None else decimal_text(verdict.stop.trigger_price),
        "trigger": decimal_text(verdict.trigger),
        "money_to_target": decimal_text(verdict.money_to_target),
        "budget_left": decimal_text(verdict.budget_left),
        "rule": None if verdict.rule is None else verdict.rule.name,
        "withheld": None if verdict.withheld is None else verdict.withheld.text,
        "level": verdict.level.word,
        "reason": reason,
        "idle_margin": decimal_text(verdict.idle_margin),
    }


def contender_row(contender: Contender) -> dict[str, object]:
    """Return one of those that need the same money. Amounts are decimal strings in its `currency`."""
    return {
        "symbol": contender.key.symbol,
        "side": contender.key.side.word,
        "currency": contender.currency,
        "mode": contender.mode.word,
        "priority": contender.priority,
        "is_saved": contender.is_saved,
        "amount": decimal_text(contender.amount),
        "clear": decimal_text(contender.clear),
        "money_to_clear": decimal_text(contender.money_to_clear),
        "money_to_target": decimal_text(contender.money_to_target),
        "loss_avoided": decimal_text(contender.loss_avoided),
    }


def pool_row(verdict: PoolVerdict) -> dict[str, object]:
    """Return a cross pool's row. Amounts are decimal strings in the row's `currency`."""
    return {
        **pool_fields(verdict.figures),
        "reserve": decimal_text(verdict.reserve),
        "spendable": decimal_text(verdict.spendable),
        "level": verdict.level.word,
        "reason": verdict.reason,
    }
