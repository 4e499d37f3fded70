"""What bends the excess of a pool: tiers of a requirement, and haircuts of an asset's equity."""

from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from guard.margin.arithmetic import ONE, ZERO
from guard.margin.curve import Change
from guard.margin.tier_table import TierTable
from guard.snapshot import Collateral


class Line(NamedTuple):
    """`constant + slope x variable`, in the pool's currency."""

    constant: Decimal
    slope: Decimal

    def plus(self, other: "Line", times: Decimal = ONE) -> "Line":
        return Line(self.constant + other.constant * times, self.slope + other.slope * times)


NOTHING = Line(ZERO, ZERO)


def line_of(value: Decimal, *, scales: bool) -> Line:
    """Return the line of an amount that is worth so much now."""
    return Line(ZERO, value) if scales else Line(value, ZERO)


class TierBend(NamedTuple):
    """The brackets that a leg's notional passes through while its price moves.

    `per_unit` is what one unit of the settle currency is charged at in the pool's, as a line.
    """

    table: TierTable
    tier: int  # Index of the line in force now.
    notional: Decimal  # In the settle currency, now.
    charged: Line  # The notional in the pool's currency.
    per_unit: Line
    grows: bool  # The notional in the settle currency grows with the variable; else it falls as one over it.

    @property
    def is_concave(self) -> bool:
        return self.table.is_convex

    @property
    def constant_below(self) -> Decimal:
        return self._change(self.tier, 0 if self.grows else -1).constant

    @property
    def slope_above(self) -> Decimal:
        return self._change(self.tier, -1 if self.grows else 0).slope

    def above(self) -> Iterator[Change]:
        return self._up() if self.grows else self._down()

    def below(self) -> Iterator[Change]:
        return self._down() if self.grows else self._up()

    def _up(self) -> Iterator[Change]:
        """Yield the changes into the tiers above, nearest first."""
        floors, index, notional = self.table.floors, self.tier, self.notional
        while index + 1 < len(floors):
            floor = floors[index + 1]
            change = self._change(index, index + 1)
            yield Change(floor / notional if self.grows else notional / floor, change.constant, change.slope)
            index += 1

    def _down(self) -> Iterator[Change]:
        """Yield the changes into the tiers below, nearest first."""
        floors, index, notional = self.table.floors, self.tier, self.notional
        while index > 0:
            floor = floors[index]
            change = self._change(index, index - 1)
            yield Change(floor / notional if self.grows else notional / floor, change.constant, change.slope)
            index -= 1

    def _change(self, before: int, after: int) -> Line:
        """Return what the excess gains from one tier to another."""
        lines = self.table.lines
        rate, amount = lines[after].rate - lines[before].rate, lines[after].amount - lines[before].amount
        charged, unit = self.charged, self.per_unit
        return Line(amount * unit.constant - rate * charged.constant, amount * unit.slope - rate * charged.slope)


class Band(NamedTuple):
    """A slice of a haircut: from so many units of an asset on, equity counts as equity x share + units x offset."""

    floor: Decimal
    share: Decimal
    offset: Decimal


class EquityBend:
    """An asset's equity at its haircut: what is owned counts less, slice by slice, what is owed in full or more."""

    def __init__(self, row: Collateral, equity: Line, unit: Line) -> None:
        self._equity, self._unit = equity, unit
        self._bands = tuple(bands_of(row))
        self.is_concave = all(before.share >= after.share for before, after in pairwise(self._bands))

    @cached_property
    def counted(self) -> Line:
        """Return what the equity counts for just above the present."""
        band = self._bands[0]
        for candidate in self._bands[1:]:
            over = self._over(candidate)
            value = over.constant + over.slope
            if value > 0 or (value == 0 and over.slope >= 0):
                band = candidate
        return NOTHING.plus(self._equity, band.share).plus(self._unit, band.offset)

    @property
    def constant_below(self) -> Decimal:
        return sum((change.constant for change in self.below()), ZERO)

    @property
    def slope_above(self) -> Decimal:
        return sum((change.slope for change in self.above()), ZERO)

    def above(self) -> Iterator[Change]:
        return iter(sorted(change for change in self._changes if change.place > 1))

    def below(self) -> Iterator[Change]:
        met = sorted((change for change in self._changes if change.place <= 1), reverse=True)
        return (Change(place, -constant, -slope) for place, constant, slope in met)

    @cached_property
    def _changes(self) -> tuple[Change, ...]:
        """Return the places where the equity passes from one band into another, each as met on the way up."""
        found = []
        for before, after in pairwise(self._bands):
            over = self._over(after)
            if over.slope == 0 or over.constant * over.slope >= 0:
                continue  # It is never there, or only at zero and below.
            sign = 1 if over.slope > 0 else -1
            gain = NOTHING.plus(self._equity, after.share - before.share).plus(self._unit, after.offset - before.offset)
            found.append(Change(-over.constant / over.slope, gain.constant * sign, gain.slope * sign))
        return tuple(found)

    def _over(self, band: Band) -> Line:
        return self._equity.plus(self._unit, -band.floor)


def counted_units(row: Collateral, units: Decimal) -> Decimal:
    """Return how many units of an asset a balance counts for: less than it is, or as a debt in full or more."""
    if not row.haircut_tiers:
        return units * (1 - row.haircut) if units >= 0 else units * (1 + row.surcharge)
    band = next(band for band in reversed(tuple(bands_of(row))) if units >= band.floor)
    return units * band.share + band.offset


def bands_of(row: Collateral) -> Iterator[Band]:
    """Yield the slices. Source: OKX discount tiers and Bybit collateral value ratios; both are progressive."""
    yield Band(Decimal("-Infinity"), 1 + row.surcharge, ZERO)
    if not row.haircut_tiers:
        yield Band(ZERO, 1 - row.haircut, ZERO)
        return
    offset, before = ZERO, row.haircut_tiers[0].haircut
    for tier in row.haircut_tiers:
        offset += tier.balance_floor * (tier.haircut - before)
        before = tier.haircut
        yield Band(tier.balance_floor, 1 - tier.haircut, offset)
