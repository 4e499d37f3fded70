"""Bybit's private stream: which of its topics ring. Source: docs v5, websocket private (2026-07).

- `position` comes with fills, margin moved by hand, liquidations and leverage, and also when an order is placed,
  changed or taken back: that calls for a read that finds nothing new. `execution` tells of fills, funding, ADL and
  liquidations, `wallet` of balances, not of unrealized PnL. `creationTime` is when the message was made.
- ccxt's `watch_positions` would read linear USDT and inverse positions by REST behind it (ccxt 4.5.90).
"""

from collections.abc import Mapping
from typing import Any

from guard.errors import VenueUnavailable
from guard.venues.account_stream import CONFIRMED, AccountChannel, Heard
from guard.venues.rows import Moment, Row, read_row

TOPICS = ("position", "execution", "wallet")


class _Message(Row):
    creation_time: Moment


def private_address(api: Mapping[str, Any]) -> str | None:
    """Return where the account is listened to, out of ccxt's urls["api"]. None: no such address."""
    sockets = api.get("ws")
    private = sockets.get("private") if isinstance(sockets, Mapping) else None
    address = private.get("contract") if isinstance(private, Mapping) else None
    return address if isinstance(address, str) else None


def channel(url: str) -> AccountChannel:
    return AccountChannel(
        urls=(url,),
        hear=hear,
        sign_in=lambda client, url: client.authenticate(url),
        subscriptions=({"op": "subscribe", "req_id": "account", "args": list(TOPICS)},),
        confirmations=1,
    )


def hear(message: Mapping[str, Any]) -> Heard | None:
    """Return what a message says. Raises RowError, and VenueUnavailable for topics that are refused."""
    if message.get("op") == "subscribe":
        if message.get("success") is not True:
            raise VenueUnavailable("account stream: the exchange refused its topics")
        return CONFIRMED
    if message.get("topic") not in TOPICS:
        return None
    return Heard(moments=(read_row(_Message, message).creation_time,))
