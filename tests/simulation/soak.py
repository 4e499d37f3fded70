"""Let the real daemon run for days of virtual time, without a restart, and see whether anything of it grows.

python tests/simulation/soak.py --hours 72              one line per virtual hour, and the slopes at the end
python tests/simulation/soak.py --hours 6 --allocations where the memory that was added comes from, too

Memory is the process's own, and the simulated world lives in it as well: what only the daemon holds is counted as
objects of classes of `guard`.
"""

import argparse
import asyncio
import gc
import math
import os
import random
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]

from simulated_channels import SimulatedDoor  # noqa: E402 - they are found by the line above.
from simulated_exchange import Exchange  # noqa: E402
from simulated_faults import CHANNEL_WEATHER, Fates, Weather, draw_weather  # noqa: E402
from simulated_market import COINS, TICKS, Market  # noqa: E402
from simulated_news import news_of  # noqa: E402
from simulated_process import Process  # noqa: E402
from simulated_scenario import CHANNELS, draw, settings_of  # noqa: E402
from simulated_surroundings import simulated_surroundings  # noqa: E402
from simulated_time import World  # noqa: E402
from simulated_wire import SimulatedWire  # noqa: E402

HOUR_S = 3600.0
SETTLING_HOURS = 1  # At first caches fill: they are no leak.
KINDS = ("lossy", "slow", "stale", "torn", "null_rows", "limited", "blackout", "no_writes", "maintenance", "garbled")


class Tides(Market):
    """Prices that fall to the trigger and come back, every few hours, and never run away."""

    def step(self) -> None:
        self._second += 1
        for number, (coin, start) in enumerate(COINS.items()):
            tide = math.sin(2 * math.pi * self._second / (HOUR_S * (3 + number)))
            self._logs[coin] = 0.145 * self._towards[coin] * tide + self._dice.gauss(0, 0.0003)
            self.prices[coin] = (start * Decimal(math.exp(self._logs[coin]))).quantize(TICKS[coin])


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the daemon holds at one moment."""

    hour: float
    rss_mb: float
    objects: int  # All of the process that the collector knows, the world's too.
    guards: int  # Of classes that guard defines.
    tasks: int
    timers: int  # Waiting in the event loop.
    files: int
    journal_kb: float
    posts: int
    requests: int


class Soak:
    """Two accounts and their daemon. `hours` yields what it holds after each virtual hour."""

    def __init__(self, folder: Path, world: World, *, seed: int, hours: float) -> None:
        scenario = draw(seed)
        one = replace(scenario.accounts[0], news="changes")
        two = one, replace(one, name="other", hedged=not one.hedged)
        self._scenario = replace(scenario, accounts=two, calm_s=30, wall_off_s=0.0)
        self._folder, self.world = folder, world
        dice, until_s = random.Random(f"soak {seed}"), hours * HOUR_S  # noqa: S311 - a schedule, not a secret.
        self._market = Tides(dice, self._scenario.towards)
        self._exchanges = [self._exchange(plan.name) for plan in two]
        self._wires = {}
        for exchange in self._exchanges:
            weather = draw_weather(dice, KINDS, until_s=until_s, calm_s=1800, bad_s=40)
            self._wires[exchange.name] = SimulatedWire(exchange, Fates(dice, weather, write_faults=0.1), world)
        channels = {
            name: draw_weather(dice, CHANNEL_WEATHER, until_s=until_s, calm_s=3600, bad_s=90)
            for name in (*CHANNELS, "heartbeat")
        }
        doors = {name: SimulatedDoor(name, weather, world, dice) for name, weather in channels.items()}
        self.process = Process(
            settings_of(self._scenario, folder), world, wires=self._wires, doors=doors, disk=Weather(()), dice=dice,
            news=news_of(two, self._wires, world, dice), on_commit=lambda _: None,
        )  # fmt: skip
        world.after(1.0, self._each_second)

    def _exchange(self, name: str) -> Exchange:
        exchange = Exchange(name, self.world, self._market, Decimal(60_000), hedged=False)
        self.world.time_s = -HOUR_S  # Positions are older than the run: a history that shows their opening lets it act.
        for coin in COINS:
            exchange.open(
                coin, -self._scenario.towards[coin], notional=Decimal(4_000), entry=COINS[coin], leverage=5,
                isolated=coin != "SOL",
            )  # fmt: skip
        self.world.time_s = 0.0
        return exchange

    def _each_second(self) -> None:
        self._market.step()
        for exchange in self._exchanges:
            exchange.liquidate_what_is_due()
            self._repay(exchange)
        self.world.after(1.0, self._each_second)

    def _repay(self, exchange: Exchange) -> None:
        """Once a day's quarter a person takes back the margin that was added, so that there is something to do again."""
        if self.world.time_s % (6 * HOUR_S) >= 1.0:
            return
        for key, holding in exchange.holdings.items():
            added = holding.margin - Decimal(800)
            if holding.isolated and added > 1 and (exchange.distance(key) or 0) > Decimal("0.15"):
                exchange.take_margin(key, added)

    def hours(self, count: int) -> Iterator[Measured]:
        for hour in range(1, count + 1):
            self.run_to(hour * HOUR_S)
            yield self.measured()

    def run_to(self, until_s: float) -> None:
        with self.process.running():
            while self.world.time_s < until_s:
                assert not self.process.has_ended, "the daemon ended"
                self.process.step(until_s)
                assert not self.world.violations, self.world.violations

    def measured(self) -> Measured:
        gc.collect()
        everything = gc.get_objects()
        loop = self.process.loop
        return Measured(
            hour=self.world.time_s / HOUR_S,
            rss_mb=int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20,
            objects=len(everything),
            guards=sum(str(type(one).__module__).startswith("guard.") for one in everything),
            tasks=len(asyncio.all_tasks(loop)),
            timers=sum(not one._cancelled for one in loop._scheduled),
            files=len(list(Path("/proc/self/fd").iterdir())),
            journal_kb=sum(path.stat().st_size for path in self._folder.glob("journal.db*")) / 1024,
            posts=sum(entry.request is not None for exchange in self._exchanges for entry in exchange.history),
            requests=sum(wire.sent for wire in self._wires.values()),
        )


@contextmanager
def soaking(*, seed: int, hours: float) -> Iterator[Soak]:
    folder = Path(tempfile.mkdtemp(prefix="guard-soak-"))
    try:
        with simulated_surroundings(seed, is_loud=False) as worlds:
            worlds.append(World(draw(seed).start))
            soak = Soak(folder, worlds[0], seed=seed, hours=hours)
            yield soak
            soak.process.die()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def slope(measured: list[Measured], name: str) -> float:
    """Return by how much a figure grows per virtual hour, by least squares."""
    points = [(one.hour, getattr(one, name)) for one in measured]
    middle = sum(x for x, _ in points) / len(points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    return sum((x - middle) * y for x, y in points) / spread if spread else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=72)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--allocations", action="store_true")
    asked = parser.parse_args()
    names = list(Measured.__annotations__)
    print(" ".join(f"{name:>10}" for name in (*names, "real_s")))
    started, found, before = time.monotonic(), [], None
    with soaking(seed=asked.seed, hours=asked.hours) as soak:
        for one in soak.hours(asked.hours):
            found.append(one)
            cells = [f"{getattr(one, name):10.1f}" for name in names]
            print(" ".join([*cells, f"{time.monotonic() - started:10.0f}"]), flush=True)
            if asked.allocations and len(found) == SETTLING_HOURS:
                tracemalloc.start(8)
            if asked.allocations and len(found) == SETTLING_HOURS + 1:
                before = tracemalloc.take_snapshot()
        if before is not None:
            for line in tracemalloc.take_snapshot().compare_to(before, "lineno")[:15]:
                print(line)
    settled = found[SETTLING_HOURS:]
    print("per virtual hour: " + ", ".join(f"{name} {slope(settled, name):+.2f}" for name in names[1:] if settled))


if __name__ == "__main__":
    main()
