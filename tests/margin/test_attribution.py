"""Why did my liquidation move? The parts sum to the whole, and each is what its cause did."""

from dataclasses import replace
from decimal import Decimal, localcontext
from itertools import pairwise

import margin_worlds as worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.margin import HaircutBasis, MarginRule, TierTable, crossings, distance_of, isolated_pool, with_margin
from guard.margin.books.attribution import Cause, Look, attribute
from guard.snapshot import Collateral, LiquidationKind, PositionKey, Side

CHANGES = st.sampled_from(["wallet", "mark", "quantity", "entry", "tiers"])


def isolated(leg, wallet):
    return Look(leg=leg, pool=isolated_pool(leg, Decimal(wallet)))


def by_cause(parts):
    return {part.cause: part.price_change for part in parts}


def test_margin_that_was_added_and_funding_that_was_paid_are_told_apart():
    """Long of 1 at 50,000, 1 %: the price is (50,000 - wallet) / 0.99, so 99 less or more wallet is 100 of price."""
    leg = worlds.leg()
    parts = by_cause(attribute(isolated(leg, "5000"), isolated(leg, "5940.5"), margin_moved=Decimal(990)))
    assert parts == {
        Cause.OTHER_POSITIONS: 0,
        Cause.COLLATERAL: 0,
        Cause.TIERS: 0,
        Cause.MARGIN: -1000,
        Cause.FUNDING_AND_FEES: 50,
        Cause.SIZE: 0,
        Cause.MARK: 0,
    }


def test_margin_that_came_with_a_larger_size_belongs_to_the_size():
    parts = by_cause(attribute(isolated(worlds.leg(), "5000"), isolated(worlds.leg(quantity="2"), "10000")))
    assert (parts[Cause.FUNDING_AND_FEES], parts[Cause.SIZE]) == (0, 0)
    parts = by_cause(attribute(isolated(worlds.leg(), "5000"), isolated(worlds.leg(quantity="2"), "5000")))
    whole = crossings_of(worlds.leg(quantity="2"), "5000") - crossings_of(worlds.leg(), "5000")
    assert abs(parts[Cause.SIZE] - whole) < Decimal("1e-20")


def crossings_of(leg, wallet):
    return crossings(isolated_pool(leg, Decimal(wallet)), leg).nearest.price


def test_a_mark_that_falls_moves_the_distance_of_an_isolated_position_and_not_its_price():
    parts = attribute(isolated(worlds.leg(), "5000"), isolated(worlds.leg(mark="48000"), "5000"))
    mark = next(part for part in parts if part.cause is Cause.MARK)
    assert mark.price_change == 0
    assert mark.distance_change < 0
    assert [part.distance_change for part in parts if part.cause is not Cause.MARK] == [0] * 6


def test_a_tier_table_that_changed_is_named_as_the_cause():
    stricter = worlds.leg(tiers=worlds.table(("0", "0.02")))
    parts = by_cause(attribute(isolated(worlds.leg(), "5000"), isolated(stricter, "5000")))
    by_hand = Decimal(45000) / Decimal("0.98") - Decimal(45000) / Decimal("0.99")
    assert abs(parts[Cause.TIERS] - by_hand) < Decimal("1e-20")
    assert {cause for cause, change in parts.items() if change} == {Cause.TIERS}


def test_in_a_cross_pool_what_the_others_lost_is_theirs():
    btc, eth = worlds.leg(), worlds.leg(worlds.contract("ETH"), quantity="10", entry="3000", mark="3000")
    fallen = replace(eth, mark_price=Decimal(2900))
    parts = by_cause(
        attribute(
            Look(leg=btc, pool=worlds.cross_pool(btc, eth, wallet="10000")),
            Look(leg=btc, pool=worlds.cross_pool(btc, fallen, wallet="10000")),
        )
    )
    assert {cause for cause, change in parts.items() if change} == {Cause.OTHER_POSITIONS}
    assert parts[Cause.OTHER_POSITIONS] > 0


def test_where_there_is_no_price_on_one_side_a_part_has_no_number_and_says_from_what_to_what():
    parts = attribute(isolated(worlds.leg(), "5000"), isolated(worlds.leg(), "60000"), margin_moved=Decimal(55000))
    margin = next(part for part in parts if part.cause is Cause.MARGIN)
    assert (margin.before.kind, margin.after.kind) == (LiquidationKind.AT, LiquidationKind.NONE)
    assert margin.price_change is None


def test_a_price_that_appears_has_no_number_either():
    parts = attribute(isolated(worlds.leg(), "60000"), isolated(worlds.leg(), "5000"), margin_moved=Decimal(-55000))
    assert {part.price_change for part in parts} == {Decimal(0), None}


def test_each_part_changes_one_thing_of_a_pool_in_the_stated_order():
    """Everything of a cross pool changes at once; after each part the pool is the one written here beside it."""
    own = worlds.leg(entry="100", mark="100")
    other = worlds.leg(worlds.contract("ETH"), side=Side.SHORT, quantity="2", entry="50", mark="50")
    euro = Collateral(asset="EUR", wallet_balance=Decimal(10), price=Decimal(1), haircut=Decimal("0.1"))
    before = worlds.cross_pool(own, other, wallet="40", others=(euro,))
    grown = replace(other, quantity=Decimal(3), mark_price=Decimal(52))
    pool = replace(before, legs=(own, grown), other_maintenance_margin=Decimal(1), other_unrealized_pnl=Decimal(-2))
    states = [pool]
    usdt = replace(before.collateral[0], haircut=Decimal("0.1"))
    rows = replace(euro, wallet_balance=Decimal(-4), surcharge=Decimal("0.5"))
    pool = replace(pool, collateral=(usdt, rows), haircut_basis=HaircutBasis.EQUITY, order_margin=Decimal(3))
    states.append(pool)
    ruled = replace(own, tiers=worlds.table(("0", "0.02")), rule=MarginRule(liquidation_fee_rate=Decimal("0.001")))
    states.append(replace(pool, legs=(ruled, grown)))
    states.append(_with_wallet(states[-1], 45))
    states.append(replace(_with_wallet(states[-1], 43), funding_due=Decimal("0.5")))
    sized = replace(ruled, quantity=Decimal("1.1"), entry_price=Decimal(101))
    states.append(replace(_with_wallet(states[-1], 44), legs=(sized, grown)))
    marked = replace(sized, mark_price=Decimal(99))
    states.append(replace(states[-1], legs=(marked, grown)))
    legs = [own, own, ruled, ruled, ruled, sized, marked]
    parts = attribute(
        Look(leg=own, pool=before),
        Look(leg=marked, pool=states[-1]),
        margin_moved=Decimal(5),
        funding=Decimal(-2),
    )
    assert [part.cause for part in parts] == list(Cause)
    assert [part.after for part in parts] == [crossings(*state).nearest for state in zip(states, legs, strict=True)]
    assert len({part.after.price for part in parts[:-1]}) == 6
    assert Look(leg=own, pool=before).key == PositionKey("BTC/USDT:USDT", Side.LONG)


def _with_wallet(pool, balance):
    own, *others = pool.collateral
    return replace(pool, collateral=(replace(own, wallet_balance=Decimal(balance)), *others))


@settings(max_examples=100, deadline=None)
@given(worlds.isolated_worlds(), st.sets(CHANGES, min_size=1), st.integers(-3, 3))
def test_the_parts_sum_to_the_whole_and_the_last_state_is_the_one_after(world, changed, moved):
    leg, wallet = world
    after, new_wallet = leg, wallet
    if "wallet" in changed:
        new_wallet = wallet * Decimal("1.1")
    if "mark" in changed:
        after = replace(after, mark_price=after.mark_price * Decimal("1.001"))
    if "quantity" in changed:
        after = replace(after, quantity=after.quantity * Decimal("1.2"))
    if "entry" in changed:
        after = replace(after, entry_price=after.entry_price * Decimal("0.999"))
    if "tiers" in changed:
        rates = [
            replace(row, maintenance_margin_rate=row.maintenance_margin_rate * Decimal("1.01"))
            for row in after.tiers.rows
        ]
        after = replace(after, tiers=TierTable.of(rates))
    before, now = isolated(leg, wallet), isolated(after, new_wallet)
    parts = attribute(before, now, margin_moved=Decimal(moved) * wallet / 100)
    assert [part.cause for part in parts] == list(Cause)
    assert parts[0].before == crossings(before.pool, leg).nearest
    assert parts[-1].after == crossings(now.pool, after).nearest
    for one, following in pairwise(parts):
        assert one.after == following.before
    with localcontext() as context:
        context.prec = 60  # The sum is the test's own, and the parts have 50 digits.
        changes = [part.price_change for part in parts]
        if None not in changes:
            assert abs(sum(changes) - (parts[-1].after.price - parts[0].before.price)) < Decimal("1e-25")
        distances = [part.distance_change for part in parts]
        if None not in distances:
            whole = distance_of(crossings(now.pool, after), after.mark_price)
            whole -= distance_of(crossings(before.pool, leg), leg.mark_price)
            assert abs(sum(distances) - whole) < Decimal("1e-25")


@settings(max_examples=50, deadline=None)
@given(worlds.cross_worlds())
def test_a_pool_that_did_not_change_has_no_part(pool):
    leg = pool.legs[0]
    richer = with_margin(pool, Decimal(1))
    same = attribute(Look(leg=leg, pool=pool), Look(leg=leg, pool=pool))
    assert {part.price_change for part in same} <= {Decimal(0), None}
    parts = attribute(Look(leg=leg, pool=pool), Look(leg=leg, pool=richer), margin_moved=Decimal(1))
    assert {part.price_change for part in parts if part.cause is not Cause.MARGIN} <= {Decimal(0), None}
    assert leg.side in Side
