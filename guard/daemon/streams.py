"""Mark prices between polls: a stream that moves no money itself, but calls the cycle when a mark crosses a line."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import structlog

from guard.daemon.watch import AccountWatch
from guard.errors import KeysRefused, VenueUnavailable

log = structlog.get_logger(__name__)

REOPEN_AFTER_S = 5.0
LOOK_FOR_POSITIONS_EVERY_S = 1.0


async def follow_marks(watch: AccountWatch, wake: Callable[[], None]) -> None:
    """Follow the marks of one account's positions until cancelled. Polling goes on whatever happens here."""
    while True:
        symbols = watch.reader.symbols()
        if not symbols:
            await asyncio.sleep(LOOK_FOR_POSITIONS_EVERY_S)
            continue
        try:
            await _follow(watch, symbols, wake)
        except (VenueUnavailable, KeysRefused) as error:
            log.warning("stream.broken", account=watch.name, reason=str(error))
            await asyncio.sleep(REOPEN_AFTER_S)
        except Exception:
            log.exception("stream.failed", account=watch.name)  # A bug of ours or ccxt's: it must not end the stream.
            await asyncio.sleep(REOPEN_AFTER_S)


async def _follow(watch: AccountWatch, symbols: tuple[str, ...], wake: Callable[[], None]) -> None:
    """Follow until the account's symbols change."""
    log.info("stream.opened", account=watch.name, symbols=len(symbols))
    async with aclosing(watch.reader.venue.watch_marks(symbols)) as marks:
        async for mark in marks:
            watch.reader.note_mark(mark)
            if watch.is_crossed_by(mark):
                wake()
            if watch.reader.symbols() != symbols:
                return
