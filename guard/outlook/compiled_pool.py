"""A margin pool as flat arrays of numbers, for many joint price scenarios at once.

Everything a pool counts is an amount of some coin, so in the pool's currency it is a number times the price of one
coin in terms of another: a `Quote`. Margin balance is straight in every quote, but for haircuts on equity. A
requirement is straight from one tier floor to the next. All legs that hang on one quote are one curve; its bends are
computed as fractions, exactly.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from guard.margin import HaircutBasis, MaintenanceBasis, MarginPool, PresentLeg, PresentPool, counted_value, obstacle_of
from guard.margin.bends import bands_of
from guard.snapshot import Collateral, ContractKind

MODEL_DIGITS = 10**50  # What differs by less is the same to the model, which counts in 60 digits.

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


class Fold(NamedTuple):
    """An asset's equity at its haircut: the least of some straight lines."""

    constants: FloatArray  # By line.
    slopes: FloatArray  # By quote and line.


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledPool:
    """Arrays by quote, and by bend where they have two axes. A quote with fewer bends is filled up with infinity."""

    coins: tuple[str, ...]  # Columns of the factors.
    quotes: tuple[Quote, ...]
    balance_constant: float
    balance_slopes: FloatArray
    folds: tuple[Fold, ...]  # Added to the balance.
    requirement_constant: float
    starts: FloatArray  # Where each bend is, ascending. From there on two things are added:
    excess_slopes: FloatArray  # for what the quote exceeds the start by,
    whole_slopes: FloatArray  # for all of it: a table without maintenance amounts has nothing else.
    piece_slopes: FloatArray  # The straight line before the first bend, and after each.
    piece_constants: FloatArray


def compile_pool(pool: MarginPool, coins: Sequence[str]) -> CompiledPool:
    """Return the pool ready for scenarios whose columns are these coins. A coin that is not named stands still.

    Raises ValueError, with the reason, where a pool's figures are no sum of curves of one quote each.
    """
    obstacle = obstacle_of(pool)
    if obstacle is not None:
        raise ValueError(obstacle)
    columns = {coin: column for column, coin in enumerate(coins)}
    present = PresentPool(pool)
    balance, equities = _balance(present, columns)
    required, bends = _requirement(present, columns)
    lines = [_haircut_lines(row, equity, pool.currency, columns) for row, equity in equities]
    quotes = _columns_as_they_are(
        {quote for sums in (balance, required, *chain(*lines)) for quote in sums.slopes}, len(coins)
    )
    curves = [_curve(quote, required.slopes[quote], bends[quote]) for quote in quotes]
    return CompiledPool(
        coins=tuple(coins),
        quotes=quotes,
        balance_constant=float(balance.constant),
        balance_slopes=balance.by_quote(quotes),
        folds=tuple(
            Fold(
                constants=np.array([float(line.constant) for line in of_asset]),
                slopes=np.stack([line.by_quote(quotes) for line in of_asset], axis=1),
            )
            for of_asset in lines
        ),
        requirement_constant=float(required.constant),
        starts=_padded([curve.starts for curve in curves], math.inf),
        excess_slopes=_padded([curve.excess_slopes for curve in curves], 0.0),
        whole_slopes=_padded([curve.whole_slopes for curve in curves], 0.0),
        piece_slopes=_padded([curve.piece_slopes for curve in curves], 0.0),
        piece_constants=_padded([curve.piece_constants for curve in curves], 0.0),
    )


class _Sums:
    """A sum of amounts: those that stand still, and those that are worth something by the quote."""

    def __init__(self, constant: Decimal) -> None:
        self.constant = Fraction(constant)
        self.slopes: dict[Quote, Fraction] = defaultdict(Fraction)

    def add(self, quote: Quote, amount: Fraction) -> None:
        if quote.is_still:
            self.constant += amount
        else:
            self.slopes[quote] += amount

    def add_all(self, other: "_Sums", times: Fraction) -> None:
        self.constant += other.constant * times
        for quote, slope in other.slopes.items():
            self.slopes[quote] += slope * times

    def by_quote(self, quotes: Sequence[Quote]) -> FloatArray:
        return np.array([float(self.slopes.get(quote, 0)) for quote in quotes])


def _quote(asset: str, currency: str, columns: dict[str, int]) -> Quote:
    return Quote(None, None) if asset == currency else Quote(columns.get(asset), columns.get(currency))


def _columns_as_they_are(quotes: set[Quote], columns: int) -> tuple[Quote, ...]:
    """Return the quotes, or all factors if they are most of them: nothing is copied then."""
    factors = tuple(Quote(column, None) for column in range(columns))
    if quotes <= set(factors) and 2 * len(quotes) >= columns:
        return factors
    return tuple(quotes)


# Balances -----------------------------------------------------------------------------------------------------------


def _balance(present: PresentPool, columns: dict[str, int]) -> tuple[_Sums, list[tuple[Collateral, _Sums]]]:
    """Return what counts as it is, and the equity of each asset that has a haircut on it."""
    pool = present.pool
    balance = _Sums(pool.other_unrealized_pnl - pool.funding_due)
    equities: dict[str, tuple[Collateral, _Sums]] = {}
    settled = {one.leg.contract.settle for one in present.legs} if pool.haircut_basis is HaircutBasis.EQUITY else set()
    for row in pool.collateral:
        quote = _quote(row.asset, pool.currency, columns)
        if row.asset in settled and (row.haircut or row.surcharge or row.haircut_tiers):
            equities[row.asset] = row, _Sums(Decimal(0))
            equities[row.asset][1].add(quote, Fraction(row.wallet_balance) * Fraction(row.price))
        else:
            balance.add(quote, Fraction(counted_value(row)))
    for one in present.legs:
        settle = one.leg.contract.settle
        sums = equities[settle][1] if settle in equities else balance
        price = one.direction * Fraction(one.settle_price)
        sums.add(_quote(one.exposure, pool.currency, columns), price * Fraction(one.notional))
        sums.add(_quote(settle, pool.currency, columns), -price * Fraction(one.paid))
    return balance, list(equities.values())


def _haircut_lines(row: Collateral, equity: _Sums, currency: str, columns: dict[str, int]) -> list[_Sums]:
    """Return what the equity would count for in each slice of the haircut: it counts for the least of them."""
    bands = list(bands_of(row))
    if any(before.share < after.share for before, after in pairwise(bands)):
        raise ValueError(f"{row.asset}: its haircut shrinks as the balance grows")
    lines = []
    for band in bands:
        line = _Sums(Decimal(0))
        line.add_all(equity, Fraction(band.share))
        line.add(_quote(row.asset, currency, columns), Fraction(band.offset) * Fraction(row.price))
        lines.append(line)
    return lines


# Requirements -------------------------------------------------------------------------------------------------------


def _requirement(present: PresentPool, columns: dict[str, int]) -> tuple[_Sums, dict[Quote, list[Bend]]]:
    pool = present.pool
    required, bends = _Sums(pool.other_maintenance_margin + pool.order_margin), defaultdict[Quote, list[Bend]](list)
    for one in present.legs:
        settle = _quote(one.leg.contract.settle, pool.currency, columns)
        if one.leg.rule.maintenance_basis is not MaintenanceBasis.MARK or one.leg.frozen_at is not None:
            required.add(settle, Fraction(one.requirement) * Fraction(one.settle_charge))
        elif not one.leg.rule.tier_basis.is_by_notional:
            exposure = _quote(one.exposure, pool.currency, columns)
            required.add(exposure, Fraction(one.requirement) * Fraction(one.settle_charge))
        elif one.charged:
            _add_brackets(one, settle, required, bends, columns)
    return required, bends


def _add_brackets(
    one: PresentLeg, settle: Quote, required: _Sums, bends: dict[Quote, list[Bend]], columns: dict[str, int]
) -> None:
    contract = one.leg.contract
    if contract.kind is ContractKind.LINEAR:
        led_by = _quote(contract.base, contract.settle, columns)
    else:
        led_by = Quote(None, columns.get(contract.base))
    if led_by.is_still:
        required.add(settle, Fraction(one.requirement) * Fraction(one.settle_charge))
    elif settle.is_still:
        first, *others = _bends(one)
        required.add(led_by, first.slope)
        bends[led_by] += others
    elif contract.kind is ContractKind.INVERSE and settle.terms is None:
        required.add_all(_far_above(one, settle), Fraction(1))
        bends[settle] += _bends_from_above(one)
    else:
        raise ValueError(f"{contract.symbol}: its brackets are counted in {contract.settle}, which moves in this pool")


def _bends(one: PresentLeg) -> Iterator[Bend]:
    """Yield how a leg's requirement grows with its quote, which is 1 now; the first bend is its line from zero on."""
    charged, price = Fraction(one.charged), Fraction(one.settle_charge)
    rate_before, amount_before = -Fraction(one.leg.rule.liquidation_fee_rate), Fraction(0)
    for floor, rate, amount in (map(Fraction, line) for line in one.leg.tiers.lines):
        jump = floor * (rate - rate_before) - (amount - amount_before)
        yield Bend(floor / charged, (rate - rate_before) * charged * price, jump * price)
        rate_before, amount_before = rate, amount


def _far_above(one: PresentLeg, settle: Quote) -> _Sums:
    """Return what an inverse leg is charged in dollars while its coin is worth next to nothing: by the last tier."""
    line, price = one.leg.tiers.lines[-1], Fraction(one.settle_charge)
    required = _Sums(Decimal(0))
    required.constant = Fraction(line.rate + one.leg.rule.liquidation_fee_rate) * Fraction(one.charged) * price
    required.add(settle, -Fraction(line.amount) * price)
    return required


def _bends_from_above(one: PresentLeg) -> Iterator[Bend]:
    """Yield how that grows with the coin: the notional is dollars, but the amounts are coins. No table jumps here."""
    charged, price = Fraction(one.charged), Fraction(one.settle_charge)
    for line, above in pairwise(one.leg.tiers.lines):
        slope = (Fraction(above.amount) - Fraction(line.amount)) * price
        yield Bend(charged / Fraction(above.floor), slope, Fraction(0))


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
    if quote.terms is None and start - Fraction(nearest) > start / MODEL_DIGITS:
        return math.nextafter(nearest, math.inf)
    return nearest


def _padded(rows: Sequence[Sequence[float]], filling: float) -> FloatArray:
    array = np.full((len(rows), max((len(row) for row in rows), default=0)), filling)
    for index, row in enumerate(rows):
        array[index, : len(row)] = row
    return array
