"""The two functions of the prices that everything follows from: margin balance and requirement.

Prices are given as factors: a mapping of coins to multiples of their present dollar price; a coin that is not named
stands still. `{"BTC": Decimal("0.8")}` is a world in which Bitcoin has fallen by 20 % and nothing else has moved.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from guard.margin.arithmetic import ONE, ZERO, exact
from guard.margin.pool import Leg, MarginPool
from guard.margin.present import PresentLeg, PresentPool
from guard.margin.rule import MaintenanceBasis, MarginRule
from guard.margin.tier_table import TierTable
from guard.snapshot import Collateral, Contract, ContractKind, MarginMode, Position

Factors = Mapping[str, Decimal]

PRESENT_PRICES: Factors = MappingProxyType({})


def leg_of(position: Position, tiers: TierTable, rule: MarginRule) -> Leg:
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


def isolated_pool(leg: Leg, wallet: Decimal) -> MarginPool:
    """Return the pool of one that an isolated position is. `wallet`: its margin without unrealized profit."""
    currency = leg.contract.settle
    row = Collateral(asset=currency, wallet_balance=wallet, price=ONE, haircut=ZERO)
    return MarginPool(
        currency=currency,
        margin_mode=MarginMode.ISOLATED,
        collateral=(row,),
        legs=(leg,),
        wallet=leg.contract.wallet,
    )


@exact
def contract_value(contract: Contract, quantity: Decimal, price: Decimal) -> Decimal:
    """Return what a number of contracts is worth at a price, in the settle currency: the coin for an inverse one."""
    size = quantity * contract.contract_size
    return size * price if contract.kind is ContractKind.LINEAR else size / price


@exact
def gain_between(position: Position, before: Decimal, after: Decimal) -> Decimal:
    """Return what a position gains while its price goes from one to another, in the settle currency."""
    size = position.quantity * position.contract.contract_size
    if position.contract.kind is ContractKind.LINEAR:
        return int(position.side) * size * (after - before)
    return int(position.side) * (size / before - size / after)


@exact
def margin_balance(pool: MarginPool, factors: Factors = PRESENT_PRICES) -> Decimal:
    """Return collateral at its haircut plus unrealized profit of all legs, in the pool's currency."""
    return PresentPool(at_prices(pool, factors)).balance


@exact
def pool_maintenance_margin(pool: MarginPool, factors: Factors = PRESENT_PRICES) -> Decimal:
    """Return the maintenance margin of all legs that the exchange charges, without closing fees."""
    return PresentPool(at_prices(pool, factors)).maintenance


@exact
def pool_requirement(pool: MarginPool, factors: Factors = PRESENT_PRICES) -> Decimal:
    """Return what the pool's balance is held against, closing fees and open orders included."""
    return PresentPool(at_prices(pool, factors)).requirement


@exact
def at_prices(pool: MarginPool, factors: Factors) -> MarginPool:
    """Return the pool at other prices. What an exchange freezes at the present mark stays frozen there."""
    if not factors:
        return pool
    return replace(
        pool,
        collateral=tuple(
            replace(row, price=row.price * _relative(row.asset, pool.currency, factors)) for row in pool.collateral
        ),
        legs=tuple(_moved(leg, factors) for leg in pool.legs),
    )


@exact
def price_under(leg: Leg, factors: Factors) -> Decimal:
    """Return the leg's price when coins have moved. An inverse contract is quoted in dollars, which stand still."""
    if leg.contract.kind is ContractKind.INVERSE:
        return leg.mark_price * factors.get(leg.contract.base, ONE)
    return leg.mark_price * _relative(leg.contract.base, leg.contract.settle, factors)


@exact
def of_leg(leg: Leg) -> PresentLeg:
    """Return a leg's own amounts now, as if it were alone."""
    return PresentPool(isolated_pool(leg, ZERO)).legs[0]


def _moved(leg: Leg, factors: Factors) -> Leg:
    frozen = leg.frozen_at
    if frozen is None and leg.rule.maintenance_basis is MaintenanceBasis.CURRENT:
        frozen = leg.mark_price
    return replace(leg, mark_price=price_under(leg, factors), frozen_at=frozen)


def _relative(asset: str, currency: str, factors: Factors) -> Decimal:
    return ONE if asset == currency else factors.get(asset, ONE) / factors.get(currency, ONE)
