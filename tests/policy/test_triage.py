"""Several positions and too little money: who is saved, and what is said of those who are not.

By hand, per coin at 10,000 with one percent of maintenance: at 7 % from liquidation 10 % costs 297 and 16 % costs 891,
and 793 are at stake; at 5 % it is 495, 1,089 and 595; at 3 % it is 693, 1,287 and 397.
"""

from datetime import timedelta
from decimal import Decimal

import pytest
from policy_worlds import BTC, ETH, KEY, T0, cross, dollars, isolated, judged, life, row, rule, top_up_terms

from guard.policy.decision import WithheldReason
from guard.policy.rows import account_row
from guard.policy.terms import Mode
from guard.snapshot import PositionKey, Side, Wallet

SOL, XRP = "SOL/USDT:USDT", "XRP/USDT:USDT"
ETH_KEY, SOL_KEY, XRP_KEY = (PositionKey(symbol, Side.LONG) for symbol in (ETH, SOL, XRP))
PAIR = isolated("0.07"), isolated("0.05", symbol=ETH)  # BTC is cheaper to save and has more at stake.


def given(decision):
    return {plan.key: plan.amount for plan in decision.top_ups}


def first(symbol, **budget):
    return rule("first", symbol=symbol, top_up=top_up_terms(priority=1, **budget))


def test_while_there_is_money_for_all_the_nearest_of_a_priority_is_topped_up_first_and_nobody_contends():
    decision = judged(*PAIR, available=891 + 1089)
    assert [(plan.key, plan.amount) for plan in decision.top_ups] == [(ETH_KEY, 1089), (KEY, 891)]
    assert decision.contenders == ()


def test_the_one_whose_money_avoids_the_larger_loss_is_saved_and_not_the_nearest():
    decision = judged(*PAIR, available=500)
    assert given(decision) == {KEY: 500}
    assert row(decision, ETH_KEY).withheld.reason is WithheldReason.OTHERS_FIRST


def test_the_owners_priority_comes_before_any_loss():
    decision = judged(*PAIR, rules=[first("ETH/*"), rule()], available=500)
    assert given(decision) == {ETH_KEY: 500}
    assert row(decision).withheld.text.startswith("not saved: the money goes to ETH long (500 USDT, priority 1); ")


def test_money_that_cannot_save_the_first_goes_on_to_the_next_it_can_save():
    # ETH's own budget ends below its clear level, so its priority is none of BTC's business.
    decision = judged(*PAIR, rules=[first("ETH/*", max_per_position=dollars(494)), rule()], available=500)
    assert row(decision, ETH_KEY).withheld.reason is WithheldReason.CANNOT_SAVE
    assert given(decision) == {KEY: 500}
    # Three in a class: the second does not fit any more, the third does.
    small = isolated("0.02", symbol=SOL, quantity=Decimal("0.1"))  # 79.2 save 29.8: the worst bargain of all.
    decision = judged(*PAIR, small, available=500)
    assert given(decision) == {KEY: Decimal("412.88"), SOL_KEY: Decimal("87.12")}
    assert "it fits what is left" in row(decision, ETH_KEY).withheld.text


def test_all_are_saved_before_anybody_gets_more_than_that():
    decision = judged(*PAIR, available=800)
    assert given(decision) == {KEY: 297, ETH_KEY: 503}
    assert all(plan.distance_after >= Decimal("0.1") for plan in decision.top_ups)
    assert [plan.cut_by for plan in decision.top_ups] == ["what others need to be saved", "the reserve"]
    assert decision.contenders == ()
    assert given(judged(*PAIR, available=800, rules=[rule(top_up=top_up_terms(when_short_spend=True))])) == given(
        decision
    )
    assert given(judged(*PAIR, available=800, step=lambda _: Decimal(10))) == {KEY: 300, ETH_KEY: 500}
    assert given(judged(*PAIR, available=792)) == {KEY: 297, ETH_KEY: 495}
    assert given(judged(*PAIR, available="791.99")) == {KEY: Decimal("791.99")}


def test_what_one_gets_towards_its_target_leaves_a_little_more_than_the_clear_level_for_the_next():
    # The next act is judged at a mark of its own: a cent more than 495 would else be a cent too much.
    assert given(judged(*PAIR, available=1000)) == {KEY: Decimal("455.5"), ETH_KEY: Decimal("544.5")}


def test_money_for_all_targets_is_enough_however_near_they_are_to_the_clear_levels():
    modest = [rule(top_up=top_up_terms(target=Decimal("0.101")))]
    whole = {ETH_KEY: Decimal("504.9"), KEY: Decimal("306.9")}
    decision = judged(*PAIR, rules=modest, available="811.8")
    assert list(given(decision).items()) == list(whole.items())
    assert decision.contenders == ()
    # Nor is more kept for the next than it would take, where a third is left out.
    assert given(judged(*PAIR, isolated("0.03", symbol=SOL), rules=modest, available="811.8")) == whole


@pytest.mark.parametrize(
    ("world", "limit"),
    [
        ({"available": 500}, "reserve 0 USDT must stay: 0 USDT available"),
        ({"per_day": 500}, "[limits] max_per_day 500 USDT: 500 USDT spent, 0 USDT left"),
        (
            {"rules": [rule(top_up=top_up_terms(max_per_day=dollars(500)))]},
            "max_per_day of rule shield 500 USDT: 500 USDT spent, 0 USDT left",
        ),
        ({"rules": [rule(top_up=top_up_terms(reserve=dollars(9500)))]}, "reserve 9,500 USDT must stay"),
    ],
)
def test_who_is_left_out_is_told_who_is_saved_why_and_what_it_would_cost(world, limit):
    withheld = row(judged(*PAIR, **world), ETH_KEY).withheld
    begin = (
        "not saved: the money goes to BTC long (500 USDT, keeps 2.67 per unit spent, this 1.2); "
        "this needs 495 USDT more to reach 10 % ("
    )
    assert withheld.text.startswith(begin)
    assert limit in withheld.text


def test_limits_that_are_not_shared_set_nobody_against_another():
    own = [
        rule(symbol=f"{coin}/*", name=coin.lower(), top_up=top_up_terms(max_per_day=dollars(500)))
        for coin in ("BTC", "ETH")
    ]
    assert given(judged(*PAIR, rules=own)) == {KEY: 500, ETH_KEY: 500}


def test_equal_positions_go_by_symbol():
    equal = isolated("0.07"), isolated("0.07", symbol=ETH)
    for order in (equal, equal[::-1]):
        decision = judged(*order, available=400)
        assert given(decision) == {KEY: 400}
        assert "worth as much, first by name" in row(decision, ETH_KEY).withheld.text


def test_a_rescue_in_several_acts_keeps_the_money_of_those_to_come():
    # 100 an act: of the 500, 297 are BTC's although only 100 go now; ETH cannot be saved by the rest.
    decision = judged(*PAIR, rules=[rule(top_up=top_up_terms(max_per_action=dollars(100)))], available=500)
    assert given(decision) == {KEY: 100}
    assert row(decision, ETH_KEY).withheld.text.startswith("not saved: the money goes to BTC long (297 USDT, ")
    # And while it cools down as well.
    lives = [life(last_top_up_at=T0 - timedelta(seconds=50)), life(ETH_KEY)]
    waiting = judged(*PAIR, rules=[rule()], lives=lives, available=500)
    assert given(waiting) == {}
    assert row(waiting).withheld.reason is WithheldReason.COOLING_DOWN
    assert row(waiting, ETH_KEY).withheld.reason is WithheldReason.OTHERS_FIRST
    assert [one.is_saved for one in waiting.contenders] == [True, False]
    assert given(judged(*PAIR, rules=[rule()], lives=lives, available=891 + 495)) == {ETH_KEY: Decimal("1059.3")}


def test_one_that_cools_down_and_could_not_be_saved_contends_as_well():
    lives = [life(), life(ETH_KEY, last_top_up_at=T0 - timedelta(seconds=50))]
    decision = judged(*PAIR, lives=lives, available=1000)
    assert given(decision) == {KEY: Decimal("455.5")}
    decision = judged(*PAIR, lives=lives, available=500)
    assert given(decision) == {KEY: 500}
    assert [(one.key, one.is_saved) for one in decision.contenders] == [(KEY, True), (ETH_KEY, False)]
    near = isolated("0.07"), isolated("0.041", symbol=ETH, quantity=3)  # 1,752.3 to be clear: alone it would be.
    decision = judged(*near, lives=lives, available=2000)
    assert given(decision) == {KEY: 891}
    assert [(one.key, one.is_saved) for one in decision.contenders] == [(KEY, True), (ETH_KEY, False)]
    assert row(decision, ETH_KEY).withheld.reason is WithheldReason.COOLING_DOWN


def test_who_may_not_have_money_anyway_keeps_none_from_others():
    for barred in (
        {"lives": [life(misses=2), life(ETH_KEY)]},
        {"lives": [life(has_open_intent=True), life(ETH_KEY)]},
        {"rules": [rule(symbol="BTC/*", mode=Mode.OBSERVE), rule("second")]},
    ):
        assert given(judged(*PAIR, available=500, **barred)) == {ETH_KEY: 500}


def test_what_is_only_said_takes_nothing_from_what_is_done_and_says_who_would_be_saved():
    said = [rule("said", symbol="BTC/*", mode=Mode.SHADOW), rule()]
    decision = judged(*PAIR, rules=said, available=500)
    assert given(decision) == {KEY: 500, ETH_KEY: 500}
    reverse = [rule("said", symbol="ETH/*", mode=Mode.SHADOW), rule()]
    decision = judged(*PAIR, rules=reverse, available=900)
    assert given(decision) == {KEY: 891}
    assert [(one.key, one.mode, one.is_saved) for one in decision.contenders] == [
        (KEY, Mode.ACT, True),
        (ETH_KEY, Mode.SHADOW, False),
    ]
    said = [rule("said", symbol="SOL/*", mode=Mode.SHADOW, top_up=top_up_terms(priority=1)), rule()]
    third = judged(
        *PAIR,
        isolated("0.07", symbol=SOL),
        rules=said,
        available=700,
    )
    assert given(third) == {KEY: 700, SOL_KEY: 700}
    assert "SOL" not in row(third, ETH_KEY).withheld.text
    in_shadow = judged(*PAIR, mode=Mode.SHADOW, available=500)
    assert given(in_shadow) == {KEY: 500}


def test_a_rule_that_spends_anyway_gets_what_saves_nobody():
    anyway = [rule("anyway", symbol="ETH/*", top_up=top_up_terms(when_short_spend=True, priority=9)), rule()]
    decision = judged(*PAIR, rules=anyway, available=450)
    assert given(decision) == {ETH_KEY: Decimal("123.3"), KEY: Decimal("326.7")}
    assert [(one.key, one.is_saved, one.amount) for one in decision.contenders] == [
        (ETH_KEY, False, Decimal("123.3")),
        (KEY, True, Decimal("326.7")),
    ]


def test_who_spends_anyway_within_a_budget_of_its_own_contends_with_nobody_while_there_is_money():
    anyway = top_up_terms(when_short_spend=True, max_per_position=dollars(200))
    decision = judged(*PAIR, rules=[rule("anyway", symbol="ETH/*", top_up=anyway), rule()])
    assert list(given(decision).items()) == [(ETH_KEY, 200), (KEY, 891)]
    assert decision.contenders == ()


def test_money_spent_anyway_is_not_called_a_rescue():
    anyway = top_up_terms(when_short_spend=True, priority=9, max_per_position=dollars(200))
    rules = [rule("anyway", symbol="ETH/*", top_up=anyway), rule(mode=Mode.SHADOW)]
    decision = judged(*PAIR, rules=rules, available=400)
    assert given(decision) == {ETH_KEY: 200}
    assert [(one.key, one.is_saved) for one in decision.contenders] == [(ETH_KEY, False), (KEY, False)]


def test_the_cross_pool_comes_before_all_of_them():
    # 892 of the wallet belong to the pool on it: 408 are left for both.
    decision = judged(*PAIR, cross(symbol=SOL), available=1300)
    assert given(decision) == {KEY: Decimal("407.99")}
    assert "the USDT cross pool comes first" in row(decision, ETH_KEY).withheld.text
    assert row(decision, SOL_KEY).top_up is None


def test_another_rules_larger_reserve_on_the_same_wallet_is_kept_for_it():
    # BTC may empty the wallet; ETH must leave 300 in it. Both are saved only if BTC keeps to its clear level.
    careful = [
        rule(symbol="BTC/*", top_up=top_up_terms(priority=1)),
        rule("careful", top_up=top_up_terms(reserve=dollars(300))),
    ]
    decision = judged(*PAIR, rules=careful, available=1100)
    assert given(decision) == {KEY: 297, ETH_KEY: 503}
    assert row(decision).top_up.cut_by == "what others need to be saved"
    careful.insert(1, rule("second", symbol="ETH/*", top_up=top_up_terms(priority=1)))
    decision = judged(*PAIR, isolated("0.06", symbol=SOL), rules=careful, available=1500)  # 396 for SOL.
    assert given(decision) == {KEY: 297, ETH_KEY: 495, SOL_KEY: 408}
    careful = [
        rule(symbol="BTC/*", top_up=top_up_terms(reserve=dollars(300), max_per_action=dollars(100))),
        rule("second"),
    ]
    decision = judged(*PAIR, rules=careful, available=800)
    assert given(decision) == {KEY: 100, ETH_KEY: 503}
    assert row(decision).top_up.cut_by == "max_per_action"


def test_where_only_one_order_keeps_every_reserve_money_goes_in_that_order():
    # ETH is nearer, but 1,089 for it first would leave less than what BTC's rule keeps back.
    careful = [rule(symbol="BTC/*", top_up=top_up_terms(reserve=dollars(1089))), rule("free")]
    decision = judged(*PAIR, rules=careful, available=891 + 1089)
    assert [(plan.key, plan.amount) for plan in decision.top_ups] == [(KEY, Decimal("346.5")), (ETH_KEY, 1089)]
    assert decision.contenders == ()


def test_a_rule_that_spends_anyway_takes_nothing_that_would_pass_anothers_reserve():
    anyway = top_up_terms(when_short_spend=True, priority=9, max_per_position=dollars(200))
    careful = [rule(symbol="ETH/*", top_up=anyway), rule("careful", top_up=top_up_terms(reserve=dollars(300)))]
    decision = judged(*PAIR, rules=careful, available=650)
    assert given(decision) == {KEY: 350}
    assert row(decision, ETH_KEY).withheld.text == (
        "not saved: the money goes to BTC long (350 USDT, it fits what is left); "
        "this needs 195 USDT more to reach 10 % (reserve 0 USDT must stay: 300 USDT available)"
    )


def test_positions_of_several_currencies_meet_only_in_the_daily_limits():
    inverse = isolated("0.07", symbol="BTC/USD:BTC", quantity=10_000, isolated_wallet=Decimal("0.08"))
    own = [
        Wallet(
            currency=coin, cross_wallet_balance=Decimal(free), cross_unrealized_pnl=Decimal(0), available=Decimal(free)
        )
        for coin, free in (("USDT", 10_000), ("BTC", 1))
    ]
    keys = PositionKey("BTC/USD:BTC", Side.LONG), ETH_KEY
    world = {"wallets": tuple(own), "lives": [life(key) for key in keys], "step": lambda _: Decimal("0.00001")}
    both = judged(inverse, PAIR[1], **world)
    assert given(both) == given(judged(inverse, **world)) | {ETH_KEY: 1089}
    assert both.contenders == ()
    short = judged(inverse, PAIR[1], per_day=600, **world)
    assert list(given(short)) == [keys[0]]
    assert sum(plan.dollars for plan in short.top_ups) <= 600
    assert "goes to BTC/USD long (0.0" in row(short, ETH_KEY).withheld.text


def test_greed_is_beaten_by_the_best_set_where_a_bargain_uses_up_the_money_and_a_priority_mends_it():
    bargain = isolated("0.079", symbol=XRP, quantity=Decimal("0.1"))  # 20.79 keep 88.21.
    large = isolated("0.05", symbol=ETH, quantity=2)  # 990 keep 1,190.
    assert list(given(judged(bargain, large, available=1000))) == [XRP_KEY]
    mended = judged(bargain, large, available=1000, rules=[first("ETH/*"), rule()])
    assert list(given(mended)) == [ETH_KEY]


def test_a_position_that_has_lost_its_whole_margin_has_nothing_left_to_lose():
    gone = isolated("0.07", symbol=ETH, mark_price=Decimal(9000))  # 1,000 down on a margin of 793; clear at 1,188.
    decision = judged(isolated("0.07"), gone, available=1200)
    assert given(decision) == {KEY: 891}
    assert [(one.key, one.loss_avoided) for one in decision.contenders] == [(KEY, 793), (ETH_KEY, 0)]


def test_afterwards_it_is_still_said_where_the_money_went():
    lives = [
        life(spent=Decimal(9), last_top_up_at=T0 - timedelta(minutes=5)),
        life(ETH_KEY, spent=Decimal(500), last_top_up_at=T0 - timedelta(minutes=5)),
    ]
    seen = isolated("0.07"), isolated("0.12", symbol=ETH)
    text = row(judged(*seen, lives=lives, available=100)).withheld.text
    assert text.endswith("(reserve 0 USDT must stay: 100 USDT available; added before: 500 USDT to ETH long)")
    own_limit = [rule(top_up=top_up_terms(max_per_position=dollars(100)))]
    assert "added before" not in row(judged(*seen, lives=lives, rules=own_limit)).withheld.text


def test_the_status_row_of_an_account_lists_the_contenders_with_their_prices():
    decision = judged(*PAIR, rules=[first("ETH/*"), rule()], available=600)
    rows = account_row(decision, account="main", exchange="binanceusdm", mode=Mode.ACT, now=T0)["contenders"]
    assert rows[0] == {
        "symbol": ETH,
        "side": "long",
        "currency": "USDT",
        "mode": "act",
        "priority": 1,
        "is_saved": True,
        "amount": "600",
        "clear": "0.1",
        "money_to_clear": "495",
        "money_to_target": "1089",
        "loss_avoided": "595",
    }
    assert (rows[1]["symbol"], rows[1]["is_saved"], rows[1]["amount"], rows[1]["money_to_clear"]) == (
        BTC,
        False,
        None,
        "297",
    )


def test_what_is_spent_anyway_may_be_less_than_one():
    anyway = rule(top_up=top_up_terms(when_short_spend=True))
    decision = judged(*PAIR, rules=[first("BTC/*", max_per_position=dollars(500)), anyway], available="500.5")
    assert given(decision) == {KEY: 500, ETH_KEY: Decimal("0.5")}


def test_whoever_is_saved_in_several_acts_stands_as_saved_beside_those_who_are_only_said_to_be_left_out():
    several = rule("several", symbol="BTC/*", top_up=top_up_terms(max_per_action=dollars(100)))  # 297 are claimed.
    said = rule(mode=Mode.SHADOW)
    decision = judged(*PAIR, isolated("0.03", symbol=SOL), rules=[several, said], available=797)
    assert given(decision) == {KEY: 100, ETH_KEY: 500}
    assert [(one.key, one.is_saved) for one in decision.contenders] == [(KEY, True), (ETH_KEY, True), (SOL_KEY, False)]
