"""A margin pool as flat arrays of numbers, for many joint price scenarios at once.

Everything a pool counts is an amount of some coin, so in the pool's currency it is a number times the price of one
coin in terms of another: a `Quote`. Margin balance is straight in every quote. A requirement is straight from one tier
floor to the next. All legs that hang on one quote are one curve; its bends are computed as fractions, exactly.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from guard.margin import Leg, MaintenanceBasis, MarginPool, notional, requirement
from guard.margin.requirement import counted_value, direction
from guard.snapshot import ContractKind

FloatArray = NDArray[np.float64]


class Quote(NamedTuple):
    """The price of one coin in terms of another, as columns of the factors. None: it stands still, as dollars do."""

    of: int | None
    terms: int | None

    @property
    def is_still(self) -> bool:
        return self.of == self.terms


class Bend(NamedTuple):
    """From `start` on (included) the curve is steeper by `slope`, and higher by `jump` from the start."""

    start: Fraction
    slope: Fraction
    jump: Fraction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledPool:
    """Arrays by quote, and by bend where they have two axes. A quote with fewer bends is filled up with infinity."""

    coins: tuple[str, ...]  # Columns of the factors.
    quotes: tuple[Quote, ...]
    balance_constant: float
    balance_slopes: FloatArray
    requirement_constant: float
    starts: FloatArray  # Where each bend is, ascending. From there on two things are added:
    excess_slopes: FloatArray  # for what the quote exceeds the start by,
    whole_slopes: FloatArray  # for all of it: a table without maintenance amounts has nothing else.
    piece_slopes: FloatArray  # The straight line before the first bend, and after each.
    piece_constants: FloatArray


def compile_pool(pool: MarginPool, coins: Sequence[str]) -> CompiledPool:
    """Return the pool ready for scenarios whose columns are these coins. A coin that is not named stands still."""
    columns = {coin: column for column, coin in enumerate(coins)}
    balance, steepness, bends = _Sums(), _Sums(), defaultdict[Quote, list[Bend]](list)
    balance.constant += Fraction(pool.other_unrealized_pnl)
    steepness.constant += Fraction(pool.other_maintenance_margin)
    for row in pool.collateral:
        balance.add(_quote(row.asset, pool.currency, columns), Fraction(counted_value(row)))
    for leg in pool.legs:
        quote = _quote_of(leg, columns)
        balance.add(quote, direction(leg) * Fraction(notional(leg, leg.mark_price)))
        balance.constant -= direction(leg) * Fraction(notional(leg, leg.entry_price))
        if leg.rule.maintenance_basis is MaintenanceBasis.ENTRY or quote.is_still:
            steepness.constant += Fraction(requirement(leg, leg.mark_price))
            continue
        first, *others = _bends(leg)
        steepness.add(quote, first.slope)
        bends[quote] += others
    quotes = _columns_as_they_are({*balance.slopes, *steepness.slopes}, len(coins))
    curves = [_curve(quote, steepness.slopes[quote], bends[quote]) for quote in quotes]
    return CompiledPool(
        coins=tuple(coins),
        quotes=quotes,
        balance_constant=float(balance.constant),
        balance_slopes=np.array([float(balance.slopes[quote]) for quote in quotes]),
        requirement_constant=float(steepness.constant),
        starts=_padded([curve.starts for curve in curves], math.inf),
        excess_slopes=_padded([curve.excess_slopes for curve in curves], 0.0),
        whole_slopes=_padded([curve.whole_slopes for curve in curves], 0.0),
        piece_slopes=_padded([curve.piece_slopes for curve in curves], 0.0),
        piece_constants=_padded([curve.piece_constants for curve in curves], 0.0),
    )


class _Sums:
    """A sum of amounts: those that stand still, and those that are worth something by the quote."""

    def __init__(self) -> None:
        self.constant = Fraction(0)
        self.slopes: dict[Quote, Fraction] = defaultdict(Fraction)

    def add(self, quote: Quote, amount: Fraction) -> None:
        if quote.is_still:
            self.constant += amount
        else:
            self.slopes[quote] += amount


def _quote(asset: str, currency: str, columns: dict[str, int]) -> Quote:
    return Quote(None, None) if asset == currency else Quote(columns.get(asset), columns.get(currency))


def _quote_of(leg: Leg, columns: dict[str, int]) -> Quote:
    """Return what a leg's notional hangs on. An inverse leg is an amount of dollars, counted in its coin."""
    contract = leg.contract
    if contract.kind is ContractKind.INVERSE:
        return Quote(None, columns.get(contract.base))
    return _quote(contract.base, contract.settle, columns)


def _columns_as_they_are(quotes: set[Quote], columns: int) -> tuple[Quote, ...]:
    """Return the quotes, or all factors if they are most of them: nothing is copied then."""
    factors = tuple(Quote(column, None) for column in range(columns))
    if quotes <= set(factors) and 2 * len(quotes) >= columns:
        return factors
    return tuple(quotes)


# Requirements -------------------------------------------------------------------------------------------------------


def _bends(leg: Leg) -> Iterator[Bend]:
    """Yield how the leg's requirement grows with its quote, which is 1 now; the first bend is its line from zero on."""
    value = Fraction(notional(leg, leg.mark_price))
    rate_before = amount_before = Fraction(0)
    for floor, rate, amount in _lines(leg):
        jump = floor * (rate - rate_before) - (amount - amount_before)
        yield Bend(floor / value, (rate - rate_before) * value, jump)
        rate_before, amount_before = rate, amount


def _lines(leg: Leg) -> Iterator[tuple[Fraction, Fraction, Fraction]]:
    """Yield (from this notional on, rate, amount): requirement = notional x rate - amount, never below the fee."""
    fee = Fraction(leg.rule.liquidation_fee_rate)
    for index, tier in enumerate(leg.tiers):
        floor = Fraction(tier.notional_floor if index else 0)
        rate, amount = Fraction(tier.maintenance_margin_rate), Fraction(tier.maintenance_amount or Decimal(0))
        if amount <= floor * rate:
            yield floor, rate + fee, amount
            continue
        yield floor, fee, Fraction(0)
        is_last = index + 1 == len(leg.tiers)
        if rate and (is_last or amount / rate < Fraction(leg.tiers[index + 1].notional_floor)):
            yield amount / rate, rate + fee, amount


class _Curve(NamedTuple):
    starts: list[float]
    excess_slopes: list[float]
    whole_slopes: list[float]
    piece_slopes: list[float]
    piece_constants: list[float]


def _curve(quote: Quote, slope: Fraction, bends: Sequence[Bend]) -> _Curve:
    curve = _Curve([], [], [], [float(slope)], [0.0])
    constant = Fraction(0)
    for bend in sorted(bends):
        slope += bend.slope
        constant += bend.jump - bend.slope * bend.start
        curve.starts.append(_start(quote, bend.start))
        whole = bend.jump / bend.start
        curve.excess_slopes.append(float(bend.slope - whole))
        curve.whole_slopes.append(float(whole))
        curve.piece_slopes.append(float(slope))
        curve.piece_constants.append(float(constant))
    return curve


def _start(quote: Quote, start: Fraction) -> float:
    """Return the least float that is not below the start, so that a factor is compared with it exactly.

    A quotient of factors is rounded itself: for it the nearest float is right, which it reaches whenever it should.
    """
    nearest = float(start)
    if quote.terms is None and Fraction(nearest) < start:
        return math.nextafter(nearest, math.inf)
    return nearest


def _padded(rows: Sequence[Sequence[float]], filling: float) -> FloatArray:
    array = np.full((len(rows), max((len(row) for row in rows), default=0)), filling)
    for index, row in enumerate(rows):
        array[index, : len(row)] = row
    return array
