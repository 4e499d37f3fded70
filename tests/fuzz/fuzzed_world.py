"""Accounts as the exchange shows them, and the real venue and reader on them: an answer is bytes that a test may change.

No socket: the client's endpoints answer from `bytes_of`, through the client's own judgement of bytes.
"""

import asyncio
import json
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from guard.config import load
from guard.daemon.continuity import Continuity
from guard.daemon.reader import AccountReader
from guard.demo.exchange import DemoAccount, DemoExchange, payloads
from guard.demo.exchange.ledger import MarginChangeRow
from guard.demo.exchange.market import MarkBar
from guard.outlook import without_candles
from guard.policy.decide import decide
from guard.policy.decision import Decision
from guard.policy.memory import Memory
from guard.policy.terms import Level, Terms
from guard.snapshot import MarginMode, PositionKey, Side
from guard.venues.binance import BinanceUsdm
from guard.venues.protocol import VenueAccount

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
MS = round(NOW.timestamp() * 1000)
ENDPOINTS = {
    "positions": "fapiPrivateV3GetPositionRisk",
    "account": "fapiPrivateV3GetAccount",
    "account_config": "fapiPrivateGetAccountConfig",
    "symbol_config": "fapiPrivateGetSymbolConfig",
    "brackets": "fapiPrivateGetLeverageBracket",
    "mark": "fapiPublicGetPremiumIndex",
    "candles": "fapiPublicGetMarkPriceKlines",
    "history": "fapiPrivateGetPositionMarginHistory",
    "restrictions": "sapiGetAccountApiRestrictions",
    "markets": "fapiPublicGetExchangeInfo",
    "time": "fapiPublicGetTime",
    "added": "fapiPrivatePostPositionMargin",
}
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")
AMOUNT = Decimal("250.25")
CONFIG = """
mode = "act"
[limits]
max_per_day = "6000"
[accounts.main]
exchange = "binanceusdm"
api_key = "canary-fuzz-key-77aa"
secret = "canary-fuzz-secret-77aa"
[ladder]
watch = { distance = "25%", for = "0s" }
warn = { distance = "15%", for = "0s" }
danger = { distance = "8%", for = "0s" }
critical = { distance = "4%", for = "0s" }
[[rules]]
name = "shield"
match = { margin_mode = "isolated" }
[rules.top_up]
trigger = "8%"
target = "12%"
max_per_position = "3000"
max_per_day = "5000"
reserve = "0"
[notify.console]
enabled = false
"""


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what waits for nothing, without an event loop: answers are there at once."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise AssertionError("it waited for something")


@dataclass(kw_only=True)
class FuzzedWorld:
    """One account: its true answers, the venue and reader that read them, and what is decided on them."""

    truths: dict[str, Any]  # By the names of ENDPOINTS: parsed answers.
    venue: BinanceUsdm
    reader: AccountReader
    terms: Terms
    bytes_of: dict[str, bytes] = field(default_factory=dict)
    status: int = 200
    decision: Decision | None = None  # Of the truth.
    read_markets: Any = None  # ccxt's own: it needs a loop that runs.
    _kept: dict[str, Any] = field(default_factory=dict)
    _decided: dict[Any, Decision] = field(default_factory=dict)

    def answer(self, name: str) -> Any:
        """Return an answer as the client hands it on, or raise as it does."""
        raw = self.bytes_of[name]
        method = "POST" if name == "added" else "GET"
        return self.venue._client._judge(f"binanceusdm {method} {name}", self.status, {}, raw, reads=method == "GET")

    def restore(self) -> None:
        """Go back to the truth: answers, and all that venue and reader remember."""
        self.bytes_of = dict(self._kept["bytes"])
        self.status = 200
        vars(self.venue).update(self._kept["venue"])
        vars(self.reader).update({**self._kept["reader"], "_marks": {}})
        self.venue._client.options.pop("timeDifference", None)

    def keep(self) -> None:
        self._kept = {
            "bytes": {name: json.dumps(truth).encode() for name, truth in self.truths.items()},
            "venue": dict(vars(self.venue)),
            "reader": dict(vars(self.reader)),
        }

    def look(self) -> Continuity:
        """Read the account. Raises VenueUnavailable or KeysRefused."""
        continuity: Continuity = run(self.reader.read())
        return continuity

    def read(self) -> Decision:
        """Read the account and decide. Raises VenueUnavailable or KeysRefused."""
        continuity = self.look()
        snapshot = continuity.snapshot
        facts = (
            snapshot.positions,
            snapshot.wallets,
            snapshot.gaps,
            snapshot.asset_mode,
            snapshot.exchange_margin_ratio,
        )
        if self.reader._marks or self.reader._tiers is not self._kept["reader"]["_tiers"] or continuity.ended:
            return self.decide(continuity.ended)
        if facts not in self._decided:
            if len(self._decided) > 5_000:
                self._decided.clear()
            self._decided[facts] = self.decide(continuity.ended)
        return self._decided[facts]

    def decide(self, ended: Any = ()) -> Decision:
        assessment = self.reader.assess(self.reader.snapshot)
        assert assessment is not None
        return decide(
            assessment,
            memory=Memory(armed=True, disarmed_because=None),
            terms=self.terms,
            step=self.venue.margin_step,
            outlooks={row.key: without_candles(row.key) for row in assessment.positions},
            ended=frozenset(ended),
            fresh_read=True,
            now=NOW,
        )

    def breached(self) -> dict[PositionKey, Decimal]:
        """Return the positions that are in danger, and how far they truly are from their end."""
        assert self.decision is not None
        rows = self.decision.positions
        return {row.key: row.figures.distance or Decimal(0) for row in rows if row.level >= Level.DANGER}


Build = tuple[dict[str, str], tuple[tuple[str, Side, str, int, MarginMode], ...], dict[str, object]]
ISOLATED, CROSS, LONG, SHORT = MarginMode.ISOLATED, MarginMode.CROSS, Side.LONG, Side.SHORT
# Marks at the end; positions (symbol, side, quantity, leverage, mode) as opened; what kind of account.
BUILDS: tuple[Build, ...] = (
    ({"BTCUSDT": "52000"}, (("BTCUSDT", LONG, "0.5", 5, ISOLATED), ("ETHUSDT", LONG, "1", 5, ISOLATED)), {}),
    (
        {"BTCUSDT": "52000"},
        (
            ("BTCUSDT", LONG, "0.5", 5, ISOLATED),
            ("BTCUSDT", SHORT, "0.2", 5, ISOLATED),
            ("SOLUSDT", LONG, "20", 5, CROSS),
        ),
        {"hedge_mode": True},
    ),
    ({"ETHUSDT": "3480"}, (("ETHUSDT", SHORT, "10", 5, ISOLATED), ("DOGEUSDT", LONG, "20000", 10, CROSS)), {}),
    (
        {"BTCUSDT": "51000", "ETHUSDT": "2600", "SOLUSDT": "128"},
        (
            ("BTCUSDT", LONG, "0.5", 5, ISOLATED),
            ("ETHUSDT", LONG, "10", 5, ISOLATED),
            ("SOLUSDT", LONG, "50", 5, ISOLATED),
        ),
        {},
    ),
    ({"BTCUSDT": "54500"}, (("BTCUSDT", LONG, "4", 20, CROSS), ("ETHUSDT", LONG, "1", 5, ISOLATED)), {}),
    ({"BTCUSDT": "57500"}, (("BTCUSDT", LONG, "2", 20, CROSS),), {"multi_assets": True}),
)


def make_world(number: int, folder: Path) -> FuzzedWorld:
    marks, positions, kind = BUILDS[number]
    exchange = DemoExchange(now=lambda: NOW - timedelta(minutes=5))
    account = DemoAccount(name="main", api_key="k", secret="s", balances={"USDT": Decimal(26_000)}, **kind)  # type: ignore[arg-type]
    exchange.add_account(account)
    exchange.set_marks({"BTCUSDT": Decimal(60_000), "ETHUSDT": Decimal(3_000), "SOLUSDT": Decimal(150)})
    for symbol, side, quantity, leverage, mode in positions:
        exchange.open_position(
            account, symbol=symbol, side=side, quantity=Decimal(quantity), leverage=leverage, margin_mode=mode
        )
    exchange.place_order(account, symbol="XRPUSDT", side=LONG, price=Decimal("0.5"), quantity=Decimal(100))
    exchange.set_marks({symbol: Decimal(mark) for symbol, mark in marks.items()})
    assert len(account.positions) == len(positions), "one was liquidated"
    truths = _truths(exchange, account, positions[0])
    path = folder / f"fuzz-{number}.toml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    venue, terms = _venue(), load(path, environ={}).accounts["main"].terms
    world = FuzzedWorld(truths=truths, venue=venue, reader=AccountReader(venue, lambda: NOW), terms=terms)
    world.keep()
    world.bytes_of = dict(world._kept["bytes"])
    _answer_from(world)
    return world


def open_world(number: int, folder: Path, loop: asyncio.AbstractEventLoop) -> FuzzedWorld:
    """Make a world and read it once: from then on all happens without the loop."""

    async def made() -> FuzzedWorld:
        world = make_world(number, folder)
        await world.reader.read()
        markets, client = world.venue._client.markets, world.venue._client

        async def known(*_: object) -> Any:
            return markets

        world.read_markets, client.load_markets = client.load_markets, known
        world.reader._tiers_due_s = float("inf")
        world.keep()
        return world

    world = loop.run_until_complete(made())
    asyncio._set_running_loop(loop)  # What asks for its time finds it; nothing waits in it.
    try:
        world.restore()
        world.decision = world.read()
        world.keep()
    finally:
        asyncio._set_running_loop(None)
    return world


def _venue() -> BinanceUsdm:
    here = "http://127.0.0.1:9"
    paths = {"fapiPublic": "fapi/v1", "fapiPrivate": "fapi/v1", "fapiPrivateV3": "fapi/v3", "sapi": "sapi/v1"}
    api: dict[str, object] = {name: f"{here}/{path}" for name, path in paths.items()}
    api["ws"] = {"linear": "ws://127.0.0.1:9/ws"}
    account = VenueAccount(
        account="main", exchange="binanceusdm", api_key="canary-fuzz-key-77aa", secret="canary-fuzz-secret-77aa",
        password=None, ccxt={"urls": {"api": api}, "rateLimit": 1},
    )  # fmt: skip
    venue = BinanceUsdm(account, now=lambda: NOW)
    venue._client.milliseconds = lambda: MS
    return venue


def _answer_from(world: FuzzedWorld) -> None:
    for name, endpoint in ENDPOINTS.items():

        async def answered(*_: object, name: str = name) -> Any:
            return world.answer(name)

        setattr(world.venue._client, endpoint, answered)


def _truths(exchange: DemoExchange, account: DemoAccount, first: tuple[Any, ...]) -> dict[str, Any]:
    symbol, side = first[0], first[1]
    position_side = side.name if account.hedge_mode else "BOTH"
    times = [NOW - timedelta(seconds=seconds) for seconds in (40, 30, 20, 19)]
    kinds = (
        ("1", "USER_ADJUST", 1),
        ("250.25", "TRADE", 1),
        ("250.25", "USER_ADJUST", 1),
        ("250.25", "USER_ADJUST", 2),
    )
    changes = [
        MarginChangeRow(
            symbol=symbol,
            position_side=position_side,
            change_type=number,
            delta_type=kind,
            amount=Decimal(amount),
            at=at,
        )
        for at, (amount, kind, number) in zip(times, kinds, strict=True)
    ]
    marks, price = exchange.marks, exchange.marks[symbol]
    dice = random.Random(symbol)  # noqa: S311 - candles, not secrets.
    bars = []
    for minute in range(30):
        low = price * Decimal(dice.randint(990, 1000)) / 1000
        bar = MarkBar(opened_at=NOW - timedelta(minutes=30 - minute), open=price, high=price, low=low, close=low)
        bars.append(payloads.kline(bar, timedelta(minutes=1)))
    found = {
        "positions": payloads.position_rows(account, marks),
        "account": payloads.account_payload(account, marks),
        "account_config": payloads.account_config(account),
        "symbol_config": [payloads.symbol_config(account, one) for one in SYMBOLS],
        "brackets": [payloads.leverage_brackets(one) for one in SYMBOLS],
        "mark": payloads.premium_index(symbol, price, NOW),
        "candles": bars,
        "history": [payloads.margin_change(change) for change in changes],
        "restrictions": payloads.api_restrictions(account, may_trade=True),
        "markets": payloads.exchange_info(exchange.market.listings, NOW),
        "time": {"serverTime": MS},
        "added": {"code": 200, "msg": "Successfully modify position margin.", "amount": float(AMOUNT), "type": 1},
    }
    return {name: json.loads(orjson.dumps(value), parse_float=_Number) for name, value in found.items()}


class _Number(float):
    """A bare JSON number that keeps its digits when it is written again."""
