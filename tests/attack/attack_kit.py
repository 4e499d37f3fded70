"""One account's watch, cycle by cycle, on the demo exchange: nothing is scheduled, so a test decides what comes between.

The numbers: 0.5 BTC bought at 60,000 with 5x holds 6,000 USDT. Its first bracket asks 0.4 %, so it is liquidated at
(0.5 * 60,000 - 6,000) / (0.5 * 0.996) = 48,192.77. At 52,000 that is 7.3 % away: below the trigger of 8 %, above the
4 % of critical.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from guard.config import load
from guard.config.settings import Settings
from guard.daemon.keys import KeyGuard
from guard.daemon.reader import AccountReader
from guard.daemon.tell import Teller
from guard.daemon.watch import AccountWatch
from guard.demo.exchange import DemoAccount, DemoExchange, serve
from guard.demo.stage import ccxt_table
from guard.journal import Journal
from guard.policy.message import Message
from guard.policy.subjects import remembered_positions
from guard.policy.terms import Level
from guard.snapshot import Side
from guard.venues import open_venue

BREACHED = Decimal(52_000)
RULES = """
[[rules]]
name = "shield"
match = { margin_mode = "isolated" }
[rules.top_up]
trigger = "8%"
target = "12%"
max_per_position = "3000"
max_per_day = "5000"
reserve = "0"
"""
QUICK = """
[ladder]
watch = { distance = "25%", for = "0s" }
warn = { distance = "15%", for = "0s" }
danger = { distance = "8%", for = "0s" }
critical = { distance = "4%", for = "0s" }
"""


@dataclass(slots=True)
class Phone:
    """A channel that keeps what it is sent; while `error` is set it refuses."""

    name: str = "phone"
    from_level: Level = Level.WATCH
    reaches_people: bool = True
    digest_units_max: int | None = None
    error: Exception | None = None
    sent: list[Message] = field(default_factory=list)

    async def send(self, message: Message, *, attempt: int) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(message)

    async def close(self) -> None: ...


@dataclass(slots=True)
class Clock:
    """The wall clock, which a test may step."""

    off_by: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.off_by


@dataclass(slots=True, kw_only=True)
class Run:
    """One process of the daemon, as far as one account goes."""

    watch: AccountWatch
    journal: Journal
    phone: Phone

    def key(self, symbol: str = "BTC/USDT:USDT", side: Side = Side.LONG):
        return next(
            one.key for one in self.watch.decision.positions if one.key.symbol == symbol and one.key.side is side
        )

    def row(self, symbol: str = "BTC/USDT:USDT"):
        return next(one for one in self.watch.decision.positions if one.key.symbol == symbol)

    def row_or_none(self, symbol: str = "BTC/USDT:USDT"):
        return next((one for one in self.watch.decision.positions if one.key.symbol == symbol), None)

    def told(self, kind: str, event: str | None = None) -> list[Message]:
        """Return what was put into the outbox or sent without it."""
        rows = self.journal.due("phone", datetime.max.replace(tzinfo=UTC), 1000)
        everything = [*(row.message for row in rows), *self.phone.sent]
        return [one for one in everything if one.kind == kind and event in {None, one.event}]


@dataclass(slots=True, kw_only=True)
class World:
    exchange: DemoExchange
    account: DemoAccount
    config: Path
    clock: Clock

    def posts(self) -> int:
        return self.exchange.requests.get(("POST", "/fapi/v1/positionMargin"), 0)

    def moved(self) -> list[Decimal]:
        return [change.amount for change in self.account.margin_changes if change.delta_type == "USER_ADJUST"]

    def settings(self) -> Settings:
        return load(self.config, environ={})

    def rewrite(self, old: str, new: str) -> None:
        """Change the config between two runs."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Run]:
        """Start as the service does, without its schedule, deliveries and streams."""
        settings = self.settings()
        (account,) = settings.accounts.values()
        phone = Phone()
        with Journal.open(settings.journal_path, exclusive=True) as journal:
            teller = Teller(journal, [phone], self.clock)
            reader = AccountReader(open_venue(account.venue, now=self.clock), self.clock)
            memory = journal.memory(account.name, self.clock())
            reader.remember_open(remembered_positions(memory), at=self.clock())
            # One machine, one wall clock: ccxt stamps its requests by the clock that a test may step.
            reader.venue._client.milliseconds = lambda: int(self.clock().timestamp() * 1000)
            keys = KeyGuard(reader.venue, teller, self.clock)
            watch = AccountWatch(account, reader, teller, keys, self.clock)
            try:
                await keys.check()
                yield Run(watch=watch, journal=journal, phone=phone)
            finally:
                await reader.venue.close()


def one_long(exchange: DemoExchange, account: DemoAccount) -> None:
    exchange.open_position(account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.5"), leverage=5)


@asynccontextmanager
async def world(
    folder: Path,
    *,
    build: Callable[[DemoExchange, DemoAccount], None] = one_long,
    rules: str = RULES,
    wallet: int = 26_000,
    top: str = "",
    timeout_ms: int = 1_000,
    **account: object,
) -> AsyncIterator[World]:
    exchange = DemoExchange()
    one = exchange.add_account(
        DemoAccount(
            name="main", api_key="key-of-main-1", secret="secret-of-main", balances={"USDT": Decimal(wallet)}, **account
        )
    )
    build(exchange, one)
    config = folder / "config.toml"
    config.touch(mode=0o600)
    async with serve(exchange) as url:
        ccxt = ccxt_table("main", url).replace("rateLimit = 1\n", f"rateLimit = 1\ntimeout = {timeout_ms}\n")
        config.write_text(f"""\
mode = "act"
{top}
[accounts.main]
exchange = "binanceusdm"
api_key = "{one.api_key}"
secret = "{one.secret}"
poll_interval = {{ calm = "1s", near = "1s" }}
{ccxt}
{QUICK}
{rules}
[notify.console]
enabled = false
[journal]
path = "journal.db"
""")
        yield World(exchange=exchange, account=one, config=config, clock=Clock())
