"""Coins that move together while the rest stands still, and what a pool's balance and requirement do under it.

The variable is the factor on the moving prices. Where the pool's own currency is what moves (an inverse pool), it is
one over that factor: notional, profit and requirement are straight in it. Either way it is 1 at the present prices,
and nothing in one pool is ever straight in the one and in the other.
"""

from dataclasses import dataclass
from decimal import Decimal

from guard.margin.arithmetic import ZERO, exact
from guard.margin.curve import Curve, Step, curve_of
from guard.margin.pool import Leg, MaintenanceBasis, MarginPool
from guard.margin.requirement import counted_value, direction, notional, requirement
from guard.snapshot import DOLLAR_STABLECOINS, ContractKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Coins whose dollar prices are multiplied by one factor."""

    coins: frozenset[str] | None  # None: every coin but the dollar stablecoins.

    def takes(self, asset: str) -> bool:
        return asset not in DOLLAR_STABLECOINS if self.coins is None else asset in self.coins

    def inverts(self, pool: MarginPool) -> bool:
        """Return whether the pool's curves are straight in one over the factor."""
        return self.takes(pool.currency)

    def scales(self, asset: str, pool: MarginPool) -> bool:
        """Return whether an asset's price in the pool's currency is proportional to the variable."""
        return self.takes(asset) != self.takes(pool.currency)


EVERY_COIN = Move(coins=None)


def move_of(leg: Leg) -> Move:
    """Return the move of the leg's coin alone."""
    return Move(coins=frozenset({leg.contract.base}))


def scales_with(leg: Leg, pool: MarginPool, move: Move) -> bool:
    """Return whether the leg's notional is proportional to the variable: it is base coins, or dollars if inverse."""
    return move.scales(leg.contract.base if leg.contract.kind is ContractKind.LINEAR else "USD", pool)


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLine:
    """The margin balance under a move: `constant + slope x variable`."""

    constant: Decimal
    slope: Decimal


@exact
def balance_line(pool: MarginPool, move: Move) -> BalanceLine:
    """Return the pool's margin balance as a straight line in the variable."""
    constant, slope = pool.other_unrealized_pnl, ZERO
    for collateral in pool.collateral:
        if move.scales(collateral.asset, pool):
            slope += counted_value(collateral)
        else:
            constant += counted_value(collateral)
    for leg in pool.legs:
        gain = direction(leg) * notional(leg, leg.mark_price)
        constant -= direction(leg) * notional(leg, leg.entry_price)
        if scales_with(leg, pool, move):
            slope += gain
        else:
            constant += gain
    return BalanceLine(constant=constant, slope=slope)


@exact
def excess_curve(pool: MarginPool, move: Move) -> Curve:
    """Return margin balance less requirement under a move: the pool is liquidated where it falls to zero."""
    balance = balance_line(pool, move)
    constant, slope = balance.constant - pool.other_maintenance_margin, balance.slope
    steps: list[Step] = []
    for leg in pool.legs:
        if leg.rule.maintenance_basis is MaintenanceBasis.ENTRY or not scales_with(leg, pool, move):
            constant -= requirement(leg, leg.mark_price)
        else:
            steps += _requirement_steps(leg)
    return curve_of(constant, slope, steps)


def _requirement_steps(leg: Leg) -> list[Step]:
    """Return what the leg's requirement takes from the curve, tier by tier, the first from zero on."""
    value = notional(leg, leg.mark_price)
    steps = []
    rate_before = amount_before = ZERO
    for floor, rate, amount in _requirement_lines(leg):
        start = floor / value
        steps.append(Step(start, amount - amount_before, (rate_before - rate) * value))
        rate_before, amount_before = rate, amount
    return steps


def _requirement_lines(leg: Leg) -> list[tuple[Decimal, Decimal, Decimal]]:
    """Return (from this notional on, rate, amount): requirement = notional x rate - amount, never below the fee."""
    fee = leg.rule.liquidation_fee_rate
    lines: list[tuple[Decimal, Decimal, Decimal]] = []
    for index, tier in enumerate(leg.tiers):
        floor = tier.notional_floor if index else ZERO
        rate, amount = tier.maintenance_margin_rate, tier.maintenance_amount or ZERO
        if amount <= floor * rate:
            lines.append((floor, rate + fee, amount))
            continue
        lines.append((floor, fee, ZERO))
        positive_from = amount / rate if rate else None
        is_last = index + 1 == len(leg.tiers)
        if positive_from is not None and (is_last or positive_from < leg.tiers[index + 1].notional_floor):
            lines.append((positive_from, rate + fee, amount))
    return lines
