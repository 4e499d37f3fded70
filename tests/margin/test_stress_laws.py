"""Laws of a stress over made-up pools: it ends where a slow judge says, and where liquidation prices and shocks say."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import margin_worlds as worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from made_pools import COINS, any_pool, source_of
from stress_worlds import book, crossed, excess, isolated, judged_way

from guard.margin import crossings, isolated_pool, margin_balance, pool_requirement, shock
from guard.margin.books import Fate, Shock, market_ends, stress
from guard.snapshot import DOLLAR_STABLECOINS, LiquidationKind

quick = settings(max_examples=150, deadline=None)
NEAR = Decimal("1e-12")

percents = st.one_of(st.integers(-95, -1), st.integers(1, 300)).map(lambda percent: Decimal(percent) / 100)


pools = st.integers(0, 10**9).map(lambda number: any_pool(source_of(number)))


@st.composite
def coin_moves(draw):
    """Moves of some of the coins that pools are made of, a stablecoin among them now and then."""
    coins = draw(st.lists(st.sampled_from((*COINS, "BTC", "EUR", "USDC", "USDT")), min_size=1, unique=True))
    return {coin: draw(percents) for coin in coins}


def way_of(report):
    return report.deaths[0].way if report.deaths else None


@settings(max_examples=400, deadline=None)
@given(pools, coin_moves())
def test_a_pool_of_any_kind_dies_where_the_slow_judge_says_however_its_coins_move(pool, moves):
    way, judged = way_of(stress(book(crossed(pool)), Shock(coins=moves))), judged_way(pool, moves)
    assert (way is None) is (judged is None)
    if judged is not None:
        assert abs(Fraction(way) - judged) <= judged / 10**40


@quick
@given(pools, coin_moves())
def test_a_pool_that_arrives_still_has_more_than_is_asked_of_it_and_one_that_does_not_has_nothing(pool, moves):
    report = stress(book(crossed(pool)), Shock(coins=moves))
    outcome = report.outcomes[0]
    assert (outcome.fate is Fate.ALIVE) is (report.deaths == ())
    if outcome.fate is Fate.ALIVE:
        assert excess(pool, moves, 1) > 0
        assert outcome.margin_ratio_after < 1
        assert outcome.distance_left is None or outcome.distance_left > 0
    else:
        assert outcome.equity_after == 0


@quick
@given(worlds.cross_worlds(), percents)
def test_the_whole_market_kills_a_pool_at_its_shock(pool, move):
    report = stress(book(crossed(pool)), Shock(market=move))
    (ends,) = market_ends(book(crossed(pool)))
    assert (ends.down, ends.up) == shock(pool)
    end = ends.down if move < 0 else ends.up
    if ends.is_past:
        assert report.deaths[0].way == 0
    elif end is not None and abs(end) <= abs(move):
        assert abs(report.deaths[0].market_move - end) <= NEAR
    else:
        assert report.deaths == ()


@quick
@given(worlds.isolated_worlds(), percents)
def test_one_coins_move_kills_an_isolated_position_at_its_liquidation_price(world, move):
    leg, wallet = world
    coin, mark = leg.contract.base, leg.mark_price
    found = crossings(isolated_pool(leg, wallet), leg)
    report = stress(book(isolated(leg, wallet)), Shock(coins={coin: move}))
    price, end = found.down if move < 0 else found.up, mark * (1 + move)
    if found.nearest.kind is LiquidationKind.PAST:
        assert report.deaths[0].way == 0
    elif price is not None and (price >= end if move < 0 else price <= end):
        assert abs(report.deaths[0].prices[leg.contract.symbol] / price - 1) <= NEAR
        assert report.deaths[0].lost == wallet
    else:
        assert report.deaths == ()


@quick
@given(worlds.cross_worlds(), percents, st.sampled_from(("0.5", "1.3", "2")))
def test_a_market_whose_coins_all_have_one_beta_kills_where_the_straight_one_does(pool, move, beta):
    """Prices at (1 + m) ** beta are those of a straight move: only the way there is another."""
    alone = replace(pool, collateral=pool.collateral[:1])  # A coin that is only collateral has a beta of 1.
    betas = [beta] * len(alone.legs)
    (bent,), (straight,) = (market_ends(book(crossed(alone, of))) for of in (betas, ()))
    assert bent.is_past is straight.is_past
    for ours, theirs in ((bent.down, straight.down), (bent.up, straight.up)):
        as_price = None if ours is None else (1 + ours) ** Decimal(beta) - 1
        if theirs is None:
            assert as_price is None or as_price > 10  # The straight one is not searched beyond.
        elif as_price is None:
            assert not Decimal("-0.999") <= (1 + theirs) ** (1 / Decimal(beta)) - 1 <= 10
        else:
            assert abs((1 + as_price) / (1 + theirs) - 1) <= NEAR


@quick
@given(worlds.cross_worlds(), percents)
def test_hedges_are_closed_at_the_mark_so_that_nobody_is_richer_or_poorer_at_that_moment(pool, move):
    kept, lost = (
        stress(book(crossed(pool)), Shock(market=move), auto_deleveraging_at=at).outcomes[0]
        for at in (None, Decimal(1))
    )
    if kept.fate is Fate.ALIVE:
        assert abs(kept.equity_after - lost.equity_after) <= abs(kept.equity_after) * Decimal("1e-45")
        assert lost.margin_ratio_after <= kept.margin_ratio_after


@quick
@given(worlds.cross_worlds(), percents, st.data())
def test_no_end_on_a_curved_path_is_overlooked(pool, move, data):
    """Up to the end, and all the way where there is none, the balance is above the requirement wherever one looks."""
    coins = dict.fromkeys(leg.contract.base for leg in pool.legs)
    betas = {coin: Decimal(data.draw(st.integers(-5, 30))) / 10 for coin in coins}
    report = stress(book(crossed(pool, [betas[leg.contract.base] for leg in pool.legs])), Shock(market=move))
    end = way_of(report)

    def excess_at(way):
        market = 1 + move * way
        held = dict.fromkeys((row.asset for row in pool.collateral if row.asset not in DOLLAR_STABLECOINS), Decimal(1))
        factors = {coin: market**beta for coin, beta in (held | betas).items()}
        return margin_balance(pool, factors) - pool_requirement(pool, factors)

    for step in range(50):
        assert excess_at((Decimal(1) if end is None else end) * step / 50) > 0 or end == 0
    if end is not None and end > 0:
        aside = Decimal("1e-22") / abs(move)  # Ends are found to 1e-24 of the market's price.
        assert excess_at(max(Decimal(0), end - aside)) > 0
        assert end == 1 or excess_at(min(Decimal(1), end + aside)) <= 0
