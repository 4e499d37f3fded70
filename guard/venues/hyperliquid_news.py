"""Hyperliquid's stream of an account: it is told as a whole again and again, and what it holds rings when it changed.

- `userEvents` tells of fills, funding and liquidations, `userNonFundingLedgerUpdates` of deposits and transfers, and
  neither of margin that was moved into a position (docs, websocket, 2026-09). `clearinghouseState`, as ccxt 4.5.90 and
  the nktkas SDK (0.30.2: `user`, no `dex` for the main one) subscribe to it, shows all of it: sizes, leverages, and
  the dollars in each position (`rawUsd`) and in all (`totalRawUsd`), which no mark moves. They are held against those
  before and used for nothing else.
- It is by address: nobody signs in, and nothing tells whether the address is an account's.
"""

from collections.abc import Callable, Mapping
from typing import Any

from guard.venues.account_stream import CONFIRMED, NOTHING, AccountChannel, Heard
from guard.venues.rows import Moment, Number, Row, RowError, Word, read_row

STATE = "clearinghouseState"


class _State(Row):
    time: Moment
    margin_summary: dict[str, object]
    asset_positions: list[object]


class _Summary(Row):
    total_raw_usd: Number


class _Position(Row):
    coin: Word
    szi: Number
    leverage: dict[str, object]


def channel(client: Any, address: str) -> AccountChannel:
    subscription = {"type": STATE, "user": address}
    return AccountChannel(
        urls=(client.urls["api"]["ws"]["public"],),
        hear=_listener(),
        subscriptions=({"method": "subscribe", "subscription": subscription},),
        confirmations=1,
    )


def _listener() -> Callable[[Mapping[str, Any]], Heard | None]:
    known: list[object] = []  # What the account held as last told.

    def hear(message: Mapping[str, Any]) -> Heard | None:
        """Return what a message says. Raises RowError."""
        if message.get("channel") == "subscriptionResponse":
            return CONFIRMED
        if message.get("channel") != STATE:
            return None
        data = message.get("data")
        state = read_row(_State, data.get(STATE) if isinstance(data, Mapping) else None)
        held = _held(state)
        is_news = bool(known) and known != [held]
        known[:] = [held]
        return Heard(moments=(state.time,)) if is_news else NOTHING

    return hear


def _held(state: _State) -> object:
    """Return what only fills, funding and somebody's hand change. Raises RowError."""
    return (
        read_row(_Summary, state.margin_summary).total_raw_usd,
        sorted(
            (position.coin, position.szi, sorted((name, str(value)) for name, value in position.leverage.items()))
            for position in (read_row(_Position, _inner(row)) for row in state.asset_positions)
        ),
    )


def _inner(row: object) -> object:
    if not isinstance(row, Mapping):
        raise RowError("a position is no object")
    return row.get("position")
