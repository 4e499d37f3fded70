"""The account's own stream: it rings after what changed, late, twice or not at all, and breaks as the weather lets it."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from datetime import timedelta

from simulated_scenario import AccountPlan
from simulated_time import World
from simulated_wire import SimulatedWire

from guard.errors import VenueUnavailable
from guard.venues.protocol import AccountNews

BREAKS = frozenset({"blackout", "maintenance", "banned"})
BUSY_EVERY_S = (0.2, 3.0)  # Fills of a trading bot, as far as guard can tell.


def news_of(
    accounts: Iterable[AccountPlan], wires: Mapping[str, SimulatedWire], world: World, dice: random.Random
) -> dict[str, Callable[[], AsyncGenerator[AccountNews]]]:
    """Return what opens the stream of each account that has one."""
    return {
        plan.name: SimulatedNews(wires[plan.name], world, dice, is_busy=plan.news == "busy").listen
        for plan in accounts
        if plan.news
    }


class SimulatedNews:
    """Stands where a venue listens to its account. `is_busy`: it rings all the time, whatever changes."""

    def __init__(self, wire: SimulatedWire, world: World, dice: random.Random, *, is_busy: bool) -> None:
        self._wire = wire
        self._world = world
        self._dice = dice
        self._is_busy = is_busy
        self._told_of_s: list[float] = []  # When what was pushed happened, in the order of its arrival.
        self._stir: asyncio.Event | None = None

    async def listen(self) -> AsyncGenerator[AccountNews, None]:
        """Yield once when the stream stands, then at each event. Raises VenueUnavailable."""
        await asyncio.sleep(self._dice.uniform(0.1, 2))
        self._break_if_shut()
        self._told_of_s.clear()
        self._stir = asyncio.Event()
        listeners = self._wire.exchange.listeners
        listeners.append(self._push)
        try:
            yield AccountNews(age=timedelta(0))
            while True:
                await self._wait()
                self._break_if_shut()
                if self._told_of_s:
                    newest_s = max(self._told_of_s)
                    self._told_of_s.clear()
                    yield AccountNews(age=timedelta(seconds=self._world.time_s - newest_s))
        finally:
            listeners.remove(self._push)

    async def _wait(self) -> None:
        """Wait for what is pushed; of a busy account something always is."""
        if self._is_busy:
            await asyncio.sleep(self._dice.uniform(*BUSY_EVERY_S))
            self._told_of_s.append(self._world.time_s)
            return
        self._stir.clear()
        if not self._told_of_s:
            await self._stir.wait()

    def _push(self) -> None:
        """Something changed just now: let it be heard, or not."""
        drawn, happened_s = self._dice.random(), self._world.time_s
        if drawn < 0.15:
            return
        for _ in range(1 + (drawn > 0.85)):
            late_s = self._dice.choice((0.02, 0.1, 0.3, self._dice.uniform(0, 25)))
            self._world.after(late_s, lambda: self._arrive(happened_s))

    def _arrive(self, happened_s: float) -> None:
        self._told_of_s.append(happened_s)
        self._stir.set()

    def _break_if_shut(self) -> None:
        if self._wire.fates.weather.at(self._world.time_s) in BREAKS:
            raise VenueUnavailable("account stream: ConnectionResetError")
