"""One message to people, and what a channel and an outbox are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from guard.policy.terms import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is told, in words and figures: the webhook object of design 4.4. `id` is one per message, kept over retries."""

    id: str
    alert: str  # Stable over repeats of one alert.
    happened_at: datetime
    kind: str
    event: str
    level: Level
    account: str
    symbol: str | None
    side: str | None
    margin_mode: str | None
    title: str  # One line that is enough on a locked phone.
    text: str  # What, how far, how fast, what it costs, what to do.
    facts: dict[str, object]  # JSON-ready fields of `status --json`; for an action "before" and "after".


class Channel(Protocol):
    """A way to people. `send` returns when the far side confirmed, else raises DeliveryFailed."""

    name: str  # "telegram.me".
    from_level: Level

    async def send(self, message: Message, *, attempt: int) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message waiting for one channel."""

    delivery_id: int
    channel: str
    message: Message
    attempts: int
    created_at: datetime


class Outbox(Protocol):
    """The durable rows behind delivery; the journal keeps them."""

    def due(self, channel: str, now: datetime, limit: int) -> tuple[Delivery, ...]:
        """Return waiting rows of a channel whose next attempt is due, most severe first, then oldest."""
        ...

    def delivered(self, delivery_id: int, at: datetime) -> None: ...

    def postponed(self, delivery_id: int, *, next_attempt_at: datetime, error: str) -> None: ...

    def given_up(self, delivery_id: int, at: datetime, error: str) -> None: ...

    def next_due_at(self) -> datetime | None:
        """Return when the earliest waiting row is due; None when nothing waits."""
        ...
