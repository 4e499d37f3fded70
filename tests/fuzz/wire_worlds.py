"""Accounts at the contract suite's own servers, and the venue of each: true answers, until one is changed."""

import copy
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from exchanges import server_of
from wire_line import Line

from guard.snapshot import AccountSnapshot, Side
from guard.venues import open_venue

EXCHANGES = ("binancecoinm", "bybit", "okx", "hyperliquid", "gate", "bitget", "bitget-uta")
COPIED = (dict, list, set, deque)


@dataclass(kw_only=True)
class WireFuzzWorld:
    """One account at an exchange's own server, and the venue that reads it, as it was before the first case."""

    server: Any
    venue: Any
    line: Line
    fresh: dict[str, Any]  # What the venue remembers when it was opened, and nothing else was asked.
    known: dict[str, Any]  # And when it had read everything once.
    ledger: dict[str, Any]
    truth: AccountSnapshot
    time_difference: object
    gate: dict[str, Any]  # Of the client: what waits for how long.
    lengths: dict[str, int] = field(default_factory=dict)  # How many requests each kind of case makes.

    def restore(self, *, fresh: bool = False) -> None:
        vars(self.venue).update(_copied(self.fresh if fresh else self.known))
        vars(self.server).update(copy.deepcopy(self.ledger))
        self.venue._client.options["timeDifference"] = self.time_difference
        vars(self.venue._client.gate).update(_copied(self.gate))
        self.line.refuse = None
        self.line.clear()


def worlds_of(exchange: str) -> list[str]:
    lacks = server_of(exchange).lacks
    return [
        "one way",
        *(["hedged"] if not {"hedge", "hedge side"} & lacks.keys() else []),
        *(["inverse"] if "inverse" not in lacks and exchange != "binancecoinm" else []),
    ]


async def open_wire_world(exchange: str, number: int) -> WireFuzzWorld:
    server, what = server_of(exchange)(), worlds_of(exchange)[number]
    server.url = "http://127.0.0.1:9"
    if what == "hedged":
        server.hold_sample(Side.LONG, hedged=True)
        one = server.sample
        server.hold_sample(Side.SHORT, hedged=True, contracts=one.contracts * 2, margin=one.margin * 2)
    else:
        server.hold_sample(Side.LONG, server.inverse if what == "inverse" else None)
        server.hold_sample(Side.SHORT, server.other)
    venue = open_venue(server.account(), now=lambda: datetime.now(UTC))
    line = Line(server, venue._client)
    await venue.open()
    fresh = _copied(vars(venue))
    truth = await venue.snapshot()
    assert not truth.gaps, truth.gaps
    assert len(truth.positions) == 2
    await venue.tiers(frozenset(position.key.symbol for position in truth.positions))
    known = _copied(vars(venue))
    kept = {name: value for name, value in vars(server).items() if not name.startswith("_")}
    ledger = copy.deepcopy({name: value for name, value in kept.items() if name not in {"written", "url"}})
    return WireFuzzWorld(
        server=server,
        venue=venue,
        line=line,
        fresh=fresh,
        known=known,
        ledger=ledger,
        truth=truth,
        gate=_copied(vars(venue._client.gate)),
        time_difference=venue._client.options.get("timeDifference", 0),
    )


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {name: copy.copy(value) if isinstance(value, COPIED) else value for name, value in state.items()}
