"""News of an account through ccxt.pro's private sockets: a doorbell, and not a source of figures.

ccxt connects, signs in, pings and notices a dead socket. What is pushed is read here and is not handed on to it, and
each connection has a client of ccxt's of its own that ends with it. Otherwise (seen in ccxt 4.5.90) it keeps what was
pushed, reads whole accounts by REST behind the stream, and takes up again what belonged to the connection before:
sign-ins, keys, errors that nobody waited for.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from guard.errors import KeysRefused, VenueError, VenueUnavailable
from guard.venues.protocol import AccountNews
from guard.venues.rows import RowError

OPEN_WITHIN_S = 20.0
KEEP_ALIVE_MS = 15_000  # Between two pings; after two without an answer ccxt calls the connection dead.
AHEAD_MAX = timedelta(seconds=10)  # Dated further ahead it is not believed: it would keep true news from being told.
ENDED = "account"  # ccxt's name of what we wait for: nobody resolves it, and what ends the connection rejects it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a message says to us."""

    moments: tuple[datetime, ...] = ()  # When what it tells of happened, by the exchange's clock.
    confirms: bool = False  # It confirms one subscription.


NOTHING = Heard()
CONFIRMED = Heard(confirms=True)


async def _needs_none(client: Any, url: str) -> None:
    """Return at once: the address itself is the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChannel:
    """How the account is listened to at one exchange."""

    urls: tuple[str, ...]  # Of its sockets. What ends one of them ends the stream.
    hear: Callable[[Mapping[str, Any]], Heard | None]  # None: ccxt's to handle. Raises RowError, or VenueError to end.
    sign_in: Callable[[Any, str], Awaitable[object]] = _needs_none  # By ccxt. Returns when it was accepted.
    subscriptions: tuple[Mapping[str, Any], ...] = ()  # Sent after it, as they are.
    confirmations: int = 0  # How many messages say that all of it stands. 0: being connected is enough.
    keep_up: Callable[[], Coroutine[Any, Any, None]] | None = None  # Runs beside it and ends it by raising VenueError.


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeClock:
    """The exchange's clock as it was measured, carried on by the loop's: no step of a wall clock can move it."""

    told: datetime
    at_s: float  # Loop time.

    def now(self) -> datetime:
        return self.told + timedelta(seconds=asyncio.get_running_loop().time() - self.at_s)

    def age_of(self, moment: datetime) -> timedelta:
        """Return how long ago a moment of the exchange's clock is. Negative: it is to come."""
        return self.now() - moment


@dataclass(slots=True, kw_only=True)
class _Inbox:
    """What came in and is not told yet: the newest moment only, however much was pushed."""

    channel: AccountChannel
    clock: ExchangeClock
    unconfirmed: int
    newest: datetime | None = None
    failure: VenueError | None = None
    stir: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, message: object) -> bool:
        """Take a message if it is ours. Say whether it was: then ccxt does not get it."""
        if not isinstance(message, Mapping):
            return False
        try:
            heard = self.channel.hear(message)
        except RowError:
            return True  # What rings without saying when is passed over: polling goes on underneath.
        except VenueError as error:
            self.failure = error
            heard = NOTHING
        if heard is None:
            return False
        self.unconfirmed -= heard.confirms
        believed = [moment for moment in heard.moments if self.clock.age_of(moment) >= -AHEAD_MAX]
        self.newest = max((*believed, *([self.newest] if self.newest else [])), default=None)
        self.stir.set()
        return True

    def fetch(self) -> datetime | None:
        newest, self.newest = self.newest, None
        self.stir.clear()
        return newest


async def account_news(
    client: Any, channel: AccountChannel, clock: ExchangeClock, step: asyncio.Event
) -> AsyncGenerator[AccountNews, None]:
    """Yield once when the stream stands, then at each event. Ends by VenueUnavailable or KeysRefused.

    `client` is of this connection alone and closed with it. `step` is set when our clock has stepped: when the machine
    stood still, the loop's clock, by which `clock` goes on, stood still as well, and true news would look to come.
    """
    inbox = _Inbox(channel=channel, clock=clock, unconfirmed=channel.confirmations)
    client.overhear = inbox.take
    client.streaming = {**client.streaming, "keepAlive": KEEP_ALIVE_MS}
    keeping: set[asyncio.Task[None]] = set()
    refused = False
    try:
        async with asyncio.timeout(OPEN_WITHIN_S):
            ended = {client.watch(url, ENDED, None, ENDED) for url in channel.urls}
            for one in ended:
                one.add_done_callback(look_at)
            await _open(client, channel, inbox, ended)
        keeping.add(asyncio.create_task(_end_at(step)))
        if channel.keep_up is not None:
            keeping.add(asyncio.create_task(channel.keep_up()))
        inbox.fetch()  # What happened until now, whoever opened the stream reads by itself.
        yield AccountNews(age=timedelta(0))
        while True:
            await _wait(inbox, {*ended, *keeping})
            moment = inbox.fetch()
            if moment is not None:
                yield AccountNews(age=clock.age_of(moment))
    except VenueError:
        raise
    except TimeoutError:
        failure = f"account stream: not open within {OPEN_WITHIN_S:g} s"
    except Exception as error:  # noqa: BLE001  # ccxt hands on whatever broke the connection.
        failure = f"account stream: {type(error).__name__}"
        refused = any(kind.__name__ == "AuthenticationError" for kind in type(error).__mro__)
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        await client.close()
    # Out here, for ccxt's errors carry addresses, keys and signatures.
    raise (KeysRefused if refused else VenueUnavailable)(failure)


async def _end_at(step: asyncio.Event) -> None:
    await step.wait()
    raise VenueUnavailable("account stream: our clock stepped, the exchange's is measured anew")


async def _open(client: Any, channel: AccountChannel, inbox: _Inbox, ends: "set[asyncio.Future[Any]]") -> None:
    """Connect, sign in, subscribe, and wait until every subscription is confirmed."""
    for url in channel.urls:
        socket = client.client(url)
        await asyncio.wait({socket.connected, *ends}, return_when=asyncio.FIRST_COMPLETED)
        _raise_if_ended(ends)
        await channel.sign_in(client, url)
        for message in channel.subscriptions:
            await socket.send(message)
    while inbox.unconfirmed > 0:
        await _wait(inbox, ends)
        inbox.stir.clear()


async def _wait(inbox: _Inbox, ends: "set[asyncio.Future[Any]]") -> None:
    """Wait for a message of ours. Raises what ended the stream."""
    stirred = asyncio.create_task(inbox.stir.wait())
    try:
        await asyncio.wait({stirred, *ends}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stirred.cancel()
    if inbox.failure is not None:
        raise inbox.failure
    _raise_if_ended(ends)


def look_at(ended: "asyncio.Future[object]") -> None:
    """Take note of the error, or asyncio would log it, with the address and the key in it."""
    if not ended.cancelled():
        ended.exception()


def _raise_if_ended(ends: "set[asyncio.Future[Any]]") -> None:
    for one in ends:
        if one.done():
            with suppress(asyncio.CancelledError):  # ccxt cancels it when the client is closed.
                one.result()
            raise VenueUnavailable("account stream: closed")
