"""What the tests of telling share: messages, an outbox in memory that works, and a server on loopback."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from aiohttp import web

from guard.errors import DeliveryFailed
from guard.margin.figures import AccountAssessment, Crossings, PoolFigures, PositionFigures
from guard.outlook import without_candles
from guard.policy.decision import Alert, AlertEvent, AlertKind, DataState, Decision, PoolVerdict, PositionVerdict
from guard.policy.message import Delivery, Message
from guard.policy.terms import Amount, AmountUnit, Ladder, Level, Rule, TopUpTerms
from guard.snapshot import (
    AccountSnapshot,
    AssetMode,
    Contract,
    ContractKind,
    Gap,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Position,
    PositionKey,
    Side,
)

FOUR_O_CLOCK = datetime(2026, 11, 24, 4, 12, 7, tzinfo=UTC)


def message(number: int = 1, *, level: Level = Level.DANGER, happened_at: datetime = FOUR_O_CLOCK, **fields) -> Message:
    made = Message(
        id=f"msg_{number}",
        alert="alert_1",
        happened_at=happened_at,
        kind="alert",
        event="fired",
        level=level,
        account="main",
        symbol="BTC/USDT:USDT",
        side="long",
        margin_mode="isolated",
        title="DANGER BTC long 7.8 % from liquidation (54,101) — main",
        text="Mark 58,700.\nLiquidation <54,101> & nearer.",
        facts={"distance": "0.0783", "sigmas": None},
    )
    return replace(made, **fields)


@dataclass
class MemoryOutbox:
    """Keeps rows as the journal does, and remembers when each was tried."""

    rows: dict[int, Delivery] = field(default_factory=dict)
    due_at: dict[int, datetime] = field(default_factory=dict)
    done: dict[int, tuple[str, datetime, str]] = field(default_factory=dict)

    def add(self, message: Message, channels: tuple[str, ...], at: datetime) -> None:
        for channel in channels:
            row = len(self.rows) + 1
            self.rows[row] = Delivery(delivery_id=row, channel=channel, message=message, attempts=0, created_at=at)
            self.due_at[row] = at

    def due(self, channel: str, now: datetime, limit: int) -> tuple[Delivery, ...]:
        rows = [row for row in self._waiting() if row.channel == channel and self.due_at[row.delivery_id] <= now]
        return tuple(sorted(rows, key=lambda row: (-row.message.level, row.created_at, row.delivery_id))[:limit])

    def delivered(self, delivery_ids: Sequence[int], at: datetime, *, told_with: str | None = None) -> None:
        for delivery_id in delivery_ids:
            self.done[delivery_id] = ("delivered", at, told_with or "")

    def postponed(self, delivery_ids: Sequence[int], *, next_attempt_at: datetime, error: str) -> None:
        for delivery_id in delivery_ids:
            row = self.rows[delivery_id]
            self.rows[delivery_id] = replace(row, attempts=row.attempts + 1)
            self.due_at[delivery_id] = next_attempt_at

    def given_up(self, delivery_id: int, at: datetime, error: str) -> None:
        self.done[delivery_id] = ("given up", at, error)

    def next_due_at(self) -> datetime | None:
        return min((self.due_at[row.delivery_id] for row in self._waiting()), default=None)

    def states(self) -> list[str]:
        return [self.done[row][0] if row in self.done else "waiting" for row in self.rows]

    def _waiting(self) -> list[Delivery]:
        return [row for row in self.rows.values() if row.delivery_id not in self.done]


@dataclass
class ScriptedChannel:
    """A channel that ends each attempt as its script says (None: confirmed), and confirms when the script is over."""

    name: str
    script: list[DeliveryFailed | None] = field(default_factory=list)
    from_level: Level = Level.WATCH
    reaches_people: bool = True
    digest_units_max: int | None = None
    takes_s: float = 0.0
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    tried: list[tuple[datetime, Message]] = field(default_factory=list)
    confirmed: list[Message] = field(default_factory=list)

    async def send(self, message: Message, *, attempt: int) -> None:
        self.tried.append((self.clock(), message))
        await asyncio.sleep(self.takes_s)
        failure = self.script.pop(0) if self.script else None
        if failure is not None:
            raise failure
        self.confirmed.append(message)

    async def close(self) -> None:
        pass


def virtual_clock(loop) -> Callable[[], datetime]:
    """Return a clock that goes with the loop's own time, which looptime makes instant."""
    began = loop.time()
    return lambda: FOUR_O_CLOCK + timedelta(seconds=loop.time() - began)


@asynccontextmanager
async def server(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]):
    """Serve one handler for every path on a free port; give the url."""
    app = web.Application()

    async def every_path(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app.router.add_route("*", "/{path:.*}", every_path)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


BTC = PositionKey("BTC/USDT:USDT", Side.LONG)
TOP_UP_TERMS = TopUpTerms(
    trigger=Decimal("0.08"),
    birth_cap=True,
    target=Decimal("0.16"),
    max_per_action=None,
    max_per_position=None,
    max_per_day=None,
    reserve=Amount(unit=AmountUnit.OF_EQUITY, value=Decimal("0.1")),
    cooldown=timedelta(minutes=2),
    when_short_spend=False,
    priority=0,
)
SHIELD = Rule(
    name="shield",
    account="*",
    symbol="*",
    side=None,
    margin_mode=None,
    mode=None,
    ladder=Ladder(rungs=()),
    top_up=TOP_UP_TERMS,
)


def at(price: str) -> Liquidation:
    return Liquidation(kind=LiquidationKind.AT, price=Decimal(price))


def position_figures(**changes) -> PositionFigures:
    """Return a long of 0.5 BTC with made-up but consistent-looking figures; changes go to the position or the figures."""
    position = Position(
        contract=Contract(
            symbol="BTC/USDT:USDT", kind=ContractKind.LINEAR, base="BTC", settle="USDT", contract_size=Decimal(1)
        ),
        side=Side.LONG,
        margin_mode=MarginMode.ISOLATED,
        quantity=Decimal("0.5"),
        entry_price=Decimal(60000),
        mark_price=Decimal("58700.4"),
        isolated_wallet=Decimal("3050.125"),
        leverage=Decimal(10),
        hedged=False,
        auto_add_margin=False,
        exchange_liquidation=at("54090.11"),
        exchange_maintenance_margin=Decimal("117.40"),
        updated_at=None,
    )
    of_position = {name: changes.pop(name) for name in list(changes) if hasattr(position, name)}
    figures = PositionFigures(
        position=replace(position, **of_position),
        leg=None,
        pool=None,
        pool_name=None,
        notional=Decimal("29350.2"),
        unrealized_pnl=Decimal("-649.8"),
        margin_balance=Decimal("2400.329"),
        maintenance_margin=Decimal("117.4008"),
        requirement=Decimal("132.0759"),
        margin_ratio=Decimal("0.055"),
        crossings=Crossings(nearest=at("54100.38"), down=Decimal("54100.38")),
        model_gap=Decimal("0.0002"),
        bankruptcy_price=Decimal("53899.75"),
        liquidation=at("54100.38"),
        distance=Decimal("0.078364"),
        distance_basis="model",
        effective_leverage=Decimal("12.2"),
    )
    return replace(figures, **changes)


def position_verdict(*, level: Level = Level.DANGER, **changes) -> PositionVerdict:
    verdict = PositionVerdict(
        figures=position_figures(),
        outlook=without_candles(BTC),
        level=level,
        reason="distance 7.8 % is at or below danger 8 %",
        rule=SHIELD,
        trigger=Decimal("0.08"),
        trigger_note=None,
        money_to_target=Decimal("2561.1234"),
        idle_margin=Decimal(0),
        budget_left=Decimal("500.009"),
        spendable=Decimal(250),
        guarded_liquidation_price=Decimal("53088.2"),
        top_up=None,
        withheld=None,
    )
    return replace(verdict, **changes)


def pool_verdict(*, level: Level = Level.DANGER, **changes) -> PoolVerdict:
    figures = PoolFigures(
        name="USDT cross",
        currency="USDT",
        pool=None,
        margin_balance=Decimal("1535.4399"),
        maintenance_margin=Decimal(700),
        requirement=Decimal("701.001"),
        margin_ratio=Decimal("0.4565"),
        available=Decimal(800),
        equity=Decimal("1535.4399"),
        liquidation=at("54100.38"),
        distance=Decimal("0.0784"),
        shock_down=Decimal("-0.1239"),
        shock_up=None,
        driver="BTC/USDT:USDT",
        falls_together=(BTC,),
    )
    return PoolVerdict(
        figures=replace(figures, **changes), level=level, reason="a pool's reason", reserve=None, spendable=None
    )


def decision(*positions: PositionVerdict, read: bool = True, gaps: tuple[Gap, ...] = (), **changes) -> Decision:
    """Return one cycle's answer, read 1.2 s before FOUR_O_CLOCK."""
    read_at = FOUR_O_CLOCK - timedelta(seconds=1.2)
    snapshot = AccountSnapshot(
        account="main",
        exchange="binanceusdm",
        asset_mode=AssetMode.SINGLE,
        positions=tuple(row.figures.position for row in positions),
        wallets=(),
        positions_read_at=read_at,
        wallets_read_at=read_at,
        exchange_margin_ratio=None,
    )
    figures = tuple(row.figures for row in positions)
    assessment = AccountAssessment(snapshot=snapshot, positions=figures, pools=(), gaps=gaps, assessed_at=FOUR_O_CLOCK)
    made = Decision(
        assessment=assessment if read else None,
        state=DataState.FRESH,
        level=max((row.level for row in positions), default=Level.OK),
        positions=positions,
        pools=(),
        gaps=gaps,
        alerts=(),
        top_ups=(),
        alert_states=(),
        new_lives=(),
    )
    return replace(made, **changes)


def alert(*, kind: AlertKind = AlertKind.ALERT, event: AlertEvent = AlertEvent.FIRED, **changes) -> Alert:
    made = Alert(
        alert_id="alert_1",
        kind=kind,
        event=event,
        level=Level.DANGER,
        account="main",
        happened_at=FOUR_O_CLOCK,
        key=BTC,
        margin_mode=MarginMode.ISOLATED,
        reason="distance 7.8 % is at or below danger 8 %",
    )
    return replace(made, **changes)
