"""Binance futures' user data stream: what rings, and the key that it hangs on.

- A `listenKey` lives for an hour; POST gives the account's present one and lets it live for another (docs, user data
  streams, 2026-11). All programs of an account share it, so it is never closed here. It stands in the stream's address:
  whoever has it listens too, so no address of a stream is ever logged.
- ccxt's own renewal runs once: it looks for its stream among objects that it takes for dicts, finds none, and never
  comes again; a connection opened within twenty minutes of the last takes up the old key, dead or not (ccxt 4.5.90).
- `ACCOUNT_UPDATE` comes with fills, liquidations, funding, transfers and margin moved by hand, `MARGIN_CALL` for cross
  positions and `ACCOUNT_CONFIG_UPDATE` when leverage or asset mode changes. The rest is of orders.
- `listenKeyExpired` and `eventStreamTerminated` come once, and the connection stays up, silent.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from guard.errors import VenueUnavailable
from guard.venues.account_stream import NOTHING, AccountChannel, Heard
from guard.venues.gate import PostRule
from guard.venues.rows import Moment, Row, read_row
from guard.venues.transport import ask

NEWS = frozenset({"ACCOUNT_UPDATE", "MARGIN_CALL", "ACCOUNT_CONFIG_UPDATE"})
ENDS = frozenset({"listenKeyExpired", "eventStreamTerminated"})
LISTEN_KEY = "listenKey"
RENEW_EVERY_S = 25 * 60.0  # Two renewals may fail before an hour is over.
_KEY = re.compile(r"[A-Za-z0-9_-]{8,256}", re.ASCII)


def listen_key_rule(api: str) -> PostRule:
    """Return the request that opens a stream. It moves nothing."""
    return PostRule(method="POST", path=f"/{api}/v1/{LISTEN_KEY}", fields={})


class _Event(Row):
    at: Moment = Field(alias="E")


async def open_channel(client: Any, listener: Any, api: str, stream: str) -> AccountChannel:
    """Return the channel of the account. `client` asks for its key. Raises VenueUnavailable or KeysRefused."""
    key = await _ask_for_key(client, api)

    async def keep_key() -> None:
        failed = 0
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                renewed = await _ask_for_key(client, api)
            except VenueUnavailable:
                failed += 1
                if failed > 1:
                    raise
                continue
            failed = 0
            if renewed != key:
                raise VenueUnavailable("account stream: its key has ended")

    return AccountChannel(urls=(listener.get_private_ws_url(stream, key),), hear=hear, keep_up=keep_key)


async def _ask_for_key(client: Any, api: str) -> str:
    answer = await ask(client, f"{api}PrivatePostListenKey", {})
    key = answer.get("listenKey") if isinstance(answer, dict) else None
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise VenueUnavailable("account stream: no usable listenKey in the answer")
    return key


def hear(message: Mapping[str, Any]) -> Heard | None:
    """Return what an event says. Raises RowError, and VenueUnavailable when it says that the stream has ended."""
    inner = message.get("data") if "stream" in message else message
    event = inner.get("e") if isinstance(inner, Mapping) else None
    if event in ENDS:
        raise VenueUnavailable("account stream: the exchange has ended it")
    if event not in NEWS:
        return NOTHING if event is not None else None
    return Heard(moments=(read_row(_Event, inner).at,))
