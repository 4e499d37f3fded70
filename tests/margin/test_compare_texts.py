"""What compare and whatif say in sentences: each by hand, for the numbers that call for it."""

from decimal import Decimal

import pytest
from book_worlds import alone, book, holding, wallet_pool
from margin_worlds import contract, table

from guard.cli.compare_texts import advice, aims, assumptions
from guard.cli.whatif_texts import notes, refusal_text, shift_text, understood
from guard.margin import MarginRule
from guard.margin.books import Book, Effect, Market, Order, compare, market_of, shifts, what_if
from guard.snapshot import MarginMode, Side

ETH = contract("ETH")
COIN = contract(inverse=True)


def eth(**fields):
    return holding(terms=ETH, entry="1000", mark="1000", **fields)


def said(account, index=0):
    told = compare(account)
    return advice(told.holdings[index], told.isolated.stands[index], told.cross.stands[index])


# One position --------------------------------------------------------------------------------------------------------


def test_cross_is_farther_and_risks_the_deposit():
    """(50,000 - 1,000) / 0.99 and (50,000 - 10,000) / 0.99, 18.18 points apart, rounded towards the mark and down."""
    assert said(book(holding(wallet="1000"), wallet="9000")) == (
        "Cross ends at 40,405 instead of 49,495 (18.1 points farther) but then risks 10,000 USDT instead of 1,000 USDT."
    )


def test_cross_may_be_nearer_where_another_position_drains_the_pool():
    """2 ETH are 800 down on 400 and require 12: they take 412 of BTC's 1,400. (48,600 + 412) / 0.99, not 48,600 / 0.99."""
    loser = holding(terms=ETH, entry="1000", mark="600", quantity="2", wallet="400")
    assert said(book(holding(wallet="1400"), loser, wallet="0")) == (
        "Cross ends at 49,508 instead of 49,091 (0.83 points nearer) and risks 1,000 USDT instead of 1,400 USDT."
    )


def test_a_pool_that_is_past_its_end_is_said_to_be():
    loser = holding(terms=ETH, entry="1000", mark="600", quantity="2", wallet="400")
    account = book(holding(wallet="700"), loser, wallet="0")
    assert said(account) == "In one cross pool it would be past liquidation at once; isolated it lives."


def test_an_isolated_position_with_too_little_margin_is_said_to_be_past():
    account = book(holding(leverage="20", mark="47000"), wallet="9000")
    assert said(account).startswith(
        "Isolated it would be past liquidation at once: its margin is too small. Cross lives"
    )


def test_a_position_past_its_end_in_both_modes_is_no_choice():
    assert said(book(holding(wallet="400"), wallet="0")) == "It would be past liquidation in either mode."


def test_a_position_that_no_price_ends_in_cross_is_told_with_its_isolated_price():
    assert said(book(holding(wallet="1000"), wallet="60000")) == (
        "In cross no price of BTC alone ends it (isolated: 49,495), but it then risks 61,000 USDT instead of 1,000 USDT."
    )


def test_a_position_whose_own_margin_covers_all_is_told_so():
    """A fully paid long beside a losing short of the same coin, which the pool then feels."""
    short = holding(side=Side.SHORT, quantity="3", wallet="2000")
    assert said(book(holding(wallet="50000"), short, wallet="0")).startswith(
        "Isolated: no price ends it, its margin covers all it can lose. Cross ends at "
    )
    assert said(book(holding(wallet="50000"), wallet="0")) == (
        "No price of BTC alone ends it in either mode. Cross risks the same 50,000 USDT."
    )


def test_a_position_that_ends_at_the_same_price_in_both_modes_risks_the_same():
    assert said(book(holding(wallet="5000"), wallet="0")) == ("Both end at 45,455; cross risks the same 5,000 USDT.")


def test_the_other_side_of_the_mark_is_named():
    """Long 1, short 3: as one pool they end above the mark."""
    short = holding(side=Side.SHORT, quantity="3", wallet="15000")
    assert ", on the other side of 50,000, instead of 45,455" in said(book(holding(wallet="5000"), short, wallet="0"))


def test_what_cannot_be_told_is_said_with_the_reason():
    assert said(book(holding(leverage="10"), wallet="4000")) == (
        "Isolated cannot be told: the margins come to 5,000 USDT, and the wallet has 4,000 USDT."
    )
    two = book(holding(leverage="10"), eth(), wallet="5000")
    assert said(two, 1) == (
        "Isolated cannot be told: the wallet has 5,000 USDT, and nothing of it is left to share out as margin."
    )


# The account ---------------------------------------------------------------------------------------------------------


def test_each_aim_comes_with_the_accounts_own_money():
    isolated, cross = aims(compare(book(holding(wallet="1000"), eth(wallet="100"), wallet="900")))
    assert isolated.endswith("All isolated: 1,100 USDT at risk, 900 USDT stays free; first to end: BTC long, 1 % away.")
    assert cross.endswith(
        "All cross: 2,000 USDT at risk; first to end: BTC long and ETH long together, 2.9 % away, if all prices move at once."
    )


def test_an_account_that_nothing_can_end_says_so():
    assert next(aims(compare(book(holding(wallet="50001"))))).endswith("no move of prices ends any of it.")


def test_an_account_that_is_past_its_end_says_so():
    assert next(aims(compare(book(holding(wallet="400"))))).endswith("BTC long would be past liquidation at once.")


def test_money_of_two_currencies_is_not_added_up():
    coin = alone(holding(terms=COIN, quantity="50000", wallet="0.1"))
    text = next(aims(compare(Book(pools=(wallet_pool(wallet="0"), alone(holding(wallet="1000")), coin)))))
    assert "1,000 USDT and 0.1 BTC at risk" in text


@pytest.mark.parametrize(
    ("short", "together"),
    [
        ("1", "together they lose nothing"),
        ("0.5", "together they are 1,237.62 USDT up by then"),
        ("1.5", "together they lose only 1,237.63 USDT of the 3,712.87 USDT it loses"),
    ],
)
def test_a_hedge_is_told_by_what_the_pair_gains_or_loses(short, together):
    """The short has 6 % of its notional: it ends at 53,000 / 1.01, 2,475.25 higher. The long is fed better."""
    legs = (holding(wallet="10000"), holding(side=Side.SHORT, quantity=short, wallet=str(3_000 * Decimal(short))))
    text = list(aims(compare(book(*legs))))[2]
    expected = "BTC long and BTC short are a hedge: isolated, BTC short is liquidated at +4.9 % although"
    assert text.startswith(f"{expected} {together}. In one cross pool ")


def test_every_conversion_is_an_assumption_in_plain_words():
    text = " ".join(assumptions(compare(book(holding(leverage="10"), eth(wallet="100"), eth(side=Side.SHORT)))))
    assert "All cross: ETH long: the margin goes into the wallet" in text
    assert "BTC long takes 5,000 USDT (entry notional / leverage, 10x)" in text
    assert "ETH short takes 5,000 USDT (its share of the wallet by notional: no leverage is stated)" in text
    assert "What the wallet has beyond that is free" in text
    unchanged = " ".join(assumptions(compare(book(eth(wallet="100")))))
    assert "All isolated" not in unchanged


# Whatif --------------------------------------------------------------------------------------------------------------


def foretold(account, one, available="100000"):
    new = Market(contract=contract(), tiers=table(("0", "0.01")), rule=MarginRule(), mark_price=Decimal(50_000))
    known = market_of(account, one.symbol) or new
    return one, what_if(account, one, known, None if available is None else Decimal(available))


def ask(side=Side.LONG, quantity="1", terms=None, *, mode=None, **numbers):
    stated = {name: Decimal(number) for name, number in numbers.items()}
    symbol = (terms or contract()).symbol
    return Order(symbol=symbol, side=side, quantity=Decimal(quantity), margin_mode=mode, **stated)


@pytest.mark.parametrize(
    ("account", "one", "text"),
    [
        (
            book(),
            ask(leverage="10"),
            "long 1 BTC/USDT:USDT (1 BTC) at 50,000: 50,000 USDT, 10x, isolated. It opens a position.",
        ),
        (book(holding()), ask(), "50,000 USDT, cross. It adds to BTC long, at the average entry."),
        (book(holding(quantity="2", entry="40000")), ask(Side.SHORT), "It makes BTC long smaller (one-way mode) and realizes 10,000 USDT."),
        (book(holding(entry="60000")), ask(Side.SHORT), "It closes BTC long (one-way mode) and realizes -10,000 USDT."),
        (
            book(holding(wallet="5000")),
            ask(Side.SHORT, "2", leverage="10"),
            "It closes BTC long (one-way mode) and realizes 0 USDT, and opens BTC short with the rest.",
        ),
        (
            book(holding(wallet="5000")),
            ask(Side.SHORT, "2000", leverage="10"),
            "It closes BTC long (one-way mode), and opens BTC short with the rest.",
        ),
    ],
)  # fmt: skip
def test_an_order_is_told_as_it_was_understood(account, one, text):
    assert understood(*foretold(account, one)).endswith(text)


def test_an_inverse_order_is_counted_in_dollars_and_coins():
    account = Book(
        pools=(wallet_pool(currency="BTC", wallet="5"), alone(holding(terms=COIN, quantity="50000", wallet="0.1")))
    )
    assert understood(*foretold(account, ask(terms=COIN, quantity="25000", leverage="5"))).startswith(
        "long 25,000 BTC/USD:BTC (25,000 USD) at 50,000: 0.5 BTC, 5x, isolated."
    )


def test_what_was_assumed_and_what_is_odd_is_noted():
    def noted(account, one, available="100000"):
        return " ".join(notes(*foretold(account, one, available)))

    opened = noted(book(), ask(leverage="10"))
    assert "No margin mode was stated: taken as isolated." in opened
    assert "5,000 USDT moves out of the wallet into it (notional / leverage)." in opened
    assert "5,000 USDT of the wallet is reserved for it" in noted(book(), ask(leverage="10", mode=MarginMode.CROSS))
    thin = noted(book(), ask(leverage="10", mode=MarginMode.ISOLATED, margin="800"))
    assert "800 USDT moves out of the wallet into it (as stated)." in thin
    assert "At 10x an exchange asks for 5,000 USDT; it lets you add margin, not hold back." in thin
    assert "asks for" not in noted(book(), ask(leverage="10", mode=MarginMode.ISOLATED, margin="5000"))
    assert "No leverage is known" in noted(book(holding()), ask())
    assert "stands at 10x now" in noted(book(holding(leverage="10")), ask(leverage="5"))
    assert "stands at" not in noted(book(holding(leverage="10")), ask(leverage="10"))
    assert "kept apart (hedge mode)" in noted(book(holding(hedged=True)), ask(Side.SHORT))
    assert "3,000 USDT of its margin goes back" in noted(book(holding(wallet="6000", quantity="2")), ask(Side.SHORT))
    assert "Available is not known in an account file" in noted(book(holding()), ask(leverage="10"), None)


def test_every_refusal_has_its_words():
    def refused(account, one, available="100000"):
        order, outcome = foretold(account, one, available)
        return refusal_text(outcome.refusal, order)

    assert refused(book(), ask(leverage="10"), "4999.999") == (
        "the wallet does not back it: it takes 5,000 USDT, 4,999.99 USDT is available, 0.01 USDT is missing"
    )
    assert "that is isolated: a symbol keeps its mode" in refused(
        book(holding(wallet="500")), ask(mode=MarginMode.CROSS)
    )
    assert "that is cross: a symbol keeps its mode" in refused(book(holding()), ask(mode=MarginMode.ISOLATED))
    assert "needs a margin or a leverage" in refused(book(), ask())


def test_another_position_is_told_by_how_far_it_is_then():
    """20 ETH at 1,000 on 3,000: 17,000 / 19.8 is 14.1 % away; on 2,200 it is 17,800 / 19.8, 10.1 % away."""
    order, outcome = foretold(book(eth(quantity="20"), wallet="3000"), ask(mode=MarginMode.ISOLATED, margin="800"))
    (shift,) = shifts(outcome, order)
    assert shift_text(shift) == "ETH long: 14.1 % \N{RIGHTWARDS ARROW} 10.1 % from liquidation"
    order, outcome = foretold(book(eth(quantity="1"), wallet="1300"), ask(mode=MarginMode.ISOLATED, margin="800"))
    assert shift_text(*shifts(outcome, order)) == "ETH long: nowhere near \N{RIGHTWARDS ARROW} 49.4 % from liquidation"
    assert outcome.terms.effect is Effect.OPENS
