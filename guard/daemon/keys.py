"""What the keys of an account may do: a key that could take money away never arms the guard."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from guard.daemon.tell import Teller, new_id
from guard.errors import KeysRefused, VenueUnavailable
from guard.notify.texts import keys_message
from guard.venues.protocol import KeyScopes, KeyVerdict, Venue

log = structlog.get_logger(__name__)

CHECK_EVERY = timedelta(hours=6)
CHECK_AGAIN = timedelta(minutes=1)


class KeyGuard:
    """Asks the exchange now and then. `block` is why the account may not spend; None: the keys allow it."""

    def __init__(self, venue: Venue, teller: Teller, now: Callable[[], datetime]) -> None:
        self.block: str | None = "the scopes of the API key are not checked yet"
        self._venue = venue
        self._teller = teller
        self._now = now
        self._told: KeyVerdict | None = None

    async def check(self) -> timedelta:
        """Ask once; return the wait until the next time. What was known stays while the exchange does not answer."""
        try:
            scopes = await self._venue.key_scopes()
        except (VenueUnavailable, KeysRefused) as error:
            log.warning("keys.not_checked", account=self._venue.account, reason=str(error))
            return CHECK_AGAIN
        self.block = self._why_not(scopes)
        log.info("keys.checked", account=self._venue.account, verdict=scopes.verdict.value, block=self.block)
        if scopes.verdict is KeyVerdict.TOO_POWERFUL and self._told is not scopes.verdict:
            self._teller.tell(keys_message(self._venue.account, scopes.text, now=self._now(), new_id=new_id))
        self._told = scopes.verdict
        return await self._measure_clock()

    async def _measure_clock(self) -> timedelta:
        """Know how far the clocks are apart before anything is sent: a write bears less of it than a read."""
        try:
            await self._venue.clock_skew()
        except (VenueUnavailable, KeysRefused) as error:
            log.warning("clock.not_measured", account=self._venue.account, reason=str(error))
            return CHECK_AGAIN
        return CHECK_EVERY

    def _why_not(self, scopes: KeyScopes) -> str | None:
        if scopes.verdict is KeyVerdict.TOO_POWERFUL:
            return f"the API key is too powerful: {scopes.text}"
        if scopes.verdict is KeyVerdict.READ_ONLY:
            return f"the API key cannot add margin: {scopes.text}"
        if scopes.verdict is KeyVerdict.UNVERIFIABLE and not self._venue.write_terms.test_host:
            return f"the scopes of the API key cannot be verified: {scopes.text}"
        return None
