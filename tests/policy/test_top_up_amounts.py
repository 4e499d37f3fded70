"""How much is added, by which limit it is cut, and who comes first when money is short."""

from dataclasses import replace
from decimal import Decimal

import pytest
from policy_worlds import (
    BTC,
    ETH,
    KEY,
    TIERS,
    contract,
    dollars,
    isolated,
    judged,
    life,
    row,
    rule,
    top_up_terms,
)

from guard.margin import MarginRule, birth_distance
from guard.policy.decision import WithheldReason
from guard.policy.terms import Amount, AmountUnit, Mode
from guard.snapshot import Liquidation, LiquidationKind, PositionKey, Side, Wallet


def at(price):
    return Liquidation(kind=LiquidationKind.AT, price=Decimal(price))


def test_the_amount_is_the_smallest_that_restores_the_target_rounded_up_to_the_step():
    # 7 % to 16 % of 10,000: nine points of 10,000 x 0.99 (one percent of maintenance) are 891.
    for step, amount in [("0.01", "891"), ("10", "900"), ("0.00000001", "891")]:
        top_up = row(judged(isolated("0.07"), step=lambda _, step=step: Decimal(step))).top_up
        assert top_up.amount == Decimal(amount)
        assert top_up.distance_after >= top_up.target
        assert (top_up.amount - Decimal(step)) < 891
    assert top_up.liquidation_after == Decimal(8400)
    assert top_up.dollars == top_up.amount
    assert (top_up.trigger, top_up.distance_after) == (Decimal("0.08"), Decimal("0.16"))
    assert top_up.reason == "distance 7 % is at or below the trigger 8 %"


def test_a_position_exactly_at_its_trigger_is_topped_up():
    assert row(judged(isolated("0.08"))).top_up.amount == 792


def test_a_long_that_outlives_a_price_of_zero_has_the_whole_mark_between():
    top_up = row(
        judged(
            isolated("0.07"),
            rules=[rule(top_up=top_up_terms(max_per_position=dollars(50_000), max_per_day=None))],
            available=50_000,
            step=lambda _: Decimal(20_000),
        )
    ).top_up
    assert (top_up.amount, top_up.liquidation_after, top_up.distance_after) == (20_000, None, 1)


def test_a_long_that_nothing_liquidates_needs_no_money_whatever_its_wallet():
    safe = row(judged(isolated("0.3", isolated_wallet=Decimal(12_000))))
    assert (safe.figures.distance, safe.money_to_target, safe.top_up, safe.withheld) == (None, 0, None, None)


def test_a_short_is_topped_up_alike():
    top_up = row(judged(isolated("0.07", side=Side.SHORT)), PositionKey(BTC, Side.SHORT)).top_up
    assert top_up.amount == Decimal("909.00")  # Nine points of 10,000 x 1.01.
    assert top_up.liquidation_after == Decimal(11600)


@pytest.mark.parametrize(
    ("terms", "world", "amount", "cut_by"),
    [
        ({"max_per_action": dollars(250)}, {}, "250", "max_per_action"),
        ({"max_per_position": dollars(500)}, {}, "500", "max_per_position"),
        ({"max_per_day": dollars(450)}, {}, "450", "max_per_day of rule shield"),
        ({}, {"per_day": 400}, "400", "[limits] max_per_day"),
        ({"reserve": dollars(9500)}, {}, "500", "the reserve"),
        (
            {"reserve": Amount(unit=AmountUnit.OF_EQUITY, value=Decimal("0.1"))},
            {"available": 500},
            "450",
            "the reserve",
        ),
        ({"reserve": Amount(unit=AmountUnit.INITIAL_MARGINS, value=Decimal("4.75"))}, {}, "500", "the reserve"),
        (
            {"max_per_position": Amount(unit=AmountUnit.INITIAL_MARGINS, value=Decimal("0.25"))},
            {},
            "500",
            "max_per_position",
        ),
        ({"max_per_position": dollars("0.01"), "when_short_spend": True}, {}, "0.01", "max_per_position"),
        (
            {"max_per_action": Amount(unit=AmountUnit.COIN, value=Decimal("0.03"), coin="BTC")},
            {},
            "300",
            "max_per_action",
        ),
    ],
)
def test_a_limit_cuts_the_amount_and_is_named(terms, world, amount, cut_by):
    top_up = row(judged(isolated("0.07"), rules=[rule(top_up=top_up_terms(**terms))], **world)).top_up
    assert (top_up.amount, top_up.cut_by) == (Decimal(amount), cut_by)
    assert top_up.reason.endswith(f"; made smaller by {cut_by}")


def test_a_limit_that_leaves_just_enough_cuts_nothing():
    top_up = row(judged(isolated("0.07"), rules=[rule(top_up=top_up_terms(max_per_position=dollars(891)))])).top_up
    assert (top_up.amount, top_up.cut_by) == (891, None)
    saved = row(judged(isolated("0.07"), rules=[rule(top_up=top_up_terms(max_per_position=dollars(297)))])).top_up
    assert (saved.amount, saved.cut_by) == (297, "max_per_position")


def test_a_reserve_of_the_equity_counts_what_cross_positions_have_lost():
    lost = Wallet(
        currency="USDT",
        cross_wallet_balance=Decimal(1000),
        cross_unrealized_pnl=Decimal(-400),
        available=Decimal(600),
    )
    tenth = top_up_terms(reserve=Amount(unit=AmountUnit.OF_EQUITY, value=Decimal("0.1")))
    assert row(judged(isolated("0.07"), wallets=(lost,), rules=[rule(top_up=tenth)])).top_up.amount == 540


def test_without_any_written_limit_the_wallet_is_the_limit():
    free = top_up_terms(max_per_position=None, max_per_day=None)
    assert row(judged(isolated("0.07"), rules=[rule(top_up=free)], available=700)).top_up.amount == 700


def test_what_the_position_could_get_in_several_acts_counts_for_whether_it_can_be_saved():
    # 10 % costs 297; one act may spend 100, but three more may follow.
    small = top_up_terms(max_per_action=dollars(100))
    assert row(judged(isolated("0.07"), rules=[rule(top_up=small)])).top_up.amount == 100
    hopeless = top_up_terms(max_per_action=dollars(100), max_per_position=dollars(290))
    assert row(judged(isolated("0.07"), rules=[rule(top_up=hopeless)])).withheld.reason is WithheldReason.CANNOT_SAVE
    anyway = replace(hopeless, when_short_spend=True)
    assert row(judged(isolated("0.07"), rules=[rule(top_up=anyway)])).top_up.amount == 100


def test_the_trigger_is_cut_to_half_the_birth_distance_and_says_so():
    born = birth_distance(
        contract=contract(),
        side=Side.LONG,
        quantity=Decimal(1),
        entry_price=Decimal(10000),
        leverage=Decimal(20),
        tiers=TIERS,
        rule=MarginRule(),
    )
    seen = isolated("0.03", leverage=20)
    decision = judged(seen, lives=[])
    assert decision.new_lives[0].birth_distance == born
    assert decision.new_lives[0].initial_margin == 500
    assert row(decision).trigger == born / 2
    assert row(decision).trigger_note == "8 % written, cut to 2.02 % by the birth distance 4.04 %"
    assert row(decision).withheld is None  # 3 % away: a 20x position would else be topped up from its first minute.
    uncapped = row(judged(seen, lives=[], rules=[rule(top_up=top_up_terms(birth_cap=False))]))
    assert (uncapped.trigger, uncapped.trigger_note) == (Decimal("0.08"), None)
    assert uncapped.top_up is not None


def test_a_leverage_that_is_not_known_leaves_the_written_trigger_and_says_so():
    decision = judged(isolated("0.07", leverage=None), lives=[])
    assert decision.new_lives[0].birth_distance is None
    assert row(decision).trigger_note == "birth distance is not known: the written 8 % holds"
    assert row(decision).top_up is not None


def test_a_life_is_not_fixed_before_its_tiers_are_known():
    assert judged(isolated("0.3"), lives=[], tiers=None).new_lives == ()
    first = judged(isolated("0.3"), lives=[]).new_lives[0]
    assert first == judged(isolated("0.3"), lives=[]).new_lives[0]  # The same facts make the same id.


@pytest.mark.parametrize("ours", ["0.3", "0.8", None])  # With more margin than half or all of what it is worth, too.
def test_where_the_exchanges_price_is_nearer_the_amount_is_reckoned_from_it(ours):
    # Ours ends at 7,000, at 2,000 or never, theirs at 9,300: 7 % away. It must move to 8,400 as if the model were worse by the gap.
    wallet = {"isolated_wallet": Decimal(12_000)} if ours is None else {}
    top_up = row(judged(isolated(ours or "0.8", exchange_liquidation=at(9300), **wallet))).top_up
    assert top_up.distance_before == Decimal("0.07")
    assert top_up.amount == Decimal("891.00")
    assert top_up.liquidation_after == Decimal(8400)


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.APPROVE])
def test_below_act_the_same_top_up_is_reckoned_and_only_said(mode):
    said = row(judged(isolated("0.07"), mode=mode, armed=False, disarmed_because="asked to")).top_up
    assert said.mode is mode
    assert replace(said, mode=Mode.ACT) == row(judged(isolated("0.07"))).top_up


def test_the_strictest_of_account_and_rule_holds():
    assert row(judged(isolated("0.07"), mode=Mode.ACT, rules=[rule(mode=Mode.SHADOW)])).top_up.mode is Mode.SHADOW
    assert row(judged(isolated("0.07"), mode=Mode.SHADOW, rules=[rule(mode=Mode.ACT)])).top_up.mode is Mode.SHADOW


ETH_KEY = PositionKey(ETH, Side.LONG)


def test_priority_comes_first_and_then_who_is_nearest():
    near, nearer = isolated("0.07"), isolated("0.05", symbol=ETH)
    assert [plan.key for plan in judged(near, nearer).top_ups] == [ETH_KEY, KEY]
    first = rule("first", symbol="BTC/*", top_up=top_up_terms(priority=5))
    assert [plan.key for plan in judged(near, nearer, rules=[first, rule()]).top_ups] == [KEY, ETH_KEY]


def test_money_planned_for_one_is_gone_for_the_next():
    pair = isolated("0.07"), isolated("0.07", symbol=ETH)
    decision = judged(*pair, available=1500)
    assert [plan.amount for plan in decision.top_ups] == [Decimal("891.00"), Decimal("609.00")]
    decision = judged(*pair, available=500)
    assert row(decision, ETH_KEY).withheld.reason is WithheldReason.OTHERS_FIRST
    decision = judged(*pair, per_day=1500)
    assert decision.top_ups[1].cut_by == "[limits] max_per_day"
    assert sum(plan.dollars for plan in decision.top_ups) == 1500


def test_what_is_only_said_takes_nothing_from_what_is_done():
    said = rule("said", symbol="BTC/*", mode=Mode.SHADOW, top_up=top_up_terms(priority=9))
    decision = judged(isolated("0.07"), isolated("0.07", symbol=ETH), rules=[said, rule()], available=900)
    assert [(plan.mode, plan.amount) for plan in decision.top_ups] == [(Mode.ACT, 891), (Mode.SHADOW, 891)]


def test_figures_of_a_row_say_what_is_left_and_where_it_ends():
    verdict = row(
        judged(
            isolated("0.2"), rules=[rule(top_up=top_up_terms(reserve=dollars(9500)))], lives=[life(spent=Decimal(1000))]
        )
    )
    assert verdict.money_to_target == 0
    assert verdict.idle_margin == 396  # Four points of 10,000 x 0.99.
    assert verdict.budget_left == 4000
    assert verdict.spendable == 500
    assert verdict.guarded_liquidation_price.quantize(Decimal("0.01")) == Decimal("7494.95")  # 8,000 - 500 / 0.99
    bare = row(judged(isolated("0.2"), rules=[]))
    assert (bare.money_to_target, bare.budget_left, bare.spendable) == (None, None, None)
    assert bare.guarded_liquidation_price == 8000


def test_no_margin_is_idle_short_of_the_target_and_nobody_knows_without_a_model():
    assert row(judged(isolated("0.07"))).idle_margin == 0
    unmodelled = row(judged(isolated("0.2"), tiers=None))
    assert (unmodelled.idle_margin, unmodelled.money_to_target) == (None, None)


def test_nothing_is_promised_where_the_mode_only_looks_or_spending_is_not_known():
    assert row(judged(isolated("0.2"), mode=Mode.OBSERVE)).guarded_liquidation_price == 8000
    blindfolded = row(judged(isolated("0.2"), spending_known=False))
    assert (blindfolded.budget_left, blindfolded.spendable, blindfolded.guarded_liquidation_price) == (None, None, 8000)


def test_a_coin_margined_budget_in_dollars_is_reckoned_at_the_mark():
    # 100 contracts of 100 dollars at 10,000: 1 BTC of notional.
    inverse = isolated(
        symbol="BTC/USD:BTC",
        quantity=10_000,
        isolated_wallet=Decimal("0.08"),
        exchange_liquidation=Liquidation(kind=LiquidationKind.UNKNOWN),
    )
    own = Wallet(currency="BTC", cross_wallet_balance=Decimal(2), cross_unrealized_pnl=Decimal(0), available=Decimal(2))
    terms = top_up_terms(max_per_position=dollars(1000), target=Decimal("0.3"))
    key = PositionKey("BTC/USD:BTC", Side.LONG)
    decision = judged(
        inverse, wallets=(own,), rules=[rule(top_up=terms)], lives=[life(key)], step=lambda _: Decimal("0.00000001")
    )
    top_up = row(decision, key).top_up
    assert (top_up.amount, top_up.currency, top_up.dollars) == (Decimal("0.1"), "BTC", 1000)
    assert top_up.cut_by == "max_per_position"


@pytest.mark.parametrize(
    ("limits", "world", "cut_by"),
    [
        ({}, {"per_day": 5000, "spent_today_all": Decimal(4000)}, "[limits] max_per_day"),
        (
            {"max_per_day": dollars(5000)},
            {"spent_today_by_rule": {"shield": Decimal(4000)}},
            "max_per_day of rule shield",
        ),
    ],
)
def test_what_was_spent_today_in_dollars_is_taken_from_a_coin_at_its_mark(limits, world, cut_by):
    inverse = isolated(symbol="BTC/USD:BTC", quantity=10_000, isolated_wallet=Decimal("0.08"))
    own = Wallet(currency="BTC", cross_wallet_balance=Decimal(2), cross_unrealized_pnl=Decimal(0), available=Decimal(2))
    terms = top_up_terms(**{"max_per_position": None, "max_per_day": None, "target": Decimal("0.3"), **limits})
    key = PositionKey("BTC/USD:BTC", Side.LONG)
    decision = judged(inverse, wallets=(own,), rules=[rule(top_up=terms)], lives=[life(key)], **world)
    top_up = row(decision, key).top_up
    assert (top_up.amount, top_up.dollars, top_up.cut_by) == (Decimal("0.1"), 1000, cut_by)


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        # 2 BTC are available: of 16,000 dollars 1.6 must stay at 10,000, and at 8,000 all.
        ({"reserve": dollars(16_000)}, Decimal(0)),
        ({"max_per_action": dollars(800)}, Decimal("0.08")),
    ],
)
def test_of_two_marks_of_a_coin_each_keeps_the_reserve_and_the_limit(limits, most):
    """A dated contract is marked beside the perpetual one."""
    inverse = isolated(symbol="BTC/USD:BTC", quantity=10_000, isolated_wallet=Decimal("0.08"))
    dated = isolated(symbol="BTC/USD:BTC-261225", quantity=1, mark_price=Decimal(8000))
    own = Wallet(currency="BTC", cross_wallet_balance=Decimal(2), cross_unrealized_pnl=Decimal(0), available=Decimal(2))
    terms = top_up_terms(**{"target": Decimal("0.3"), **limits})
    key = PositionKey("BTC/USD:BTC", Side.LONG)
    verdict = row(judged(inverse, dated, wallets=(own,), rules=[rule(top_up=terms)], lives=[life(key)]), key)
    assert (Decimal(0) if verdict.top_up is None else verdict.top_up.amount) == most


def test_of_two_marks_of_a_coin_each_keeps_a_limit_that_is_written_in_it():
    limit = Amount(unit=AmountUnit.COIN, value=Decimal("0.03"), coin="BTC", written="0.03 BTC")
    dated = isolated(symbol="BTC/USD:BTC-261225", quantity=1, mark_price=Decimal(8000))
    for other, most in ((), 300), ((dated,), 240):
        decision = judged(isolated("0.07"), *other, rules=[rule(top_up=top_up_terms(max_per_action=limit))])
        assert row(decision).top_up.amount == most
