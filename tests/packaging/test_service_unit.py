"""The systemd unit, as far as its text and systemd's own tools tell; test_real_boot.py boots it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd/guard.service"
EXPOSURE_MAX = 1.5


def settings(text: str) -> dict[str, list[str]]:
    """Return each key's values in order."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def verify(text: str, folder: Path) -> str:
    """Return what `systemd-analyze verify` says of a unit; it ends with 0 even for unknown keys. Skips without it."""
    (folder / "guard.service").write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    judged = systemd_analyze("verify", str(folder / "guard.service"))
    return judged.stdout + judged.stderr


def exposure(path: Path) -> float:
    judged = systemd_analyze("security", "--offline=true", str(path))
    found = re.search(r"exposure level for guard.service: ([0-9.]+)", judged.stdout)
    assert found, judged.stderr
    return float(found[1])


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run([command, *arguments], capture_output=True, text=True, check=False)


def test_systemd_knows_every_word_of_the_unit(tmp_path):
    assert verify(UNIT.read_text(), tmp_path) == ""


def test_a_misspelt_setting_is_noticed(tmp_path):
    assert "WatchdogSecs" in verify(UNIT.read_text().replace("WatchdogSec=", "WatchdogSecs="), tmp_path)


def test_the_sandbox_is_as_tight_as_promised():
    assert exposure(UNIT) <= EXPOSURE_MAX


def test_a_hole_in_the_sandbox_is_noticed(tmp_path):
    (tmp_path / "guard.service").write_text(UNIT.read_text().replace("CapabilityBoundingSet=\n", ""))

    assert exposure(tmp_path / "guard.service") > EXPOSURE_MAX


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("WatchdogSec", "180"),
        ("Restart", "always"),
        ("RestartPreventExitStatus", "2 78"),
        ("StartLimitIntervalSec", "0"),
        ("TimeoutStopSec", "30"),
        ("LimitCORE", "0"),
        ("DynamicUser", "yes"),
        ("StateDirectory", "guard"),
        ("SystemCallErrorNumber", "EPERM"),
        ("MemoryDenyWriteExecute", "yes"),
    ],
)
def test_the_unit_keeps_what_guard_counts_on(key, value):
    assert settings(UNIT.read_text())[key] == [value]


def test_the_unit_promises_no_reload():
    """Nothing reads the config a second time: `systemctl reload` must fail instead of seeming to work."""
    assert "ExecReload" not in settings(UNIT.read_text())


def test_every_setting_stands_in_a_block_that_says_why():
    blocks = UNIT.read_text().split("\n\n")[1:]

    assert [block for block in blocks if "#" not in block and not block.startswith("[Install]")] == []
