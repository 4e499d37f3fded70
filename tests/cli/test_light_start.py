"""What only some commands need is imported by those, when they run: `--help` is quick and the daemon small."""

import re
import subprocess
import sys

import pytest

HEAVY = ("numpy", "PIL")


def _imported(*words):
    """Return the top-level names of all modules that Python imports for a command line."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", *words], capture_output=True, text=True, timeout=50, check=True
    )
    return set(re.findall(r"^import time:[^|]*\|[^|]*\|\s*(\w+)", ended.stderr, re.MULTILINE))


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "guard", "--help"),
        ("-m", "guard", "run", "--help"),
        ("-c", "import guard.cli.run, guard.daemon.service, guard.daemon.watch, guard.daemon.report, guard.venues"),
    ],
    ids=" ".join,
)
def test_neither_help_nor_the_daemon_imports_what_only_stress_needs(words):
    imported = _imported(*words)

    assert "guard" in imported
    assert imported.isdisjoint(HEAVY)


def test_an_import_of_numpy_is_noticed():
    assert "numpy" in _imported("-c", "import guard.outlook.scenarios")
