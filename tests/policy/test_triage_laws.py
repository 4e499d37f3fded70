"""Triage as laws: over random positions, budgets and modes, whoever is left out really did not fit."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from policy_worlds import (
    BTC,
    ETH,
    T0,
    assessed,
    cent,
    cross,
    dollars,
    isolated,
    life,
    memory,
    rule,
    snapshot,
    terms,
    top_up_terms,
)

from guard.margin import margin_to_distance
from guard.policy.decide import decide
from guard.policy.decision import WithheldReason
from guard.policy.terms import Mode
from guard.snapshot import PositionKey, Side

SYMBOLS = (BTC, "SOL/USDT:USDT", "XRP/USDT:USDT", "ADA/USDT:USDT")
CENT = Decimal("0.01")
money = st.decimals(min_value=1, max_value=4000, places=2)


@st.composite
def breached(draw):
    """Up to eight breached positions, some of them hedge legs of one symbol, in any order."""
    legs = draw(st.permutations([(symbol, side) for symbol in SYMBOLS for side in Side]))
    return [
        isolated(
            draw(st.decimals(min_value="0.005", max_value="0.079", places=6)),
            symbol=symbol,
            side=side,
            quantity=draw(st.sampled_from([Decimal("0.1"), Decimal(1), Decimal(3)])),
            hedged=True,
        )
        for symbol, side in legs[: draw(st.integers(min_value=2, max_value=6))]
    ]


@st.composite
def rules(draw, **fixed):
    """A rule for each symbol: a shared name would share its daily limit, here [limits] and the wallet are shared."""
    return [
        rule(
            symbol.partition("/")[0].lower(),
            symbol=symbol,
            top_up=top_up_terms(
                **{
                    "priority": draw(st.integers(min_value=0, max_value=2)),
                    "max_per_position": dollars(draw(money)),
                    "max_per_day": dollars(draw(money)),
                    "reserve": dollars(draw(st.sampled_from([0, 0, 100, 700]))),
                    **fixed,
                }
            ),
            mode=draw(st.sampled_from([Mode.ACT, Mode.ACT, Mode.SHADOW])),
        )
        for symbol in SYMBOLS
    ]


def decided(positions, of_rules, *, available, per_day=None, leaning=False, **of_life):
    held = [*positions, cross(symbol=ETH)] if leaning else positions
    return decide(
        assessed(snapshot(*held, available=available)),
        memory=memory(*(life(position.key, **of_life) for position in positions)),
        terms=terms(*of_rules, per_day=per_day),
        step=cent,
        outlooks={},
        ended=frozenset(),
        fresh_read=True,
        now=T0,
    )


def acts(decision):
    return [plan for plan in decision.top_ups if plan.mode is Mode.ACT]


def to_clear(decision, key):
    """Return what the clear level of a position costs, by the margin model and nothing of ours."""
    figures = next(row.figures for row in decision.positions if row.key == key)
    return margin_to_distance(figures.pool, figures.leg, Decimal("0.1")).quantize(CENT, rounding="ROUND_CEILING")


@settings(max_examples=150, deadline=None)
@given(breached(), rules(), money, st.one_of(st.none(), money), st.booleans())
def test_no_shared_limit_is_passed_and_each_gets_all_or_nothing(positions, of_rules, available, per_day, leaning):
    decision = decided(positions, of_rules, available=available, per_day=per_day, leaning=leaning)
    by_name = {one.name: one.top_up for one in of_rules}
    left = available
    for plan in acts(decision):  # In the order in which they are sent: each may rely on what its own rule leaves.
        left -= plan.amount
        assert left >= by_name[plan.rule].reserve.value
    for name, budget in by_name.items():
        assert sum(plan.dollars for plan in acts(decision) if plan.rule == name) <= budget.max_per_day.value
    assert per_day is None or sum(plan.dollars for plan in acts(decision)) <= per_day
    for plan in decision.top_ups:
        assert plan.amount >= to_clear(decision, plan.key)
        assert plan.amount % CENT == 0


@settings(max_examples=150, deadline=None)
@given(breached(), st.lists(st.integers(min_value=0, max_value=2), min_size=4, max_size=4), money)
def test_whoever_is_left_out_does_not_fit_beside_those_better_placed(positions, priorities, available):
    of_rules = [
        rule(symbol.partition("/")[0].lower(), symbol=symbol, top_up=top_up_terms(priority=priority))
        for symbol, priority in zip(SYMBOLS, priorities, strict=True)
    ]
    decision = decided(positions, of_rules, available=available)
    rank = {one.key: index for index, one in enumerate(decision.contenders)}
    placed = [(-one.priority, -(one.loss_avoided / one.money_to_clear), one.key) for one in decision.contenders]
    assert placed == sorted(placed)
    for row in decision.positions:
        if row.withheld is None or row.withheld.reason is not WithheldReason.OTHERS_FIRST:
            continue
        before = [plan.key for plan in decision.top_ups if rank[plan.key] < rank[row.key]]
        assert before
        assert sum(to_clear(decision, key) for key in before) + to_clear(decision, row.key) > available


def in_the_old_order(positions, of_rules):
    """Return what each position gets alone in the world: what is done first, by priority and then by distance."""
    plans = [plan for position in positions for plan in decided([position], of_rules, available=10**7).top_ups]
    return sorted(plans, key=lambda plan: (-plan.mode, -plan.priority, plan.distance_before, plan.key))


@settings(max_examples=60, deadline=None)
@given(breached(), rules(max_per_day=dollars(10**7), reserve=dollars(0)))
def test_with_money_enough_each_gets_what_it_would_get_alone_and_the_nearest_comes_first(positions, of_rules):
    decision = decided(positions, of_rules, available=10**7)
    assert list(decision.top_ups) == in_the_old_order(positions, of_rules)
    assert decision.contenders == ()


@settings(max_examples=60, deadline=None)
@given(breached(), rules(), money, st.one_of(st.none(), money), st.randoms(use_true_random=False))
def test_the_order_of_positions_changes_nothing(positions, of_rules, available, per_day, random):
    before = decided(positions, of_rules, available=available, per_day=per_day)
    shuffled = list(positions)
    random.shuffle(shuffled)
    after = decided(shuffled, of_rules, available=available, per_day=per_day)
    assert (after.top_ups, after.contenders) == (before.top_ups, before.contenders)
    assert {row.key: row.withheld for row in after.positions} == {row.key: row.withheld for row in before.positions}


@settings(max_examples=60, deadline=None)
@given(breached(), rules(), money)
def test_what_is_only_said_changes_nothing_of_what_is_done(positions, of_rules, available):
    silent = [replace(one, mode=Mode.OBSERVE) if one.mode is Mode.SHADOW else one for one in of_rules]
    assert acts(decided(positions, of_rules, available=available)) == acts(
        decided(positions, silent, available=available)
    )


@settings(max_examples=100, deadline=None)
@given(breached(), rules(max_per_action=dollars(90), when_short_spend=True), money)
def test_small_acts_and_rules_that_spend_anyway_pass_no_limit_either(positions, of_rules, available):
    decision = decided(positions, of_rules, available=available)
    by_name = {one.name: one.top_up for one in of_rules}
    left = available
    for plan in acts(decision):
        assert CENT <= plan.amount <= 90
        left -= plan.amount
        assert left >= by_name[plan.rule].reserve.value


def test_hedge_legs_of_one_symbol_are_two_positions():
    legs = [isolated("0.05", side=side, hedged=True) for side in Side]
    decision = decided(legs, [rule()], available=500)
    assert [plan.key for plan in decision.top_ups] == [PositionKey(BTC, Side.LONG)]
