"""Sums of powers: their roots, however many and however near, in closed form or bisected."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.margin.books.power_sum import PowerSum


def power_sum(**terms):
    return PowerSum({Decimal(name[1:].replace("_", ".")): Decimal(factor) for name, factor in terms.items()})


def with_roots(roots, stretch):
    """Return the product of (u ** stretch - root ** stretch)."""
    made = PowerSum({Decimal(0): Decimal(1)})
    for root in roots:
        raised = PowerSum({exponent + stretch: factor for exponent, factor in made.terms.items()})
        made = PowerSum.total([(raised, Decimal(1)), (made, -(root**stretch))])
    return made


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(5, 400), min_size=1, max_size=5, unique=True),
    st.sampled_from(("0.5", "1", "1.7", "2")),
)
def test_every_root_between_two_values_is_found_and_no_other(hundredths, stretch):
    roots = sorted(Decimal(root) / 100 for root in hundredths)
    low, high = Decimal("0.5"), Decimal("2.005")
    found = with_roots(roots, Decimal(stretch)).roots(low, high)
    expected = [root for root in roots if low <= root <= high]
    assert len(found) == len(expected)
    assert all(abs(one / other - 1) < Decimal("1e-15") for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("terms", "roots"),
    [
        ({"p0": "-3", "p1": "2"}, ["1.5"]),
        ({"p1": "2", "p0": "3"}, []),
        ({"p0": "-4", "p2": "1"}, ["2"]),
        ({"p1": "-9", "p3": "1"}, ["3"]),
        ({"p0": "5"}, []),
        ({}, []),
        ({"p0": "-9", "p2": "1", "p1": "0"}, ["3"]),
    ],
)
def test_one_and_two_powers_are_solved_in_closed_form(terms, roots):
    assert power_sum(**terms).roots(Decimal(1), Decimal(3)) == [Decimal(root) for root in roots]


def test_a_root_at_either_end_counts():
    cubic = with_roots([Decimal(1), Decimal(2), Decimal(3)], Decimal(1))
    assert [round(root, 20) for root in cubic.roots(Decimal(1), Decimal(3))] == [1, 2, 3]


def test_sums_are_added_power_by_power_and_what_cancels_is_gone():
    total = PowerSum.total([(power_sum(p0="2", p1="3"), Decimal(2)), (power_sum(p1="-6", p2="1"), Decimal(1))])
    assert total.terms == {Decimal(0): 4, Decimal(2): 1}
    assert total.at(Decimal(3)) == 13
