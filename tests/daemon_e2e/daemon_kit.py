"""The real daemon on the demo exchange: both ends of every wire are here, and nothing between them is made up.

The numbers: 0.5 BTC bought at 60,000 with 5x holds 6,000 USDT. Its first bracket asks 0.4 %, so it is liquidated at
(0.5 * 60,000 - 6,000) / (0.5 * 0.996) = 48,192.77. At 52,000 that is 7.3 % away (below the 8 % trigger, above the
4 % of critical), and 12 % away needs 1,211.52 more: 30,000 - 0.88 * 52,000 * 0.498 - 6,000. The exchange prints its
liquidation price rounded up in the eighth digit, and guard goes by the nearer one: that makes it a cent more.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from guard.config import load
from guard.daemon.service import Service
from guard.demo.exchange import DemoAccount, DemoExchange, Fault, serve, too_many_requests
from guard.demo.receiver import SECRET, receive_webhooks
from guard.demo.stage import ccxt_table
from guard.journal import Intent, IntentState, Journal
from guard.snapshot import MarginMode, Side

MARKS = {"BTCUSDT": Decimal(60_000), "ETHUSDT": Decimal(3_000), "SOLUSDT": Decimal(150)}
BREACHED = Decimal(52_000)  # 7.3 % from liquidation.
NEEDED = Decimal("1211.53")
POST = ("POST", "/fapi/v1/positionMargin")
POSITIONS = ("GET", "/fapi/v3/positionRisk")

SHIELD = """
[[rules]]
name = "shield"
match = { margin_mode = "isolated" }
[rules.top_up]
trigger = "8%"
target = "12%"
max_per_position = "3000"
max_per_day = "5000"
"""
QUICK = """
[ladder]
watch = { distance = "25%", for = "0s" }
warn = { distance = "15%", for = "0s" }
danger = { distance = "8%", for = "0s" }
critical = { distance = "4%", for = "0s" }
"""


@dataclass(slots=True, kw_only=True)
class World:
    """An exchange, a receiver of alerts and a config, all real and on loopback."""

    exchange: DemoExchange
    url: str
    config: Path
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def journal_path(self) -> Path:
        return self.config.with_name("journal.db")

    def account(self, name: str = "main") -> DemoAccount:
        return next(one for one in self.exchange.accounts.values() if one.name == name)

    def moved(self, name: str = "main") -> list[Decimal]:
        """Return what was added to positions at the exchange, in order."""
        changes = self.account(name).margin_changes
        return [change.amount for change in changes if change.delta_type == "USER_ADJUST"]

    def posts(self) -> int:
        return self.exchange.requests.get(POST, 0)

    def intents(self) -> list[Intent]:
        """Return what the journal holds, oldest first, as any second process may read it."""
        if not self.journal_path.exists():
            return []
        with Journal.open_to_read(self.journal_path) as journal:
            return list(reversed(journal.intents(limit=100_000)))

    def states(self) -> list[str]:
        return [intent.state.value for intent in self.intents()]

    def kinds(self) -> list[tuple[str, str]]:
        return [(message["kind"], message["event"]) for message in self.messages]

    def told(self, kind: str, event: str | None = None) -> list[dict[str, Any]]:
        return [one for one in self.messages if one["kind"] == kind and event in {None, one["event"]}]

    def books_agree(self, name: str = "main") -> bool:
        """Say whether the exchange moved exactly what the journal calls applied."""
        applied = [one.amount for one in self.intents() if one.state is IntentState.APPLIED and one.account == name]
        return sorted(applied) == sorted(self.moved(name))


def account(exchange: DemoExchange, name: str = "main", **fields: Any) -> DemoAccount:
    return exchange.add_account(
        DemoAccount(
            name=name,
            api_key=f"key-of-{name}-1",
            secret=f"secret-of-{name}",
            balances={"USDT": Decimal(20_000)},
            **fields,
        )
    )


def hold(
    exchange: DemoExchange, one: DemoAccount, symbol: str, amount: Decimal, *, leverage: int, isolated: bool
) -> None:
    """Open a position at the mark; a negative amount is a short."""
    exchange.open_position(
        one,
        symbol=symbol,
        side=Side.LONG if amount > 0 else Side.SHORT,
        quantity=abs(amount),
        leverage=leverage,
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
    )


def rate_limit(seconds: int, *, path: str) -> Fault:
    """Return HTTP 429 with Retry-After, once."""
    return replace(too_many_requests(retry_after_s=seconds), path=path)


def one_long(exchange: DemoExchange) -> None:
    """Open the position that the numbers above are about."""
    hold(exchange, account(exchange), "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)


@asynccontextmanager
async def world(
    folder: Path,
    *,
    build: Callable[[DemoExchange], None] = one_long,
    mode: str = "act",
    rules: str = SHIELD,
    ladder: str = QUICK,
    data_age: str = "",
    timeout_ms: int = 1_000,
    top: str = "",
) -> AsyncIterator[World]:
    """Serve everything while the block runs. `timeout_ms` is how long a request may take."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, before anything runs.
    exchange = DemoExchange(MARKS)
    build(exchange)
    messages: list[dict[str, Any]] = []
    config = folder / "config.toml"
    async with serve(exchange) as url, receive_webhooks(messages.append) as hook:
        accounts = "\n".join(_account_table(one, url, data_age, timeout_ms) for one in exchange.accounts.values())
        config.touch(mode=0o600)
        config.write_text(f"""\
mode = "{mode}"
{top}
{accounts}
{ladder}
{rules}
[notify.webhook.test]
url = "{hook}"
secret = "{SECRET}"
from_level = "watch"
[notify.console]
enabled = false
[journal]
path = "journal.db"
""")
        yield World(exchange=exchange, url=url, config=config, messages=messages)


def _account_table(one: DemoAccount, url: str, data_age: str, timeout_ms: int) -> str:
    ccxt = ccxt_table(one.name, url).replace("rateLimit = 1\n", f"rateLimit = 1\ntimeout = {timeout_ms}\n")
    return f"""
[accounts.{one.name}]
exchange = "binanceusdm"
api_key = "{one.api_key}"
secret = "{one.secret}"
poll_interval = {{ calm = "1s", near = "1s" }}
{data_age}
{ccxt}
"""


@dataclass(slots=True, kw_only=True)
class Daemon:
    """`Service.run` in this process."""

    service: Service
    task: asyncio.Task[None]
    stop: asyncio.Event

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, 12)


@asynccontextmanager
async def daemon(here: World, environ: Mapping[str, str] | None = None) -> AsyncIterator[Daemon]:
    """Run the daemon in this process while the block runs. What it raises, the test raises."""
    stop = asyncio.Event()
    service = Service(load(here.config, environ={}), environ or {})
    running = Daemon(service=service, task=asyncio.create_task(service.run(stop)), stop=stop)
    try:
        yield running
    finally:
        await running.end()


@dataclass(slots=True, kw_only=True)
class Process:
    """`guard ...` as its own process, in a process group that nothing else is in."""

    process: asyncio.subprocess.Process
    output: asyncio.Task[tuple[bytes, bytes]]

    @property
    def pid(self) -> int:
        return self.process.pid

    async def kill(self) -> None:
        """End it as a power cut does."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.output

    async def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        await asyncio.shield(self.output)  # A limit that is passed must be told as one, and `kill` still waits for it.
        assert self.process.returncode is not None
        return self.process.returncode

    async def said(self) -> str:
        """Return all it printed, once it has ended."""
        out, err = await self.output
        return out.decode() + err.decode()


@asynccontextmanager
async def guard(here: World, *words: str) -> AsyncIterator[Process]:
    """Run a real `guard` command on this world's config while the block runs, and kill what is left of it."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "guard", *words, "-c", str(here.config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(here.config.parent)},
    )
    process = Process(process=started, output=asyncio.create_task(started.communicate()))
    try:
        yield process
    finally:
        await process.kill()


async def call(here: World, *words: str) -> tuple[int, str]:
    """Run a `guard` command to its end; return its exit status and all it printed."""
    async with guard(here, *words) as process, asyncio.timeout(30):
        return await process.ended(), await process.said()


async def until(what: str, is_so: Callable[[], Any], *, within_s: float = 20.0, of: Daemon | None = None) -> None:
    """Wait for something to become true. A generous limit: it is only reached when it never does."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not is_so():
        if of is not None and of.task.done():
            of.task.result()
        assert asyncio.get_running_loop().time() < deadline, f"never: {what}"
        await asyncio.sleep(0.02)


async def cycles(running: Daemon, count: int, name: str = "main") -> None:
    """Wait until an account has finished so many further cycles."""
    watch = running.service.watches[name]
    wanted = watch._cycles + count
    await until(f"{count} cycles of {name}", lambda: watch._cycles > wanted, of=running)


async def watching(running: Daemon, name: str = "main") -> None:
    """Wait until an account was read and judged, and may spend what its terms allow."""

    def is_ready() -> bool:
        watch = running.service.watches.get(name)
        return watch is not None and watch.decision is not None and watch.is_fresh and watch.keys.block is None

    await until(f"{name} is watched", is_ready, of=running)


Story = Callable[[Path], Awaitable[None]]


class Played:
    """Stories that were played at the same time, each in a world of its own: most of their time is waiting."""

    def __init__(self, stories: Sequence[Story], folder: Path) -> None:
        self._ends = asyncio.run(self._play(stories, folder))

    def __call__(self, story: Story) -> bool:
        """Return that the story came to its end; raise what it raised."""
        end = self._ends[story]
        if end is not None:
            raise end
        return True

    async def _play(self, stories: Sequence[Story], folder: Path) -> dict[Story, BaseException | None]:
        told = (story(folder / str(number)) for number, story in enumerate(stories))
        return dict(zip(stories, await asyncio.gather(*told, return_exceptions=True), strict=True))


def name_of(story: Story) -> str:
    return story.__name__.replace("_", " ")
