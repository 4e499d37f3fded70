"""A stream of marks that breaks is opened again, whatever broke it."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace

import pytest

from guard.daemon import streams
from guard.errors import VenueUnavailable

SYMBOL = "BTC/USDT:USDT"


@pytest.mark.parametrize("broken_by", [VenueUnavailable("closed"), KeyError("a bug")], ids=["the exchange", "a bug"])
async def test_a_stream_comes_back_whatever_broke_it(monkeypatch, broken_by):
    monkeypatch.setattr(streams, "REOPEN_AFTER_S", 0.0)
    opened: list[int] = []
    enough = asyncio.Event()

    async def watch_marks(_symbols):
        opened.append(1)
        if len(opened) == 3:
            enough.set()
            await asyncio.Event().wait()
        raise broken_by
        yield

    reader = SimpleNamespace(symbols=lambda: (SYMBOL,), venue=SimpleNamespace(watch_marks=watch_marks))
    following = asyncio.create_task(streams.follow_marks(SimpleNamespace(name="main", reader=reader), lambda: None))
    await asyncio.wait({following, asyncio.create_task(enough.wait())}, return_when=asyncio.FIRST_COMPLETED, timeout=5)
    assert not following.done()
    assert len(opened) == 3
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
