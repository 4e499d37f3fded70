"""Metamorphic laws: what the answers of one pool say about those of another, over pools of every kind."""

from dataclasses import replace
from decimal import Decimal, localcontext

import pytest
from made_pools import COINS, any_pool, source_of
from margin_worlds import contract, leg, table

from guard.margin import (
    HedgeNetting,
    PresentPool,
    TierBasis,
    TierTable,
    at_prices,
    bankruptcy_price,
    crossings,
    margin_balance,
    pool_requirement,
    shock,
    with_margin,
)
from guard.margin.moves import EVERY_COIN, one_coin
from guard.snapshot import Collateral, LiquidationKind, Side

SEEDS = range(1000, 1020)
of_every_kind = pytest.mark.parametrize("seed", SEEDS)
TINY = Decimal("1e-25")


def answers(pool):
    """Return everything that prices decide, by symbol where it is a symbol's."""
    prices = {}
    for one in pool.legs:
        found = crossings(pool, one)
        symbol = one.contract.symbol
        prices[symbol] = (found.nearest.kind, found.down, found.up, bankruptcy_price(pool, one))
    return prices, shock(pool)


def assert_same(ours, theirs, scale=1):
    """Compare two answers; prices of the second are `scale` times as large."""
    assert ours[0].keys() == theirs[0].keys()
    for symbol, (kind, *prices) in ours[0].items():
        other_kind, *others = theirs[0][symbol]
        assert kind is other_kind
        for one, other in zip(prices, others, strict=True):
            _assert_near(one and one * scale, other)
    for one, other in zip(ours[1], theirs[1], strict=True):
        _assert_near(one, other)


def _assert_near(one, other):
    assert (one is None) == (other is None)
    assert one is None or abs(one - other) <= TINY * max(abs(one), 1)


def scaled(pool, times):
    """Return a world in which everybody holds so many times as much, tables and slices included."""

    def stretched(table):
        return TierTable.of(
            replace(
                row,
                notional_floor=row.notional_floor * times,
                maintenance_amount=None if row.maintenance_amount is None else row.maintenance_amount * times,
            )
            for row in table.rows
        )

    rows = (
        replace(
            row,
            wallet_balance=row.wallet_balance * times,
            haircut_tiers=tuple(replace(one, balance_floor=one.balance_floor * times) for one in row.haircut_tiers),
        )
        for row in pool.collateral
    )
    return replace(
        pool,
        collateral=tuple(rows),
        legs=tuple(replace(one, quantity=one.quantity * times, tiers=stretched(one.tiers)) for one in pool.legs),
        **{name: getattr(pool, name) * times for name in ("order_margin", "funding_due")},
        **{name: getattr(pool, name) * times for name in ("other_maintenance_margin", "other_unrealized_pnl")},
    )


@of_every_kind
def test_a_world_seven_times_as_large_ends_at_the_same_prices(seed):
    pool = any_pool(source_of(seed))
    assert_same(answers(pool), answers(scaled(pool, 7)))
    assert margin_balance(scaled(pool, 7)) == pytest.approx(7 * margin_balance(pool), rel=TINY)
    assert pool_requirement(scaled(pool, 7)) == pytest.approx(7 * pool_requirement(pool), rel=TINY)


@of_every_kind
def test_money_that_is_worth_an_eighth_makes_every_price_eight_times_as_high(seed):
    """A linear pool counted in a currency of which there is eight times as much; other assets cost eight times as much."""
    pool = any_pool(source_of(seed), kinds=("linear",))
    large = scaled(pool, 8)
    cheap = replace(
        large,
        collateral=tuple(
            replace(large_row if row.asset == pool.currency else row, price=row.price * times)
            for row, large_row in zip(pool.collateral, large.collateral, strict=True)
            for times in [1 if row.asset == pool.currency else 8]
        ),
        legs=tuple(
            replace(
                one,
                entry_price=one.entry_price * 8,
                mark_price=one.mark_price * 8,
                tiers=big.tiers if one.rule.tier_basis is TierBasis.NOTIONAL else one.tiers,
            )
            for one, big in zip(pool.legs, large.legs, strict=True)
        ),
    )
    assert_same(answers(pool), answers(cheap), scale=8)


@of_every_kind
def test_a_coin_that_is_split_sixteen_for_one_ends_everything_at_a_sixteenth_of_its_price(seed):
    """For linear contracts: sixteen times as many coins, contracts and tiers that count contracts included."""
    pool = any_pool(source_of(seed), kinds=("linear",))
    large = scaled(pool, 16)
    coins = {one.contract.base for one in pool.legs}
    split = replace(
        pool,
        collateral=tuple(
            replace(big, price=row.price / 16) if row.asset in coins else row
            for row, big in zip(pool.collateral, large.collateral, strict=True)
        ),
        legs=tuple(
            replace(
                big,
                entry_price=one.entry_price / 16,
                mark_price=one.mark_price / 16,
                tiers=one.tiers if one.rule.tier_basis is TierBasis.NOTIONAL else big.tiers,
            )
            for one, big in zip(pool.legs, large.legs, strict=True)
        ),
    )
    assert_same(answers(split), answers(pool), scale=16)


@of_every_kind
def test_positions_split_in_two_change_nothing_where_one_tier_holds(seed):
    pool = any_pool(source_of(seed))
    flat = replace(pool, legs=tuple(replace(one, tiers=table(("0", "0.03"))) for one in pool.legs))
    parts = [
        replace(one, quantity=one.quantity * part) for one in flat.legs for part in (Decimal("0.3"), Decimal("0.7"))
    ]
    assert_same(answers(flat), answers(replace(flat, legs=tuple(parts))))


@of_every_kind
def test_the_order_of_legs_and_of_collateral_changes_nothing(seed):
    pool = any_pool(source_of(seed))
    turned = replace(pool, legs=pool.legs[::-1], collateral=pool.collateral[::-1])
    assert_same(answers(pool), answers(turned))


@of_every_kind
def test_a_pool_counted_in_another_stablecoin_of_the_same_worth_ends_at_the_same_prices(seed):
    pool = any_pool(source_of(seed), kinds=("linear",))
    counted = replace(pool, currency="USDC")
    if all(row.asset != "USDC" for row in pool.collateral):
        assert_same(answers(pool), answers(counted))
    assert_same(answers(pool), answers(replace(pool, currency="FDUSD")))


@of_every_kind
def test_a_hedged_pair_that_nothing_is_required_for_changes_nothing(seed):
    """Long and short of one size and one entry, settled in a coin of its own that stands still."""
    pool = any_pool(source_of(seed))
    terms = contract("BTC", quote="DAI")
    pair = [leg(terms, side=side, quantity="3", entry="40000", mark="41000", tiers=table(("0", "0"))) for side in Side]
    dai = Collateral(asset="DAI", wallet_balance=Decimal(0), price=Decimal(1), haircut=Decimal("0.1"))
    hedged = replace(pool, legs=(*pool.legs, *pair), collateral=(*pool.collateral, dai))
    with_pair, moves = answers(hedged)
    del with_pair[terms.symbol]
    assert_same(answers(pool), (with_pair, moves))


@of_every_kind
def test_more_money_never_moves_any_end_nearer(seed):
    pool = any_pool(source_of(seed))
    richer = with_margin(pool, Decimal(3))
    if crossings(pool, pool.legs[0]).nearest.kind is LiquidationKind.PAST:
        return
    for one in pool.legs:
        before, after = crossings(pool, one), crossings(richer, one)
        assert after.nearest.kind is not LiquidationKind.PAST
        assert after.down is None or (before.down is not None and after.down <= before.down)
        assert after.up is None or (before.up is not None and after.up >= before.up)


@of_every_kind
def test_at_its_end_a_pool_has_as_much_as_is_required_and_a_hair_before_it_no_less(seed):
    pool = any_pool(source_of(seed))
    for one in pool.legs:
        found, coin = crossings(pool, one), one.contract.base
        for price, outward in ((found.down, -1), (found.up, 1)):
            if price is None:
                continue
            factors = [price / one.mark_price * (1 + outward * hair) for hair in (-TINY, TINY)]
            before, beyond = (PresentPool(at_prices(pool, {coin: factor})) for factor in factors)
            assert before.excess > 0
            assert beyond.excess < 0


@of_every_kind
def test_netted_sides_never_cost_more_than_both(seed):
    pool = any_pool(source_of(seed))
    required = {}
    for netting in HedgeNetting:
        by_size = TierTable.of(table(("0", "0.03")).rows)
        legs = (replace(one, tiers=by_size, rule=replace(one.rule, hedge_netting=netting)) for one in pool.legs)
        required[netting] = pool_requirement(replace(pool, legs=tuple(legs)))
    assert required[HedgeNetting.NET] <= required[HedgeNetting.LARGER] <= required[HedgeNetting.NONE]


@of_every_kind
def test_what_a_leg_gains_in_a_move_is_the_difference_of_its_profit_in_the_pool_s_currency(seed):
    pool = any_pool(source_of(seed))
    now, factor = PresentPool(pool), Decimal("0.8")
    for move, coins in ((one_coin("BTC"), ["BTC"]), (EVERY_COIN, [*COINS, "EUR"])):
        then = PresentPool(at_prices(pool, dict.fromkeys(coins, factor)))
        for before, after in zip(now.legs, then.legs, strict=True):
            with localcontext(prec=60):
                gained = after.pnl * after.settle_price - before.pnl * before.settle_price
                _assert_near(gained, now.gain(before, move, factor))
