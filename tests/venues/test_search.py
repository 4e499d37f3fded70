"""A symbol that is not among the markets is looked for again: soon after a failure, later after a success, not always."""

from dataclasses import replace
from datetime import UTC, datetime

from venue_support import account_at, market, position_row

from guard.venues.binance import BinanceUsdm
from guard.venues.search import AFTER_FAILURE_S, AFTER_SUCCESS_S, Search
from guard.venues.shared import Shared

NEW = frozenset({"NEWUSDT"})


def test_nothing_is_searched_for_where_everything_is_known():
    assert not Search().begins(frozenset(), 0.0)


def test_after_a_failure_a_symbol_is_searched_for_again_but_not_with_every_look():
    search = Search()
    assert search.begins(NEW, 5.0)
    assert not search.begins(NEW, 5.0 + AFTER_FAILURE_S - 1)
    assert search.begins(NEW, 5.0 + AFTER_FAILURE_S)


def test_after_a_list_without_it_a_symbol_is_searched_for_later():
    search = Search()
    assert search.begins(NEW, 5.0)
    search.succeeded(5.0)
    assert not search.begins(NEW, 5.0 + AFTER_SUCCESS_S - 1)
    assert search.begins(NEW, 5.0 + AFTER_SUCCESS_S)


def test_another_symbol_is_searched_for_at_once_and_none_is_forgotten_between_looks_at_parts():
    search = Search()
    assert search.begins(NEW, 5.0)
    assert search.begins(frozenset({"ALSOUSDT"}), 6.0)
    assert not search.begins(NEW, 7.0)
    assert search.missed_s(NEW | {"ALSOUSDT"}) == 6.0


async def test_tables_of_another_account_from_before_a_symbol_was_missed_do_not_answer_a_search(exchange):
    shared, now = Shared(), lambda: datetime.now(UTC)
    one, two = (BinanceUsdm(replace(account_at(exchange), account=n, shared=shared), now=now) for n in ("a", "b"))
    try:
        await two.open()
        await one.open()
        for name, venue in (("X", one), ("Y", two)):  # The second is listed after the first account read the markets.
            exchange.markets.append(market(f"{name}USDT", name))
            exchange.margin_types[f"{name}USDT"] = "ISOLATED"
            exchange.positions = [position_row(symbol=f"{name}USDT")]
            (position,) = (await venue.snapshot()).positions
            assert position.contract.symbol == f"{name}/USDT:USDT"
    finally:
        await one.close()
        await two.close()
