"""Curves of a few straight pieces, each small enough to be drawn: where they fall, where they rise, how deep they are."""

from dataclasses import dataclass
from decimal import Decimal

import pytest

from guard.margin.arithmetic import ZERO
from guard.margin.curve import INFINITY, Change, Curve, Lowest

D = Decimal


@dataclass(frozen=True)
class Drawn:
    """A bend as it is drawn: its changes on both sides."""

    ups: tuple[Change, ...] = ()
    downs: tuple[Change, ...] = ()
    is_concave: bool = False
    constant_below: Decimal = ZERO
    slope_above: Decimal = ZERO

    def above(self):
        return iter(self.ups)

    def below(self):
        return iter(self.downs)


def change(place, constant, slope):
    return Change(D(place), D(constant), D(slope))


def curve(constant, slope, *bends):
    return Curve(D(constant), D(slope), bends)


def up(*changes):
    return Drawn(ups=tuple(change(*one) for one in changes))


def down(*changes):
    return Drawn(downs=tuple(change(*one) for one in changes))


@pytest.mark.parametrize(
    ("drawn", "place"),
    [
        (curve(3, -1), 3),
        (curve(3, 0), None),
        (curve(3, 1), None),
        (curve(3, -1, up(("2", "4", "0"))), 7),  # It is lifted before it falls.
        (curve(3, -1, up(("3", "4", "0"))), 3),  # It is lifted where it has fallen just now.
        (curve(3, 0, up(("2", "-3", "0"))), 2),  # It jumps to zero.
        (curve(3, 0, up(("2", "-2", "0"))), None),
        (curve(3, 0, up(("2", "-4", "0")), up(("2", "4", "0"))), None),  # Half a jump is no end.
        (curve(3, 0, up(("2", "-1", "0"), ("4", "-1", "0")), up(("3", "-1", "0"))), 4),
        (curve(3, 1, up(("2", "6", "-3"))), D("4.5")),  # It turns down.
        (curve("1e39", -1), D("1e39")),
        (curve("1e40", -1), None),  # What rounding has left of a slope.
    ],
)
def test_a_curve_falls_to_zero_above_the_present_where_it_is_drawn_to(drawn, place):
    assert drawn.fall_above() == place
    assert Curve(-drawn.constant, -drawn.slope, tuple(map(turned, drawn.bends))).rise_above() == place


@pytest.mark.parametrize(
    ("drawn", "place"),
    [
        (curve("-0.5", 1), D("0.5")),
        (curve("0.5", 0), None),
        (curve("0.5", -1), None),
        (curve("0.5", 1), None),
        (curve(0, 1), 0),
        (curve("-0.5", 1, down(("0.6", "0.25", "0"))), D("0.25")),  # It is lifted before it falls.
        (curve("-0.5", 1, down(("0.5", "0.25", "0"))), D("0.5")),  # It is lifted where it has fallen just now.
        (curve(3, 0, down(("0.5", "-3", "0"))), D("0.5")),  # It jumps to zero.
        (curve(3, 0, down(("0.5", "-2", "0"))), None),
        (curve(3, 0, down(("0.5", "-4", "0")), down(("0.5", "4", "0"))), None),
        (curve(3, 0, down(("0.8", "-1", "0"), ("0.2", "-1", "0")), down(("0.5", "-1", "0"))), D("0.2")),
        (curve(1, 1, down(("0.5", "-1.5", "3"))), D("0.125")),  # It turns down.
        (curve("-2e-40", 1), D("2e-40")),
        (curve("-1e-40", 1), 0),  # What rounding has left of a constant.
        (curve("1e-40", 1, down()), 0),
        (curve("2e-40", 1, down()), None),
    ],
)
def test_a_curve_falls_to_zero_below_the_present_where_it_is_drawn_to(drawn, place):
    assert drawn.fall_below() == place
    assert Curve(-drawn.constant, -drawn.slope, tuple(map(turned, drawn.bends))).rise_below() == place


def turned(bend):
    ups, downs = (tuple(Change(p, -c, -s) for p, c, s in side) for side in (bend.ups, bend.downs))
    return Drawn(ups=ups, downs=downs)


CONCAVE_DOWN_AT_THE_END = Drawn(ups=(change(2, 4, -2),), is_concave=True, slope_above=D(-2))
CONCAVE_BELOW_AT_ZERO = Drawn(downs=(change("0.5", -3, 6),), is_concave=True, constant_below=D(-3))


def test_a_curve_that_bends_down_only_is_walked_unless_its_far_end_is_safe():
    assert curve(3, 1, CONCAVE_DOWN_AT_THE_END).fall_above() == 7
    assert curve(3, 2, CONCAVE_DOWN_AT_THE_END).fall_above() is None
    assert curve(3, 3, CONCAVE_DOWN_AT_THE_END).fall_above() is None
    assert curve(2, 0, CONCAVE_BELOW_AT_ZERO).fall_below() == D(1) / 6
    assert curve(3, 0, CONCAVE_BELOW_AT_ZERO).fall_below() == 0
    assert curve(4, 0, CONCAVE_BELOW_AT_ZERO).fall_below() is None


@pytest.mark.parametrize(
    ("drawn", "lower", "upper", "lowest"),
    [
        (curve(1, 1), "0.5", "2", ("1.5", False)),
        (curve(5, -1), "0.5", "2", (3, False)),
        (curve(2, 0), "0.5", "2", (2, True)),
        (curve(5, -1), "0.5", "1", (4, True)),  # The present itself counts.
        (curve(1, 1), "1", "2", (2, True)),
        (curve(1, 1), "0", "Infinity", (1, False)),
        (curve(5, -1), "0", "Infinity", ("-Infinity", False)),
        (curve(5, 0, up(("1.5", "-6", "2"))), "0.5", "2", (2, True)),  # It jumps down and rises again.
        (curve(5, 0, up(("1.5", "-6", "2"))), "0.5", "1.5", (5, True)),  # It would jump at the very end.
        (curve(5, -1, up(("1.5", "10", "0"))), "0.5", "2", ("3.5", False)),  # It is lifted just before it is there.
        (curve(5, 0, up(("1.5", "1", "0"))), "0.5", "2", (5, True)),
        (curve(5, -1, up(("1.5", "-2", "1"))), "0.5", "2", (3, True)),
        (curve(5, -1, up(("1.5", "-1.5", "1"), ("1.7", "-3.4", "2"))), "0.5", "2", ("3.5", True)),
        (curve(5, 0, up(("1.5", "-6", "2"), ("1.8", "10", "0"))), "0.5", "2", (2, True)),
        (curve(5, 0, up(("1.5", "-5", "2"), ("1.75", "7", "-4"))), "0.5", "2", (3, True)),  # And comes near 3 again.
        (curve(5, 0, down(("0.8", "-2", "0"), ("0.5", "5", "0"))), "0.1", "2", (3, True)),
        (curve(5, 0, down(("0.8", "-2", "0"), ("0.5", "1", "-2"), ("0.4", "-1.6", "4"))), "0.3", "2", (3, True)),
        (curve(0, 4, down(("0.5", "4", "-8"))), "0.1", "2", (2, True)),
        (curve(0, 4, down(("0.5", "5", "0"))), "0.1", "2", (2, True)),  # It stands at the place and is lifted beneath.
        (curve(0, 4, down(("0.5", "5", "0"))), "0.5", "2", (2, False)),
        (curve(5, 0, down(("0.5", "-3", "0"))), "0.1", "2", (2, True)),
        (curve(5, 0, down(("0.5", "-3", "0"))), "0.5", "2", (5, True)),
        (curve(5, 0, down(("0.5", "-3", "-1"))), "0.1", "2", ("1.5", False)),  # It is that low just beneath the place.
        (curve(5, 0, down(("0.5", "-3", "1"))), "0.1", "2", ("2.1", False)),
        (curve(5, 0, up(("1.5", "-1", "0")), down(("0.5", "-2", "0"))), "0.1", "2", (3, True)),
        (curve(5, 0, up(("1.5", "-3", "0")), down(("0.5", "-2", "0"))), "0.1", "2", (2, True)),
    ],
)
def test_the_deepest_point_between_two_places_is_reached_or_only_come_near(drawn, lower, upper, lowest):
    value, reached = lowest
    assert drawn.lowest_between(D(lower), D(upper)) == Lowest(D(value), reached=reached)


def test_without_an_upper_end_a_curve_that_is_flat_at_last_is_as_deep_as_it_is_flat():
    assert curve(5, 0).lowest_between(D(0), INFINITY) == Lowest(D(5), reached=True)
