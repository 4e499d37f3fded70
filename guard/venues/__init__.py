"""Doors to exchanges: one file per family with all of its quirks, behind one protocol."""

from importlib import import_module
from typing import TYPE_CHECKING

from guard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from guard.venues.protocol import Venue, VenueAccount

__all__ = ["SUPPORTED", "open_venue"]

VENUES: "Mapping[str, tuple[str, str]]" = {  # By ccxt id: the module and its class, read when one is opened.
    "binanceusdm": ("guard.venues.binance", "BinanceUsdm"),
    "binancecoinm": ("guard.venues.binance_coinm", "BinanceCoinm"),
    "okx": ("guard.venues.okx", "Okx"),
}
SUPPORTED = tuple(VENUES)


def open_venue(account: "VenueAccount", *, now: "Callable[[], datetime]") -> "Venue":
    """Return the venue of an account; nothing is sent yet. Raises ConfigError when the exchange is not supported."""
    if account.exchange not in VENUES:
        expected = " or ".join(SUPPORTED)
        raise ConfigError(f"accounts.{account.account}.exchange: found {account.exchange!r}, expected {expected}")
    module, name = VENUES[account.exchange]
    venue: Venue = getattr(import_module(module), name)(account, now=now)
    return venue
