"""Books for the stress tests in a word each, and the slow judge of margin pools on its way to any moves of coins."""

from decimal import Decimal
from fractions import Fraction

import margin_judge as judge
from margin_worlds import cross_pool, position_of

from guard.margin import MaintenanceBasis, isolated_pool
from guard.margin.books import Book, BookPool, Holding, cross_book_pool, isolated_book_pool
from guard.snapshot import ContractKind


def holding(leg, wallet=None, beta="1"):
    return Holding(position=position_of(leg, wallet), leg=leg, beta=Decimal(beta))


def isolated(leg, wallet, beta="1"):
    return isolated_book_pool(holding(leg, Decimal(wallet), beta), isolated_pool(leg, Decimal(wallet)))


def cross(*legs, wallet, betas=(), others=()):
    return crossed(cross_pool(*legs, wallet=wallet, others=others), betas)


def crossed(pool, betas=()):
    betas = betas or ["1"] * len(pool.legs)
    held = tuple(holding(leg, beta=beta) for leg, beta in zip(pool.legs, betas, strict=True))
    return cross_book_pool(held, pool)


def book(*pools: BookPool):
    return Book(pools=pools)


def names(keys):
    return [str(key) for key in keys]


# The judge ---------------------------------------------------------------------------------------------------------


def moved(moves, way):
    """Return what one unit of an asset is worth against now, so far on a straight way to these moves."""
    return lambda asset: 1 + Fraction(moves.get(asset, 0)) * way


def excess(pool, moves, way):
    """Return balance less requirement in dollars, a Fraction, so far on the way."""
    prices = moved(moves, way)
    return judge.balance(pool, prices) - judge.requirement(pool, prices)


def judged_way(pool, moves):
    """Return how much of a straight way to these moves is gone when the pool ends, exactly. None: it arrives.

    Between two places at which a tier or a slice changes the excess in dollars is straight, and the judge draws it.
    """
    near = Fraction(0)
    if excess(pool, moves, near) <= 0:
        return near
    for far in (*_stops(pool, moves), Fraction(1)):
        one, other = (2 * near + far) / 3, (near + 2 * far) / 3
        slope = (excess(pool, moves, other) - excess(pool, moves, one)) / (other - one)
        constant = excess(pool, moves, one) - slope * one
        if constant + slope * near <= 0:
            return near
        if slope < 0 and -constant / slope <= far:
            return -constant / slope
        if excess(pool, moves, far) <= 0:
            return far
        near = far
    return None


def _stops(pool, moves):
    """Return every place on the way, ascending, at which a tier or a slice may change."""
    stops, now = set(), moved(moves, 0)
    for one in pool.legs:
        charged = judge._charged(pool, one, now)
        if one.rule.maintenance_basis is not MaintenanceBasis.MARK or not charged:
            continue
        base, settle = (Fraction(moves.get(asset, 0)) for asset in (one.contract.base, one.contract.settle))
        for edge in _edges(one.tiers):
            share = edge / charged
            if one.contract.kind is ContractKind.INVERSE:  # Its notional falls as one over the price.
                stops |= {(1 / share - 1) / base} if base else set()
            elif base != share * settle:
                stops.add((share - 1) / (base - share * settle))
    for row in pool.collateral:
        for floor in (Fraction(0), *(Fraction(tier.balance_floor) for tier in row.haircut_tiers)):
            before, after = (judge._above(pool, row, floor, moved(moves, way)) for way in (0, 1))
            if after != before:
                stops.add(before / (before - after))
    return sorted(stop for stop in stops if 0 < stop < 1)


def _edges(tiers):
    """Return the notionals, all above zero, at which a table's line changes: its floors, and where it leaves zero."""
    for row in tiers.rows:
        yield from [Fraction(row.notional_floor)] if row.notional_floor else []
        if row.maintenance_amount and row.maintenance_margin_rate:
            yield Fraction(row.maintenance_amount) / Fraction(row.maintenance_margin_rate)
