"""What the keys of an account may do: a key that could take money away never arms the guard."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import structlog

from guard.daemon.tell import Teller, new_id
from guard.errors import KeysRefused, VenueUnavailable
from guard.notify.guard_texts import key_expiry_message, keys_message
from guard.venues.protocol import KeyScopes, KeyVerdict, Venue

log = structlog.get_logger(__name__)

CHECK_EVERY = timedelta(hours=6)
CHECK_AGAIN = timedelta(minutes=1)
EXPIRY_DAYS = (1, 3, 7)  # So many days before a key runs out it is told.
SIGNED_FOR = timedelta(days=90)  # So long a person's word holds where the exchange says nothing.


class KeyGuard:
    """Asks the exchange now and then. `block` is why the account may not spend; None: the keys allow it."""

    def __init__(
        self, venue: Venue, teller: Teller, now: Callable[[], datetime], *, signed_on: date | None = None
    ) -> None:
        self.block: str | None = "the scopes of the API key are not checked yet"
        self._venue = venue
        self._teller = teller
        self._now = now
        self._signed_on = signed_on
        self._told: KeyVerdict | None = None
        self._days_told: int | None = None  # Of the end of the key. None: no end was told.

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
        self._tell_expiry(scopes)
        return await self._measure_clock()

    def _tell_expiry(self, scopes: KeyScopes) -> None:
        """Tell that the key runs out, once for each step: a guard without a key sees nothing."""
        left = None if scopes.expires_at is None else scopes.expires_at - self._now()
        step = None if left is None else next((days for days in EXPIRY_DAYS if left <= timedelta(days=days)), None)
        if scopes.expires_at is not None and step is not None and (self._days_told is None or step < self._days_told):
            self._teller.tell(
                key_expiry_message(self._venue.account, scopes.expires_at, now=self._now(), new_id=new_id)
            )
        self._days_told = step

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
            unsigned = why_unsigned(self._signed_on, self._now())
            return None if unsigned is None else f"the scopes of the API key cannot be verified: {unsigned}"
        return None


def why_unsigned(signed_on: date | None, now: datetime) -> str | None:
    """Return why nobody vouches for a key of which the exchange says nothing. None: its owner does, since lately."""
    if signed_on is None:
        return (
            "see at the exchange that it may neither withdraw nor transfer, and sign for it with the day: "
            f'key_signed_on = "{now:%Y-%m-%d}"'
        )
    age = now.date() - signed_on
    if age < timedelta(days=-1):  # Days begin at other times elsewhere.
        return f"key_signed_on is {signed_on}, a day that is still to come"
    if age > SIGNED_FOR:
        return f"key_signed_on is {signed_on}, longer ago than {SIGNED_FOR.days} days: look again, and sign again"
    return None
