"""Fuzz what the exchange answers and what people write into the config, and say what came of it.

python tests/fuzz/run_fuzz.py --payloads 1000000 --seed 1       a long run: so many of each exchange
python tests/fuzz/run_fuzz.py --payloads 3000 --exchange okx    of one exchange
python tests/fuzz/run_fuzz.py --payloads 1000000 --minutes 60   as much of it as fits into an hour
python tests/fuzz/run_fuzz.py --configs 100000                  the same for config files
python tests/fuzz/run_fuzz.py --payload 4711 --exchange okx     one payload again: what was sent, what came of it
"""

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.with_name("venue_contract")), str(HERE.parents[1])]

import structlog  # noqa: E402
from config_fuzz import ConfigFuzz  # noqa: E402 - they are found by the line above.
from payload_fuzz import PayloadFuzz  # noqa: E402
from wire_fuzz import WireFuzz  # noqa: E402
from wire_worlds import EXCHANGES  # noqa: E402

CHUNK = 500
USDM = "binanceusdm"  # Decided on as well: its fuzzing came first, and goes deeper.


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payloads", type=int, default=0, help="how many answers of the exchange")
    parser.add_argument("--exchange", choices=(USDM, *EXCHANGES), help="of which; else all in turn")
    parser.add_argument("--configs", type=int, default=0, help="how many config files")
    parser.add_argument("--seed", type=int, default=1, help="the run's; each has cases of its own")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, help="end after so long, and say how many were played")
    parser.add_argument("--payload", type=int, help="play one payload again and show it")
    parser.add_argument("--config", type=int, help="load one config again and show it")
    asked = parser.parse_args()
    if asked.payload is not None or asked.config is not None:
        return _again(asked.payload, asked.config, asked.exchange or USDM)
    logging.disable(logging.CRITICAL)  # What the guard and ccxt log of broken answers would be all there is to read.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    until_s = time.monotonic() + 60 * asked.minutes if asked.minutes else float("inf")
    failed = 0
    for exchange in (asked.exchange,) if asked.exchange else (USDM, *EXCHANGES):
        play = partial(play_payloads, exchange)
        failed += _many(
            "payload", play, asked.payloads, seed=asked.seed, jobs=asked.jobs, until_s=until_s, exchange=exchange
        )
    failed += _many("config", play_configs, asked.configs, seed=asked.seed, jobs=asked.jobs, until_s=until_s)
    return 1 if failed else 0


def _again(payload: int | None, config: int | None, exchange: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        if payload is not None and exchange != USDM:
            one_answer = WireFuzz(exchange).play(payload)
            print(
                f"{one_answer.kind} of world {one_answer.world}, the answer to {one_answer.asked}, HTTP {one_answer.status}:"
            )
            print(f"{one_answer.raw[:3000]!r}\nchanged {one_answer.touched}: {one_answer.outcome} {one_answer.said}")
            wrong = one_answer.wrong
        elif payload is not None:
            fuzz = PayloadFuzz(Path(folder))
            case = fuzz.play(payload)
            print(f"{case.kind} of world {case.world}, HTTP {case.status}: {case.outcome}; changed {case.touched}")
            for name, raw in case.raw.items():
                print(f"{name}: {raw[:3000]!r}")
            wrong = case.wrong
        else:
            assert config is not None
            one = ConfigFuzz(Path(folder)).play(config)
            print(one.text.decode("utf-8", "replace")[:6000])
            print(one.said)
            wrong = one.wrong
    print("\n".join(f"WRONG: {line}" for line in wrong) or "nothing wrong")
    return 1 if wrong else 0


Results = tuple[Counter[str], list[tuple[int, str]]]


def play_payloads(exchange: str, seeds: Sequence[int]) -> Results:
    if exchange != USDM:
        wire = WireFuzz(exchange)
        wrong = [(seed, case.wrong[0]) for seed in seeds if (case := wire.play(seed)).wrong]
        wire.close()
        return wire.counts, wrong
    with tempfile.TemporaryDirectory() as folder:
        fuzz = PayloadFuzz(Path(folder))
        wrong = [(seed, case.wrong[0]) for seed in seeds if (case := fuzz.play(seed)).wrong]
        fuzz.close()
        return fuzz.counts, wrong


def play_configs(seeds: Sequence[int]) -> Results:
    with tempfile.TemporaryDirectory() as folder:
        fuzz = ConfigFuzz(Path(folder))
        wrong = [(seed, case.wrong[0]) for seed in seeds if (case := fuzz.play(seed)).wrong]
        return fuzz.counts, wrong


def _many(
    what: str, play: "object", count: int, *, seed: int, jobs: int, until_s: float, exchange: str | None = None
) -> int:
    if not count:
        return 0
    first = seed * 10_000_000
    chunks = [range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK)]
    started, counts, failed, done = time.monotonic(), Counter[str](), 0, 0
    with get_context("fork").Pool(jobs, maxtasksperchild=20) as pool:
        for found, wrong in pool.imap_unordered(play, chunks):  # type: ignore[arg-type]
            done += found.total()
            counts.update(found)
            failed += len(wrong)
            for one, text in wrong[:5]:
                again = f"--{what} {one}{f' --exchange {exchange}' if exchange else ''}"
                print(f"{what} {one}: {text}\n  again: python tests/fuzz/run_fuzz.py {again}", flush=True)
            if done % 5_000 < CHUNK:
                print(f"  {done} {what}s, {failed} wrong, {done / (time.monotonic() - started):.0f}/s", flush=True)
            if time.monotonic() > until_s:
                break
    took_s = time.monotonic() - started
    print(f"{exchange or ''} {what}s {done}, wrong {failed}, {done / took_s:.0f}/s in {took_s:.0f} s")
    print("\n".join(f"  {name:40} {number}" for name, number in sorted(counts.items())))
    return failed


if __name__ == "__main__":
    sys.exit(main())
