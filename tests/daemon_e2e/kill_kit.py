"""A siege: the real daemon on the demo exchange in a falling market, killed at instants chosen near its writes.

After every kill the journal is held against what the exchange did, which knows nothing of journals.
"""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon_kit import MARKS, POSITIONS, POST, World, account, guard, hold, until, world

from guard.demo.exchange import DemoExchange, Fault, FaultKind, liquidation_of
from guard.errors import JournalError
from guard.journal import Intent, IntentState, Journal

LOOK = ("GET", "/fapi/v1/premiumIndex")  # The last look before an intent is written.
PER_POSITION, PER_DAY = Decimal(6_000), Decimal(12_000)
ONE_ACT_MAX = Decimal(700)  # What is less than this from the limit of a day has reached it.
RULES = f"""
[[rules]]
name = "shield"
match = {{ margin_mode = "isolated" }}
[rules.top_up]
trigger = "8%"
target = "8.4%"
max_per_position = "{PER_POSITION}"
max_per_day = "{PER_DAY}"
cooldown = "0s"
when_short = "spend"
"""
HOLDINGS = {"BTCUSDT": Decimal("0.5"), "ETHUSDT": Decimal(10), "SOLUSDT": Decimal(200)}  # 30,000 USDT each, at 5x.
READS_MAX = 9  # Of one life: long enough to settle what an earlier life left open.
LIFE_MAX_S = 30.0  # For a daemon that does nothing at all: that is no kill near a write.
# What becomes of a request for margin in one life, with its seconds, and how often. SLOW by 0 is no fault at all.
FAULTS = {
    (FaultKind.SLOW, 0.0): 60,
    (FaultKind.SLOW, 0.015): 20,
    (FaultKind.LOSE_AFTER, 0.0): 8,
    (FaultKind.LOSE_BEFORE, 0.0): 6,
    (FaultKind.APPLY_LATE, 0.05): 6,
}
KILLS_AT_THE_LIMIT = 3
COLD_EVERY = 75  # Kills: this one is started as a program, with the fence and the polls that people have.

IN_DANGER, CALM = (70_000, 79_000), (120_000, 130_000)  # Of the mark, in millionths: below the trigger, and far off.

Key = tuple[str, Decimal]  # Symbol as Binance has it, and amount: drawn marks make amounts that tell intents apart.


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of many kills."""

    kills: int = 0
    cold: int = 0  # Of the kills: those of a `guard run` that was started as a program.
    sieges: int = 0
    at_limit: int = 0  # Sieges in which the limit of the day was reached.
    intents: int = 0
    effects: int = 0
    told: int = 0
    left: Counter[str] = field(default_factory=Counter)  # In what state the last intent stood after each kill.
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        left = ", ".join(f"{count} {state}" for state, count in sorted(self.left.items()))
        return (
            f"{self.kills} kills ({self.cold} of cold starts) in {self.sieges} sieges, {self.at_limit} to the limit: "
            f"{self.intents} intents, {self.effects} effects, {self.told} told, {len(self.violations)} violations; "
            f"last intent after a kill: {left}"
        )


class Heard(Counter[tuple[str, str]]):
    """The exchange's count of requests, which says aloud what arrives before anything is done about it."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[Callable[[tuple[str, str]], None]] = []

    def __setitem__(self, request: tuple[str, str], count: int) -> None:
        super().__setitem__(request, count)
        for listener in tuple(self.listeners):
            listener(request)


class Barracks:
    """The preloaded process that forks daemons. One for all sieges of a test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def start(self, config: Path) -> int:
        return await self._ask(f"start {config}")

    async def wait(self, pid: int) -> int:
        return await self._ask(f"wait {pid}")

    async def _ask(self, line: str) -> int:
        async with self._turn:
            self._process.stdin.write(f"{line}\n".encode())
            return int(await asyncio.wait_for(self._process.stdout.readline(), 60))


@asynccontextmanager
async def barracks(log: Path, mutant: str | None = None) -> AsyncIterator[Barracks]:
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(Path(__file__).with_name("preloaded_guard.py")), *([mutant] if mutant else [])),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
        )
    try:
        yield Barracks(process)
    finally:
        process.stdin.close()
        await process.wait()


class Siege:
    """One world, one journal, kills until the limit of the day is reached, and a few more."""

    def __init__(self, here: World, quarters: Barracks, tally: Tally, seed: int, *, fail_fast: bool) -> None:
        self._here = here
        self._quarters = quarters
        self._tally = tally
        self._dice = random.Random(seed)  # noqa: S311 - when to kill, no secret.
        self._seed = seed
        self._fail_fast = fail_fast
        self._heard = Heard()
        here.exchange.requests = self._heard

    async def run(self, *, enough: int) -> None:
        """Kill, judge, start again, till there are `enough` kills; let the last one live, settle and leave by itself."""
        at_limit = 0
        while self._tally.kills < enough and at_limit <= KILLS_AT_THE_LIMIT:
            self._move(*IN_DANGER)
            await self._one_life(is_cold=self._tally.kills % COLD_EVERY == COLD_EVERY - 1)
            self._judge()
            at_limit += sum(amount for _, amount in self._effects()) > PER_DAY - ONE_ACT_MAX
            if self._fail_fast and self._tally.violations:
                break
        self._tally.sieges += 1
        self._tally.at_limit += at_limit > 0
        await self._settle_all()

    async def _one_life(self, *, is_cold: bool) -> None:
        self._here.exchange.faults.clear()
        self._here.exchange.faults.add(self._drawn_fault())
        if is_cold:
            async with guard(self._here, "run") as process:
                await self._until_its_moment()
                await process.kill()
            self._tally.cold += 1
        else:
            pid = await self._quarters.start(self._here.config)
            await self._until_its_moment()
            os.kill(pid, signal.SIGKILL)
            status = await self._quarters.wait(pid)
            if status != -signal.SIGKILL:
                self._blame(f"it ended by itself with {status}")
        self._tally.kills += 1

    def _drawn_fault(self) -> Fault:
        (drawn,) = self._dice.choices(tuple(FAULTS), FAULTS.values())
        kind, seconds = drawn
        return Fault(kind=kind, path=POST[1], method="POST", seconds=seconds)

    async def _until_its_moment(self) -> None:
        """Wait for a request that is drawn, and a drawn while after it; or for a drawn write to the journal."""
        moment = asyncio.Event()
        wanted = self._dice.choice(["any", "look", "look", "post", "post", "post"])
        which = self._dice.randrange(1, 14) if wanted == "any" else 1
        path = {"look": LOOK, "post": POST}.get(wanted)
        seen = Counter[str]()

        def listen(request: tuple[str, str]) -> None:
            seen["wanted"] += path in {None, request}
            seen["reads"] += request == POSITIONS
            if seen["wanted"] >= which or seen["reads"] > READS_MAX:
                moment.set()

        self._heard.listeners.append(listen)
        try:
            await asyncio.wait_for(moment.wait(), LIFE_MAX_S)
        except TimeoutError:
            self._blame("it did nothing")
        self._heard.listeners.remove(listen)
        if self._dice.random() < 0.4 and wanted != "any":
            await self._journal_is_written(times=self._dice.randrange(1, 4))
        else:
            await asyncio.sleep(self._dice.uniform(0, 0.012))

    async def _journal_is_written(self, *, times: int) -> None:
        """Look as often as this loop comes round; a commit that it misses leaves it waiting for the next, not long."""
        wal = self._here.journal_path.with_name("journal.db-wal")
        loop = asyncio.get_running_loop()
        until_s, before = loop.time() + 0.05, _stamp(wal)
        while times and loop.time() < until_s:
            await asyncio.sleep(0)
            now = _stamp(wal)
            times -= now != before
            before = now

    def _move(self, nearest: int, farthest: int) -> None:
        """Bring every position to a drawn distance from its liquidation, in millionths, whatever it holds by now."""
        exchange, one = self._here.exchange, self._here.account()
        marks = {}
        for position in one.positions.values():
            distance = Decimal(self._dice.randrange(nearest, farthest)).scaleb(-6)
            liquidation = liquidation_of(one, position, exchange.marks)
            marks[position.symbol] = round(liquidation / (1 - distance), 4)
        exchange.set_marks(marks)

    def _effects(self) -> list[Key]:
        changes = self._here.account().margin_changes
        return [(change.symbol, change.amount) for change in changes if change.delta_type == "USER_ADJUST"]

    def _blame(self, text: str) -> None:
        self._tally.violations.append(f"seed {self._seed}, kill {self._tally.kills}: {text}")

    def _intents(self) -> list[Intent]:
        """Return the journal's intents; a process that died while it made the journal left none that can be read."""
        try:
            return self._here.intents()
        except JournalError:
            if self._heard[POST]:
                raise
            return []

    def _judge(self) -> None:
        """Hold the journal as the kill left it against what the exchange did."""
        intents = self._intents()
        if intents:
            self._tally.left[intents[-1].state.value] += 1
        effects = Counter(self._effects())
        spent = [one for one in intents if one.state.counts_as_spent]
        if unknown := effects - Counter(map(_key, spent)):
            self._blame(f"moved without an intent, or more than once: {dict(unknown)}")
        if phantoms := Counter(_key(one) for one in intents if one.state is IntentState.APPLIED) - effects:
            self._blame(f"applied, and nothing moved: {dict(phantoms)}")
        if self._heard[POST] > len(intents):
            self._blame(f"{self._heard[POST]} requests for {len(intents)} intents")
        for amounts in (list(effects.elements()), [_key(one) for one in spent]):
            self._judge_limits(amounts)
        still_open = Counter(one.key for one in intents if one.state.is_open)
        if still_open and max(still_open.values()) > 1:
            self._blame(f"two open intents for one position: {still_open}")

    def _judge_limits(self, amounts: list[Key]) -> None:
        if sum(amount for _, amount in amounts) > PER_DAY:
            self._blame(f"above the limit of a day: {amounts}")
        for symbol in HOLDINGS:
            if sum(amount for of, amount in amounts if of == symbol) > PER_POSITION:
                self._blame(f"above the limit of {symbol}: {amounts}")

    async def _settle_all(self) -> None:
        """Let a last life settle and tell everything, and end by SIGTERM: then nothing is open and the books agree."""
        self._move(*CALM)
        self._here.exchange.faults.clear()
        reads = self._heard[POSITIONS]
        pid = await self._quarters.start(self._here.config)
        try:
            await until("it reads", lambda: self._heard[POSITIONS] > reads + 1)
            await until("all is settled and told", self._is_quiet, within_s=30)
        except AssertionError:
            self._blame(f"not settled or not told: {self._here.states()}")
        os.kill(pid, signal.SIGTERM)
        if status := await self._quarters.wait(pid):
            self._blame(f"after SIGTERM it ended with {status}")
        self._judge()
        intents = self._here.intents()
        self._tally.intents += len(intents)
        self._tally.effects += len(self._effects())
        if still_open := [one.intent_id for one in intents if one.state.is_open]:
            self._blame(f"still open: {still_open}")
        if Counter(_key(one) for one in intents if one.state is IntentState.APPLIED) != Counter(self._effects()):
            self._blame("in the end the books do not agree")
        told = {message["alert"] for message in self._here.messages}
        self._tally.told += sum(one.intent_id in told for one in intents)
        if untold := [one.intent_id for one in intents if one.intent_id not in told]:
            self._blame(f"never told: {untold}")

    def _is_quiet(self) -> bool:
        with Journal.open_to_read(self._here.journal_path) as journal:
            told = {message["alert"] for message in self._here.messages}
            everything = journal.intents(limit=100_000)
            return not journal.open_intents() and all(one.intent_id in told for one in everything)


async def besiege(folder: Path, quarters: Barracks, tally: Tally, *, seed: int, enough: int, fail_fast: bool) -> None:
    """Run one siege in a world of its own and add to the tally."""
    async with world(folder, build=_three_longs, rules=RULES) as here:
        await Siege(here, quarters, tally, seed, fail_fast=fail_fast).run(enough=enough)


def _three_longs(exchange: DemoExchange) -> None:
    one = account(exchange)
    one.balances["USDT"] = Decimal(200_000)
    for symbol, quantity in HOLDINGS.items():
        hold(exchange, one, symbol, quantity, leverage=5, isolated=True)


def _key(intent: Intent) -> Key:
    return intent.key.symbol.partition(":")[0].replace("/", ""), intent.amount


def _stamp(path: Path) -> Any:
    with suppress(OSError):
        found = path.stat()
        return found.st_size, found.st_mtime_ns
    return None


assert HOLDINGS.keys() == MARKS.keys()
