"""The real daemon on an exchange of the contract suite: its config, a receiver of its alerts, and its journal."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon_kit import QUICK
from wire_server import WireServer

from guard.config import load
from guard.daemon.keys import KeyGuard
from guard.daemon.reader import AccountReader
from guard.daemon.tell import Teller
from guard.daemon.watch import AccountWatch
from guard.demo.receiver import SECRET, receive_webhooks
from guard.journal import Intent, Journal
from guard.venues import open_venue
from guard.venues.protocol import Venue

RULES = """
[[rules]]
name = "shield"
match = { margin_mode = "isolated" }
[rules.top_up]
trigger = "8%"
target = "12%"
birth_cap = false
"""


@dataclass(slots=True, kw_only=True)
class WireWorld:
    server: WireServer
    config: Path
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def journal_path(self) -> Path:
        return self.config.with_name("journal.db")

    def intents(self) -> list[Intent]:
        """Return what the journal holds, oldest first."""
        if not self.journal_path.exists():
            return []
        with Journal.open_to_read(self.journal_path) as journal:
            return list(reversed(journal.intents()))

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.messages if one["kind"] == kind]


@asynccontextmanager
async def wire_world(
    folder: Path, server: WireServer, *, limits: Mapping[str, str], calm: str = "1s"
) -> AsyncIterator[WireWorld]:
    """Serve the receiver while the block runs. `limits` are those of the one rule, as the config writes them."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, before anything runs.
    world = WireWorld(server=server, config=folder / "config.toml")
    async with receive_webhooks(world.messages.append) as hook:
        world.config.touch(mode=0o600)
        channel = f'[notify.webhook.test]\nurl = "{hook}"\nsecret = "{SECRET}"\nfrom_level = "watch"'
        world.config.write_text(f"{config_text(server, limits, calm)}\n{channel}\n")
        yield world


def config_text(server: WireServer, limits: Mapping[str, str], calm: str = "1s") -> str:
    """Return the config of an account at a server, without a channel. `limits` are those of the one rule."""
    return f"""\
mode = "act"
[accounts.main]
exchange = "{server.exchange}"
{_lines(server.credentials())}
poll_interval = {{ calm = "{calm}", near = "1s" }}
[accounts.main.ccxt]
rateLimit = 1
timeout = 1000
{_lines(server.urls(), "urls")}
{QUICK}
{RULES}
{_lines(limits)}
[notify.console]
enabled = false
[journal]
path = "journal.db"
"""


def _lines(table: Mapping[str, object], prefix: str = "") -> str:
    """Return a nested table of strings in TOML, one dotted key a line."""
    lines = []
    for name, value in table.items():
        key = f"{prefix}.{json.dumps(name)}" if prefix else name
        lines.append(_lines(value, key) if isinstance(value, Mapping) else f"{key} = {json.dumps(value)}")
    return "\n".join(lines)


async def hold_two(server: WireServer, venue: Venue, *, near_first: bool) -> None:
    """Hold the sample, and list beside it a row of the same symbol and side with twice its margin."""
    far: list[Any] = []

    def keep(answer: Any) -> Any:
        far.extend(deepcopy(server.rows_in("positions", answer)))
        return answer

    def both(answer: Any) -> Any:
        rows = server.rows_in("positions", answer)
        if rows:  # Some list each settle currency by itself.
            rows[:] = [*rows, *deepcopy(far)] if near_first else [*deepcopy(far), *rows]
        return answer

    server.hold_sample(margin=server.sample.margin * 2)
    server.mangle("positions", keep)
    await venue.snapshot()
    server.hold_sample()
    server.mangle("positions", both)


@asynccontextmanager
async def watching_account(
    server: WireServer, folder: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[tuple[AccountWatch, Journal]]:
    """Watch the exchange's one account, cycle by cycle as the test calls for them, with a journal on disk."""
    path = folder / "config.toml"
    path.touch(mode=0o600)
    path.write_text(config_text(server, {"max_per_position": "1000", "max_per_day": "1000"}))
    settings = load(path, environ={})
    (account,) = settings.accounts.values()
    venue = open_venue(account.venue, now=clock)
    with Journal.open(settings.journal_path, exclusive=True) as journal:
        teller = Teller(journal, (), clock)
        try:
            yield (
                AccountWatch(account, AccountReader(venue, clock), teller, KeyGuard(venue, teller, clock), clock),
                journal,
            )
        finally:
            await venue.close()
