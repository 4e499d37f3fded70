"""The exchange's own liquidation price: the price of one symbol at which margin balance meets maintenance margin.

Binance's published formula for USD-M contracts (FAQ "Liquidation price") solved bracket by bracket: the price axis is
cut where any leg changes its bracket, and a solution counts only inside the piece whose rates and amounts it was
solved with. Isolated: the position alone with its own wallet. Cross: `wallet` is the cross wallet and everything else
in the pool at present marks (their PnL less their maintenance margin), and both legs of a hedge share one price.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from guard.demo.exchange.brackets import Bracket, Brackets

ROUNDING = Decimal("1e-15")  # A crossing that falls on a cut must not be lost between its two pieces.


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedLeg:
    sign: int  # 1 long, -1 short.
    quantity: Decimal  # Base units, positive.
    entry_price: Decimal


def liquidation_price(
    legs: Sequence[PricedLeg], brackets: Brackets, *, wallet: Decimal, mark: Decimal
) -> Decimal | None:
    """Return the crossing nearest to the mark price, unrounded. None: no positive price liquidates."""
    cuts = sorted({Decimal(0), *(bracket.floor / leg.quantity for bracket in brackets for leg in legs)})
    crossings = []
    for low, high in pairwise([*cuts, Decimal("Infinity")]):
        inside = (low + high) / 2 if high.is_finite() else low + 1
        rows = [_bracket_at(brackets, leg.quantity * inside) for leg in legs]
        price = _solve(legs, rows, wallet)
        if price is not None and price > 0 and low - ROUNDING * low <= price <= high + ROUNDING * high:
            crossings.append(price)
    return min(crossings, key=lambda price: abs(price - mark), default=None)


def _bracket_at(brackets: Brackets, notional: Decimal) -> Bracket:
    return next(bracket for bracket in reversed(brackets) if bracket.floor <= notional)


def _solve(legs: Sequence[PricedLeg], rows: Sequence[Bracket], wallet: Decimal) -> Decimal | None:
    """Solve wallet + sum sign*q*(P - E) = sum (q*P*rate - amount) for P."""
    numerator, slope = wallet, Decimal(0)
    for leg, row in zip(legs, rows, strict=True):
        numerator += row.amount - leg.sign * leg.quantity * leg.entry_price
        slope += leg.quantity * (row.rate - leg.sign)
    return numerator / slope if slope else None
