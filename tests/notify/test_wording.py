"""Figures for people: short, and never kinder than the truth."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.notify import wording

PRICES = st.decimals(min_value="0.00000001", max_value="10000000", places=12).filter(lambda price: price > 0)


def number(text: str) -> Decimal:
    return Decimal(text.split(" ", maxsplit=1)[0].replace(",", ""))


@pytest.mark.parametrize(
    ("value", "mark", "said"),
    [
        ("54100.38", "58700.4", "54,101"),
        ("54100.38", "50000", "54,100"),
        ("0.000012345678", "0.00002", "0.000012346"),
        ("1.99999", "2.5", "2"),
        ("1999999.4", "2000000", "1,999,999.4"),
        ("99.9999999", "100", "99.9999999"),
        ("100", "100", "100"),
    ],
)
def test_a_liquidation_price_is_rounded_towards_the_mark_but_never_onto_it(value, mark, said):
    assert wording.liquidation_price(Decimal(value), mark=Decimal(mark)) == said


@given(PRICES, PRICES)
def test_a_liquidation_price_never_reads_farther_than_it_is(value, mark):
    said = number(wording.liquidation_price(value, mark=mark))
    assert abs(mark - said) <= abs(mark - value)
    assert (said < mark, said > mark) == (value < mark, value > mark)


@given(st.decimals(min_value=0, max_value=10**9, places=10), st.sampled_from(["USDT", "BTC"]))
def test_what_is_required_is_never_understated_and_what_is_free_never_overstated(amount, currency):
    assert number(wording.required(amount, currency)) >= amount
    assert number(wording.free(amount, currency)) <= amount


@given(st.decimals(min_value=0, max_value=50, places=8))
def test_a_distance_never_reads_longer_than_it_is(fraction):
    assert number(wording.distance(fraction)) <= fraction * 100


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=900)))
def test_an_age_never_reads_younger_than_it_is(age):
    value, unit = wording.duration(age).split(" ")
    assert timedelta(seconds=int(value) * {"s": 1, "min": 60, "h": 3600, "d": 86400}[unit]) >= age


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.required(Decimal("2561.1234"), "USDT"), "2,561.13 USDT"),
        (wording.required(Decimal(250), "USDT"), "250 USDT"),
        (wording.free(Decimal("0.019"), "USDT"), "0.01 USDT"),
        (wording.required(Decimal("0.01234567"), "BTC"), "0.0123457 BTC"),
        (wording.distance(Decimal("0.0799")), "7.9 %"),
        (wording.distance(Decimal("0.00789")), "0.78 %"),
        (wording.distance(Decimal(0)), "0 %"),
        (wording.share(Decimal("0.631")), "64 %"),
        (wording.signed_move(Decimal("-0.1239")), "-12.3 %"),
        (wording.signed_move(Decimal("0.4")), "+40 %"),
        (wording.chance(0.004), "under 1 %"),
        (wording.chance(0.126), "13 %"),
        (wording.price(Decimal("58700.4")), "58,700"),
        (wording.price(Decimal("0.00001234567")), "0.000012345"),
        (wording.price(Decimal(100000)), "100,000"),
        (wording.duration(timedelta(seconds=1.2)), "2 s"),
        (wording.duration(timedelta(seconds=119)), "119 s"),
        (wording.duration(timedelta(seconds=121)), "3 min"),
        (wording.duration(timedelta(days=3)), "3 d"),
    ],
)
def test_figures_are_worded_as_people_write_them(said, expected):
    assert said == expected


@pytest.mark.parametrize("say", [wording.price, wording.distance, wording.share, wording.signed_move])
def test_a_figure_of_any_size_that_an_account_file_may_hold_is_said(say):
    assert say(Decimal("1e120")).lstrip("+").startswith(("1,", "10,", "100,"))


def test_an_amount_of_any_size_that_an_account_file_may_hold_is_said():
    assert number(wording.free(Decimal("1e36"), "USDT")) == Decimal("1e36")
    assert number(wording.required(Decimal("1e120"), "BTC")) == Decimal("1e120")
