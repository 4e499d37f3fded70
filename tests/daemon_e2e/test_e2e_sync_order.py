"""The order in which the kernel sees it: the intent is synced to the disk before the first byte of its request."""

import asyncio
import os
import re
import shutil
import sys

import pytest
from daemon_kit import BREACHED, NEEDED, world

STRACE = shutil.which("strace")
SYNCED = re.compile(r"\b(?:fdatasync|fsync)\(\d+<[^>]*journal\.db-wal>\)\s+= 0")
SENT = re.compile(r'\b(?:sendto|sendmsg|write|writev)\(\d+<[^>]*>, .*"(GET|POST) (/fapi/v1/\w+)')


def calls_of(trace: str) -> list[str]:
    """Return the syncs of the journal and the requests of a trace, in the order in which they were made."""
    found = []
    for line in trace.splitlines():
        if SYNCED.search(line):
            found.append("synced")
        elif sent := SENT.search(line):
            found.append(f"{sent[1]} {sent[2].rpartition('/')[2]}")
    return found


def test_a_trace_is_read_in_its_order():
    trace = (
        '7 sendto(9<TCP:[1]>, "GET /fapi/v1/premiumIndex?a=1", 9, 0, NULL, 0) = 9\n'
        "7 fdatasync(5</x/journal.db-wal>) = 0\n"
        "7 fdatasync(6</x/other-wal>) = 0\n"
        "7 fdatasync(5</x/journal.db-wal>) = -1 EIO (Input/output error)\n"
        '7 sendto(9<TCP:[1]>, "POST /fapi/v1/positionMargin HTTP/1.1", 9, 0, NULL, 0) = 9\n'
    )
    assert calls_of(trace) == ["GET premiumIndex", "synced", "POST positionMargin"]


@pytest.mark.skipif(STRACE is None, reason="there is no strace on this machine")
@pytest.mark.timeout(120)
async def test_the_journal_is_synced_twice_between_the_last_look_and_the_one_request(tmp_path):
    trace = tmp_path / "trace"
    watched = ("-f", "-y", "-s", "64", "-e", "trace=fdatasync,fsync,sendto,sendmsg,write,writev", "-o", str(trace))
    async with world(tmp_path, timeout_ms=8_000) as here:
        here.exchange.set_mark("BTCUSDT", BREACHED)
        process = await asyncio.create_subprocess_exec(
            *(str(STRACE), *watched, sys.executable, "-m", "guard", "run", "--once", "-c", str(here.config)),
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        )
        _, said = await process.communicate()
        if b"ptrace" in said or not trace.exists():
            pytest.skip("this machine does not allow tracing")
        assert here.moved() == [NEEDED], said.decode()
    calls = calls_of(trace.read_text(errors="replace"))
    sent = calls.index("POST positionMargin")
    looked = max(index for index, call in enumerate(calls[:sent]) if call == "GET premiumIndex")
    assert calls[looked + 1 : sent] == ["synced", "synced"]  # Planned, and about to be sent.
    assert calls.count("POST positionMargin") == 1
