"""What of Hyperliquid's account rings: sizes, leverages and dollars in it, and no mark."""

from decimal import Decimal

import pytest
from hyperliquid_wire import STATES

from guard.snapshot import Side
from guard.venues import hyperliquid_news
from guard.venues.account_stream import NOTHING
from guard.venues.rows import RowError


@pytest.fixture
def hear(venue):
    return hyperliquid_news.channel(venue._client, venue._address, set().update).hear


CHANGES = {
    "margin moved by hand": lambda server: server.add_to(server.sample.symbol, Side.LONG, Decimal("0.5")),
    "a fill": lambda server: server.hold_sample(contracts=server.sample.contracts * 2),
    "another leverage": lambda server: server.hold_sample(leverage=7),
    "a position that is gone": lambda server: server.drop(server.sample.symbol, Side.LONG),
    "a new one": lambda server: server.hold_sample(of=server.other),
    "a transfer": lambda server: list(server.account_messages(server.now())),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_what_was_changed_rings_once_and_the_first_telling_never(server, hear, change):
    server.hold_sample()
    assert hear(server._told(server.now())) is NOTHING
    assert hear(server._told(server.now())) is NOTHING
    change(server)
    (moment,) = hear(server._told(server.now())).moments
    assert abs((moment - server.now()).total_seconds()) < 1
    assert hear(server._told(server.now())) is NOTHING


async def test_a_mark_that_moves_rings_nothing(server, hear):
    server.hold_sample()
    hear(server._told(server.now()))
    server.set_mark(server.sample.symbol, server.sample.mark * Decimal("0.8"))
    assert hear(server._told(server.now())) is NOTHING


BROKEN = {"time": 1, "assetPositions": [3]}


@pytest.mark.parametrize("broken", [None, {}, {"clearinghouseStates": [["", BROKEN]]}], ids=str)
async def test_what_cannot_be_read_is_said(hear, broken):
    with pytest.raises(RowError):
        hear({"channel": STATES, "data": broken})
