"""The laws that hold for every pool (design §3, law 5)."""

from dataclasses import replace
from decimal import Decimal, localcontext

import margin_worlds as worlds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.margin import (
    TierTable,
    bankruptcy_price,
    crossings,
    isolated_pool,
    liquidation_with_margin,
    margin_balance,
    margin_to_distance,
    pool_requirement,
    shock,
    with_margin,
)
from guard.margin.added_margin import distance_of
from guard.snapshot import ContractKind, LiquidationKind, MarginMode, Side

HAIR = Decimal("1e-25")
quick = settings(max_examples=100, deadline=None)


@quick
@given(worlds.isolated_worlds())
def test_the_margin_ratio_is_at_most_one_just_before_the_liquidation_price_and_at_least_one_at_it(world):
    leg, wallet = world
    pool = isolated_pool(leg, wallet)
    for price in (crossings(pool, leg).down, crossings(pool, leg).up):
        if price is None:
            continue
        outward = 1 if price > leg.mark_price else -1
        coin = leg.contract.base
        before = {coin: price / leg.mark_price * (1 - outward * HAIR)}
        at = {coin: price / leg.mark_price * (1 + outward * HAIR)}
        assert pool_requirement(pool, before) <= margin_balance(pool, before)
        assert pool_requirement(pool, at) >= margin_balance(pool, at)


@quick
@given(worlds.isolated_worlds())
def test_bankruptcy_lies_beyond_liquidation(world):
    leg, wallet = world
    pool = isolated_pool(leg, wallet)
    found, bankruptcy = crossings(pool, leg), bankruptcy_price(pool, leg)
    if found.nearest.kind is LiquidationKind.AT and bankruptcy is not None:
        if leg.side is Side.LONG:
            assert found.down is not None
            assert bankruptcy <= found.down
        else:
            assert found.up is not None
            assert bankruptcy >= found.up


@quick
@given(worlds.isolated_worlds(), st.decimals(Decimal("0.0001"), Decimal(2), places=4))
def test_adding_margin_never_moves_liquidation_nearer(world, share):
    leg, wallet = world
    pool = isolated_pool(leg, wallet)
    before = crossings(pool, leg)
    after = liquidation_with_margin(pool, leg, wallet * share)
    if before.nearest.kind is LiquidationKind.NONE:
        assert after.nearest.kind is LiquidationKind.NONE
    elif after.nearest.kind is not LiquidationKind.NONE:
        assert distance_of(after, leg.mark_price) >= distance_of(before, leg.mark_price)


@quick
@given(worlds.isolated_worlds(), st.decimals(Decimal("0.001"), Decimal("0.9"), places=3))
def test_the_margin_for_a_distance_restores_it_and_a_little_less_does_not(world, wanted):
    leg, wallet = world
    pool = isolated_pool(leg, wallet)
    extra = margin_to_distance(pool, leg, wanted)
    reached = distance_of(liquidation_with_margin(pool, leg, extra), leg.mark_price)
    assert reached is None or reached >= wanted - Decimal("1e-40")
    if extra > 0:
        short = distance_of(liquidation_with_margin(pool, leg, extra * (1 - Decimal("1e-9"))), leg.mark_price)
        assert short is not None
        assert short < wanted


@quick
@given(worlds.isolated_worlds())
def test_an_isolated_position_is_a_cross_pool_of_one(world):
    leg, wallet = world
    pool = isolated_pool(leg, wallet)
    assert crossings(pool, leg) == crossings(replace(pool, margin_mode=MarginMode.CROSS), leg)


@quick
@given(worlds.isolated_worlds(), st.integers(2, 1000))
def test_a_position_k_times_as_large_in_a_world_k_times_as_large_ends_at_the_same_price(world, times):
    leg, wallet = world
    tiers = TierTable.of(
        replace(
            tier,
            notional_floor=tier.notional_floor * times,
            notional_cap=tier.notional_cap * times,
            maintenance_amount=None if tier.maintenance_amount is None else tier.maintenance_amount * times,
        )
        for tier in leg.tiers.rows
    )
    large = replace(leg, quantity=leg.quantity * times, tiers=tiers)
    ours = crossings(isolated_pool(leg, wallet), leg)
    theirs = crossings(isolated_pool(large, wallet * times), large)
    assert ours.nearest.kind is theirs.nearest.kind
    for one, other in ((ours.down, theirs.down), (ours.up, theirs.up)):
        assert one == other or abs(one / other - 1) < HAIR


@quick
@given(worlds.isolated_worlds(), st.decimals(Decimal("0.01"), Decimal("0.99"), places=2))
def test_a_leg_split_in_two_ends_where_the_whole_does_when_one_tier_holds(world, share):
    leg, wallet = world
    leg = replace(leg, tiers=worlds.table(("0", "0.01")))
    parts = [replace(leg, quantity=leg.quantity * part) for part in (share, 1 - share)]
    whole = crossings(worlds.cross_pool(leg, wallet=wallet), leg)
    split = crossings(worlds.cross_pool(*parts, wallet=wallet), parts[0])
    assert whole.nearest.kind is split.nearest.kind
    for one, other in ((whole.down, split.down), (whole.up, split.up)):
        assert one == other or abs(one / other - 1) < HAIR


@quick
@given(worlds.cross_worlds())
def test_more_balance_never_moves_any_crossing_of_a_cross_pool_nearer(pool):
    richer = with_margin(pool, Decimal(1))
    for leg in pool.legs:
        before, after = crossings(pool, leg), crossings(richer, leg)
        if before.nearest.kind is LiquidationKind.PAST:
            continue
        assert after.down is None or (before.down is not None and after.down <= before.down)
        assert after.up is None or (before.up is not None and after.up >= before.up)


@quick
@given(worlds.isolated_worlds(bases=("mark",), kinds=(ContractKind.LINEAR,)))
def test_an_inverse_position_is_a_linear_one_of_the_other_side_seen_in_one_over_the_price(world):
    """A linear short of q at entry E, tiers and wallet in quote, is an inverse long of q with entry 1/E in that quote.

    A little beside a round wallet, for 1/E is rounded and must not decide whether a pool is just past its end.
    """
    leg, wallet = world[0], world[1] + Decimal("1.7e-12")
    seen = replace(
        leg,
        contract=worlds.contract("USDT", inverse=True),
        side=Side(-leg.side),
        entry_price=1 / leg.entry_price,
        mark_price=1 / leg.mark_price,
    )
    linear = crossings(isolated_pool(leg, wallet), leg)
    inverse = crossings(isolated_pool(seen, wallet), seen)
    for one, other in ((linear.down, inverse.up), (linear.up, inverse.down)):
        assert (one is None) == (other is None)
        assert one is None or abs(one * other - 1) < Decimal("1e-20")


@pytest.mark.parametrize("precision", [3, 9, 28])
def test_no_figure_depends_on_the_decimal_context_of_the_caller(precision):
    leg = worlds.leg(entry="30123.45", mark="30999.99", quantity="0.777")
    pool = isolated_pool(leg, Decimal("2345.678"))
    expected = crossings(pool, leg), bankruptcy_price(pool, leg), shock(pool), margin_balance(pool)
    with localcontext() as context:
        context.prec = precision
        assert (crossings(pool, leg), bankruptcy_price(pool, leg), shock(pool), margin_balance(pool)) == expected
