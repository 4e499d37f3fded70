"""What dies on the way to a shock: examples that can be done by hand. Every pool pays one percent unless it says so."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from margin_worlds import contract, leg, table
from stress_worlds import book, cross, isolated, names

from guard.margin import HaircutBasis, TierBasis
from guard.margin.books import Fate, Shock, market_ends, market_ratios, stress
from guard.snapshot import Collateral, HaircutTier, Side

BTC, ETH, SOL = contract("BTC"), contract("ETH"), contract("SOL")
FREE = table(("0", "0"))


def long(terms, price="100", **more):
    return leg(terms, entry=price, mark=price, **more)


def short(terms, price="100", **more):
    return long(terms, price, side=Side.SHORT, **more)


def market(percent):
    return Shock(market=Decimal(percent) / 100)


def coins(**percents):
    return Shock(coins={coin: Decimal(percent) / 100 for coin, percent in percents.items()})


def near(value, fraction):
    """Say whether a figure is this fraction to fifty digits."""
    return abs(Fraction(value) - fraction) <= abs(fraction) / 10**49


def test_an_isolated_long_dies_where_its_balance_meets_its_requirement_and_loses_its_margin_only():
    report = stress(book(isolated(long(BTC), "20"), isolated(long(ETH), "60")), market(-50))
    (death,) = report.deaths
    # 20 + P - 100 = P / 100 at P = 80 / 0.99.
    assert near(death.prices["BTC/USDT:USDT"], Fraction(8000, 99))
    assert near(death.market_move, Fraction(-19, 99))
    assert near(death.way, Fraction(38, 99))
    assert death.moves == {"BTC": death.market_move}
    assert (death.pool_name, death.lost) == ("BTC/USDT:USDT long isolated", 20)
    assert (death.trigger_coin, str(death.driver), death.taken_along) == ("BTC", "BTC/USDT:USDT long", ())
    dead, alive = report.outcomes
    assert (dead.fate, dead.equity_before, dead.equity_after) == (Fate.DEAD, 20, 0)
    assert (alive.fate, alive.equity_before, alive.equity_after) == (Fate.ALIVE, 60, 10)
    assert alive.margin_ratio_after == Decimal("0.05")
    assert near(alive.distance_left, 1 - Fraction(40, 99) * 2)
    assert (report.dollars_before, report.dollars_after, report.dollars_lost) == (80, 10, 70)


def test_a_death_is_told_in_the_order_of_the_way_and_not_of_the_book():
    report = stress(book(isolated(long(ETH), "30"), isolated(long(BTC), "20")), market(-50))
    assert [death.trigger_coin for death in report.deaths] == ["BTC", "ETH"]


def test_one_coins_fall_takes_the_other_positions_of_its_cross_pool_with_it():
    pool = cross(long(BTC), long(SOL, "10"), short(ETH, "50", quantity="0.1"), wallet="12")
    (death,) = stress(book(pool), coins(BTC=-30, ETH=-10)).deaths
    # 12 - 30 t + 0.5 t = 0.01 (100 (1 - 0.3 t) + 10 + 5 (1 - 0.1 t)) = 1.15 - 0.305 t
    assert near(death.way, Fraction(10850, 29195))
    assert death.market_move is None
    assert near(death.moves["BTC"], Fraction(-3, 10) * Fraction(death.way))
    assert set(death.moves) == {"BTC", "ETH"}
    assert death.trigger_coin == "BTC"
    assert names(death.keys) == ["BTC/USDT:USDT long", "SOL/USDT:USDT long", "ETH/USDT:USDT short"]
    assert names(death.taken_along) == ["SOL/USDT:USDT long", "ETH/USDT:USDT short"]
    assert death.lost == 12


def test_the_coin_that_costs_most_on_balance_is_the_trigger_even_if_a_hedged_leg_lost_more():
    pool = cross(long(BTC), short(BTC, quantity="0.9"), long(ETH, quantity="0.5"), wallet="10")
    (death,) = stress(book(pool), market(-50)).deaths
    assert (death.trigger_coin, str(death.driver)) == ("ETH", "ETH/USDT:USDT long")


def test_a_pool_that_a_bracket_ends_while_it_gains_has_a_trigger_and_no_driver():
    jumping = table(("0", "0.01"), ("110", "0.2"), jumping=True)
    idle = Collateral(asset="USDC", wallet_balance=Decimal(5), price=Decimal(1), haircut=Decimal(0))
    (death,) = stress(book(cross(long(BTC, tiers=jumping), wallet="5", others=(idle,))), market(80)).deaths
    assert (death.market_move, death.trigger_coin, death.driver) == (Decimal("0.1"), "BTC", None)


def test_coins_held_as_collateral_fall_along_and_may_be_what_kills():
    held = Collateral(asset="BTC", wallet_balance=Decimal(1), price=Decimal(100), haircut=Decimal("0.1"))
    pool = cross(short(ETH, tiers=FREE), wallet="-30", others=(held,))
    (death,) = stress(book(pool), coins(BTC=-80)).deaths
    # 90 (1 - 0.8 t) = 30
    assert near(death.way, Fraction(5, 6))
    assert (death.trigger_coin, death.driver) == ("BTC", None)
    assert names(death.keys) == ["ETH/USDT:USDT short"]
    assert near(death.lost, Fraction(100, 3) - 30)  # In full, without the haircut.


def test_a_pool_may_be_ended_by_a_bracket_that_it_only_passes_through():
    jumping = table(("0", "0.01"), ("110", "0.2"), ("150", "0"), jumping=True)
    pool = isolated(long(BTC, tiers=jumping), "10")
    (death,) = stress(book(pool), market(80)).deaths
    assert death.market_move == Decimal("0.1")  # 10 + 10 against 0.2 x 110.
    assert stress(book(pool), market(9)).deaths == ()


def test_a_bracket_that_begins_exactly_where_the_shock_ends_counts():
    jumping = table(("0", "0.01"), ("110", "0.2"), jumping=True)
    (death,) = stress(book(isolated(long(BTC, tiers=jumping), "10")), market(10)).deaths
    assert (death.way, death.market_move) == (1, Decimal("0.1"))


def test_a_bracket_that_jumps_up_on_the_way_down_ends_the_pool_at_its_floor():
    jumping = table(("0", "0.5"), ("90", "0.01"), jumping=True)
    (death,) = stress(book(isolated(long(BTC, tiers=jumping), "40")), market(-20)).deaths
    assert death.market_move == Decimal("-0.1")


def test_a_requirement_frozen_at_the_entry_does_not_fall_with_the_price():
    (death,) = stress(book(isolated(long(BTC, basis="entry"), "20")), market(-50)).deaths
    assert death.market_move == Decimal("-0.19")  # 20 + 81 - 100 against one percent of 100.


def test_a_tier_looked_up_by_contracts_stays_the_same_at_every_price():
    one = long(BTC, tiers=table(("0", "0.01"), ("90", "0.5"), jumping=True))
    by_contracts = replace(one, rule=replace(one.rule, tier_basis=TierBasis.CONTRACTS))
    (death,) = stress(book(isolated(by_contracts, "20")), market(-50)).deaths
    assert near(death.market_move, Fraction(-19, 99))


def test_a_haircut_taken_from_equity_changes_where_the_equity_leaves_its_slice():
    slices = tuple(
        HaircutTier(balance_floor=Decimal(floor), haircut=Decimal(cut)) for floor, cut in ((0, 0), (2, "0.5"))
    )
    own = Collateral(
        asset="BTC", wallet_balance=Decimal("2.2"), price=Decimal(1), haircut=Decimal(0), haircut_tiers=slices
    )
    made = cross(long(contract("ETH", quote="BTC"), "1", tiers=FREE), wallet="0")
    pool = replace(
        made.pool, collateral=(own,), haircut_basis=HaircutBasis.EQUITY, other_maintenance_margin=Decimal("1.9")
    )
    # Of 1.2 + f half counts above 2, so that 2.1 are left at first; below 2 all of it does, and 1.9 are left at 0.7.
    (death,) = stress(book(replace(made, pool=pool)), coins(ETH=-50)).deaths
    assert death.moves == {"ETH": Decimal("-0.3")}


def test_a_pool_past_its_liquidation_dies_before_any_move():
    (death,) = stress(book(cross(long(BTC), wallet="1")), market(20)).deaths
    assert (death.way, death.market_move, death.trigger_coin, death.driver) == (0, 0, None, None)
    assert (names(death.keys), death.lost) == (["BTC/USDT:USDT long"], 1)


def test_a_wallet_that_nothing_leans_on_is_not_liquidated():
    pool = cross(long(BTC), wallet="50")
    idle = replace(pool, pool=replace(pool.pool, legs=()), holdings=())
    (outcome,) = stress(book(idle), market(-50)).outcomes
    assert (outcome.fate, outcome.equity_after, outcome.distance_left) == (Fate.ALIVE, 50, None)
    assert market_ends(book(idle))[0].down is None


def test_an_inverse_long_dies_by_the_rise_of_what_it_owes_and_its_loss_is_counted_in_dollars_too():
    terms = contract("BTC", inverse=True)
    pool = isolated(long(terms, quantity="100"), "0.25")  # One coin's worth.
    report = stress(book(pool), market(-50))
    (death,) = report.deaths
    # 0.25 + 1 - 1 / f = 0.01 / f at f = 1.01 / 1.25.
    assert death.market_move == Decimal("0.808") - 1
    assert (death.currency, death.lost) == ("BTC", Decimal("0.25"))
    assert (report.dollars_before, report.dollars_after) == (25, 0)


def test_what_is_left_of_a_coin_is_worth_its_new_price():
    pool = isolated(long(contract("BTC", inverse=True), quantity="100"), "2")
    report = stress(book(pool), market(-20))
    assert report.outcomes[0].equity_after == Decimal("1.75")
    assert (report.dollars_before, report.dollars_after) == (200, 140)


def test_equity_in_a_currency_without_a_price_in_dollars_is_not_summed_up():
    pool = isolated(leg(contract("ETH", quote="BTC"), entry="0.05", mark="0.05"), "1")
    report = stress(book(pool), market(-20))
    assert (report.dollars_before, report.dollars_after, report.dollars_lost) == (None, None, None)
    assert report.unpriced == ("BTC",)


def test_a_wallet_in_a_coin_without_a_price_is_left_out_of_the_sums_and_named():
    made = cross(long(contract("BTC", quote="BNB")), wallet="3")
    fees = replace(made, pool=replace(made.pool, legs=()), holdings=())
    report = stress(book(isolated(long(BTC), "50"), fees), market(-20))
    assert (report.dollars_before, report.dollars_after, report.unpriced) == (50, 30, ("BNB",))


def test_a_coin_that_is_collateral_has_a_price_in_dollars():
    held = Collateral(asset="EUR", wallet_balance=Decimal(1), price=Decimal("1.1"), haircut=Decimal(0))
    euros = isolated(leg(contract("BTC", quote="EUR"), entry="100", mark="100"), "50")
    report = stress(book(cross(long(ETH), wallet="60", others=(held,)), euros), coins(ETH=-20))
    assert (report.dollars_before, report.unpriced) == (60 + Decimal("1.1") * 51, ())


def test_a_coin_against_a_coin_stands_still_when_the_market_moves_and_dies_when_one_of_them_does():
    pool = isolated(leg(contract("ETH", quote="BTC"), entry="0.05", mark="0.05", tiers=FREE), "0.01")
    assert stress(book(pool), market(-50)).deaths == ()
    (death,) = stress(book(pool), coins(BTC=50)).deaths
    assert near(death.moves["BTC"], Fraction(1, 4))  # The price falls to 0.04.
    assert death.trigger_coin == "BTC"


def test_a_stablecoin_that_falls_makes_prices_in_it_rise():
    (death,) = stress(book(isolated(short(BTC, tiers=FREE), "20")), coins(USDT=-50)).deaths
    assert near(death.moves["USDT"], Fraction(-1, 6))  # 120 of them for what cost 100.


def test_a_coin_that_nothing_depends_on_is_named():
    report = stress(book(isolated(long(BTC), "20")), coins(BTC=-5, DOGE=-50))
    assert report.unmoved == ("DOGE",)


def test_a_named_coin_goes_its_own_way_and_the_market_takes_the_others():
    shock = Shock(market=Decimal("-0.5"), coins={"BTC": Decimal("-0.1")})
    report = stress(book(isolated(long(BTC), "20"), isolated(long(ETH), "20")), shock)
    assert [death.trigger_coin for death in report.deaths] == ["ETH"]


# Betas -------------------------------------------------------------------------------------------------------------


def test_a_beta_bends_the_price_and_every_symbol_and_collateral_of_the_coin_with_it():
    pool = isolated(long(ETH), "20", beta="2")
    (death,) = stress(book(pool), market(-50)).deaths
    assert abs((1 + death.market_move) ** 2 - Decimal(8000) / 9900) < Decimal("1e-25")
    held = Collateral(asset="ETH", wallet_balance=Decimal(1), price=Decimal(100), haircut=Decimal(0))
    report = stress(book(pool, cross(short(BTC, quantity="0.1"), wallet="0", others=(held,))), market(-50))
    assert report.outcomes[1].equity_after == 25 + 5


def test_prices_with_different_betas_may_end_a_pool_on_the_way_to_prices_at_which_it_would_live():
    pool = cross(long(ETH, tiers=FREE), short(BTC, quantity="3", tiers=FREE), wallet="20", betas=("2", "1"))
    # 20 + 100 (u u - 1) - 300 (u - 1) = 0 where (u - 1) (2 - u) = 1/5; at u = 2 the balance is 20 again.
    (death,) = stress(book(pool), market(100)).deaths
    u = (3 - Decimal("0.2").sqrt()) / 2
    assert abs(1 + death.market_move - u) < Decimal("1e-23")
    assert str(death.driver) == "BTC/USDT:USDT short"


def test_a_bracket_on_a_curved_path_is_found_where_the_notional_reaches_it():
    jumping = table(("0", "0.01"), ("121", "0.5"), jumping=True)
    (death,) = stress(book(isolated(long(ETH, tiers=jumping), "10", beta="2")), market(50)).deaths
    assert abs(death.market_move - Decimal("0.1")) < Decimal("1e-45")


def test_two_betas_of_one_coin_are_refused():
    with pytest.raises(ValueError, match="BTC has two betas, 1 and 2"):
        stress(book(isolated(long(BTC), "20"), isolated(short(BTC), "20", beta="2")), market(-10))


def test_the_ends_of_a_market_move_are_told_for_each_pool_by_its_betas():
    pools = book(isolated(long(BTC), "20"), isolated(short(ETH), "20", beta="2"), cross(long(SOL), wallet="1"))
    straight, curved, past = market_ends(pools)
    assert near(straight.down, Fraction(-19, 99))
    assert (straight.up, straight.is_past) == (None, False)
    assert curved.down is None
    assert abs((1 + curved.up) ** 2 - Decimal(120) / 101) < Decimal("1e-22")
    assert (past.is_past, past.down, past.up) == (True, None, None)


@pytest.mark.parametrize(
    ("side", "wallet", "beta", "end"),
    [
        (Side.SHORT, "231", "0.5", "9.9561"),  # 331 is the square root of 10.9561.
        (Side.SHORT, "239", "0.5", None),
        (Side.LONG, "99.99", "2", "-0.99"),
        (Side.LONG, "99.99995", "2", None),
    ],
)
def test_a_market_with_betas_is_searched_nearly_to_nothing_and_up_to_eleven_times_its_price(side, wallet, beta, end):
    (ends,) = market_ends(book(isolated(long(BTC, side=side, tiers=FREE), wallet, beta=beta)))
    found = ends.up if side is Side.SHORT else ends.down
    assert (found is None) is (end is None)
    assert end is None or abs(found - Decimal(end)) < Decimal("1e-40")


def test_a_pools_margin_ratio_is_told_for_every_move_of_the_market():
    pools = book(isolated(long(BTC), "20"), isolated(short(ETH), "30", beta="2"))
    moves = (Decimal("-0.5"), Decimal(0), Decimal("0.1"))
    # At half its price the long is 30 short; a tenth more market makes 121 of the short's 100.
    (gone, now, risen), shorts = market_ratios(pools, moves)
    assert gone is None
    assert near(now, Fraction(5, 100))
    assert near(risen, Fraction(11, 300))
    expected = (Fraction(25, 10500), Fraction(1, 30), Fraction(121, 900))
    assert all(near(ratio, one) for ratio, one in zip(shorts, expected, strict=True))


# Hedges lost -------------------------------------------------------------------------------------------------------


def hedged():
    return cross(long(BTC), short(BTC), long(ETH), wallet="25")


def test_without_its_hedge_a_pool_dies_that_would_have_lived():
    halfway = Decimal("0.5")
    report = stress(book(hedged()), market(-20), auto_deleveraging_at=halfway)
    assert report.deaths_without_closures == ()
    (closure,) = report.closures
    assert (str(closure.key), closure.price, closure.realized, closure.released) == ("BTC/USDT:USDT short", 90, 10, 0)
    (death,) = report.deaths
    # 25 + 10 - 200 (0.2 t) = 0.01 x 200 (1 - 0.2 t)
    assert near(death.way, Fraction(5, 6))
    assert death.only_by_auto_deleveraging
    assert names(death.keys) == ["BTC/USDT:USDT long", "ETH/USDT:USDT long"]
    assert death.lost == 35
    assert report.outcomes[0].equity_before == 25


def test_a_pool_that_dies_anyway_is_no_victim_of_auto_deleveraging_nor_is_one_that_died_before():
    report = stress(book(hedged()), market(-60), auto_deleveraging_at=Decimal("0.1"))
    assert [death.only_by_auto_deleveraging for death in report.deaths] == [False]
    assert report.deaths[0].way < report.deaths_without_closures[0].way
    late = stress(book(hedged()), market(-60), auto_deleveraging_at=Decimal("0.9"))
    assert (late.closures, late.deaths) == ((), late.deaths_without_closures)


def test_profit_of_a_lost_hedge_is_money_even_where_the_pool_held_none_of_its_currency():
    held = Collateral(asset="BTC", wallet_balance=Decimal(1), price=Decimal(100), haircut=Decimal(0))
    made = cross(long(ETH), short(ETH), wallet="0", others=(held,))
    pool = replace(made, pool=replace(made.pool, collateral=(held,)))
    report = stress(book(pool), coins(ETH=-50), auto_deleveraging_at=Decimal("0.2"))
    assert [closure.realized for closure in report.closures] == [10]
    assert report.outcomes[0].equity_after == 100 + 10 - 50


def test_an_isolated_hedge_gives_its_margin_and_profit_back_to_the_cross_wallet():
    pools = book(cross(long(BTC), wallet="30"), isolated(short(BTC), "40"))
    report = stress(pools, market(-40), auto_deleveraging_at=Decimal("0.5"))
    (closure,) = report.closures
    assert (closure.realized, closure.released) == (20, 60)
    assert report.deaths == ()
    assert [death.pool_name for death in report.deaths_without_closures] == ["USDT cross"]
    cross_pool, closed = report.outcomes
    assert (cross_pool.fate, cross_pool.equity_after) == (Fate.ALIVE, 30 + 60 - 40)
    assert (closed.fate, closed.equity_before, closed.equity_after) == (Fate.CLOSED, 40, 0)


def test_money_given_back_where_no_cross_pool_lives_is_a_wallet_of_its_own():
    pools = book(isolated(long(BTC), "50"), isolated(short(BTC), "40"))
    report = stress(pools, market(-40), auto_deleveraging_at=Decimal("0.5"))
    wallet = report.outcomes[-1]
    assert (wallet.pool_name, wallet.equity_before, wallet.equity_after) == ("USDT wallet", 0, 60)
    assert (report.dollars_before, report.dollars_after) == (90, 10 + 60)


def test_a_leg_in_profit_without_a_losing_leg_of_its_coin_is_left_alone():
    pools = book(cross(long(BTC), short(ETH), wallet="30"))
    assert stress(pools, market(-20), auto_deleveraging_at=Decimal("0.5")).closures == ()
