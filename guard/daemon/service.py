"""The daemon as a whole: accounts, schedule, streams, delivery, web and systemd, from start to a clean stop."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import structlog

from guard.config.settings import AccountSettings, Settings
from guard.daemon import systemd
from guard.daemon.clock import SteadyClock
from guard.daemon.doors import REAL_DOORS, Doors
from guard.daemon.keys import KeyGuard
from guard.daemon.reader import AccountReader
from guard.daemon.report import status_document
from guard.daemon.schedule import Schedule
from guard.daemon.streams import followers
from guard.daemon.tell import Teller
from guard.daemon.watch import AccountWatch
from guard.errors import JournalError
from guard.journal import Journal
from guard.notify.delivery import deliver, flush
from guard.notify.heartbeat import Heartbeat
from guard.policy.subjects import remembered_positions
from guard.policy.terms import Level
from guard.venues.shared import Shared
from guard.web.server import serve_web

log = structlog.get_logger(__name__)

CYCLE_DEADLINE = timedelta(seconds=90)
TIERS_EVERY = timedelta(hours=24)
STOP_WITHIN = timedelta(seconds=7.5)  # What a write in flight gets; with the last delivery the stop stays under ten.
FLUSH_ONCE_WITHIN = timedelta(seconds=10)
DELIVERY_AGAIN_AFTER_S = 1.0
UNHEARD_MAX = timedelta(minutes=5)  # So long may something critical be told to nobody before the heartbeat stops.


class Service:
    """One daemon on one journal. `run` lasts until `stop` is set; `once` makes one cycle of every account.

    Both raise JournalError, ConfigError or GuardError at the start, and nothing that an exchange or a channel does.
    """

    def __init__(
        self, settings: Settings, environ: Mapping[str, str] = os.environ, *, doors: Doors = REAL_DOORS
    ) -> None:
        self.settings = settings
        self.watches: dict[str, AccountWatch] = {}
        self._environ = environ
        self._doors = doors
        self._clock = SteadyClock(wall=doors.wall, steady=doors.steady)
        self._heartbeat = None if settings.heartbeat_url is None else doors.open_heartbeat(settings.heartbeat_url)
        self._shared = Shared()
        self._is_ready = False
        self._watchdog = systemd.watchdog_interval(environ, pid=os.getpid())

    async def run(self, stop: asyncio.Event) -> None:
        """Guard until `stop` is set, then end within ten seconds."""
        async with self._parts() as teller, self._web():
            schedule = Schedule(on_clock_step=lambda: self._follow_clock(teller, schedule), wall=self._doors.wall)
            self._add_jobs(schedule, teller)
            stop_delivery = asyncio.Event()
            delivery = asyncio.create_task(self._deliver(teller, stop_delivery), name="delivery")
            streams = [
                asyncio.create_task(follow, name=f"{watch.name} stream")
                for watch in self.watches.values()
                for follow in followers(watch, _waker(schedule, watch.name))
            ]
            schedule.start()
            log.info("daemon.started", accounts=list(self.watches), pid=os.getpid())
            await stop.wait()
            systemd.notify("STOPPING=1", self._environ)
            log.info("stop.asked")
            for task in streams:
                task.cancel()
            unfinished = await schedule.drain(STOP_WITHIN, is_worth_it=self._is_writing)
            stop_delivery.set()
            await asyncio.gather(delivery, *streams, return_exceptions=True)
            log.info("daemon.stopped", unfinished=list(unfinished))

    async def once(self) -> None:
        """Make one cycle of every account, wait for lost answers up to the fence, and deliver what there is to tell."""
        async with self._parts() as teller:
            await asyncio.gather(*(watch.once() for watch in self.watches.values()))
            await flush(
                teller.journal,
                teller.channels,
                now=self._clock,
                within=FLUSH_ONCE_WITHIN,
                tell=teller.tell_channel_news,
            )

    def status(self) -> dict[str, object]:
        """Return the document of `guard status --json` as of the last cycles."""
        return status_document(
            {name: (watch.settings, watch.decision) for name, watch in self.watches.items()}, self._clock()
        )

    def fresh(self) -> Mapping[str, bool]:
        """Say of each account whether its last cycle read everything afresh, and not too long ago."""
        return {name: watch.is_fresh for name, watch in self.watches.items()}

    def _is_writing(self) -> bool:
        return any(watch.is_writing for watch in self.watches.values())

    @asynccontextmanager
    async def _parts(self) -> AsyncIterator[Teller]:
        """Open journal, channels and venues, and close them whatever happens."""
        async with AsyncExitStack() as stack:
            journal = stack.enter_context(self._doors.open_journal(self.settings.journal_path))
            channels = self._doors.open_channels(self.settings)
            for channel in channels:
                stack.push_async_callback(channel.close)
            if self._heartbeat is not None:
                stack.push_async_callback(self._heartbeat.close)
            teller = Teller(journal, channels, self._clock)
            teller.follow_clock()  # It may have stepped while nobody ran.
            _note(journal, self._clock, "daemon.started")
            sharing = [name for name, one in self.settings.accounts.items() if one.terms.max_per_day_all]
            journal.share_limit(sharing)
            for account in self.settings.accounts.values():
                watch = self._watch(account, teller)
                stack.push_async_callback(watch.reader.venue.close)
                self.watches[account.name] = watch
            yield teller
            _note(journal, self._clock, "daemon.stopped")

    def _watch(self, account: AccountSettings, teller: Teller) -> AccountWatch:
        venue = self._doors.open_venue(replace(account.venue, shared=self._shared), now=self._clock)
        reader = AccountReader(venue, self._clock)
        memory = teller.journal.memory(account.name, self._clock())
        reader.remember_open(remembered_positions(memory), at=self._clock())
        reader.venue.be_quiet(teller.journal.quiet_left(account.name, self._clock()) or timedelta(0))
        keys = KeyGuard(reader.venue, teller, self._clock, signed_on=account.key_signed_on)
        watch = AccountWatch(account, reader, teller, keys, self._clock, on_finished=self._cycle_finished)
        if self._watchdog is not None:
            watch.interval_max = self._watchdog / 3  # A calm poll must not starve the watchdog.
        return watch

    def _follow_clock(self, teller: Teller, schedule: Schedule) -> None:
        """Take over the stepped wall clock, and date by it what was read before, so that it grows no older.

        If it was no clock that was set but a pause of the machine, that is older than it looks: all is read at once.
        """
        before = self._clock()
        self._clock.follow_wall()
        step = self._clock() - before
        teller.follow_clock()
        teller.clear_anew()
        for watch in self.watches.values():
            watch.follow_clock(step)
            schedule.wake(watch.name)

    def _add_jobs(self, schedule: Schedule, teller: Teller) -> None:
        for watch in self.watches.values():
            schedule.add(watch.name, watch.cycle, deadline=CYCLE_DEADLINE, retry_after=watch.settings.poll_near)
            schedule.add(
                f"{watch.name} tiers",
                _every(TIERS_EVERY, watch.reader.tiers_are_due),
                deadline=timedelta(seconds=5),
                retry_after=TIERS_EVERY,
                first_after=TIERS_EVERY,
            )
            schedule.add(
                f"{watch.name} stops",
                watch.stop_orders.read,
                deadline=timedelta(seconds=30),
                retry_after=timedelta(minutes=1),
                first_after=timedelta(seconds=5),
            )
            schedule.add(
                f"{watch.name} cuts",
                watch.cuts.look,
                deadline=timedelta(seconds=30),
                retry_after=timedelta(minutes=1),
                first_after=timedelta(seconds=5),
            )
            schedule.add(
                f"{watch.name} keys",
                watch.keys.check,
                deadline=timedelta(seconds=30),
                retry_after=timedelta(minutes=1),
            )
        if self._heartbeat is not None:
            schedule.add(
                "heartbeat",
                self._ping(self._heartbeat, teller),
                deadline=timedelta(seconds=30),
                retry_after=self.settings.heartbeat_interval,
                first_after=min(self.settings.heartbeat_interval, timedelta(seconds=10)),
            )

    def _ping(self, heartbeat: Heartbeat, teller: Teller) -> Callable[[], Awaitable[timedelta]]:
        async def ping() -> timedelta:
            """Ping only when every account was read afresh and what is critical is heard: silence is the alarm."""
            if all(self.fresh().values()) and not self._is_unheard(teller):
                await heartbeat.ping()
            return self.settings.heartbeat_interval

        return ping

    def _is_unheard(self, teller: Teller) -> bool:
        """Say whether something critical waits for too long without any channel that reaches people having taken it."""
        people = [channel.name for channel in teller.channels if channel.reaches_people]
        try:
            since = teller.journal.undelivered_since(Level.CRITICAL, people)
        except JournalError as error:
            log.critical("journal.failed", reason=str(error))
            return True
        if since is None or self._clock() - since <= UNHEARD_MAX:
            return False
        log.warning("heartbeat.withheld", reason="no channel takes critical messages", since=since.isoformat())
        return True

    def _cycle_finished(self) -> None:
        """Tell systemd, at the end of a finished cycle and only while no account's cycles hang."""
        if not all(watch.is_alive for watch in self.watches.values()):
            return
        if not self._is_ready:
            self._is_ready = True
            systemd.notify("READY=1", self._environ)
            log.info("ready.reported")
        worst = max((watch.decision.level for watch in self.watches.values() if watch.decision), default=None)
        blind = [name for name, is_fresh in self.fresh().items() if not is_fresh]
        words = f"{len(self.watches)} accounts, worst level {worst.word if worst is not None else 'unknown'}"
        systemd.notify(f"WATCHDOG=1\nSTATUS={words}{'; not read: ' + ', '.join(blind) if blind else ''}", self._environ)

    async def _deliver(self, teller: Teller, stop: asyncio.Event) -> None:
        """Keep delivery going: a bug in it is logged and it starts again."""
        while not stop.is_set():
            try:
                await deliver(
                    teller.journal,
                    teller.channels,
                    now=self._clock,
                    wake=teller.wake,
                    stop=stop,
                    tell=teller.tell_channel_news,
                )
            except Exception:
                log.exception("delivery.failed")
                await asyncio.sleep(DELIVERY_AGAIN_AFTER_S)

    @asynccontextmanager
    async def _web(self) -> AsyncIterator[None]:
        if self.settings.web_listen is None:
            yield
            return
        async with serve_web(self.settings.web_listen, status=self.status, ready=self.fresh):
            yield


def _note(journal: Journal, now: SteadyClock, kind: str) -> None:
    try:
        journal.event(now(), None, kind, "guard", f"process {os.getpid()}")
    except JournalError as error:
        log.critical("journal.unwritable", reason=str(error))


def _waker(schedule: Schedule, name: str) -> Callable[[], None]:
    return lambda: schedule.wake(name)


def _every(interval: timedelta, action: Callable[[], None]) -> Callable[[], Awaitable[timedelta]]:
    async def run() -> timedelta:
        action()
        return interval

    return run
