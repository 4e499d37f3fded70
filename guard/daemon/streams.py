"""Between polls: streams that move no money themselves and only call the cycle, which reads everything afresh.

One follows the marks and calls when a mark crosses a line; one follows news of the account: fills, liquidations,
transfers, margin moved by hand. Polling goes on underneath whatever happens to either.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import structlog

from guard.daemon.watch import AccountWatch
from guard.errors import KeysRefused, VenueUnavailable
from guard.venues.protocol import AccountNews

log = structlog.get_logger(__name__)

REOPEN_AFTER_S = 5.0
REOPEN_AFTER_MAX_S = 300.0  # The account's stream: each opening costs requests, and keys that are refused stay so.
STOOD_S = 60.0  # What stood for so long is opened again as if for the first time.
LOOK_FOR_POSITIONS_EVERY_S = 1.0


def followers(watch: AccountWatch, wake: Callable[[], None]) -> list[Coroutine[Any, Any, None]]:
    """Return what follows the streams that the account's exchange has."""
    followed = [follow_marks(watch, wake)]
    if watch.reader.venue.watch_account() is not None:
        followed.append(follow_account(watch, wake))
    return followed


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


async def follow_account(watch: AccountWatch, wake: Callable[[], None]) -> None:
    """Follow what happens to one account until cancelled; return at once where its exchange does not tell."""
    loop = asyncio.get_running_loop()
    bell = _Bell(watch, wake)
    wait_s = REOPEN_AFTER_S
    try:
        while (news := watch.reader.venue.watch_account()) is not None:
            opened_s = loop.time()
            await _listen(watch, news, bell)
            if loop.time() - opened_s >= STOOD_S:
                wait_s = REOPEN_AFTER_S
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, REOPEN_AFTER_MAX_S)
    finally:
        bell.stop()


async def _listen(watch: AccountWatch, news: AsyncGenerator[AccountNews], bell: "_Bell") -> None:
    """Ring for each piece of news until the stream breaks."""
    try:
        async with aclosing(news):
            async for one in news:
                bell.ring(one)
    except (VenueUnavailable, KeysRefused) as error:
        log.warning("account_stream.broken", account=watch.name, reason=str(error))
    except Exception as bug:  # noqa: BLE001  # A bug of ours or ccxt's must not end it.
        # Only its name: addresses and keys stand in ccxt's errors.
        log.error("account_stream.failed", account=watch.name, bug=type(bug).__name__)


class _Bell:
    """Calls for a read after news, at once, and then at most as often as an account near danger is read anyway."""

    def __init__(self, watch: AccountWatch, wake: Callable[[], None]) -> None:
        self._watch = watch
        self._wake = wake
        self._happened_s = -math.inf  # The latest of what was told, on the loop's clock.
        self._not_before_s = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def ring(self, news: AccountNews) -> None:
        loop = asyncio.get_running_loop()
        self._happened_s = max(self._happened_s, loop.time() - max(news.age.total_seconds(), 0.0))
        if self._timer is None and not self._watch.reader.has_read_since(self._happened_s):
            self._timer = loop.call_later(max(0.0, self._not_before_s - loop.time()), self._strike)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _strike(self) -> None:
        """Call for a read unless one came meanwhile, and look again: what it found may be of before the news."""
        self._timer = None
        if self._watch.reader.has_read_since(self._happened_s):
            return
        loop = asyncio.get_running_loop()
        gap_s = self._watch.settings.poll_near.total_seconds()
        self._not_before_s = loop.time() + gap_s
        self._timer = loop.call_later(gap_s, self._strike)
        if self._watch.is_fresh:  # Else a read failed and is tried again anyway, or the first one is to come.
            log.info("account.moved", account=self._watch.name)
            self._wake()
