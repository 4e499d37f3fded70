"""What the tests of telling share: messages, an outbox in memory that works, and a server on loopback."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from aiohttp import web

from guard.errors import DeliveryFailed
from guard.policy.message import Delivery, Message
from guard.policy.terms import Level

FOUR_O_CLOCK = datetime(2026, 11, 24, 4, 12, 7, tzinfo=UTC)


def message(number: int = 1, *, level: Level = Level.DANGER, happened_at: datetime = FOUR_O_CLOCK, **fields) -> Message:
    made = Message(
        id=f"msg_{number}",
        alert="alert_1",
        happened_at=happened_at,
        kind="alert",
        event="fired",
        level=level,
        account="main",
        symbol="BTC/USDT:USDT",
        side="long",
        margin_mode="isolated",
        title="DANGER BTC long 7.8 % from liquidation (54,101) — main",
        text="Mark 58,700.\nLiquidation <54,101> & nearer.",
        facts={"distance": "0.0783", "sigmas": None},
    )
    return replace(made, **fields)


@dataclass
class MemoryOutbox:
    """Keeps rows as the journal does, and remembers when each was tried."""

    rows: dict[int, Delivery] = field(default_factory=dict)
    due_at: dict[int, datetime] = field(default_factory=dict)
    done: dict[int, tuple[str, datetime, str]] = field(default_factory=dict)

    def add(self, message: Message, channels: tuple[str, ...], at: datetime) -> None:
        for channel in channels:
            row = len(self.rows) + 1
            self.rows[row] = Delivery(delivery_id=row, channel=channel, message=message, attempts=0, created_at=at)
            self.due_at[row] = at

    def due(self, channel: str, now: datetime, limit: int) -> tuple[Delivery, ...]:
        rows = [row for row in self._waiting() if row.channel == channel and self.due_at[row.delivery_id] <= now]
        return tuple(sorted(rows, key=lambda row: (-row.message.level, row.created_at, row.delivery_id))[:limit])

    def delivered(self, delivery_id: int, at: datetime) -> None:
        self.done[delivery_id] = ("delivered", at, "")

    def postponed(self, delivery_id: int, *, next_attempt_at: datetime, error: str) -> None:
        row = self.rows[delivery_id]
        self.rows[delivery_id] = replace(row, attempts=row.attempts + 1)
        self.due_at[delivery_id] = next_attempt_at

    def given_up(self, delivery_id: int, at: datetime, error: str) -> None:
        self.done[delivery_id] = ("given up", at, error)

    def next_due_at(self) -> datetime | None:
        return min((self.due_at[row.delivery_id] for row in self._waiting()), default=None)

    def states(self) -> list[str]:
        return [self.done[row][0] if row in self.done else "waiting" for row in self.rows]

    def _waiting(self) -> list[Delivery]:
        return [row for row in self.rows.values() if row.delivery_id not in self.done]


@dataclass
class ScriptedChannel:
    """A channel that ends each attempt as its script says (None: confirmed), and confirms when the script is over."""

    name: str
    script: list[DeliveryFailed | None] = field(default_factory=list)
    from_level: Level = Level.WATCH
    takes_s: float = 0.0
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    tried: list[tuple[datetime, Message]] = field(default_factory=list)
    confirmed: list[Message] = field(default_factory=list)

    async def send(self, message: Message, *, attempt: int) -> None:
        self.tried.append((self.clock(), message))
        await asyncio.sleep(self.takes_s)
        failure = self.script.pop(0) if self.script else None
        if failure is not None:
            raise failure
        self.confirmed.append(message)

    async def close(self) -> None:
        pass


def virtual_clock(loop) -> Callable[[], datetime]:
    """Return a clock that goes with the loop's own time, which looptime makes instant."""
    began = loop.time()
    return lambda: FOUR_O_CLOCK + timedelta(seconds=loop.time() - began)


@asynccontextmanager
async def server(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]):
    """Serve one handler for every path on a free port; give the url."""
    app = web.Application()

    async def every_path(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app.router.add_route("*", "/{path:.*}", every_path)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
