"""What is told of a top-up: whether the money moved is never left open by the words."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from told_support import BTC, FOUR_O_CLOCK

from guard.notify.action_texts import Act, action_message, expected, refused_message, settled_message, unknown_message
from guard.notify.webhook import webhook_object
from guard.policy.decision import TopUp
from guard.policy.terms import Level, Mode

BEFORE = {
    "distance": "0.0783",
    "mark_price": "58700.4",
    "liquidation_price": "54100.38",
    "exchange_liquidation_price": "54090.1",
}
AFTER = {
    "distance": "0.08688",
    "mark_price": "58700.4",
    "liquidation_price": "53600.2",
    "exchange_liquidation_price": None,
}
ACT = Act(
    alert="intent_1",
    account="main",
    key=BTC,
    level=Level.DANGER,
    happened_at=FOUR_O_CLOCK,
    rule="shield",
    reason="distance 7.8 % is at or below the trigger 8 %",
    amount=Decimal("62.31000000"),
    currency="USDT",
    dollars=Decimal("62.31000000"),
    before=BEFORE,
    after=AFTER,
    spent=Decimal("312.301"),
    budget_left=Decimal("187.699"),
)


def new_id() -> str:
    return "msg_8"


def test_a_top_up_is_told_with_before_after_spent_and_left():
    read = action_message(ACT, mode=Mode.ACT, new_id=new_id)
    assert read.title == "ADDED 62.31 USDT to BTC long: 7.8 % → 8.6 % — main"
    assert read.text.splitlines() == [
        "guard added 62.31 USDT of margin: distance 7.8 % is at or below the trigger 8 %.",
        "BTC/USDT:USDT long, isolated, account main, rule shield.",
        "Before: 7.8 % away, liquidation 54,101, the exchange says 54,091, mark 58,700.",
        "After: 8.6 % away, liquidation 53,601, mark 58,700.",
        "Spent on it so far: 312.31 USDT.",
        "Budget left for it: 187.69 USDT.",
        "Nothing to do.",
    ]
    assert (read.kind, read.event, read.level) == ("action", "fired", Level.DANGER)
    assert (read.facts["before"], read.facts["after"], read.facts["amount"]) == (BEFORE, AFTER, "62.31000000")


def test_who_used_the_budget_up_does_not_say_that_there_is_nothing_to_do():
    read = action_message(replace(ACT, budget_left=Decimal(0)), mode=Mode.ACT, new_id=new_id)
    assert read.text.splitlines()[-2:] == [
        "Budget left for it: 0 USDT.",
        "To do: decide what happens if it falls on. Its budget is used up, guard will not add again.",
    ]


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.SHADOW, Mode.APPROVE])
def test_a_top_up_that_was_only_said_cannot_be_mistaken_for_one_that_was_made(mode):
    top_up = TopUp(
        key=BTC,
        rule="shield",
        amount=ACT.amount,
        currency="USDT",
        dollars=ACT.amount,
        trigger=Decimal("0.08"),
        target=Decimal("0.16"),
        distance_before=Decimal("0.0783"),
        distance_after=Decimal("0.08688"),
        liquidation_after=None,
        cut_by=None,
        priority=0,
        mode=mode,
        reason="",
    )
    after = expected(BEFORE, top_up)
    read = action_message(replace(ACT, after=after), mode=mode, new_id=new_id)
    assert read.title.startswith("WOULD ADD 62.31 USDT")
    assert f"Mode {mode.word}: nothing was sent." in read.text
    assert "added" not in read.text
    assert (after["liquidation"], after["liquidation_price"], after["mark_price"]) == ("none", None, "58700.4")


def test_a_refusal_says_that_no_money_moved_in_the_exchanges_words():
    read = refused_message(replace(ACT, after=None), answer="-2019 Margin is insufficient.", new_id=new_id)
    assert read.title == "REFUSED: 62.31 USDT for BTC long, 7.8 % from liquidation — main"
    assert "-2019 Margin is insufficient." in read.text
    assert "No money moved" in read.text
    assert read.kind == "refused"


def test_a_lost_answer_says_what_is_locked_what_happens_next_and_what_to_check():
    by = FOUR_O_CLOCK + timedelta(seconds=70)
    read = unknown_message(replace(ACT, after=None), settled_by=by, new_id=new_id)
    assert read.title == "OUTCOME UNKNOWN: 62.31 USDT for BTC long, 7.8 % from liquidation — main"
    assert "The money may have moved." in read.text
    assert "Locked: BTC/USDT:USDT long." in read.text
    assert "by 04:13:17 UTC" in read.text
    assert "62.31000000 USDT at 04:12:07 UTC" in read.text
    assert "Do not add the same again before you know." in read.text
    again = unknown_message(ACT, settled_by=by, repeated=True, new_id=new_id)
    assert again.title.startswith("STILL OUTCOME UNKNOWN")
    assert (again.alert, again.event) == (read.alert, "repeated")


@pytest.mark.parametrize(("applied", "said"), [(True, "was added"), (False, "was not added")])
def test_the_end_of_an_unknown_is_told_with_its_evidence(applied, said):
    settled_at = FOUR_O_CLOCK + timedelta(hours=1)
    read = settled_message(
        ACT, applied=applied, evidence="history: 62.31 USDT at 04:12:08", settled_at=settled_at, new_id=new_id
    )
    assert read.happened_at == settled_at
    assert "It was asked for at 04:12:07 UTC." in read.text
    assert f"62.31 USDT {said}" in read.title
    assert "Evidence: history: 62.31 USDT at 04:12:08" in read.text
    assert (read.kind, read.event) == ("unknown_outcome", "resolved")
    assert ("the budget has the money back" in read.text) is not applied


def test_rows_that_lack_a_figure_are_left_out_and_never_become_zero():
    for row in (None, {}, {**BEFORE, "distance": None}, {**BEFORE, "liquidation_price": "odd"}):
        read = action_message(
            replace(ACT, before=row, after=None, spent=None, budget_left=None), mode=Mode.ACT, new_id=new_id
        )
        assert "Before:" not in read.text
        assert "Budget" not in read.text
        json.dumps(webhook_object(read, sent_at=FOUR_O_CLOCK))


def test_an_amount_in_a_coin_is_told_in_dollars_too():
    act = replace(ACT, currency="BTC", amount=Decimal("0.04525692"), dollars=Decimal("2602.2729"))
    read = action_message(act, mode=Mode.ACT, new_id=new_id)
    assert read.text.startswith("guard added 0.045257 BTC (2,602.28 USD) of margin: ")
    assert "USD" not in read.title
