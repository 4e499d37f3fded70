"""The stage: the same account twice on one exchange, and the config of its guarded half."""

import json
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from guard.config import load
from guard.config.settings import Settings
from guard.demo.exchange import DemoAccount, DemoExchange, ccxt_urls, is_own_table
from guard.demo.prices import Market, read_market, scripted
from guard.demo.receiver import SECRET
from guard.demo.script import (
    CRASH_BUDGET,
    CRASH_MINUTES,
    CRASH_POSITIONS,
    CRASH_PRICES,
    REPLAY_BUDGET,
    REPLAY_LEVERAGE,
    REPLAY_NOTIONAL,
    Budget,
    Script,
    StagedPosition,
)
from guard.snapshot import Side

GUARDED_KEYS = {"api_key": "demo-guarded-key", "secret": "demo-guarded-secret"}
UNGUARDED_KEYS = {"api_key": "demo-unguarded-key", "secret": "demo-unguarded-secret"}
CRASH_FREE_MARGIN = Decimal(8000)
LAST_PRICE_NOTE = (
    "prices of a file are taken as mark prices; if they are last prices: exchanges liquidate on the mark, "
    "which falls less in a crash"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything built and not yet moving."""

    script: Script
    market: Market
    exchange: DemoExchange
    guarded: DemoAccount
    unguarded: DemoAccount


def crash_script() -> tuple[Script, Market]:
    """Return the scripted crash."""
    script = Script(
        title="two hours of a crash",
        positions=CRASH_POSITIONS,
        free_margin=CRASH_FREE_MARGIN,
        budget=CRASH_BUDGET,
    )
    return script, scripted(CRASH_MINUTES, CRASH_PRICES)


def replay_script(path: Path, *, max_per_position: str | None) -> tuple[Script, Market]:
    """Return a replay of a market file: a long of 10,000 USDT at 10x in each of its coins."""
    market = read_market(path)
    opening = market.opening()
    positions = tuple(
        StagedPosition(symbol=symbol, side=Side.LONG, quantity=_quantity(price), leverage=REPLAY_LEVERAGE)
        for symbol, price in opening.items()
    )
    own = [symbol for symbol in opening if is_own_table(symbol)]
    notes = [LAST_PRICE_NOTE]
    if own:
        notes.append(
            f"the demo does not know the leverage brackets of {', '.join(own)}: it uses cautious ones of its own"
        )
    budget = (
        REPLAY_BUDGET
        if max_per_position is None
        else Budget(
            target=REPLAY_BUDGET.target,
            max_per_action=None,
            max_per_position=max_per_position,
            max_per_day=REPLAY_BUDGET.max_per_day,
        )
    )
    script = Script(
        title=f"{path.name}, {market.start:%Y-%m-%d %H:%M} to {market.end:%H:%M} UTC",
        positions=positions,
        free_margin=REPLAY_NOTIONAL * len(positions),
        budget=budget,
        notes=tuple(notes),
    )
    return script, market


def build(script: Script, market: Market) -> Stage:
    """Open the same positions for both accounts at the first prices."""
    exchange = DemoExchange(market.opening())
    margin = sum((_initial_margin(position, exchange) for position in script.positions), Decimal(0))
    accounts = []
    for name, keys in (("guarded", GUARDED_KEYS), ("unguarded", UNGUARDED_KEYS)):
        account = exchange.add_account(
            DemoAccount(
                name=name,
                api_key=keys["api_key"],
                secret=keys["secret"],
                balances={"USDT": script.free_margin + margin},
            )
        )
        for position in script.positions:
            exchange.open_position(
                account,
                symbol=position.symbol,
                side=position.side,
                quantity=position.quantity,
                leverage=position.leverage,
            )
        accounts.append(account)
    guarded, unguarded = accounts
    return Stage(script=script, market=market, exchange=exchange, guarded=guarded, unguarded=unguarded)


def write_config(folder: Path, budget: Budget, *, exchange_url: str, webhook_url: str) -> Path:
    """Write the guarded account's config as its owner would have."""
    max_per_action = f'max_per_action = "{budget.max_per_action}"\n' if budget.max_per_action else ""
    path = folder / "config.toml"
    path.touch(mode=0o600)
    path.write_text(
        f"""\
mode = "act"

[accounts.demo]
exchange = "binanceusdm"
api_key = "{GUARDED_KEYS["api_key"]}"
secret = "{GUARDED_KEYS["secret"]}"

{ccxt_table("demo", exchange_url)}

[[rules]]
name = "shield"
match = {{ margin_mode = "isolated" }}
[rules.top_up]
trigger = "8%"
target = "{budget.target}"
{max_per_action}max_per_position = "{budget.max_per_position}"
max_per_day = "{budget.max_per_day}"
reserve = "10%"

[notify.webhook.demo]
url = "{webhook_url}"
secret = "{SECRET}"
from_level = "watch"

[notify.console]
enabled = false

[journal]
path = "{folder / "journal.db"}"
"""
    )
    return path


def settings_of(config: Path) -> Settings:
    """Load a config of the demo. The user's own environment is none of its business."""
    return load(config, environ={})


def ccxt_table(account: str, url: str) -> str:
    """Return the TOML table that points an account's ccxt at the demo exchange."""
    lines = [f"[accounts.{account}.ccxt]", "rateLimit = 1", "", f"[accounts.{account}.ccxt.urls.api]"]
    lines += [f"{json.dumps(name)} = {_toml(value)}" for name, value in ccxt_urls(url)["api"].items()]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    """Return a string or a nested table of strings as TOML writes it inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {_toml(inner)}" for name, inner in value.items()) + " }"
    return json.dumps(value)


def _initial_margin(position: StagedPosition, exchange: DemoExchange) -> Decimal:
    return position.quantity * exchange.marks[position.symbol] / position.leverage


def _quantity(price: Decimal) -> Decimal:
    """Return the quantity worth about REPLAY_NOTIONAL, with three significant digits or a thousandth of a coin."""
    quantity = REPLAY_NOTIONAL / price
    return quantity.quantize(Decimal("0.001"), rounding=ROUND_CEILING)
