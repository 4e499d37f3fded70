"""The show: the market moves, the real daemon guards one of two equal accounts, and everything is written down."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from guard.daemon.service import Service
from guard.demo.exchange import DemoAccount, LiquidationEvent, equity, liquidation_of, serve
from guard.demo.pace import Pace
from guard.demo.prices import Point
from guard.demo.receiver import receive_webhooks
from guard.demo.stage import Stage, settings_of, write_config
from guard.errors import GuardError

TICK_S = 0.01  # Real time between two moves of the market: finer than a cycle.
START_WITHIN_S = 20.0
SPEED_TOLD_FROM = 100.0
WORK_S = 0.04  # A cycle with a top-up: reads, decision, commit, one POST.
LAST_WORDS_S = 0.6  # For the last alerts to arrive.


@dataclass(slots=True, kw_only=True)
class Story:
    """What happened, with the market's clock."""

    top_ups: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    log: list[tuple[str, str, str]] = field(default_factory=list)  # Clock, level, words.


class Play:
    """One run of the show. `run` plays it to its end; `story` and `at` say how far it is."""

    def __init__(self, stage: Stage, pace: Pace) -> None:
        self.stage = stage
        self.pace = pace
        self.story = Story()
        self.at = stage.market.start
        self.service: Service | None = None
        self._behind: dict[str, Point] = {}
        self._seen_changes = len(stage.guarded.margin_changes)

    async def run(self, on_move: Callable[[], None] = lambda: None) -> None:
        """Play to the end of the market. `on_move` is called after every move, for the picture."""
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guard-demo-")))
            exchange_url = await stack.enter_async_context(serve(self.stage.exchange))
            webhook_url = await stack.enter_async_context(receive_webhooks(self._hear))
            config = write_config(folder, self.stage.script.budget, exchange_url=exchange_url, webhook_url=webhook_url)
            self.service = Service(self.pace.settings(settings_of(config)), environ={})
            stop = asyncio.Event()
            daemon = asyncio.create_task(self.service.run(stop), name="daemon")
            try:
                await self._until_ready(self.service, daemon)
                await self._move_market(on_move)
                await asyncio.sleep(LAST_WORDS_S)
            finally:
                stop.set()
                await daemon
            self._note_top_ups()
            on_move()

    async def _until_ready(self, service: Service, daemon: "asyncio.Task[None]") -> None:
        """Wait for the first fresh cycle with checked keys, before the market opens."""
        try:
            async with asyncio.timeout(START_WITHIN_S):
                while not self._is_ready(service):
                    if daemon.done():
                        await daemon
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise GuardError(f"the demo's daemon was not ready within {START_WITHIN_S:.0f} s") from None

    def _is_ready(self, service: Service) -> bool:
        fresh = service.fresh()
        return (
            bool(fresh) and all(fresh.values()) and all(watch.keys.block is None for watch in service.watches.values())
        )

    async def _move_market(self, on_move: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        market, started = self.stage.market, loop.time()
        ahead = list(market.points)
        while self.at < market.end:
            await asyncio.sleep(TICK_S)
            passed = timedelta(seconds=(loop.time() - started) * self.pace.speed)
            until = min(market.end, market.start + passed)
            ahead = self._visit(until, ahead)
            self._go_towards(until, ahead)
            self.at = until
            self._note_top_ups()
            on_move()

    def _visit(self, until: datetime, ahead: list[Point]) -> list[Point]:
        """Set every price of the path up to a moment, each of them; return the rest of the path."""
        passed = 0
        while passed < len(ahead) and ahead[passed].at <= until:
            point = ahead[passed]
            self.at = point.at
            self._behind[point.symbol] = point
            self._set({point.symbol: point.price})
            passed += 1
        return ahead[passed:]

    def _go_towards(self, until: datetime, ahead: list[Point]) -> None:
        """Between two prices of the path the mark goes straight."""
        waiting = dict(self._behind)
        marks: dict[str, Decimal] = {}
        for point in ahead:
            if not waiting:
                break
            behind = waiting.pop(point.symbol, None)
            if behind is not None:
                share = Decimal((until - behind.at) / (point.at - behind.at))
                marks[point.symbol] = round(behind.price + (point.price - behind.price) * share, 8)
        self._set(marks)

    def _set(self, marks: dict[str, Decimal]) -> None:
        for taken in self.stage.exchange.set_marks(marks):
            words = f"{taken.account}: {taken.symbol} {taken.side.word} LIQUIDATED at {taken.mark:,.2f}"
            self.story.log.append((f"{self.at:%H:%M}", "critical", f"{words}, {taken.loss:,.2f} USDT lost"))

    def _hear(self, message: dict[str, Any]) -> None:
        """Take a message that arrived at the webhook."""
        alert = {name: message[name] for name in ("kind", "event", "level", "symbol", "side", "title", "text")}
        self.story.alerts.append({"at": _iso(self.at), **alert})
        self.story.log.append((f"{self.at:%H:%M}", message["level"], message["title"]))

    def _note_top_ups(self) -> None:
        """Write down what the exchange's own history shows as added since the last look."""
        account, marks = self.stage.guarded, self.stage.exchange.marks
        for change in account.margin_changes[self._seen_changes :]:
            position = account.positions.get((change.symbol, change.position_side))
            after = None if position is None else liquidation_of(account, position, marks)
            self.story.top_ups.append(
                {
                    "at": _iso(self.at),
                    "symbol": change.symbol,
                    "side": None if position is None else position.side.word,
                    "amount": f"{change.amount:f}",
                    "currency": "USDT",
                    "mark_price": f"{marks[change.symbol]:f}",
                    "liquidation_price_after": None if after is None else f"{after:f}",
                }
            )
        self._seen_changes = len(account.margin_changes)


def _liquidations(play: Play, account: DemoAccount) -> list[dict[str, Any]]:
    return [_liquidation(event) for event in play.stage.exchange.liquidations if event.account == account.name]


def _liquidation(event: LiquidationEvent) -> dict[str, Any]:
    return {
        "symbol": event.symbol,
        "side": event.side.word,
        "margin_mode": event.margin_mode.value,
        "mark_price": f"{event.mark:f}",
        "loss": f"{event.loss:f}",
    }


def result(play: Play) -> dict[str, Any]:
    """Return the document of `guard demo --json`. Money in USDT."""
    stage, exchange = play.stage, play.stage.exchange
    opening, lowest = stage.market.opening(), stage.market.lowest()
    spent = sum((Decimal(top_up["amount"]) for top_up in play.story.top_ups), Decimal(0))
    budget = stage.script.budget
    return {
        "guarded": {
            "liquidations": _liquidations(play, stage.guarded),
            "top_ups": play.story.top_ups,
            "alerts": play.story.alerts,
            "added": f"{spent:f}",
            "equity_end": f"{equity(stage.guarded, exchange.marks):.8f}",
        },
        "unguarded": {
            "liquidations": _liquidations(play, stage.unguarded),
            "equity_end": f"{equity(stage.unguarded, exchange.marks):.8f}",
        },
        "market": {
            "from": _iso(stage.market.start),
            "to": _iso(stage.market.end),
            "speed": play.pace.speed,
            "symbols": {
                symbol: {"open": f"{price:f}", "low": f"{lowest[symbol]:f}", "close": f"{exchange.marks[symbol]:f}"}
                for symbol, price in opening.items()
            },
        },
        "budget": {
            "target": budget.target,
            "max_per_action": budget.max_per_action,
            "max_per_position": budget.max_per_position,
            "max_per_day": budget.max_per_day,
        },
        "notes": [*stage.script.notes, *_speed_note(play.pace.speed)],
    }


def _speed_note(speed: float) -> list[str]:
    """Say what the speed does to the guard: its own work does not run faster."""
    if speed < SPEED_TOLD_FROM:
        return []
    own = f"the guard's own {WORK_S * 1000:.0f} ms for a cycle with a top-up are {WORK_S * speed:.0f} s of the market"
    return [f"at {speed:.0f} times real time {own}"]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
