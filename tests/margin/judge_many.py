"""The long run of the oracle: many made pools, each solved by the model and by the slow judge.

    PYTHONPATH=. python tests/margin/judge_many.py --pools 100000 [--first 0]

Prints how many pools were tried, what they had to offer, and the worst relative difference; exits 1 on any fault.
"""
# ruff: noqa: T201  # A script prints.

import argparse
import sys
from collections import Counter
from fractions import Fraction

from made_pools import any_distance, any_pool, source_of
from trial import trial_of

from guard.margin import obstacle_of


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--pools", type=int, default=1000)
    asked.add_argument("--first", type=int, default=0, help="number of the first pool")
    options = asked.parse_args()
    worst, answers, discarded, at_fault = Fraction(0), Counter(), 0, 0
    for number in range(options.first, options.first + options.pools):
        source = source_of(number)
        pool, distance = any_pool(source), any_distance(source)
        discarded += obstacle_of(pool) is not None
        trial = trial_of(pool, distance)
        worst = max(worst, trial.worst)
        answers.update(trial.answers)
        at_fault += bool(trial.faults)
        for fault in trial.faults:
            print(f"pool {number}: {fault}")
    offered = ", ".join(f"{answer} {count}" for answer, count in sorted(answers.items()))
    print(f"pools tried {options.pools}, discarded {discarded}, at fault {at_fault}; answers: {offered}")
    print(f"worst relative difference {float(worst):.1e}")
    return 1 if at_fault else 0


if __name__ == "__main__":
    sys.exit(main())
