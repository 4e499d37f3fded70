"""What a cycle costs, how soon a crossing becomes a request, and what the daemon weighs: one table.

    python benchmarks/cycle.py [--crossings 100] [--cycles 100] [--starts 5]

The real daemon and the real ccxt against the demo exchange on loopback, each in a process of its own, so that the
figures are the guard's and not the exchange's. Network latency to a real exchange comes on top of every request.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from guard import logs
from guard.config import load
from guard.daemon.clock import SteadyClock
from guard.daemon.keys import KeyGuard
from guard.daemon.reader import AccountReader
from guard.daemon.tell import Teller
from guard.daemon.watch import AccountWatch
from guard.demo.exchange import DemoAccount, DemoExchange, MarginPost, serve
from guard.demo.receiver import SECRET, receive_webhooks
from guard.demo.stage import ccxt_table
from guard.journal import Journal
from guard.snapshot import Side
from guard.venues import open_venue

COINS = (
    "BTC", "ETH", "SOL", "XRP", "DOGE", "AVAX", "NEAR", "FIL", "ALGO", "BNB", "ADA", "DOT", "LINK", "LTC",
    "TRX", "UNI", "ATOM", "ETC", "APT", "ARB",
)  # fmt: skip
KEY, API_SECRET = "key-of-the-benchmark", "secret-of-the-benchmark"
WALLET = Decimal(10**9)
POLL_ONLY_S = 5.0
READS = ("/fapi/v3/positionRisk", "/fapi/v3/account")
WARM_UP = 5

Row = tuple[str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crossings", type=int, default=100)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--exchange", action="store_true", help=argparse.SUPPRESS)  # The other process.
    asked = parser.parse_args()
    if asked.exchange:
        asyncio.run(_be_the_exchange())
        return
    logs.configure("critical", secrets=frozenset())
    rows = [
        *_startup(asked.starts),
        *asyncio.run(_cycle(asked.cycles)),
        *asyncio.run(_crossings(asked.crossings)),
    ]
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n")
    table: list[Row] = [("what", "guard", "baseline"), *rows]
    first, second = (max(len(row[column]) for row in table) for column in (0, 1))
    for name, ours, baseline in table:
        print(f"{name:<{first}}  {ours:>{second}}  {baseline}")


# --- The exchange ----------------------------------------------------------------------------------------------------


def _exchange(positions: int) -> tuple[DemoExchange, DemoAccount]:
    """Open isolated longs of 30,000 at 5x; the first is 0.5 BTC at 60,000, liquidated at 48,192.77."""
    marks = {f"{coin}USDT": Decimal(60_000) if coin == "BTC" else Decimal(100) for coin in COINS[:positions]}
    exchange = DemoExchange(marks)
    account = exchange.add_account(DemoAccount(name="bench", api_key=KEY, secret=API_SECRET, balances={"USDT": WALLET}))
    for symbol, mark in marks.items():
        exchange.open_position(account, symbol=symbol, side=Side.LONG, quantity=30_000 / mark, leverage=5)
    return exchange, account


async def _be_the_exchange() -> None:
    exchange, _ = _exchange(len(COINS))
    async with serve(exchange) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)  # Until the benchmark goes away.


@asynccontextmanager
async def _exchange_elsewhere() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--exchange"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


def _config(folder: Path, url: str, *, hook: str | None = None) -> Path:
    path = folder / "config.toml"
    path.touch(mode=0o600)
    webhook = f'[notify.webhook.bench]\nurl = "{hook}"\nsecret = "{SECRET}"\nfrom_level = "watch"\n' if hook else ""
    path.write_text(f"""\
mode = "act"
[accounts.bench]
exchange = "binanceusdm"
api_key = "{KEY}"
secret = "{API_SECRET}"
poll_interval = {{ calm = "1s", near = "1s" }}
{ccxt_table("bench", url)}
[[rules]]
name = "shield"
match = {{ margin_mode = "isolated" }}
[rules.top_up]
trigger = "8%"
target = "12%"
max_per_position = "{WALLET}"
max_per_day = "{WALLET}"
cooldown = "0s"
{webhook}
[notify.console]
enabled = false
[journal]
path = "journal.db"
""")
    return path


# --- Start and weight ------------------------------------------------------------------------------------------------


def _startup(starts: int) -> list[Row]:
    helps = [_timed(sys.executable, "-m", "guard", "--help") for _ in range(starts)]
    bare = [_timed(sys.executable, "-c", "pass") for _ in range(starts)]
    typer = [_timed(sys.executable, "-c", "import typer") for _ in range(starts)]
    firsts, weights = zip(*(asyncio.run(_first_cycle()) for _ in range(starts)), strict=True)
    ccxt = [_timed(sys.executable, "-c", "import ccxt.pro") for _ in range(starts)]
    return [
        (
            "guard --help, median s",
            f"{statistics.median(helps):.2f}",
            f"python alone {statistics.median(bare):.2f}, with typer imported {statistics.median(typer):.2f}",
        ),
        (
            "guard run to first cycle.finished, 20 positions, median s",
            f"{statistics.median(firsts):.2f}",
            f"`import ccxt.pro` alone {statistics.median(ccxt):.2f}",
        ),
        (
            "resident memory of the daemon, median MiB",
            f"{statistics.median(weights):.0f}",
            f"after `import ccxt.pro` alone {_weight_of_ccxt():.0f}",
        ),
    ]


def _timed(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environ())  # noqa: S603 - our own python.
    return time.perf_counter() - started


def _environ() -> dict[str, str]:
    """Return an environment in which compiled modules are kept, as on a machine where guard is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _weight_of_ccxt() -> float:
    code = "import ccxt.pro; print(open('/proc/self/status').read())"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=_environ())  # noqa: S603
    return _resident_mib(said.stdout)


def _resident_mib(status: str) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


async def _first_cycle() -> tuple[float, float]:
    """Return seconds from the start of the process to its first finished cycle, and its MiB after ten of them."""
    with tempfile.TemporaryDirectory() as folder:
        async with _exchange_elsewhere() as url:
            config = _config(Path(folder), url)
            started = time.perf_counter()
            async with _daemon(config) as process:
                assert process.stderr is not None
                await _finished_cycle(process.stderr)
                took = time.perf_counter() - started
                for _ in range(9):
                    await _finished_cycle(process.stderr)
                return took, _resident_mib(await asyncio.to_thread(Path(f"/proc/{process.pid}/status").read_text))


async def _finished_cycle(stream: asyncio.StreamReader) -> None:
    while line := await stream.readline():
        if b'"cycle.finished"' in line:
            return
    raise RuntimeError("the daemon ended")


@asynccontextmanager
async def _daemon(config: Path, *, stderr: int = subprocess.PIPE) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "guard", "run", "--log-format", "json", "-c", str(config)),
        stderr=stderr,
        env=_environ(),
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


# --- One cycle -------------------------------------------------------------------------------------------------------


async def _cycle(cycles: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(_exchange_elsewhere())
            session = await stack.enter_async_context(aiohttp.ClientSession())
            watch = await _watch(stack, _config(Path(folder), url))
            for _ in range(WARM_UP):
                await watch.cycle()
                await _bare_reads(session, url)
            before = await _requests(session, url)
            ours = [await _cost(watch.cycle()) for _ in range(cycles)]
            after = await _requests(session, url)
            theirs = [await _cost(_bare_reads(session, url)) for _ in range(cycles)]
    asked = {path: (after[path] - before.get(path, 0)) / cycles for path in after if after[path] != before.get(path, 0)}
    assert watch.decision is not None
    assert len(watch.decision.positions) == len(COINS)
    bare = "the same two requests, aiohttp + json alone"
    return [
        (
            "a cycle of 20 positions, CPU ms, median",
            f"{statistics.median(cpu for cpu, _ in ours):.1f}",
            f"{statistics.median(cpu for cpu, _ in theirs):.1f} ({bare})",
        ),
        (
            "a cycle of 20 positions, wall ms, median",
            f"{statistics.median(wall for _, wall in ours):.1f}",
            f"{statistics.median(wall for _, wall in theirs):.1f} ({bare})",
        ),
        ("a cycle of 20 positions, requests", f"{sum(asked.values()):g}", ", ".join(sorted(asked))),
    ]


async def _watch(stack: AsyncExitStack, config: Path) -> AccountWatch:
    """Build one account's watch from the daemon's own parts, without the clock that calls it."""
    settings, clock = load(config, environ={}), SteadyClock()
    account = settings.accounts["bench"]
    journal = stack.enter_context(Journal.open(settings.journal_path, exclusive=True))
    teller = Teller(journal, (), clock)
    reader = AccountReader(open_venue(account.venue, now=clock), clock)
    stack.push_async_callback(reader.venue.close)
    keys = KeyGuard(reader.venue, teller, clock)
    await keys.check()
    return AccountWatch(account, reader, teller, keys, clock)


async def _cost(work: Any) -> tuple[float, float]:
    """Return CPU and wall milliseconds of awaiting something."""
    cpu, wall = time.process_time(), time.perf_counter()
    await work
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000


async def _bare_reads(session: aiohttp.ClientSession, url: str) -> list[Any]:
    answers = []
    for path in READS:
        query = f"timestamp={time.time_ns() // 1_000_000}&recvWindow=5000"
        signature = hmac.new(API_SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        async with session.get(f"{url}{path}?{query}&signature={signature}", headers={"X-MBX-APIKEY": KEY}) as answer:
            answers.append(json.loads(await answer.text()))
    assert len(answers[0]) == len(COINS)
    return answers


async def _requests(session: aiohttp.ClientSession, url: str) -> dict[str, int]:
    async with session.get(f"{url}/demo/state") as answer:
        return dict((await answer.json())["requests"])


# --- From a crossing to the request ----------------------------------------------------------------------------------


class _Arrivals(list[MarginPost]):
    """The exchange's list of margin requests, that notes when each arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []
        self.came = asyncio.Event()

    def append(self, request: MarginPost) -> None:
        self.at.append(time.perf_counter())
        super().append(request)
        self.came.set()


async def _crossings(count: int) -> list[Row]:
    """Let the mark of 0.5 BTC fall below its trigger (52,383) on the stream, and time the POST; put it back; again."""
    exchange, account = _exchange(1)
    arrivals = exchange.margin_posts = _Arrivals()
    acts: list[dict[str, Any]] = []

    def note(message: dict[str, Any]) -> None:
        if message["kind"] == "action":
            acts.append(message)

    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with serve(exchange) as url, receive_webhooks(note) as hook:
            config = _config(Path(folder), url, hook=hook)
            async with _daemon(config, stderr=subprocess.DEVNULL):
                await _reads(exchange, 3)
                for number in range(1, count + 1):
                    await asyncio.sleep(random.uniform(0.05, 0.9))  # noqa: S311 - at any phase of the polls.
                    arrivals.came.clear()
                    started = time.perf_counter()
                    exchange.set_mark("BTCUSDT", Decimal(52_000))
                    await asyncio.wait_for(arrivals.came.wait(), 30)
                    took.append((arrivals.at[-1] - started) * 1000)
                    await _until(lambda number=number: len(acts) >= number)
                    exchange.set_mark("BTCUSDT", Decimal(60_000))
                    leg, held = next(iter(account.positions.items()))
                    account.positions[leg] = replace(held, isolated_wallet=Decimal(6_000))
                    account.balances["USDT"] = WALLET
                    await _reads(exchange, 2)
    assert len(arrivals) == count
    reaction_s = statistics.median(took) / 1000
    waits = [POLL_ONLY_S * share + reaction_s for share in (0.5, 0.99)]
    return [
        (
            f"crossing on the mark stream to POST at the exchange, ms ({count} crossings)",
            f"median {statistics.median(took):.0f}, p99 {_p99(took):.0f}, max {max(took):.0f}",
            f"polling alone every 5 s, computed: median {waits[0] * 1000:.0f}, p99 {waits[1] * 1000:.0f}",
        )
    ]


def _p99(values: Sequence[float]) -> float:
    """Return the smallest value that 99 of 100 do not exceed."""
    return sorted(values)[-(-len(values) * 99 // 100) - 1]


async def _reads(exchange: DemoExchange, count: int) -> None:
    """Wait until the daemon has read the account so many times more."""
    asked = ("GET", READS[1])
    wanted = exchange.requests.get(asked, 0) + count
    await _until(lambda: exchange.requests.get(asked, 0) >= wanted)


async def _until(is_so: Any) -> None:
    deadline = time.perf_counter() + 30
    while not is_so():
        assert time.perf_counter() < deadline, "the daemon does not go on"
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    main()
