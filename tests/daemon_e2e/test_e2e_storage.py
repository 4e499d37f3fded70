"""A disk that is full, read-only or not to be trusted, under the real `guard run`: it watches, says so, spends nothing."""

import os
import resource
import shutil
import subprocess
from contextlib import contextmanager
from decimal import Decimal

import pytest
from daemon_kit import BREACHED, NEEDED, POSITIONS, call, guard, until, world

pytestmark = pytest.mark.timeout(180)


async def _is_reading(here):
    before = here.exchange.requests.get(POSITIONS, 0)
    await until("it reads", lambda: here.exchange.requests.get(POSITIONS, 0) > before + 1, within_s=40)


@contextmanager
def _small_disk(folder):
    """Put a disk of 2 MB at a folder. Needs root and a kernel that lets it mount."""
    folder.mkdir(parents=True)
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small disk")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"no mounting here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _make_read_only(disk):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def _fill(folder):
    with (folder / "filler").open("wb", buffering=0) as filler:
        for size in (65_536, 4_096, 512):
            while True:
                try:
                    filler.write(bytes(size))
                except OSError:
                    break


def _titles(here):
    return [one["title"] for one in here.messages]


async def _is_safe_without_room(here, make_room):
    """With no room it says so and spends nothing, in spite of a breach; with room again it acts, once."""
    here.exchange.set_mark("BTCUSDT", BREACHED)
    await until("the full disk is told", lambda: any("JOURNAL FAILED" in title for title in _titles(here)))
    await _is_reading(here)
    await _is_reading(here)
    assert here.posts() == 0
    make_room()
    await until("it has acted", lambda: here.states() == ["applied"], within_s=40)
    assert here.moved() == [NEEDED]
    assert here.posts() == 1
    assert any("The journal works again" in title for title in _titles(here))


async def test_on_a_full_disk_it_spends_nothing_says_so_and_acts_when_there_is_room(tmp_path):
    with _small_disk(tmp_path / "disk") as disk:
        async with world(disk) as here, guard(here, "run") as process:
            await _is_reading(here)
            await until("it has judged", lambda: here.messages)
            _fill(disk)
            await _is_safe_without_room(here, (disk / "filler").unlink)
            assert await process.terminate() == 0


async def test_with_a_limit_on_file_sizes_it_does_the_same(tmp_path):
    async with world(tmp_path) as here, guard(here, "run") as process:
        await _is_reading(here)
        await until("it has judged", lambda: here.messages)
        sizes = [path.stat().st_size for path in tmp_path.glob("journal.db*")]
        limit, before = max(sizes), resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, before[1]))
        await _is_safe_without_room(here, lambda: resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before))
        assert await process.terminate() == 0


async def test_on_a_read_only_disk_it_leaves_with_69_and_says_why(tmp_path):
    with _small_disk(tmp_path / "disk") as disk:
        async with world(disk) as here:
            async with guard(here, "run") as process:
                await _is_reading(here)
                assert await process.terminate() == 0
            _make_read_only(disk)
            here.exchange.set_mark("BTCUSDT", BREACHED)
            asked = sum(here.exchange.requests.values())
            status, said = await call(here, "run")
            assert status == 69
            assert "journal" in said
            assert "Read-only file system" in said
            assert sum(here.exchange.requests.values()) == asked


async def _with_one_act_made(here):
    here.exchange.set_mark("BTCUSDT", BREACHED)
    async with guard(here, "run") as process:
        await until("it has acted and told it", lambda: here.told("action"), within_s=40)
        assert await process.terminate() == 0
    assert here.states() == ["applied"]


def _flip_a_bit(here, field):
    """Alter the lowest bit of one byte of the intent's row in the file, as a bad disk does."""
    (intent,) = here.intents()
    content = bytearray(here.journal_path.read_bytes())
    row = content.index(f"{intent.intent_id}main{intent.key.symbol}".encode())
    at = content.index(field.encode(), row)
    content[at] ^= 1
    here.journal_path.write_bytes(content)


@pytest.mark.parametrize("field", ["1211.53", "applied", "shield", "BTC/USDT"])
async def test_a_bit_that_flips_in_an_intents_row_is_noticed_and_nothing_is_spent(tmp_path, field):
    async with world(tmp_path) as here:
        await _with_one_act_made(here)
        _flip_a_bit(here, field)
        here.exchange.set_mark("BTCUSDT", Decimal(49_000))
        status, said = await call(here, "run", "--once")
        assert status == 69, said
        assert "altered outside guard" in said or "is damaged" in said
        assert here.posts() == 1
