"""What another haircut of an asset does to a cross position of which the exchange states the liquidation price.

The account as a whole is not modelled where several assets back everything. But the exchange's own price says where its
balance meets the requirement, and what one asset counts less or more is known: the rest is taken to be what fits.
"""

from dataclasses import replace
from decimal import Decimal

from guard.margin.arithmetic import ONE, ZERO, exact
from guard.margin.bends import counted_units
from guard.margin.liquidation import NONE, PAST, crossings
from guard.margin.pool import Leg, MarginPool
from guard.margin.present import PresentPool
from guard.margin.requirement import at_prices
from guard.snapshot import Collateral, ContractKind, HaircutTier, Liquidation, LiquidationKind, MarginMode

Haircuts = tuple[HaircutTier, ...]


@exact
def counted_share(units: Decimal, haircuts: Haircuts) -> Decimal:
    """Return the share of a positive balance that counts as margin: 0.95 where 5 % of it does not."""
    return counted_units(_row("", units, ONE, haircuts), units) / units


@exact
def liquidation_under(
    leg: Leg, stated: Decimal, *, asset: str, units: Decimal, price: Decimal, now: Haircuts, then: Haircuts
) -> Liquidation | None:
    """Return where a leg would be liquidated by other haircuts of an asset, in quote per base, 50 digits.

    `stated`: the exchange's own price by the haircuts of `now`; `price`: of the asset, in the leg's settle currency.
    Other prices stand still. None: not told, for the contract pays in the coin that moves.
    """
    if leg.contract.kind is not ContractKind.LINEAR:
        return None
    pool = _pool(leg, _row(asset, units, price, now))
    rest = -PresentPool(at_prices(pool, {leg.contract.base: stated / leg.mark_price})).excess
    other = replace(_pool(leg, _row(asset, units, price, then)), other_unrealized_pnl=rest)
    found = crossings(other, leg)
    if found.nearest.kind is LiquidationKind.PAST:
        return PAST
    at = found.down if stated < leg.mark_price else found.up
    return NONE if at is None else Liquidation(kind=LiquidationKind.AT, price=at)


def _row(asset: str, units: Decimal, price: Decimal, haircuts: Haircuts) -> Collateral:
    return Collateral(asset=asset, wallet_balance=units, price=price, haircut=ZERO, haircut_tiers=haircuts)


def _pool(leg: Leg, row: Collateral) -> MarginPool:
    settle = leg.contract.settle
    rows = (replace(row, price=ONE),) if row.asset == settle else (row, _row(settle, ZERO, ONE, ()))
    return MarginPool(currency=settle, margin_mode=MarginMode.CROSS, collateral=rows, legs=(leg,))
