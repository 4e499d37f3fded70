"""Play many seeds, or one again, and say what came of it.

python tests/simulation/run.py --seeds 100000 --jobs 2     a long run
python tests/simulation/run.py --seed 4711                 one seed again, with its trace
python tests/simulation/run.py --mutants                   the table of design mutants and what kills each
"""

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]

from design_mutants import MUTANTS  # noqa: E402 - they are found by the line above.
from simulation import Played, play  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="play one seed and print its trace")
    parser.add_argument("--seeds", type=int, default=100, help="how many to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=2, help="processes to play them in")
    parser.add_argument("--quiet", action="store_true", help="with --seed: no trace")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with --seed: play it with this mutant")
    parser.add_argument("--mutants", action="store_true", help="kill every mutant, trying at most --seeds for each")
    arguments = parser.parse_args()
    if arguments.mutants:
        return _kill_all(range(arguments.first, arguments.first + arguments.seeds), arguments.jobs)
    if arguments.seed is not None:
        with MUTANTS[arguments.mutant]() if arguments.mutant else nullcontext():
            return _one(arguments.seed, is_quiet=arguments.quiet)
    return _many(range(arguments.first, arguments.first + arguments.seeds), arguments.jobs)


def _one(seed: int, *, is_quiet: bool) -> int:
    played = play(seed, keep_trace=not is_quiet, is_loud=not is_quiet)
    print("\n".join(played.lines))
    print(f"seed {seed}: trace {played.trace_hash}, {played.counts}")
    for violation in played.violations:
        print(f"VIOLATED {violation}")
    return 1 if played.violations else 0


def _many(seeds: range, jobs: int) -> int:
    get_ready()
    started, counts, failed, done = time.monotonic(), Counter[str](), [], 0
    with get_context("fork").Pool(jobs, maxtasksperchild=200) as pool:
        for played in _those_played(pool.imap_unordered(_play_or_say_which, seeds)):
            done += 1
            counts.update(played.counts)
            if played.violations:
                failed.append(played.seed)
                print(f"seed {played.seed}: {played.violations[0]}\n  again: {replay_command(played.seed)}", flush=True)
            if done % 500 == 0:
                print(
                    f"  {done} seeds, {len(failed)} violations, {done / (time.monotonic() - started):.2f}/s", flush=True
                )
    took_s = time.monotonic() - started
    print(f"seeds {done}, violations {len(failed)}, {done / took_s:.2f} schedules/s in {took_s:.0f} s; {dict(counts)}")
    return 1 if failed else 0


@dataclass(frozen=True, kw_only=True)
class Killed:
    """How a mutant ended. `violation` None: it survived so many seeds."""

    mutant: str
    seed: int
    tried: int
    violation: str | None


def kill(mutant: str, seeds: Iterable[int]) -> Killed:
    """Play seeds with a mutant until an invariant breaks."""
    tried, seed = 0, -1
    for seed in seeds:
        tried += 1
        with MUTANTS[mutant]():
            played = play_quietly(seed)
        if played.violations:
            return Killed(mutant=mutant, seed=seed, tried=tried, violation=played.violations[0])
    return Killed(mutant=mutant, seed=seed, tried=tried, violation=None)


def _kill_all(seeds: range, jobs: int) -> int:
    get_ready()
    survivors = 0
    print(f"{'mutant':34} {'seed':>6} {'tried':>6}  killed by")
    with get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        for end in pool.imap_unordered(partial(kill, seeds=seeds), MUTANTS):
            survivors += end.violation is None
            print(f"{end.mutant:34} {end.seed:>6} {end.tried:>6}  {end.violation or 'SURVIVED'}", flush=True)
    return 1 if survivors else 0


def play_quietly(seed: int) -> Played:
    """Play a seed; what it leaves in cycles is collected now and not in the middle of it, nor of the next."""
    gc.disable()
    try:
        return play(seed)
    finally:
        gc.collect()
        gc.enable()


class HarnessBroke(Exception):
    """A seed could not be played to its end: the text names it. One text, so that it comes out of a worker."""


def _play_or_say_which(seed: int) -> Played:
    try:
        return play_quietly(seed)
    except Exception as error:  # noqa: BLE001 - handed on with its seed.
        raise HarnessBroke(f"seed {seed}: {error!r}") from None


def _those_played(results: Iterator[Played]) -> Iterator[Played]:
    """Yield what came of each seed; a fault of the harness counts against its seed, and the others go on."""
    while True:
        try:
            yield next(results)
        except StopIteration:
            return
        except HarnessBroke as broke:
            yield Played(seed=-1, violations=(f"harness: {broke}",), trace_hash="", counts={})


def get_ready() -> None:
    """Import and build once what every seed needs, and spare the collector all of it."""
    play_quietly(0)
    gc.freeze()


def replay_command(seed: int) -> str:
    return f"python tests/simulation/run.py --seed {seed}"


if __name__ == "__main__":
    sys.exit(main())
