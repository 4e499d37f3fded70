"""Requests, weight and memory of each guarded exchange: `python benchmarks/venues.py`.

Each exchange is its own server of the contract suite (tests/venues), with twenty isolated positions. The daemon's own
parts read it through a virtual hour: a cycle and the stops every minute (calm), and a cycle every five seconds (near),
for ten minutes and times six. Memory is that of the real `guard run` in a process of its own. Weight is by the
published limit in guard.venues.capabilities. All requests of a cycle count as of one moment: on a real host ccxt's pace
spreads them.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS / "venue_contract"), str(TESTS / "daemon_e2e")]

from exchanges import SERVERS, server_of
from wire_server import WireServer

from guard import logs
from guard.config import load
from guard.daemon.clock import SteadyClock
from guard.daemon.keys import KeyGuard
from guard.daemon.reader import AccountReader
from guard.daemon.tell import Teller
from guard.daemon.watch import AccountWatch
from guard.journal import Journal
from guard.snapshot import Side
from guard.venues import open_venue
from guard.venues.capabilities import capabilities_of
from guard.venues.shared import RateLimit

POSITIONS = 20
COINS = tuple(f"COIN{number}" for number in range(1, POSITIONS + 1))
CALM_S, NEAR_S = 60, 5
NEAR_MINUTES = 10
Request = tuple[int, str, int]  # Virtual second, path (with the type of a question in its body), weight.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchange", choices=list(SERVERS), action="append", help="only these")
    parser.add_argument("--cycles", type=int, default=5, help="of the process whose memory is read")
    asked = parser.parse_args()
    exchanges = asked.exchange or list(SERVERS)
    logs.configure("critical", secrets=frozenset())
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n")
    print("| exchange | positions | a quiet cycle | a calm hour | an hour near danger | busiest window, of the limit |")
    print("|---|---|---|---|---|---|")
    for exchange in exchanges:
        print(asyncio.run(_hour(exchange)), flush=True)
    print("\n| `guard run` with | resident, MiB |\n|---|---|")
    together = [one for one in exchanges if "-" not in one]  # An exchange's kinds of account are one exchange.
    for some in [*([one] for one in exchanges), *([together] if len(together) > 1 else [])]:
        resident = asyncio.run(_resident(some, asked.cycles))
        name = "all of them" if len(some) > 1 else some[0]
        print(f"| {name} | {resident:.0f} |", flush=True)


# --- Twenty coins ----------------------------------------------------------------------------------------------------


def _many_symbols(server: WireServer) -> tuple[str, ...]:
    """Make a server list twenty coins, and return their symbols."""
    listers: Mapping[str, Callable[[Any], tuple[str, ...]]] = {
        "binanceusdm": lambda one: _list_tables(one, "{}/USDT:USDT"),
        "binancecoinm": lambda one: _list_tables(one, "{0}/USD:{0}"),
        "bybit": lambda _: tuple(f"{coin}/USDT:USDT" for coin in COINS),  # It lists them by itself.
        "okx": _list_instruments,
        "hyperliquid": _list_coins,
        "gate": _list_contracts,
        "bitget": _list_products,
    }
    return listers[server.exchange](server)


def _list_tables(server: Any, pattern: str) -> tuple[str, ...]:
    symbols = tuple(pattern.format(coin) for coin in COINS)
    server.tables = {**server.tables, **dict.fromkeys(symbols, server.tables[server.sample.symbol])}
    if server.exchange == "binancecoinm":
        from coinm_wire import FLOOR_NAMES  # noqa: PLC0415  # Its folder is found when its server was asked for.

        FLOOR_NAMES.update(dict.fromkeys(symbols, FLOOR_NAMES[server.sample.symbol]))
    return symbols


def _list_instruments(_: WireServer) -> tuple[str, ...]:
    from okx_wire_market import INSTRUMENTS  # noqa: PLC0415  # Its folder is found when its server was asked for.

    for coin in COINS:
        terms = (f"{coin}/USDT:USDT", f"{coin}-USDT", "linear", "0.01", coin, "USDT", "0.1", "0.01")
        INSTRUMENTS[f"{coin}-USDT-SWAP"] = terms
    return tuple(f"{coin}/USDT:USDT" for coin in COINS)


def _list_contracts(server: WireServer) -> tuple[str, ...]:
    from gate_listed import LISTED, OF_MARKET  # noqa: PLC0415  # Its folder is found when its server was asked for.

    for coin in COINS:
        one = replace(LISTED[server.sample.symbol], symbol=f"{coin}/USDT:USDT", market=f"{coin}_USDT")
        LISTED[one.symbol] = OF_MARKET[one.settle, one.market] = one
    return tuple(f"{coin}/USDT:USDT" for coin in COINS)


def _list_products(server: WireServer) -> tuple[str, ...]:
    from bitget_wire_market import LISTED, OF_MARKET  # noqa: PLC0415  # Its folder is found as its server was asked for.

    for coin in COINS:
        one = replace(LISTED[server.sample.symbol], symbol=f"{coin}/USDT:USDT", market=f"{coin}USDT", base=coin)
        LISTED[one.symbol] = OF_MARKET[one.market] = one
    return tuple(f"{coin}/USDT:USDT" for coin in COINS)


def _list_coins(server: Any) -> tuple[str, ...]:
    symbols = {f"{coin}/USDC:USDC": coin for coin in COINS}
    server.coins = {**server.coins, **symbols}
    server.tables = {**server.tables, **dict.fromkeys(COINS, server.tables["BTC"])}
    return tuple(symbols)


def _hold_many(server: Any) -> int:
    """Open twenty isolated longs of 10x at their entry, and return how many it are."""
    symbols, one = _many_symbols(server), server.sample
    known = server.sample_of

    def sample_of(symbol: str) -> Any:
        if symbol not in symbols or server.exchange == "bybit":
            return known(symbol)
        return replace(one, symbol=symbol, currency=symbol.rpartition(":")[2])

    server.sample_of = sample_of
    for symbol in symbols:
        currency = symbol.rpartition(":")[2]
        server.marks.setdefault(symbol, one.mark)
        server.wallets[currency] = (one.margin * 1000, one.margin * 1000)
        mark = server.marks[symbol]
        margin = one.margin * (mark / one.mark if not one.inverse else 1)
        server.hold(symbol, Side.LONG, contracts=one.contracts, entry=mark, margin=margin, leverage=10)
    return len(symbols)


# --- A virtual hour --------------------------------------------------------------------------------------------------


class VirtualTime:
    """The real clocks, moved on by hand: of the daemon, of its loop and its stamps, and of the exchange alike."""

    def __init__(self, server: WireServer) -> None:
        self._server = server
        self._moved_s = 0.0
        loop = asyncio.get_running_loop()
        real = loop.time
        loop.time = lambda: real() + self._moved_s  # type: ignore[method-assign]  # Much is due by the loop's time.

    async def move(self, seconds: float) -> None:
        self._moved_s += seconds
        self._server.clock_skew = round(self._moved_s * 1000)
        await asyncio.sleep(0.01)  # Idle connections have become too old: both sides notice.

    def wall(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._moved_s)

    def steady(self) -> float:
        return time.monotonic() + self._moved_s

    def milliseconds(self) -> int:
        return time.time_ns() // 1_000_000 + round(self._moved_s * 1000)


async def _hour(exchange: str) -> str:
    """Return the row of one exchange."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = await stack.enter_async_context(server_of(exchange)().serving())
        held = _hold_many(server)
        clock = VirtualTime(server)
        watch = await _watch(stack, _config(Path(folder), [server]), clock)
        for _ in range(3):
            await watch.cycle()
            assert watch.is_fresh
            await clock.move(CALM_S)
        assert watch.decision is not None
        assert len(watch.decision.positions) == held, f"{exchange}: {len(watch.decision.positions)} of {held}"
        for symbol in watch.reader.symbols():
            await watch.reader.tiers_of(symbol)  # It raises where there is no table: nothing would be modelled.
        published = capabilities_of(exchange.partition("-")[0]).published
        assert published is not None
        limit = published.limit
        quiet = await _span(watch, clock, server, limit, cycles=1, every_s=CALM_S, stops=False)
        calm = await _span(watch, clock, server, limit, cycles=3600 // CALM_S, every_s=CALM_S)
        near = await _span(watch, clock, server, limit, cycles=NEAR_MINUTES * 60 // NEAR_S, every_s=NEAR_S)
    times = 60 // NEAR_MINUTES
    share = _peak(near, limit.window_s, per_endpoint=published.per_endpoint) / limit.weight_max
    return (
        f"| {exchange} | {held} | {_said(quiet)} | {_said(calm)} | {_said(near, times)} "
        f"| {share:.1%} of {limit.weight_max:,} in {limit.window_s:g} s |"
    )


async def _span(
    watch: AccountWatch,
    clock: VirtualTime,
    server: WireServer,
    limit: RateLimit,
    *,
    cycles: int,
    every_s: int,
    stops: bool = True,
) -> list[Request]:
    """Let the daemon look so often, and return what it asked."""
    asked: list[Request] = []
    for second in range(0, cycles * every_s, every_s):
        server.requests.clear()
        await watch.cycle()
        assert watch.is_fresh
        if stops and second % 60 == 0:
            await watch.stop_orders.read()
        kinds = (f"{path}/{params['type']}" if path == "/info" else path for _, path, params in server.requests)
        asked += [(second, kind, limit.weight_of(kind)) for kind in kinds]
        await clock.move(every_s)
    return asked


def _said(requests: Sequence[Request], times: int = 1) -> str:
    return f"{len(requests) * times} requests, weight {sum(weight for _, _, weight in requests) * times}"


def _peak(requests: Sequence[Request], window_s: float, *, per_endpoint: bool) -> int:
    """Return the most weight in any window: of everything, or of the busiest endpoint."""
    most = 0
    for start in {second for second, _, _ in requests}:
        by_kind: Counter[str] = Counter()
        for second, kind, weight in requests:
            if start <= second < start + window_s:
                by_kind[kind if per_endpoint else ""] += weight
        most = max(most, *by_kind.values())
    return most


async def _watch(stack: AsyncExitStack, config: Path, virtual: VirtualTime) -> AccountWatch:
    """Build one account's watch from the daemon's own parts, on the virtual clock."""
    settings, clock = load(config, environ={}), SteadyClock(wall=virtual.wall, steady=virtual.steady)
    (account,) = settings.accounts.values()
    journal = stack.enter_context(Journal.open(settings.journal_path, exclusive=True))
    teller = Teller(journal, (), clock)
    venue: Any = open_venue(account.venue, now=clock)
    venue._client.milliseconds = virtual.milliseconds  # noqa: SLF001  # ccxt stamps by the machine's clock.
    stack.push_async_callback(venue.close)
    keys = KeyGuard(venue, teller, clock)
    await keys.check()
    return AccountWatch(account, AccountReader(venue, clock), teller, keys, clock)


# --- Memory ----------------------------------------------------------------------------------------------------------


async def _resident(exchanges: Sequence[str], cycles: int) -> float:
    """Return the MiB of a real daemon on these exchanges, after so many cycles of each."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        servers = [await stack.enter_async_context(server_of(one)().serving()) for one in exchanges]
        for server in servers:
            _hold_many(server)
        process = await stack.enter_async_context(_daemon(_config(Path(folder), servers)))
        assert process.stderr is not None
        finished: Counter[str] = Counter()
        while len(finished) < len(exchanges) or min(finished.values()) < cycles:
            line = await asyncio.wait_for(process.stderr.readline(), 60)
            assert line, "the daemon ended"
            if b'"cycle.finished"' in line:
                finished[json.loads(line)["account"]] += 1
        status = await asyncio.to_thread(Path(f"/proc/{process.pid}/status").read_text)
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


@asynccontextmanager
async def _daemon(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "guard", "run", "--log-format", "json", "-c", str(config)),
        stderr=asyncio.subprocess.PIPE,
        env=environ,
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


def _config(folder: Path, servers: Sequence[WireServer]) -> Path:
    path = folder / "config.toml"
    path.touch(mode=0o600)
    accounts = "\n".join(_account(server) for server in servers)
    path.write_text(f"""\
mode = "act"
{accounts}
[[rules]]
name = "shield"
match = {{ margin_mode = "isolated" }}
[rules.top_up]
trigger = "1%"
target = "2%"
max_per_position = "1000"
max_per_day = "1000"
[notify.console]
enabled = false
[journal]
path = "journal.db"
""")
    return path


def _account(server: WireServer) -> str:
    return "\n".join(
        [
            f"[accounts.{server.exchange}]",
            f'exchange = "{server.exchange}"',
            'poll_interval = { calm = "1s", near = "1s" }',
            *_lines(server.credentials()),
            f"[accounts.{server.exchange}.ccxt]",
            "rateLimit = 1",
            *_lines(server.urls(), "urls"),
        ]
    )


def _lines(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return a nested table of strings in TOML, one dotted key a line."""
    lines: list[str] = []
    for name, value in table.items():
        key = f"{prefix}.{json.dumps(name)}" if prefix else name
        lines += _lines(value, key) if isinstance(value, Mapping) else [f"{key} = {json.dumps(value)}"]
    return lines


if __name__ == "__main__":
    main()
