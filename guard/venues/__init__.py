"""Doors to exchanges: one file per family with all of its quirks, behind one protocol."""

from typing import TYPE_CHECKING

from guard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from guard.venues.protocol import Venue, VenueAccount

__all__ = ["SUPPORTED", "key_problems", "open_venue"]

SUPPORTED = ("binanceusdm", "hyperliquid")  # ccxt ids.


def key_problems(exchange: str, api_key: str, secret: str) -> "Iterable[tuple[str, str]]":
    """Return which key of an account cannot be one at its exchange, and what is expected. No secret is repeated."""
    if exchange != "hyperliquid":
        return ()  # Any text may be a key there.
    from guard.venues import hyperliquid_identity  # noqa: PLC0415

    return hyperliquid_identity.key_problems(api_key, secret)


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
