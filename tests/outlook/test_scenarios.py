"""Many scenarios at once against the exact model, one by one; and what is promised at floors and of memory."""

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import margin_worlds as worlds
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.margin import (
    HaircutBasis,
    HedgeNetting,
    MaintenanceBasis,
    PresentPool,
    TierBasis,
    TierTable,
    at_prices,
    isolated_pool,
    margin_balance,
    of_leg,
    pool_requirement,
)
from guard.outlook.scenarios import compile_pool, evaluate
from guard.snapshot import Collateral, ContractKind, HaircutTier, MarginMode, Side

COINS = ("SOL", "EUR", "BTC", "ETH")
several = settings(max_examples=60, deadline=None)


@st.composite
def pools(draw):
    if draw(st.booleans()):
        leg, wallet = draw(worlds.isolated_worlds())
        return isolated_pool(leg, wallet)
    pool = draw(worlds.cross_worlds())
    rest = st.sampled_from((Decimal(0), sum((of_leg(leg).notional for leg in pool.legs), Decimal(0)) / 50))
    return replace(pool, other_maintenance_margin=draw(rest), other_unrealized_pnl=-draw(rest))


@st.composite
def factor_sets(draw):
    """Return a row per scenario: calm, wild, or calm with a few that are wild."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    spread = draw(st.sampled_from((0.02, 0.3, 1.0)))
    rows = np.exp(spread * chance.standard_normal((draw(st.integers(1, 80)), len(COINS))))
    rows[chance.random(rows.shape) < draw(st.sampled_from((0.0, 0.02)))] *= draw(st.sampled_from((0.02, 20.0)))
    return rows


def moved(coins, row):
    return {coin: Decimal(float(factor)) for coin, factor in zip(coins, row, strict=True)}


def at_stake(pool, factors):
    """Return the sum of all amounts that a balance is made of, so that none can hide behind another."""
    there = PresentPool(at_prices(pool, factors))
    held = sum((abs(row.wallet_balance) * row.price for row in there.pool.collateral), Decimal(0))
    legs = sum(((one.notional + one.paid) * one.settle_price for one in there.legs), Decimal(0))
    return held + legs + abs(pool.other_unrealized_pnl) + abs(pool.funding_due)


def assert_as_the_model_says(pool, coins, factors, outcomes, every=1):
    for index in range(0, len(factors), every):
        prices = moved(coins, factors[index])
        balance, required = margin_balance(pool, prices), pool_requirement(pool, prices)
        stake = at_stake(pool, prices)
        assert abs(Decimal(float(outcomes.margin_balance[index])) - balance) <= Decimal("1e-12") * stake
        assert abs(Decimal(float(outcomes.requirement[index])) - required) <= Decimal("1e-9") * required
        if abs(balance - required) > Decimal("1e-12") * (stake + required):
            assert outcomes.liquidated[index] == (balance <= required)


@several
@given(pools(), factor_sets())
def test_every_scenario_ends_as_the_exact_model_says(pool, factors):
    outcomes = evaluate(compile_pool(pool, COINS), factors)

    assert_as_the_model_says(pool, COINS, factors, outcomes)


CUTS = st.sampled_from(
    (
        {},
        {"haircut": Decimal("0.1")},
        {"haircut": Decimal("0.05"), "surcharge": Decimal("0.02")},
        {
            "haircut_tiers": (
                HaircutTier(balance_floor=Decimal(0), haircut=Decimal("0.02")),
                HaircutTier(balance_floor=Decimal(1), haircut=Decimal("0.2")),
                HaircutTier(balance_floor=Decimal(3), haircut=Decimal("0.5")),
            )
        },
    )
)


@st.composite
def pools_of_many_assets(draw):
    """Linear legs in two dollars and inverse legs in their coin, in one pool, by any rule that an exchange may have."""
    marks = {"BTC": Decimal(50000), "ETH": Decimal("2500.5")}
    legs = []
    for coin in draw(st.lists(st.sampled_from(sorted(marks)), min_size=1, max_size=4)):
        quote = draw(st.sampled_from(("USDT", "USDC", None)))
        terms = worlds.contract(coin, inverse=quote is None, quote=quote or "")
        leg = draw(worlds.legs(terms, marks[coin]))
        rule = replace(
            leg.rule,
            maintenance_basis=draw(st.sampled_from(MaintenanceBasis)),
            hedge_netting=draw(st.sampled_from(HedgeNetting)),
            tier_basis=draw(st.sampled_from((TierBasis.NOTIONAL, TierBasis.NOTIONAL, TierBasis.CONTRACTS))),
        )
        floors = [(row.notional_floor, row.maintenance_margin_rate) for row in leg.tiers.rows]
        by_contracts = rule.tier_basis is TierBasis.CONTRACTS
        jumping = by_contracts or (quote is not None and draw(st.booleans()))
        legs.append(replace(leg, rule=rule, tiers=worlds.table(*floors, jumping=jumping)))
    prices = {"USDT": Decimal(1), "USDC": Decimal("0.999"), **marks}
    held = tuple(
        Collateral(
            asset=asset,
            wallet_balance=draw(st.decimals(-2, 20, places=3)) * (1 if price > 2 else 10000),
            price=price,
            **({"haircut": Decimal(0)} | draw(CUTS)),
        )
        for asset, price in prices.items()
    )
    return worlds.MarginPool(
        currency="USDT",
        margin_mode=MarginMode.CROSS,
        collateral=held,
        legs=tuple(legs),
        haircut_basis=draw(st.sampled_from(HaircutBasis)),
        order_margin=draw(st.sampled_from((Decimal(0), Decimal(250)))),
        funding_due=draw(st.sampled_from((Decimal(0), Decimal(-30), Decimal(70)))),
    )


@settings(max_examples=150, deadline=None)
@given(pools_of_many_assets(), factor_sets())
def test_pools_of_many_assets_and_rules_end_as_the_exact_model_says(pool, factors):
    outcomes = evaluate(compile_pool(pool, COINS), factors)

    assert_as_the_model_says(pool, COINS, factors, outcomes)


@several
@given(pools_of_many_assets(), factor_sets())
def test_what_a_coin_that_is_not_named_is_charged_stands_still(pool, factors):
    named = ("ETH", "SOL", "EUR", "XRP")

    outcomes = evaluate(compile_pool(pool, named), factors)

    assert_as_the_model_says(pool, named, factors, outcomes)


@several
@given(pools(), factor_sets(), st.sampled_from((0.5, 1.0, 3.0)))
def test_a_scenario_ends_the_same_whatever_is_asked_beside_it(pool, factors, elsewhere):
    beside = np.full((3000, len(COINS)), elsewhere)

    outcomes = evaluate(compile_pool(pool, COINS), np.concatenate([factors, beside]))

    assert_as_the_model_says(pool, COINS, factors, outcomes)
    assert len(outcomes.requirement) == len(factors) + len(beside)


def test_scenarios_of_many_blocks_end_as_the_exact_model_says():
    leg = worlds.leg(side=Side.SHORT, tiers=worlds.table(("0", "0.01"), ("45000", "0.03"), ("65000", "0.06")))
    jumping = worlds.leg(
        worlds.contract("ETH"), tiers=worlds.table(("0", "0.01"), ("40000", "0.02"), ("90000", "0.05"), jumping=True)
    )
    pool = worlds.cross_pool(leg, jumping, wallet="9000")
    factors = np.exp(0.3 * np.random.default_rng(5).standard_normal((100_003, len(COINS))))

    outcomes = evaluate(compile_pool(pool, COINS), factors)

    assert_as_the_model_says(pool, COINS, factors, outcomes, every=997)
    assert 0.1 < outcomes.liquidated.mean() < 0.9


@several
@given(factor_sets())
def test_a_coin_may_be_counted_in_another_that_moves_as_well(factors):
    in_coins = worlds.leg(
        worlds.contract("ETH", quote="BTC"),
        quantity="40",
        entry="0.06",
        mark="0.05",
        tiers=worlds.table(("0", "0.01"), ("2.5", "0.05")),
    )
    inverse = worlds.leg(worlds.contract(inverse=True), side=Side.SHORT, quantity="30000")
    pool = worlds.cross_pool(in_coins, inverse, wallet="1.5")

    assert_as_the_model_says(pool, COINS, factors, evaluate(compile_pool(pool, COINS), factors))


def test_a_leg_that_is_netted_away_is_charged_nothing():
    tiers = worlds.table(("0", "0.01"), ("60000", "0.02"))
    long, short = (
        worlds.leg(side=side, quantity=size, tiers=tiers) for side, size in ((Side.LONG, "2"), (Side.SHORT, "1"))
    )
    legs = [replace(leg, rule=replace(leg.rule, hedge_netting=HedgeNetting.LARGER)) for leg in (long, short)]
    pool = worlds.cross_pool(*legs, wallet="9000")
    factors = np.array([[1.0], [0.5]])

    outcomes = evaluate(compile_pool(pool, ("BTC",)), factors)

    assert outcomes.requirement == pytest.approx([1400, 500])
    assert_as_the_model_says(pool, ("BTC",), factors, outcomes)


SHRINKING = tuple(
    HaircutTier(balance_floor=Decimal(floor), haircut=Decimal(cut)) for floor, cut in ((0, "0.2"), (1, "0.1"))
)


@pytest.mark.parametrize(
    ("leg", "changes", "reason"),
    [
        (
            worlds.contract("ETH", quote="BTC"),
            {},
            "ETH/BTC:BTC: its brackets are counted in BTC, which moves in this pool",
        ),
        (
            worlds.contract(inverse=True),
            {"haircut_basis": HaircutBasis.EQUITY},
            "BTC: its haircut shrinks as the balance grows",
        ),
        (
            worlds.contract(inverse=True),
            {"currency": "ETH"},
            "BTC/USD:BTC: its brackets are counted in BTC, which moves in this pool",
        ),
    ],
)
def test_a_pool_that_is_no_sum_of_curves_is_refused_by_name(leg, changes, reason):
    coin = Collateral(
        asset="BTC", wallet_balance=Decimal(2), price=Decimal(50000), haircut=Decimal(0), haircut_tiers=SHRINKING
    )
    made = worlds.leg(leg, tiers=worlds.table(("0", "0.01"), ("2", "0.02")))
    pool = replace(worlds.cross_pool(worlds.leg(), others=(coin,)), legs=(made,), **changes)

    with pytest.raises(ValueError, match=f"^{reason}$"):
        compile_pool(pool, COINS)


def test_a_pool_that_the_model_cannot_state_is_refused_in_its_words():
    coin = Collateral(asset="BTC", wallet_balance=Decimal(2), price=Decimal(50000), haircut=Decimal(0))
    jumping = worlds.leg(worlds.contract(inverse=True), tiers=worlds.table(("0", "0.01"), ("2", "0.02"), jumping=True))
    pool = replace(worlds.cross_pool(worlds.leg(), others=(coin,)), legs=(jumping,))

    with pytest.raises(ValueError, match="brackets that jump"):
        compile_pool(pool, COINS)


def around_floors(leg):
    """Return the factors nearest to each floor, and their neighbours."""
    for tier in leg.tiers.rows[1:]:
        share = Fraction(tier.notional_floor) / Fraction(of_leg(leg).notional)
        near = float(1 / share if leg.contract.kind is ContractKind.INVERSE else share)
        yield from (math.nextafter(near, 0), near, math.nextafter(near, math.inf))


@several
@given(worlds.isolated_worlds(bases=("mark",), kinds=(ContractKind.LINEAR,)), st.sampled_from((0.001, 1.0, 1000.0)))
def test_a_factor_at_a_floor_and_its_neighbours_belong_to_the_tiers_that_the_model_names(world, elsewhere):
    pool = isolated_pool(*world)
    factors = np.array([[1.0], *([factor] for factor in around_floors(pool.legs[0]))])
    among_many = np.concatenate([factors, np.full((2000, 1), elsewhere)])

    for rows in (factors, among_many):
        outcomes = evaluate(compile_pool(pool, ("BTC",)), rows)

        assert_as_the_model_says(pool, ("BTC",), factors, outcomes)


@several
@given(worlds.isolated_worlds(bases=("mark",), kinds=(ContractKind.INVERSE,)))
def test_an_inverse_contract_is_at_a_floor_at_most_a_rounding_early_and_never_late(world):
    pool = isolated_pool(*world)
    factors = np.array([[1.0], *([factor] for factor in around_floors(pool.legs[0]))])

    required = evaluate(compile_pool(pool, ("BTC",)), factors).requirement

    early = [moved(("BTC",), row * (1 - 2e-16)) for row in factors]
    for index, prices in enumerate(moved(("BTC",), row) for row in factors):
        allowed = (pool_requirement(pool, prices), pool_requirement(pool, early[index]))
        assert any(abs(Decimal(float(required[index])) - each) <= Decimal("1e-9") * each for each in allowed)


def test_a_notional_equal_to_a_floor_belongs_to_the_tier_above():
    leg = worlds.leg(tiers=worlds.table(("0", "0.01"), ("25000", "0.02"), ("62500", "0.05"), jumping=True))
    factors = np.array([[math.nextafter(0.5, 0)], [0.5], [math.nextafter(1.25, 0)], [1.25]])

    required = evaluate(compile_pool(worlds.cross_pool(leg), ("BTC",)), factors).requirement

    assert required == pytest.approx([250, 500, 1250, 3125], rel=1e-12)


def test_a_table_that_states_only_its_tier_in_force_asks_for_nothing_far_below_it():
    tier = replace(worlds.table(("0", "0.05")).rows[0], maintenance_amount=Decimal(2000))
    pool = worlds.cross_pool(worlds.leg(tiers=TierTable.of((tier,))))

    required = evaluate(compile_pool(pool, ("BTC",)), np.array([[0.5], [0.8], [1.0], [2.0]])).requirement

    assert required == pytest.approx([0, 0, 500, 3000], rel=1e-12, abs=1e-9)


def test_a_coin_falls_as_collateral_and_as_a_position_alike_and_what_is_not_named_stands_still():
    coin = Collateral(asset="BTC", wallet_balance=Decimal(2), price=Decimal(50000), haircut=Decimal("0.05"))
    pool = worlds.cross_pool(worlds.leg(), worlds.leg(worlds.contract("ETH")), wallet="1000", others=(coin,))

    outcomes = evaluate(compile_pool(pool, ("BTC",)), np.array([[1.0], [0.5], [0.0]]))

    assert outcomes.margin_balance == pytest.approx([96000, 23500, -49000], rel=1e-12)
    assert outcomes.requirement == pytest.approx([1000, 750, 500], rel=1e-12)
    assert list(outcomes.liquidated) == [False, False, True]


def test_a_balance_equal_to_the_requirement_is_liquidated():
    pool = worlds.cross_pool(worlds.leg(tiers=worlds.table(("0", "0.5")), entry="64", mark="64"), wallet="32")

    outcomes = evaluate(compile_pool(pool, ("BTC",)), np.array([[1.0], [1.25], [0.75]]))

    assert list(outcomes.liquidated) == [True, False, True]


@pytest.mark.parametrize("factor", [0.0, math.nan])
def test_a_price_without_a_meaning_is_refused_and_not_counted(factor):
    pool = worlds.cross_pool(worlds.leg(worlds.contract(inverse=True)), wallet="1")

    with pytest.raises(ValueError, match="without finite figures"):
        evaluate(compile_pool(pool, ("BTC",)), np.array([[1.0], [factor]]))


@pytest.mark.parametrize(
    "laid_out",
    [
        np.asfortranarray,
        lambda rows: rows.astype(object),
        lambda rows: np.repeat(rows, 2, axis=0)[::2],
        lambda rows: rows[:, ::-1].copy()[:, ::-1],
    ],
)
def test_rows_may_lie_in_memory_as_they_like(laid_out):
    pool = worlds.cross_pool(worlds.leg(), worlds.leg(worlds.contract("ETH")), wallet="20000")
    factors = np.exp(0.2 * np.random.default_rng(3).standard_normal((50_000, len(COINS))))

    straight, other = (evaluate(compile_pool(pool, COINS), rows) for rows in (factors, laid_out(factors)))

    assert np.allclose(straight.requirement, other.requirement, rtol=1e-14)
    assert np.allclose(straight.margin_balance, other.margin_balance, rtol=1e-11)


def test_no_scenario_is_no_outcome():
    assert len(evaluate(compile_pool(worlds.cross_pool(worlds.leg()), COINS), np.empty((0, 4))).liquidated) == 0


def test_a_pool_that_nothing_moves_is_the_same_in_every_scenario():
    pool = worlds.cross_pool(worlds.leg(basis="entry", side=Side.SHORT), wallet="1000")

    outcomes = evaluate(compile_pool(pool, ("EUR",)), np.array([[0.5], [2.0]]))

    assert list(outcomes.margin_balance) == [1000, 1000]
    assert list(outcomes.requirement) == [500, 500]


def test_the_last_block_ends_where_the_scenarios_end():
    pool = worlds.cross_pool(worlds.leg(tiers=worlds.table(("0", "0.01"), ("60000", "0.03"))), wallet="20000")
    factors = np.ones((200_001, 1))
    factors[1::2] = 1.5

    outcomes = evaluate(compile_pool(pool, ("BTC",)), np.concatenate([factors, factors], axis=1)[:, :1])

    assert outcomes.requirement[[0, 1, -2, -1]] == pytest.approx([500, 1050, 1050, 500])
    assert outcomes.requirement.sum() == pytest.approx(500 * 100_001 + 1050 * 100_000)
