"""One life of the daemon: the real `Service` on the real client, journal and channels, in a simulated world."""

import asyncio
import copy
import random
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import MethodType
from typing import Any
from unittest.mock import patch

from simulated_channels import SimulatedDoor
from simulated_disk import SimulatedDisk
from simulated_faults import Weather
from simulated_time import ProcessDied, VirtualLoop, World
from simulated_wire import SimulatedWire

from guard.config.settings import Settings
from guard.daemon.channels import open_channels
from guard.daemon.doors import Doors
from guard.daemon.service import Service
from guard.journal import Journal
from guard.notify.channel import Channel
from guard.notify.heartbeat import Heartbeat
from guard.venues import base
from guard.venues.binance import BinanceUsdm
from guard.venues.gate import Gate
from guard.venues.protocol import AccountNews, Venue, VenueAccount
from guard.venues.transport import Wire, open_client

HOST = "https://testnet.binancefuture.com"
STREAM_EVERY_S = 2.0


def ccxt_table() -> dict[str, object]:
    """Return the `[accounts.x.ccxt]` table that sends an account to the testnet, where `act` is allowed."""
    versions = {"fapiPublic": "v1", "fapiPublicV2": "v2", "fapiPublicV3": "v3"}
    api: dict[str, object] = {name: f"{HOST}/fapi/{version}" for name, version in versions.items()}
    api |= {name.replace("Public", "Private"): url for name, url in list(api.items())}
    return {"urls": {"api": {**api, "ws": {"linear": "wss://fstream.binancefuture.com/ws"}}}, "rateLimit": 20}


class Process:
    """A daemon from its start to its stop or death."""

    def __init__(
        self,
        settings: Settings,
        world: World,
        *,
        wires: Mapping[str, SimulatedWire],
        doors: Mapping[str, SimulatedDoor],
        disk: Weather,
        dice: random.Random,
        news: Mapping[str, Callable[[], AsyncGenerator[AccountNews]]],
        on_commit: Callable[[frozenset[str]], None],
    ) -> None:
        self._world = world
        self._wires = wires
        self._doors = doors
        self._disk_weather = disk
        self._on_commit = on_commit
        self._dice = dice
        self._news = news
        self._connection: sqlite3.Connection | None = None
        self._journal: Journal | None = None
        self.points_to_live: int | None = None  # Steps until it is killed. None: it is not.
        self.is_dead = False
        self.started_s = world.time_s
        self.loop = VirtualLoop(world)
        self.stop: asyncio.Event | None = None
        self.service = Service(settings, {}, doors=self._simulated_doors())
        with self.running():
            self.task = self.loop.create_task(self._run())

    async def _run(self) -> None:
        self.stop = asyncio.Event()
        await self.service.run(self.stop)

    @property
    def has_journal(self) -> bool:
        return self._journal is not None

    @property
    def has_ended(self) -> bool:
        return self.task.done()

    def step(self, until_s: float) -> None:
        """Run one callback of the daemon, while it is `running`, or let time go by. It may die in it."""
        try:
            if not self.loop.step(until_s):
                self._world.violated("no deadlock", "the daemon waits for something that never comes")
            if self.points_to_live is not None or self.is_dead:
                self._count_point("await")
        except ProcessDied:
            pass
        if self.task.done() and not self.is_dead and not self.task.cancelled() and self.task.exception():
            self._world.violated("no bug", f"the daemon ended with {self.task.exception()!r}")

    def ask_to_stop(self) -> None:
        with self.running():
            if self.stop is not None:
                self.stop.set()

    @property
    def is_stopping(self) -> bool:
        return self.stop is not None and self.stop.is_set()

    def die(self) -> None:
        """Be killed: nothing of it runs any more, its uncommitted writes are gone and its lock is dropped."""
        self.is_dead = True
        if self._connection is not None:
            self._connection.close()
        if self._journal is not None and self._journal._lock is not None:
            self._journal._lock.release()
            self._journal._lock = None
        with self.running():
            self.loop.abandon()

    def _count_point(self, what: str) -> None:
        """Die here if this is the point; in the middle of a function by an exception that nothing of ours survives."""
        if self.is_dead:
            raise ProcessDied
        if self.points_to_live is None:
            return
        self.points_to_live -= 1
        if self.points_to_live <= 0:
            self._world.note("killed", what)
            self.die()
            raise ProcessDied

    def running(self) -> "_Running":
        """Make its loop the running one for the length of a block."""
        return _Running(self.loop)

    def _simulated_doors(self) -> Doors:
        return Doors(
            wall=self._world.wall,
            steady=self._world.steady,
            open_journal=self._open_journal,
            open_venue=self._open_venue,
            open_channels=self._open_channels,
            open_heartbeat=self._open_heartbeat,
        )

    def _open_journal(self, path: Path) -> Journal:
        journal = Journal.open(path, exclusive=True)
        self._journal, self._connection = journal, journal._connection
        journal._connection = SimulatedDisk(
            self._connection, self._disk_weather, self._world, step=self._count_point, on_commit=self._on_commit
        )
        return journal

    def _open_venue(self, account: VenueAccount, *, now: Callable[[], datetime]) -> Venue:
        with patch.object(base, "open_client", open_client_like):
            venue = BinanceUsdm(account, now=now)
        client, wire = venue._client, self._wires[account.account]
        client.milliseconds = lambda: round(self._world.wall().timestamp() * 1000)
        client._send = _sender(client, wire)
        stream = _Stream(client, wire, self._world, self._dice)
        client.watch_mark_prices = stream.next
        client.close_ws_clients = stream.close
        client.close = stream.close
        venue.watch_account = self._news.get(account.account, lambda: None)
        return venue

    def _open_channels(self, settings: Settings) -> tuple[Channel, ...]:
        channels = open_channels(settings)
        for channel in channels:
            channel.channel._door = self._doors[channel.name]
        return channels

    def _open_heartbeat(self, url: str) -> Heartbeat:
        heartbeat = Heartbeat(url=url)
        heartbeat._door = self._doors["heartbeat"]
        return heartbeat


_moulds: dict[str, Any] = {}


def open_client_like(account: VenueAccount, wire: Wire) -> Any:
    """Return what `open_client` returns, made like the first one of the same settings: ccxt describes itself at length.

    A client of its own: what a daemon sets or fills in it, the next one does not see.
    """
    settings = repr((account.account, account.exchange, account.api_key, account.ccxt))
    if settings not in _moulds:
        _moulds[settings] = open_client(account, wire)
    mould = _moulds[settings]
    client = object.__new__(type(mould))
    client.__dict__.update({name: _its_own(value, mould, client) for name, value in vars(mould).items()})
    client.gate = Gate(account, wire.urls(client.urls["api"]), (*wire.writes, *wire.reads), wire.limit)
    client.shared, client.markets_loaded_s = account.shared, None
    return client


def _its_own(value: Any, mould: Any, client: Any) -> Any:
    if isinstance(value, MethodType) and value.__self__ is mould:
        return MethodType(value.__func__, client)
    return copy.copy(value) if isinstance(value, dict | list) else value


def _sender(client: Any, wire: SimulatedWire) -> Callable[..., Any]:
    async def send(method: str, url: str, headers: Mapping[str, str] | None, body: str | None) -> Any:
        del headers
        return await wire.send(client.deadline_s, method, url, body)

    return send


class _Stream:
    """The mark price stream: it speaks every few seconds while the exchange's weather lets it."""

    def __init__(self, client: Any, wire: SimulatedWire, world: World, dice: random.Random) -> None:
        self._client = client
        self._wire = wire
        self._world = world
        self._dice = dice

    async def next(self, symbols: list[str]) -> None:
        await asyncio.sleep(STREAM_EVERY_S)
        kind = self._wire.fates.weather.at(self._world.time_s)
        if kind in {"blackout", "maintenance", "banned"}:
            if self._dice.random() < 0.3:
                raise ConnectionResetError
            await asyncio.sleep(3600)
        at_ms = round(self._world.true_now().timestamp() * 1000)
        for symbol in symbols:
            price = self._wire.exchange.price(symbol.partition("/")[0])
            self._client.tickers[symbol] = {"info": {"E": at_ms, "p": f"{price:f}"}}

    async def close(self) -> None:
        """There is no socket to close."""


class _Running:
    """Makes a loop the running one for the length of a block."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._before: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> None:
        self._before = asyncio._get_running_loop()
        asyncio._set_running_loop(self._loop)

    def __exit__(self, *_: object) -> None:
        asyncio._set_running_loop(self._before)
