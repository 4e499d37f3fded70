"""What a channel and an outbox are. The journal keeps the outbox; the two rooms do not know each other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from guard.policy.message import Delivery, Message
from guard.policy.terms import Level


class Channel(Protocol):
    """A way to people. `send` returns when the far side confirmed, else raises DeliveryFailed."""

    @property
    def name(self) -> str: ...  # "telegram.me".

    @property
    def from_level(self) -> Level: ...

    @property
    def reaches_people(self) -> bool: ...  # False: a log, which nobody reads at night; what it takes is not told yet.

    @property
    def digest_units_max(self) -> int | None: ...  # What one request takes, in UTF-16 units. None: no digests, ever.

    async def send(self, message: Message, *, attempt: int) -> None: ...

    async def close(self) -> None: ...


class Outbox(Protocol):
    """The durable rows behind delivery; the journal keeps them."""

    def due(self, channel: str, now: datetime, limit: int) -> tuple[Delivery, ...]:
        """Return waiting rows of a channel whose next attempt is due, most severe first, then oldest."""
        ...

    def delivered(self, delivery_ids: Sequence[int], at: datetime, *, told_with: str | None = None) -> None:
        """Mark rows as confirmed, all or none. `told_with`: the message that stood first in their digest."""
        ...

    def postponed(self, delivery_ids: Sequence[int], *, next_attempt_at: datetime, error: str) -> None: ...

    def given_up(self, delivery_id: int, at: datetime, error: str) -> None: ...

    def next_due_at(self) -> datetime | None:
        """Return when the earliest waiting row is due; None when nothing waits."""
        ...
