"""The two functions of the prices that everything follows from: margin balance and requirement.

Prices are given as factors: a mapping of coins to multiples of their present dollar price; a coin that is not named
stands still. `{"BTC": Decimal("0.8")}` is a world in which Bitcoin has fallen by 20 % and nothing else has moved.
"""

from bisect import bisect_right
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from guard.margin.arithmetic import ONE, ZERO, exact
from guard.margin.pool import Leg, MaintenanceBasis, MarginPool, MarginRule
from guard.snapshot import Collateral, Contract, ContractKind, Position, RiskTier

Factors = Mapping[str, Decimal]

PRESENT_PRICES: Factors = MappingProxyType({})


def leg_of(position: Position, tiers: tuple[RiskTier, ...], rule: MarginRule) -> Leg:
    """Return the part of a position that its margin depends on, with its tier table and its exchange's rule."""
    return Leg(
        contract=position.contract,
        side=position.side,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        tiers=tiers,
        rule=rule,
    )


@exact
def contract_value(contract: Contract, quantity: Decimal, price: Decimal) -> Decimal:
    """Return what a number of contracts is worth at a price, in the settle currency: the coin for an inverse one."""
    size = quantity * contract.contract_size
    return size * price if contract.kind is ContractKind.LINEAR else size / price


def notional(leg: Leg, price: Decimal) -> Decimal:
    """Return the leg's notional at a price, in the settle currency."""
    return contract_value(leg.contract, leg.quantity, price)


def direction(leg: Leg) -> int:
    """Return +1 if the leg gains while its notional grows. An inverse long gains while its coin notional shrinks."""
    return int(leg.side) if leg.contract.kind is ContractKind.LINEAR else -int(leg.side)


@exact
def unrealized_pnl(leg: Leg, price: Decimal) -> Decimal:
    """Return the leg's unrealized profit at a price, in the settle currency."""
    return direction(leg) * (notional(leg, price) - notional(leg, leg.entry_price))


@exact
def maintenance_margin(leg: Leg, price: Decimal) -> Decimal:
    """Return what the exchange calls maintenance margin at a price: without closing fee, in the settle currency.

    Never negative: a table that states only its tier in force, amount included, would go below zero far from it.
    Source: Binance USD-M, maintenance margin = notional x rate - maintenance amount.
    """
    value = _charged_notional(leg, price)
    tier = tier_at(leg.tiers, value)
    return max(ZERO, value * tier.maintenance_margin_rate - (tier.maintenance_amount or ZERO))


@exact
def requirement(leg: Leg, price: Decimal) -> Decimal:
    """Return what the balance is held against for this leg at a price: maintenance margin and closing fee."""
    return maintenance_margin(leg, price) + _charged_notional(leg, price) * leg.rule.liquidation_fee_rate


def tier_at(tiers: tuple[RiskTier, ...], value: Decimal) -> RiskTier:
    """Return the tier of a notional: one equal to a floor belongs to the tier above, and the last tier goes on."""
    return tiers[max(0, bisect_right(tiers, value, key=lambda tier: tier.notional_floor) - 1)]


@exact
def margin_balance(pool: MarginPool, factors: Factors = PRESENT_PRICES) -> Decimal:
    """Return collateral at its haircut plus unrealized profit of all legs, in the pool's currency."""
    balance = pool.other_unrealized_pnl
    for collateral in pool.collateral:
        balance += counted_value(collateral) * _relative(collateral.asset, pool.currency, factors)
    return balance + sum((unrealized_pnl(leg, price_under(leg, factors)) for leg in pool.legs), ZERO)


@exact
def pool_maintenance_margin(pool: MarginPool, factors: Factors = PRESENT_PRICES) -> Decimal:
    """Return the maintenance margin of all legs, hedged ones included, without closing fees, in the pool's currency."""
    own = sum((maintenance_margin(leg, price_under(leg, factors)) for leg in pool.legs), ZERO)
    return pool.other_maintenance_margin + own


@exact
def pool_requirement(pool: MarginPool, factors: Factors = PRESENT_PRICES) -> Decimal:
    """Return what the pool's balance is held against: each leg by its own notional, in the pool's currency."""
    own = sum((requirement(leg, price_under(leg, factors)) for leg in pool.legs), ZERO)
    return pool.other_maintenance_margin + own


def margin_ratio(requirement: Decimal, balance: Decimal) -> Decimal | None:
    """Return requirement / balance: it grows with danger and 1 is liquidation. None: no balance is left."""
    return _quotient(requirement, balance) if balance > 0 else None


@exact
def counted_value(collateral: Collateral) -> Decimal:
    """Return what collateral counts for at its present price: a debt counts in full, without haircut."""
    value = collateral.wallet_balance * collateral.price
    return value * (1 - collateral.haircut) if value > 0 else value


@exact
def price_under(leg: Leg, factors: Factors) -> Decimal:
    """Return the leg's price when coins have moved. An inverse contract is quoted in dollars, which stand still."""
    if leg.contract.kind is ContractKind.INVERSE:
        return leg.mark_price * factors.get(leg.contract.base, ONE)
    return leg.mark_price * _relative(leg.contract.base, leg.contract.settle, factors)


def _relative(asset: str, currency: str, factors: Factors) -> Decimal:
    return ONE if asset == currency else factors.get(asset, ONE) / factors.get(currency, ONE)


def _charged_notional(leg: Leg, price: Decimal) -> Decimal:
    frozen = leg.rule.maintenance_basis is MaintenanceBasis.ENTRY
    return notional(leg, leg.entry_price if frozen else price)


@exact
def _quotient(dividend: Decimal, divisor: Decimal) -> Decimal:
    return dividend / divisor
