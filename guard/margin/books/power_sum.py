"""Sums of powers of one positive variable, `a x u**p + b x u**q + ...`, and where they are zero.

Straight lines are the sums of the powers 0 and 1; prices with a beta bring other powers in.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise

from guard.margin.arithmetic import ONE, ZERO

_NEAR_ENOUGH = Decimal("1e-24")  # Of the variable: bisection goes on until the bracket is as narrow.


class PowerSum:
    """A sum of powers. `terms` has the coefficient of each exponent, without zeros."""

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[Decimal, Decimal]) -> None:
        self.terms = {exponent: factor for exponent, factor in terms.items() if factor}

    @staticmethod
    def total(parts: Iterable[tuple["PowerSum", Decimal]]) -> "PowerSum":
        """Return the sum of these, each so many times."""
        terms: dict[Decimal, Decimal] = {}
        for part, times in parts:
            for exponent, factor in part.terms.items():
                terms[exponent] = terms.get(exponent, ZERO) + factor * times
        return PowerSum(terms)

    def at(self, variable: Decimal) -> Decimal:
        total = ZERO
        for exponent, factor in self.terms.items():
            total += factor * _power(variable, exponent)
        return total

    def roots(self, low: Decimal, high: Decimal) -> list[Decimal]:
        """Return where it passes through zero from `low` to `high`, ascending. A touch without passing may be left out.

        Sums of two powers are solved in closed form. Longer ones are bisected between the roots of their slope, found
        the same way, so that none is overlooked (the slope of a sum over its lowest power has one term less).
        """
        if len(self.terms) < 2:
            return []
        if len(self.terms) == 2:
            return [root for root in self._root_of_two() if low <= root <= high]
        if self._keeps_its_sign(low, high):
            return []
        stops = [low, *(turn for turn in self._slope_over_lowest().roots(low, high) if low < turn < high), high]
        values = [self.at(stop) for stop in stops]
        found = [stop for stop, value in zip(stops, values, strict=True) if value == 0]
        for (start, before), (end, after) in pairwise(zip(stops, values, strict=True)):
            if before * after < 0:
                found.append(self._bisected(start, end, rises=after > 0))
        return sorted(found)

    def _keeps_its_sign(self, low: Decimal, high: Decimal) -> bool:
        """Say whether bounds alone tell that it is nowhere zero: each power only rises, or only falls."""
        ends = [
            (factor * _power(low, exponent), factor * _power(high, exponent)) for exponent, factor in self.terms.items()
        ]
        return sum(map(min, ends), ZERO) > 0 or sum(map(max, ends), ZERO) < 0

    def _root_of_two(self) -> list[Decimal]:
        (low, first), (high, second) = sorted(self.terms.items())
        ratio = -first / second
        if ratio <= 0:
            return []
        return [ratio if high - low == 1 else _power(ratio, 1 / (high - low))]

    def _slope_over_lowest(self) -> "PowerSum":
        lowest = min(self.terms)
        return PowerSum({exponent: factor * (exponent - lowest) for exponent, factor in self.terms.items()})

    def _bisected(self, low: Decimal, high: Decimal, *, rises: bool) -> Decimal:
        while high - low > _NEAR_ENOUGH * high:
            middle = (low + high) / 2
            if (self.at(middle) > 0) is rises:
                high = middle
            else:
                low = middle
        return (low + high) / 2


def _power(variable: Decimal, exponent: Decimal) -> Decimal:
    if exponent == 0:
        return ONE
    return variable if exponent == 1 else variable**exponent
