"""Hyperliquid's stream of an account: it is told as a whole again and again, and what it holds rings when it changed.

- `userEvents` tells of fills, funding and liquidations, `userNonFundingLedgerUpdates` of deposits and transfers, and
  neither of margin that was moved into a position (docs, websocket, 2026-09). `allDexsClearinghouseState`, as the
  nktkas SDK 0.30 and several Go and TypeScript clients of 2026 subscribe to it, is clearinghouseState of every dex,
  in pairs of name and state. It shows all of it: sizes, leverages, and the dollars in each position (`rawUsd`) and in
  all (`totalRawUsd`), which no mark moves. They are held against those before and used for nothing else, but for the
  names of dexes where positions are: those are looked at with the next read.
- It is by address: nobody signs in, and nothing tells whether the address is an account's.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from guard.venues.account_stream import CONFIRMED, NOTHING, AccountChannel, Heard
from guard.venues.rows import Moment, Number, Row, RowError, Word, read_row

STATES = "allDexsClearinghouseState"


class _States(Row):
    clearinghouse_states: list[tuple[str, object]]


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


def channel(client: Any, address: str, found: Callable[[Collection[str]], object]) -> AccountChannel:
    """Return how the account is listened to. `found` is told the names of dexes where it has positions."""
    subscription = {"type": STATES, "user": address}
    return AccountChannel(
        urls=(client.urls["api"]["ws"]["public"],),
        hear=_listener(found),
        subscriptions=({"method": "subscribe", "subscription": subscription},),
        confirmations=1,
    )


def _listener(found: Callable[[Collection[str]], object]) -> Callable[[Mapping[str, Any]], Heard | None]:
    known: dict[str, object] = {}  # What each dex held as last told.

    def hear(message: Mapping[str, Any]) -> Heard | None:
        """Return what a message says. Raises RowError when nothing in it can be read."""
        if message.get("channel") == "subscriptionResponse":
            return CONFIRMED
        if message.get("channel") != STATES:
            return None
        states, trouble = _states_in(message.get("data"))
        if trouble and not states:
            raise trouble[0]
        found([dex for dex, state in states.items() if state.asset_positions])
        news: list[datetime] = []
        for dex, state in states.items():
            held = _held(state)
            if dex in known and known[dex] != held:
                news.append(state.time)
            known[dex] = held
        return Heard(moments=tuple(news)) if news else NOTHING

    return hear


def _states_in(data: object) -> tuple[dict[str, _State], list[RowError]]:
    """Return the dexes that can be read. One that cannot must not silence the others. Raises RowError."""
    states: dict[str, _State] = {}
    trouble: list[RowError] = []
    for dex, raw in read_row(_States, data).clearinghouse_states:
        try:
            state = read_row(_State, raw)
            _held(state)
            states[dex] = state
        except RowError as error:
            trouble.append(error)
    return states, trouble


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
