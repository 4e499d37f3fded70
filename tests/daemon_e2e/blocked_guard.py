"""The daemon of `guard run` with a bug in it: SIGUSR1 makes its event loop stand still. For test_e2e_stall.py.

    python blocked_guard.py CONFIG

The watch beside the loop waits 20 ticks of 0.1 s here, not 120 of a second.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from guard import logs
from guard.config import load
from guard.daemon.service import Service
from guard.daemon.stuck import ended_when_stuck


def a_bug_that_blocks() -> None:
    time.sleep(60)


async def main(config: Path) -> None:
    settings = load(config, environ={})
    logs.configure("info", secrets=settings.secrets(), fmt="json", environ={})
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, a_bug_that_blocks)
    async with ended_when_stuck(tick_s=0.1, ticks_max=20):
        await Service(settings, os.environ).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
