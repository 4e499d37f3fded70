"""The far sides of Telegram, webhooks and the heartbeat: what arrived there, whatever the daemon was told about it."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from simulated_faults import Weather
from simulated_time import World

from guard.errors import DeliveryFailed
from guard.notify.http import Answer

TIMEOUT_S = 15.0
RETRY_AFTER_S = 20


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """One message at a far side."""

    channel: str
    body: Mapping[str, Any]  # The webhook object. Telegram's texts carry no id.
    at_s: float
    confirmed: bool


class SimulatedDoor:
    """Stands where a channel has its HTTP session: everything above it is the channel's own code."""

    def __init__(self, channel: str, weather: Weather, world: World, dice: random.Random) -> None:
        self.channel = channel
        self.weather = weather
        self.quiet_until_s = 0.0
        self.on_arrived: Callable[[Arrived], None] = lambda arrived: None
        self.on_request: Callable[[], None] = lambda: None
        self._world = world
        self._dice = dice

    async def request(
        self, method: str, url: str, *, who: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        del url, headers
        self.on_request()
        kind = self.weather.at(self._world.time_s)
        self._world.note(self.channel, method, kind)
        await asyncio.sleep(self._dice.uniform(0.02, 0.3))
        if kind == "outage":
            await asyncio.sleep(self._dice.choice((0.1, TIMEOUT_S)))
            raise DeliveryFailed(f"{who}: no answer within {TIMEOUT_S:g} s")
        if kind == "limited":
            self.quiet_until_s = self._world.time_s + RETRY_AFTER_S
            fields = {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": RETRY_AFTER_S}}
            return _answer(429, fields, {"Retry-After": str(RETRY_AFTER_S)})
        if kind == "errors":
            return _answer(self._dice.choice((500, 502, 503)), {})
        is_lost = kind == "lost_confirmations" and self._dice.random() < 0.5
        fields = orjson.loads(body) if body else {}
        self.on_arrived(Arrived(channel=self.channel, body=fields, at_s=self._world.time_s, confirmed=not is_lost))
        await asyncio.sleep(self._dice.uniform(0.02, 0.3))
        if is_lost:
            raise DeliveryFailed(f"{who}: no answer within {TIMEOUT_S:g} s")
        return _answer(200, {"ok": True})

    async def close(self) -> None:
        """There is no session to close."""


def _answer(status: int, fields: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status=status, headers=headers or {}, body=orjson.dumps(fields))
