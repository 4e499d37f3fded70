"""A pool at its present prices: every amount that several answers need, computed once.

`margin_balance` is collateral at its haircut plus unrealized profit; `requirement` is what the exchange holds it
against. The excess of one over the other under a move of prices is a curve (`curve.py`); where it falls to zero the
pool is liquidated.
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from guard.margin.arithmetic import ONE, ZERO, exact, finished
from guard.margin.bends import NOTHING, EquityBend, Line, TierBend, counted_units, line_of
from guard.margin.charges import Charge, charges_of
from guard.margin.curve import Bend, Curve
from guard.margin.moves import Move
from guard.margin.pool import HaircutBasis, Leg, MarginPool
from guard.margin.rule import MaintenanceBasis
from guard.snapshot import Collateral, ContractKind

DOLLARS = "USD"  # What an inverse contract is an amount of.


class PresentLeg(NamedTuple):
    """One leg now. Money is in the leg's settle currency unless said otherwise."""

    leg: Leg
    exposure: str  # The asset that it is an amount of: its base coin, or dollars if inverse.
    direction: int  # +1 if it gains while its notional grows: an inverse long gains while its coin notional shrinks.
    notional: Decimal
    paid: Decimal  # The notional at the entry price.
    pnl: Decimal
    charged: Decimal  # The notional that the requirement counts, at the price of its basis.
    tier: int  # Index of the line in force.
    maintenance: Decimal  # Without closing fee.
    requirement: Decimal  # With it.
    settle_price: Decimal  # In the pool's currency.
    settle_charge: Decimal  # The same with the surcharge on what is required.


class PresentPool:
    """A pool now. Raises ValueError where a leg's settle currency has no price in the pool."""

    __slots__ = ("_by_asset", "_rows", "_surcharged", "balance", "legs", "maintenance", "pool", "ratio", "requirement")

    @exact
    def __init__(self, pool: MarginPool) -> None:
        self.pool = pool
        self._rows = {row.asset: row for row in pool.collateral}
        self._by_asset: dict[str, list[PresentLeg]] | None = None
        self._surcharged = {row.asset for row in pool.collateral if row.surcharge}
        charges = charges_of(pool.legs)
        self.legs = tuple([self._leg(leg, charge) for leg, charge in zip(pool.legs, charges, strict=True)])
        self.maintenance = pool.other_maintenance_margin
        self.requirement = pool.other_maintenance_margin + pool.order_margin
        for one in self.legs:
            self.maintenance += one.maintenance * one.settle_charge
            self.requirement += one.requirement * one.settle_charge
        self.balance = pool.other_unrealized_pnl - pool.funding_due + self._counted()
        # Requirement / margin balance: it grows with danger and 1 is liquidation. None: no balance is left.
        self.ratio = self.requirement / self.balance if self.balance > 0 else None

    @property
    def excess(self) -> Decimal:
        return self.balance - self.requirement

    @exact
    def effective_leverage(self) -> Decimal | None:
        """Return the notional of all legs, hedged ones too, over the margin balance. None: no balance is left."""
        if self.balance <= 0:
            return None
        return finished(sum([one.notional * one.settle_price for one in self.legs], ZERO) / self.balance)

    def equity_of(self, asset: str) -> Decimal:
        """Return an asset's wallet balance with the profit of all that settles in it, in its own units."""
        row = self._rows.get(asset)
        own = ZERO if row is None else row.wallet_balance
        return own + sum((one.pnl for one in self.legs if one.leg.contract.settle == asset), ZERO)

    def _counted(self) -> Decimal:
        if self.pool.haircut_basis is HaircutBasis.EQUITY:
            assets = dict.fromkeys([*self._rows, *(one.leg.contract.settle for one in self.legs)])
            rows = (self._row(asset) for asset in assets)
            return sum((counted_units(row, self.equity_of(row.asset)) * row.price for row in rows), ZERO)
        total = ZERO
        for row in self.pool.collateral:
            total += counted_value(row)
        for one in self.legs:
            total += one.pnl * one.settle_price
        return total

    def _row(self, asset: str) -> Collateral:
        found = self._rows.get(asset)
        if found is not None:
            return found
        if asset != self.pool.currency:
            raise ValueError(f"{asset} has no price in {self.pool.currency}: a row of collateral must state it")
        return Collateral(asset=asset, wallet_balance=ZERO, price=ONE, haircut=ZERO)

    def _leg(self, leg: Leg, charge: Charge) -> PresentLeg:
        contract, rule, table = leg.contract, leg.rule, leg.tiers
        size = leg.quantity * contract.contract_size
        if contract.kind is ContractKind.LINEAR:
            exposure, direction = contract.base, int(leg.side)
            notional, paid = size * leg.mark_price, size * leg.entry_price
        else:
            exposure, direction = DOLLARS, -int(leg.side)
            notional, paid = size / leg.mark_price, size / leg.entry_price
        charged = paid if rule.maintenance_basis is MaintenanceBasis.ENTRY else notional
        if leg.frozen_at is not None:
            charged = size * leg.frozen_at if contract.kind is ContractKind.LINEAR else size / leg.frozen_at
        if charge.quantity != leg.quantity:
            charged = charged * charge.quantity / leg.quantity
        tier = table.index_at(charged if charge.tier_by is None else charge.tier_by)
        line = table.lines[tier]
        maintenance = charged * line.rate - line.amount
        price = surcharged = ONE
        if contract.settle != self.pool.currency or contract.settle in self._surcharged:
            row = self._row(contract.settle)
            price, surcharged = row.price, row.price * (1 + row.surcharge)
        return PresentLeg(
            leg=leg,
            exposure=exposure,
            direction=direction,
            notional=notional,
            paid=paid,
            pnl=direction * (notional - paid),
            charged=charged,
            tier=tier,
            maintenance=maintenance,
            requirement=maintenance + charged * rule.liquidation_fee_rate,
            settle_price=price,
            settle_charge=surcharged,
        )

    # Under a move -----------------------------------------------------------------------------------------------

    def inverts(self, move: Move) -> bool:
        """Say whether the pool's curves are straight in one over the factor on the prices."""
        return move.takes(self.pool.currency)

    def curve(self, move: Move) -> Curve:
        """Return margin balance less requirement under a move, as a curve that is the present excess at 1."""
        return self.curves(move)[0]

    def curves(self, move: Move) -> tuple[Curve, Curve]:
        """Return the same, and the margin balance alone under the move."""
        moved = self._moved_by(move)
        bends: list[Bend] = []
        slope = self._balance_slope(move, moved, bends)
        balance = Curve(self.balance - slope, slope, tuple(bends))
        for one in moved:
            slope -= self._requirement_slope(one, move, bends)
        return Curve(self.excess - slope, slope, tuple(bends)), balance

    def gain(self, one: PresentLeg, move: Move, factor: Decimal) -> Decimal:
        """Return what a leg gains, in the pool's currency, when the moving prices are multiplied by a factor.

        Where the pool's own currency is what moves, its value at the new prices: the factor must be positive then.
        """
        variable = 1 / factor if self.inverts(move) else factor
        return self._pnl_line(one, move).slope * (variable - 1)

    def _moved_by(self, move: Move) -> Sequence[PresentLeg]:
        """Return the legs of which anything may be proportional to the variable."""
        if move.coin is None or move.takes(self.pool.currency):
            return self.legs
        if self._by_asset is None:
            self._by_asset = defaultdict(list)
            for one in self.legs:
                for asset in {one.exposure, one.leg.contract.settle}:
                    self._by_asset[asset].append(one)
        return self._by_asset.get(move.coin, ())

    def _requirement_slope(self, one: PresentLeg, move: Move, bends: list[Bend]) -> Decimal:
        currency, leg = self.pool.currency, one.leg
        settle = leg.contract.settle
        settle_scales = settle != currency and move.scales(settle, currency)
        if leg.rule.maintenance_basis is not MaintenanceBasis.MARK:
            return one.requirement * one.settle_charge if settle_scales else ZERO
        exposure_scales = move.scales(one.exposure, currency)
        if not (exposure_scales or settle_scales):
            return ZERO
        charged = line_of(one.charged * one.settle_charge, scales=exposure_scales)
        per_unit = line_of(one.settle_charge, scales=settle_scales)
        line = leg.tiers.lines[one.tier]
        if exposure_scales is not settle_scales and leg.rule.tier_basis.is_by_notional and one.charged:
            bends.append(TierBend(leg.tiers, one.tier, one.charged, charged, per_unit, exposure_scales))
        return charged.slope * (line.rate + leg.rule.liquidation_fee_rate) - per_unit.slope * line.amount

    def _balance_slope(self, move: Move, moved: Sequence[PresentLeg], bends: list[Bend]) -> Decimal:
        if self.pool.haircut_basis is HaircutBasis.EQUITY:
            return self._equity_slope(move, bends)
        currency = self.pool.currency
        slope = ZERO
        for row in self.pool.collateral:
            if row.asset != currency and move.scales(row.asset, currency):
                slope += counted_value(row)
        for one in moved:
            slope += self._pnl_line(one, move).slope
        return slope

    def _pnl_line(self, one: PresentLeg, move: Move) -> Line:
        currency, settle = self.pool.currency, one.leg.contract.settle
        worth, paid = one.notional, -one.paid
        if settle != currency:
            worth, paid = worth * one.settle_price, paid * one.settle_price
        if one.direction < 0:
            worth, paid = -worth, -paid
        scales = settle != currency and move.scales(settle, currency)
        if move.scales(one.exposure, currency):
            return Line(ZERO, worth + paid) if scales else Line(paid, worth)
        return Line(worth, paid) if scales else Line(worth + paid, ZERO)

    def _equity_slope(self, move: Move, bends: list[Bend]) -> Decimal:
        equities: dict[str, Line] = defaultdict(lambda: NOTHING)
        for one in self.legs:
            settle = one.leg.contract.settle
            equities[settle] = equities[settle].plus(self._pnl_line(one, move))
        slope = ZERO
        for asset in dict.fromkeys([*self._rows, *equities]):
            row = self._row(asset)
            scales = move.scales(asset, self.pool.currency)
            equity = equities[asset].plus(line_of(row.wallet_balance * row.price, scales=scales))
            bend = EquityBend(row, equity, line_of(row.price, scales=scales))
            bends.append(bend)
            slope += bend.counted.slope
        return slope


def counted_value(row: Collateral) -> Decimal:
    """Return what a wallet balance counts for at its present price, in the pool's currency."""
    return counted_units(row, row.wallet_balance) * row.price


def obstacle_of(pool: MarginPool) -> str | None:
    """Return why a pool's requirement cannot be stated as a curve; None: it can."""
    for leg in pool.legs:
        symbol, rule = leg.contract.symbol, leg.rule
        if not rule.tier_basis.is_by_notional and any(row.maintenance_amount for row in leg.tiers.rows):
            return f"{symbol}: brackets looked up by contracts cannot have maintenance amounts"
        runs_against = leg.contract.kind is ContractKind.INVERSE and leg.contract.settle != pool.currency
        if runs_against and rule.tier_basis.is_by_notional and not leg.tiers.is_convex:
            return (
                f"{symbol}: brackets that jump, of a contract that settles in its own coin, cannot be stated in a pool "
                f"counted in {pool.currency}"
            )
    return None
