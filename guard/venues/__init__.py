"""Doors to exchanges: one file per family with all of its quirks, behind one protocol."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from guard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from guard.venues.binance import BinanceUsdm
    from guard.venues.binance_coinm import BinanceCoinm
    from guard.venues.bitget import Bitget
    from guard.venues.bybit import Bybit
    from guard.venues.gateio import GateIo
    from guard.venues.generic import GenericVenue
    from guard.venues.hyperliquid import Hyperliquid
    from guard.venues.okx import Okx
    from guard.venues.protocol import Venue, VenueAccount

    # They are imported by name, where no type checker looks: here it holds each against the protocol.
    def _are_venues(
        one: BinanceUsdm | BinanceCoinm | Bitget | Bybit | Okx | Hyperliquid | GateIo | GenericVenue,
    ) -> Venue:
        return one


__all__ = ["INSTEAD", "SUPPORTED", "WITH_PASSPHRASE", "is_watchable", "key_problems", "open_venue"]

VENUES: "Mapping[str, tuple[str, str]]" = {  # By ccxt id: the module and its class, read when one is opened.
    "binanceusdm": ("guard.venues.binance", "BinanceUsdm"),
    "binancecoinm": ("guard.venues.binance_coinm", "BinanceCoinm"),
    "bybit": ("guard.venues.bybit", "Bybit"),
    "okx": ("guard.venues.okx", "Okx"),
    "hyperliquid": ("guard.venues.hyperliquid", "Hyperliquid"),
    "gate": ("guard.venues.gateio", "GateIo"),
    "bitget": ("guard.venues.bitget", "Bitget"),
}
SUPPORTED = tuple(VENUES)
INSTEAD: "Mapping[str, str]" = {  # Ids that stand for an exchange which has another one here.
    "binance": "binanceusdm",
    "gateio": "gate",
}
REGIONS: "Mapping[str, str]" = {"myokx": "okx", "okxus": "okx"}  # Ids of an exchange's other hosts, spoken to alike.
WITH_PASSPHRASE = frozenset({"okx", "bitget"} | REGIONS.keys())  # A key there has one, and without it nothing is said.


def is_watchable(exchange: str) -> bool:
    """Say whether ccxt knows an exchange that has no file here. It can be watched, if it lists positions."""
    found = find_spec("ccxt")  # Not imported: that would cost every command a second.
    if exchange in INSTEAD or found is None or found.origin is None:
        return False
    files = Path(found.origin).with_name("pro").glob("[a-z]*.py")  # Listed, for people may write anything for a name.
    return exchange in {file.stem for file in files}


def key_problems(exchange: str, api_key: str, secret: str) -> "Iterable[tuple[str, str]]":
    """Return which key of an account cannot be one at its exchange, and what is expected. No secret is repeated."""
    if exchange != "hyperliquid":
        return ()  # Any text may be a key there.
    from guard.venues import hyperliquid_identity  # noqa: PLC0415  # Read when such an account is there.

    return hyperliquid_identity.key_problems(api_key, secret)


def open_venue(account: "VenueAccount", *, now: "Callable[[], datetime]") -> "Venue":
    """Return the venue of an account; nothing is sent yet. Raises ConfigError when the exchange is not supported."""
    if account.exchange not in VENUES and not is_watchable(account.exchange):
        expected = ", ".join(SUPPORTED)
        raise ConfigError(
            f"accounts.{account.account}.exchange: found {account.exchange!r}, expected one of {expected}, "
            "or another exchange of ccxt to watch only"
        )
    exchange = REGIONS.get(account.exchange, account.exchange)
    module, name = VENUES.get(exchange, ("guard.venues.generic", "GenericVenue"))
    venue: Venue = getattr(import_module(module), name)(account, now=now)
    return venue
