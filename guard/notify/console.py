"""The channel that is always there: the log on stderr."""

import structlog

from guard.policy.message import Message
from guard.policy.terms import Level

log = structlog.get_logger(__name__)


class ConsoleChannel:
    """Tells through the log. A written line is its confirmation, and no reason to give up a phone."""

    def __init__(self, *, from_level: Level, name: str = "console") -> None:
        self.name = name
        self.from_level = from_level
        self.reaches_people = False
        self.digest_units_max: int | None = None

    async def send(self, message: Message, *, attempt: int) -> None:
        tell = log.warning if message.level >= Level.WARN and message.event != "resolved" else log.info
        tell(
            "alert.told",
            id=message.id,
            kind=message.kind,
            alert_event=message.event,  # `event` and `level` are structlog's own keys.
            alert_level=message.level.word,
            account=message.account,
            symbol=message.symbol,
            side=message.side,
            title=message.title,
            text=message.text,
            happened_at=message.happened_at.isoformat(),
            attempt=attempt,
        )

    async def close(self) -> None:
        """Nothing to close."""
