"""A loop that stands still cannot end itself: a thread beside it does, and whoever started guard starts it again.

systemd's watchdog does the same from outside; container engines restart what has ended, and leave alone what is ill.
"""

import asyncio
import faulthandler
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

EXIT_STUCK = 70
TICK_S = 1.0
TICKS_MAX = 120  # Ticks, not seconds: a process that is stopped or a machine that sleeps does not tick either.
THREAD_NAME = "loop watch"


@asynccontextmanager
async def ended_when_stuck(tick_s: float = TICK_S, ticks_max: int = TICKS_MAX) -> AsyncIterator[None]:
    """While the block runs, end the process if the loop does not come round for so many ticks; say where it stood."""
    beat, over = threading.Event(), threading.Event()
    watch = threading.Thread(target=_watch, args=(beat, over, tick_s, ticks_max), name=THREAD_NAME, daemon=True)
    beating = asyncio.create_task(_beat(beat, tick_s / 2), name=THREAD_NAME)
    watch.start()
    try:
        yield
    finally:
        over.set()
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


async def _beat(beat: threading.Event, every_s: float) -> None:
    while True:
        beat.set()
        await asyncio.sleep(every_s)


def _watch(beat: threading.Event, over: threading.Event, tick_s: float, ticks_max: int) -> None:
    missed = 0
    while not over.wait(tick_s):
        missed = 0 if beat.is_set() else missed + 1
        beat.clear()
        if missed >= ticks_max:
            faulthandler.dump_traceback()  # Names and lines of all threads, without values.
            os._exit(EXIT_STUCK)  # Nothing of this process can be waited for. The journal is made for it.
