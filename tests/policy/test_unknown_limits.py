"""A limit that cannot be reckoned lets no money move, whichever limit it is."""

from decimal import Decimal

import pytest
from policy_worlds import (
    KEY,
    T0,
    assessed,
    cent,
    dollars,
    isolated,
    judged,
    life,
    memory,
    row,
    rule,
    snapshot,
    terms,
    top_up_terms,
)

from guard.policy.decide import decide
from guard.policy.decision import WithheldReason
from guard.policy.terms import Amount, AmountUnit
from guard.snapshot import Wallet

NEAR = isolated("0.07")
SOL = Amount(unit=AmountUnit.COIN, value=Decimal(1), coin="SOL", written="1 SOL")


def verdict(**limits):
    return row(judged(NEAR, rules=[rule(top_up=top_up_terms(**limits))]))


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"max_per_action": SOL}, "max_per_action"),
        ({"max_per_position": SOL}, "max_per_position"),
        ({"max_per_day": SOL}, "max_per_day of rule shield"),
        ({"reserve": SOL}, "reserve"),
    ],
)
def test_a_limit_in_a_coin_without_a_price_withholds_and_is_named(limits, name):
    found = verdict(**limits)
    assert found.top_up is None
    assert found.withheld.reason is WithheldReason.NO_PRICE
    assert found.withheld.text == f"{name} 1 SOL: SOL has no dollar price"


def test_a_limit_of_all_rules_in_a_coin_without_a_price_withholds_and_is_named():
    decision = decide(
        assessed(snapshot(NEAR)),
        memory=memory(life()),
        terms=terms(rule(), max_per_day_all=SOL),
        step=cent,
        outlooks={},
        ended=frozenset(),
        fresh_read=True,
        now=T0,
    )
    withheld = row(decision, KEY).withheld
    assert (withheld.reason, withheld.text) == (
        WithheldReason.NO_PRICE,
        "[limits] max_per_day 1 SOL: SOL has no dollar price",
    )


def test_a_limit_in_dollars_names_the_settle_currency_that_has_no_price():
    inverse = isolated("0.07", symbol="BTC/EUR:BTC", isolated_wallet=Decimal("0.00001"), quantity=100)
    withheld = judged(inverse, wallets=()).positions[0].withheld
    assert withheld.text == "BTC has no dollar price: no position of this account is marked in it"


def inverse_verdict(**limits):
    """Judge an inverse long that wants to end at no price at all, which no amount of its coin brings about."""
    inverse = isolated("0.07", symbol="BTC/USD:BTC", quantity=10_000, isolated_wallet=Decimal("0.08"))
    own = Wallet(currency="BTC", cross_wallet_balance=Decimal(2), cross_unrealized_pnl=Decimal(0), available=Decimal(2))
    out_of_reach = {"trigger": Decimal("0.99"), "target": Decimal(1), "birth_cap": False}
    rules = [rule(top_up=top_up_terms(**out_of_reach, **limits))]
    return judged(inverse, rules=rules, wallets=(own,)).positions[0]


def test_a_clear_level_that_no_margin_reaches_is_said_and_gets_nothing():
    withheld = inverse_verdict().withheld
    assert withheld.reason is WithheldReason.CANNOT_SAVE
    assert withheld.text == "your budget cannot save this: no amount of margin reaches 101 %"


def test_where_the_target_is_out_of_reach_what_may_be_spent_is_spent_only_where_the_rule_says_so():
    spent = inverse_verdict(when_short_spend=True, max_per_action=dollars(250)).top_up
    assert (spent.amount, spent.cut_by) == (Decimal("0.02"), "max_per_action")  # 0.025 at 10,000, in steps of 0.01.
    empty = inverse_verdict(when_short_spend=True, max_per_position=dollars(1)).withheld
    assert empty.reason is WithheldReason.POSITION_BUDGET_SPENT
    assert empty.text.endswith("; more than any amount wanted")
