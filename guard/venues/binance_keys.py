"""What Binance says that a key may do.

- A demo or testnet host has no `sapi`, so a key's scopes cannot be asked there (ccxt 4.5.90 urls). What `sapi` calls
  expiry is of spot and margin trading, not of futures (docs, 2026-11), so no expiry is told.
"""

from pydantic import StrictBool

from guard.errors import VenueUnavailable
from guard.venues.protocol import KeyScopes, KeyVerdict
from guard.venues.rows import Row, RowError, read_row


class _Restrictions(Row):
    """GET /sapi/v1/account/apiRestrictions."""

    ip_restrict: StrictBool
    enable_withdrawals: StrictBool
    enable_internal_transfer: StrictBool
    permits_universal_transfer: StrictBool
    enable_futures: StrictBool


def read_scopes(answer: object) -> KeyScopes:
    """Return what the key may do. Raises VenueUnavailable when a flag that matters is missing."""
    try:
        row = read_row(_Restrictions, answer)
    except RowError as error:
        raise VenueUnavailable(f"apiRestrictions: {error}") from None
    fields = answer if isinstance(answer, dict) else {}
    scopes = tuple(name for name, value in fields.items() if value is True and name != "ipRestrict")
    if row.enable_withdrawals or row.enable_internal_transfer or row.permits_universal_transfer:
        verdict, text = KeyVerdict.TOO_POWERFUL, "the key may withdraw or transfer money: make one that may not"
    elif not row.enable_futures:
        verdict, text = KeyVerdict.READ_ONLY, "the key may look but not add margin: that needs futures trading"
    else:
        verdict, text = KeyVerdict.SAFE, "the key may trade futures and can neither withdraw nor transfer"
    return KeyScopes(verdict=verdict, scopes=scopes, ip_restricted=row.ip_restrict, text=text)
