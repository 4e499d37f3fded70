"""Where a pool is liquidated and where it is bankrupt: one coin moves, the others stand still; or all move together."""

from decimal import Decimal

from guard.margin.arithmetic import ONE, exact, finished
from guard.margin.curve import fall_above, fall_below, value_at
from guard.margin.figures import Crossings
from guard.margin.moves import EVERY_COIN, Move, balance_line, excess_curve, move_of
from guard.margin.pool import Leg, MarginPool
from guard.snapshot import Liquidation, LiquidationKind

PAST = Liquidation(kind=LiquidationKind.PAST)
NONE = Liquidation(kind=LiquidationKind.NONE)
UNKNOWN = Liquidation(kind=LiquidationKind.UNKNOWN)

_HIGHEST_FACTOR = Decimal(11)  # Shocks are searched up to +1,000 %.


@exact
def crossings(pool: MarginPool, leg: Leg) -> Crossings:
    """Return the prices of a leg at which its pool is liquidated while the leg's coin moves and the others stand.

    Every leg of that coin, and collateral held in it, moves alike. Quote per base, 50 digits, never a tick.
    Source: margin balance = requirement, as in Binance USD-M's liquidation price; tests/golden/published.csv.
    """
    factors = _liquidating_factors(pool, move_of(leg))
    if factors is None:
        return Crossings(nearest=PAST)
    down, up = (None if factor is None or factor <= 0 else finished(leg.mark_price * factor) for factor in factors)
    candidates = [price for price in (down, up) if price is not None]
    if not candidates:
        return Crossings(nearest=NONE)
    nearest = min(candidates, key=lambda price: abs(price - leg.mark_price))
    return Crossings(nearest=Liquidation(kind=LiquidationKind.AT, price=nearest), down=down, up=up)


@exact
def bankruptcy_price(pool: MarginPool, leg: Leg) -> Decimal | None:
    """Return the leg's price at which the pool's margin balance is zero, quote per base. None: at no positive price."""
    move = move_of(leg)
    line = balance_line(pool, move)
    if line.slope * line.constant >= 0:  # Never zero, or zero only at a price of zero or below.
        return None
    dividend, divisor = -line.constant, line.slope
    if move.inverts(pool):
        dividend, divisor = divisor, dividend
    return finished(leg.mark_price * dividend / divisor)


@exact
def shock(pool: MarginPool) -> tuple[Decimal | None, Decimal | None]:
    """Return the uniform moves of all prices, down and up, that liquidate a pool, signed: -0.123 is a fall by 12.3 %.

    Searched from -1 to +10; None: there is none on that side, or the pool is already past.
    """
    factors = _liquidating_factors(pool, EVERY_COIN)
    if factors is None:
        return None, None
    down, up = factors
    return (
        None if down is None else finished(down - 1),
        None if up is None or up > _HIGHEST_FACTOR else finished(up - 1),
    )


def _liquidating_factors(pool: MarginPool, move: Move) -> tuple[Decimal | None, Decimal | None] | None:
    """Return the factors on the moving prices below and above 1 at which the pool ends. None: it has ended already."""
    curve = excess_curve(pool, move)
    if value_at(curve, ONE) <= 0:
        return None
    below, above = fall_below(curve, ONE), fall_above(curve, ONE)
    if not move.inverts(pool):
        return below, above
    return None if above is None else 1 / above, None if below is None or below == 0 else 1 / below
