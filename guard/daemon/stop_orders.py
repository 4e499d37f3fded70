"""The user's own stops of one account, read once a minute: beside them a liquidation price can be judged."""

import asyncio
from datetime import timedelta

import structlog

from guard.daemon.reader import AccountReader
from guard.errors import KeysRefused, VenueUnavailable
from guard.policy.stops import Stops
from guard.snapshot import PositionKey, StopOrder

log = structlog.get_logger(__name__)

READ_EVERY = timedelta(minutes=1)
BELIEVED_FOR_S = 300.0


class StopOrders:
    """Knows the stops as last read. They are not known where they could not be read for five minutes."""

    def __init__(self, reader: AccountReader) -> None:
        self._reader = reader
        self._stops: Stops = {}
        self._read_at_s: float | None = None  # Loop time. None: never.
        self._tried_at_s: float | None = None
        self._failure: str | None = None

    @property
    def known(self) -> Stops | None:
        """Return the stops by position. None: they are not known."""
        if self._read_at_s is None or asyncio.get_running_loop().time() - self._read_at_s > BELIEVED_FOR_S:
            return None
        return self._stops

    async def read_if_due(self) -> None:
        """Read them where that was not tried within the last minute: a screen looks again and again."""
        now_s = asyncio.get_running_loop().time()
        if self._tried_at_s is None or now_s - self._tried_at_s >= READ_EVERY.total_seconds():
            await self.read()

    async def read(self) -> timedelta:
        """Read them once; return the wait until the next time. A failure is no news: they are known for a while."""
        symbols = frozenset(self._reader.symbols())
        self._tried_at_s = asyncio.get_running_loop().time()
        try:
            orders = await self._reader.venue.stops(symbols) if symbols else ()
        except (VenueUnavailable, KeysRefused) as error:
            if self._failure is None:  # Once: some exchanges never tell.
                log.warning("stops.not_read", account=self._reader.venue.account, reason=str(error))
            self._failure = str(error)
            return READ_EVERY
        by_key: dict[PositionKey, tuple[StopOrder, ...]] = {}
        for order in orders:
            by_key[order.key] = (*by_key.get(order.key, ()), order)
        self._stops, self._read_at_s, self._failure = by_key, asyncio.get_running_loop().time(), None
        return READ_EVERY
