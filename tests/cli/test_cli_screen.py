"""`guard status` as a person sees it: in a terminal of any width, in colour or without, watched or in a pipe."""

import asyncio
import os
import pty
import re
import signal

import pytest
from cli_world import every_kind, one_long, started, until, world

LEVELS = ["ok", "watch", "warn", "unknown", "danger", "critical"]


@pytest.mark.parametrize("columns", [80, 120])
async def test_a_person_sees_the_worst_first_and_nothing_is_cut_or_wrapped(tmp_path, columns):
    async with world(tmp_path, build=every_kind) as here:
        answer = await here.guard("status", COLUMNS=str(columns))
        lines = answer.out.splitlines()
        assert max(map(len, lines)) <= columns
        assert "\x1b" not in answer.out
        assert "…" not in answer.out
        assert not re.search(r"\d{12}", answer.out)
        assert [line.split()[0] for line in lines if "binanceusdm" in line] == ["hedged", "oneway", "pool"]
        in_order = [line.split()[0] for line in lines if line.startswith(" ") and line.split()[0] in LEVELS]
        assert in_order[:5] == ["danger", "warn", "watch", "watch", "watch"]
        long = next(line for line in lines if "DOGE long" in line)
        assert re.search(r"warn +DOGE long isolated +0\.12345 +0\.11184 .*9\.4 %", long)
        assert ("exchange's" in answer.out) == (columns == 120)


async def watch_on_a_terminal(here, **environ):
    """Run `status --watch` on a terminal until it has drawn, end it by Ctrl-C, and return its end and its drawing."""
    leader, follower = pty.openpty()
    drawn = bytearray()
    loop = asyncio.get_running_loop()
    loop.add_reader(leader, lambda: drawn.extend(os.read(leader, 65536)))
    try:
        words = ("status", "--watch", "-c", str(here.config))
        async with started(
            *words, home=here.config.parent, stdout=follower, TERM="xterm", COLUMNS="100", LINES="40", **environ
        ) as process:
            await until("the table is drawn", lambda: b"48,193" in drawn)
            process.send_signal(signal.SIGINT)
            _, err = await asyncio.wait_for(process.communicate(), 10)
            await until("the cursor is back", lambda: b"\x1b[?25h" in drawn)
            return process.returncode, err.decode(), drawn.decode()
    finally:
        loop.remove_reader(leader)
        os.close(leader)
        os.close(follower)


async def test_a_watch_is_drawn_in_colour_and_ends_by_ctrl_c_without_a_word(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        status, err, drawn = await watch_on_a_terminal(here)
        assert (status, err) == (0, "")
        assert "\x1b[36m watch " in drawn


async def test_a_terminal_that_wants_no_colour_gets_none(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        _, _, drawn = await watch_on_a_terminal(here, NO_COLOR="1")
        assert " watch " in drawn
        assert not re.search(r"\x1b\[[0-9;]*(3|4)[0-9]m", drawn)


async def test_a_watch_in_a_pipe_prints_one_look_below_the_other(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        async with started("status", "--watch", "-c", str(here.config), home=tmp_path) as process:
            first = await asyncio.wait_for(process.stdout.readline(), 20)
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.wait_for(process.communicate(), 10)
        assert (process.returncode, err) == (0, b"")
        assert b"\x1b" not in first + out
        assert first.startswith(b"main")


async def test_a_watch_is_for_people_only(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        for option in ("--json", "--exit-code"):
            answer = await here.guard("status", "--watch", option)
            assert (answer.status, answer.out) == (2, "")
            assert "--watch" in answer.err
