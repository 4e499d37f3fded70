"""The real `guard` command in a process of its own, against a demo exchange that this process serves."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from guard.demo.exchange import DemoAccount, DemoExchange, serve
from guard.demo.receiver import SECRET, receive_webhooks
from guard.demo.stage import ccxt_table
from guard.snapshot import MarginMode, Side

MARKS = {
    "BTCUSDT": Decimal(60_000),
    "ETHUSDT": Decimal(3_000),
    "SOLUSDT": Decimal(150),
    "DOGEUSDT": Decimal("0.12345"),
}
POSITIONS = "/fapi/v3/positionRisk"
LOUD = """
[ladder]
watch = { distance = "25%", for = "0s" }
warn = { distance = "15%", for = "0s" }
danger = { distance = "8%", for = "0s" }
critical = { distance = "4%", for = "0s" }
"""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Return stdout as JSON, all of it; constants that JSON does not have are refused."""
        return json.loads(self.out, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


@dataclass(slots=True, kw_only=True)
class World:
    """An exchange, a receiver of alerts and a config, all real and on loopback."""

    exchange: DemoExchange
    url: str
    config: Path
    messages: list[dict[str, Any]] = field(default_factory=list)

    def rewrite(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def writes(self) -> list[tuple[str, str]]:
        """Return every request that was not a GET."""
        return [asked for asked in self.exchange.requests if asked[0] != "GET"]

    async def guard(self, *words: str, **environ: str) -> Answer:
        """Run a command on this world's config to its end."""
        return await guard(*words, "-c", str(self.config), home=self.config.parent, **environ)


async def guard(*words: str, home: Path, **environ: str) -> Answer:
    """Run a command to its end, without a terminal."""
    async with started(*words, home=home, **environ) as process:
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return Answer(status=process.returncode, out=out.decode(), err=err.decode())


@asynccontextmanager
async def started(
    *words: str, home: Path, stdout: int = asyncio.subprocess.PIPE, **environ: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command while the block runs, and kill what is left of it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "guard", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environ},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def world(
    folder: Path,
    *,
    build: Callable[[DemoExchange], None],
    mode: str = "act",
    rules: str = SHIELD,
    notify: str | None = None,
) -> AsyncIterator[World]:
    """Serve everything while the block runs. `build` adds accounts; `notify` replaces the webhook's table."""
    exchange = DemoExchange(MARKS)
    build(exchange)
    messages: list[dict[str, Any]] = []
    config = folder / "config.toml"
    async with serve(exchange) as url, receive_webhooks(messages.append) as hook:
        accounts = "\n".join(account_table(one, url) for one in exchange.accounts.values())
        webhook = f'[notify.webhook.ops]\nurl = "{hook}"\nsecret = "{SECRET}"\nfrom_level = "watch"\n'
        config.touch(mode=0o600)
        config.write_text(
            f'mode = "{mode}"\n{accounts}\n{LOUD}\n{rules}\n{webhook if notify is None else notify}\n'
            '[notify.console]\nenabled = false\n[journal]\npath = "journal.db"\n'
        )
        yield World(exchange=exchange, url=url, config=config, messages=messages)


def account_table(one: DemoAccount, url: str) -> str:
    ccxt = ccxt_table(one.name, url).replace("rateLimit = 1\n", "rateLimit = 1\ntimeout = 2000\n")
    return f"""
[accounts.{one.name}]
exchange = "binanceusdm"
api_key = "{one.api_key}"
secret = "{one.secret}"
poll_interval = {{ calm = "1s", near = "1s" }}
{ccxt}
"""


def add_account(exchange: DemoExchange, name: str = "main", wallet: int = 20_000, **fields: Any) -> DemoAccount:
    return exchange.add_account(
        DemoAccount(
            name=name,
            api_key=f"key-of-{name}-canary",
            secret=f"secret-of-{name}-canary",
            balances={"USDT": Decimal(wallet)},
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


def one_long(exchange: DemoExchange) -> None:
    """Add the account "main" with 0.5 BTC at 5x: it is liquidated at (30,000 - 6,000) / 0.498 = 48,192.77."""
    hold(exchange, add_account(exchange), "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)


def every_kind(exchange: DemoExchange) -> None:
    """Add an isolated long and short (one-way), hedged pairs in both margin modes, and a cross pool of two coins."""
    one_way = add_account(exchange, "oneway")
    hold(exchange, one_way, "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)
    hold(exchange, one_way, "ETHUSDT", Decimal("-7.5"), leverage=8, isolated=True)
    hold(exchange, one_way, "DOGEUSDT", Decimal(90_000), leverage=10, isolated=True)
    hedged = add_account(exchange, "hedged", hedge_mode=True)
    hold(exchange, hedged, "BTCUSDT", Decimal("0.4"), leverage=10, isolated=True)
    hold(exchange, hedged, "BTCUSDT", Decimal("-0.25"), leverage=10, isolated=True)
    hold(exchange, hedged, "ETHUSDT", Decimal(40), leverage=10, isolated=False)
    hold(exchange, hedged, "ETHUSDT", Decimal(-15), leverage=10, isolated=False)
    pool = add_account(exchange, "pool", wallet=9_000)
    hold(exchange, pool, "BTCUSDT", Decimal("0.9"), leverage=10, isolated=False)
    hold(exchange, pool, "SOLUSDT", Decimal(-200), leverage=10, isolated=False)
    for symbol, price in (("BTCUSDT", 58_700), ("ETHUSDT", 3_060), ("SOLUSDT", 152)):
        exchange.set_mark(symbol, Decimal(price))


async def until(what: str, is_so: Callable[[], Any], *, within_s: float = 20.0) -> None:
    """Wait for something to become true. A generous limit: it is only reached when it never does."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not is_so():
        assert asyncio.get_running_loop().time() < deadline, f"never: {what}"
        await asyncio.sleep(0.02)


def rows_of(document: Any, account: str) -> Sequence[dict[str, Any]]:
    return next(one["positions"] for one in document["accounts"] if one["account"] == account)
