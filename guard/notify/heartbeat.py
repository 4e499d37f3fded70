"""The ping to somebody outside who notices when it stops: silence here must not look like health."""

import asyncio
from datetime import UTC, datetime

import structlog

from guard.errors import DeliveryFailed
from guard.notify.http import HttpDoor, retry_after

log = structlog.get_logger(__name__)


class Heartbeat:
    """GETs a url. The caller decides when it is deserved (every account had a fresh cycle); a failure only warns."""

    def __init__(self, *, url: str, timeout_s: float = 10.0) -> None:
        self._url = url
        self._door = HttpDoor(timeout_s=timeout_s)
        self._quiet_until_s = 0.0  # Loop time.

    async def ping(self) -> bool:
        """Return whether the far side answered with a 2xx. Nothing is asked while its Retry-After runs."""
        if asyncio.get_running_loop().time() < self._quiet_until_s:
            return False
        try:
            answer = await self._door.request("GET", self._url, who="heartbeat", headers={"User-Agent": "margin-guard"})
        except DeliveryFailed as failure:
            log.warning("heartbeat.failed", reason=str(failure))
            return False
        if 200 <= answer.status < 300:
            return True
        log.warning("heartbeat.failed", reason=f"answered {answer.status}")
        wait = retry_after(answer.headers, now=lambda: datetime.now(UTC))
        if wait is not None:
            self._quiet_until_s = asyncio.get_running_loop().time() + wait.total_seconds()
        return False

    async def close(self) -> None:
        await self._door.close()
