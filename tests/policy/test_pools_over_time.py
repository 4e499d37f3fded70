"""What is told of a cross pool and of its positions over time, and what is kept of those that are not seen."""

from datetime import timedelta
from decimal import Decimal

from policy_worlds import BTC, ETH, KEY, T0, Watching, cross, isolated, judged, life, row

from guard.policy.terms import Level
from guard.snapshot import Gap, MarginMode, Mark, PositionKey, Side

ETH_KEY = PositionKey(ETH, Side.LONG)
PAIR = cross(symbol=BTC), cross(symbol=ETH)  # 20,000 of notional on one wallet.
POOL = "USDT cross"


def in_danger():
    """Watch a pool of two that was told at danger."""
    watching = Watching()
    assert [watching.see(at, *PAIR, available=1500) for at in (0, 60)] == [[], [("alert", "fired", "danger")]]
    return watching


def kept(watching):
    return {state.subject: (state.level, state.since) for state in watching.states}


def test_the_level_in_force_of_a_pool_is_said_and_repeated_after_it_eased():
    watching = in_danger()
    told = {at: watching.see(at, *PAIR, available=2150) for at in range(120, 1921, 60)}
    assert {at: events for at, events in told.items() if events} == {1860: [("alert", "repeated", "danger")]}
    watching = in_danger()
    watching.see(1860, *PAIR, available=2150)
    assert watching.last.alerts[0].reason.startswith("distance 9.8")
    assert watching.last.alerts[0].reason.endswith(" is at or below warn 15 %; was at danger")


def test_a_live_mark_of_one_of_its_positions_and_of_no_other_speaks_for_a_pool():
    def reasons(symbol):
        watching = Watching()
        watching.see(0, *PAIR, isolated(symbol="SOL/USDT:USDT"), available=9000)
        live = [Mark(symbol=symbol, price=Decimal(10_000), at=T0, index_price=None)]
        watching.see(100, *PAIR, isolated(symbol="SOL/USDT:USDT"), available=700, read_at_s=0, fresh=False, live=live)
        return [alert.reason for alert in watching.last.alerts if alert.pool is not None]

    (reason,) = reasons(ETH)
    assert reason.endswith("by a live mark and positions that were read 100 s ago")
    assert reasons("SOL/USDT:USDT") == []


def test_each_cross_position_is_kept_at_its_pools_level_since_that_began():
    watching = Watching()
    alone = isolated(symbol="SOL/USDT:USDT")
    watching.see(0, alone, *PAIR, available=9000)
    watching.see(60, alone, *PAIR, available=9000)
    assert [kept(watching)[f"position {key}"] for key in (KEY, ETH_KEY)] == [(Level.OK, T0)] * 2
    for at in (120, 180, 240):
        watching.see(at, alone, *PAIR, available=1500)
    began = T0 + timedelta(seconds=180)
    assert [kept(watching)[f"position {key}"] for key in (KEY, ETH_KEY)] == [(Level.DANGER, began)] * 2


def test_the_alert_of_a_position_that_became_cross_ends_with_the_reason_and_the_position_as_it_is():
    watching = Watching()
    watching.at(0, "0.03")
    watching.see(60, cross(symbol=BTC), available=9000)
    (end,) = [alert for alert in watching.last.alerts if alert.event == "resolved"]
    assert end.reason == "it is cross now: its pool tells for it"
    assert end.position == watching.last.positions[0]
    assert (end.key, end.margin_mode) == (KEY, MarginMode.CROSS)


def test_a_pool_whose_last_position_is_proven_gone_is_told_as_left_and_forgotten():
    watching = in_danger()
    watching.see(120, ended=[KEY, ETH_KEY], wallets=())
    end = watching.last.alerts[-1]
    assert (end.kind, end.event, end.level) == ("vanished", "escalated", Level.DANGER)
    assert end.reason == f"no cross position is left in {POOL}; check"
    assert watching.states == ()


def test_a_pool_is_not_told_as_left_while_one_of_its_positions_may_be_open():
    watching = in_danger()
    watching.see(120, ended=[KEY], wallets=())
    assert not any("no cross position is left" in alert.reason for alert in watching.last.alerts)
    assert kept(watching)[f"pool {POOL}"][0] is Level.DANGER
    # Others that are open say nothing of it, and do not keep it when all of its own are gone.
    watching.see(180, isolated(symbol="SOL/USDT:USDT"), ended=[ETH_KEY], wallets=())
    assert any("no cross position is left" in alert.reason for alert in watching.last.alerts)


def test_a_position_that_stood_well_is_missed_as_well():
    watching = Watching()
    watching.see(0, cross(symbol=BTC), available=9000)
    watching.see(60, available=9000)
    assert watching.last.level is Level.UNKNOWN
    assert watching.see(120, available=9000) == [("alert", "fired", "unknown")]
    assert watching.last.level is Level.UNKNOWN
    assert watching.last.alerts[0].reason == "not listed, and not proven gone"


def test_a_danger_that_is_not_seen_is_repeated_with_how_it_stood_and_no_other_subjects_gap():
    watching = Watching()
    watching.at(0, "0.07")
    watching.at(60, "0.07")
    gaps = [Gap(subject="ETH funding", reason="timed out"), Gap(subject=str(ETH_KEY), reason="no", key=ETH_KEY)]
    watching.see(1860, gaps=gaps)
    (again,) = [alert for alert in watching.last.alerts if alert.event == "repeated"]
    assert again.reason == "not seen now; it was at danger when last seen"


def test_an_account_is_as_bad_as_its_worst_and_well_where_nothing_is_wrong():
    watching = Watching()
    watching.at(0, "0.5")
    assert watching.last.level is Level.OK
    watching.see(60, isolated("0.5"), gaps=[Gap(subject="BTC funding", reason="timed out")])
    assert watching.last.level is Level.OK
    watching.see(120, isolated("0.5"), gaps=[Gap(subject=str(ETH_KEY), reason="makes no sense", key=ETH_KEY)])
    assert watching.last.level is Level.UNKNOWN
    watching.see(
        180, isolated("0.5"), ended=[ETH_KEY], gaps=[Gap(subject=str(ETH_KEY), reason="makes no sense", key=ETH_KEY)]
    )
    assert watching.last.level is Level.OK


def test_data_that_gets_old_is_told_with_its_age():
    watching = Watching()
    watching.at(0, "0.5")
    assert watching.see(16, isolated("0.5"), read_at_s=0, fresh=False) == [("stale", "fired", "warn")]
    assert watching.last.alerts[0].reason == "nothing was read for 16 s"


def test_only_what_is_seen_for_the_first_time_is_a_new_life():
    assert judged(isolated(), lives=[life()]).new_lives == ()
    assert [one.key for one in judged(isolated(), lives=[]).new_lives] == [KEY]


def test_a_position_without_candles_says_so_of_itself():
    gap = row(judged(isolated())).outlook.gap
    assert (gap.key, gap.subject) == (KEY, f"{KEY} outlook")
