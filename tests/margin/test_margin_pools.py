"""Single cases that are easy to get wrong, each small enough to be checked by hand."""

from dataclasses import replace
from decimal import Decimal

import margin_worlds as worlds
import pytest

from guard.margin import (
    TierTable,
    bankruptcy_price,
    birth_distance,
    crossings,
    isolated_pool,
    liquidation_with_margin,
    margin_balance,
    margin_to_distance,
    of_leg,
    pool_requirement,
    shock,
    with_margin,
)
from guard.snapshot import Collateral, LiquidationKind, Side


def near(one, other):
    return abs(one - other) < Decimal("1e-20")


WHOLE_POSITION = worlds.table(("0", "0.01"), ("100000", "0.02"), ("500000", "0.05"), jumping=True)


def test_a_short_is_liquidated_at_a_bracket_edge_where_no_bracket_has_a_root():
    """80,000 + 21,500 - P = rate x P: 100,495 in the lower bracket, 99,510 in the upper; both lie in the other's."""
    leg = worlds.leg(side=Side.SHORT, entry="80000", mark="80000", tiers=WHOLE_POSITION)
    assert crossings(isolated_pool(leg, Decimal(21500)), leg).nearest.price == 100000


def test_a_notional_equal_to_a_floor_belongs_to_the_tier_above():
    leg = worlds.leg(entry="100000", mark="100000", tiers=WHOLE_POSITION)
    assert of_leg(replace(leg, mark_price=Decimal(100000))).maintenance == 2000
    assert of_leg(replace(leg, mark_price=Decimal("99999.99"))).maintenance == Decimal("999.9999")


def test_the_last_tier_goes_on_beyond_its_cap():
    leg = worlds.leg(tiers=TierTable.of([replace(WHOLE_POSITION.rows[0], notional_cap=Decimal(10))]))
    assert of_leg(replace(leg, mark_price=Decimal(50000))).maintenance == 500


def test_a_rise_can_end_a_long_by_lifting_it_into_a_bracket_that_it_cannot_carry():
    """10 BTC at 9,900 with 3,000: one percent up the requirement jumps from 500 to 5,000, the balance is 4,000."""
    tiers = worlds.table(("0", "0.005"), ("100000", "0.05"), jumping=True)
    leg = worlds.leg(quantity="10", entry="9900", mark="9900", tiers=tiers)
    found = crossings(worlds.cross_pool(leg, wallet="3000"), leg)
    assert found.up == 10000
    assert near(found.down, Decimal(96000) / Decimal("9.95"))
    assert found.nearest.price == 10000


def test_a_position_exactly_at_its_requirement_is_past():
    leg = worlds.leg(entry="100", mark="100", tiers=worlds.table(("0", "0.05")))
    assert crossings(isolated_pool(leg, Decimal(5)), leg).nearest.kind is LiquidationKind.PAST
    assert crossings(isolated_pool(leg, Decimal("5.000001")), leg).nearest.kind is LiquidationKind.AT


def test_an_over_collateralized_long_is_liquidated_at_no_positive_price():
    leg = worlds.leg(entry="60000", mark="61000")
    found = crossings(isolated_pool(leg, Decimal(61000)), leg)
    assert found.nearest.kind is LiquidationKind.NONE
    assert found.down is None
    assert found.up is None
    assert bankruptcy_price(isolated_pool(leg, Decimal(61000)), leg) is None


def test_both_legs_of_a_hedge_share_one_price_and_both_requirements_are_charged():
    """Binance USD-M cross hedge mode: (1000 - 0.5 x 20000 + 0.2 x 21000) / (0.7 x 0.004 - 0.5 + 0.2)."""
    tiers = worlds.table(("0", "0.004"))
    long = worlds.leg(quantity="0.5", entry="20000", mark="20500", tiers=tiers)
    short = worlds.leg(side=Side.SHORT, quantity="0.2", entry="21000", mark="20500", tiers=tiers)
    pool = worlds.cross_pool(long, short)
    expected = Decimal(-4800) / Decimal("-0.2972")
    assert near(crossings(pool, long).nearest.price, expected)
    assert crossings(pool, short) == crossings(pool, long)
    assert pool_requirement(pool) == Decimal("0.7") * 20500 * Decimal("0.004")


def test_a_hedge_that_gains_at_first_ends_where_its_brackets_have_outgrown_it():
    """Long 1 and short 0.95 at 100 on 1; above 200 and 210.53 both are charged 5 % less 9: 14 - 0.0475 P is left."""
    tiers = worlds.table(("0", "0.005"), ("200", "0.05"))
    long = worlds.leg(entry="100", mark="100", tiers=tiers)
    short = worlds.leg(side=Side.SHORT, quantity="0.95", entry="100", mark="100", tiers=tiers)
    found = crossings(worlds.cross_pool(long, short, wallet="1"), long)
    assert near(found.up, Decimal(14) / Decimal("0.0475"))
    assert near(found.down, Decimal(4) / Decimal("0.04025"))


def test_a_hedge_across_margin_modes_does_not_net():
    long = worlds.leg(entry="3400", mark="3500", quantity="5")
    short = worlds.leg(side=Side.SHORT, entry="3550", mark="3500", quantity="10")
    assert near(crossings(isolated_pool(long, Decimal(1500)), long).down, Decimal(15500) / Decimal("4.95"))
    assert near(crossings(worlds.cross_pool(short, wallet="7000"), short).up, Decimal(42500) / Decimal("10.1"))


def test_the_two_prices_of_the_binance_worked_example_follow_from_one_pool():
    """Binance FAQ "How to calculate liquidation price of USD-M futures contracts": 1,153.26 and 26,316.89."""
    eth = worlds.leg(
        worlds.contract("ETH"),
        quantity="3683.979",
        entry="1456.84",
        mark="1335.18",
        tiers=TierTable.of([replace(worlds.table(("0", "0.1")).rows[0], maintenance_amount=Decimal(135365))]),
    )
    btc = worlds.leg(
        quantity="109.488",
        entry="32481.98",
        mark="31967.27",
        tiers=TierTable.of([replace(worlds.table(("0", "0.025")).rows[0], maintenance_amount=Decimal(16300))]),
    )
    pool = worlds.cross_pool(eth, btc, wallet="1535443.01")
    assert round(crossings(pool, eth).nearest.price, 2) == Decimal("1153.26")
    assert round(crossings(pool, btc).nearest.price, 2) == Decimal("26316.89")


def test_a_move_of_a_coin_moves_every_symbol_of_it_and_the_coin_held_as_collateral():
    """Two symbols of BTC, long 1 and short 0.4, and 0.5 BTC in the wallet: together like 1.1 BTC long."""
    future = replace(worlds.contract(), symbol="BTC/USDT:USDT-261225")
    long = worlds.leg(entry="50000", mark="50000")
    short = worlds.leg(future, side=Side.SHORT, quantity="0.4", entry="51000", mark="51000")
    coin = Collateral(asset="BTC", wallet_balance=Decimal("0.5"), price=Decimal(50000), haircut=Decimal("0.1"))
    pool = worlds.cross_pool(long, short, wallet="2000", others=(coin,))
    factor = crossings(pool, long).down / 50000
    assert near(crossings(pool, short).down / 51000, factor)
    at = {"BTC": factor}
    assert near(margin_balance(pool, at), pool_requirement(pool, at))
    expected = (
        Decimal(2000)
        + Decimal(50000) * factor
        - 50000
        - Decimal("0.4") * 51000 * (factor - 1)
        + Decimal(22500) * factor
    )
    assert near(margin_balance(pool, at), expected)


def test_a_haircut_does_not_make_a_debt_smaller():
    debt = Collateral(asset="BTC", wallet_balance=Decimal(-1), price=Decimal(50000), haircut=Decimal("0.1"))
    pool = worlds.cross_pool(worlds.leg(), wallet="60000", others=(debt,))
    assert margin_balance(pool) == 10000


def test_dollar_stablecoins_stand_still_in_a_shock_and_other_money_does_not():
    """With 1,000 USDC a fall to 0 takes the long alone; 1,000 EUR worth 1.07 each fall along."""
    leg = worlds.leg(quantity="0.02", entry="50000", mark="50000")
    still = Collateral(asset="USDC", wallet_balance=Decimal(1001), price=Decimal(1), haircut=Decimal(0))
    falling = replace(still, asset="EUR")
    assert shock(worlds.cross_pool(leg, wallet="0", others=(still,))) == (None, None)
    down, up = shock(worlds.cross_pool(leg, wallet="0", others=(falling,)))
    assert -1 < down < Decimal("-0.49")
    assert up is None


def test_a_fall_of_a_hundred_percent_counts_as_a_shock():
    """A wallet of exactly the entry value: nothing is left, and nothing is required, at a price of zero."""
    leg = worlds.leg(entry="50000", mark="50000", tiers=worlds.table(("0", "0")))
    assert shock(worlds.cross_pool(leg, wallet="50000")) == (Decimal(-1), None)
    assert crossings(worlds.cross_pool(leg, wallet="50000"), leg).nearest.kind is LiquidationKind.NONE


def test_a_fall_into_a_bracket_that_asks_for_more_ends_a_position_at_its_edge():
    """No sane table does this, but at 100 the long has 2 against 1, and at any price beneath 2 against 5."""
    tiers = worlds.table(("0", "0.05"), ("100", "0.01"), jumping=True)
    leg = worlds.leg(entry="150", mark="150", tiers=tiers)
    assert crossings(isolated_pool(leg, Decimal(52)), leg).down == 100


def test_shocks_are_searched_up_to_a_thousand_percent():
    leg = worlds.leg(side=Side.SHORT, entry="100", mark="100", tiers=worlds.table(("0", "0")))
    assert shock(worlds.cross_pool(leg, wallet="1000")) == (None, Decimal(10))
    assert shock(worlds.cross_pool(leg, wallet="1000.01")) == (None, None)


def test_an_inverse_pool_counts_its_own_coin_as_one_and_may_be_ended_by_a_rise():
    """Short 100,000 USD at 50,000 with 1.2 BTC: 0.8 BTC = 100,000 (1 - 0.004) / P, so P = 124,500 (Binance COIN-M)."""
    terms = worlds.contract(inverse=True)
    leg = worlds.leg(terms, side=Side.SHORT, quantity="100000", mark="50500", tiers=worlds.table(("0", "0.004")))
    pool = worlds.cross_pool(leg, wallet="1.2")
    assert crossings(pool, leg).nearest.price == 124500
    assert bankruptcy_price(pool, leg) == 125000
    assert near(shock(pool)[1], Decimal(124500) / 50500 - 1)
    assert of_leg(replace(leg, mark_price=Decimal(50000))).notional == 2
    assert of_leg(replace(leg, mark_price=Decimal(40000))).pnl == Decimal("0.5")


def test_a_requirement_frozen_at_entry_does_not_follow_the_price():
    leg = worlds.leg(entry="50000", mark="90000", tiers=worlds.table(("0", "0.005")), basis="entry")
    assert of_leg(replace(leg, mark_price=Decimal(90000))).requirement == 250
    assert crossings(isolated_pool(leg, Decimal(5000)), leg).nearest.price == 45250


def test_the_closing_fee_is_required_and_is_no_maintenance_margin():
    """Bitget help page: 3 BTC at 110,000, 0.4 % to 200,000 and 0.5 % above, fee 0.06 %: 1,648 of which 198 is fee."""
    tiers = worlds.table(("0", "0.004"), ("200000", "0.005"))
    leg = worlds.leg(quantity="3", entry="110000", mark="110000", tiers=tiers, fee="0.0006")
    assert of_leg(replace(leg, mark_price=Decimal(110000))).requirement == 1648
    assert of_leg(replace(leg, mark_price=Decimal(110000))).maintenance == 1450


def test_a_table_that_states_only_the_tier_in_force_never_asks_for_less_than_nothing():
    tiers = TierTable.of([replace(worlds.table(("0", "0.025")).rows[0], maintenance_amount=Decimal(16300))])
    leg = worlds.leg(tiers=tiers, fee="0.001")
    assert of_leg(replace(leg, mark_price=Decimal(1000))).maintenance == 0
    assert of_leg(replace(leg, mark_price=Decimal(1000))).requirement == 1
    pool = isolated_pool(leg, Decimal(49500))
    assert crossings(pool, leg).down >= bankruptcy_price(pool, leg)


def test_the_first_tier_begins_at_zero_whatever_its_floor_says_and_may_ask_for_nothing():
    row = worlds.table(("0", "0.025")).rows[0]
    assert TierTable.of([replace(row, notional_floor=Decimal(10))]).floors == (0,)
    free = TierTable.of([replace(row, maintenance_margin_rate=Decimal(0), maintenance_amount=Decimal(5))])
    assert [(line.floor, line.rate, line.amount) for line in free.lines] == [(0, 0, 0)]


def test_the_rest_of_a_pool_in_two_numbers_belongs_to_its_figures_and_stands_still():
    leg = worlds.leg(entry="100", mark="100")
    pool = worlds.cross_pool(leg, wallet="50", other_maintenance_margin="7", other_unrealized_pnl="-3")
    assert margin_balance(pool) == 47
    assert pool_requirement(pool) == 8
    assert near(crossings(pool, leg).down, Decimal(60) / Decimal("0.99"))


# Adding margin -----------------------------------------------------------------------------------------------------


def test_the_margin_for_a_distance_is_exact_to_the_last_digit_where_the_figures_are():
    """Long 1 at 100, rate 1 %, 16 % away: at 84 the requirement is 0.84, the loss 16, so 16.84 in all."""
    leg = worlds.leg(entry="100", mark="100")
    assert margin_to_distance(isolated_pool(leg, Decimal(10)), leg, Decimal("0.16")) == Decimal("6.84")
    assert margin_to_distance(isolated_pool(leg, Decimal(17)), leg, Decimal("0.16")) == 0
    assert margin_to_distance(isolated_pool(leg, Decimal(200)), leg, Decimal("0.16")) == 0


def test_the_margin_for_a_distance_carries_a_short_over_a_bracket_that_jumps_on_the_way():
    """At 100,000 the bracket asks for 2,000, at 104,000 for 2,080: the farther end decides, 24,000 + 2,080."""
    leg = worlds.leg(side=Side.SHORT, entry="80000", mark="80000", tiers=WHOLE_POSITION)
    pool = isolated_pool(leg, Decimal(21500))
    assert margin_to_distance(pool, leg, Decimal("0.3")) == 4580
    assert liquidation_with_margin(pool, leg, Decimal(4580)).nearest.price == 104000


def test_a_bracket_edge_inside_the_distance_must_be_passed_and_not_only_touched():
    """A long that a rise lifts into a bracket: 25,000 + 20,000 stand against 60,000 at 10,000, 15,000 would only touch."""
    tiers = worlds.table(("0", "0.005"), ("100000", "0.6"), jumping=True)
    leg = worlds.leg(quantity="10", entry="8000", mark="8000", tiers=tiers)
    pool = isolated_pool(leg, Decimal(25000))
    assert liquidation_with_margin(pool, leg, Decimal(15000)).up == 10000
    extra = margin_to_distance(pool, leg, Decimal("0.26"))
    assert 15000 < extra < Decimal("15000.0000000001")
    assert liquidation_with_margin(pool, leg, extra).up is None


def test_a_position_that_stands_on_a_bracket_s_edge_with_just_enough_needs_a_hair_more():
    """At 100 the bracket asks for 5 of 5, a little beneath for 1 and a little above for less than there is."""
    leg = worlds.leg(entry="100", mark="100", tiers=worlds.table(("0", "0.01"), ("100", "0.05"), jumping=True))
    pool = isolated_pool(leg, Decimal(5))
    extra = margin_to_distance(pool, leg, Decimal("0.03"))
    assert 0 < extra < Decimal("1e-25")
    assert liquidation_with_margin(pool, leg, extra).nearest.kind is LiquidationKind.AT
    assert margin_to_distance(isolated_pool(leg, Decimal("5.1")), leg, Decimal("0.03")) == 0


def test_no_finite_margin_takes_an_inverse_long_to_a_distance_of_one():
    leg = worlds.leg(worlds.contract(inverse=True), quantity="1000")
    pool = isolated_pool(leg, Decimal("0.01"))
    assert margin_to_distance(pool, leg, Decimal(1)) == Decimal("Infinity")
    assert margin_to_distance(pool, leg, Decimal("0.99")).is_finite()


def test_margin_is_added_to_the_row_of_the_pool_s_own_currency():
    pool = isolated_pool(worlds.leg(), Decimal(10))
    assert with_margin(pool, Decimal("2.5")).collateral[0].wallet_balance == Decimal("12.5")
    assert len(with_margin(pool, Decimal(1)).collateral) == 1
    assert with_margin(replace(pool, collateral=()), Decimal(3)).collateral[0].wallet_balance == 3


@pytest.mark.parametrize(
    ("leverage", "expected"),
    [
        (Decimal(20), (Decimal("0.05") - Decimal("0.005")) / (1 - Decimal("0.005"))),  # (1/L - m) / (1 - m) for a long.
        (Decimal(200), Decimal(0)),  # Born with less than its maintenance margin.
        (Decimal("0.5"), None),
    ],
)
def test_a_position_is_born_with_the_distance_that_its_leverage_leaves(leverage, expected):
    found = birth_distance(
        contract=worlds.contract(),
        side=Side.LONG,
        quantity=Decimal(2),
        entry_price=Decimal(30000),
        leverage=leverage,
        tiers=worlds.table(("0", "0.005")),
        rule=worlds.leg().rule,
    )
    assert found == expected or near(found, expected)
