"""The figures of one position, from its pool's model and from what its exchange says."""

from decimal import Decimal

from guard.margin.added_margin import distance_of, isolated_pool
from guard.margin.arithmetic import ZERO, exact, finished
from guard.margin.figures import Crossings, PositionFigures
from guard.margin.liquidation import UNKNOWN, bankruptcy_price, crossings
from guard.margin.pool import Leg, MarginPool, MarginRule
from guard.margin.requirement import (
    leg_of,
    maintenance_margin,
    margin_balance,
    margin_ratio,
    notional,
    pool_requirement,
    requirement,
    unrealized_pnl,
)
from guard.snapshot import Liquidation, LiquidationKind, Position

_NOT_MODELLED = Crossings(nearest=UNKNOWN)


@exact
def modelled_position(position: Position, leg: Leg, pool: MarginPool, pool_name: str | None) -> PositionFigures:
    """Return all figures of a position whose pool is modelled. `pool_name` is None for an isolated one."""
    balance = margin_balance(pool)
    ours = crossings(pool, leg)
    distance, basis = nearer_distance(ours, position)
    return PositionFigures(
        position=position,
        leg=leg,
        pool=pool,
        pool_name=pool_name,
        notional=finished(notional(leg, position.mark_price)),
        unrealized_pnl=finished(unrealized_pnl(leg, position.mark_price)),
        margin_balance=finished(balance),
        maintenance_margin=finished(maintenance_margin(leg, position.mark_price)),
        requirement=finished(requirement(leg, position.mark_price)),
        margin_ratio=_finished(margin_ratio(pool_requirement(pool), balance)),
        crossings=ours,
        model_gap=_model_gap(ours.nearest, position),
        bankruptcy_price=bankruptcy_price(pool, leg),
        liquidation=ours.nearest,
        distance=distance,
        distance_basis=basis,
    )


@exact
def unmodelled_position(position: Position, pool_name: str | None) -> PositionFigures:
    """Return the figures of a position that cannot be modelled: what the exchange says, and what needs no tiers."""
    leg = leg_of(position, (), MarginRule())
    alone = None if position.isolated_wallet is None else isolated_pool(leg, position.isolated_wallet)
    distance, basis = nearer_distance(_NOT_MODELLED, position)
    return PositionFigures(
        position=position,
        leg=None,
        pool=None,
        pool_name=pool_name,
        notional=finished(notional(leg, position.mark_price)),
        unrealized_pnl=finished(unrealized_pnl(leg, position.mark_price)),
        margin_balance=None if alone is None else finished(margin_balance(alone)),
        maintenance_margin=position.exchange_maintenance_margin,
        requirement=None,
        margin_ratio=None,
        crossings=_NOT_MODELLED,
        model_gap=None,
        bankruptcy_price=None if alone is None else bankruptcy_price(alone, leg),
        liquidation=position.exchange_liquidation,
        distance=distance,
        distance_basis=basis,
    )


def nearer_liquidation(ours: Liquidation, position: Position) -> Liquidation:
    """Return the nearer of our answer and the exchange's: past before a price, a price before none, then unknown."""
    answers = (ours, position.exchange_liquidation)
    return min(answers, key=lambda answer: _rank(answer, position.mark_price))


@exact
def nearer_distance(ours: Crossings, position: Position) -> tuple[Decimal | None, str]:
    """Return the distance by the nearer of our price and the exchange's, and whose it is."""
    nearest = nearer_liquidation(ours.nearest, position)
    if nearest.kind is not LiquidationKind.AT:
        return (ZERO if nearest.kind is LiquidationKind.PAST else None), nearest.kind.value
    basis = "model" if nearest is ours.nearest else "exchange"
    return distance_of(Crossings(nearest=nearest), position.mark_price), basis


def _rank(answer: Liquidation, mark_price: Decimal) -> tuple[int, Decimal]:
    order = (LiquidationKind.PAST, LiquidationKind.AT, LiquidationKind.NONE, LiquidationKind.UNKNOWN)
    return order.index(answer.kind), ZERO if answer.price is None else abs(answer.price - mark_price)


def _model_gap(ours: Liquidation, position: Position) -> Decimal | None:
    theirs = position.exchange_liquidation.price
    if ours.price is None or theirs is None:
        return None
    return finished((ours.price - theirs) / position.mark_price)


def _finished(value: Decimal | None) -> Decimal | None:
    return None if value is None else finished(value)
