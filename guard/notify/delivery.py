"""From the outbox to people: each channel on its own, the worst news first, again until it is confirmed.

When more waits than a person or a channel takes, the worst goes alone and the rest together (guard.notify.digest).
At least once: a row leaves the outbox only when the channel confirmed it, so a crash between confirmation and the mark
repeats a message under the same id. A dead or slow channel never delays another.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from guard.errors import DeliveryFailed, JournalError
from guard.notify.channel import Channel, Outbox
from guard.notify.digest import Parcel, marked_if_delayed, next_parcel
from guard.policy.message import Delivery, Message
from guard.policy.terms import Level

log = structlog.get_logger(__name__)

_LOOK_AGAIN = timedelta(seconds=5)  # At the latest: rows of a channel that left the config must not hide our own.
_LAST_SEND = timedelta(seconds=2)  # What a request in flight gets when the daemon stops.
_SEEN_MAX = 1000  # Of a storm's rows, the worst: what one look takes from the outbox.
_ALONE_MAX = 5  # Of a storm's worst, in `_ALONE_WITHIN_S`: the rest of what the channel takes is left for digests.
_ALONE_WITHIN_S = 60.0
_LINES_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """How long to wait after the n-th failed attempt. No jitter: one daemon talks to its own channels."""

    waits: tuple[timedelta, ...] = tuple(timedelta(seconds=s) for s in (5, 15, 30, 60, 120, 300, 600, 900))
    urgent_wait_max: timedelta = timedelta(minutes=1)  # A channel that works again has them a minute later.

    def wait(self, *, attempts: int, level: Level) -> timedelta:
        """Return the wait after `attempts` failed attempts (1 or more); the last one of `waits` goes on."""
        wait = self.waits[min(attempts, len(self.waits)) - 1]
        return min(wait, self.urgent_wait_max) if level >= Level.WARN else wait


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelNews:
    """A channel that died, or that confirmed a message again after it had died; to be told on the others."""

    channel: str
    alive: bool
    reason: str  # The channel's own words, with the remedy.
    at: datetime
    others: tuple[str, ...]  # Channels that can still tell it; never empty.
    undelivered: Message | None  # What could not be told there. None: alive again.


async def deliver(
    outbox: Outbox,
    channels: Iterable[Channel],
    *,
    now: Callable[[], datetime],
    wake: asyncio.Event,
    stop: asyncio.Event,
    tell: Callable[[ChannelNews], None],
    schedule: RetrySchedule | None = None,
) -> None:
    """Deliver until `stop` is set. Set `wake` after new rows were committed.

    Rows are due by `now`: where it steps with the wall clock, the journal's `make_due` follows. `tell` puts a message
    about a channel into the outbox (texts.channel_message makes it). A request in flight at the stop gets two seconds.
    """
    lanes = _lanes(outbox, channels, now=now, tell=tell, schedule=schedule)
    stopped = asyncio.create_task(stop.wait(), name="deliver stop")
    waker = asyncio.create_task(_pass_on(wake, lanes), name="deliver wake")
    sending = [asyncio.create_task(lane.run(stop), name=f"deliver {lane.channel.name}") for lane in lanes]
    everything = (stopped, waker, *sending)
    try:
        ended, _ = await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()  # Lanes do not end by themselves: a bug of ours goes to the daemon, which starts us again.
        for lane in lanes:
            lane.wake.set()
        if sending:
            await asyncio.wait(sending, timeout=_LAST_SEND.total_seconds())
    finally:
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)


async def flush(
    outbox: Outbox,
    channels: Iterable[Channel],
    *,
    now: Callable[[], datetime],
    within: timedelta,
    tell: Callable[[ChannelNews], None],
    schedule: RetrySchedule | None = None,
) -> bool:
    """Deliver what is due, or becomes due, within a time; return whether nothing was left waiting for these channels.

    For `run --once` and for the end of the daemon, when `deliver` does not run.
    """
    lanes = _lanes(outbox, channels, now=now, tell=tell, schedule=schedule)
    until = now() + within
    with suppress(TimeoutError):
        async with asyncio.timeout(within.total_seconds()):
            while any(lane.can_send(until) for lane in lanes):  # A dying channel leaves news for one that was done.
                await asyncio.gather(*(lane.drain(until) for lane in lanes))
    return not any(lane.has_waiting() for lane in lanes)


def _lanes(
    outbox: Outbox,
    channels: Iterable[Channel],
    *,
    now: Callable[[], datetime],
    tell: Callable[[ChannelNews], None],
    schedule: RetrySchedule | None,
) -> tuple["_Lane", ...]:
    together: list[_Lane] = []
    for channel in channels:
        together.append(_Lane(channel, outbox, together, now=now, tell=tell, schedule=schedule or RetrySchedule()))
    return tuple(together)


async def _pass_on(wake: asyncio.Event, lanes: Iterable["_Lane"]) -> None:
    while True:
        await wake.wait()
        wake.clear()
        for lane in lanes:
            lane.wake.set()


class _Lane:
    """One channel's way through the outbox."""

    def __init__(
        self,
        channel: Channel,
        outbox: Outbox,
        together: list["_Lane"],
        *,
        now: Callable[[], datetime],
        tell: Callable[[ChannelNews], None],
        schedule: RetrySchedule,
    ) -> None:
        self.channel = channel
        self.wake = asyncio.Event()
        self.dead = False  # It said that trying again cannot help; the next confirmation revives it.
        self._outbox = outbox
        self._together = together  # All lanes, this one too.
        self._now = now
        self._tell = tell
        self._schedule = schedule
        self._quiet_until_s = 0.0  # The far side asked us to stay away until then: loop time, which nobody sets.
        # Confirmed rows that the journal could not mark, which are not to be sent again, and what they were told with.
        self._unmarked: dict[int, str | None] = {}
        self._alone_s: deque[float] = deque()  # When a storm's messages went alone: loop time.
        self._lines_max = _LINES_MAX  # Of the next digest.

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.wake.clear()  # Before looking: a row that comes after the look wakes us.
            if await self._step():
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._idle().total_seconds()):
                    await self.wake.wait()

    async def drain(self, until: datetime) -> None:
        """Deliver until nothing of this channel comes due before `until`."""
        while self.can_send(until):
            if not await self._step():
                await asyncio.sleep(self._idle().total_seconds())

    def can_send(self, until: datetime) -> bool:
        """Return whether something of this channel comes due, and may be sent, before `until`."""
        return bool(self._due(until)) and self._quiet_for() < until - self._now()

    def has_waiting(self) -> bool:
        return bool(self._due(datetime.max.replace(tzinfo=UTC)))

    async def _step(self) -> bool:
        """Try the most urgent due rows; return whether there were any and the journal works."""
        if self._quiet_for() > timedelta(0):
            return False
        rows = self._due(self._now(), _SEEN_MAX if self.channel.digest_units_max is not None else 1)
        fresh = [row for row in rows if row.delivery_id not in self._unmarked]
        try:
            if fresh:
                await self._send(self._parcel(fresh))
            self._mark([row for row in rows if row.delivery_id in self._unmarked])
        except JournalError as error:
            log.error("outbox.unwritable", channel=self.channel.name, reason=str(error))
            return False
        return bool(rows)

    def _parcel(self, rows: Sequence[Delivery]) -> Parcel:
        now = self._now()
        try:
            return next_parcel(
                rows,
                now=now,
                units_max=self.channel.digest_units_max,
                lines_max=self._lines_max,
                alone_left=_ALONE_MAX - self._count_alone(),
            )
        except Exception as bug:  # noqa: BLE001 - a bug over many messages must not keep the worst one back (law 7).
            log.error("digest.unmakeable", channel=self.channel.name, bug=type(bug).__name__)
            return Parcel(message=marked_if_delayed(rows[0].message, now=now), rows=(rows[0],))

    async def _send(self, parcel: Parcel) -> None:
        attempt = parcel.rows[0].attempts + 1
        failure = await self._try(parcel.message, attempt=attempt)
        self._learn(parcel, failure)
        if failure is not None:
            self._after_failure(parcel, failure)
            return
        self._unmarked.update({row.delivery_id: parcel.told_with for row in parcel.rows})
        self._mark(parcel.rows)
        among = {"messages": len(parcel.rows)} if len(parcel.rows) > 1 else {}
        log.info("message.delivered", channel=self.channel.name, id=parcel.message.id, attempt=attempt, **among)
        if self.dead:
            self.dead = False
            self._tell_others("it works again", undelivered=None)

    def _mark(self, rows: Sequence[Delivery]) -> None:
        """Write down which confirmed rows were told, and with which message first."""
        together: defaultdict[str | None, list[int]] = defaultdict(list)
        for row in rows:
            together[self._unmarked[row.delivery_id]].append(row.delivery_id)
        for told_with, confirmed in together.items():
            self._outbox.delivered(confirmed, self._now(), told_with=told_with)
            for delivery_id in confirmed:
                del self._unmarked[delivery_id]

    def _learn(self, parcel: Parcel, failure: DeliveryFailed | None) -> None:
        """Count what went alone in a storm; let digests shrink while they fail, lest one bad line keep many back."""
        if failure is not None and failure.retry_after is not None:
            return
        if parcel.lines:
            self._lines_max = min(_LINES_MAX, 2 * self._lines_max) if failure is None else max(1, parcel.lines // 2)
        elif parcel.in_storm:
            self._alone_s.append(asyncio.get_running_loop().time())

    def _count_alone(self) -> int:
        """Return how many of a storm's messages went alone lately."""
        since_s = asyncio.get_running_loop().time() - _ALONE_WITHIN_S
        while self._alone_s and self._alone_s[0] <= since_s:
            self._alone_s.popleft()
        return len(self._alone_s)

    async def _try(self, message: Message, *, attempt: int) -> DeliveryFailed | None:
        try:
            await self.channel.send(message, attempt=attempt)
        except DeliveryFailed as failure:
            return failure
        except Exception as bug:  # noqa: BLE001 - a bug over one message must not silence the channel (law 7).
            # Only its class: foreign errors may quote a url, and urls hold tokens.
            log.error("message.unsendable", channel=self.channel.name, id=message.id, bug=type(bug).__name__)
            return DeliveryFailed(f"{self.channel.name}: our own bug ({type(bug).__name__})")
        return None

    def _after_failure(self, parcel: Parcel, failure: DeliveryFailed) -> None:
        if failure.retry_after is not None:
            self._quiet_until_s = asyncio.get_running_loop().time() + failure.retry_after.total_seconds()
        if not failure.asked:
            return  # It was no attempt: the rows stay due, and wait no longer for it.
        at, worst = self._now(), parcel.rows[0]
        log.warning(
            "message.undelivered",
            channel=self.channel.name,
            id=parcel.message.id,
            reason=str(failure),
            attempt=worst.attempts + 1,
        )
        if failure.permanent and not self.dead:
            self._tell_others(str(failure), undelivered=worst.message)
        given_up = [row for row in parcel.rows if failure.permanent and self._is_told_elsewhere(row.message)]
        for row in given_up:
            self._outbox.given_up(row.delivery_id, at, str(failure))
        # With nobody else to tell it, a message waits for the owner to repair the channel.
        waiting = [row for row in parcel.rows if row not in given_up]
        if waiting:  # Again together, no later than each of them would be on its own.
            wait = min(self._schedule.wait(attempts=row.attempts + 1, level=row.message.level) for row in waiting)
            due_at = at + max(wait, failure.retry_after or wait)
            ids = [row.delivery_id for row in waiting]
            self._outbox.postponed(ids, next_attempt_at=due_at, error=str(failure))
        self.dead = self.dead or failure.permanent

    def _tell_others(self, reason: str, *, undelivered: Message | None) -> None:
        others = tuple(other.name for other in self._living_others())
        if not others:
            return
        alive = undelivered is None
        self._tell(
            ChannelNews(
                channel=self.channel.name,
                alive=alive,
                reason=reason,
                at=self._now(),
                others=others,
                undelivered=undelivered,
            )
        )
        for lane in self._together:
            lane.wake.set()

    def _living_others(self) -> tuple[Channel, ...]:
        return tuple(lane.channel for lane in self._together if lane is not self and not lane.dead)

    def _is_told_elsewhere(self, message: Message) -> bool:
        return any(other.reaches_people and message.level >= other.from_level for other in self._living_others())

    def _due(self, now: datetime, limit: int = 1) -> tuple[Delivery, ...]:
        try:
            return self._outbox.due(self.channel.name, now, limit)
        except JournalError as error:
            log.error("outbox.unreadable", channel=self.channel.name, reason=str(error))
            return ()

    def _idle(self) -> timedelta:
        """Return how long to sleep when nothing is due: to the next row, at most a few seconds."""
        now = self._now()
        try:
            due_at = self._outbox.next_due_at()
        except JournalError:
            return _LOOK_AGAIN  # The look itself logs it.
        wait = _LOOK_AGAIN if due_at is None or due_at <= now else min(due_at - now, _LOOK_AGAIN)
        quiet_for = self._quiet_for()
        return min(quiet_for, _LOOK_AGAIN) if quiet_for > timedelta(0) else wait

    def _quiet_for(self) -> timedelta:
        return timedelta(seconds=max(0.0, self._quiet_until_s - asyncio.get_running_loop().time()))
