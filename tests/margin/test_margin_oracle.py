"""The solver against the slow judge, over pools of every kind: present figures, crossings, shocks, bankruptcy, margin.

One number makes one pool, so that a fault can be made again: `trial(number)`. The long run is
`python tests/margin/judge_many.py --pools 100000`.
"""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import margin_judge as judge
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_pools import any_distance, any_pool, plain_pool_of_one, source_of
from round_pools import round_distance, round_pool
from trial import counts_in_full, trial_of

from guard.margin import (
    HaircutBasis,
    MaintenanceBasis,
    MarginRule,
    PresentPool,
    TierBasis,
    crossings,
    idle_margin,
    margin_balance,
    margin_to_distance,
    obstacle_of,
    shock,
    with_margin,
)
from guard.margin.alone import is_alone
from guard.snapshot import Collateral, MarginMode

CHUNK = 20
A_LITTLE = Decimal("1e-20")


def trial(seed):
    source = source_of(seed)
    return trial_of(any_pool(source), any_distance(source))


@pytest.mark.parametrize("first", range(0, 200, CHUNK))
def test_every_answer_of_the_model_is_the_slow_judge_s(first):
    trials = {seed: trial(seed) for seed in range(first, first + CHUNK)}

    assert {seed: one.faults for seed, one in trials.items() if one.faults} == {}
    assert max(one.worst for one in trials.values()) < Fraction(1, 10**40)


def test_a_hedge_that_rounding_leaves_a_little_slope_of_is_liquidated_at_no_price():
    """Two pairs of inverse contracts, each netted to nothing: their coins cancel but for the 59th digit."""
    pool = any_pool(source_of(15504))
    assert shock(pool) == (None, None)
    assert trial(15504).faults == []


@pytest.mark.parametrize("first", range(0, 240, 2 * CHUNK))
def test_where_round_numbers_touch_the_model_and_the_judge_see_the_same(first):
    faults = {}
    for seed in range(first, first + 2 * CHUNK):
        source = source_of(seed)
        faults[seed] = trial_of(round_pool(source), round_distance(source)).faults

    assert {seed: found for seed, found in faults.items() if found} == {}


@pytest.mark.parametrize("seed", range(800, 830))
def test_a_ruined_pool_would_be_worth_something_again_where_the_judge_says(seed):
    source = source_of(seed)
    pool = replace(any_pool(source, kinds=("linear", "dollars")), haircut_basis=HaircutBasis.EQUITY)
    ruined = with_margin(pool, -20 * abs(margin_balance(pool)))
    found = trial_of(ruined, any_distance(source))
    assert found.answers == {"past"}
    assert found.faults == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False))
def test_hypothesis_finds_no_pool_that_the_model_and_the_judge_see_differently(source):
    assert trial_of(any_pool(source), any_distance(source)).faults == []


def test_made_pools_are_of_every_kind_and_none_is_thrown_away():
    pools = [any_pool(source_of(seed)) for seed in range(400)]
    legs = [leg for pool in pools for leg in pool.legs]
    assert not any(obstacle_of(pool) for pool in pools)
    assert {pool.currency for pool in pools} == {"USDT", "BTC", "USD"}
    assert min(Counter(pool.haircut_basis for pool in pools).values()) > 40
    assert min(Counter((leg.rule.tier_basis, leg.rule.hedge_netting) for leg in legs).values()) > 5
    assert min(Counter((leg.contract.kind, leg.rule.maintenance_basis) for leg in legs).values()) > 20
    assert min(Counter(leg.tiers.is_convex for leg in legs).values()) > 200
    assert sum(row.wallet_balance < 0 for pool in pools for row in pool.collateral) > 30
    assert sum(len(row.haircut_tiers) > 1 for pool in pools for row in pool.collateral) > 100


def test_the_answers_of_made_pools_are_of_every_kind():
    answers = Counter(answer for seed in range(25) for answer in trial(seed).answers)
    assert min(answers[kind] for kind in ("past", "none", "down", "up")) >= 2


@pytest.mark.parametrize("seed", range(60))
def test_the_price_of_a_pool_of_one_is_the_same_with_and_without_the_curve(seed):
    pool = plain_pool_of_one(source_of(seed))
    ours, theirs = crossings(pool, pool.legs[0]), crossings(PresentPool(pool), pool.legs[0])
    assert ours.nearest.kind is theirs.nearest.kind
    for one, other in ((ours.down, theirs.down), (ours.up, theirs.up)):
        assert (one is None) == (other is None)
        assert one is None or abs(one / other - 1) < Decimal("1e-27")


@pytest.mark.parametrize("seed", range(12))
def test_a_pool_of_one_with_anything_more_in_it_than_a_position_is_not_solved_without_the_curve(seed):
    pool = replace(plain_pool_of_one(source_of(seed)), margin_mode=MarginMode.CROSS)
    row, leg, one = pool.collateral[0], pool.legs[0], Decimal(1)
    assert is_alone(replace(pool, collateral=(replace(row, wallet_balance=Decimal(0)),)))
    others = [
        replace(pool, legs=(leg, leg)),
        replace(pool, legs=()),
        replace(pool, collateral=()),
        replace(pool, collateral=(row, Collateral(asset="EUR", wallet_balance=one, price=one, haircut=one))),
        replace(pool, collateral=(replace(row, asset="EUR"),)),
        replace(pool, currency="EUR"),
        *(replace(pool, **{name: one}) for name in ("order_margin", "funding_due")),
        *(replace(pool, **{name: one}) for name in ("other_maintenance_margin", "other_unrealized_pnl")),
        *(replace(pool, collateral=(replace(row, **{name: one}),)) for name in ("haircut", "surcharge")),
        replace(pool, collateral=(replace(row, wallet_balance=-one),)),
        *(
            replace(pool, legs=(replace(leg, rule=MarginRule(**other)),))
            for other in ({"maintenance_basis": MaintenanceBasis.ENTRY}, {"tier_basis": TierBasis.CONTRACTS})
        ),
    ]
    assert [is_alone(other) for other in others] == [False] * len(others)


@pytest.mark.parametrize("seed", range(700, 730))
def test_margin_that_was_added_restores_the_distance_and_a_hair_less_does_not(seed):
    source = source_of(seed)
    pool, distance = any_pool(source), any_distance(source)
    leg = pool.legs[0]
    if not counts_in_full(pool):
        pool = replace(pool, collateral=tuple(row for row in pool.collateral if row.asset != pool.currency))
    extra, idle = margin_to_distance(pool, leg, distance), idle_margin(pool, leg, distance)
    assert extra == 0 or idle == 0
    if extra.is_infinite():
        assert distance >= 1
        return
    assert _lives_within(with_margin(pool, extra), leg, distance)
    assert extra == 0 or not _lives_within(with_margin(pool, extra * (1 - A_LITTLE)), leg, distance)
    assert idle == 0 or _lives_within(with_margin(pool, -idle * (1 - A_LITTLE)), leg, distance)
    assert extra > 0 or not _lives_within(with_margin(pool, -(idle or 1) * (1 + A_LITTLE)), leg, distance)


def _lives_within(pool, leg, distance):
    found = judge.lowest(pool, {leg.contract.base}, max(Fraction(0), 1 - Fraction(distance)), 1 + Fraction(distance))
    return found is not None and (found[0] > 0 or (found[0] == 0 and not found[1]))
