"""Afterwards: the amount that would have kept a position alive, held against each written limit."""

from dataclasses import replace
from decimal import Decimal

import pytest
from policy_worlds import dollars, rule, terms, top_up_terms

from guard.policy.hindsight import Loss, PaidFrom, held_against
from guard.policy.terms import Amount, AmountUnit, Mode

D = Decimal
LOSS = Loss(
    account="main",
    settle="USDT",
    prices={"USDT": D(1), "BTC": D(50_000)},
    initial_margin=D(600),
    spent_on_it=D(100),
    spent_that_day=(
        ("main", "shield", D(200)),
        ("main", "a rule that is gone", D(50)),
        ("main", "other", D(10)),
        ("hedge", "shield", D(300)),
    ),
    wallet=PaidFrom(available=D(1_000), equity=D(2_000)),
)
RULE = rule(
    top_up=top_up_terms(
        max_per_action=dollars("250"),
        max_per_position=dollars("500"),
        max_per_day=dollars("1000"),
        reserve=Amount(unit=AmountUnit.OF_EQUITY, value=D("0.1"), written="10%"),
    )
)
TERMS = terms(RULE, rule("other"), per_day="1500", mode=Mode.ACT)


def held(needed, *, of=RULE, terms=TERMS, **changes):
    return {one.limit: one for one in held_against(D(needed), of, terms, replace(LOSS, **changes))}


def test_each_limit_is_what_was_left_of_it_and_enough_or_not():
    limits = held("420")
    assert {name: one.left for name, one in limits.items()} == {
        "mode act": None,
        "max_per_action": D(250),
        "max_per_position": D(400),
        "max_per_day of rule shield": D(750),  # What a rule that is gone had spent counts too; others do not.
        "[limits] max_per_day": D(940),
        "the reserve": D(800),
    }
    assert [name for name, one in limits.items() if one.is_enough is False] == ["max_per_position"]
    assert "20 USDT short" in limits["max_per_position"].text


@pytest.mark.parametrize("needed", ["400", "399.99"])
def test_what_is_left_to_the_last_cent_is_enough(needed):
    assert held(needed)["max_per_position"].is_enough is True


def test_a_limit_of_one_act_only_says_how_many_acts_it_takes():
    assert held("251")["max_per_action"].is_enough is None
    assert "2 acts in a row" in held("251")["max_per_action"].text
    assert held("250")["max_per_action"].is_enough is True


def test_a_mode_that_sends_nothing_stands_in_the_way():
    shadow = held("1", terms=terms(RULE, mode=Mode.SHADOW))
    assert shadow["mode shadow"].is_enough is False


def test_without_a_budget_there_is_only_that():
    assert [(one.limit, one.is_enough) for one in held("1", of=None).values()] == [("a budget", False)]
    assert list(held("1", of=rule(top_up=None))) == ["a budget"]


def test_multiples_of_the_initial_margin_are_of_this_position_and_unknown_without_it():
    twice = Amount(unit=AmountUnit.INITIAL_MARGINS, value=D(2), written="2x")
    one = rule(top_up=top_up_terms(max_per_position=twice))
    assert held("1", of=one)["max_per_position"].left == 1_100
    unknown = held("1", of=one, initial_margin=None)["max_per_position"]
    assert (unknown.left, unknown.is_enough) == (None, None)


def test_a_wallet_that_was_not_seen_is_said_and_not_taken_for_empty_or_full():
    unknown = held("1", wallet=None)["the reserve"]
    assert (unknown.left, unknown.is_enough) == (None, None)


def test_a_coin_without_a_price_leaves_every_dollar_limit_unknown():
    limits = held("1", settle="XRP", prices={"USDT": D(1)})
    assert {name for name, one in limits.items() if one.is_enough is None} >= {
        "max_per_position",
        "max_per_day of rule shield",
        "[limits] max_per_day",
    }
