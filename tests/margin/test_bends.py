"""What bends a pool's curve, by hand: brackets of a notional that shrinks as its coin rises, slices of a haircut."""

from dataclasses import replace
from decimal import Decimal

import margin_worlds as worlds
import pytest

from guard.margin import HaircutBasis, crossings, margin_balance, shock
from guard.snapshot import Collateral, HaircutTier, Side

D = Decimal
IN_COINS = worlds.table(("0", "0.01"), ("4", "0.05"))  # From 4 BTC on 5 % less 0.16 BTC.


def near(one, other):
    return abs(one - other) < D("1e-20")


def counted_in_dollars(side, quantity, dollars, coins):
    leg = worlds.leg(worlds.contract(inverse=True), side=side, quantity=quantity, tiers=IN_COINS)
    rows = tuple(
        Collateral(asset=asset, wallet_balance=D(balance), price=D(price), haircut=D(0))
        for asset, balance, price in (("USD", dollars, 1), ("BTC", coins, 50000))
    )
    return replace(worlds.cross_pool(leg), currency="USD", collateral=rows), leg


def test_a_coin_s_fall_lifts_its_inverse_contract_into_a_bracket_that_ends_a_pool_of_dollars():
    """102,000 - 100,000 + 2 P are left; from 25,000 down 5,000 - 0.16 P are asked for, above 1,000."""
    pool, leg = counted_in_dollars(Side.LONG, "100000", "102000", "0")
    assert near(crossings(pool, leg).down, D(3000) / D("2.16"))


def test_a_coin_s_rise_into_a_lower_bracket_takes_the_maintenance_amount_away_that_carried_the_pool():
    """10,000 + 250,000 - 0.1 P are left; above 62,500 the bracket beneath asks for 2,500 without deducting 0.16 P."""
    pool, leg = counted_in_dollars(Side.SHORT, "250000", "10000", "4.9")
    assert near(crossings(pool, leg).up, D(2575000))


@pytest.mark.parametrize(
    ("dollars", "price"),
    [
        ("28700", 55000),  # Still in the upper bracket: 28,700 + 237,500 - 4.84 P.
        ("252500", 100000),  # In the bracket beneath: 252,500 + 247,500 - 5 P.
    ],
)
def test_a_short_that_shrinks_as_its_coin_rises_leaves_its_bracket_at_the_floor_and_not_before(dollars, price):
    pool, leg = counted_in_dollars(Side.SHORT, "250000", dollars, "0")
    assert near(crossings(pool, leg).up, D(price))


# Haircuts of an equity ---------------------------------------------------------------------------------------------


def of_equity(side, balance, *, tiers=(), surcharge="0.5", haircut="0.2", wallet="4000", quantity="10"):
    """One coin at 100 that settles in USDC, which counts less where it is owned and more where it is owed."""
    leg = worlds.leg(
        worlds.contract("ETH", quote="USDC"),
        side=side,
        quantity=quantity,
        entry="100",
        mark="100",
        tiers=worlds.table(("0", "0")),
    )
    usdc = Collateral(
        asset="USDC",
        wallet_balance=D(balance),
        price=D(1),
        haircut=D(haircut),
        haircut_tiers=tuple(HaircutTier(balance_floor=D(floor), haircut=D(cut)) for floor, cut in tiers),
        surcharge=D(surcharge),
    )
    own = Collateral(asset="USDT", wallet_balance=D(wallet), price=D(1), haircut=D(0))
    pool = worlds.cross_pool(leg)
    return replace(pool, currency="USDT", collateral=(own, usdc), haircut_basis=HaircutBasis.EQUITY), leg


def test_an_equity_of_nothing_is_a_debt_as_soon_as_the_leg_loses():
    """A loss of 10 x (100 - P) counts half as much again: 600 are used up at 60, or at 140."""
    for side, field, price in ((Side.LONG, "down", 60), (Side.SHORT, "up", 140)):
        pool, leg = of_equity(side, "0", wallet="600")
        assert near(getattr(crossings(pool, leg), field), D(price))


def test_an_equity_passes_every_slice_on_its_way_into_debt():
    """300 USDC, of which those above 100 count half: 200 of value; then the debt counts one and a half times."""
    slices = (("0", "0"), ("100", "0.5"))
    pool, leg = of_equity(Side.LONG, "300", tiers=slices, wallet="150")
    assert margin_balance(pool) == 350
    assert near(crossings(pool, leg).down, D(60))  # 100 of debt, counted as 150.
    pool, leg = of_equity(Side.SHORT, "300", tiers=slices, wallet="150")
    assert near(crossings(pool, leg).up, D(140))


def test_a_surcharge_alone_may_end_a_pool_that_its_debts_at_face_value_would_not():
    """1,000 are owed at a price of zero, counted as 1,500."""
    assert near(crossings(*of_equity(Side.LONG, "0", wallet="1400")).down, D(100) - D(1400) / 15)
    assert crossings(*of_equity(Side.LONG, "0", wallet="1501")).down is None


@pytest.mark.parametrize("side", list(Side))
def test_slices_that_count_more_the_more_is_owned_are_walked_one_by_one(side):
    """No exchange has them: of 300 those above 100 count in full, those beneath by a tenth."""
    pool, leg = of_equity(side, "300", tiers=(("0", "0.9"), ("100", "0")), wallet="-150")
    assert margin_balance(pool) == 60
    found = crossings(pool, leg)
    assert near(found.down if side is Side.LONG else found.up, D(94) if side is Side.LONG else D(106))


def test_less_than_one_unit_of_an_equity_passes_its_slices_as_many_do():
    """Half a dollar is gone at 50, a tenth is left of the rest; of nothing, three tenths are left."""
    assert near(crossings(*of_equity(Side.LONG, "0.5", wallet="0.1", quantity="0.01")).down, 50 - D(20) / 3)
    assert near(crossings(*of_equity(Side.LONG, "0", wallet="0.3", quantity="0.005")).down, D(60))


def test_an_equity_that_would_be_owed_only_beneath_a_price_of_zero_is_never_counted_as_a_debt():
    """Of 1.50 half a dollar is left at zero, which counts by a tenth: 0.05 less 0.03 that are owed elsewhere."""
    pool, leg = of_equity(Side.LONG, "1.5", tiers=(("0", "0.9"), ("1", "0")), wallet="-0.03", quantity="0.01")
    assert shock(pool) == (None, None)
    pool, leg = of_equity(Side.LONG, "1.5", tiers=(("0", "0.9"), ("1", "0")), wallet="-0.06", quantity="0.01")
    assert near(crossings(pool, leg).down, D(10))
