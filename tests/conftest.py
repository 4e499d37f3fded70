"""What every test, and every process that a test starts, is spared from the shell it runs in."""

import os
import sys
from pathlib import Path

import structlog
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
from canary_scan import pytest_runtest_makereport, pytest_runtest_protocol

__all__ = ["pytest_runtest_makereport", "pytest_runtest_protocol"]

# Exported in many build images: then nothing compiled is kept and every process that imports ccxt takes seconds longer.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The developer's own guard (its config, its keys in the environment) is none of a test's business.
for _name in [name for name in os.environ if name.startswith("GUARD_")] + ["CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"]:
    os.environ.pop(_name, None)

# Where a test starts no command, nobody sets up logging: structlog's own draws every traceback with all local values,
# which takes seconds each and prints what the product never would (guard.logs: plain ones).
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# The same examples on every run, so that a red build is a change's own fault. `HYPOTHESIS_PROFILE=default` looks for new
# ones, and so do the long runs (tests/margin/judge_many.py, tests/simulation/run.py).
settings.register_profile("steady", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
