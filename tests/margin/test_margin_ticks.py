"""A tick re-judges an account from what is known of it; the figures are those of an assessment from nothing."""

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from made_accounts import NOW, any_account, any_marks, position_of
from made_pools import source_of
from margin_worlds import contract, leg, table
from test_assessment import TIERS, judge, position, snapshot

from guard.margin import (
    Crossings,
    MaintenanceBasis,
    MarginRule,
    RuleBook,
    assess,
    isolated_pool,
    isolated_position,
    reprice,
)
from guard.snapshot import LiquidationKind, Mark, Side

TINY = Decimal("1e-40")


def assert_alike(known, fresh):
    for one, other in zip(known.positions, fresh.positions, strict=True):
        for field in fields(one):
            _assert_alike(field.name, getattr(one, field.name), getattr(other, field.name))
    assert known.pools == fresh.pools
    assert known.gaps == fresh.gaps


def _assert_alike(name, one, other):
    if isinstance(one, Crossings):
        assert one.nearest.kind is other.nearest.kind
        for ours, theirs in ((one.down, other.down), (one.up, other.up), (one.nearest.price, other.nearest.price)):
            _assert_alike(name, ours, theirs)
    elif isinstance(one, Decimal) and isinstance(other, Decimal):
        assert abs(one - other) <= TINY * max(abs(one), 1), name
    elif name != "liquidation":
        assert one == other, name


@pytest.mark.parametrize("seed", range(2000, 2020))
def test_an_account_re_judged_tick_by_tick_has_the_figures_of_one_judged_from_nothing(seed):
    source = source_of(seed)
    account, tables, rule = any_account(source)
    known = assess(account, tables, RuleBook.uniform(rule), NOW)
    for _ in range(4):
        account = reprice(account, any_marks(source, account))
        known = assess(account, tables, RuleBook.uniform(rule), NOW, before=known)
        assert_alike(known, assess(account, tables, RuleBook.uniform(rule), NOW))


JUMPS = table(("0", "0.005"), ("100000", "0.5"), jumping=True)


def _at(one, wallet, mark, before=None):
    pool = isolated_pool(replace(one, mark_price=Decimal(mark)), Decimal(wallet))
    return isolated_position(position_of(pool.legs[0], Decimal(wallet)), pool.legs[0], pool, before)


def test_between_its_ends_a_position_is_not_solved_again_and_outside_it_is():
    """A long of 10 at 9,000 with 20,000: it lives from 7,035 to 10,000, where its bracket asks for half of it."""
    long = leg(quantity="10", entry="9000", mark="9000", tiers=JUMPS)
    before = _at(long, 20000, 9000)
    planted = replace(before, bankruptcy_price=Decimal(1))
    assert (before.crossings.nearest.price, before.crossings.up) == (10000, 10000)
    assert _at(long, 20000, 7500, planted).bankruptcy_price == 1
    assert _at(long, 20000, 7500, planted).crossings == _at(long, 20000, 7500).crossings
    assert _at(long, 20000, 7500, planted).crossings.nearest.price == before.crossings.down
    for outside in (7000, 10000, 11000):
        assert _at(long, 20000, outside, planted) == _at(long, 20000, outside)
        assert _at(long, 20000, outside, planted).crossings.nearest.kind is LiquidationKind.PAST


def test_however_little_is_left_an_end_that_is_known_is_not_solved_again():
    """Long 1 at 100 with 10, at 91.5: half a dollar is left."""
    long = leg(entry="100", mark="100", tiers=table(("0", "0.01")))
    planted = replace(_at(long, 10, 100), bankruptcy_price=Decimal(1))
    assert _at(long, 10, "91.5", planted).bankruptcy_price == 1


def test_an_assessment_takes_what_no_mark_moves_from_the_one_before_and_nothing_from_another_account():
    account = snapshot(position("BTC", wallet="30"), position("ETH", wallet="30"))
    before = judge(account)
    planted = [replace(row, bankruptcy_price=Decimal(1)) for row in before.positions]
    known = replace(before, positions=tuple(planted))
    moved = reprice(account, {"BTC/USDT:USDT": Mark(symbol="BTC/USDT:USDT", price=Decimal(99), at=NOW)})
    assert [
        row.bankruptcy_price
        for row in assess(moved, TIERS, RuleBook.uniform(MarginRule()), NOW, before=known).positions
    ] == [1, 1]
    fewer = replace(known, positions=known.positions[:1])
    fresh = assess(account, TIERS, RuleBook.uniform(MarginRule()), NOW, before=fewer)
    assert [row.bankruptcy_price for row in fresh.positions] == [70, 70]


def test_what_an_earlier_mark_says_of_a_position_beyond_one_of_its_ends_is_not_used():
    """Alive again far above the bracket that it could not carry: its ends there are others than those below it."""
    long = leg(quantity="10", entry="9000", mark="9000", tiers=JUMPS)
    beneath, above = _at(long, 20000, 9000), _at(long, 20000, 15000)
    assert above.crossings.down == 14000
    assert _at(long, 20000, 15000, beneath) == above
    assert _at(long, 20000, 9000, above) == beneath


def test_a_position_that_was_past_its_end_is_solved_again_when_it_lives():
    long = leg(entry="100", mark="100", tiers=table(("0", "0.01")))
    past = _at(long, 10, 90)
    assert past.crossings.nearest.kind is LiquidationKind.PAST
    assert _at(long, 10, 100, past) == _at(long, 10, 100)


def test_a_short_keeps_its_one_end_and_its_nearest_price():
    short = leg(side=Side.SHORT, entry="100", mark="100", tiers=table(("0", "0.01")))
    before = _at(short, 10, 100)
    assert _at(short, 10, 105, replace(before, bankruptcy_price=None)).bankruptcy_price is None
    assert _at(short, 10, 105, before) == _at(short, 10, 105)
    assert _at(short, 10, 109, before) == _at(short, 10, 109)


def test_a_requirement_frozen_at_the_present_mark_is_solved_at_every_mark():
    long = leg(entry="100", mark="100", tiers=table(("0", "0.01")))
    drifting = replace(long, rule=MarginRule(maintenance_basis=MaintenanceBasis.CURRENT))
    before = _at(drifting, 20, 100)
    assert before.crossings.down == 81
    assert _at(drifting, 20, 90, before).crossings.down == Decimal("80.9")


def test_a_contract_of_another_kind_has_its_ends_kept_as_well():
    inverse = leg(contract(inverse=True), quantity="1000", mark="50000", tiers=table(("0", "0.01")))
    before = _at(inverse, "0.01", 50000)
    assert _at(inverse, "0.01", 48000, before) == _at(inverse, "0.01", 48000)
