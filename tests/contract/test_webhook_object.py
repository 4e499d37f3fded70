"""The object that a webhook gets (design 4.4, 4.5), from the daemon's own cycles to a receiver that verifies it."""

import base64
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from guard.config import load
from guard.daemon.service import Service
from guard.demo.exchange import DemoAccount, DemoExchange, serve
from guard.demo.stage import ccxt_table
from guard.snapshot import MarginMode, Side

SECRET = "whsec_" + base64.b64encode(b"thirty-two bytes for the contract").decode()
KEYS = [
    *("id", "alert", "happened_at", "sent_at", "kind", "event", "level", "account", "symbol", "side", "margin_mode"),
    *("title", "text", "facts"),
]
POSITION_KEYS = [
    *("symbol", "side", "margin_mode", "pool", "currency", "quantity", "contract_size", "entry_price", "mark_price"),
    *("notional", "leverage", "isolated_wallet", "unrealized_pnl", "margin_balance", "maintenance_margin"),
    *("requirement", "margin_ratio", "liquidation", "liquidation_price", "liquidation_price_down"),
    *("liquidation_price_up", "exchange_liquidation_price", "model_gap", "guarded_liquidation_price"),
    *("bankruptcy_price", "distance", "sigmas", "touch_probability", "stop_price", "trigger", "money_to_target"),
    *("budget_left", "rule", "withheld", "level", "reason"),
    *("effective_leverage", "idle_margin"),  # Ours, behind the contract's.
]
POOL_KEYS = [
    *("pool", "currency", "margin_mode", "margin_balance", "maintenance_margin", "requirement", "margin_ratio"),
    *("available", "reserve", "spendable", "liquidation", "distance", "sigmas", "shock_down", "shock_up", "driver"),
    *("level", "reason"),
    "falls_together",  # Ours, behind the contract's.
]
WORDS = {
    *("symbol", "side", "margin_mode", "pool", "currency", "liquidation", "rule", "withheld", "level", "reason"),
    *("driver", "falls_together"),
}
KINDS = {
    *("alert", "action", "refused", "unknown_outcome", "model_gap", "stale", "blind", "vanished", "heartbeat"),
    "drill",
}
CONFIG = """\
mode = "act"

[accounts.main]
exchange = "binanceusdm"
api_key = "a-key"
secret = "a-secret"

{ccxt}

[ladder]
watch = {{ distance = "30%", for = "0s", clear_for = "0s" }}
warn = {{ distance = "15%", for = "0s", clear_for = "0s" }}
danger = {{ distance = "8%", for = "0s", clear_for = "0s" }}
critical = {{ distance = "4%", for = "0s", clear_for = "0s" }}

[[rules]]
name = "shield"
match = {{ symbol = "BTC/*", margin_mode = "isolated" }}
[rules.top_up]
trigger = "8%"
target = "16%"
max_per_position = "4000"
max_per_day = "4000"

[notify.webhook.ops]
url = "{hook}"
secret = "{secret}"
from_level = "watch"

[notify.console]
enabled = false

[journal]
path = "journal.db"
"""


@dataclass(slots=True, kw_only=True)
class Receiver:
    """What arrived: the header that names a message, and its object."""

    arrived: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.text()
        verified = Webhook(SECRET).verify(body, dict(request.headers))
        assert verified == json.loads(body)
        self.arrived.append((request.headers["webhook-id"], verified))
        return web.Response(status=204)

    def of(self, kind: str, key: str = "symbol", value: str | None = "BTC/USDT:USDT") -> Sequence[dict[str, Any]]:
        return [one for _, one in self.arrived if one["kind"] == kind and one[key] == value]


@asynccontextmanager
async def receiving(receiver: Receiver) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiver(tmp_path: Path) -> Receiver:
    """Return what a fall, a rescue and a recovery told: four cycles, each by a process of its own."""
    exchange = DemoExchange()
    account = exchange.add_account(
        DemoAccount(name="main", api_key="a-key", secret="a-secret", balances={"USDT": Decimal(20_000)})
    )
    for symbol, quantity, leverage, mode in (
        ("BTCUSDT", "0.5", 5, MarginMode.ISOLATED),
        ("ETHUSDT", "9", 10, MarginMode.CROSS),
    ):
        exchange.open_position(
            account, symbol=symbol, side=Side.LONG, quantity=Decimal(quantity), leverage=leverage, margin_mode=mode
        )
    config, told = tmp_path / "config.toml", Receiver()
    async with serve(exchange) as url, receiving(told) as hook:
        config.touch(mode=0o600)
        config.write_text(CONFIG.format(ccxt=ccxt_table("main", url), hook=hook, secret=SECRET))
        for mark, ether in ((54_000, 3_000), (52_000, 1_950), (80_000, 3_500), (80_000, 3_500)):
            exchange.set_mark("BTCUSDT", Decimal(mark))
            exchange.set_mark("ETHUSDT", Decimal(ether))
            await Service(load(config, environ={})).once()
    return told


def is_a_moment(text: str) -> bool:
    return text.endswith("Z") and datetime.fromisoformat(text).tzinfo == UTC


def wrong_types(row: dict[str, Any]) -> list[str]:
    """Return the keys of a row whose value is neither null, nor a plain decimal string, nor a word where words are."""
    plain = re.compile(r"-?\d+(\.\d+)?")
    return [
        key
        for key, value in row.items()
        for text in (value if isinstance(value, list) else [value])
        if text is not None and (not isinstance(text, str) or (key not in WORDS and plain.fullmatch(text) is None))
    ]


async def test_every_message_has_the_keys_of_the_contract_and_is_named_by_its_id(receiver):
    assert receiver.arrived
    for header, one in receiver.arrived:
        assert list(one) == KEYS
        assert header == one["id"]
        assert one["kind"] in KINDS
        assert one["event"] in {"fired", "repeated", "escalated", "resolved"}
        assert one["level"] in {"watch", "warn", "unknown", "danger", "critical"}
        assert is_a_moment(one["happened_at"])
        assert is_a_moment(one["sent_at"])
        assert "\n" not in one["title"]
    ids = [header for header, _ in receiver.arrived]
    assert len(set(ids)) == len(ids)


async def test_the_facts_of_an_alert_are_the_row_of_its_subject_in_decimal_strings(receiver):
    for one in receiver.of("alert"):
        assert list(one["facts"]) == POSITION_KEYS
        assert wrong_types(one["facts"]) == []
        assert (one["symbol"], one["side"], one["margin_mode"]) == ("BTC/USDT:USDT", "long", "isolated")
    pools = receiver.of("alert", value=None)
    assert pools
    for one in pools:
        assert list(one["facts"]) == POOL_KEYS
        assert wrong_types(one["facts"]) == []
        assert (one["side"], one["facts"]["pool"]) == (None, "USDT cross")


async def test_an_alert_keeps_its_name_from_its_first_message_to_its_end_which_is_told_once(receiver):
    told = receiver.of("alert")
    assert [one["event"] for one in told] == ["fired", "escalated", "resolved"]
    assert len({one["alert"] for one in told}) == 1
    pool = receiver.of("alert", value=None)
    assert [one["event"] for one in pool].count("resolved") == 1
    assert {one["alert"] for one in pool}.isdisjoint({one["alert"] for one in told})


async def test_an_action_has_its_positions_level_and_the_rows_before_and_after_it(receiver):
    (act,) = receiver.of("action")
    assert (act["event"], act["level"], act["side"], act["margin_mode"]) == ("fired", "danger", "long", "isolated")
    facts = act["facts"]
    before, after = facts["before"], facts["after"]
    for row in (before, after):
        assert list(row) == POSITION_KEYS
        assert wrong_types(row) == []
    added = Decimal(facts["amount"])
    assert facts["currency"] == "USDT"
    assert Decimal(after["isolated_wallet"]) - Decimal(before["isolated_wallet"]) == added
    assert Decimal(before["distance"]) <= Decimal("0.08")
    assert Decimal(after["distance"]) >= Decimal("0.16")
    assert Decimal(after["budget_left"]) == 4000 - added
    assert Decimal(after["liquidation_price"]) < Decimal(before["liquidation_price"])
