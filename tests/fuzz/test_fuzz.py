"""A share of the fuzzing that `python tests/fuzz/run_fuzz.py` does at length. A failure prints the command that plays it again."""

import itertools
import logging
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import structlog
import wire_fuzz
from config_fuzz import ConfigFuzz
from payload_fuzz import KINDS, PayloadFuzz
from wire_fuzz import WireFuzz
from wire_worlds import EXCHANGES

from guard.venues import bybit_margin, bybit_reads, write_answers

PAYLOADS_FOR_S, CONFIGS_FOR_S = 12.0, 6.0  # Of processor time: a busy machine tries fewer, and the same ones first.
PAYLOADS_MIN, CONFIGS_MIN = 300, 60
WIRE_FOR_S, WIRE_MIN = 1.2, 300  # Of each exchange.


@pytest.fixture(autouse=True)
def _silence():
    """Keep what is logged of thousands of broken answers out of the way."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    structlog.configure(**before)


def test_no_odd_answer_stops_the_guard_hides_a_danger_or_moves_money_that_it_should_not(tmp_path):
    fuzz, wrong, until = PayloadFuzz(tmp_path, deep_every=2), [], time.process_time() + PAYLOADS_FOR_S
    for seed in itertools.count():
        if seed >= PAYLOADS_MIN and time.process_time() >= until:
            break
        case = fuzz.play(seed)
        wrong += [f"python tests/fuzz/run_fuzz.py --payload {seed}: {text}" for text in case.wrong]
    fuzz.close()
    assert {name.partition(":")[0] for name in fuzz.counts} == set(KINDS)
    assert fuzz.counts["added: applied"]
    assert not wrong, "\n".join(wrong[:5])


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_no_odd_answer_of_any_exchange_hides_a_position_makes_up_a_figure_or_is_taken_for_moved_money(exchange):
    fuzz, wrong, until = WireFuzz(exchange), [], time.process_time() + WIRE_FOR_S
    for seed in itertools.count():
        if seed >= WIRE_MIN and time.process_time() >= until:
            break
        again = f"python tests/fuzz/run_fuzz.py --exchange {exchange} --payload {seed}"
        wrong += [f"{again}: {text}" for text in fuzz.play(seed).wrong]
    fuzz.close()
    assert {name.partition(":")[0] for name in fuzz.counts} == set(wire_fuzz.KINDS)
    assert fuzz.counts["add: applied"]
    assert fuzz.counts["snapshot: read with gaps"]
    assert not wrong, "\n".join(wrong[:5])


def _without_gaps(rows, terms):
    return _TRULY_READ(rows, terms)[0], ()


async def _believed(send, request, answers):
    with suppress(Exception):
        await send()
    return "yes"


async def _sent_twice(send, request, answers):
    with suppress(Exception):
        await send()
    return await _TRULY_JUDGED(send, request, answers)


_TRULY_READ, _TRULY_JUDGED = bybit_reads.read_positions, write_answers.judge_write


@pytest.mark.parametrize(
    ("place", "name", "planted", "found"),
    [
        (bybit_reads, "read_positions", _without_gaps, "is gone without a word"),
        (bybit_margin, "judge_write", _believed, "applied without evidence"),
        (bybit_margin, "judge_write", _sent_twice, "2 requests that move money"),
    ],
)
def test_the_fuzzing_finds_what_is_planted(monkeypatch, place, name, planted, found):
    fuzz = WireFuzz("bybit")
    monkeypatch.setattr(place, name, planted)
    said = [text for seed in range(WIRE_MIN) for text in fuzz.play(seed).wrong]
    fuzz.close()
    assert any(found in text for text in said), said[:3]


def test_no_odd_config_ends_in_anything_but_settings_or_clear_lines_without_secrets(tmp_path):
    fuzz, wrong, until = ConfigFuzz(tmp_path), [], time.process_time() + CONFIGS_FOR_S
    for seed in itertools.count():
        if seed >= CONFIGS_MIN and time.process_time() >= until:
            break
        wrong += [f"python tests/fuzz/run_fuzz.py --config {seed}: {text}" for text in fuzz.play(seed).wrong]
    assert fuzz.counts["loaded"]
    assert not wrong, "\n".join(wrong[:5])


@pytest.mark.parametrize("seed", [3, 18, 40])
def test_a_refused_config_is_exit_78_without_a_traceback(tmp_path, seed):
    fuzz = ConfigFuzz(tmp_path)
    case = fuzz.play(seed)
    assert case.outcome == "refused"
    ran = subprocess.run(
        [sys.executable, "-m", "guard", "check", "-c", str(tmp_path / "c.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 78
    assert "Traceback" not in ran.stderr
    assert ran.stderr.strip().splitlines()[-1] in case.said
