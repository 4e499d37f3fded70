"""A channel that keeps quiet when its far side asked for it, whoever wants to send: the outbox or an emergency."""

import asyncio
from datetime import timedelta

from guard.errors import DeliveryFailed
from guard.notify.channel import Channel
from guard.policy.message import Message
from guard.policy.terms import Level


class QuietChannel:
    """Wraps a channel. While its Retry-After runs, by the clock that nobody sets, nothing reaches its far side."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._quiet_until_s = 0.0  # Loop time.

    @property
    def name(self) -> str:
        return self.channel.name

    @property
    def from_level(self) -> Level:
        return self.channel.from_level

    @property
    def reaches_people(self) -> bool:
        return self.channel.reaches_people

    @property
    def digest_units_max(self) -> int | None:
        return self.channel.digest_units_max

    async def send(self, message: Message, *, attempt: int) -> None:
        left = timedelta(seconds=self._quiet_until_s - asyncio.get_running_loop().time())
        if left > timedelta(0):
            text = f"{self.name}: not asked, it wants quiet for another {left.total_seconds():.0f} s"
            raise DeliveryFailed(text, retry_after=left, asked=False)
        try:
            await self.channel.send(message, attempt=attempt)
        except DeliveryFailed as failure:
            if failure.retry_after is not None:
                self._quiet_until_s = asyncio.get_running_loop().time() + failure.retry_after.total_seconds()
            raise

    async def close(self) -> None:
        await self.channel.close()
