"""One account's cycle: settle, read, assess, decide, record, act."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from guard.config.settings import AccountSettings
from guard.daemon.acting import Actor
from guard.daemon.brackets import BracketKeeper
from guard.daemon.cuts import Cuts
from guard.daemon.endings import Endings
from guard.daemon.fences import Fences
from guard.daemon.haircuts import HaircutKeeper
from guard.daemon.held import held_to_test_hosts
from guard.daemon.judging import Fault, judge_despite_bugs
from guard.daemon.keys import KeyGuard
from guard.daemon.looks import LookKeeper
from guard.daemon.margin_notes import MarginNotes
from guard.daemon.past import Past
from guard.daemon.reader import AccountReader
from guard.daemon.spare_time import SpareTime
from guard.daemon.stop_orders import StopOrders
from guard.daemon.tell import Teller
from guard.daemon.tripwire import Lines, is_reached, lines_of
from guard.daemon.witness import Witness
from guard.errors import JournalError, KeysRefused, VenueUnavailable
from guard.journal import Intent
from guard.journal.alerts import without_sightings
from guard.outlook import without_candles
from guard.policy.decide import decide
from guard.policy.decision import DataState, Decision
from guard.policy.memory import Memory
from guard.policy.terms import Level, Mode, Terms
from guard.snapshot import AccountSnapshot, Mark, PositionKey
from guard.venues.shared import Need, needed_for

log = structlog.get_logger(__name__)

SETTLE_WITHIN_S = 10.0
LEARN_WITHIN_S = 12.0
CLOCK_OFF_MAX = timedelta(seconds=5)  # A clock that is further from the exchange's cannot count a rolling day.
READ_WITHIN_S = 25.0  # Settling and reading together; the schedule's deadline is only for what hangs beyond that.
WAKES_PER_NEAR_POLL = 5  # A stream may call cycles so often at most; what lies below a line all the time calls none.
ENDS_WITHIN_S = 3.0  # For all positions that are gone: those that are left wait meanwhile.
ALIVE_SLACK_S = 100.0  # Beyond the interval: a cycle's own deadline and a little.

Failure = VenueUnavailable | KeysRefused


class AccountWatch:
    """The guard of one account. `cycle` is the scheduled job; it returns the wait until the next one."""

    def __init__(
        self,
        settings: AccountSettings,
        reader: AccountReader,
        teller: Teller,
        keys: KeyGuard,
        now: Callable[[], datetime],
        *,
        on_finished: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = held_to_test_hosts(settings, reader.venue)
        if self.settings is not settings:
            log.warning("mode.held", account=settings.name, wanted=settings.terms.mode.word, held_to=Mode.SHADOW.word)
        self.reader = reader
        self.keys = keys
        self.decision: Decision | None = None
        self.interval_max: timedelta | None = None  # A limit on the wait between cycles. None: none.
        self._teller = teller
        self._journal = teller.journal
        self._now = now
        self._on_finished = on_finished
        self._past = Past(reader, teller, self.settings.terms, now)
        self._actor = Actor(self, teller, self._past, now)
        self._fences = Fences(teller.journal, settings.name, reader.venue.write_terms.fence)
        self._looks = LookKeeper(self._journal, settings.name)
        self._spare_time = SpareTime()
        self._witness = Witness(reader, self._journal, self._spare_time)
        self._brackets = BracketKeeper(reader, teller)
        self._haircuts = HaircutKeeper(reader, teller, self._spare_time)
        self._margin_notes = MarginNotes(reader, teller)
        self._endings = Endings(reader.venue, teller, self._spare_time, now)
        self.cuts = Cuts(reader.venue, teller, now)
        self.stop_orders = StopOrders(reader)
        self._born_at = now()
        self._known = Memory(armed=False, disarmed_because="the journal was not read yet", spending_known=False)
        self._fault: Fault | None = None  # Of the last decision.
        left = self._journal.quiet_left(settings.name, self._born_at)
        self._quiet_until = None if left is None else self._born_at + left
        self._cycles = 0
        self._interval = timedelta(0)
        self._finished_s: float | None = None  # Loop time of the last finished cycle.
        self._is_fresh = False
        self._lines: Mapping[str, Lines] = {}
        self._wake_not_before_s = 0.0

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def is_alive(self) -> bool:
        """Say whether a cycle finished not long ago, whatever the exchange answered."""
        if self._finished_s is None:
            return False
        allowance = self._interval.total_seconds() + ALIVE_SLACK_S
        return asyncio.get_running_loop().time() - self._finished_s < allowance

    @property
    def is_writing(self) -> bool:
        """Say whether a margin request is on its way, its answer not yet written down."""
        return self._actor.is_writing

    @property
    def is_fresh(self) -> bool:
        """Say whether the last cycle read everything afresh, not long ago: after a pause of the machine it did not."""
        if self._finished_s is None or not self._is_fresh:
            return False
        allowance = 2 * self._interval.total_seconds() + READ_WITHIN_S
        return asyncio.get_running_loop().time() - self._finished_s < allowance

    def follow_clock(self, step: timedelta) -> None:
        """Take over that the clock we date by has stepped: for how long an alert is clear, nobody knows."""
        self._born_at += step
        self.reader.follow_clock(step)
        self._margin_notes.follow_clock()
        self.cuts.follow_clock(step)
        self._known = replace(self._known, alerts=without_sightings(self._known.alerts))

    async def cycle(self) -> timedelta:
        """Run one cycle. Whatever the exchange does is a state; what it raises is a bug of ours, and told."""
        try:
            wait = await self._cycle()
        except Exception as bug:
            self._teller.tell_bug(self.name, Fault(bug=type(bug).__name__, positions=()))
            raise
        self._teller.tell_bug(self.name, self._fault)
        return wait

    async def _cycle(self) -> timedelta:
        self._cycles += 1
        self._spare_time.begin()
        self._teller.tend_journal()
        started = asyncio.get_running_loop().time()
        ended: Mapping[PositionKey, str] = {}
        failure: Failure | None = None
        try:
            ended = await self._read()
        except (VenueUnavailable, KeysRefused) as error:
            failure = error
            self._keep_quiet(error)
        else:
            self._end_quiet()
        read_s = asyncio.get_running_loop().time()
        self.decision = self.decide(fresh=failure is None, ended=ended)
        self._record(self.decision)
        self._end_lives(ended)
        self._witness.look(self.decision)
        if failure is None:
            self._keep_look()
            await self._actor.act(self.decision)
        self._lines = lines_of(self.decision, self.settings.terms.ladder)  # Of now: to reach one ends the spare time.
        if failure is None:
            await self._look_after(ended, self.decision)
        self._finish(started, read_s, failure)
        return self._interval

    async def _look_after(self, ended: Mapping[PositionKey, str], decision: Decision) -> None:
        """Do what saves nobody, after what may: tell of what is gone and of what changed."""
        if self._actor.has_due(decision):
            self._spare_time.end()
        with self._despite_the_journal():
            self.cuts.note(decision, ended)
        with self._despite_the_journal():
            until_s = asyncio.get_running_loop().time() + ENDS_WITHIN_S
            await self._witness.write_down(ended, self._now(), until_s)
            await self._settle(self._actor.settle_late)
            await self._past.look_now_and_then()
            self._actor.tell_outcomes()
            await self._endings.tell(ended, decision, until_s)
            self._margin_notes.look(decision, self._now())
            self._brackets.look(self._now())
            await self._haircuts.look(self._now())

    async def once(self) -> None:
        """Make one cycle, then wait for a lost answer to be settled, up to the fence."""
        await self.keys.check()
        await self.cycle()
        fence_s = self.reader.venue.write_terms.fence.total_seconds()
        until = asyncio.get_running_loop().time() + 2 * fence_s
        while self._journal.open_intents(self.name) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(min(1.0, fence_s / 4))
            await self.cycle()
        await self.cuts.look_at_all()

    def decide(self, *, fresh: bool, ended: Mapping[PositionKey, str] | None = None) -> Decision:
        """Judge the last read at the newest marks. Nothing is recorded."""
        now = self._now()
        memory = self._memory(now)

        def judge(snapshot: AccountSnapshot | None) -> Decision:
            assessment = self.reader.assess(snapshot)
            keys = [figures.key for figures in assessment.positions] if assessment else []
            return decide(
                assessment,
                memory=memory,
                terms=self._terms(),
                step=self.reader.venue.margin_step,
                outlooks={key: without_candles(key) for key in keys},
                ended=frozenset(ended or ()),
                fresh_read=fresh,
                now=now,
                live=self.reader.live_marks(),
                stops=self.stop_orders.known,
            )

        decision, self._fault = judge_despite_bugs(self.reader.snapshot, judge)
        return decision

    def is_crossed_by(self, mark: Mark) -> bool:
        """Say whether a mark reached a trigger or rung that the last cycle had not; a few times per near poll."""
        loop_time = asyncio.get_running_loop().time()
        if not is_reached(self._lines, mark) or loop_time < self._wake_not_before_s:
            return False
        self._spare_time.end()
        self._wake_not_before_s = loop_time + self.settings.poll_near.total_seconds() / WAKES_PER_NEAR_POLL
        log.info("mark.crossed", account=self.name, symbol=mark.symbol, mark_price=f"{mark.price:f}")
        return True

    async def _read(self) -> Mapping[PositionKey, str]:
        """Settle, read, and learn the past if the journal has none. Return the positions proven gone."""
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                passed: tuple[Intent, ...] = ()
                with needed_for(Need.CYCLE):
                    with self._despite_the_journal():
                        await self._settle(self._actor.settle)
                        self._actor.tell_outcomes()
                        passed = self._fences.passed()
                    await self.reader.read()
                with self._despite_the_journal():
                    self._fences.count_read(passed, self._now())
                    await self._learn()
        except TimeoutError:
            raise VenueUnavailable(f"no complete answer within {READ_WITHIN_S:.0f} s") from None
        return self.reader.ended

    async def _learn(self) -> None:
        """Hold the journal against the exchange's history, once. Without an answer all is watched, nothing spent."""
        try:
            async with asyncio.timeout(LEARN_WITHIN_S):
                await self._past.learn()
        except (VenueUnavailable, TimeoutError) as error:
            because = str(error) or f"its margin history does not answer within {LEARN_WITHIN_S:g} s"
            self._journal.note_unlearned(self.name, because)
            log.warning("past.not_read", account=self.name, reason=because)
            return
        self._journal.note_unlearned(self.name, None)
        self._journal.set_reconciled(self.name)

    async def _settle(self, settle: Callable[[], Awaitable[None]]) -> None:
        """Settle for a while: records that hang lock their positions only, and the account is read all the same."""
        try:
            async with asyncio.timeout(SETTLE_WITHIN_S):
                await settle()
        except TimeoutError:
            log.warning("settling.cut_off", account=self.name, after_s=SETTLE_WITHIN_S)

    @contextmanager
    def _despite_the_journal(self) -> Iterator[None]:
        """Go on watching when the journal fails: it stops every action by itself."""
        try:
            yield
        except JournalError as error:
            log.critical("journal.failed", account=self.name, reason=str(error))

    def _record(self, decision: Decision) -> None:
        """Commit what was decided, and remember the ladder here: without a journal every cycle would tell it anew.

        What was never read is not blind before the time that a read would be: a network may come up after us.
        """
        is_young = self._now() - self._born_at <= self.settings.terms.data_age.blind_after
        if decision.assessment is None and is_young and not self._known.alerts:
            return
        # By a clock that is a day ahead a re-entry looks like a position of its own, and would get a budget of its own.
        skew = self.reader.venue.skew or timedelta(0)
        self._teller.record(self.name, decision, born_at=self._now() + skew if self._clock_block() else None)
        # Also what is on disk: another account's failed write may break the journal before it is read again.
        self._known = replace(self._known, alerts={state.subject: state for state in decision.alert_states})

    def _memory(self, now: datetime) -> Memory:
        unread = self._journal.broken
        if unread is None:
            try:
                self._known = self._journal.memory(self.name, now)
            except JournalError as error:
                unread = str(error)
                log.critical("journal.failed", account=self.name, reason=unread)
        if unread is not None:  # What is remembered here may lack what was spent since.
            return replace(self._known, armed=False, disarmed_because=unread, spending_known=False)
        block = self.keys.block or self._clock_block() or self.reader.venue.watch_only
        if self._known.armed and block is not None:
            return replace(self._known, armed=False, disarmed_because=block)
        return self._known

    def _clock_block(self) -> str | None:
        skew = self.reader.venue.skew
        if skew is None or abs(skew) <= CLOCK_OFF_MAX:
            return None
        return f"this machine's clock is {-skew.total_seconds():+.0f} s off the exchange's: set it (NTP)"

    def _terms(self) -> Terms:
        """Return the owner's terms, with data stale sooner while it is read more often."""
        terms, near = self.settings.terms, self.settings.stale_after_near
        if near is None or self.decision is None or self.decision.level < Level.WARN:
            return terms
        return replace(terms, data_age=replace(terms.data_age, stale_after=near))

    def _keep_look(self) -> None:
        if self.decision is not None and self.decision.assessment is not None and self._journal.broken is None:
            with self._despite_the_journal():
                self._looks.keep(self.decision.assessment, self._now())

    def _keep_quiet(self, failure: Failure) -> None:
        """Write down for how long the exchange wants quiet: after a restart nobody else remembers it."""
        if not isinstance(failure, VenueUnavailable) or failure.retry_after is None or self._journal.broken is not None:
            return
        until = self._now() + failure.retry_after
        if self._quiet_until is None or until > self._quiet_until + timedelta(seconds=1):
            with self._despite_the_journal():
                self._journal.note_quiet(self.name, until, at=self._now())
                self._quiet_until = until

    def _end_quiet(self) -> None:
        """Write down that the exchange answers again: by a clock that was set back its quiet would go on."""
        if self._quiet_until is not None and self._journal.broken is None:
            with self._despite_the_journal():
                self._journal.end_quiet(self.name, at=self._now())
                self._quiet_until = None

    def _end_lives(self, ended: Mapping[PositionKey, str]) -> None:
        for key, reason in ended.items():
            log.info("position.ended", account=self.name, position=str(key), reason=reason)
            with self._despite_the_journal():
                self._journal.end_life(self.name, key, at=self._now(), reason=reason)
        self.reader.forget_ended(ended)

    def _finish(self, started: float, read_s: float, failure: Failure | None) -> None:
        assert self.decision is not None
        self._finished_s = asyncio.get_running_loop().time()
        # When the machine stood still meanwhile, what was read is old though the cycle ended now: by the loop's clock
        # or by the wall's alone, and also where that was between reading and learning the past.
        is_recent = self._finished_s - read_s <= READ_WITHIN_S and self.reader.has_read_since(
            self._finished_s - 2 * READ_WITHIN_S
        )
        self._is_fresh = failure is None and is_recent and self.decision.state is not DataState.BLIND
        self._interval = self._next_interval(self.decision, failure)
        log.info(
            "cycle.finished",
            account=self.name,
            cycle=self._cycles,
            state=self.decision.state.value,
            worst=self.decision.level.word,
            positions=len(self.decision.positions),
            gaps=len(self.decision.gaps),
            took_s=round(self._finished_s - started, 4),
            failure=str(failure) if failure else None,
        )
        self._on_finished()

    def _next_interval(self, decision: Decision, failure: Failure | None) -> timedelta:
        near = decision.level >= Level.WARN or self.reader.is_suspect or failure is not None
        # A ban does not make it longer: the transport keeps quiet by itself, and that data grows old must be noticed.
        wait = self.settings.poll_near if near else self.settings.poll_calm
        with self._despite_the_journal():
            wait = min(wait, self._fences.next_look() or wait)
        return wait if self.interval_max is None else min(wait, self.interval_max)
