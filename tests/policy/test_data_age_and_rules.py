"""How old facts are, what that does to alerts, and which rule holds."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from policy_worlds import BTC, ETH, KEY, T0, Watching, cross, isolated, judged, row, rule, terms

from guard.policy.decision import DataState
from guard.policy.freshness import data_state, may_be_spent_on
from guard.policy.rules import matching_rule, mode_in_force
from guard.policy.terms import DataAgeLimits, Level, Mode
from guard.snapshot import AssetMode, Gap, Liquidation, LiquidationKind, MarginMode, PositionKey, Side

LIMITS = DataAgeLimits(stale_after=timedelta(seconds=15), blind_after=timedelta(seconds=120))


@pytest.mark.parametrize(
    ("age_s", "state"),
    [
        (None, DataState.BLIND),
        (0, DataState.FRESH),
        (15, DataState.FRESH),
        (15.1, DataState.STALE),
        (120, DataState.STALE),
        (120.1, DataState.BLIND),
        (-4, DataState.FRESH),
        (-6, DataState.STALE),
    ],
)
def test_the_age_of_facts_is_a_state_and_facts_from_the_future_are_stale(age_s, state):
    assert data_state(None if age_s is None else timedelta(seconds=age_s), LIMITS) is state


@pytest.mark.parametrize(("age_s", "fit"), [(5, True), (5.1, False), (-5, True), (-5.1, False)])
def test_facts_from_the_future_are_as_unfit_for_money_as_old_ones(age_s, fit):
    assert may_be_spent_on(timedelta(seconds=age_s), LIMITS) == fit


def test_stale_then_blind_is_one_alert_and_its_end_takes_two_fresh_reads():
    watching, far = Watching(), isolated("0.4")
    assert watching.see(0, far) == []
    assert watching.see(10, far, fresh=False, read_at_s=0) == []
    assert watching.see(20, far, fresh=False, read_at_s=0) == [("stale", "fired", "warn")]
    assert watching.last.level is Level.UNKNOWN
    assert watching.see(130, far, fresh=False, read_at_s=0) == [("blind", "escalated", "unknown")]
    assert watching.last.positions[0].level is Level.UNKNOWN
    assert watching.last.positions[0].reason.startswith("not read for 130 s; last seen: distance 40 %")
    assert watching.see(1930, far, fresh=False, read_at_s=0) == [("blind", "repeated", "unknown")]
    assert watching.see(1940, far) == []
    assert watching.see(1950, far) == [("blind", "resolved", "unknown")]
    assert watching.see(1960, far) == []


def test_blind_over_a_position_in_danger_is_as_bad_as_the_danger_and_does_not_end_it():
    watching, near = Watching(), isolated("0.07")
    watching.see(0, near)
    watching.see(60, near)
    assert watching.see(200, near, fresh=False, read_at_s=60) == [("blind", "fired", "danger")]
    assert watching.last.level is Level.DANGER
    assert watching.see(1860, near, fresh=False, read_at_s=60) == [("alert", "repeated", "danger")]


def test_an_account_that_was_never_read_is_blind_and_keeps_what_it_knew():
    watching = Watching()
    watching.at(0, "0.03")
    assert watching.see(60, blank=True, fresh=False) == [("blind", "fired", "critical")]
    assert (watching.last.state, watching.last.level) == (DataState.BLIND, Level.CRITICAL)
    assert (
        watching.see(120, blank=True, fresh=False)
        == [("blind", "repeated", "critical"), ("alert", "repeated", "critical")][1:]
    )
    nothing = Watching()
    assert nothing.see(0, blank=True, fresh=False) == [("blind", "fired", "unknown")]
    assert nothing.last.alerts[0].reason == "nothing was read yet"


def test_old_facts_fire_no_new_danger_and_climb_no_ladder():
    watching = Watching()
    assert watching.see(10, isolated("0.03"), fresh=False, read_at_s=0) == []
    assert watching.last.positions[0].level is Level.CRITICAL  # The row says what was last seen.


@pytest.mark.parametrize(
    ("kind", "level", "text"),
    [
        (LiquidationKind.UNKNOWN, Level.UNKNOWN, "leverage brackets are not known"),
        (LiquidationKind.PAST, Level.CRITICAL, "leverage brackets are not known"),
        (LiquidationKind.NONE, Level.UNKNOWN, "leverage brackets are not known"),
    ],
)
def test_what_the_exchange_alone_says_is_taken_and_the_gap_is_said(kind, level, text):
    verdict = row(judged(isolated("0.4", exchange_liquidation=Liquidation(kind=kind)), rules=[], tiers=None))
    assert verdict.level is level
    assert text in verdict.reason


def test_past_is_critical_and_none_is_ok():
    past = row(judged(isolated("0.4", isolated_wallet=Decimal(50)), rules=[]))
    assert (past.level, past.reason) == (Level.CRITICAL, "its balance is at or below the requirement")
    none = row(judged(isolated("0.4", isolated_wallet=Decimal(20_000)), rules=[]))
    assert (none.level, none.reason) == (Level.OK, "no price liquidates it; sigmas are not known")


def test_a_gap_about_a_position_without_a_row_makes_the_account_unknown_at_once():
    gap = Gap(subject="SOL/USDT:USDT long", reason="no mark price", key=PositionKey("SOL/USDT:USDT", Side.LONG))
    decision = judged(isolated("0.4"), gaps=[gap])
    assert decision.level is Level.UNKNOWN
    assert row(decision).level is Level.OK


@pytest.mark.parametrize(("ratio", "level"), [("0.5", Level.UNKNOWN), ("0.8", Level.DANGER), ("0.95", Level.CRITICAL)])
def test_a_pool_without_a_model_is_unknown_and_as_bad_as_the_exchanges_own_ratio(ratio, level):
    decision = judged(cross(), asset_mode=AssetMode.MULTI, ratio=Decimal(ratio), rules=[])
    assert decision.pools[0].level is level
    assert "the exchange's own account ratio is watched" in decision.pools[0].reason
    assert decision.positions[0].level is level


def position_rules(*rules, **changes):
    return matching_rule(terms(*rules), replace_key(**changes), changes.get("margin_mode", MarginMode.ISOLATED))


def replace_key(symbol=BTC, side=Side.LONG, **_):
    return replace(KEY, symbol=symbol, side=side)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ({"symbol": "BTC/*"}, True),
        ({"symbol": "btc/*"}, False),
        ({"symbol": "*/USDT:USDT"}, True),
        ({"symbol": "[AB]TC/USD?:USDT"}, True),
        ({"symbol": "[!B]*"}, False),
        ({"symbol": "BTC"}, False),
        ({"account": "ma*"}, True),
        ({"account": "Main"}, False),
        ({"side": Side.LONG}, True),
        ({"side": Side.SHORT}, False),
        ({"margin_mode": MarginMode.ISOLATED}, True),
        ({"margin_mode": MarginMode.CROSS}, False),
    ],
)
def test_a_rule_matches_by_case_sensitive_shell_patterns(pattern, matches):
    assert (position_rules(rule(**pattern)) is not None) == matches


def test_the_first_rule_that_matches_holds_also_without_a_top_up():
    first, second = rule("first", symbol="BTC/*", top_up=None), rule("second")
    assert position_rules(first, second).name == "first"
    assert position_rules(first, second, symbol=ETH).name == "second"


def test_the_strictest_mode_is_in_force_and_a_missing_one_puts_no_limit():
    assert mode_in_force(terms(mode=Mode.ACT), rule(mode=None)) is Mode.ACT
    assert mode_in_force(terms(mode=Mode.SHADOW), rule(mode=Mode.ACT)) is Mode.SHADOW
    assert mode_in_force(terms(mode=Mode.ACT), rule(mode=Mode.OBSERVE)) is Mode.OBSERVE
    assert mode_in_force(terms(mode=Mode.APPROVE), None) is Mode.APPROVE


def test_facts_that_are_fresh_but_too_old_for_money_still_move_the_ladder():
    decision = judged(isolated("0.03"), now=T0 + timedelta(seconds=10), at=T0)
    assert decision.state is DataState.FRESH
    assert [alert.level for alert in decision.alerts] == [Level.CRITICAL]
    assert decision.top_ups == ()
