"""The least margin that carries a position to a price and past no liquidation: what a report says would have saved it."""

from decimal import Decimal

import margin_worlds as worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.margin import crossings, isolated_pool, liquidation_with_margin, margin_to_outlast
from guard.snapshot import LiquidationKind, Side

D = Decimal


def _outlasts(found, price, mark):
    if found.nearest.kind is LiquidationKind.PAST:
        return False
    edge = found.down if price < mark else found.up
    return edge is None or (edge < price if price < mark else edge > price)


@settings(max_examples=100, deadline=None)
@given(worlds.isolated_worlds(), st.decimals("0.3", "2", places=3))
def test_with_that_much_more_the_price_is_outlasted_and_with_a_little_less_it_is_not(world, factor):
    leg, wallet = world
    pool, price = isolated_pool(leg, wallet), leg.mark_price * factor
    needed = margin_to_outlast(pool, leg, price)
    assert _outlasts(liquidation_with_margin(pool, leg, needed), price, leg.mark_price)
    if needed > 0:
        short = liquidation_with_margin(pool, leg, needed * (1 - D("1e-9")))
        assert not _outlasts(short, price, leg.mark_price)


def test_a_price_on_the_near_side_of_liquidation_costs_nothing_and_the_liquidation_price_itself_a_hair():
    leg = worlds.leg(side=Side.LONG, quantity="1", entry="50000", mark="50000")
    pool = isolated_pool(leg, D(5_000))
    end = crossings(pool, leg).down
    assert margin_to_outlast(pool, leg, end + 1) == 0
    assert 0 < margin_to_outlast(pool, leg, end) < D("1e-20")


def test_a_short_needs_it_on_the_way_up():
    leg = worlds.leg(side=Side.SHORT, quantity="1", entry="50000", mark="50000")
    pool = isolated_pool(leg, D(5_000))
    assert margin_to_outlast(pool, leg, D(40_000)) == 0
    assert margin_to_outlast(pool, leg, D(60_000)) > 5_000
