"""One more order in an account: by hand, and what must hold of any order."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from book_worlds import alone, book, books, holding, money, wallet_pool
from hypothesis import given
from hypothesis import strategies as st
from margin_worlds import contract, table

from guard.margin import MarginRule
from guard.margin.books import Book, Effect, Market, Order, RefusalKind, market_of, shifts, what_if
from guard.snapshot import Collateral, Gap, Liquidation, LiquidationKind, MarginMode, PositionKey, Side

BTC, ETH = contract(), contract("ETH")
ENOUGH = Decimal("1e30")


def market(terms=BTC, mark="50000"):
    return Market(contract=terms, tiers=table(("0", "0.01")), rule=MarginRule(), mark_price=Decimal(mark))


def order(side=Side.LONG, quantity="1", terms=BTC, *, mode=None, **numbers):
    stated = {name: Decimal(number) for name, number in numbers.items()}
    size = None if quantity is None else Decimal(quantity)
    return Order(symbol=terms.symbol, side=side, quantity=size, margin_mode=mode, **stated)


def asked(account, one, available="100000", mark=None):
    known = market_of(account, one.symbol) or market(ETH if one.symbol == ETH.symbol else BTC, mark or "50000")
    return what_if(account, one, known, None if available is None else Decimal(available))


def row(states, symbol="BTC/USDT:USDT", side=Side.LONG):
    return next(one for state in states for one in state.positions if one.key == PositionKey(symbol, side))


def pool(states, name="USDT cross"):
    return next(state for state in states if state.figures.name == name)


def near(value):
    return pytest.approx(Decimal(value), abs=Decimal("1e-20"))


# Opening and adding --------------------------------------------------------------------------------------------------


def test_a_new_isolated_position_takes_its_margin_out_of_the_wallet():
    """1 BTC at 50,000, 10x: 5,000 of margin, liquidated at 45,000 / 0.99; the wallet has 5,000 left."""
    told = asked(book(), order(leverage="10"))
    assert (told.terms.effect, told.terms.margin_mode, told.margin) == (Effect.OPENS, MarginMode.ISOLATED, 5_000)
    assert row(told.after).liquidation.price == near(Decimal(45_000) / Decimal("0.99"))
    assert pool(told.after).figures.margin_balance == 5_000
    assert (told.available_before, told.available_after) == (100_000, 95_000)


def test_a_stated_margin_holds_before_the_leverage():
    told = asked(book(), order(leverage="10", mode=MarginMode.ISOLATED, margin="800"))
    assert row(told.after).position.isolated_wallet == 800
    assert row(told.after).liquidation.price == near(Decimal(49_200) / Decimal("0.99"))


def test_money_that_leaves_the_wallet_brings_the_cross_positions_nearer_and_says_which():
    """10 ETH at 1,000 on 3,000: ends at 7,000 / 9.9; on 2,200 at 7,800 / 9.9."""
    account = book(holding(terms=ETH, quantity="10", entry="1000", mark="1000"), wallet="3000")
    one = order(mode=MarginMode.ISOLATED, margin="800")
    told = asked(account, one)
    (shift,) = shifts(told, one)
    assert shift.before.key == PositionKey("ETH/USDT:USDT", Side.LONG)
    assert shift.before.liquidation.price == near(Decimal(7_000) / Decimal("9.9"))
    assert shift.after.liquidation.price == near(Decimal(7_800) / Decimal("9.9"))


def test_a_cross_order_joins_the_pool_and_reserves_its_initial_margin():
    """1 BTC at 50,000 on a wallet of 10,000: 40,000 / 0.99; the wallet itself stays whole."""
    told = asked(book(), order(leverage="20", mode=MarginMode.CROSS))
    assert row(told.after).liquidation.price == near(Decimal(40_000) / Decimal("0.99"))
    assert pool(told.after).figures.margin_balance == 10_000
    assert (told.margin, told.available_after) == (2_500, 97_500)


def test_a_cross_order_of_unknown_leverage_is_told_and_what_is_left_available_is_not_known():
    told = asked(book(), order(mode=MarginMode.CROSS))
    assert (told.refusal, told.margin, told.available_after) == (None, None, None)
    assert row(told.after).liquidation.price == near(Decimal(40_000) / Decimal("0.99"))


def test_the_same_side_is_added_to_at_the_average_entry():
    account = book(holding(wallet="5000", entry="40000"))
    told = asked(account, order(quantity="3", leverage="10"))
    assert told.terms.effect is Effect.ADDS
    assert row(told.after).position.entry_price == 47_500
    assert row(told.after).position.quantity == 4
    assert row(told.after).position.isolated_wallet == 20_000


def test_an_inverse_position_averages_in_coins():
    """10,000 dollars at 40,000 and 10,000 at 50,000 are 0.45 BTC: 20,000 / 0.45."""
    coin = contract(inverse=True)
    account = Book(
        pools=(
            wallet_pool(currency="BTC", wallet="5"),
            alone(holding(terms=coin, quantity="10000", entry="40000", wallet="0.1")),
        )
    )
    told = asked(account, order(quantity="10000", terms=coin, leverage="5"))
    assert row(told.after, coin.symbol).position.entry_price == near(Decimal(20_000) / Decimal("0.45"))
    assert row(told.after, coin.symbol).position.isolated_wallet == near("0.14")


def test_the_worth_of_an_order_becomes_contracts_at_its_price():
    told = asked(book(), order(quantity=None, worth="10000", price="40000", leverage="10"))
    assert (told.terms.quantity, told.margin) == (Decimal("0.25"), 1_000)
    coin = contract(inverse=True, size="100")
    inverse = what_if(Book(pools=()), order(quantity=None, worth="5000", terms=coin, margin="1"), market(coin), ENOUGH)
    assert inverse.terms.quantity == 50


def test_an_order_away_from_the_mark_has_its_profit_or_loss_at_once():
    told = asked(book(), order(leverage="10", price="52000"))
    assert row(told.after).unrealized_pnl == -2_000
    assert row(told.after).position.entry_price == 52_000
    assert told.available_after == 100_000 - 5_200
    cross = asked(book(), order(leverage="10", price="52000", mode=MarginMode.CROSS))
    assert cross.available_after == 100_000 - 5_200 - 2_000
    assert pool(cross.after).figures.margin_balance == 8_000


def test_a_margin_below_the_requirement_is_past_liquidation_at_once():
    told = asked(book(), order(mode=MarginMode.ISOLATED, margin="400"))
    assert row(told.after).liquidation.kind is LiquidationKind.PAST


# Against what is open ------------------------------------------------------------------------------------------------


def test_half_of_an_isolated_position_gives_back_half_of_its_margin_and_realizes_its_profit():
    account = book(holding(wallet="6000", quantity="2", entry="45000"))
    told = asked(account, order(Side.SHORT))
    assert (told.terms.effect, told.released, told.realized) == (Effect.REDUCES, 3_000, 5_000)
    left = row(told.after).position
    assert (left.quantity, left.entry_price, left.isolated_wallet) == (1, 45_000, 3_000)
    assert pool(told.after).figures.margin_balance == 18_000
    assert told.available_after == 108_000


def test_a_closed_position_is_gone_and_its_money_is_in_the_wallet():
    told = asked(book(holding(wallet="6000", entry="45000")), order(Side.SHORT))
    assert told.terms.effect is Effect.CLOSES
    assert [state.figures.name for state in told.after] == ["USDT cross"]
    assert pool(told.after).figures.margin_balance == 21_000


def test_a_larger_order_closes_one_side_and_opens_the_other_with_the_rest():
    account = book(holding(wallet="6000", leverage="10"), wallet="0")
    told = asked(account, order(Side.SHORT, "2"), available="0")
    assert (told.terms.effect, told.released, told.margin) == (Effect.FLIPS, 6_000, 5_000)
    assert row(told.after, side=Side.SHORT).position.isolated_wallet == 5_000
    assert pool(told.after).figures.margin_balance == 1_000
    assert told.available_after == 1_000


def test_a_smaller_cross_position_frees_what_it_reserved():
    account = book(holding(quantity="2", entry="45000", leverage="10"))
    told = asked(account, order(Side.SHORT, price="49000"), available="0")
    assert told.realized == 4_000
    assert told.available_after == 5_000 - 1_000  # 50,000 / 10 is freed, and a thousand less than the mark was worth.
    assert pool(told.after).figures.margin_balance == 10_000 + 4_000 + 5_000


def test_without_a_leverage_nobody_knows_what_a_smaller_cross_position_frees():
    told = asked(book(holding(quantity="2")), order(Side.SHORT))
    assert (told.refusal, told.available_after) == (None, None)


@pytest.mark.parametrize("how", ["stated by the exchange", "seen in the account"])
def test_in_hedge_mode_the_other_side_is_a_leg_of_its_own(how):
    stated = how == "stated by the exchange"
    others = (
        () if stated else tuple(holding(terms=ETH, side=side, entry="1000", mark="1000", wallet="300") for side in Side)
    )
    told = asked(book(holding(wallet="6000", hedged=stated), *others), order(Side.SHORT, leverage="10"))
    assert told.terms.effect is Effect.OPENS
    assert row(told.after).position.quantity == 1
    assert row(told.after, side=Side.SHORT).position.quantity == 1


def test_a_leg_of_its_own_in_a_cross_pool_moves_the_other_side_and_that_is_told():
    one = order(Side.SHORT, leverage="10")
    told = asked(book(holding(hedged=True, leverage="10")), one)
    assert [str(shift.before.key) for shift in shifts(told, one)] == ["BTC/USDT:USDT long"]
    assert row(told.after).liquidation.price == 500_000  # 10,000 stays, whatever BTC does, and 2 % of it is required.


def test_a_position_that_is_made_smaller_is_not_told_as_another_one():
    one = order(Side.SHORT)
    assert shifts(asked(book(holding(quantity="2", leverage="10")), one), one) == ()


# What cannot be ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"mode": MarginMode.CROSS}])
def test_what_is_not_available_cannot_be_taken(fields):
    told = asked(book(), order(leverage="10", **fields), available="4999.99")
    assert (told.after, told.available_after) == (None, None)
    refusal = told.refusal
    assert (refusal.kind, refusal.needed, refusal.available) == (RefusalKind.SHORT, 5_000, Decimal("4999.99"))


def test_of_a_written_account_only_what_lies_above_the_requirement_and_in_the_wallet_can_be_taken():
    losing = book(holding(entry="52000"))  # 10,000 - 2,000 of loss - 500 required.
    assert asked(losing, order(terms=ETH, margin="7500"), None, "1000").refusal is None
    refusal = asked(losing, order(terms=ETH, margin="7500.01"), None, "1000").refusal
    assert (refusal.kind, refusal.available) == (RefusalKind.SHORT, 7_500)
    winning = asked(book(holding(entry="40000")), order(terms=ETH, margin="10001"), None, "1000")
    assert winning.refusal.available == 10_000
    assert (
        asked(Book(pools=(alone(holding(wallet="5000")),)), order(terms=ETH, margin="1"), None).refusal.available == 0
    )


def test_an_isolated_order_without_margin_and_leverage_is_not_guessed_at():
    assert asked(book(), order()).refusal.kind is RefusalKind.NO_MARGIN
    assert asked(book(holding(wallet="5000", leverage="10")), order()).refusal is None


def test_a_symbol_keeps_its_margin_mode_while_it_is_open():
    account = book(holding(wallet="5000"))
    for side in Side:
        assert asked(account, order(side, mode=MarginMode.CROSS)).refusal.kind is RefusalKind.OTHER_MODE
    assert asked(account, order(leverage="10")).terms.margin_mode is MarginMode.ISOLATED
    assert asked(book(holding()), order(leverage="10")).terms.margin_mode is MarginMode.CROSS


@pytest.mark.parametrize(
    "gap",
    [
        Gap(subject="USDT cross", reason="multi-assets mode is not modelled"),
        Gap(subject="SOL", reason="hidden", key=PositionKey("SOL/USDT:USDT", Side.LONG)),
        Gap(subject="BTC", reason="its row", key=PositionKey("BTC/USDT:USDT", Side.LONG)),
    ],
)
def test_beside_what_cannot_be_modelled_no_answer_is_given(gap):
    told = asked(book(gaps=(gap,)), order(leverage="10"))
    assert (told.refusal.kind, told.refusal.text) == (RefusalKind.NOT_MODELLED, f"{gap.subject}: {gap.reason}")
    assert told.after is None


def test_what_the_exchange_said_of_a_pool_is_not_repeated_of_the_changed_one():
    """A pool whose money changes is compared by the model, before and after; another isolated one keeps its figures."""
    theirs = Liquidation(kind=LiquidationKind.AT, price=Decimal(49_999))
    cross, own = holding(), holding(terms=ETH, entry="1000", mark="1000", wallet="200")
    cross, own = (replace(one, position=replace(one.position, exchange_liquidation=theirs)) for one in (cross, own))
    told = asked(book(cross, own), order(terms=contract("SOL"), margin="100"), mark="100")
    assert row(told.before).distance_basis == row(told.after).distance_basis == "model"
    assert row(told.before, "ETH/USDT:USDT").position.exchange_liquidation == theirs
    assert row(told.after, "ETH/USDT:USDT") == row(told.before, "ETH/USDT:USDT")


def test_a_wallet_of_coins_pays_in_its_own_asset_only():
    coins = Collateral(asset="BTC", wallet_balance=Decimal(1), price=Decimal(50_000), haircut=Decimal(0))
    rich = wallet_pool(wallet="100").pool
    account = Book(pools=(replace(wallet_pool(), pool=replace(rich, collateral=(*rich.collateral, coins))),))
    refusal = asked(account, order(margin="101"), None).refusal
    assert (refusal.kind, refusal.available) == (RefusalKind.SHORT, 100)


# Laws ----------------------------------------------------------------------------------------------------------------

sizes = st.decimals("0.001", "1000", places=3)


@given(books(), sizes, st.sampled_from(Side), st.sampled_from(MarginMode), st.sampled_from(("1", "7", "50")))
def test_an_order_and_the_same_one_back_leave_the_account_as_it_was(account, size, side, mode, leverage):
    terms = contract("XRP")  # No made-up account holds it.
    there = order(side, size, terms, mode=mode, leverage=leverage)
    went = what_if(account, there, market(terms, "0.75"), ENOUGH)
    assert went.terms.effect is Effect.OPENS
    halfway = Book(pools=tuple(state.book_pool for state in went.after))
    back = what_if(halfway, order(Side(-side), size, terms), market(terms, "0.75"), ENOUGH)
    if back.terms.effect is Effect.OPENS:  # Both sides of some symbol are open: in hedge mode nothing closes.
        return
    assert back.terms.effect is Effect.CLOSES
    assert figures_of(back.after) == figures_of(went.before)
    assert (back.realized, money(state.book_pool for state in back.after)) == (0, money(account.pools))


@given(books(), sizes, st.sampled_from(Side), st.data())
def test_at_the_mark_no_order_makes_or_loses_money(account, size, side, data):
    held = data.draw(st.sampled_from(list(account.holdings())))
    one = Order(
        symbol=held.leg.contract.symbol, side=side, quantity=held.leg.quantity * size / 500, leverage=Decimal(5)
    )
    told = what_if(account, one, market_of(account, one.symbol), ENOUGH)
    assert told.refusal is None
    assert equity(told.after) == equity(told.before)


def figures_of(states):
    return {
        (one.key, one.position.margin_mode): (one.crossings, one.margin_balance, one.requirement)
        for state in states
        for one in state.positions
    }


def equity(states):
    total = money(state.book_pool for state in states)
    for state in states:
        for one in state.positions:
            asset = one.position.contract.settle
            total[asset] = total.get(asset, 0) + Fraction(one.unrealized_pnl)
    return {asset: round(amount, 30) for asset, amount in total.items() if round(amount, 30)}
