"""The show: the market moves, the real daemon guards one of two equal accounts, and everything is written down."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from guard.daemon.service import Service
from guard.demo.binance import DemoAccount, Liquidated, serve
from guard.demo.pace import Pace
from guard.demo.receiver import receive_webhooks
from guard.demo.stage import Stage, settings_of, write_config
from guard.demo.view import AccountPane, Frame, PositionLine, Sample
from guard.policy.decision import PositionVerdict

TICK_S = 0.01  # Real time between two moves of the market: finer than a cycle.
SAMPLE_SHARE = 1 / 300  # Of the whole show between two samples of the picture.
LAST_WORDS_S = 3.0  # For the last alerts to arrive, at most.
START_WITHIN_S = 20.0


@dataclass(slots=True, kw_only=True)
class Story:
    """What happened, in market time."""

    top_ups: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    log: list[tuple[str, str, str]] = field(default_factory=list)  # Clock, style, words.
    samples: list[Sample] = field(default_factory=list)


class Play:
    """One run of the show. `run` plays it to its end; `frame` is the picture at any moment."""

    def __init__(self, stage: Stage, pace: Pace) -> None:
        self.stage = stage
        self.pace = pace
        self.story = Story()
        self.at = stage.market.start
        self._service: Service | None = None
        self._equity_start = stage.guarded.equity(stage.exchange.marks)

    async def run(self, on_move: Callable[[], None] = lambda: None) -> None:
        """Play to the end of the market. `on_move` is called after every move, for the picture."""
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guard-demo-")))
            exchange_url = await stack.enter_async_context(serve(self.stage.exchange))
            webhook_url = await stack.enter_async_context(receive_webhooks(self._hear))
            config = write_config(
                folder, self.stage.script.budget, exchange_url=exchange_url, webhook_url=webhook_url
            )
            self.stage.exchange.on_liquidation.append(self._note_liquidation)
            self._service = service = Service(self.pace.settings(settings_of(config)), environ={})
            stop = asyncio.Event()
            daemon = asyncio.create_task(service.run(stop), name="daemon")
            try:
                await self._until_armed(service, daemon)
                await self._move_market(on_move)
                await self._hear_the_end()
            finally:
                stop.set()
                await daemon
            on_move()

    async def _until_armed(self, service: Service, daemon: "asyncio.Task[None]") -> None:
        """Wait for the first fresh cycle that may spend: on a calm market it comes long before it is needed."""
        async with asyncio.timeout(START_WITHIN_S):
            while not (all(service.fresh().values()) and service.watches and self._is_armed(service)):
                if daemon.done():
                    await daemon
                await asyncio.sleep(0.02)

    def _is_armed(self, service: Service) -> bool:
        return all(watch.keys.block is None for watch in service.watches.values())

    async def _move_market(self, on_move: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        market, started = self.stage.market, loop.time()
        points = list(market.points)
        sample_every = (market.end - market.start) * SAMPLE_SHARE
        sampled_at = market.start - sample_every
        while self.at < market.end:
            await asyncio.sleep(TICK_S)
            until = min(market.end, market.start + timedelta(seconds=(loop.time() - started) * self.pace.speed))
            points = self._move_to(until, points)
            self.at = until
            self._note_top_ups()
            if until - sampled_at >= sample_every:
                sampled_at = until
                self.story.samples.append(self._sample())
            on_move()

    def _move_to(self, until: datetime, points: list[Any]) -> list[Any]:
        """Visit every point up to `until`, then go the way towards each symbol's next point; return what is left."""
        left = 0
        while left < len(points) and points[left].at <= until:
            self._set(points[left].symbol, points[left].price, points[left].at)
            left += 1
        rest = points[left:]
        for symbol in self.stage.exchange.marks:
            ahead = next((point for point in rest if point.symbol == symbol), None)
            behind = self._behind.get(symbol)
            if ahead is not None and behind is not None and ahead.at > until:
                share = Decimal((until - behind[0]) / (ahead.at - behind[0]))
                self.stage.exchange.set_mark(symbol, behind[1] + (ahead.price - behind[1]) * share)
        return rest
