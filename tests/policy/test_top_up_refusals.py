"""Each reason to withhold money, and which comes first."""

from datetime import timedelta
from decimal import Decimal

import pytest
from policy_worlds import (
    BTC,
    ETH,
    KEY,
    T0,
    Watching,
    cross,
    dollars,
    isolated,
    judged,
    life,
    row,
    rule,
    top_up_terms,
)

from guard.policy.decision import WithheldReason
from guard.policy.terms import Amount, AmountUnit, Level, Mode
from guard.snapshot import AssetMode, Gap, Liquidation, LiquidationKind, PositionKey, Side, Wallet

NEAR = isolated("0.07")  # 891 USDT short of 16 %: nine points of 10,000 x 0.99; 297 short of 10 %.
TENTH = Amount(unit=AmountUnit.INITIAL_MARGINS, value=Decimal("0.1"), written="0.1x")
GAP = Gap(subject=str(KEY), reason="two answers name two sizes", key=KEY)


def budget(**changes):
    return [rule(top_up=top_up_terms(**changes))]


CASES = {
    "mode observe": (WithheldReason.MODE, {"mode": Mode.OBSERVE}, "mode observe: guard only looks"),
    "a rule that only observes": (
        WithheldReason.MODE,
        {"rules": [rule(mode=Mode.OBSERVE)]},
        "mode observe: guard only looks",
    ),
    "disarmed": (
        WithheldReason.DISARMED,
        {"armed": False, "disarmed_because": "the key may withdraw"},
        "disarmed: the key may withdraw",
    ),
    "disarmed without a word": (WithheldReason.DISARMED, {"armed": False}, "disarmed: no reason was written"),
    "spending not known": (
        WithheldReason.SPENDING_NOT_KNOWN,
        {"spending_known": False},
        "the journal cannot say what was already spent: no limit can be checked",
    ),
    "open intent": (
        WithheldReason.OUTCOME_UNKNOWN,
        {"lives": [life(has_open_intent=True)]},
        "an earlier top-up of this position is not settled: nothing more is sent before it is, or can no longer happen",
    ),
    "contradiction": (
        WithheldReason.CONTRADICTION,
        {"gaps": [GAP]},
        "BTC/USDT:USDT long: two answers name two sizes",
    ),
    "no effect": (
        WithheldReason.NO_EFFECT,
        {"lives": [life(misses=2)]},
        "the last 2 top-ups did not have their effect: look at the position at the exchange",
    ),
    "a rival": (
        WithheldReason.RIVAL,
        {"lives": [life(rival="100 USDT")]},
        (
            "somebody else added 100 USDT together with guard: is another guard running on this account? "
            "(`guard arm` goes on)"
        ),
    ),
    "cooling down": (
        WithheldReason.COOLING_DOWN,
        {"lives": [life(last_top_up_at=T0 - timedelta(seconds=50))]},
        "cooling down: the last top-up was at 04:09:10 UTC, the next may be in 70 s",
    ),
    "max_per_action below the step": (
        WithheldReason.POSITION_BUDGET_SPENT,
        {"rules": budget(max_per_action=dollars("0.001"))},
        "max_per_action 0.001 is below the exchange's step 0.01; 891 USDT wanted",
    ),
    "max_per_action that nobody spelt out": (
        WithheldReason.POSITION_BUDGET_SPENT,
        {"rules": budget(max_per_action=Amount(unit=AmountUnit.DOLLARS, value=Decimal("0.001")))},
        "max_per_action 0 USDT is below the exchange's step 0.01; 891 USDT wanted",
    ),
    "max_per_position spent": (
        WithheldReason.POSITION_BUDGET_SPENT,
        {"lives": [life(spent=Decimal(5000))]},
        "max_per_position 5,000 USDT: 5,000 USDT spent, 0 USDT left; 891 USDT wanted",
    ),
    "the rule's day": (
        WithheldReason.RULE_DAY_BUDGET_SPENT,
        {"spent_today_by_rule": {"shield": Decimal(10000)}},
        "max_per_day of rule shield 10,000 USDT: 10,000 USDT spent, 0 USDT left; 891 USDT wanted",
    ),
    "the whole day": (
        WithheldReason.TOTAL_DAY_BUDGET_SPENT,
        {"per_day": 1500, "spent_today_all": Decimal(1500)},
        "[limits] max_per_day 1,500 USDT: 1,500 USDT spent, 0 USDT left; 891 USDT wanted",
    ),
    "reserve": (
        WithheldReason.RESERVE,
        {"rules": budget(reserve=dollars(400)), "available": 400},
        "reserve 400 USDT must stay: 400 USDT available; 891 USDT wanted",
    ),
    "reserve, with a request on its way": (
        WithheldReason.RESERVE,
        {"rules": budget(reserve=dollars(400)), "available": 900, "unsettled": {"USDT": Decimal(500)}},
        "reserve 400 USDT must stay: 400 USDT available; 891 USDT wanted",
    ),
    "wallet not seen": (
        WithheldReason.RESERVE,
        {"wallets": ()},
        "the USDT wallet was not seen: what is available is not known",
    ),
    "no initial margin": (
        WithheldReason.NO_INITIAL_MARGIN,
        {"rules": budget(max_per_position=TENTH), "lives": [life(initial_margin=None)]},
        "max_per_position 0.1x is of the initial margin, which is not known: the exchange states no leverage",
    ),
    "a coin without a price": (
        WithheldReason.NO_PRICE,
        {"rules": budget(max_per_position=Amount(unit=AmountUnit.COIN, value=Decimal(1), coin="SOL", written="1 SOL"))},
        "max_per_position 1 SOL: SOL has no dollar price",
    ),
    "the budget cannot save it": (
        WithheldReason.CANNOT_SAVE,
        {"lives": [life(spent=Decimal("4703.01"))]},  # One cent too much.
        (
            "your budget cannot save this: needs 297 USDT to reach 10 %, 296.99 USDT can be spent "
            "(max_per_position 5,000 USDT: 4,703.01 USDT spent, 296.99 USDT left)"
        ),
    ),
}


@pytest.mark.parametrize(("reason", "world", "text"), CASES.values(), ids=CASES.keys())
def test_money_is_withheld_with_its_reason_in_figures(reason, world, text):
    verdict = row(judged(NEAR, **world))
    assert verdict.top_up is None
    assert verdict.withheld.reason is reason
    assert verdict.withheld.text == text


def test_the_exchanges_own_auto_margin_stops_ours():
    verdict = row(judged(isolated("0.07", auto_add_margin=True)))
    assert verdict.withheld.reason is WithheldReason.EXCHANGE_TOPS_UP
    assert verdict.withheld.text == "the exchange's own auto-margin is on for it: switch one of the two off"
    assert row(judged(isolated("0.07", auto_add_margin=None))).top_up is not None


@pytest.mark.parametrize("lives", [[life()], []], ids=["known", "new: its life begins when its tiers are known"])
def test_a_position_without_tiers_gets_no_money_and_its_gap_is_the_reason(lives):
    at = Liquidation(kind=LiquidationKind.AT, price=Decimal(9500))
    verdict = row(judged(isolated("0.07", exchange_liquidation=at), tiers=None, lives=lives))
    assert verdict.withheld.reason is WithheldReason.NOT_MODELLED
    assert "leverage brackets are not known" in verdict.withheld.text
    assert verdict.level is Level.DANGER


@pytest.mark.parametrize(
    ("age_s", "reason"), [(5, None), (5.1, WithheldReason.DATA_TOO_OLD), (-5.1, WithheldReason.DATA_TOO_OLD)]
)
def test_money_moves_only_on_facts_at_most_five_seconds_old(age_s, reason):
    now = T0 + timedelta(seconds=age_s)
    verdict = row(judged(NEAR, now=now, at=T0))
    assert (None if verdict.withheld is None else verdict.withheld.reason) is reason
    assert (verdict.top_up is None) == (reason is not None)
    if reason is not None:
        assert verdict.withheld.text == f"the data is {age_s:.1f} s old, money moves on at most 5 s"


def test_a_coin_margined_position_whose_coin_has_no_price_gets_no_money():
    inverse = isolated("0.07", symbol="BTC/EUR:BTC", isolated_wallet=Decimal("0.00001"), quantity=100)
    decision = judged(
        inverse,
        wallets=(
            Wallet(
                currency="BTC", cross_wallet_balance=Decimal(1), cross_unrealized_pnl=Decimal(0), available=Decimal(1)
            ),
        ),
    )
    verdict = decision.positions[0]
    assert verdict.withheld.reason is WithheldReason.NO_PRICE
    assert "BTC has no dollar price" in verdict.withheld.text


def test_critical_bypasses_the_cooldown_and_no_limit():
    recent = life(last_top_up_at=T0 - timedelta(seconds=50))
    assert row(judged(isolated("0.03"), lives=[recent])).top_up is not None
    spent = life(last_top_up_at=T0 - timedelta(seconds=50), spent=Decimal(5000))
    assert row(judged(isolated("0.03"), lives=[spent])).withheld.reason is WithheldReason.POSITION_BUDGET_SPENT


def test_the_cooldown_is_over_when_it_has_passed():
    assert row(judged(NEAR, lives=[life(last_top_up_at=T0 - timedelta(seconds=120))])).top_up is not None


def test_the_first_reason_in_order_is_given_when_all_hold():
    worst = {
        "armed": False,
        "disarmed_because": "asked to",
        "spending_known": False,
        "gaps": [GAP],
        "lives": [life(has_open_intent=True, misses=3, spent=Decimal(9999), last_top_up_at=T0)],
        "spent_today_all": Decimal(99999),
        "per_day": 1,
        "available": 0,
    }
    seen = isolated("0.07", auto_add_margin=True)
    assert row(judged(seen, mode=Mode.OBSERVE, **worst)).withheld.reason is WithheldReason.MODE
    fixes = [
        (WithheldReason.DISARMED, {"armed": True}),
        (WithheldReason.SPENDING_NOT_KNOWN, {"spending_known": True}),
        (WithheldReason.OUTCOME_UNKNOWN, {"lives": [life(misses=3, spent=Decimal(9999), last_top_up_at=T0)]}),
        (WithheldReason.CONTRADICTION, {"gaps": []}),
        (WithheldReason.NO_EFFECT, {"lives": [life(spent=Decimal(9999), last_top_up_at=T0)]}),
        (WithheldReason.EXCHANGE_TOPS_UP, {}),
    ]
    for reason, fix in fixes:
        assert row(judged(seen, **worst)).withheld.reason is reason
        worst |= fix
    seen = isolated("0.07")
    for reason, fix in [
        (WithheldReason.COOLING_DOWN, {"lives": [life(spent=Decimal(9999))]}),
        (WithheldReason.POSITION_BUDGET_SPENT, {"lives": [life()]}),
        (WithheldReason.TOTAL_DAY_BUDGET_SPENT, {"spent_today_all": Decimal(0), "per_day": 99999}),
        (WithheldReason.RESERVE, {"available": 10}),
        (WithheldReason.CANNOT_SAVE, {"available": 10000}),
    ]:
        assert row(judged(seen, **worst)).withheld.reason is reason
        worst |= fix
    assert row(judged(seen, **worst)).top_up is not None


@pytest.mark.parametrize(
    ("seen", "rules", "reason"),
    [
        (isolated("0.07"), [], WithheldReason.NO_RULE),
        (isolated("0.07"), [rule(top_up=None), rule("second")], WithheldReason.NO_RULE),
        (cross(symbol=BTC), [rule()], WithheldReason.NOT_ISOLATED),
    ],
    ids=["no rule", "the first rule that matches has no top_up, the second is not asked", "cross"],
)
def test_near_liquidation_it_is_said_why_nobody_tops_up(seen, rules, reason):
    verdict = row(judged(seen, rules=rules, available=600))
    assert verdict.level >= Level.DANGER
    assert verdict.withheld.reason is reason
    assert verdict.trigger is None


def test_cross_wins_when_both_need_the_money():
    # 10,000 of ETH on 1,800: ends at 8,282.8, 17.2 % away. It may go down to 8 %: 910.8 may leave, 889.2 must stay.
    leaning = cross(symbol=ETH)
    saved = row(judged(NEAR, leaning, available=1800))
    assert saved.top_up.amount == Decimal("891.00")
    poorer = row(judged(NEAR, leaning, available=1100))
    assert poorer.withheld.reason is WithheldReason.CANNOT_SAVE
    assert "the USDT cross pool comes first" in poorer.withheld.text
    cut = row(judged(NEAR, leaning, available=1300))
    assert cut.top_up.cut_by == "the USDT cross pool"
    assert cut.top_up.amount == Decimal("407.99")  # 1,300 - 892 is where the pool ends at exactly 8 %: one cent less.


def test_a_cross_pool_in_danger_already_gives_nothing():
    verdict = row(judged(NEAR, cross(symbol=ETH), available=850))
    assert verdict.withheld.reason is WithheldReason.CROSS_POOL_NEEDS_IT


def test_a_cross_pool_that_only_the_exchange_sees_in_danger_gives_nothing():
    for price in (9300, 9200):  # Ours ends beyond 20 %, theirs at 7 %, or at 8 % to the last digit.
        theirs = Liquidation(kind=LiquidationKind.AT, price=Decimal(price))
        verdict = row(judged(NEAR, cross(symbol=ETH, exchange_liquidation=theirs), available=9000))
        assert verdict.withheld.reason is WithheldReason.CROSS_POOL_NEEDS_IT


def test_what_is_on_its_way_out_of_the_wallet_is_gone_for_the_cross_pool_too():
    withheld = row(judged(NEAR, cross(symbol=ETH), available=1800, unsettled={"USDT": Decimal(800)})).withheld
    assert withheld.reason is WithheldReason.CANNOT_SAVE  # 907.99 may leave, 107.99 is left of it.
    assert "107.99 USDT can be spent (the USDT cross pool comes first" in withheld.text


def test_in_multi_assets_mode_isolated_positions_alone_lean_on_no_wallet():
    assert row(judged(NEAR, asset_mode=AssetMode.MULTI)).top_up.amount == 891


def test_a_cross_pool_that_cannot_be_modelled_gives_nothing():
    verdict = row(judged(NEAR, cross(symbol=ETH), asset_mode=AssetMode.MULTI, available=9000))
    assert verdict.withheld.reason is WithheldReason.CROSS_POOL_NEEDS_IT
    assert "cannot be modelled" in verdict.withheld.text


@pytest.mark.parametrize(
    ("mode", "reason"), [(AssetMode.MULTI, WithheldReason.CROSS_POOL_NEEDS_IT), (AssetMode.SINGLE, None)]
)
def test_what_was_not_seen_may_lean_on_any_wallet_in_multi_assets_mode_and_else_on_its_own(mode, reason):
    unseen = PositionKey("BTC/USD:BTC", Side.LONG)
    gap = Gap(subject=str(unseen), reason="makes no sense", key=unseen, may_be_cross=True)
    withheld = row(judged(NEAR, asset_mode=mode, gaps=[gap])).withheld
    assert (None if withheld is None else withheld.reason) is reason


def test_a_refusal_is_told_once_and_not_while_it_merely_waits():
    watching = Watching(rules=[rule(top_up=top_up_terms(max_per_position=dollars(10)))])
    watching.lives = {KEY: life()}
    assert watching.at(0, "0.07") == [("refused", "fired", "danger")]
    assert watching.last.alerts[0].reason.startswith("your budget cannot save this: needs 297 USDT")
    assert watching.at(60, "0.07") == [("alert", "fired", "danger")]
    for at_s in (120, 220, 320, 420):
        events = watching.at(at_s, "0.3")
    assert sorted(events) == [("alert", "resolved", "danger"), ("refused", "resolved", "danger")]


def test_nothing_is_withheld_where_nothing_is_wanted():
    far = row(judged(isolated("0.09")))
    assert (far.top_up, far.withheld, far.trigger) == (None, None, Decimal("0.08"))
