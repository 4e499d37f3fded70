"""Bitget's private streams, of classic accounts (v2) and of unified ones (v3): which channels ring.

Sources: docs v2 (contract, websocket private) and v3 (UTA, websocket private), 2025-10.
- `positions` and `account` come with orders placed, filled and taken back, with funding, liquidations and transfers.
  Whether margin moved by hand comes too is not documented: where it does not, the next poll sees it.
- Every push is called a snapshot, the first one after subscribing too. `ts` is when it was made.
- ccxt puts what is free of the size into a position's collateral (4.5.90); nothing of it is read here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from guard.errors import VenueUnavailable
from guard.venues.account_stream import CONFIRMED, AccountChannel, Heard
from guard.venues.rows import Moment, Row, read_row


class _Push(Row):
    at: Moment = Field(alias="ts")


def private_address(streams: object, *, is_unified: bool) -> str | None:
    """Return where an account is listened to, out of a table of ccxt's addresses. None: no such address."""
    address = streams.get("utaPrivate" if is_unified else "private") if isinstance(streams, Mapping) else None
    return address if isinstance(address, str) else None


def channel(streams: object, products: Iterable[str], *, is_unified: bool) -> AccountChannel:
    """Return the channel of an account. Raises VenueUnavailable when ccxt has no address for it."""
    url = private_address(streams, is_unified=is_unified)
    if url is None:
        raise VenueUnavailable("account stream: no address is known for this kind of account")
    wanted: list[dict[str, str]] = [{"instType": "UTA", "topic": topic} for topic in ("position", "account")]
    if not is_unified:
        wanted = [
            {"instType": product, "channel": name, of: "default"}
            for product in products
            for name, of in (("positions", "instId"), ("account", "coin"))
        ]
    return AccountChannel(
        urls=(url,),
        hear=hear,
        sign_in=lambda client, url: client.authenticate({"url": url}),
        subscriptions=({"op": "subscribe", "args": wanted},),
        confirmations=len(wanted),
    )


def hear(message: Mapping[str, Any]) -> Heard | None:
    """Return what a message says. Raises RowError."""
    about = message.get("arg")
    if not isinstance(about, Mapping) or about.get("channel", about.get("topic")) not in NAMES:
        return None
    if "event" in message:
        return CONFIRMED if message["event"] == "subscribe" else None  # Errors end the connection, by ccxt.
    return Heard(moments=(read_row(_Push, message).at,))


NAMES = frozenset({"positions", "position", "account"})
