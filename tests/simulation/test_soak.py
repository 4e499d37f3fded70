"""A short form of `python tests/simulation/soak.py --hours 72`: counts that must not grow, and no times."""

from soak import HOUR_S, soaking


def test_over_hours_of_faults_alerts_and_top_ups_nothing_of_the_daemon_grows():
    with soaking(seed=1, hours=2) as soak:
        soak.run_to(0.5 * HOUR_S)
        before = soak.measured()
        soak.run_to(1.5 * HOUR_S)
        after = soak.measured()
    assert after.requests > before.requests + 100
    assert after.posts > 0
    assert after.tasks <= before.tasks + 2
    assert after.timers <= before.timers + 3
    assert after.files <= before.files
    assert after.guards <= before.guards * 1.2 + 300
