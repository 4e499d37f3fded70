"""The real daemon, thousands of virtual seconds, faults at every boundary: no seed breaks an invariant."""

import pytest
from run import play_quietly, replay_command

SEEDS = 160
SEEDS_PER_TEST = 20


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST))
def test_no_schedule_of_faults_breaks_an_invariant(first):
    for seed in range(first, first + SEEDS_PER_TEST):
        violations = play_quietly(seed).violations
        assert not violations, f"{violations[0]}\nplay it again: {replay_command(seed)}"
    print(f"seeds {first} to {first + SEEDS_PER_TEST - 1}: {SEEDS_PER_TEST} played, 0 violations")  # noqa: T201 - for CI.
