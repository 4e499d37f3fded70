"""A loop that stands still ends its process and says where; one that lives, or a whole process that stands, does not."""

import signal
import subprocess
import sys
import threading
import time

from guard.cli.run import _until_signal
from guard.daemon.stuck import EXIT_STUCK, THREAD_NAME, ended_when_stuck

PROGRAM = """
import asyncio, time
from guard.daemon.stuck import ended_when_stuck

def a_bug_that_blocks():
    time.sleep({blocks})

async def main():
    async with ended_when_stuck(tick_s=0.05, ticks_max=20):
        print("up", flush=True)
        await asyncio.sleep({lives})
        a_bug_that_blocks()

asyncio.run(main())
"""


def started(*, blocks: float, lives: float) -> subprocess.Popen[str]:
    code = PROGRAM.format(blocks=blocks, lives=lives)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_loop_that_stands_still_ends_the_process_and_says_where():
    with started(blocks=60, lives=0.1) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == EXIT_STUCK
    assert "a_bug_that_blocks" in said


def test_a_loop_that_comes_round_lives_on():
    with started(blocks=0, lives=3) as process:
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_process_that_was_stopped_as_a_whole_is_not_taken_for_stuck():
    with started(blocks=0, lives=3) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)  # Twice what a loop may stand still.
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=30)
    assert process.returncode == 0


async def test_the_watch_ends_with_its_block():
    async with ended_when_stuck(tick_s=0.01):
        (watch,) = (one for one in threading.enumerate() if one.name == THREAD_NAME)
    watch.join(timeout=10)
    assert not watch.is_alive()


async def test_guard_run_has_a_thread_beside_its_loop():
    class Service:
        async def run(self, _stop):
            self.threads = {thread.name for thread in threading.enumerate()}

    service = Service()
    await _until_signal(service)
    assert THREAD_NAME in service.threads
