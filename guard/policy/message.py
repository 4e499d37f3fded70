"""One message to people, and its waiting deliveries: plain values that the journal keeps and notify sends."""

from dataclasses import dataclass
from datetime import datetime

from guard.policy.terms import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is told, in words and figures: the webhook object of design 4.4. One `id` per message, over retries too."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message waiting for one channel."""

    delivery_id: int
    channel: str
    message: Message
    attempts: int
    created_at: datetime
