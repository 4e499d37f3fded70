"""OKX's private stream: one channel rings. Source: docs v5, balance and position channel (2026-07).

- `balance_and_position` comes with an event only: a fill, liquidation, ADL, funding, transfer, margin or leverage
  changed, settlement; and once, as `snapshot`, when it is subscribed to. `positions` and `account`, which ccxt's
  methods use, come every few seconds as well, with nothing new in them.
- `pTime` is when it was pushed.
"""

from collections.abc import Mapping
from typing import Any

from guard.venues.account_stream import CONFIRMED, NOTHING, AccountChannel, Heard
from guard.venues.rows import Moment, Row, Word, read_row

CHANNEL = "balance_and_position"


class _Push(Row):
    p_time: Moment
    event_type: Word


def channel(client: Any) -> AccountChannel:
    return AccountChannel(
        urls=(client.get_url("users", "private"),),
        hear=hear,
        sign_in=lambda client, _: client.authenticate(),
        subscriptions=({"op": "subscribe", "args": [{"channel": CHANNEL}]},),
        confirmations=1,
    )


def hear(message: Mapping[str, Any]) -> Heard | None:
    """Return what a message says. Raises RowError."""
    about = message.get("arg")
    if not isinstance(about, Mapping) or about.get("channel") != CHANNEL:
        return None
    if "event" in message:
        return CONFIRMED if message["event"] == "subscribe" else None  # Errors end the connection, by ccxt.
    rows = message.get("data")
    pushes = [read_row(_Push, row) for row in rows] if isinstance(rows, list) else []
    moments = tuple(push.p_time for push in pushes if push.event_type != "snapshot")
    return Heard(moments=moments) if moments else NOTHING
