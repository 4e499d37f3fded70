"""One seed, played: the real daemon in a simulated world, killed, stopped, stepped and started again, and judged."""

import random
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from invariants import Referee
from simulated_channels import SimulatedDoor
from simulated_exchange import Exchange, Refused
from simulated_faults import Fates
from simulated_market import Market
from simulated_news import news_of
from simulated_process import Process
from simulated_scenario import CHANNELS, Scenario, settings_of
from simulated_surroundings import dice_of, simulated_surroundings
from simulated_themes import draw_with_theme
from simulated_time import World
from simulated_wire import Request, SimulatedWire

from guard.errors import JournalError
from guard.journal import Journal

STEPS_MAX = 2_000_000
STOPS_WITHIN_S = 12  # Ten, and what a second's grid adds.
OPENED_BEFORE_S = 3600.0  # Positions are older than the run.


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came of one seed."""

    seed: int
    violations: tuple[str, ...]
    trace_hash: str
    counts: dict[str, int]
    lines: tuple[str, ...] = ()


class Simulation:
    """The world of one seed. `play` runs it to its end or to the first broken invariant."""

    def __init__(self, scenario: Scenario, folder: Path, *, keep_trace: bool) -> None:
        self.scenario = scenario
        self.folder = folder
        self.world = World(scenario.start)
        self.world.lines = [] if keep_trace else None
        self.world.wall_off = timedelta(seconds=scenario.wall_off_s)
        self.settings = settings_of(scenario, folder)
        self._dice = {what: dice_of(scenario.seed, what) for what in ("deaths", "events", "stream", "channels", "news")}
        self.market = Market(dice_of(scenario.seed, "market"), scenario.towards, scenario.path)
        self.exchanges = {plan.name: self._exchange(plan.name) for plan in scenario.accounts}
        self.wires = {
            plan.name: SimulatedWire(
                self.exchanges[plan.name],
                Fates(dice_of(scenario.seed, f"fates {plan.name}"), plan.weather, write_faults=plan.write_faults),
                self.world,
            )
            for plan in scenario.accounts
        }
        self._news = news_of(scenario.accounts, self.wires, self.world, self._dice["news"])
        self.doors = {
            name: SimulatedDoor(name, scenario.channels[name], self.world, self._dice["channels"])
            for name in (*CHANNELS, "heartbeat")
        }
        self.referee = Referee(
            self.world, scenario, exchanges=self.exchanges, wires=self.wires, doors=self.doors, folder=folder
        )
        self.process: Process | None = None
        self._steps_to_suspend: int | None = None
        self._stopping_s = 0
        self._is_stopped = self._must_lose_journal = self._must_put_back = False
        self._copy = folder / "copy.db"
        self.counts = {"deaths": 0, "restarts": 0, "posts": 0, "lost journals": 0, "copies put back": 0}
        self._steps = 0
        for wire in self.wires.values():
            wire.on_request = self._on_request
            wire.on_delivered = self.referee.on_delivered
            wire.on_refused = self.referee.on_refused

    def play(self) -> None:
        """Play faults until the scenario's time for them is over, then let everything come to rest."""
        self._schedule_events()
        self._each_second()
        while self.world.time_s < self.scenario.ends_s and not self.world.violations:
            self._live()
        if not self.world.violations:
            self.referee.at_rest()
        if self.process is not None:
            self.process.die()
        self.referee.close()

    @property
    def all_counts(self) -> dict[str, int]:
        return self.counts | {"steps": self._steps, self.scenario.theme or "no theme": 1} | self.referee.counts

    @property
    def is_over(self) -> bool:
        return self.world.time_s >= self.scenario.ends_s or bool(self.world.violations)

    def _live(self) -> None:
        """Start the daemon and let it live until it dies, stops or everything is over; then stay down for a while."""
        process = self.process = self._start()
        self._stopping_s = 0
        with process.running():
            while not self.is_over and not process.is_dead and not process.has_ended:
                process.step(self.scenario.ends_s)
                self._steps += 1
                if self._steps_to_suspend is not None:
                    self._suspend_when_due()
                if self._steps > STEPS_MAX:
                    self.world.violated("no busy loop", "the daemon runs without letting time go by")
        if self.is_over:
            return
        self.counts["deaths" if process.is_dead else "restarts"] += 1
        if not process.is_dead:
            process.die()  # Nothing is left of it.
        self.referee.on_ended()
        dice = self._dice["deaths"]
        self.process = None
        self._pass_over(dice.choice((0.5, 2.0, 2.0, dice.uniform(5, 60))))
        is_unlucky = dice.random() < self.scenario.deaths.lose_journal
        if (is_unlucky or self._must_lose_journal) and self.referee.may_lose_journal():
            self._lose_journal()
        elif self._must_put_back:
            self._put_copy_back()
        self._must_lose_journal = self._must_put_back = False

    def _pass_over(self, wait_s: float) -> None:
        """Let time go by without the daemon; once everything is calm it has to run."""
        self.world.pass_over(max(0.5, min(wait_s, self.scenario.faults_s - self.world.time_s)))

    def _suspend_when_due(self) -> None:
        """Stop the daemon between two of its steps, as SIGSTOP does; everything else goes on."""
        self._steps_to_suspend -= 1
        if self._steps_to_suspend <= 0:
            dice = self._dice["events"]
            self._steps_to_suspend = None
            self.world.note("stopped")
            self._is_stopped = True
            stopped_s = self.world.time_s
            self._pass_over(dice.choice(self.scenario.stops_s or (3.0, 6.0, dice.uniform(1, 200))))
            self._is_stopped = False
            self.referee.telling.stopped_s = stopped_s, self.world.time_s

    def _start(self) -> Process:
        process = Process(
            self.settings,
            self.world,
            wires=self.wires,
            doors=self.doors,
            disk=self.scenario.disk,
            dice=self._dice["stream"],
            news=self._news,
            on_commit=self.referee.on_commit,
        )
        dice = self._dice["deaths"]
        if not self._is_calm and dice.random() < self.scenario.deaths.any_time:
            process.points_to_live = int(10 ** dice.uniform(0.5, 4.3))
        self.world.note("started")
        self.referee.on_started(process.started_s)
        return process

    @property
    def _is_calm(self) -> bool:
        return self.world.time_s >= self.scenario.faults_s

    def _on_request(self, request: Request) -> None:
        self.referee.on_request(request)
        if request.method != "POST":
            return
        self.counts["posts"] += 1
        dice, deaths, process = self._dice["deaths"], self.scenario.deaths, self.process
        if process is None or self._is_calm:
            return
        if dice.random() < deaths.after_write:
            process.points_to_live = int(10 ** dice.uniform(0, 2))
        if dice.random() < deaths.stop_at_write:
            self.world.after(dice.uniform(0, 0.4), process.ask_to_stop)
        if dice.random() < self.scenario.clock_at_write:
            off_s = dice.choice(self.scenario.clock_set_to)
            self.world.after(dice.uniform(*self.scenario.clock_set_within_s), lambda: self._set_clock(off_s))
        if dice.random() < self.scenario.hurried_people:
            self.world.after(dice.uniform(0.1, 9), lambda: self._hurry(request))

    def _exchange(self, name: str) -> Exchange:
        plan = next(plan for plan in self.scenario.accounts if plan.name == name)
        exchange = Exchange(name, self.world, self.market, plan.free, plan.hedged)
        self.world.time_s = -OPENED_BEFORE_S
        for holding in plan.holdings:
            price = self.market.prices[holding.coin]
            exchange.open(
                holding.coin,
                holding.side,
                notional=holding.notional,
                entry=(price * (1 + holding.side * holding.lost)).quantize(Decimal("0.01")),
                leverage=5,
                isolated=holding.isolated,
            )
            exchange.free += exchange.holdings[holding.coin, holding.side].margin  # `free` is what is left over.
        self.world.time_s = 0.0
        return exchange

    def _each_second(self) -> None:
        self.market.step()
        for exchange in self.exchanges.values():
            exchange.liquidate_what_is_due()
        is_running = self.process is not None and not self.process.is_dead and not self._is_stopped
        is_stopping = is_running and self.process.is_stopping
        self._stopping_s = self._stopping_s + 1 if is_stopping else 0
        if self._stopping_s > STOPS_WITHIN_S:
            self.world.violated("clean stop", f"asked to stop, it still runs after {self._stopping_s} s")
        self.referee.each_second(is_alive=is_running and not is_stopping)
        self.world.after(1.0, self._each_second)

    def _schedule_events(self) -> None:
        for at_s, kind in self.scenario.events:
            self.world.after(at_s, lambda kind=kind: self._happen(kind))
        self.world.after(self.scenario.faults_s, self._calm_down)

    def _calm_down(self) -> None:
        self.world.note("calm")
        self.market.is_frozen = True
        now = self.world.time_s
        for wire in self.wires.values():
            wire.fates.weather.stop(now)
            wire.fates.write_faults = 0.0
        for weather in (self.scenario.disk, *(door.weather for door in self.doors.values())):
            weather.stop(now)
        self.referee.on_clock_set(-self.world.wall_off.total_seconds())
        self.world.wall_off = timedelta(0)
        if self.process is not None:
            self.process.points_to_live = None

    def _happen(self, kind: str) -> None:
        self.world.note("happens", kind)
        dice = self._dice["events"]
        match kind:
            case "restart" if self.process is not None:
                self.process.ask_to_stop()
            case "suspend" if self.process is not None:
                self._steps_to_suspend = int(10 ** dice.uniform(0, 3))
            case "clock":
                self._set_clock(dice.choice((0, 0.4, -0.4, 3, -3, 90, -90, 86400, -90000, 90000)))
            case "jump":
                self.market.jump(dice.choice(("BTC", "ETH", "SOL")), dice.uniform(0.01, 0.05))
            case "lose journal" if self.process is not None and self.referee.may_lose_journal():
                self.process.points_to_live = 1
                self._must_lose_journal = True
            case "copy journal" | "put copy back":
                self._use_copy(kind)
            case "disarm":
                self._from_outside(lambda journal: journal.disarm(None, self.world.wall(), "a test", "to see"))
                self.referee.on_disarmed()
                self.world.after(dice.uniform(20, 120), self._arm)
            case "second daemon" if self.process is not None and self.process.has_journal and not self.process.is_dead:
                self._start_second()
            case _ if kind.startswith("foreign"):
                self._interfere(kind.removeprefix("foreign "), dice)

    def _set_clock(self, off_s: float) -> None:
        if not self._is_calm:
            self.world.note("clock", off_s)
            self.referee.on_clock_set(off_s - self.world.wall_off.total_seconds())
            self.world.wall_off = timedelta(seconds=off_s)

    def _arm(self) -> None:
        if not self.settings.journal_path.exists():
            self.world.after(10.0, self._arm)
            return
        self._from_outside(lambda journal: journal.arm(None, self.world.wall(), "a test"))
        self.referee.on_armed()

    def _from_outside(self, act: "object") -> None:
        """Do what `guard disarm` does: another process on the same journal."""
        if self.settings.journal_path.exists():
            with Journal.open(self.settings.journal_path, exclusive=False) as journal:
                act(journal)  # type: ignore[operator]

    def _start_second(self) -> None:
        try:
            Journal.open(self.settings.journal_path, exclusive=True).close()
        except JournalError:
            return
        self.world.violated("I15 exclusivity", "a second daemon got the journal")

    def _lose_journal(self) -> None:
        self.world.note("the journal is lost")
        self.counts["lost journals"] += 1
        for path in self.folder.glob("journal.db*"):
            if path.suffix != ".disarmed":  # It stands beside the journal for this very case.
                path.unlink()
        self.referee.on_journal_lost()

    def _use_copy(self, kind: str) -> None:
        if kind == "copy journal" and self.settings.journal_path.exists():
            self._copy_journal()
        elif kind == "put copy back" and self.process and self._copy.exists() and self.referee.may_lose_journal():
            self.process.points_to_live = 1
            self._must_put_back = True

    def _copy_journal(self) -> None:
        """Do what `sqlite3 journal.db .backup` does beside the running daemon."""
        with (
            closing(sqlite3.connect(self.settings.journal_path)) as source,
            closing(sqlite3.connect(self._copy)) as copy,
        ):
            source.backup(copy)
        self.world.note("the journal is copied")
        self.referee.on_journal_copied()

    def _put_copy_back(self) -> None:
        self.world.note("the copy is put back")
        self.counts["copies put back"] += 1
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.settings.journal_path}{suffix}").unlink(missing_ok=True)
        shutil.copy(self._copy, self.settings.journal_path)
        self.settings.journal_path.chmod(0o600)
        self.referee.on_journal_put_back()

    def _interfere(self, what: str, dice: random.Random) -> None:
        """A person, or the clock of the exchange, changes the account."""
        exchange = self.exchanges[dice.choice(sorted(self.exchanges))]
        isolated = sorted(key for key, one in exchange.holdings.items() if one.isolated)
        if what == "reopen":  # Rather what was helped before: what is spent on it must not be forgotten.
            isolated = sorted({(e.coin, e.side) for e in exchange.history if e.request} & set(isolated)) or isolated
        if not isolated and what in {"add", "take", "close", "flip", "reopen", "funding"}:
            return
        exchange.note_foreign()
        key = dice.choice(isolated) if isolated else ("", 0)
        amount = Decimal(dice.randrange(500, 9000)).scaleb(-2)
        match what:
            case "add" if exchange.available() >= amount:
                exchange.add_margin(key[0], _leg(exchange, key[1]), amount, None)
            case "take" if (exchange.distance(key) or 0) > Decimal("0.06"):
                exchange.take_margin(key, amount)
            case "withdraw":
                exchange.move_cash(-min(exchange.available(), amount * 4))
            case "deposit":
                exchange.move_cash(amount)
            case "funding":
                exchange.pay_funding(key, Decimal(dice.randrange(-20, 20)).scaleb(-4))
            case "close" | "flip" | "reopen":
                self._close(exchange, key, what)

    def _close(self, exchange: Exchange, key: tuple[str, int], then: str) -> None:
        exchange.close(key, "by its owner")
        if then == "flip" and not exchange.hedged:
            self._open_near(exchange, (key[0], -key[1]))
        elif then == "reopen":
            wait_s = self._dice["events"].uniform(20, 60)
            self.world.after(wait_s, lambda: self._open_near(exchange, key))

    def _hurry(self, request: Request) -> None:
        """A person adds margin by hand to the position that the guard is adding to."""
        exchange = self.exchanges[request.account]
        coin, leg = request.fields["symbol"].removesuffix("USDT"), request.fields.get("positionSide", "BOTH")
        side = next((one.side for one in exchange.holdings.values() if one.coin == coin and one.isolated), None)
        if side is not None and not self._is_calm and exchange.available() > 90:
            exchange.note_foreign()
            with suppress(Refused):  # The leg that the guard asks for may be closed by now.
                exchange.add_margin(coin, leg, Decimal(self._dice["events"].randrange(500, 9000)).scaleb(-2), None)

    def _open_near(self, exchange: Exchange, key: tuple[str, int]) -> None:
        """Open a position that needs money soon."""
        if self._is_calm or key in exchange.holdings or exchange.free < 900:
            return
        price = self.market.prices[key[0]]
        exchange.note_foreign()
        exchange.open(key[0], key[1], notional=Decimal(3500), entry=price, leverage=5, isolated=True)
        exchange.take_margin(key, Decimal(390))


def _leg(exchange: Exchange, side: int) -> str:
    return ("LONG" if side > 0 else "SHORT") if exchange.hedged else "BOTH"


def play(seed: int, *, keep_trace: bool = False, is_loud: bool = False) -> Played:
    """Play one seed and return what came of it."""
    shm = Path("/dev/shm")  # noqa: S108 - commits reach a disk, but need not wear a real one.
    folder = Path(tempfile.mkdtemp(prefix="guard-simulation-", dir=shm if shm.is_dir() else None))
    try:
        with simulated_surroundings(seed, is_loud=is_loud) as world_of:
            simulation = Simulation(draw_with_theme(seed), folder, keep_trace=keep_trace)
            world_of.append(simulation.world)
            simulation.play()
            return Played(
                seed=seed,
                violations=tuple(simulation.world.violations),
                trace_hash=simulation.world.trace_hash,
                counts=simulation.all_counts,
                lines=tuple(simulation.world.lines or ()),
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
