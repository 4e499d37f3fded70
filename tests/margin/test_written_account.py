"""A book that is written as account files and read back is the same account."""

import json
from dataclasses import replace

import margin_worlds as worlds
import pytest
from hypothesis import given, settings

from guard.config.account_file import read_account_text
from guard.config.written_account import accounts_of_book
from guard.errors import ConfigError
from guard.margin import crossings, isolated_pool, shock
from guard.margin.books import Book, Holding, cross_book_pool, isolated_book_pool


@settings(max_examples=50, deadline=None)
@given(worlds.cross_worlds())
def test_an_account_that_is_read_back_ends_where_it_ended(pool):
    holdings = tuple(Holding(position=worlds.position_of(leg), leg=leg) for leg in pool.legs)
    book = Book(pools=(cross_book_pool(holdings, pool),))
    text = json.dumps(accounts_of_book(book))
    (account,) = read_account_text(text, "an account").accounts
    again = account.cross_pool
    assert shock(again) == shock(pool)
    assert [crossings(again, leg) for leg in again.legs] == [crossings(pool, leg) for leg in pool.legs]
    assert json.dumps(accounts_of_book(account.book)) == text


@settings(max_examples=50, deadline=None)
@given(worlds.isolated_worlds())
def test_isolated_positions_are_read_back_with_their_wallets(world):
    leg, wallet = world
    held = isolated_book_pool(Holding(position=worlds.position_of(leg, wallet), leg=leg), isolated_pool(leg, wallet))
    (account,) = read_account_text(json.dumps(accounts_of_book(Book(pools=(held,)))), "an account").accounts
    (again,) = account.book.pools
    assert again.name == held.name
    assert crossings(again.pool, again.pool.legs[0]) == crossings(held.pool, leg)


@pytest.mark.parametrize("wallet", ["", "xyz"])
def test_the_name_of_a_wallet_is_read_back(wallet):
    leg = worlds.leg()
    leg = replace(leg, contract=replace(leg.contract, wallet=wallet))
    holding = Holding(position=worlds.position_of(leg), leg=leg)
    book = Book(pools=(cross_book_pool((holding,), replace(worlds.cross_pool(leg), wallet=wallet)),))
    text = json.dumps(accounts_of_book(book))
    (account,) = read_account_text(text, "an account").accounts
    (again,) = account.book.pools
    assert (again.name, again.pool.wallet) == (book.pools[0].name, wallet)
    assert ('wallet": "xyz' in text) is bool(wallet)  # Nothing is said of the only one.


def test_a_file_holds_one_pool_and_so_one_wallet():
    legs = [replace(one, contract=replace(one.contract, wallet=name)) for one in [worlds.leg()] for name in ("", "xyz")]
    pool = worlds.cross_pool(legs[0])
    holdings = tuple(Holding(position=worlds.position_of(leg), leg=leg) for leg in legs)
    text = json.dumps(accounts_of_book(Book(pools=(cross_book_pool(holdings, replace(pool, legs=tuple(legs))),))))
    with pytest.raises(ConfigError, match="wallet: found xyz, expected none"):
        read_account_text(text, "an account")


def test_a_wallet_that_nothing_leans_on_is_no_account():
    leg = worlds.leg()
    empty = cross_book_pool((), worlds.cross_pool(leg))
    assert accounts_of_book(Book(pools=(empty,))) == []
