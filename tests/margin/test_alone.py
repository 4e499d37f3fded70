"""A pool of one is answered by its first straight piece, and hands on to the curve only what lies beyond it."""

from decimal import Decimal

import pytest
from margin_worlds import contract, leg, table

from guard.margin import crossings, isolated_pool
from guard.margin.alone import ends_alone
from guard.snapshot import LiquidationKind, Side

TWO = table(("0", "0.01"), ("80", "0.02"))  # From 80 on 2 % less 0.8.
COIN = table(("0", "0.01"))


def asked(wallet, *, inverse=False, **terms):
    one = leg(contract(inverse=inverse), **({"entry": "100", "mark": "100", "tiers": TWO} | terms))
    return ends_alone(isolated_pool(one, Decimal(wallet)), one)


@pytest.mark.parametrize(
    ("wallet", "terms", "below", "above"),
    [
        ("10", {}, Decimal("89.2") / Decimal("0.98"), None),  # In the upper bracket, and it ends there.
        ("1.3", {}, Decimal("97.9") / Decimal("0.98"), None),  # A tenth of a dollar is left.
        ("10", {"side": Side.SHORT}, None, Decimal("110.8") / Decimal("1.02")),
        ("1.3", {"side": Side.SHORT}, None, Decimal("102.1") / Decimal("1.02")),
        ("0.001", {"inverse": True, "tiers": COIN}, Decimal("1.01") / Decimal("0.011"), None),
        ("0.001", {"inverse": True, "tiers": COIN, "side": Side.SHORT}, None, Decimal("0.99") / Decimal("0.009")),
        ("0.02", {"inverse": True, "tiers": COIN, "side": Side.SHORT}, None, None),
    ],
)
def test_a_plain_position_is_answered_without_the_curve(wallet, terms, below, above):
    found = asked(wallet, **terms)
    assert found is not None
    for ours, by_hand in zip(found, (below, above), strict=True):
        assert (ours is None) == (by_hand is None)
        assert ours is None or abs(ours - by_hand) < Decimal("1e-20")


@pytest.mark.parametrize(
    ("wallet", "terms"),
    [
        ("21", {}),  # A long that ends in the bracket beneath.
        ("10", {"side": Side.SHORT, "tiers": table(("0", "0.01"), ("105", "0.02"))}),  # A short, in the one above.
        ("200", {}),  # One that nothing ends: only the bracket beneath says so.
        ("0.5", {}),  # Past.
        ("1.2", {}),  # Just at its end.
        ("200", {"tiers": table(("0", "1"))}),  # It neither rises nor falls.
        ("200", {"tiers": table(("0", "0.01"), ("150", "1.01"))}),  # A rise ends it in the last bracket.
    ],
)
def test_what_ends_beyond_the_first_piece_is_left_to_the_curve(wallet, terms):
    assert asked(wallet, **terms) is None


@pytest.mark.parametrize(("fee", "rate"), [("0", "1"), ("0.2", "0.8")])
def test_a_long_that_is_charged_all_it_is_worth_neither_rises_nor_falls(fee, rate):
    one = leg(entry="100", mark="90", tiers=table(("0", rate)), fee=fee)
    assert crossings(isolated_pool(one, Decimal(101)), one).nearest.kind is LiquidationKind.NONE
    assert crossings(isolated_pool(one, Decimal(100)), one).nearest.kind is LiquidationKind.PAST


def test_a_last_bracket_that_takes_exactly_all_of_a_rise_does_not_need_the_curve():
    terms = {"tiers": table(("0", "0.01"), ("150", "0.8")), "fee": "0.2"}
    assert asked("40", **terms) is not None
    assert asked("40", **(terms | {"fee": "0.21"})) is None


def test_a_bracket_edge_that_is_just_reached_still_belongs_to_the_first_piece():
    """At exactly 80 the long of the upper bracket has 0.8 left against 0.8; a short at 105 has 1.05 against 1.05."""
    assert asked("20.8") == (80, None)
    short = {"side": Side.SHORT, "tiers": table(("0", "0.01"), ("105", "0.02"))}
    assert asked("6.05", **short) == (None, 105)
