"""Piecewise straight curves that may jump, and where they first fall to zero. Closed form on each piece: no iteration.

A piece holds from its start (included) to the next one's start (excluded): a notional equal to a floor belongs to the
tier above, and every notional grows with the variable.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from guard.margin.arithmetic import ZERO


@dataclass(frozen=True, slots=True)
class Step:
    """From `start` on the curve is another straight line: these are added to its constant and slope."""

    start: Decimal
    constant: Decimal
    slope: Decimal


@dataclass(frozen=True, slots=True)
class Piece:
    """The straight line `constant + slope x variable`, from `start` to the next piece."""

    start: Decimal
    constant: Decimal
    slope: Decimal

    def at(self, variable: Decimal) -> Decimal:
        return self.constant + self.slope * variable


Curve = list[Piece]  # Ascending; the first starts at zero, the last goes on for ever.


def curve_of(constant: Decimal, slope: Decimal, steps: Iterable[Step]) -> Curve:
    """Return the curve that begins as one straight line at zero and changes at each step."""
    curve = [Piece(ZERO, constant, slope)]
    for step in sorted(steps, key=lambda step: step.start):
        last = curve[-1]
        piece = Piece(step.start, last.constant + step.constant, last.slope + step.slope)
        if step.start == last.start:
            curve[-1] = piece
        else:
            curve.append(piece)
    return curve


def value_at(curve: Curve, variable: Decimal) -> Decimal:
    return curve[_index(curve, variable)].at(variable)


def fall_above(curve: Curve, origin: Decimal) -> Decimal | None:
    """Return the least variable from `origin` up at which the curve is at most zero. None: it stays above."""
    first = _index(curve, origin)
    for index, piece in enumerate(curve[first:], start=first):
        start = max(piece.start, origin)
        if piece.at(start) <= 0:  # It jumped below: no line has a root here, yet here it ends.
            return start
        if piece.slope < 0:
            root = -piece.constant / piece.slope
            if index + 1 == len(curve) or root <= curve[index + 1].start:
                return root
    return None


def fall_below(curve: Curve, origin: Decimal) -> Decimal | None:
    """Return the greatest variable from `origin` down to zero at which, or just below which, the curve is at most zero.

    None: it stays above zero all the way.
    """
    end = origin
    for piece in reversed(curve[: _index(curve, origin) + 1]):
        if piece.at(end) <= 0:
            return end
        if piece.slope > 0:
            root = -piece.constant / piece.slope
            if root >= piece.start:
                return root
        end = piece.start
    return None


@dataclass(frozen=True, slots=True)
class Lowest:
    """The infimum of a curve on an open interval, and whether a point inside it has that value."""

    value: Decimal
    reached: bool


def lowest_between(curve: Curve, lower: Decimal, upper: Decimal | None) -> Lowest:
    """Return the infimum of a curve between two variables, both excluded. `upper` None: without end."""
    ends = [*(after.start for _, after in pairwise(curve)), None]
    lowest = Lowest(Decimal("Infinity"), reached=False)
    for piece, end in zip(curve, ends, strict=True):
        if (end is not None and end <= lower) or (upper is not None and piece.start >= upper):
            continue
        start = max(piece.start, lower)
        stop = upper if end is None or (upper is not None and upper < end) else end
        inside = piece.start > lower or piece.slope == 0
        lowest = min(lowest, Lowest(piece.at(start), inside), Lowest(_limit(piece, stop), piece.slope == 0), key=_rank)
    return lowest


def _rank(lowest: Lowest) -> tuple[Decimal, bool]:
    return (lowest.value, not lowest.reached)


def _limit(piece: Piece, stop: Decimal | None) -> Decimal:
    if stop is not None:
        return piece.at(stop)
    return piece.constant if piece.slope == 0 else piece.slope * Decimal("Infinity")


def _index(curve: Curve, variable: Decimal) -> int:
    return max(0, bisect_right(curve, variable, key=lambda piece: piece.start) - 1)
