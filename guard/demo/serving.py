"""`guard demo --serve`: the exchange alone, with accounts of every kind, for every other command to play with."""

import asyncio
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from guard.demo.exchange import DemoAccount, DemoExchange, serve
from guard.demo.exchange.market import DEFAULT_MARKS
from guard.demo.stage import ccxt_table
from guard.errors import ConfigError
from guard.snapshot import MarginMode, Side

OPENING = {symbol: DEFAULT_MARKS[symbol] for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")}
TICK_S = 1.0
SWING = 0.01  # Marks swing by one percent round their opening, each at its own rhythm.
RHYTHM_S = 90.0


def playground() -> DemoExchange:
    """Return an exchange with three accounts of every kind.

    Isolated long and short; a hedged cross pair with two isolated positions beside it; and a cross pool of two.
    """
    exchange = DemoExchange()
    isolated = _account(exchange, "isolated")
    exchange.open_position(isolated, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.5"), leverage=10)
    exchange.open_position(isolated, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(4), leverage=5)
    hedge, cross = _account(exchange, "hedge", hedge_mode=True), _account(exchange, "cross")
    for account, symbol, side, quantity, leverage in (
        (hedge, "BTCUSDT", Side.LONG, "0.4", 20),
        (hedge, "BTCUSDT", Side.SHORT, "0.15", 20),
        (cross, "BTCUSDT", Side.LONG, "0.6", 20),
        (cross, "XRPUSDT", Side.SHORT, "20000", 10),
    ):
        exchange.open_position(
            account,
            symbol=symbol,
            side=side,
            quantity=Decimal(quantity),
            leverage=leverage,
            margin_mode=MarginMode.CROSS,
        )
    exchange.open_position(hedge, symbol="SOLUSDT", side=Side.LONG, quantity=Decimal(60), leverage=10)
    exchange.open_position(hedge, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(2), leverage=8)
    return exchange


async def serve_until_stopped(config: Path, stop: asyncio.Event, *, say: Callable[[str], None]) -> None:
    """Serve the playground, write a config for it, and move its marks until `stop` is set.

    Raises ConfigError when the config file cannot be made, or exists: it might be somebody's own.
    """
    exchange = playground()
    async with serve(exchange) as url:
        _write_config(config, exchange, url)
        say(f"exchange: {url}")
        say(f"config:   {config}    try: guard status -c {config}")
        say(f'crash:    curl -X POST {url}/demo/marks -d \'{{"BTCUSDT": "56000"}}\'    state: {url}/demo/state')
        say("Ctrl-C ends it.")
        await _move_until(exchange, stop)


def _write_config(config: Path, exchange: DemoExchange, url: str) -> None:
    try:
        config.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise ConfigError(f"{config}: exists already; name another file with --config, or remove it") from None
    except OSError as error:
        raise ConfigError(f"{config}: cannot be written: {error.strerror}; name another file with --config") from None
    config.write_text(_config_text(exchange, url, config.absolute().with_suffix(".db")))


async def _move_until(exchange: DemoExchange, stop: asyncio.Event) -> None:
    """Let marks swing a little; a mark that was moved by hand stays where it was put."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    expected = dict(exchange.marks)
    while not stop.is_set():
        for number, symbol in enumerate(OPENING):
            phase = (loop.time() - started) / (RHYTHM_S + 17 * number) * 2 * math.pi
            price = round(OPENING[symbol] * (1 + Decimal(repr(round(SWING * math.sin(phase), 6)))), 6)
            if exchange.marks[symbol] == expected[symbol]:
                expected[symbol] = price
                exchange.set_mark(symbol, price)
        try:
            await asyncio.wait_for(stop.wait(), TICK_S)
        except TimeoutError:
            continue


def _account(exchange: DemoExchange, name: str, *, hedge_mode: bool = False) -> DemoAccount:
    return exchange.add_account(
        DemoAccount(
            name=name,
            api_key=f"demo-{name}-key",
            secret=f"demo-{name}-secret",
            balances={"USDT": Decimal(12_000)},
            hedge_mode=hedge_mode,
        )
    )


def _config_text(exchange: DemoExchange, url: str, journal: Path) -> str:
    accounts = "\n".join(
        f"""\
[accounts.{account.name}]
exchange = "binanceusdm"
api_key = "{account.api_key}"
secret = "{account.secret}"

{ccxt_table(account.name, url)}
"""
        for account in exchange.accounts.values()
    )
    return f"""\
# Written by `guard demo --serve`: it is worth nothing anywhere else.
mode = "act"

{accounts}
[[rules]]
name = "shield"
match = {{ margin_mode = "isolated" }}
[rules.top_up]
trigger = "8%"
target = "12%"
max_per_position = "2000"
max_per_day = "4000"

[journal]
path = "{journal}"
"""
