"""When jobs run: APScheduler fires them, and a monotonic overseer makes up for what its wall clock cannot promise.

Traps of APScheduler 3.11 that are handled here (docs/ARCHITECTURE.md, "Time"; each has a test):

- It fires on the wall clock: after a step back a job waits for the whole step. The overseer holds every job's due
  time on the monotonic clock and fires what is overdue.
- A large step forth makes an interval trigger count every missed run. The trigger is an hour long and only a backstop:
  each run sets the next one itself.
- `misfire_grace_time` defaults to one second and then drops the run: it is None here.
- A run asked for while the job is running is dropped: it is remembered and made right after.
- A job whose await never returns keeps `max_instances=1` busy for ever: every run has a deadline.
- `shutdown(wait=True)` cancels running coroutines: `drain` waits for them first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from guard.daemon.clock import wall_clock

log = structlog.get_logger(__name__)

BACKSTOP = timedelta(hours=1)
OVERSEE_EVERY_S = 0.5
CLOCK_STEP_S = 2.0
DRAIN_READS_S = 1.0
DRAIN_LOOK_S = 0.05


@dataclass(slots=True, kw_only=True)
class Job:
    """One repeated piece of work. `run` returns how long to wait until the next run."""

    name: str
    run: Callable[[], Awaitable[timedelta]]
    deadline: timedelta
    retry_after: timedelta  # The wait after a run that hit its deadline or failed.
    due_at: float = 0.0  # Loop time.
    started_at: float | None = None  # Loop time; None: not running.
    wanted: bool = False  # Asked for while running.


class Schedule:
    """The jobs of one daemon. Runs of one job never overlap; no job waits for another."""

    def __init__(
        self, on_clock_step: Callable[[], None] = lambda: None, *, wall: Callable[[], datetime] = wall_clock
    ) -> None:
        self._on_clock_step = on_clock_step
        self._wall = wall  # As APScheduler sees it.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._jobs: dict[str, Job] = {}
        self._overseer: asyncio.Task[None] | None = None
        self._is_draining = False
        self.clock_steps = 0

    def add(
        self,
        name: str,
        run: Callable[[], Awaitable[timedelta]],
        *,
        deadline: timedelta,
        retry_after: timedelta,
        first_after: timedelta = timedelta(0),
    ) -> None:
        """Add a job before `start`. Its first run comes `first_after` the start."""
        job = Job(name=name, run=run, deadline=deadline, retry_after=retry_after)
        job.due_at = asyncio.get_running_loop().time() + first_after.total_seconds()
        self._jobs[name] = job
        self._scheduler.add_job(
            self._run_once,
            IntervalTrigger(seconds=BACKSTOP.total_seconds(), timezone=UTC),
            args=[job],
            id=name,
            next_run_time=self._wall() + first_after,
        )

    def start(self) -> None:
        self._scheduler.start()
        self._overseer = asyncio.create_task(self._oversee(), name="schedule overseer")

    def wake(self, name: str) -> None:
        """Run a job now; if it is running, once more right after."""
        job = self._jobs[name]
        if job.started_at is not None:
            job.wanted = True
            return
        self._set_next(job, timedelta(0))

    def running(self) -> tuple[str, ...]:
        """Return the names of the jobs that are running now."""
        return tuple(name for name, job in self._jobs.items() if job.started_at is not None)

    async def drain(self, within: timedelta, *, is_worth_it: Callable[[], bool] = lambda: True) -> tuple[str, ...]:
        """Start nothing more, wait for what runs, and return the names of what did not end in time.

        After the first second it goes on waiting only while `is_worth_it`: a read may be cut off, a write should not.
        """
        self._is_draining = True
        if self._overseer is not None:
            self._overseer.cancel()
        self._scheduler.pause()
        loop = asyncio.get_running_loop()
        started = loop.time()
        while self.running():
            waited_s = loop.time() - started
            if waited_s >= within.total_seconds() or (waited_s >= DRAIN_READS_S and not is_worth_it()):
                break
            await asyncio.sleep(DRAIN_LOOK_S)
        unfinished = self.running()
        self._scheduler.shutdown(wait=False)  # Cancels what is still running.
        return unfinished

    async def _run_once(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        job.started_at, job.wanted = loop.time(), False
        wait = job.retry_after
        try:
            async with asyncio.timeout(job.deadline.total_seconds()):
                wait = await job.run()
        except TimeoutError:
            log.warning("job.timed_out", job=job.name, deadline_s=job.deadline.total_seconds())
        except asyncio.CancelledError:
            if not self._is_draining:
                raise
            log.warning("job.cut_off", job=job.name)  # Or APScheduler would log the stop as a failure, with its trace.
        except Exception:
            # A bug in one job must not end the job: it is logged whole and the job comes again.
            log.exception("job.failed", job=job.name)
        finally:
            job.started_at = None
            self._set_next(job, timedelta(0) if job.wanted else wait)

    def _set_next(self, job: Job, wait: timedelta) -> None:
        job.due_at = asyncio.get_running_loop().time() + wait.total_seconds()
        if self._scheduler.running and self._scheduler.get_job(job.name) is not None:
            self._scheduler.modify_job(job.name, next_run_time=self._wall() + wait)

    async def _oversee(self) -> None:
        """Fire what the wall clock forgot, and notice steps of it."""
        loop = asyncio.get_running_loop()
        wall_before, steady_before = self._wall(), loop.time()
        while True:
            await asyncio.sleep(OVERSEE_EVERY_S)
            wall, steady = self._wall(), loop.time()
            step_s = (wall - wall_before).total_seconds() - (steady - steady_before)
            wall_before, steady_before = wall, steady
            try:
                self._make_up(steady, step_s)
            except Exception:
                log.exception("oversight.failed")  # The overseer is what other bugs are made up for by: it goes on.

    def _make_up(self, steady: float, step_s: float) -> None:
        """Fire what is overdue by the steady clock; after a step of the wall clock, set every job's time anew."""
        has_stepped = abs(step_s) > CLOCK_STEP_S
        if has_stepped:
            self.clock_steps += 1
            log.warning("clock.stepped", step_s=round(step_s, 3))
            self._on_clock_step()
        for job in self._jobs.values():
            overdue = job.started_at is None and steady >= job.due_at + OVERSEE_EVERY_S
            if overdue or (has_stepped and job.started_at is None):
                self._set_next(job, timedelta(0) if overdue else timedelta(seconds=max(0.0, job.due_at - steady)))
