"""Gate's stream of a futures account: which channels ring. Source: docs, futures websocket v4 (2026-05).

- `futures.positions` and `futures.balances` come when a position or the balance changed: fills, funding, liquidations,
  transfers, margin moved by hand. `time_ms` is when the message was made.
- Each settle currency has a socket of its own, and one where the account has money or positions is listened to. When
  another comes to be used the stream is opened anew.
- A channel is subscribed to by the user's number, which is in the futures account; ccxt 4.5.90 wants it in its options.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from guard.errors import VenueUnavailable
from guard.venues.account_stream import CONFIRMED, NOTHING, AccountChannel, Heard, look_at
from guard.venues.rows import Moment, NotNegative, Row, RowError, read_row
from guard.venues.transport import ask

LOOK_EVERY_S = 5.0  # Whether another settle currency is used now.
CHANNELS: Mapping[str, list[str] | None] = {"futures.positions": ["!all"], "futures.balances": None}


class _User(Row):
    user: NotNegative


class _Message(Row):
    at: Moment = Field(alias="time_ms")


async def open_channel(client: Any, listener: Any, in_use: Callable[[], frozenset[str]]) -> AccountChannel:
    """Return the channel of the account. `client` asks for the user, `in_use` tells the settle currencies in use.

    Raises VenueUnavailable or KeysRefused.
    """
    settles = in_use()
    try:
        row = read_row(_User, await ask(client, "privateFuturesGetSettleAccounts", {"settle": max(settles)}))
    except RowError as error:
        raise VenueUnavailable(f"account stream: the futures account names no user: {error}") from None
    listener.uid = f"{row.user:f}"

    async def watch_use() -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if in_use() != settles:
                raise VenueUnavailable("account stream: other settle currencies are in use now")

    return AccountChannel(
        urls=tuple(listener.urls["api"]["swap"][settle] for settle in sorted(settles)),
        hear=hear,
        sign_in=_subscribe,
        confirmations=len(CHANNELS) * len(settles),
        keep_up=watch_use,
    )


async def _subscribe(listener: Any, url: str) -> None:
    """Subscribe to every channel, each signed by ccxt, which would wait for what each pushes."""
    for name, payload in CHANNELS.items():
        pushed = asyncio.ensure_future(listener.subscribe_private(url, name, payload, name, {}, True))
        pushed.add_done_callback(look_at)


def hear(message: Mapping[str, Any]) -> Heard | None:
    """Return what a message says. Raises RowError, and VenueUnavailable for channels that are refused."""
    if message.get("channel") not in CHANNELS:
        return None
    if message.get("event") == "update":
        return Heard(moments=(read_row(_Message, message).at,))
    if message.get("event") != "subscribe":
        return NOTHING
    result = message.get("result")
    if message.get("error") or not isinstance(result, Mapping) or result.get("status") != "success":
        raise VenueUnavailable("account stream: the exchange refused its channels")
    return CONFIRMED
