"""The figures of one position, from its pool's model and from what its exchange says."""

from decimal import Decimal
from typing import NamedTuple

from guard.margin.arithmetic import ZERO, exact, finished
from guard.margin.figures import Crossings, PositionFigures
from guard.margin.liquidation import UNKNOWN, bankruptcy_price, crossings, crossings_between, distance_to, ends
from guard.margin.pool import Leg, MarginPool
from guard.margin.present import PresentLeg, PresentPool
from guard.margin.requirement import contract_value, isolated_pool, leg_of, of_leg
from guard.margin.rule import MaintenanceBasis, MarginRule
from guard.margin.tier_table import TierTable
from guard.snapshot import Liquidation, LiquidationKind, Position, RiskTier

_NOT_MODELLED = Crossings(nearest=UNKNOWN)
_WITHOUT_TIERS = TierTable.of(
    [
        RiskTier(
            notional_floor=ZERO,
            notional_cap=ZERO,
            maintenance_margin_rate=ZERO,
            maintenance_amount=None,
        )
    ]
)


class OfPool(NamedTuple):
    """What a position has from its pool, ready to be shown."""

    pool: MarginPool
    name: str | None  # The cross pool's; None: isolated.
    balance: Decimal
    ratio: Decimal | None
    effective_leverage: Decimal | None


@exact
def isolated_position(
    position: Position, leg: Leg, pool: MarginPool, before: PositionFigures | None = None
) -> PositionFigures:
    """Return all figures of an isolated position. `before`: its figures at another mark, if all else is the same."""
    now = PresentPool(pool)
    found = _unmoved(now, leg, before) or (crossings(pool, leg), bankruptcy_price(now, leg))
    return _figures(position, now.legs[0], found, of_pool(now, None))


@exact
def cross_position(position: Position, index: int, now: PresentPool, shared: OfPool) -> PositionFigures:
    """Return all figures of a cross position: the `index`-th leg of its pool. `shared`: what it has from its pool.

    The pool's balance is said in the position's settle currency, as all of its money is.
    """
    one = now.legs[index]
    if one.leg.contract.settle != now.pool.currency:
        shared = shared._replace(balance=finished(now.balance / one.settle_price))
    return _figures(position, one, ends(now, one.leg), shared)


@exact
def of_pool(now: PresentPool, name: str | None) -> OfPool:
    """Return what every position of a pool has from it."""
    return OfPool(
        pool=now.pool,
        name=name,
        balance=finished(now.balance),
        ratio=_finished(now.ratio),
        effective_leverage=now.effective_leverage(),
    )


def _unmoved(now: PresentPool, leg: Leg, before: PositionFigures | None) -> tuple[Crossings, Decimal | None] | None:
    """Return where a pool of one ends, known from another mark: no mark between its ends moves them."""
    if before is None or leg.rule.maintenance_basis is MaintenanceBasis.CURRENT or now.excess <= 0:
        return None
    mark, ends = leg.mark_price, before.crossings
    if ends.nearest.kind is LiquidationKind.PAST:
        return None
    if (ends.down is not None and mark <= ends.down) or (ends.up is not None and mark >= ends.up):
        return None
    if ends.down is None or ends.up is None:
        return ends, before.bankruptcy_price
    return crossings_between(ends.down, ends.up, mark), before.bankruptcy_price


def _figures(
    position: Position, one: PresentLeg, found: tuple[Crossings, Decimal | None], shared: OfPool
) -> PositionFigures:
    ours, bankruptcy = found
    distance, basis = nearer_distance(ours, position)
    return PositionFigures(
        position=position,
        leg=one.leg,
        pool=shared.pool,
        pool_name=shared.name,
        notional=finished(one.notional),
        unrealized_pnl=finished(one.pnl),
        margin_balance=shared.balance,
        maintenance_margin=finished(one.maintenance),
        requirement=finished(one.requirement),
        margin_ratio=shared.ratio,
        crossings=ours,
        model_gap=_model_gap(ours.nearest, position),
        bankruptcy_price=bankruptcy,
        liquidation=ours.nearest,
        distance=distance,
        distance_basis=basis,
        effective_leverage=shared.effective_leverage,
    )


@exact
def unmodelled_position(position: Position, pool_name: str | None) -> PositionFigures:
    """Return the figures of a position that cannot be modelled: what the exchange says, and what needs no tiers."""
    contract, mark = position.contract, position.mark_price
    notional = contract_value(contract, position.quantity, mark)
    distance, basis = nearer_distance(_NOT_MODELLED, position)
    leg = leg_of(position, _WITHOUT_TIERS, MarginRule())
    wallet = position.isolated_wallet
    alone = None if wallet is None else PresentPool(isolated_pool(leg, wallet))
    return PositionFigures(
        position=position,
        leg=None,
        pool=None,
        pool_name=pool_name,
        notional=finished(notional),
        unrealized_pnl=finished(of_leg(leg).pnl),
        margin_balance=None if alone is None else finished(alone.balance),
        maintenance_margin=position.exchange_maintenance_margin,
        requirement=None,
        margin_ratio=None,
        crossings=_NOT_MODELLED,
        model_gap=None,
        bankruptcy_price=None if alone is None else bankruptcy_price(alone, leg),
        liquidation=position.exchange_liquidation,
        distance=distance,
        distance_basis=basis,
        effective_leverage=None if alone is None else alone.effective_leverage(),
    )


def nearer_liquidation(ours: Liquidation, position: Position) -> Liquidation:
    """Return the nearer of our answer and the exchange's: past before a price, a price before none, then unknown."""
    theirs = position.exchange_liquidation
    ranks = [_RANKS[answer.kind] for answer in (ours, theirs)]
    if ranks[0] != ranks[1]:
        return ours if ranks[0] < ranks[1] else theirs
    if ours.price is None or theirs.price is None:
        return ours
    mark = position.mark_price
    return theirs if abs(theirs.price - mark) < abs(ours.price - mark) else ours


@exact
def nearer_distance(ours: Crossings, position: Position) -> tuple[Decimal | None, str]:
    """Return the distance by the nearer of our price and the exchange's, and whose it is."""
    nearest = nearer_liquidation(ours.nearest, position)
    if nearest.kind is not LiquidationKind.AT:
        return (ZERO if nearest.kind is LiquidationKind.PAST else None), nearest.kind.value
    basis = "model" if nearest is ours.nearest else "exchange"
    assert nearest.price is not None
    return distance_to(nearest.price, position.mark_price), basis


_RANKS = {
    LiquidationKind.PAST: 0,
    LiquidationKind.AT: 1,
    LiquidationKind.NONE: 2,
    LiquidationKind.UNKNOWN: 3,
}


def _model_gap(ours: Liquidation, position: Position) -> Decimal | None:
    theirs = position.exchange_liquidation.price
    if ours.price is None or theirs is None:
        return None
    return finished((ours.price - theirs) / position.mark_price)


def _finished(value: Decimal | None) -> Decimal | None:
    return None if value is None else finished(value)
