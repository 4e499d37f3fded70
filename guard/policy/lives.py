"""The first sight of a position: what is fixed then, and the trigger that is in force by it."""

from datetime import datetime
from decimal import Decimal

from guard.margin import birth_distance, contract_value
from guard.margin.figures import PositionFigures
from guard.policy.memory import NO_LEGACY, Legacy, Life
from guard.policy.phrases import percent
from guard.policy.subjects import stable_id
from guard.policy.terms import TopUpTerms
from guard.snapshot import MarginMode


def new_life(figures: PositionFigures, *, account: str, now: datetime, legacy: Legacy = NO_LEGACY) -> Life | None:
    """Return the life of a position seen for the first time. It goes on with what was spent before (`legacy`).

    None: an isolated one without tiers; what is fixed for its whole life is not fixed before it can be computed.
    """
    position = figures.position
    isolated = position.margin_mode is MarginMode.ISOLATED
    if isolated and figures.leg is None:
        return None
    margin: Decimal | None = None
    if position.leverage is not None and position.leverage > 0:
        margin = contract_value(position.contract, position.quantity, position.entry_price) / position.leverage
    return Life(
        life_id=stable_id(account, figures.key, now.isoformat()),
        key=figures.key,
        first_seen_at=now,
        birth_distance=_birth_distance(figures) if isolated else None,
        initial_margin=margin,
        spent=legacy.spent,
        last_top_up_at=legacy.last_top_up_at,
        has_open_intent=legacy.has_open_intent,
    )


def trigger_in_force(top_up: TopUpTerms, life: Life | None) -> tuple[Decimal, str | None]:
    """Return the distance at which money is added, and a note where it is not plainly the written one."""
    written = percent(top_up.trigger)
    if not top_up.birth_cap:
        return top_up.trigger, None
    if life is None or life.birth_distance is None:
        return top_up.trigger, f"birth distance is not known: the written {written} holds"
    cut = life.birth_distance / 2
    if cut >= top_up.trigger:
        return top_up.trigger, None
    return cut, f"{written} written, cut to {percent(cut)} by the birth distance {percent(life.birth_distance)}"


def _birth_distance(figures: PositionFigures) -> Decimal | None:
    position, leg = figures.position, figures.leg
    if leg is None or position.leverage is None or position.leverage <= 0:
        return None
    return birth_distance(
        contract=position.contract,
        side=position.side,
        quantity=position.quantity,
        entry_price=position.entry_price,
        leverage=position.leverage,
        tiers=leg.tiers,
        rule=leg.rule,
    )
