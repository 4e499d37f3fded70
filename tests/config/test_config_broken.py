"""Broken configs and what exactly each one prints: broken/NAME.toml and broken/NAME.txt."""

from pathlib import Path

import pytest

from guard.config import load
from guard.errors import ConfigError

BROKEN = Path(__file__).parent / "broken"
ACCOUNTS = ("FAST", "MAIN", "SLOW", "SPARE", "THIRD")
ENVIRONMENTS = {
    "keys_missing": {},
    "nothing": {},
    "environment": {
        "GUARD_ACCOUNTS__MIAN__API_KEY": "canary-word",
        "GUARD_ACCOUNTS__MAIN__SECRET": " ",
        "GUARD_ACCOUNTS__MAIN__API_KEY": "canary-word",
        "GUARD_ACCOUNTS__MAIN__API_KEY_FILE": "/etc/hostname",
        "GUARD_ACCOUNTS__MAIN__POLL_INTERVAL__CALM": "90",
        "GUARD_TELEGRAM_TOKEN": "canary-word",
        "GUARD_MODE": "on",
        "GUARD_CONFIG": "somewhere.toml",  # Names the file and is no option.
        "GUARDIAN": "not ours",
    },
}


def environment(name, text):
    """Give every account of the file its keys, so that only the fault in question is left."""
    if name in ENVIRONMENTS:
        return ENVIRONMENTS[name]
    accounts = [account for account in ACCOUNTS if f"[accounts.{account.lower()}]" in text]
    return {f"GUARD_ACCOUNTS__{account}__{key}": "k" for account in accounts for key in ("API_KEY", "SECRET")}


@pytest.mark.parametrize("name", sorted(path.stem for path in BROKEN.glob("*.toml")))
def test_a_broken_config_prints_every_problem_with_its_place(name, monkeypatch):
    monkeypatch.chdir(BROKEN)
    config = Path(f"{name}.toml")
    with pytest.raises(ConfigError) as refused:
        load(config, environ=environment(name, config.read_text()))
    printed = "\n".join(refused.value.problems) + "\n"
    assert printed == Path(f"{name}.txt").read_text()
    assert "canary" not in printed


def test_there_are_more_than_ten_broken_configs():
    assert len(list(BROKEN.glob("*.txt"))) > 10
