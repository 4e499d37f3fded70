"""The two commands of the README: what they install is locked, and .ci/run tries the one that is printed."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def command(marker: str) -> str:
    """Return the one line in the code block after a marker, by the same words that .ci/run uses."""
    awk = re.search(r"awk -v marker=.*? ('.*?') README\.md", (ROOT / ".ci/run").read_text())
    assert awk
    found = subprocess.run(
        ["awk", "-v", f"marker=<!-- {marker} -->", awk[1].strip("'"), "README.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


@pytest.mark.parametrize("marker", ["demo-command", "test-command"])
def test_a_readme_command_is_one_line_that_installs_by_hash(marker):
    line = command(marker)

    assert "\n" not in line
    assert line.startswith("python3 -m venv .venv && ")
    assert "--require-hashes -r .ci/" in line
    assert all((ROOT / lock).is_file() for lock in re.findall(r"-r (\S+)", line))


@pytest.mark.parametrize("marker", ["demo-command", "test-command"])
def test_a_readme_command_builds_guard_with_nothing_that_is_not_locked(marker):
    install_guard = re.search(r"pip install ([^&]*) \.(?: |$)", command(marker))

    assert install_guard
    assert {"--no-deps", "--no-build-isolation"} <= set(install_guard[1].split())


def test_ci_runs_the_printed_test_command():
    assert "pytest" in command("test-command")
    assert "readme_command test-command" in (ROOT / ".ci/run").read_text()


def test_without_the_marker_there_is_no_command():
    assert command("no-such-command") == ""
