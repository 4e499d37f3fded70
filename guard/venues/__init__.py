"""Doors to exchanges: one file per family with all of its quirks, behind one protocol."""

from typing import TYPE_CHECKING

from guard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from guard.venues.protocol import Venue, VenueAccount

__all__ = ["SUPPORTED", "open_venue"]

SUPPORTED = ("binanceusdm", "hyperliquid")  # ccxt ids.


def open_venue(account: "VenueAccount", *, now: "Callable[[], datetime]") -> "Venue":
    """Return the venue of an account; nothing is sent yet. Raises ConfigError when the exchange is not supported."""
    if account.exchange not in SUPPORTED:
        expected = " or ".join(SUPPORTED)
        raise ConfigError(f"accounts.{account.account}.exchange: found {account.exchange!r}, expected {expected}")
    # Imported here: config reads this room without needing a client, and one exchange costs one exchange.
    if account.exchange == "hyperliquid":
        from guard.venues.hyperliquid import Hyperliquid  # noqa: PLC0415

        return Hyperliquid(account, now=now)
    from guard.venues.binance import BinanceUsdm  # noqa: PLC0415

    return BinanceUsdm(account, now=now)
