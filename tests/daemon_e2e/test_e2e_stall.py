"""An event loop that stands still: systemd hears no more, the process says where it stood and ends, the next one acts."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

from daemon_kit import BREACHED, NEEDED, guard, until, world

from guard.daemon.stuck import EXIT_STUCK


async def test_a_blocked_loop_starves_the_watchdog_says_where_it_stands_and_ends(tmp_path):
    heard = []
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(Path(folder) / "notify"))  # A short path: the kernel takes 107 bytes.
        systemd.setblocking(False)
        loop.add_reader(systemd, lambda: heard.append(systemd.recv(4096).decode()))
        fed = lambda: sum("WATCHDOG=1" in one for one in heard)  # noqa: E731
        async with world(tmp_path) as here:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(Path(__file__).with_name("blocked_guard.py")), str(here.config)),
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "NOTIFY_SOCKET": str(Path(folder) / "notify"), "WATCHDOG_USEC": "30000000"},
            )
            said = asyncio.create_task(process.communicate())
            try:
                await until("it is fed", lambda: fed() > 2, within_s=40)
                assert "READY=1" in heard
                process.send_signal(signal.SIGUSR1)
                await asyncio.sleep(0.3)  # What was on its way when the loop stopped.
                before = fed()
                here.exchange.set_mark("BTCUSDT", BREACHED)
                _, diagnosis = await asyncio.wait_for(said, 40)
                assert fed() == before
            finally:
                if process.returncode is None:
                    process.kill()
            assert process.returncode == EXIT_STUCK
            assert "a_bug_that_blocks" in diagnosis.decode()
            assert here.moved() == []
            async with guard(here, "run") as again:
                await until("the next one acts", here.moved, within_s=40)
                await until("and writes it down", lambda: here.states() == ["applied"])
                assert await again.terminate() == 0
            assert here.moved() == [NEEDED]
        loop.remove_reader(systemd)
