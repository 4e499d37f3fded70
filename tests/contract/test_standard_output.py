"""Standard output as programs use it: any locale, readers that go away, disks that are full (design 4.1)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ACCOUNT = """
[[positions]]
symbol = "币安人生/USDT:USDT"
contract = "linear"
side = "long"
margin_mode = "isolated"
quantity = "1"
contract_size = "1"
entry_price = "100"
mark_price = "100"
isolated_wallet = "10"
[[positions.tiers]]
notional_floor = "0"
notional_cap = "50000"
maintenance_margin_rate = "0.01"
maintenance_amount = "0"
"""


def guard(*words: str, stdout: int | None = subprocess.PIPE, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "guard", *words],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=30,
        env={"PATH": os.environ["PATH"], **environ},
    )


@pytest.fixture
def account(tmp_path: Path) -> str:
    path = tmp_path / "account.toml"
    path.write_text(ACCOUNT, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_encoding_of_the_terminal_keeps_a_person_from_the_figures(account, encoding):
    answer = guard("calc", account, PYTHONIOENCODING=encoding)
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert b"90.91" in answer.stdout  # (100 - 10) / (1 - 0.01)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_the_json_of_a_symbol_in_any_script_is_whole_in_every_locale(account, encoding):
    answer = guard("calc", account, "--json", PYTHONIOENCODING=encoding)
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert json.loads(answer.stdout)["positions"][0]["symbol"] == "币安人生/USDT:USDT"


@pytest.mark.parametrize("words", [["schema"], ["calc", "ACCOUNT"], ["calc", "ACCOUNT", "--json"], ["--help"]])
def test_a_reader_that_has_gone_away_is_no_error_whatever_it_left_unread(account, words):
    read, write = os.pipe()
    os.close(read)
    try:
        answer = guard(*(account if word == "ACCOUNT" else word for word in words), stdout=write)
    finally:
        os.close(write)
    assert (answer.returncode, answer.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_answer_that_finds_no_room_is_not_called_a_bug():
    with Path("/dev/full").open("wb") as full:
        answer = guard("schema", stdout=full.fileno())
    assert answer.returncode == 69
    assert answer.stderr.splitlines() == [b"guard: standard output: No space left on device"]
