"""Books for the stress tests in a word each, and a slow judge of where a pool ends on a straight path.

The judge counts in fractions, looks tiers up one by one at the prices asked about, and walks: it stops at every tier
floor and just beside it, so that the excess is straight between two stops, and halves where it finds an end.
"""

from decimal import Decimal
from fractions import Fraction

from margin_worlds import cross_pool

from guard.margin import MaintenanceBasis, isolated_pool
from guard.margin.books import Book, BookPool, Holding, cross_book_pool, isolated_book_pool
from guard.snapshot import ContractKind, Liquidation, LiquidationKind, MarginMode, Position


def holding(leg, mode, beta="1"):
    position = Position(
        contract=leg.contract,
        side=leg.side,
        margin_mode=mode,
        quantity=leg.quantity,
        entry_price=leg.entry_price,
        mark_price=leg.mark_price,
        isolated_wallet=None,
        leverage=None,
        hedged=False,
        auto_add_margin=None,
        exchange_liquidation=Liquidation(kind=LiquidationKind.UNKNOWN),
        exchange_maintenance_margin=None,
        updated_at=None,
    )
    return Holding(position=position, leg=leg, beta=Decimal(beta))


def isolated(leg, wallet, beta="1"):
    return isolated_book_pool(holding(leg, MarginMode.ISOLATED, beta), isolated_pool(leg, Decimal(wallet)))


def cross(*legs, wallet, betas=(), others=()):
    return crossed(cross_pool(*legs, wallet=wallet, others=others), betas)


def crossed(pool, betas=()):
    betas = betas or ["1"] * len(pool.legs)
    held = tuple(holding(leg, MarginMode.CROSS, beta) for leg, beta in zip(pool.legs, betas, strict=True))
    return cross_book_pool(held, pool)


def book(*pools: BookPool):
    return Book(pools=pools)


def names(keys):
    return [str(key) for key in keys]


# The judge ---------------------------------------------------------------------------------------------------------


def excess(pool, price):
    """Return balance less requirement as a Fraction. `price` tells what an asset costs against now, in dollars."""
    total = Fraction(0)
    for row in pool.collateral:
        value = Fraction(row.wallet_balance) * Fraction(row.price) * price(row.asset) / price(pool.currency)
        total += value * (1 - Fraction(row.haircut)) if value > 0 else value
    for one in pool.legs:
        inverse = one.contract.kind is ContractKind.INVERSE
        quoted_in = 1 if inverse else price(one.contract.settle)
        at = Fraction(one.mark_price) * price(one.contract.base) / quoted_in
        entry, size = Fraction(one.entry_price), Fraction(one.quantity) * Fraction(one.contract.contract_size)
        worth, paid = (size / at, size / entry) if inverse else (size * at, size * entry)
        total += int(one.side) * ((paid - worth) if inverse else (worth - paid))
        charged = paid if one.rule.maintenance_basis is MaintenanceBasis.ENTRY else worth
        tier = [row for row in one.tiers.rows if charged >= Fraction(row.notional_floor)][-1]
        kept = charged * Fraction(tier.maintenance_margin_rate) - Fraction(tier.maintenance_amount or 0)
        total -= max(Fraction(0), kept) + charged * Fraction(one.rule.liquidation_fee_rate)
    return total


def judged_way(pool, moves):
    """Return how much of the way to these moves by coin is gone when the pool ends. None: it arrives."""

    def worth(way):
        return excess(pool, lambda asset: 1 + Fraction(moves.get(asset, 0)) * way)

    alive = Fraction(0)
    for stop in _stops(pool, moves):
        if worth(stop) > 0:
            alive = stop
            continue
        dead = stop
        while alive < dead and dead - alive > Fraction(1, 10**16):
            middle = (alive + dead) / 2
            alive, dead = (alive, middle) if worth(middle) <= 0 else (middle, dead)
        return dead
    return None


def _stops(pool, moves):
    stops = {Fraction(step, 40) for step in range(41)}
    for one in pool.legs:
        inverse = one.contract.kind is ContractKind.INVERSE
        speed, settle_speed = (Fraction(moves.get(asset, 0)) for asset in (one.contract.base, one.contract.settle))
        size = Fraction(one.quantity) * Fraction(one.contract.contract_size)
        now = size / Fraction(one.mark_price) if inverse else size * Fraction(one.mark_price)
        for row in one.tiers.rows:
            ratio = Fraction(row.notional_floor) / now
            if inverse:  # Its notional falls as one over the price.
                rise, slope = ratio and 1 / ratio - 1, speed
            else:
                rise, slope = ratio - 1, speed - ratio * settle_speed
            if slope:
                place, beside = rise / slope, Fraction(1, 10**14)
                stops |= {place - beside, place, place + beside}
    return sorted(stop for stop in stops if 0 <= stop <= 1)
