"""What adding margin to an isolated position does, and how much of it a distance costs."""

from dataclasses import replace
from decimal import Decimal

from guard.margin.arithmetic import ONE, ZERO, exact, finished_up
from guard.margin.curve import INFINITY, Lowest
from guard.margin.figures import Crossings
from guard.margin.liquidation import crossings, distance_to, present
from guard.margin.moves import one_coin
from guard.margin.pool import Leg, MarginPool
from guard.margin.present import PresentPool
from guard.margin.requirement import contract_value, isolated_pool, of_leg
from guard.margin.rule import MarginRule
from guard.margin.tier_table import TierTable
from guard.snapshot import Collateral, Contract, LiquidationKind, Side

# Where margin must be strictly more than some amount (a bracket's edge that is only touched by it), this share of the
# notional is more: far below any exchange's step, far above the precision of the model.
_HAIR = Decimal("1e-30")


@exact
def with_margin(pool: MarginPool, extra: Decimal, asset: str | None = None) -> MarginPool:
    """Return the pool as it is with `extra` more in its wallet of an asset (negative: less). None: of its own currency.

    Another asset has a row already, for only that states its price.
    """
    asset, rows = asset or pool.currency, pool.collateral
    if all(row.asset != asset for row in rows):
        assert asset == pool.currency
        rows = (*rows, Collateral(asset=asset, wallet_balance=ZERO, price=ONE, haircut=ZERO))
    changed = (replace(row, wallet_balance=row.wallet_balance + extra) if row.asset == asset else row for row in rows)
    return replace(pool, collateral=tuple(changed))


def liquidation_with_margin(pool: MarginPool, leg: Leg, extra: Decimal) -> Crossings:
    """Return where the pool would be liquidated with `extra` more margin: after a budget, the guarded price."""
    return crossings(with_margin(pool, extra), leg)


@exact
def margin_to_distance(pool: MarginPool | PresentPool, leg: Leg, distance: Decimal) -> Decimal:
    """Return the least extra margin with which no price nearer than `distance` liquidates the pool, unrounded, >= 0.

    `distance` is |mark - price| / mark; being liquidated at no price at all counts as reached. The margin that
    suffices is the deepest point of balance less requirement between both ends: brackets that jump on the way count.
    Infinity: no finite amount does (an inverse long asked for a distance of 1).
    """
    lowest = _lowest_within(present(pool), leg, distance)
    if lowest.value > 0:
        return ZERO
    hair = of_leg(leg).notional * _HAIR if lowest.reached else ZERO
    return finished_up(hair - lowest.value)


@exact
def margin_to_outlast(pool: MarginPool | PresentPool, leg: Leg, price: Decimal) -> Decimal:
    """Return the least extra margin with which nothing liquidates the pool on the leg's way to a price and at it, >= 0.

    The other coins stand still. In the pool's currency, unrounded.
    """
    factor = price / leg.mark_price
    lowest = _lowest_between(present(pool), leg, min(ONE, factor), max(ONE, factor))
    return ZERO if lowest.value > 0 else finished_up(of_leg(leg).notional * _HAIR - lowest.value)


@exact
def idle_margin(pool: MarginPool | PresentPool, leg: Leg, distance: Decimal) -> Decimal:
    """Return how much margin could be missing and every price nearer than `distance` would still not liquidate. >= 0.

    Rounded down in its last digit. Whether an exchange lets it be taken out is another matter.
    """
    return max(ZERO, -finished_up(-_lowest_within(present(pool), leg, distance).value))


def _lowest_within(now: PresentPool, leg: Leg, distance: Decimal) -> Lowest:
    return _lowest_between(now, leg, max(ZERO, 1 - distance), 1 + distance)


def _lowest_between(now: PresentPool, leg: Leg, lower: Decimal, upper: Decimal) -> Lowest:
    """Return the deepest point of balance less requirement while the leg's coin is between two multiples of now."""
    move = one_coin(leg.contract.base)
    if now.inverts(move):
        lower, upper = 1 / upper, 1 / lower if lower else INFINITY
    return now.curve(move).lowest_between(lower, upper)


@exact
def birth_distance(
    *,
    contract: Contract,
    side: Side,
    quantity: Decimal,
    entry_price: Decimal,
    leverage: Decimal,
    tiers: TierTable,
    rule: MarginRule,
) -> Decimal | None:
    """Return the distance a position is born with: at its entry price, with entry notional / leverage as its wallet.

    Zero: it is born past its liquidation. None: no positive price liquidates it.
    """
    leg = Leg(
        contract=contract,
        side=side,
        quantity=quantity,
        entry_price=entry_price,
        mark_price=entry_price,
        tiers=tiers,
        rule=rule,
    )
    wallet = contract_value(contract, quantity, entry_price) / leverage
    return distance_of(crossings(isolated_pool(leg, wallet), leg), entry_price)


@exact
def distance_of(crossings: Crossings, mark_price: Decimal) -> Decimal | None:
    """Return |mark - liquidation| / mark. Zero: past. None: none or unknown; `crossings.nearest.kind` says which."""
    if crossings.nearest.kind is LiquidationKind.PAST:
        return ZERO
    if crossings.nearest.price is None:
        return None
    return distance_to(crossings.nearest.price, mark_price)
