"""What a requirement charges of each leg: how many of its contracts, and by which tier."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from guard.margin.arithmetic import ZERO
from guard.margin.pool import Leg
from guard.margin.rule import HedgeNetting, TierBasis
from guard.snapshot import Side


class Charge(NamedTuple):
    """`tier_by` is what the tier is looked up by where no price moves it. None: the leg's notional."""

    quantity: Decimal  # Contracts that the requirement counts; of a netted leg less than it has.
    tier_by: Decimal | None


def charges_of(legs: Sequence[Leg]) -> list[Charge]:
    """Return the charge of each leg of one pool, in their order."""
    if all(map(_is_plain, legs)):
        return [Charge(leg.quantity, None) for leg in legs]
    sides: dict[tuple[str, Side], Decimal] = defaultdict(Decimal)
    together: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for leg in legs:
        sides[leg.contract.symbol, leg.side] += leg.quantity
        together[leg.contract.base, leg.contract.settle] += leg.quantity
    charges = []
    for leg in legs:
        own, other = (sides.get((leg.contract.symbol, Side(sign * leg.side)), ZERO) for sign in (1, -1))
        tier_by = {
            TierBasis.NOTIONAL: None,
            TierBasis.CONTRACTS: leg.quantity,
            TierBasis.CONTRACTS_TOGETHER: together[leg.contract.base, leg.contract.settle],
            TierBasis.CONTRACTS_NET: abs(own - other),
        }[leg.rule.tier_basis]
        charges.append(Charge(leg.quantity * _share(leg, own, other), tier_by))
    return charges


def _is_plain(leg: Leg) -> bool:
    return leg.rule.hedge_netting is HedgeNetting.NONE and leg.rule.tier_basis is TierBasis.NOTIONAL


def _share(leg: Leg, own: Decimal, other: Decimal) -> Decimal:
    """Return how much of a leg is charged. Of two equal sides with `larger` the long one is the larger."""
    netting = leg.rule.hedge_netting
    is_larger = own > other or (own == other and leg.side is Side.LONG)
    if netting is HedgeNetting.NONE or (netting is HedgeNetting.LARGER and is_larger):
        return Decimal(1)
    if netting is HedgeNetting.LARGER or not is_larger:
        return ZERO
    return (own - other) / own
