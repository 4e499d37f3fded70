"""Piecewise straight curves near the present, and where they first fall to zero. Closed form on each piece.

The variable is 1 now. A curve is one straight line there; its bends are met in order on the way up or down, and only as
far as the question goes. Nothing is iterated: a root is a quotient, and a jump is a place.

Going up, a change holds from its place on (a notional equal to a floor belongs to the tier above); going down, what
held above still holds at the place itself.
"""

from collections.abc import Iterator
from decimal import Decimal
from heapq import merge
from typing import NamedTuple, Protocol

from guard.margin.arithmetic import ZERO

INFINITY = Decimal("Infinity")

# Beyond these a root is only what rounding has left of a slope, or of a constant, that is zero.
_FARTHEST, _NOTHING = Decimal("1e40"), Decimal("1e-40")


class Change(NamedTuple):
    """At this place the curve becomes another straight line: these are added to its constant and slope."""

    place: Decimal
    constant: Decimal
    slope: Decimal


class Bend(Protocol):
    """What bends a curve."""

    @property
    def is_concave(self) -> bool:
        """Say whether it only ever bends the curve down, without a jump."""
        ...

    @property
    def constant_below(self) -> Decimal:
        """Return what all changes below 1 add to the constant."""
        ...

    @property
    def slope_above(self) -> Decimal:
        """Return what all changes above 1 add to the slope."""
        ...

    def above(self) -> Iterator[Change]:
        """Yield the changes above 1, nearest first."""
        ...

    def below(self) -> Iterator[Change]:
        """Yield the changes from 1 down to 0, nearest first, each as met on the way down."""
        ...


class Curve(NamedTuple):
    """`constant + slope x variable` at 1, and its bends on both sides."""

    constant: Decimal
    slope: Decimal
    bends: tuple[Bend, ...]

    def fall_above(self) -> Decimal | None:
        """Return the least variable above 1 at which the curve is at most zero. None: it stays above.

        It must be above zero at 1.
        """
        constant, slope, bends = self
        is_concave = slope >= 0 and all(bend.is_concave for bend in bends)
        if is_concave and slope + sum([bend.slope_above for bend in bends]) >= 0:
            return None  # It bends down only, and rises even at the end.
        return _fall_above(constant, slope, [bend.above() for bend in bends])

    def fall_below(self) -> Decimal | None:
        """Return the greatest variable from 1 down to 0 at which, or just below which, the curve is at most zero.

        None: it stays above zero all the way. It must be above zero at 1.
        """
        constant, slope, bends = self
        is_concave = all(bend.is_concave for bend in bends)
        if is_concave and constant + sum([bend.constant_below for bend in bends]) > 0:
            return None  # It bends down only, and is above zero at both ends.
        return _fall_below(constant, slope, [bend.below() for bend in bends])

    def rise_above(self) -> Decimal | None:
        """Return the least variable above 1 at which the curve is at least zero. It must be below zero at 1."""
        return _fall_above(-self.constant, -self.slope, [_turned(bend.above()) for bend in self.bends])

    def rise_below(self) -> Decimal | None:
        """Return the greatest variable from 1 down to 0 at which the curve is at least zero. It must be below at 1."""
        return _fall_below(-self.constant, -self.slope, [_turned(bend.below()) for bend in self.bends])

    def lowest_between(self, lower: Decimal, upper: Decimal) -> "Lowest":
        """Return the infimum between two variables, both excluded. 1 lies between them; `upper` may be infinite."""
        value = self.constant + self.slope
        lowest = Lowest(value, reached=True)
        constant, slope = self.constant, self.slope
        for place, changed in _grouped(_merged([bend.above() for bend in self.bends])):
            if place >= upper:
                break
            before = Lowest(constant + slope * place, reached=slope == 0)
            constant, slope = constant + changed.constant, slope + changed.slope
            lowest = min(lowest, before, Lowest(constant + slope * place, reached=True), key=_rank)
        lowest = min(lowest, _limit(constant, slope, upper), key=_rank)
        constant, slope = self.constant, self.slope
        for place, changed in _grouped(_merged([bend.below() for bend in self.bends], reverse=True)):
            if place <= lower:
                break
            at = Lowest(constant + slope * place, reached=True)
            constant, slope = constant + changed.constant, slope + changed.slope
            lowest = min(lowest, at, Lowest(constant + slope * place, reached=slope == 0), key=_rank)
        return min(lowest, _limit(constant, slope, lower), key=_rank)


class Lowest(NamedTuple):
    """The infimum of a curve on an open interval, and whether a point inside it has that value."""

    value: Decimal
    reached: bool


def _fall_above(constant: Decimal, slope: Decimal, ways: list[Iterator[Change]]) -> Decimal | None:
    for place, changed in _grouped(_merged(ways)):
        if slope < 0 and (root := -constant / slope) <= place:
            return root
        constant, slope = constant + changed.constant, slope + changed.slope
        if constant + slope * place <= 0:  # It jumped below: no line has a root here, yet here it ends.
            return place
    return root if slope < 0 and (root := -constant / slope) < _FARTHEST else None


def _fall_below(constant: Decimal, slope: Decimal, ways: list[Iterator[Change]]) -> Decimal | None:
    for place, changed in _grouped(_merged(ways, reverse=True)):
        if slope > 0 and (root := -constant / slope) >= place:
            return root
        constant, slope = constant + changed.constant, slope + changed.slope
        if constant + slope * place <= 0:
            return place
    if slope <= 0 or (root := -constant / slope) < -_NOTHING:
        return None
    return root if root > _NOTHING else ZERO


def _turned(changes: Iterator[Change]) -> Iterator[Change]:
    return (Change(place, -constant, -slope) for place, constant, slope in changes)


def _rank(lowest: Lowest) -> tuple[Decimal, bool]:
    return (lowest.value, not lowest.reached)


def _limit(constant: Decimal, slope: Decimal, end: Decimal) -> Lowest:
    if slope == 0:
        return Lowest(constant, reached=True)
    return Lowest(slope * INFINITY if end == INFINITY else constant + slope * end, reached=False)


def _merged(ways: list[Iterator[Change]], *, reverse: bool = False) -> Iterator[Change]:
    if len(ways) == 1:
        return ways[0]
    return merge(*ways, key=_place, reverse=reverse)


def _place(change: Change) -> Decimal:
    return change.place


def _grouped(changes: Iterator[Change]) -> Iterator[tuple[Decimal, Change]]:
    """Yield each place once, with all that changes there added up: half a jump is no end."""
    change = next(changes, None)
    while change is not None:
        place, constant, slope = change
        change = next(changes, None)
        while change is not None and change.place == place:
            constant, slope = constant + change.constant, slope + change.slope
            change = next(changes, None)
        yield place, Change(place, constant, slope)
