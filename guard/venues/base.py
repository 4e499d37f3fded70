"""What every venue does alike: one strict client, its clock, its hosts, and reads that mend a wrong stamp once."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

from guard.errors import VenueUnavailable
from guard.snapshot import PositionEnding, PositionKey, StopOrder
from guard.venues.account_stream import AccountChannel, ExchangeClock, account_news
from guard.venues.protocol import AccountNews, KeyScopes, KeyVerdict, VenueAccount
from guard.venues.transport import Answered, Wire, ask, open_client

MILLISECOND = timedelta(milliseconds=1)


class VenueBase:
    """One account at one exchange. A venue adds what its exchange says and how; see guard.venues.protocol.Venue."""

    def __init__(self, account: VenueAccount, wire: Wire, *, now: Callable[[], datetime]) -> None:
        self.account = account.account
        self.exchange = account.exchange
        self._now = now
        self._wire = wire
        self._client = open_client(account, wire)
        self._account = account
        self._skew: timedelta | None = None  # The exchange's clock minus ours, as last measured.
        self._is_clock_off = False  # A request was refused for it since.

    @property
    def skew(self) -> timedelta | None:
        return self._skew

    def exchange_now(self) -> datetime:
        """Return the exchange's clock as far as it was measured."""
        return self._now() + (self._skew or timedelta(0))

    def hosts(self) -> tuple[str, ...]:
        hosts: tuple[str, ...] = self._client.gate.hosts
        return hosts

    def be_quiet(self, duration: timedelta) -> None:
        self._client.gate.be_quiet(duration.total_seconds())

    async def close(self) -> None:
        await self._client.close()

    async def clock_skew(self) -> timedelta:
        """Measure it, half a round trip allowed for, and stamp later requests by the exchange's clock."""
        asked_at, stamped_ms = self._now(), self._client.milliseconds()
        theirs = await self._server_time()
        self._is_clock_off = False
        halfway = (self._now() - asked_at) / 2
        self._skew = theirs - (asked_at + halfway)
        # ccxt stamps by the wall clock, which may have stepped away from ours by less than anybody notices.
        their_ms = round(theirs.timestamp() * 1000)
        self._client.options["timeDifference"] = stamped_ms + round(halfway / MILLISECOND) - their_ms
        return self._skew

    async def key_scopes(self) -> KeyScopes:
        """Ask what the key may do. An exchange that does not say it leaves the key unverifiable."""
        try:
            return await self._ask_key_scopes()
        except VenueUnavailable as error:
            text = f"the exchange did not say what the key may do: {error}"
            return KeyScopes(verdict=KeyVerdict.UNVERIFIABLE, scopes=(), ip_restricted=None, text=text)

    async def stops(self, symbols: frozenset[str]) -> tuple[StopOrder, ...]:  # noqa: ARG002
        raise VenueUnavailable(f"{self.exchange}: standing orders are not read at this exchange")

    async def ending(self, key: PositionKey, since: datetime) -> PositionEnding:  # noqa: ARG002
        raise VenueUnavailable(f"{self.exchange}: fills are not read at this exchange")

    def watch_account(self) -> AsyncGenerator[AccountNews, None] | None:
        """Return None: no news of the account, until a venue says how it is listened to."""
        return None

    async def _listen(
        self, tune: Callable[[Any], AccountChannel | Awaitable[AccountChannel]]
    ) -> AsyncGenerator[AccountNews, None]:
        """Yield news of the account. `tune` finds the channel; it gets the client that the connection will have."""
        clock = await self._measured_clock()
        listener = open_client(self._account, self._wire, self._client.gate)
        # ccxt signs in by the wall clock of this machine.
        listener.milliseconds = lambda: round(clock.now().timestamp() * 1000)
        listener.seconds = lambda: round(clock.now().timestamp())
        try:
            tuned = tune(listener)
            channel = tuned if isinstance(tuned, AccountChannel) else await tuned
        except BaseException:
            await listener.close()
            raise
        async with aclosing(account_news(listener, channel, clock)) as news:
            async for one in news:
                yield one

    async def _measured_clock(self) -> ExchangeClock:
        """Ask for the exchange's clock now, half a round trip allowed for. It is for the stream alone."""
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        theirs = await self._server_time()
        return ExchangeClock(told=theirs, at_s=(asked_s + loop.time()) / 2)

    async def _server_time(self) -> datetime:
        """Read the exchange's clock."""
        raise NotImplementedError

    async def _ask_key_scopes(self) -> KeyScopes:
        raise NotImplementedError

    async def _read(self, endpoint: str, *arguments: object) -> Any:
        """Ask once; once more, stamped by the exchange's clock, when it says that ours is off.

        Raises VenueUnavailable or KeysRefused.
        """
        if self._is_clock_off:
            await self.clock_skew()
        try:
            return await ask(self._client, endpoint, *arguments)
        except Answered as error:
            if error.code not in self._wire.clock_is_off:
                raise
        await self.clock_skew()
        return await ask(self._client, endpoint, *arguments)

    async def _known_skew(self) -> timedelta:
        """Return the skew, measured now if it never was."""
        return self._skew if self._skew is not None else await self.clock_skew()

    async def traded_lately(self) -> frozenset[str] | None:
        """Return None: what was closed lately is not known, until a venue says how it can be."""
        return None
