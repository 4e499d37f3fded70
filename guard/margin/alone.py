"""A pool of one position, in its own currency, solved without a curve: the case that every tick asks most often.

It is the same straight line that `curve.py` walks along, taken where its first piece already has the answer. What it
cannot answer on that piece (brackets crossed on the way, tables that jump) it leaves to the curve. That both agree is
a property in the tests.
"""

from decimal import Decimal

from guard.margin.arithmetic import ONE
from guard.margin.pool import Leg, MarginPool
from guard.margin.rule import MaintenanceBasis
from guard.snapshot import ContractKind, Side

# Members of enums, looked up once: here a look-up costs as much as a sum.
_LONG, _LINEAR, _MARK = Side.LONG, ContractKind.LINEAR, MaintenanceBasis.MARK


def ends_alone(pool: MarginPool, leg: Leg) -> tuple[Decimal | None, Decimal | None] | None:
    """Return the prices below and above the mark between which the pool lives, unrounded. None: ask the curve.

    Asked about a pool that is `is_alone`.
    """
    contract, table = leg.contract, leg.tiers
    size, at, entry = leg.quantity * contract.contract_size, leg.mark_price, leg.entry_price
    is_linear = contract.kind is _LINEAR
    if not is_linear:  # Everything is straight in one over the price.
        at, entry = ONE / at, ONE / entry
    lines, floors, index = table.lines, table.floors, table.index_at(size * at)
    line = lines[index]
    rate = line.rate + leg.rule.liquidation_fee_rate
    wallet = pool.collateral[0].wallet_balance + line.amount
    gains = (leg.side is _LONG) is is_linear  # Its profit grows with its notional.
    if gains:
        constant, slope = wallet - size * entry, size * (ONE - rate)
    else:
        constant, slope = wallet + size * entry, -size * (ONE + rate)
    if constant + slope * at <= 0 or slope == 0:
        return None
    end = -constant / slope
    if gains:
        if (index and end * size < floors[index]) or lines[-1].rate + leg.rule.liquidation_fee_rate > 1:
            return None
        below = end if end > 0 else None
        return (below, None) if is_linear else (None, None if below is None else ONE / below)
    if index + 1 < len(floors) and end * size > floors[index + 1]:
        return None
    return (None, end) if is_linear else (ONE / end, None)


def is_alone(pool: MarginPool) -> bool:
    """Say whether a pool is one plain position in its own currency, with a table that does not jump."""
    legs, rows = pool.legs, pool.collateral
    if len(legs) != 1 or len(rows) != 1:
        return False
    leg, row = legs[0], rows[0]
    return (
        leg.tiers.is_convex
        and leg.contract.settle == pool.currency == row.asset
        and row.wallet_balance >= 0
        and leg.rule.maintenance_basis is _MARK
        and leg.rule.tier_basis.is_by_notional
        and not (row.haircut or row.haircut_tiers or row.surcharge or pool.order_margin or pool.funding_due)
        and not (pool.other_maintenance_margin or pool.other_unrealized_pnl)
    )
