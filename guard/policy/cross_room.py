"""How much may leave a wallet before the cross pool that leans on it would end in danger: cross comes first."""

from decimal import Decimal

from guard.margin import MarginPool, PresentPool, crossings, distance_of, shock, with_margin


def room_of(pool: MarginPool, *, danger: Decimal, most: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step`, at most `most`, that leaves the pool farther than `danger` from its end.

    Amounts are in the pool's currency. Zero where the pool is in danger already: then every amount makes it worse.
    """
    if not pool.legs:
        return most

    def is_safe(steps: int) -> bool:
        distance = distance_without(pool, steps * step)
        return distance is None or distance > danger

    high = int(most // step)
    if is_safe(high):
        return high * step
    low = 0
    if not is_safe(low):
        return Decimal(0)
    while high - low > 1:  # `low` is safe, `high` is not.
        middle = (low + high) // 2
        low, high = (middle, high) if is_safe(middle) else (low, middle)
    return low * step


def distance_without(pool: MarginPool, amount: Decimal) -> Decimal | None:
    """Return a pool's distance with so much less collateral: the worst of each coin alone and of all together.

    None: no price liquidates it.
    """
    reduced = PresentPool(with_margin(pool, -amount))
    alone = [distance_of(crossings(reduced, leg), leg.mark_price) for leg in pool.legs]
    together = [abs(move) for move in shock(reduced) if move is not None]
    return min((distance for distance in [*alone, *together] if distance is not None), default=None)
