"""Two wallets of one currency that an exchange keeps apart: each backs and pays its own positions only."""

from dataclasses import replace
from decimal import Decimal

from policy_worlds import BTC, ETH, assessed, contract, cross, isolated, judged, row, snapshot

from guard.margin import reprice
from guard.margin.books import book_of, compare
from guard.policy.decision import WithheldReason
from guard.snapshot import Gap, Mark, PositionKey, Side, Wallet

TSLA = "XYZ-TSLA/USDT:USDT"
ELSEWHERE = replace(contract(TSLA), wallet="xyz")


def wallet(available, name="", balance=None):
    balance = Decimal(available if balance is None else balance)
    return Wallet(
        currency="USDT",
        cross_wallet_balance=balance,
        cross_unrealized_pnl=Decimal(0),
        available=Decimal(available),
        name=name,
    )


def of_tsla(decision):
    return row(decision, PositionKey(TSLA, Side.LONG))


def test_a_position_is_paid_by_its_own_wallet_and_not_by_the_other():
    rich_elsewhere = (wallet(9_000), wallet(5, "xyz"))
    verdict = of_tsla(judged(isolated("0.07", symbol=TSLA, contract=ELSEWHERE), wallets=rich_elsewhere))
    assert verdict.withheld.reason is WithheldReason.CANNOT_SAVE
    assert "5 USDT can be spent" in verdict.withheld.text
    rich_here = (wallet(5), wallet(9_000, "xyz"))
    assert of_tsla(judged(isolated("0.07", symbol=TSLA, contract=ELSEWHERE), wallets=rich_here)).top_up.amount == 891


def test_a_wallet_that_was_not_seen_pays_nothing_though_another_of_its_currency_was():
    verdict = of_tsla(judged(isolated("0.07", symbol=TSLA, contract=ELSEWHERE), wallets=(wallet(9_000),)))
    assert verdict.withheld.reason is WithheldReason.RESERVE
    assert "the USDT xyz wallet was not seen" in verdict.withheld.text


def test_what_one_wallet_is_asked_for_takes_nothing_from_the_other():
    both = [isolated("0.07"), isolated("0.07", symbol=TSLA, contract=ELSEWHERE)]
    decision = judged(*both, wallets=(wallet(900), wallet(900, "xyz")))
    assert [row(decision, one.key).top_up.amount for one in both] == [891, 891]


def test_a_cross_pool_holds_back_its_own_wallet_only():
    leaning = cross(symbol=ETH)
    wallets = (wallet(850), wallet(9_000, "xyz"))
    here = judged(isolated("0.07"), leaning, isolated("0.07", symbol=TSLA, contract=ELSEWHERE), wallets=wallets)
    assert row(here).withheld.reason is WithheldReason.CROSS_POOL_NEEDS_IT
    assert of_tsla(here).top_up.amount == 891


def test_there_is_a_pool_for_each_wallet_with_its_own_positions():
    there = cross(symbol=TSLA, contract=ELSEWHERE)
    found = assessed(snapshot(cross(symbol=ETH), there, wallets=(wallet(2_000), wallet(500, "xyz"))))
    assert [(pool.name, pool.available) for pool in found.pools] == [("USDT cross", 2_000), ("USDT xyz cross", 500)]
    ends = {figures.key.symbol: round(figures.liquidation.price, 6) for figures in found.positions}
    assert ends == {ETH: Decimal("8080.808081"), TSLA: Decimal("9595.959596")}


def test_what_cannot_be_seen_of_one_wallet_leaves_the_other_modelled():
    hidden = Gap(subject="position row ?", reason="its size is missing", may_be_cross=True, wallet="xyz")
    there = cross(symbol=TSLA, contract=ELSEWHERE)
    wallets = (wallet(2_000), wallet(500, "xyz"))
    found = assessed(snapshot(cross(symbol=ETH), there, wallets=wallets, gaps=[hidden]))
    assert [pool.pool is not None for pool in found.pools] == [True, False]
    anywhere = replace(hidden, wallet=None)
    found = assessed(snapshot(cross(symbol=ETH), there, wallets=wallets, gaps=[anywhere]))
    assert [pool.pool is not None for pool in found.pools] == [False, False]


def test_a_new_mark_moves_its_own_wallet_only():
    there = cross(symbol=TSLA, contract=ELSEWHERE)
    seen = snapshot(cross(symbol=ETH), there, wallets=(wallet(2_000), wallet(500, "xyz")))
    moved = reprice(seen, {TSLA: Mark(symbol=TSLA, price=Decimal(9_900), at=seen.positions_read_at)})
    assert [one.cross_unrealized_pnl for one in moved.wallets] == [0, -100]


def test_all_cross_joins_the_pool_of_the_wallet_that_pays():
    there = isolated("0.2", symbol=TSLA, contract=ELSEWHERE)
    wallets = (wallet(2_000), wallet(500, "xyz"))
    book = book_of(assessed(snapshot(cross(symbol=ETH), there, wallets=wallets)))
    pools = {state.book_pool.name: state for state in compare(book).cross.pools}
    assert [holding.key.symbol for holding in pools["USDT cross"].book_pool.holdings] == [ETH]
    assert [holding.key.symbol for holding in pools["USDT xyz cross"].book_pool.holdings] == [TSLA]
    assert BTC not in str(pools)
