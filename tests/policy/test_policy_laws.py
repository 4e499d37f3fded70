"""The laws about money as properties: over random markets, budgets and spending no limit is ever passed."""

from dataclasses import replace
from datetime import timedelta
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

from guard.margin import with_margin
from guard.policy.cross_room import distance_without
from guard.policy.decide import decide
from guard.policy.terms import Mode
from guard.snapshot import MarginMode, PositionKey, Side

XRP = "XRP/USDT:USDT"
SYMBOLS = (BTC, XRP)
amounts = st.decimals(min_value=1, max_value=3000, places=2)


@st.composite
def worlds(draw):
    """A budget, a wallet, maybe a cross position on it, and a market that moves from step to step."""
    return {
        "per_action": draw(st.one_of(st.none(), amounts)),
        "per_position": draw(amounts),
        "per_day": draw(amounts),
        "all_day": draw(st.one_of(st.none(), amounts)),
        "reserve": draw(st.decimals(min_value=0, max_value=500, places=2)),
        "available": draw(st.decimals(min_value=0, max_value=4000, places=2)),
        "leaning": draw(st.booleans()),
        "spend_anyway": draw(st.booleans()),
        "steps": draw(
            st.lists(
                st.tuples(*[st.decimals(min_value="0.005", max_value="0.2", places=3)] * 2), min_size=1, max_size=8
            )
        ),
    }


def terms_of(world):
    budget = top_up_terms(
        max_per_action=None if world["per_action"] is None else dollars(world["per_action"]),
        max_per_position=dollars(world["per_position"]),
        max_per_day=dollars(world["per_day"]),
        reserve=dollars(world["reserve"]),
        when_short_spend=world["spend_anyway"],
    )
    return terms(rule(top_up=budget), per_day=world["all_day"])


def seen_of(world, distances, available, now):
    held = [isolated(distance, symbol=symbol) for symbol, distance in zip(SYMBOLS, distances, strict=True)]
    if world["leaning"]:
        held.append(cross(symbol=ETH))
    return assessed(snapshot(*held, available=available, at=now))


def decided(world, seen, remembered, now):
    return decide(
        seen,
        memory=remembered,
        terms=terms_of(world),
        step=cent,
        outlooks={},
        ended=frozenset(),
        fresh_read=True,
        now=now,
    )


@settings(max_examples=120, deadline=None)
@given(worlds())
def test_no_limit_is_ever_passed_whatever_the_market_does(world):
    lives = {PositionKey(symbol, Side.LONG): life(PositionKey(symbol, Side.LONG)) for symbol in SYMBOLS}
    spent, available, now = Decimal(0), world["available"], T0
    for distances in world["steps"]:
        now += timedelta(seconds=150)
        seen = seen_of(world, distances, available, now)
        remembered = memory(*lives.values(), spent_today_by_rule={"shield": spent}, spent_today_all=spent)
        decision = decided(world, seen, remembered, now)
        before = {pool.name: pool for pool in seen.pools}
        for plan in decision.top_ups:
            assert plan.amount % Decimal("0.01") == 0
            assert plan.amount > 0
            assert world["per_action"] is None or plan.amount <= world["per_action"]
            spent += plan.dollars
            available -= plan.amount
            key = plan.key
            lives[key] = replace(lives[key], spent=lives[key].spent + plan.amount, last_top_up_at=now)
            assert lives[key].spent <= world["per_position"]
        assert spent <= world["per_day"]
        assert world["all_day"] is None or spent <= world["all_day"]
        if decision.top_ups:
            assert available >= world["reserve"]
            if world["leaning"]:
                moved = sum(plan.amount for plan in decision.top_ups)
                assert distance_without(before["USDT cross"].pool, moved) > Decimal("0.08")


@settings(max_examples=80, deadline=None)
@given(worlds())
def test_every_breached_position_gets_money_or_a_reason_in_words(world):
    seen = seen_of(world, world["steps"][0], world["available"], T0)
    lives = [life(PositionKey(symbol, Side.LONG)) for symbol in SYMBOLS]
    decision = decided(world, seen, memory(*lives), T0)
    for verdict in decision.positions:
        if verdict.figures.position.margin_mode is not MarginMode.ISOLATED:
            continue
        is_breached = verdict.figures.distance <= verdict.trigger
        assert ((verdict.top_up is None) != (verdict.withheld is None)) == is_breached
        if verdict.withheld is not None:
            assert len(verdict.withheld.text) > 10


@settings(max_examples=80, deadline=None)
@given(worlds())
def test_money_never_goes_where_everything_left_cannot_restore_the_clear_level(world):
    world = {**world, "spend_anyway": False}
    seen = seen_of(world, world["steps"][0], world["available"], T0)
    lives = [life(PositionKey(symbol, Side.LONG)) for symbol in SYMBOLS]
    decision = decided(world, seen, memory(*lives), T0)
    left = min(world["per_day"], world["per_position"], world["available"] - world["reserve"])
    for plan in decision.top_ups:
        figures = next(one for one in seen.positions if one.key == plan.key)
        saved = with_margin(figures.pool, left)
        assert distance_without(saved, Decimal(0)) is None or distance_without(
            saved, Decimal(0)
        ) >= plan.trigger + Decimal("0.02")


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_the_same_inputs_give_the_same_answer(world):
    seen = seen_of(world, world["steps"][0], world["available"], T0)
    assert decided(world, seen, memory(), T0) == decided(world, seen, memory(), T0)


@settings(max_examples=60, deadline=None)
@given(st.decimals(min_value="0.001", max_value="0.079", places=4), st.sampled_from([Side.LONG, Side.SHORT]))
def test_an_uncut_top_up_reaches_its_target_and_one_step_less_does_not(distance, side):
    generous = top_up_terms(max_per_position=dollars(10**6), max_per_day=dollars(10**6), birth_cap=False)
    seen = assessed(snapshot(isolated(distance, side=side), available=10**6))
    plan = decide(
        seen,
        memory=memory(life(PositionKey(BTC, side))),
        terms=terms(rule(top_up=generous), mode=Mode.ACT),
        step=cent,
        outlooks={},
        ended=frozenset(),
        fresh_read=True,
        now=T0,
    ).top_ups[0]
    pool = seen.positions[0].pool
    assert plan.cut_by is None
    assert distance_without(with_margin(pool, plan.amount), Decimal(0)) >= Decimal("0.16")
    assert distance_without(with_margin(pool, plan.amount - Decimal("0.01")), Decimal(0)) < Decimal("0.16")
