"""What every venue does alike: one strict client, its clock, its hosts, and reads that mend a wrong stamp once."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from guard.errors import VenueRefused, VenueUnavailable
from guard.margin import TierTable
from guard.snapshot import Contract, Gap, HaircutTier, MarginRequest, PositionEnding, PositionKey, StopOrder
from guard.venues.account_stream import AccountChannel, ExchangeClock, account_news
from guard.venues.protocol import AccountNews, KeyScopes, KeyVerdict, TierTables, VenueAccount
from guard.venues.rows import RowError
from guard.venues.search import Search
from guard.venues.transport import Answered, Wire, ask, open_client

MILLISECOND = timedelta(milliseconds=1)
ASKED_WHILE_CLOCK_STEPS = 2
CLOCK_UNKNOWN = "how far the exchange's clock is from ours was not measured since ours was last off or stepped"


class VenueBase:
    """One account at one exchange. A venue adds what its exchange says and how; see guard.venues.protocol.Venue."""

    def __init__(self, account: VenueAccount, wire: Wire, *, now: Callable[[], datetime]) -> None:
        self.account = account.account
        self.exchange = account.exchange
        self._now = now
        self._wire = wire
        self._client = open_client(account, wire)
        self._account = account
        self._search = Search()
        self._skew: timedelta | None = None  # The exchange's clock minus ours, as last measured.
        self._is_clock_off = False  # Since: a request was refused for it, or our clock stepped.
        self._clock_step = asyncio.Event()  # The next step of ours: what was measured before it does not hold.

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

    def follow_clock(self, step: timedelta) -> None:
        """Take over that our clock stepped: the exchange's is as much nearer, or farther away, if somebody set ours.

        After a pause of the machine it is not: ours only caught up. The two look alike from here, so it is measured
        again before the next read, nothing is sent until then, and the account's stream ends.
        """
        if self._skew is not None:  # Else it is measured where it is needed; some exchanges do not tell their time.
            self._skew -= step
            self._is_clock_off = True
        self._clock_step.set()
        self._clock_step = asyncio.Event()

    async def clock_skew(self) -> timedelta:
        """Measure it, half a round trip allowed for, and stamp later requests by the exchange's clock."""
        for _ in range(ASKED_WHILE_CLOCK_STEPS):
            step = self._clock_step
            asked_at, stamped_ms = self._now(), self._client.milliseconds()
            theirs = await self._server_time()
            if not step.is_set():
                break
        self._is_clock_off = step.is_set()
        halfway = (self._now() - asked_at) / 2
        self._skew = theirs - (asked_at + halfway)
        # ccxt stamps by the wall clock, which may have stepped away from ours by less than anybody notices.
        their_ms = round(theirs.timestamp() * 1000)
        self._client.options["timeDifference"] = stamped_ms + round(halfway / MILLISECOND) - their_ms
        return self._skew

    async def key_scopes(self) -> KeyScopes:
        """Ask what the key may do. An exchange that does not say it leaves the key unverifiable."""
        try:
            return _despite_new_words(await self._ask_key_scopes())
        except VenueUnavailable as error:
            text = f"the exchange did not say what the key may do: {error}"
            return KeyScopes(verdict=KeyVerdict.UNVERIFIABLE, scopes=(), ip_restricted=None, text=text)

    async def _tiers_of_each(
        self, symbols: frozenset[str], read: Callable[[str], Awaitable[TierTable]], what: str
    ) -> TierTables:
        """Read a table for each symbol. One that cannot be read is a gap; raises VenueUnavailable when none can."""
        read_at = self._now()
        by_symbol: dict[str, TierTable] = {}
        gaps: list[Gap] = []
        for symbol in sorted(symbols):
            try:
                by_symbol[symbol] = await read(symbol)
            except (RowError, VenueUnavailable) as error:
                gaps.append(Gap(subject=f"{symbol} tiers", reason=str(error)))
        return if_any(TierTables(by_symbol=by_symbol, read_at=read_at, gaps=tuple(gaps)), symbols, what)

    async def _search_for(self, unknown: AbstractSet[object], load: Callable[[], Awaitable[None]]) -> bool:
        """Load the markets again when some are unknown and it is time for it. Say whether. Raises VenueUnavailable."""
        now_s = asyncio.get_running_loop().time()
        if not self._search.begins(unknown, now_s):
            return False
        self._client.markets_since_s = self._search.missed_s(unknown)
        await load()
        self._search.succeeded(now_s)
        return True

    @property
    def watch_only(self) -> str | None:
        return None

    @property
    def contracts(self) -> Mapping[str, Contract]:
        raise NotImplementedError

    def margin_step(self, currency: str) -> Decimal:
        raise NotImplementedError

    async def add_margin(self, request: MarginRequest) -> str:
        """Send it by `_send_margin`, unless `_obstacle` says why not. An amount off the step is a bug: ValueError.

        By a clock that was not measured since it stepped nothing is sent.
        """
        step = self.margin_step(request.currency)
        if request.amount <= 0 or request.amount % step:
            raise ValueError(f"{request.amount} {request.currency} is not a positive multiple of {step}")
        obstacle = CLOCK_UNKNOWN if self._is_clock_off else self._obstacle(request)
        if obstacle is not None:
            raise VenueRefused(f"{request.key}: not sent, {obstacle}", code="not_sent")
        try:
            return await self._send_margin(request)
        except VenueRefused as refusal:
            self._is_clock_off |= refusal.code in self._wire.clock_is_off  # It is measured before the next read.
            raise

    def _obstacle(self, request: MarginRequest) -> str | None:
        """Return why a request is not even sent. None: it is."""
        contract = self.contracts.get(request.key.symbol)
        if contract is None or contract.settle != request.currency:
            return f"{self.exchange} has no such market in {request.currency}"
        return self.watch_only

    async def _send_margin(self, request: MarginRequest) -> str:
        """Send one POST, once, as `add_margin` of guard.venues.protocol.Venue promises."""
        raise NotImplementedError

    haircuts_count_dollars: bool = False

    async def haircuts(self, assets: frozenset[str]) -> Mapping[str, tuple[HaircutTier, ...]]:  # noqa: ARG002
        """Return nothing: what an asset counts for is not asked, until a venue says how it can be."""
        return {}

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
        step = self._clock_step
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
        async with aclosing(account_news(listener, channel, clock, step)) as news:
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
        """Ask once, the exchange's clock measured before if ours has stepped; once more when it says that ours is off.

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
        """Return the skew, measured now if it never was, or not since our clock stepped."""
        return self._skew if self._skew is not None and not self._is_clock_off else await self.clock_skew()

    async def traded_lately(self) -> frozenset[str] | None:
        """Return None: what was closed lately is not known, until a venue says how it can be."""
        return None


def if_any(tables: TierTables, symbols: frozenset[str], what: str) -> TierTables:
    """Return the tables, unless not one is of what was asked for. Raises VenueUnavailable then: it is asked again."""
    if symbols and not symbols & tables.by_symbol.keys():
        reasons = [gap.reason for gap in tables.gaps if gap.subject.removesuffix(" tiers") in symbols]
        raise VenueUnavailable(f"{what}: {reasons[0]}")
    return tables


def _despite_new_words(found: KeyScopes) -> KeyScopes:
    """Return no key as safe with a right whose word is for taking money away, be it of a later day."""
    word = next((one for one in found.scopes if "withdraw" in one.lower() or "transfer" in one.lower()), None)
    if found.verdict is not KeyVerdict.SAFE or word is None:
        return found
    text = f"the key has the right {word!r}, which may take money away: make one without it"
    return replace(found, verdict=KeyVerdict.TOO_POWERFUL, text=text)
