"""The real daemon, thousands of virtual seconds, faults at every boundary: no seed breaks an invariant."""

import pytest
from run import play_quietly, replay_command

SEEDS_PER_TEST = 20


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(0, 120, SEEDS_PER_TEST))
def test_no_schedule_of_faults_breaks_an_invariant(first):
    for seed in range(first, first + SEEDS_PER_TEST):
        violations = play_quietly(seed).violations
        assert not violations, f"{violations[0]}\nplay it again: {replay_command(seed)}"


# Each of these once broke what its sentence says; the fixes are in the history of the files that it names.
FOUND = {
    0: "an old answer, and two that contradict each other, flipped a position (daemon/continuity.py)",
    48: "a heartbeat went out after a pause of a minute and a half (daemon/watch.py)",
    17: "a channel that worked again waited up to a quarter of an hour for its messages (notify/delivery.py)",
    80: "messages and quiet channels waited for as long as the clock had stepped (notify/delivery.py, daemon/tell.py)",
    118: "two senders did not know that the far side had asked for quiet (notify/quiet.py)",
    148: "margin moved, the clock was set right, and its entry was not found (venues/binance_margin.py)",
    152: "margin moved, the clock stepped, and its entry was not found (venues/binance_margin.py)",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", FOUND)
def test_a_seed_that_once_broke_an_invariant_stays_whole(seed):
    assert play_quietly(seed).violations == (), f"{FOUND[seed]}\nplay it again: {replay_command(seed)}"
