"""Where a pool is liquidated and where it is bankrupt: one coin moves, the others stand still; or all move together."""

from decimal import Decimal

from guard.margin.alone import ends_alone, is_alone
from guard.margin.arithmetic import ONE, exact, finished
from guard.margin.curve import Curve
from guard.margin.figures import Crossings
from guard.margin.moves import EVERY_COIN, Move, one_coin
from guard.margin.pool import Leg, MarginPool
from guard.margin.present import PresentPool
from guard.snapshot import Liquidation, LiquidationKind

PAST = Liquidation(kind=LiquidationKind.PAST)
NONE = Liquidation(kind=LiquidationKind.NONE)
UNKNOWN = Liquidation(kind=LiquidationKind.UNKNOWN)
_AT = LiquidationKind.AT

_HIGHEST_FACTOR = Decimal(11)  # Shocks are searched up to +1,000 %.

Factors = tuple[Decimal | None, Decimal | None]


@exact
def crossings(pool: MarginPool | PresentPool, leg: Leg) -> Crossings:
    """Return the prices of a leg at which its pool is liquidated while the leg's coin moves and the others stand.

    Every leg of that coin, and collateral held in it, moves alike. Quote per base, 50 digits, never a tick.
    Source: margin balance = requirement, as in Binance USD-M's liquidation price; tests/golden/liquidation_prices.csv.
    """
    mark = leg.mark_price
    if isinstance(pool, MarginPool) and is_alone(pool):
        ends = ends_alone(pool, leg)
        if ends is not None:
            down, up = ends
            return crossings_between(down and finished(down), up and finished(up), mark)
    return _crossings(present(pool), one_coin(leg.contract.base), mark)


@exact
def ends(now: PresentPool, leg: Leg) -> tuple[Crossings, Decimal | None]:
    """Return the crossings of a leg and its bankruptcy price, of one look at its pool."""
    move = one_coin(leg.contract.base)
    excess, balance = now.curves(move)
    return _crossings(now, move, leg.mark_price, excess), _bankruptcy(now, move, leg.mark_price, balance)


def _crossings(now: PresentPool, move: Move, mark_price: Decimal, curve: Curve | None = None) -> Crossings:
    factors = liquidating_factors(now, move, curve)
    if factors is None:
        return Crossings(nearest=PAST)
    down, up = factors
    return crossings_between(
        None if down is None or down <= 0 else finished(mark_price * down),
        None if up is None else finished(mark_price * up),
        mark_price,
    )


def crossings_between(down: Decimal | None, up: Decimal | None, mark_price: Decimal) -> Crossings:
    """Return the crossings of a pool that lives between two prices, seen from a mark between them."""
    if down is None and up is None:
        return Crossings(nearest=NONE)
    nearest = down
    if down is None or (up is not None and up - mark_price < mark_price - down):
        nearest = up
    return Crossings(nearest=Liquidation(kind=_AT, price=nearest), down=down, up=up)


@exact
def distance_to(price: Decimal, mark_price: Decimal) -> Decimal:
    """Return |mark - price| / mark, a fraction."""
    return finished(abs(mark_price - price) / mark_price)


@exact
def bankruptcy_price(pool: MarginPool | PresentPool, leg: Leg) -> Decimal | None:
    """Return the leg's price at which the pool's margin balance is zero, quote per base. None: at no positive price.

    While the balance is positive: the price nearest to the mark; else the nearest at which it would be zero again.
    """
    now, move = present(pool), one_coin(leg.contract.base)
    return _bankruptcy(now, move, leg.mark_price, now.curves(move)[1])


def _bankruptcy(now: PresentPool, move: Move, mark_price: Decimal, balance: Curve) -> Decimal | None:
    down, up = _zeros(balance)
    if now.inverts(move):
        down, up = _inverse(up), _inverse(down)
    prices = [finished(mark_price * factor) for factor in (down, up) if factor is not None and factor > 0]
    return min(prices, key=lambda price: abs(price - mark_price), default=None)


@exact
def shock(pool: MarginPool | PresentPool) -> tuple[Decimal | None, Decimal | None]:
    """Return the uniform moves of all prices, down and up, that liquidate a pool, signed: -0.123 is a fall by 12.3 %.

    Searched from -1 to +10; None: there is none on that side, or the pool is already past.
    """
    factors = liquidating_factors(present(pool), EVERY_COIN)
    if factors is None:
        return None, None
    down, up = factors
    return (
        None if down is None else finished(down - 1),
        None if up is None or up > _HIGHEST_FACTOR else finished(up - 1),
    )


def present(pool: MarginPool | PresentPool) -> PresentPool:
    """Return the pool at its present prices; what is already so comes back."""
    return pool if isinstance(pool, PresentPool) else PresentPool(pool)


def liquidating_factors(now: PresentPool, move: Move, curve: Curve | None = None) -> Factors | None:
    """Return the factors on the moving prices below and above 1 at which the pool ends. None: it has ended already."""
    if now.excess <= 0:
        return None
    curve = curve or now.curve(move)
    below, above = curve.fall_below(), curve.fall_above()
    if not now.inverts(move):
        return below, above
    return _inverse(above), _inverse(below)


def _zeros(curve: Curve) -> Factors:
    """Return where a balance is zero, below and above 1. One that is negative now is asked where it rises to zero."""
    value = curve.constant + curve.slope
    if value == 0:
        return ONE, None
    if value > 0:
        return curve.fall_below(), curve.fall_above()
    return curve.rise_below(), curve.rise_above()


def _inverse(factor: Decimal | None) -> Decimal | None:
    return None if factor is None or factor == 0 else 1 / factor
