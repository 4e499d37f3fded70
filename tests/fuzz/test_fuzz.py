"""A share of the fuzzing that `python tests/fuzz/run_fuzz.py` does at length. A failure prints the command that plays it again."""

import itertools
import logging
import subprocess
import sys
import time

import pytest
import structlog
from config_fuzz import ConfigFuzz
from payload_fuzz import KINDS, PayloadFuzz

PAYLOADS_FOR_S, CONFIGS_FOR_S = 12.0, 6.0  # Of processor time: a busy machine tries fewer, and the same ones first.
PAYLOADS_MIN, CONFIGS_MIN = 300, 60


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
