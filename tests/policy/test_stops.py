"""The user's own stops: which one counts, and the alarm when liquidation comes first."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from policy_worlds import BTC, KEY, PRICE, T0, isolated, judged, row

from guard.policy.rows import account_row
from guard.policy.terms import Level, Mode
from guard.snapshot import Liquidation, LiquidationKind, MarginMode, PositionKey, Side, StopOrder

SHORT = PositionKey(BTC, Side.SHORT)


def stop(percent_below, *, key=KEY, by="mark", quantity=None, mode=None):
    price = PRICE * (100 - Decimal(percent_below)) / 100
    return StopOrder(key=key, trigger_price=price, trigger_by=by, quantity=quantity, margin_mode=mode)


def decided(*stops, position=None, **changes):
    by_key = {key: tuple(one for one in stops if one.key == key) for key in {one.key for one in stops}}
    return judged(position or isolated("0.2"), stops=by_key, **changes)


@pytest.mark.parametrize(("percents", "expected"), [(["30", "10", "15"], "10"), (["-5"], None), ([], None)])
def test_the_stop_that_a_falling_position_meets_first_counts(percents, expected):
    verdict = row(decided(*map(stop, percents)))
    assert (verdict.stop and verdict.stop.trigger_price) == (expected and stop(expected).trigger_price)


TRAILING = StopOrder(key=KEY, trigger_price=None, trigger_by="", quantity=None)
SAID = "a trailing stop is there, at a price that the exchange does not state"


def test_a_trailing_stop_has_no_price_and_the_row_says_that_it_is_there():
    decision = decided(TRAILING)
    assert (row(decision).stop, row(decision).stop_trouble) == (None, None)
    (position,) = account_row(decision, account="main", exchange="bybit", mode=Mode.ACT, now=T0)["positions"]
    assert position["stop_price"] is None
    assert position["reason"].endswith(SAID)


def test_beside_a_trailing_stop_the_one_with_a_price_counts():
    decision = decided(TRAILING, stop("25"))
    assert row(decision).stop.trigger_price == stop("25").trigger_price
    assert "liquidation comes first" in row(decision).stop_trouble
    assert row(decision).stop_unpriced == SAID


def test_without_a_trailing_stop_nothing_is_said_of_one():
    (position,) = account_row(decided(stop("10")), account="main", exchange="bybit", mode=Mode.ACT, now=T0)["positions"]
    assert "trailing" not in position["reason"]


@pytest.mark.parametrize(("percent", "is_late"), [("19.9", False), ("20", True), ("25", True)])
def test_a_stop_at_or_behind_liquidation_is_late(percent, is_late):
    assert (row(decided(stop(percent))).stop_trouble is not None) is is_late


def test_the_nearer_of_both_liquidation_prices_counts():
    theirs = Liquidation(kind=LiquidationKind.AT, price=PRICE * Decimal("0.85"))
    verdict = row(decided(stop("17"), position=isolated("0.2", exchange_liquidation=theirs)))
    assert "liquidation comes first" in verdict.stop_trouble


def test_a_short_looks_the_other_way():
    late, early = stop("-25", key=SHORT), stop("-15", key=SHORT)
    short = isolated("0.2", side=Side.SHORT)
    assert "above the liquidation price" in row(decided(late, position=short), SHORT).stop_trouble
    verdict = row(decided(late, early, position=short), SHORT)
    assert (verdict.stop.trigger_price, verdict.stop_trouble) == (early.trigger_price, None)


def test_a_stop_for_a_part_does_not_hide_that_the_one_for_the_rest_comes_too_late():
    size = isolated("0.2").quantity
    part, rest = stop("10", quantity=size / 4), stop("25")
    verdict = row(decided(part, rest))
    assert verdict.stop.trigger_price == rest.trigger_price
    assert f"the stop at {rest.trigger_price:f}" in verdict.stop_trouble
    assert "liquidation comes first" in verdict.stop_trouble
    assert row(decided(part, stop("12", quantity=size * 3 / 4), rest)).stop_trouble is None  # Both together are all.
    assert row(decided(stop("10", quantity=size), rest)).stop_trouble is None


def reason(decision):
    (told,) = account_row(decision, account="main", exchange="okx", mode=Mode.ACT, now=T0)["positions"]
    return told["reason"]


def test_stops_that_close_a_part_of_the_position_only_are_told_as_such():
    size = isolated("0.2").quantity
    part = stop("10", quantity=size / 100)
    assert row(decided(part)).stop.leaves == Decimal("0.99")
    assert reason(decided(part)).endswith("the stops close 1 % of the position only, nothing stops the rest")
    assert row(decided(part, stop("12", quantity=size / 4))).stop.leaves == Decimal("0.74")
    for rest in (stop("12", quantity=size), stop("12"), TRAILING):  # Of one that trails nobody knows where it stands.
        assert row(decided(part, rest)).stop.leaves == 0
        assert "nothing stops" not in reason(decided(part, rest))


def test_a_stop_of_the_other_margin_mode_is_not_this_positions():
    own, other = stop("15", mode=MarginMode.ISOLATED), stop("10", mode=MarginMode.CROSS)
    assert row(decided(other)).stop is None
    assert row(decided(other, own)).stop.trigger_price == own.trigger_price
    trailing = replace(TRAILING, margin_mode=MarginMode.CROSS)
    assert row(decided(trailing)).stop_unpriced is None


def test_where_no_liquidation_price_is_known_nothing_is_said():
    assert row(decided(stop("90"), tiers=None)).stop_trouble is None


def test_a_late_stop_is_told_after_it_lasted_and_its_end_once():
    alerts, told = (), []
    steps = [(0, "25"), (10, "25"), (20, "25"), *((second, "15") for second in range(60, 700, 60))]
    for second, percent in steps:
        now = T0 + timedelta(seconds=second)
        decision = decided(stop(percent), now=now, alerts=alerts)
        told += [(second, alert.event.value, alert.level) for alert in decision.alerts if alert.headline]
        alerts = decision.alert_states
    assert [(event, level) for _, event, level in told] == [("fired", Level.WARN), ("resolved", Level.WARN)]
    assert told[0][0] == 10
    assert told[1][0] == 360  # Held for five minutes.


def test_stops_that_are_not_known_end_no_alarm_and_are_a_gap():
    alerts, told = (), []
    for second, stops in [(0, (stop("25"),)), (10, (stop("25"),)), (20, None), (400, None), (900, None)]:
        now = T0 + timedelta(seconds=second)
        decision = decided(*stops, now=now, alerts=alerts) if stops else judged(isolated("0.2"), now=now, alerts=alerts)
        told += [alert.event.value for alert in decision.alerts if alert.headline]
        alerts = decision.alert_states
    assert told == ["fired"]
    document = account_row(decision, account="main", exchange="binanceusdm", mode=Mode.ACT, now=now)
    assert {"subject": "stop_price", "reason": "the standing orders were not read"} in document["gaps"]
    assert document["positions"][0]["stop_price"] is None


def test_the_row_states_the_price():
    decision = decided(stop("10"))
    document = account_row(decision, account="main", exchange="binanceusdm", mode=Mode.ACT, now=T0)
    assert Decimal(document["positions"][0]["stop_price"]) == stop("10").trigger_price
    assert all(gap["subject"] != "stop_price" for gap in document["gaps"])
