"""An account as a book of pools: what is modelled is in it by name, and what is not is a gap."""

from dataclasses import replace
from decimal import Decimal

import pytest
from made_accounts import any_account, position_of
from made_pools import source_of
from margin_worlds import contract, cross_pool, leg, table
from test_assessment import NOW, judge, position, snapshot, wallet

from guard.margin import PresentPool, RuleBook, assess, isolated_pool, obstacle_of
from guard.margin.books import Holding, book_of, cross_book_pool, isolated_book_pool
from guard.snapshot import MarginMode


def test_a_book_holds_the_cross_pools_first_and_then_every_isolated_position_as_a_pool_of_one():
    result = judge(snapshot(position("ETH", wallet="11"), position("BTC"), position("SOL")))
    book = book_of(result)
    assert [pool.name for pool in book.pools] == ["USDT cross", "ETH/USDT:USDT long isolated"]
    assert [pool.is_isolated for pool in book.pools] == [False, True]
    assert [str(one.key) for one in book.holdings()] == [f"{coin}/USDT:USDT long" for coin in ("BTC", "SOL", "ETH")]
    cross, isolated = book.pools
    assert cross.pool is result.pools[0].pool
    assert isolated.pool is result.positions[0].pool
    assert [one.leg for one in cross.holdings] == list(cross.pool.legs)
    assert isolated.holdings[0].position is result.positions[0].position
    assert isolated.holdings[0].leg is result.positions[0].leg
    assert {one.beta for one in book.holdings()} == {Decimal(1)}


def test_what_is_not_modelled_is_no_pool_of_the_book_but_a_gap():
    account = snapshot(
        position("BTC"), position("BTC", quote="USDC"), position("ETH", wallet="5"), wallets=(wallet(), wallet("USDC"))
    )
    result = judge(account, {"BTC/USDC:USDC": table(("0", "0.01"))})
    book = book_of(result)
    assert [pool.name for pool in book.pools] == ["USDC cross"]
    assert len(book.pools[0].holdings) == 1
    assert book.gaps == result.gaps
    assert len(book.gaps) == 3


def test_money_that_nothing_leans_on_is_a_pool_of_the_book_for_it_is_at_stake():
    book = book_of(judge(snapshot(position(wallet="11"))))
    assert [(pool.name, len(pool.holdings)) for pool in book.pools] == [
        ("USDT cross", 0),
        ("BTC/USDT:USDT long isolated", 1),
    ]
    assert book.gaps == ()


@pytest.mark.parametrize("seed", range(3000, 3005))
def test_the_pools_of_a_book_are_those_that_the_account_was_assessed_by(seed):
    account, tables, rule = any_account(source_of(seed))
    result = assess(account, tables, RuleBook.uniform(rule), NOW)
    held = {one.key: pool for pool in book_of(result).pools for one in pool.holdings}
    assert held.keys() == {row.key for row in result.positions}
    assert all(held[row.key].pool is row.pool for row in result.positions)


def test_pools_written_by_hand_have_the_names_of_live_ones():
    one = leg()
    holding = Holding(position=position_of(one, Decimal(100)), leg=one, beta=Decimal("1.3"))
    alone = isolated_book_pool(holding, isolated_pool(one, Decimal(100)))
    shared = cross_book_pool((holding,), cross_pool(one))
    assert (alone.name, alone.holdings, alone.pool.margin_mode) == (
        "BTC/USDT:USDT long isolated",
        (holding,),
        MarginMode.ISOLATED,
    )
    assert (shared.name, shared.holdings, shared.is_isolated) == ("USDT cross", (holding,), False)


def test_a_pool_that_does_not_say_what_its_legs_settle_in_is_refused():
    pool = replace(cross_pool(leg()), currency="USD")
    assert PresentPool(pool).balance == 1000
    with pytest.raises(ValueError, match="USDT has no price in USD: a row of collateral must state it"):
        PresentPool(replace(pool, collateral=()))


@pytest.mark.parametrize(
    ("inverse", "jumping", "basis", "currency", "obstacle"),
    [
        (False, False, "notional", "USDT", None),
        (False, True, "contracts", "USDT", None),
        (False, False, "contracts", "USDT", "brackets looked up by contracts cannot have maintenance amounts"),
        (True, True, "notional", "BTC", None),
        (True, False, "notional", "USD", None),
        (True, True, "contracts_net", "USD", None),
        (False, True, "notional", "USD", None),
        (True, True, "notional", "USD", "brackets that jump, of a contract that settles in its own coin"),
    ],
)
def test_a_pool_whose_requirement_is_no_curve_says_why(inverse, jumping, basis, currency, obstacle):
    one = leg(contract(inverse=inverse), tiers=table(("0", "0.01"), ("1", "0.02"), jumping=jumping))
    one = replace(one, rule=replace(one.rule, tier_basis=type(one.rule.tier_basis)(basis)))
    found = obstacle_of(replace(cross_pool(leg(contract(inverse=inverse)), one), currency=currency))
    if obstacle is None:
        assert found is None
    else:
        assert found.startswith(f"{one.contract.symbol}: {obstacle}")
        assert found.endswith("amounts" if basis == "contracts" else "cannot be stated in a pool counted in USD")
