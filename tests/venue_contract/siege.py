"""A seeded siege of the real daemon's parts at one exchange: what it lives through, cycle by cycle.

By command: python tests/venue_contract/siege.py --exchange okx --seeds 200
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
from exchanges import SERVERS
from siege_kit import Besieged, Limits, Referee, Tally, besieged
from siege_mutants import MUTANTS, mutated
from wire_faults import OF_READS
from wire_values import Sample
from wire_world import config_text

from guard.config import load
from guard.config.settings import Settings
from guard.daemon.doors import Doors
from guard.daemon.service import Service
from guard.daemon.watch import AccountWatch
from guard.journal import Journal
from guard.policy.message import Message
from guard.policy.terms import Level
from guard.snapshot import Side
from guard.venues import open_venue

CYCLES = 30
READ_KINDS = ("positions", "wallets", "mark", "tiers")
PATIENCE_S = 20.0  # Of real time, for one cycle: more is a hang.


class Phone:
    """A channel that is never asked: what it would be sent stays in the outbox."""

    name = "phone"
    from_level = Level.WATCH
    reaches_people = True
    digest_units_max = None

    async def send(self, message: Message, *, attempt: int) -> None:
        raise NotImplementedError

    async def close(self) -> None: ...


class Siege:
    """One seed: one account, one world, many lives of the guard."""

    def __init__(self, server: Besieged, folder: Path, seed: str, tally: Tally, *, fail_fast: bool) -> None:
        self._server = server
        self._folder = folder
        self._seed = seed
        self._tally = tally
        self._fail_fast = fail_fast
        self._dice = random.Random(seed)  # noqa: S311 - what happens, no secret.
        server.dice = random.Random(f"{seed} fates")  # noqa: S311
        self._blamed: set[str] = set()
        self._limits = self._drawn_limits()
        self._referee = Referee(server, self._limits, self._blame)
        self._path = folder / "0" / "journal.db"
        self._samples = self._drawn_samples()
        self._is_hedged = "hedge" not in server.lacks and self._dice.random() < 0.2
        self._history_down_for = self._broken_for = 0

    def _blame(self, text: str) -> None:
        if text not in self._blamed:
            self._blamed.add(text)
            self._tally.violations.append(f"seed {self._seed}, cycle {self._tally.cycles}: {text}")

    def _drawn_limits(self) -> Limits:
        per_action = self._dice.choice([None, Decimal(20), Decimal(20), Decimal(50)])
        per_position = self._dice.choice([Decimal(200), Decimal(1000), Decimal(1_000_000)])
        return Limits(
            per_action=per_action, per_position=per_position, per_day=per_position * self._dice.choice([1, 2])
        )

    def _drawn_samples(self) -> list[Sample]:
        samples = [self._server.sample]
        if self._dice.random() < 0.4:
            samples.append(self._server.other)
        if self._server.inverse is not None and self._dice.random() < 0.3:
            samples.append(self._server.inverse)
        return samples

    @property
    def _has_history(self) -> bool:
        return "entries" not in self._server.lacks

    @property
    def _is_over(self) -> bool:
        return self._fail_fast and bool(self._blamed)

    async def run(self, *, cycles: int) -> None:
        settings = self._settings()
        with self._server.time.on(asyncio.get_running_loop()):
            await self._begin(settings)
            left = cycles
            while left > 0 and not self._is_over:
                async with self._life(settings) as watch:
                    while left > 0 and not self._is_over:
                        left -= 1
                        self._happen()
                        if not await self._survives(watch):
                            self._tally.deaths += 1
                            break
                        self._let_time_pass(watch)
                if left > 0 and self._dice.random() < 0.05 and not any(post.is_pending for post in self._server.posts):
                    self._lose_journal()
            if not self._is_over:
                await self._end(settings)
        self._tally.seeds += 1

    def _settings(self) -> Settings:
        config = self._folder / "config.toml"
        config.touch(mode=0o600)
        words = self._limits.words() | {"reserve": "0", "cooldown": "0s", "when_short": "spend"}
        config.write_text(config_text(self._server, words))
        return load(config, environ={})

    @asynccontextmanager
    async def _life(self, settings: Settings) -> AsyncIterator[AccountWatch]:
        time = self._server.time

        def open_here(account: Any, /, *, now: Any) -> Any:
            venue: Any = open_venue(account, now=now)
            venue._client.milliseconds = lambda: round(time.wall().timestamp() * 1000)  # One machine, one clock.
            return venue

        doors = Doors(wall=time.wall, steady=time.steady, open_venue=open_here, open_channels=lambda _: (Phone(),))
        service = Service(replace(settings, journal_path=self._path), {}, doors=doors)
        async with service._parts() as teller:
            self._referee.take(teller.journal)
            (watch,) = service.watches.values()
            await watch.keys.check()
            try:
                yield watch
            finally:
                self._referee.take(None)

    async def _begin(self, settings: Settings) -> None:
        """Watch an account without a position, so that the journal's past is whole; then open what is guarded."""
        for one in self._samples:
            self._server.set_mark(one.symbol, one.entry)
        async with self._life(settings) as watch:
            if not self._has_history:
                self._journal_of(watch).arm(None, self._server.time.wall(), "siege")
            await watch.cycle()
        for one in self._samples:
            for side in list(Side) if self._is_hedged and one is self._server.sample else [self._drawn_side()]:
                self._open(one, side)

    def _drawn_side(self) -> Side:
        return self._dice.choice(list(Side))

    def _journal_of(self, watch: AccountWatch) -> Journal:
        return watch._journal

    def _open(self, one: Sample, side: Side) -> None:
        """Open it anew, at an entry that it never had."""
        entry = one.entry * (1 + Decimal(self._dice.randrange(-300, 300)).scaleb(-5))
        hedged = self._is_hedged and one is self._server.sample
        self._server.hold_sample(side, one, entry=round(entry, 1), hedged=hedged)
        self._server.set_mark(one.symbol, round(entry, 1))
        self._referee.note_person(one.symbol)

    # What happens between two cycles.

    def _happen(self) -> None:
        for currency, (balance, available) in self._server.wallets.items():
            if balance and available < balance / 2:
                self._server.set_wallet(currency, balance * 2, balance * 2)
        for one in self._samples:
            if self._dice.random() < 0.1:
                self._dice.choice(
                    [self._close, self._turn, self._resize, self._add, self._add, self._take, self._same, self._fund]
                )(one)
            self._move(one, is_calm=self._dice.random() < 0.2)
        self._break_reads()

    def _keys(self, one: Sample) -> list[Side]:
        return [side for symbol, side in self._server.holdings if symbol == one.symbol]

    def _close(self, one: Sample) -> None:
        for side in self._keys(one):
            self._server.end_position(one.symbol, side, self._dice.choice(["closed", "liquidated"]))
            self._referee.note_person(one.symbol)
        if self._dice.random() < 0.5:
            self._open(one, self._drawn_side())

    def _turn(self, one: Sample) -> None:
        sides = self._keys(one)
        if len(sides) == 1:
            self._server.end_position(one.symbol, sides[0], "closed")
            self._open(one, Side(-sides[0]))
        elif not sides:
            self._open(one, self._drawn_side())

    def _resize(self, one: Sample) -> None:
        for side in self._keys(one):
            holding = self._server.holdings[one.symbol, side]
            factor = 2 if holding.contracts <= one.contracts else Decimal("0.5")
            assert holding.margin is not None
            holding.contracts *= factor
            holding.margin *= factor
            self._referee.note_person(one.symbol)

    def _add(self, one: Sample, *, sign: int = 1) -> None:
        for side in self._keys(one)[:1]:
            dollars = Decimal(self._dice.randrange(501, 9000)) / 100
            amount = round(dollars / one.mark, 8) if one.inverse else dollars
            margin = self._server.margin_of(one.symbol, side)
            if sign > 0 or amount < margin / 2:
                self._server.add_to(one.symbol, side, sign * amount)
                self._referee.note_person(one.symbol)

    def _take(self, one: Sample) -> None:
        self._add(one, sign=-1)

    def _same(self, one: Sample) -> None:
        """Somebody adds just what the guard adds each time, while nothing of its own is open."""
        is_open = any(intent.state.is_open for intent in self._referee.intents())
        if self._limits.per_action is None or one.inverse or is_open or self._server.history_down:
            return
        for side in self._keys(one)[:1]:
            self._server.add_to(one.symbol, side, self._limits.per_action)
            self._referee.note_person(one.symbol)

    def _fund(self, one: Sample) -> None:
        pay = getattr(self._server, "pay_funding", None)
        for side in self._keys(one)[:1]:
            if pay is not None:
                pay(one.symbol, side, Decimal(self._dice.randrange(-999, 999)) / 100)
                self._referee.note_person(one.symbol)

    def _move(self, one: Sample, *, is_calm: bool) -> None:
        """Bring a position to a drawn distance from its liquidation, whatever it holds by now."""
        for side in self._keys(one)[:1]:
            with suppress(AssertionError):  # Where tiers meet the exchange's own formula has no answer.
                liquidation = self._server.liquidation_of(one.symbol, side)
                if liquidation is None:
                    continue
                distance = Decimal(self._dice.randrange(150, 300) if is_calm else self._dice.randrange(15, 76)) / 1000
                self._server.set_mark(one.symbol, round(liquidation / (1 - distance * side), 2))

    def _break_reads(self) -> None:
        self._history_down_for -= 1
        self._broken_for -= 1
        if self._history_down_for <= 0:
            self._server.history_down = self._dice.random() < 0.08
            self._history_down_for = self._dice.randrange(1, 7)
        if self._broken_for > 0:
            return
        for kind in READ_KINDS:
            self._server.break_reads(kind, None)
        self._server.mangle("positions", None)
        self._broken_for = self._dice.randrange(1, 3)
        how = self._dice.random()
        if how < 0.07:
            self._server.break_reads(self._dice.choice(READ_KINDS), self._dice.choice(OF_READS))
        elif how < 0.1:
            self._server.mangle("positions", self._without_a_field(self._dice.choice(["size", "entry", "margin"])))

    def _without_a_field(self, name: str) -> Any:
        *way, last = self._server.position_fields[name].split(".")

        def change(answer: Any) -> Any:
            for row in self._server.rows_in("positions", answer)[:1]:
                table = row
                for step in way:
                    table = table[step]
                table.pop(last, None)
            return answer

        return change

    # The guard's life.

    async def _survives(self, watch: AccountWatch, *, may_die: bool = True) -> bool:
        """Make a cycle. False: the guard died in it, and its journal is what was on disk in that instant."""
        self._tally.cycles += 1
        died = asyncio.Event()
        cycle = asyncio.ensure_future(watch.cycle())

        def die() -> None:
            if not cycle.done() and not died.is_set():
                died.set()
                self._path = self._copied()
                cycle.cancel()

        if may_die and self._dice.random() < 0.15:
            self._server.die_at, self._server.die = self._dice.randrange(1, 10), die
        await asyncio.wait([cycle], timeout=PATIENCE_S)
        self._server.die_at = None
        if not cycle.done():
            self._blame("a cycle hangs")
            cycle.cancel()
        try:
            await cycle
        except asyncio.CancelledError:
            pass
        except Exception as bug:
            self._blame(f"a bug: {type(bug).__name__}: {bug}")
            raise
        if not died.is_set():
            self._referee.look()
        return not died.is_set()

    def _copied(self) -> Path:
        """Return a copy of the journal's folder as it is on disk now: what a process leaves that dies here."""
        folder = self._path.parent
        copy = folder.with_name(str(int(folder.name) + 1))
        copy.mkdir()
        for file in folder.iterdir():
            if file.name.startswith("journal.db") and not file.name.endswith(("-shm", ".lock")):
                shutil.copy(file, copy / file.name)
        return copy / "journal.db"

    def _lose_journal(self) -> None:
        self._tally.lost_journals += 1
        self._path = self._folder / str(int(self._path.parent.name) + 1) / "journal.db"
        self._referee.lose(is_forgotten=True)

    def _let_time_pass(self, watch: AccountWatch) -> None:
        seconds = self._dice.choice([0.05, 0.2, 0.5, 1, 2.2, 2.2, 2.2, 5.5, 11, 40])
        if self._dice.random() < 0.6 and any(post.is_pending for post in self._server.posts):
            seconds = 0.05  # It looks again while the request may still be executed.
        self._server.put_forward(650 if self._dice.random() < 0.02 else seconds)
        journal = self._journal_of(watch)
        if self._dice.random() < 0.6 and not journal.arming("main")[0]:
            journal.arm("main", self._server.time.wall(), "siege")  # Its owner read why it does not act.

    async def _end(self, settings: Settings) -> None:
        """Let all be fair, and everything settle; then nothing is open but what only a person can know."""
        server = self._server
        server.is_fair, server.history_down = True, False
        for kind in READ_KINDS:
            server.break_reads(kind, None)
        server.mangle("positions", None)
        async with AsyncExitStack() as stack:
            watch = await stack.enter_async_context(self._life(settings))
            for seconds in (3, 3, 3, 35, 35, 35):
                server.put_forward(seconds)
                for one in self._samples:
                    self._move(one, is_calm=True)
                await self._survives(watch, may_die=False)
            self._referee.finish(self._tally)


async def besiege(
    exchange: str, folder: Path, tally: Tally, seed: int, *, cycles: int = CYCLES, fail_fast: bool = False
) -> None:
    """Run one seed and add to the tally."""
    async with besieged(exchange).serving() as server:
        await Siege(server, folder, f"{exchange} {seed}", tally, fail_fast=fail_fast).run(cycles=cycles)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchange", choices=SERVERS, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cycles", type=int, default=CYCLES)
    parser.add_argument("--mutant", choices=MUTANTS)
    asked = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    tally = Tally()
    with mutated(asked.mutant):
        for seed in range(asked.first, asked.first + asked.seeds):
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(besiege(asked.exchange, Path(folder), tally, seed, cycles=asked.cycles))
    sys.stdout.write("\n  ".join([f"{asked.exchange}: {tally}", *tally.violations]) + "\n")
    return bool(tally.violations)


if __name__ == "__main__":
    sys.exit(main())
