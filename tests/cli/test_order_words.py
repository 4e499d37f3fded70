"""The order of `guard whatif` as a person writes it: what is understood, and how the rest is refused."""

from decimal import Decimal

import pytest

from guard.cli.order_words import OrderError, nearest_symbol, read_order
from guard.snapshot import MarginMode, Side

BTC = "BTC/USDT:USDT"


def stated(words):
    order, currency = read_order(words)
    return (
        order.side,
        order.quantity,
        order.worth,
        order.leverage,
        order.margin_mode,
        order.margin,
        order.price,
        currency,
    )


def test_the_example_of_the_manual_is_understood():
    order, currency = read_order("long 0.5 BTC/USDT:USDT 10x isolated 800")
    assert (order.symbol, order.side, order.quantity, currency) == (BTC, Side.LONG, Decimal("0.5"), None)
    assert (order.leverage, order.margin_mode, order.margin, order.price) == (10, MarginMode.ISOLATED, 800, None)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (f"short 3 {BTC}", (Side.SHORT, 3, None, None, None, None, None, None)),
        (f"long 1 {BTC} cross", (Side.LONG, 1, None, None, MarginMode.CROSS, None, None, None)),
        (f"long 1 {BTC} isolated", (Side.LONG, 1, None, None, MarginMode.ISOLATED, None, None, None)),
        (f"long 1 {BTC} isolated 10x", (Side.LONG, 1, None, 10, MarginMode.ISOLATED, None, None, None)),
        (f"long 1 {BTC} isolated at 100", (Side.LONG, 1, None, None, MarginMode.ISOLATED, None, 100, None)),
        (f"long 1 {BTC} at 59000.5 2.5x cross", (Side.LONG, 1, None, Decimal("2.5"), MarginMode.CROSS, None, Decimal("59000.5"), None)),
        (f"  short   5000USDT  {BTC} ", (Side.SHORT, None, 5_000, None, None, None, None, "USDT")),
    ],
)  # fmt: skip
def test_what_may_be_left_out_may_be_left_out(words, expected):
    assert stated(words) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "found '', expected SIDE QUANTITY SYMBOL"),
        ("long 0.5", "expected SIDE QUANTITY SYMBOL"),
        (f"logn 1 {BTC}", "found 'logn', expected long or short, did you mean 'long'?"),
        (f"buy 1 {BTC}", "found 'buy', expected long or short"),
        (f"long {BTC} 1", "found 'BTC/USDT:USDT' as the quantity"),
        (f"long 0 {BTC}", "found '0' as the quantity, expected a number above 0"),
        (f"long 0.0USDT {BTC}", "found '0.0' as the quantity, expected a number above 0"),
        (f"long -1 {BTC}", "found '-1' as the quantity"),
        (f"long 1e5 {BTC}", "found '1e5' as the quantity"),
        (f"long NaN {BTC}", "found 'NaN' as the quantity"),
        (f"long {'9' * 31} {BTC}", "as the quantity"),
        (f"long 1 {BTC} 0x", "found '0' as the leverage"),
        (f"long 1 {BTC} x10", "found 'x10', expected SIDE QUANTITY SYMBOL"),
        (f"long 1 {BTC} 800", "found '800', expected SIDE QUANTITY SYMBOL"),
        (f"long 1 {BTC} cross 800", "found '800', expected SIDE QUANTITY SYMBOL"),
        (f"long 1 {BTC} isolated 0", "found '0' as the margin"),
        (f"long 1 {BTC} isolated 8,000", "found '8,000' as the margin"),
        (f"long 1 {BTC} at", "found '' as the price"),
        (f"long 1 {BTC} at cross", "found 'cross' as the price"),
        (f"long 1 {BTC} 5x 10x", "found '10x', expected one leverage only"),
        (f"long 1 {BTC} isolated cross", "found 'cross', expected one mode only"),
        (f"long 1 {BTC} at 1 at 2", "expected one price only"),
        (f"long 1 {BTC} \x1b[31m", r"found '\\x1b[31m'"),
    ],
)
def test_what_is_no_order_is_refused_with_what_was_found_and_what_is_expected(words, said):
    with pytest.raises(OrderError) as refused:
        read_order(words)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("word", ["BTC", "btc", "BTC/USDT", "BTCUSDT", "BTC/USDT:USD", "btc/usdt:usdt"])
def test_a_symbol_that_is_nearly_one_is_guessed(word):
    symbols = ["ETH/USDT:USDT", "BTC/USDC:USDC", "BTC/USDT:USDT-261225", "BTCDOM/USDT:USDT", BTC]
    assert nearest_symbol(word, symbols) == ", did you mean 'BTC/USDT:USDT'?"


def test_a_symbol_that_is_like_none_is_not_guessed():
    assert nearest_symbol("WHATEVER", [BTC]) == ""
