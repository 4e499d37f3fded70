"""The ladder over time: what is told when, as tables of (seconds, distance, what is told)."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_worlds import BTC, ETH, KEY, T0, Watching, cross, isolated, ladder, memory, rule

from guard.policy.ladder import instant_level
from guard.policy.subjects import remembered_positions
from guard.policy.terms import Level
from guard.snapshot import Gap, Liquidation, LiquidationKind, Mark, PositionKey, Side

PRICE_AT_14 = isolated().mark_price * 86 / 100
FIRED, ESCALATED, REPEATED, RESOLVED = "fired", "escalated", "repeated", "resolved"


def told(event, level, kind="alert"):
    return [(kind, event, level)]


TIMELINES = {
    "critical is told after one read": [(0, "0.039", told(FIRED, "critical"))],
    "danger is told after two reads five seconds apart": [
        (0, "0.07", []),
        (4, "0.07", []),
        (5, "0.07", told(FIRED, "danger")),
    ],
    "a single bad read of danger is not told": [(0, "0.07", []), (60, "0.3", []), (120, "0.07", [])],
    "readings that swing between two rungs delay neither": [
        (0, "0.14", []),
        (60, "0.07", told(FIRED, "warn")),
        (120, "0.14", []),
        (180, "0.07", []),
        (240, "0.07", told(ESCALATED, "danger")),
    ],
    "it climbs rung by rung under one id": [
        (0, "0.2", []),
        (60, "0.2", told(FIRED, "watch")),
        (120, "0.14", []),
        (180, "0.14", told(ESCALATED, "warn")),
        (240, "0.03", told(ESCALATED, "critical")),
    ],
    "critical is repeated every two minutes, and silent in between": [
        (0, "0.03", told(FIRED, "critical")),
        (60, "0.03", []),
        (120, "0.03", told(REPEATED, "critical")),
        (180, "0.03", []),
        (240, "0.03", told(REPEATED, "critical")),
    ],
    "it ends five minutes after it is clear of its rung, once, and is not repeated from afar": [
        (0, "0.03", told(FIRED, "critical")),
        (60, "0.3", []),
        (120, "0.3", []),
        (180, "0.3", []),
        (240, "0.3", []),
        (300, "0.3", []),
        (360, "0.3", told(RESOLVED, "critical")),
        (420, "0.3", []),
    ],
    "falling back while it clears starts the five minutes anew": [
        (0, "0.07", []),
        (60, "0.07", told(FIRED, "danger")),
        (120, "0.3", []),
        (300, "0.09", []),
        (360, "0.3", []),
        (480, "0.3", []),
        (600, "0.3", []),
        (660, "0.3", told(RESOLVED, "danger")),
    ],
    "between a rung and its clear level nothing changes": [
        (0, "0.07", []),
        (60, "0.07", told(FIRED, "danger")),
        (120, "0.095", []),
        (600, "0.095", []),
        (1200, "0.095", []),
    ],
    "easing from critical to danger is told as a repeat, not as the end": [
        (0, "0.03", told(FIRED, "critical")),
        (60, "0.075", []),
        (120, "0.075", []),
        (240, "0.075", []),
        (360, "0.075", told(REPEATED, "danger")),
        (420, "0.075", []),
    ],
    "falling from warn to watch ends the alert, and watch is not told after it": [
        (0, "0.14", []),
        (60, "0.14", told(FIRED, "warn")),
        (120, "0.2", []),
        (240, "0.2", []),
        (360, "0.2", []),
        (420, "0.2", told(RESOLVED, "warn")),
        (480, "0.2", []),
        (540, "0.14", []),
        (600, "0.14", told(FIRED, "warn")),
    ],
    "nobody looking for longer than blind cannot have seen it clear": [
        (0, "0.07", []),
        (60, "0.07", told(FIRED, "danger")),
        (120, "0.3", []),
        (900, "0.3", []),
        (1000, "0.3", []),
        (1100, "0.3", []),
        (1200, "0.3", told(RESOLVED, "danger")),
    ],
}


@pytest.mark.parametrize("timeline", TIMELINES.values(), ids=TIMELINES.keys())
def test_the_ladder_tells(timeline):
    watching = Watching()
    assert [(at, watching.at(at, distance)) for at, distance, _ in timeline] == [(at, tell) for at, _, tell in timeline]


def test_a_danger_that_is_back_after_money_was_added_is_told_again_at_once_and_once():
    """ "Added, now 9.5 %, nothing to do" was the last that its owner had heard of it (simulation, seed 14278)."""
    watching = Watching()
    assert [watching.at(at_s, "0.07") for at_s in (0, 10)] == [[], told(FIRED, "danger")]
    watching.lives[KEY] = replace(watching.lives[KEY], last_top_up_at=T0 + timedelta(seconds=12))
    assert [watching.at(at_s, "0.095") for at_s in (20, 40)] == [[], []]  # Better, and not clear of its rung.
    assert [watching.at(at_s, "0.07") for at_s in (60, 70)] == [told(REPEATED, "danger"), []]


def test_a_danger_after_a_top_up_whose_time_a_clock_that_was_set_back_has_not_reached_is_not_told_in_every_cycle():
    watching = Watching()
    assert [watching.at(at_s, "0.07") for at_s in (0, 10)] == [[], told(FIRED, "danger")]
    watching.lives[KEY] = replace(watching.lives[KEY], last_top_up_at=T0 + timedelta(hours=1))
    assert [watching.at(at_s, "0.07") for at_s in (20, 25, 30)] == [[], [], []]


def test_an_alert_keeps_its_id_from_fired_to_resolved_and_the_next_has_another():
    watching, ids = Watching(), []
    for at_s, distance in [
        (0, "0.03"),
        (120, "0.03"),
        (180, "0.3"),
        (280, "0.3"),
        (380, "0.3"),
        (480, "0.3"),
        (500, "0.03"),
    ]:
        watching.at(at_s, distance)
        ids += [(alert.event.value, alert.alert_id) for alert in watching.last.alerts]
    assert [event for event, _ in ids][0 :: len(ids) - 1] == [FIRED, FIRED]
    assert len({one for _, one in ids[:-1]}) == 1
    assert ids[-1][1] != ids[0][1]


def test_a_written_for_is_waited_out_and_told_with_the_first_read_after_it():
    watching = Watching(rules=[rule(top_up=None, ladder=ladder(warn=timedelta(minutes=10)))])
    # Watch has no `for` and is told first. Danger comes and goes meanwhile: it is two reads at most and must not reset what warn has waited.
    swing = {at: "0.07" if at // 60 % 2 else "0.14" for at in range(0, 601, 60)}
    told_at = [at for at, distance in swing.items() if ("alert", ESCALATED, "warn") in watching.at(at, distance)]
    assert told_at == [600]


def test_a_restart_between_two_reads_changes_nothing():
    plain, restarted = Watching(), Watching()
    for at_s, distance in [
        (0, "0.07"),
        (60, "0.07"),
        (120, "0.03"),
        (240, "0.3"),
        (340, "0.3"),
        (440, "0.3"),
        (540, "0.3"),
    ]:
        expected = plain.at(at_s, distance)
        kept, lives = restarted.states, restarted.lives
        restarted = Watching()
        restarted.states, restarted.lives = kept, lives
        assert restarted.at(at_s, distance) == expected


def test_a_clock_that_steps_back_neither_silences_nor_delays():
    watching = Watching()
    assert watching.at(7200, "0.03") == told(FIRED, "critical")
    assert watching.at(60, "0.03") == told(REPEATED, "critical")
    assert watching.at(120, "0.03") == []
    assert watching.at(180, "0.03") == told(REPEATED, "critical")


def test_a_clock_that_steps_back_while_a_danger_waits_costs_one_more_read():
    watching = Watching()
    assert [watching.at(at, "0.07") for at in (7200, 60, 65)] == [[], [], told(FIRED, "danger")]


def test_a_row_that_contradicts_itself_does_not_make_a_danger_smaller():
    watching = Watching()
    watching.at(0, "0.07")
    watching.at(60, "0.07")
    gap = Gap(subject=str(KEY), reason="two answers name two sizes", key=KEY)
    watching.see(120, isolated("0.3"), gaps=[gap])
    assert watching.last.positions[0].level is Level.DANGER
    assert watching.last.positions[0].reason == "two answers name two sizes; it was at danger when last seen"
    for at_s in (220, 320, 420, 520):
        assert ("alert", RESOLVED, "danger") not in watching.see(at_s, isolated("0.3"), gaps=[gap])


def test_an_isolated_position_that_became_cross_is_told_by_its_pool_from_then_on():
    watching = Watching()
    watching.at(0, "0.03")
    assert ("alert", RESOLVED, "critical") in watching.see(60, cross(symbol=BTC), available=9000)
    assert watching.see(120, cross(symbol=BTC), available=9000) == []


def test_sigmas_raise_a_level_up_to_warn():
    watching = Watching()
    watching.at(0, "0.3", sigmas=3.5)
    assert watching.at(60, "0.3", sigmas=3.5) == told(FIRED, "warn")
    assert watching.last.positions[0].reason == "3.5 sigmas is at or below warn 4"


def test_sigmas_that_go_missing_do_not_clear_what_they_raised():
    watching = Watching()
    watching.at(0, "0.3", sigmas=3.5)
    watching.at(60, "0.3", sigmas=3.5)
    assert [watching.at(at, "0.3") for at in range(120, 1200, 60)] == [[]] * 18
    for at in range(1200, 1500, 60):
        assert watching.at(at, "0.3", sigmas=8.0) == []
    assert watching.at(1500, "0.3", sigmas=8.0) == told(RESOLVED, "warn")


def test_sigmas_that_are_not_known_are_said_so_and_are_no_zero():
    watching = Watching()
    watching.at(0, "0.3")
    assert watching.last.positions[0].level is Level.OK
    assert watching.last.positions[0].reason == "distance 30 % is above every rung; sigmas are not known"


def test_missing_data_never_ends_a_danger_and_is_a_worry_of_its_own():
    watching = Watching()
    gap = Gap(subject=str(KEY), reason="markPrice is 'NaN'", key=KEY)
    watching.at(0, "0.07")
    assert watching.at(60, "0.07") == told(FIRED, "danger")
    assert watching.see(120, gaps=[gap]) == []
    assert watching.last.level is Level.DANGER
    assert watching.see(180, gaps=[gap]) == told(FIRED, "unknown")
    for at in range(240, 1800, 60):
        assert watching.see(at, gaps=[gap]) == []
    assert watching.see(1860, gaps=[gap]) == told(REPEATED, "danger")
    assert "NaN" in watching.last.alerts[0].reason
    # Seen again, and far away: the worry ends after two reads, the danger after its five minutes.
    assert [watching.at(at, "0.3") for at in (1920, 1980)] == [[], told(RESOLVED, "unknown")]
    assert [watching.at(at, "0.3") for at in (2080, 2180, 2280)] == [[], [], told(RESOLVED, "danger")]


def test_a_position_that_is_absent_without_proof_stays_as_it_was():
    watching = Watching()
    watching.at(0, "0.07")
    watching.at(60, "0.07")
    watching.see(120)
    assert watching.last.level is Level.DANGER
    assert watching.see(180) == told(FIRED, "unknown")
    assert watching.last.alerts[0].reason == "not listed, and not proven gone"
    assert remembered_positions(memory(alerts=watching.states)) == {KEY}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([(0, "0.3"), (60, "0.3")], []),
        ([(0, "0.14"), (60, "0.14")], [("vanished", ESCALATED, "warn")]),
        ([(0, "0.03")], [("vanished", ESCALATED, "critical")]),
        ([(0, "0.3"), (60, "0.07")], [("vanished", FIRED, "danger")]),
        ([(0, "0.2"), (60, "0.2")], [("alert", RESOLVED, "watch")]),
    ],
    ids=["from ok: nothing", "from warn", "from critical", "on its way to danger", "from watch"],
)
def test_a_position_that_is_gone_is_told_as_gone_where_it_stood_badly(seen, expected):
    watching = Watching()
    for at_s, distance in seen:
        watching.at(at_s, distance)
    assert watching.see(120, ended=[KEY]) == expected
    assert watching.see(180) == []
    assert watching.states == () or all(KEY.symbol not in state.subject for state in watching.states)


def test_a_cross_pool_is_told_once_and_its_positions_have_its_level():
    watching = Watching()
    held = [cross(symbol=BTC), cross(symbol=ETH)]  # 20,000 notional on 2,000: all together 9 % from the end.
    assert watching.see(0, *held, available=2000) == []
    assert watching.see(60, *held, available=2000) == told(FIRED, "warn")
    assert watching.last.alerts[0].pool.figures.name == "USDT cross"
    assert [row.level for row in watching.last.positions] == [Level.WARN, Level.WARN]
    assert watching.last.positions[0].reason.startswith("USDT cross: distance ")


def test_a_cross_position_that_vanishes_from_a_pool_in_danger_is_told():
    watching = Watching()
    held = [cross(symbol=BTC), cross(symbol=ETH)]
    watching.see(0, *held, available=1500)
    watching.see(60, *held, available=1500)
    gone = PositionKey(ETH, Side.LONG)
    assert ("vanished", FIRED, "danger") in watching.see(120, held[0], available=1500, ended=[gone])


def test_a_gap_between_the_two_models_is_told_and_does_not_hide_the_ladder():
    watching = Watching()
    theirs = Liquidation(kind=LiquidationKind.AT, price=isolated("0.3").mark_price * 7 / 10 - 200)
    seen = isolated("0.3", exchange_liquidation=theirs)  # 2 % of mark on a distance of 30 %: a share of 6.7 %.
    assert watching.see(0, seen) == watching.see(60, seen) == []
    closer = isolated("0.12", exchange_liquidation=Liquidation(kind=LiquidationKind.AT, price=PRICE_AT_14))
    watching.see(120, closer)
    assert sorted(watching.see(180, closer)) == [("alert", FIRED, "warn"), ("model_gap", FIRED, "warn")]


def mark_of(index_price, price="10000"):
    index_price = None if index_price is None else Decimal(index_price)
    return Mark(symbol=BTC, price=Decimal(price), at=T0, index_price=index_price)


def test_a_mark_far_from_its_index_is_told_and_its_end_too_whatever_else_is_read():
    watching = Watching()
    held = isolated("0.5")
    assert watching.see(0, held, live=[mark_of("9850")]) == []  # 1.5 %.
    assert watching.see(60, held, live=[mark_of("9700")]) == []  # 3.1 %, once.
    assert watching.see(66, held, live=[mark_of("9700")], fresh=False) == told(FIRED, "warn")
    assert "3.09 % above its index 9700" in watching.last.alerts[0].reason
    assert watching.see(70, held, live=[mark_of(None)]) == watching.see(80, held) == []
    for at in range(90, 390, 60):
        assert watching.see(at, held, live=[mark_of("10050")]) == []
    assert watching.see(390, held, live=[mark_of("10050")]) == told(RESOLVED, "warn")


def test_a_live_mark_beside_an_old_reading_raises_and_never_lowers_and_spends_nothing():
    watching = Watching(rules=[rule()])
    assert watching.see(0, isolated("0.5")) == []
    critical = watching.see(100, isolated("0.03"), read_at_s=0, fresh=False, live=[mark_of(None)])
    assert critical == [*told(FIRED, "critical", kind="stale"), *told(FIRED, "critical")]
    reason = watching.last.alerts[1].reason
    assert reason.endswith("by a live mark and positions that were read 100 s ago")
    assert watching.last.top_ups == ()
    for at in range(160, 1000, 60):
        events = watching.see(at, isolated("0.5"), read_at_s=0, fresh=False, live=[mark_of(None)])
        assert RESOLVED not in {event for _, event, _ in events}


def test_without_a_live_mark_an_old_reading_raises_nothing():
    watching = Watching()
    watching.see(0, isolated("0.5"))
    assert "alert" not in {kind for kind, _, _ in watching.see(100, isolated("0.03"), read_at_s=0, fresh=False)}


def test_of_a_position_that_is_gone_one_message_asks_for_a_look_and_its_worries_only_end():
    watching = Watching()
    closer = isolated("0.12", exchange_liquidation=Liquidation(kind=LiquidationKind.AT, price=PRICE_AT_14))
    watching.see(0, closer)
    watching.see(60, closer)
    watching.see(120, ended=[KEY])
    reasons = {alert.kind.value: alert.reason for alert in watching.last.alerts}
    assert reasons == {
        "vanished": "position is gone: closed, liquidated or ADL; check",
        "model_gap": "position is gone",
    }


@settings(deadline=None)  # How long it takes is the machine's affair.
@given(st.lists(st.sampled_from(["0.079", "0.081", "0.099", "0.101"]), min_size=2, max_size=60))
def test_a_distance_that_trembles_round_a_rung_never_flaps(distances):
    watching = Watching()
    events = [event for at, distance in enumerate(distances) for event in watching.at(at * 10, distance)]
    # Ten minutes of trembling below warn's clear level end nothing, and are told under one id.
    assert not any(event[1] == RESOLVED for event in events)
    assert sum(event[1] == FIRED for event in events) <= 1


@given(st.lists(st.sampled_from(["0.02", "0.05", "0.1", "0.2", "0.4"]), min_size=1, max_size=40), st.integers(5, 90))
def test_a_danger_that_lasts_is_told_within_its_for_plus_one_cycle(distances, cycle_s):
    watching = Watching()
    reached_since = {}
    for index, distance in enumerate(distances):
        watching.at(index * cycle_s, distance)
        level = instant_level(Decimal(distance), None, ladder())[0]
        for rung in (Level.WARN, Level.DANGER, Level.CRITICAL):
            if level < rung:
                reached_since.pop(rung, None)
                continue
            since = reached_since.setdefault(rung, index)
            if index - since >= (0 if rung is Level.CRITICAL else 1):
                state = next(one for one in watching.states if one.subject == f"position {KEY}")
                assert state.told_level is not None
                assert state.told_level >= rung


def test_every_state_that_is_idle_is_the_same_after_a_quiet_cycle():
    watching = Watching()
    watching.at(0, "0.4")
    before = watching.states
    watching.at(60, "0.41")
    assert watching.states == before
    assert before[0].since == T0
