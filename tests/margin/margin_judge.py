"""A slow judge of margin pools, which shares no line of arithmetic with the model.

It counts in fractions and from what the words mean: every amount in dollars at the prices asked about, each tier and
each slice looked up one by one. In dollars every amount stands still or is proportional to the factor on the moving
prices, so that between two factors at which some tier or slice changes the excess is straight. The judge asks for it at
two points of each such piece and draws the line: its roots are exact. A dollar here is the pool's own currency now.
"""

from fractions import Fraction
from itertools import pairwise

from guard.margin import HaircutBasis, HedgeNetting, MaintenanceBasis, TierBasis
from guard.snapshot import DOLLAR_STABLECOINS, ContractKind, Side

PRESENT = Fraction(1)


def prices_when(coins, factor):
    """Return what one unit of an asset is worth, against now, when these coins have moved. None: every coin."""

    def relative(asset):
        moves = asset not in DOLLAR_STABLECOINS if coins is None else asset in coins
        return Fraction(factor) if moves else PRESENT

    return relative


def excess(pool, coins, factor):
    """Return balance less requirement in dollars when these coins' prices are multiplied by a factor."""
    relative = prices_when(coins, factor)
    return balance(pool, relative) - requirement(pool, relative)


# What a pool has and what is asked of it ---------------------------------------------------------------------------


def balance(pool, relative):
    """Return the margin balance in dollars."""
    total = (Fraction(pool.other_unrealized_pnl) - Fraction(pool.funding_due)) * relative(pool.currency)
    rows = {row.asset: row for row in pool.collateral}
    settled_in = {one.contract.settle for one in pool.legs}
    for asset in rows.keys() | settled_in:
        units, row = Fraction(rows[asset].wallet_balance) if asset in rows else Fraction(0), rows.get(asset)
        profit = sum((_profit(one, relative) for one in pool.legs if one.contract.settle == asset), Fraction(0))
        if pool.haircut_basis is HaircutBasis.EQUITY:
            counted = counted_units(row, units + profit)
        else:
            counted = counted_units(row, units) + profit
        total += counted * _unit(rows, asset, relative)
    return total


def requirement(pool, relative, *, with_fees=True):
    """Return what the balance is held against, in dollars. Without fees: the maintenance margin alone."""
    total = Fraction(pool.other_maintenance_margin) * relative(pool.currency)
    if with_fees:
        total += Fraction(pool.order_margin) * relative(pool.currency)
    rows = {row.asset: row for row in pool.collateral}
    for one in pool.legs:
        charged, tier = _charged(pool, one, relative), _tier(pool, one, _charged(pool, one, relative))
        kept = charged * Fraction(tier.maintenance_margin_rate) - Fraction(tier.maintenance_amount or 0)
        kept = max(Fraction(0), kept)
        if with_fees:
            kept += charged * Fraction(one.rule.liquidation_fee_rate)
        row = rows.get(one.contract.settle)
        total += kept * _unit(rows, one.contract.settle, relative) * (1 + Fraction(row.surcharge if row else 0))
    return total


def counted_units(row, units):
    """Return how many units an equity counts for: what is owed in full or more, what is owned slice by slice."""
    if row is None:
        return units
    if units <= 0:
        return units * (1 + Fraction(row.surcharge))
    if not row.haircut_tiers:
        return units * (1 - Fraction(row.haircut))
    total, floors = Fraction(0), [Fraction(tier.balance_floor) for tier in row.haircut_tiers]
    for tier, floor, cap in zip(row.haircut_tiers, floors, [*floors[1:], max(units, floors[-1])], strict=True):
        total += max(Fraction(0), min(units, cap) - floor) * (1 - Fraction(tier.haircut))
    return total


def _unit(rows, asset, relative):
    return (Fraction(rows[asset].price) if asset in rows else PRESENT) * relative(asset)


def _price(one, relative):
    quoted_in = 1 if one.contract.kind is ContractKind.INVERSE else relative(one.contract.settle)
    return Fraction(one.mark_price) * relative(one.contract.base) / quoted_in


def _worth(one, quantity, price):
    size = quantity * Fraction(one.contract.contract_size)
    return size / price if one.contract.kind is ContractKind.INVERSE else size * price


def _profit(one, relative):
    quantity = Fraction(one.quantity)
    gain = _worth(one, quantity, _price(one, relative)) - _worth(one, quantity, Fraction(one.entry_price))
    falls = (one.contract.kind is ContractKind.INVERSE) != (one.side is Side.SHORT)
    return -gain if falls else gain


def _charged(pool, one, relative):
    at = {
        MaintenanceBasis.MARK: _price(one, relative),
        MaintenanceBasis.ENTRY: Fraction(one.entry_price),
        MaintenanceBasis.CURRENT: Fraction(one.mark_price),
    }[one.rule.maintenance_basis]
    return _worth(one, _quantity_charged(pool, one), at)


def _of_symbol(pool, one, side):
    same = (other for other in pool.legs if other.contract.symbol == one.contract.symbol and other.side is side)
    return sum((Fraction(other.quantity) for other in same), Fraction(0))


def _quantity_charged(pool, one):
    """Return the contracts that the requirement counts: where sides are netted the smaller one costs nothing."""
    quantity, netting = Fraction(one.quantity), one.rule.hedge_netting
    longs, shorts = _of_symbol(pool, one, Side.LONG), _of_symbol(pool, one, Side.SHORT)
    if netting is HedgeNetting.NONE:
        return quantity
    if one.side is (Side.SHORT if longs >= shorts else Side.LONG):
        return Fraction(0)
    if netting is HedgeNetting.LARGER:
        return quantity
    return quantity * abs(longs - shorts) / max(longs, shorts)


def _tier(pool, one, charged):
    alike = [
        other
        for other in pool.legs
        if (other.contract.base, other.contract.settle) == (one.contract.base, one.contract.settle)
    ]
    looked_up_by = {
        TierBasis.NOTIONAL: charged,
        TierBasis.CONTRACTS: Fraction(one.quantity),
        TierBasis.CONTRACTS_TOGETHER: sum(Fraction(other.quantity) for other in alike),
        TierBasis.CONTRACTS_NET: abs(_of_symbol(pool, one, Side.LONG) - _of_symbol(pool, one, Side.SHORT)),
    }[one.rule.tier_basis]
    reached = [row for row in one.tiers.rows if looked_up_by >= Fraction(row.notional_floor)]
    return reached[-1] if reached else one.tiers.rows[0]


# Where it ends -----------------------------------------------------------------------------------------------------


def ends(pool, coins):
    """Return the factors next to 1, below and above, from which on the pool is liquidated. None: it never is.

    Below: the supremum of all factors under 1 with an excess of zero or less; above: the infimum. A pool whose own
    currency is what falls never gets to zero, any other may.
    """
    stops = _stops(pool, coins)
    down, up = (_first(lambda factor: excess(pool, coins, factor), stops, outward) for outward in (-1, 1))
    return (None if down == 0 and _falls_itself(pool, coins) else down), up


def bankruptcies(pool, coins):
    """Return the factors below and above 1 at which the balance is zero; both 1 if it is zero now."""
    sign = balance(pool, prices_when(coins, 1))
    if sign == 0:
        return PRESENT, PRESENT
    stops = _stops(pool, coins)

    def worth(factor):
        return balance(pool, prices_when(coins, factor)) * (1 if sign > 0 else -1)

    return _first(worth, stops, -1), _first(worth, stops, 1)


def lowest(pool, coins, lower, upper):
    """Return the infimum of the excess between two factors, in the pool's currency, and whether it is reached there.

    Both ends are excluded; `upper` is finite. None: there is no lower bound.
    """
    inside = sorted(stop for stop in _stops(pool, coins) if lower < stop < upper)
    in_currency = prices_when(coins, PRESENT)(pool.currency)
    found = [
        (excess(pool, coins, stop) / prices_when(coins, stop)(pool.currency), False) for stop in (*inside, PRESENT)
    ]
    edges = [lower, *sorted({*inside, PRESENT}), upper]
    for near, far in pairwise(edges):
        constant, slope = _line(lambda factor: excess(pool, coins, factor), near, far)
        if _falls_itself(pool, coins):
            if near == 0 and constant < 0:
                return None
            is_flat = constant == 0
            limits = [slope + constant / edge for edge in (near, far) if edge] if constant else [slope]
        else:
            is_flat, limits = slope == 0, [constant + slope * near, constant + slope * far]
        found += [(limit * in_currency, not is_flat) for limit in limits]
    value, is_missed = min(found)
    return value, not is_missed


def _falls_itself(pool, coins):
    return prices_when(coins, 2)(pool.currency) != 1


def _line(worth, near, far):
    one, other = (2 * near + far) / 3, (near + 2 * far) / 3
    slope = (worth(other) - worth(one)) / (other - one)
    return worth(one) - slope * one, slope


def _first(worth, stops, outward):
    """Return the first factor on the way out from 1 that ends a worth which is above zero at 1."""
    way = sorted((stop for stop in stops if (stop - 1) * outward > 0), reverse=outward < 0)
    near = PRESENT
    for far in (*way, None):
        beyond = near + 1 if outward > 0 else Fraction(0)
        constant, slope = _line(worth, near, beyond if far is None else far)
        if constant + slope * near <= 0:
            return near
        root = -constant / slope if slope * outward < 0 else None
        if root is not None and root >= 0 and (far is None or (root - far) * outward <= 0):
            return root
        if far is None:
            return None
        if worth(far) <= 0:
            return far
        near = far
    raise AssertionError("the last piece has no far end")


def _stops(pool, coins):
    """Return every factor at which a tier or a slice may change."""
    stops = set()
    now, twice = prices_when(coins, 1), prices_when(coins, 2)
    for one in pool.legs:
        rows = one.tiers.rows
        edges = [Fraction(row.notional_floor) for row in rows]
        free = [row for row in rows if row.maintenance_amount and row.maintenance_margin_rate]
        edges += [Fraction(row.maintenance_amount) / Fraction(row.maintenance_margin_rate) for row in free]
        charged = _charged(pool, one, now)
        grown = _charged(pool, one, twice) / charged if charged else PRESENT
        if grown != 1:
            stops |= {edge / charged if grown > 1 else charged / edge for edge in edges if edge > 0}
    for row in pool.collateral:
        for floor in (Fraction(0), *(Fraction(tier.balance_floor) for tier in row.haircut_tiers)):
            before, after = (_above(pool, row, floor, relative) for relative in (now, twice))
            if after != before:
                stops.add(1 - before / (after - before))
    return {stop for stop in stops if stop > 0}


def _above(pool, row, floor, relative):
    """Return by how many dollars an asset's equity lies above a slice's floor: straight in the factor."""
    profit = sum((_profit(one, relative) for one in pool.legs if one.contract.settle == row.asset), Fraction(0))
    return (Fraction(row.wallet_balance) + profit - floor) * Fraction(row.price) * relative(row.asset)
