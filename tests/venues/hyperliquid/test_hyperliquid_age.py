"""When the facts were true, what a cycle costs, and which bare words are answers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from wire_faults import Fate

from guard.snapshot import Side
from guard.venues.hyperliquid import Hyperliquid
from guard.venues.hyperliquid_modes import WORDS
from guard.venues.transport import parse


async def test_a_server_that_lags_makes_facts_as_old_as_they_are(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.mangle("positions", lambda state: state | {"time": state["time"] - 20_000})
    snapshot = await venue.snapshot()
    age = datetime.now(UTC) - snapshot.positions_read_at
    assert timedelta(seconds=19) < age < timedelta(seconds=25)
    assert snapshot.wallets_read_at == snapshot.positions_read_at


async def test_a_server_that_lags_is_believed_to_lag_when_its_clock_cannot_be_asked(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.mangle("positions", lambda state: state | {"time": state["time"] - 20_000})
    server.break_reads("exchangeStatus", Fate.HTTP_500)
    snapshot = await venue.snapshot()
    assert len(snapshot.positions) == 1
    assert datetime.now(UTC) - snapshot.positions_read_at > timedelta(seconds=19)


async def test_a_clock_of_ours_that_steps_makes_nothing_old(server):
    clock = [timedelta(0)]
    venue = Hyperliquid(server.account(), now=lambda: datetime.now(UTC) + clock[0])
    server.hold_sample()
    await venue.snapshot()
    clock[0] = timedelta(minutes=7)
    snapshot = await venue.snapshot()
    await venue.close()
    assert abs(datetime.now(UTC) + clock[0] - snapshot.positions_read_at) < timedelta(seconds=3)


async def test_twenty_positions_cost_one_request_of_weight_two(server, venue):
    """1,200 a minute are allowed: 24 of them at a look every five seconds."""
    coins = {f"C{index}/USDC:USDC": f"C{index}" for index in range(20)}
    server.coins = coins
    server.tables = {coin: [("0.0", 20)] for coin in coins.values()}
    for symbol in coins:
        server.marks[symbol] = Decimal(100)
        server.hold(symbol, Side.LONG, contracts=Decimal(3), entry=Decimal(101), margin=Decimal(30), leverage=10)
    await venue.snapshot()
    server.requests.clear()
    snapshot = await venue.snapshot()
    assert (len(snapshot.positions), snapshot.gaps) == (20, ())
    assert [params["type"] for _, _, params in server.requests] == ["clearinghouseState"]  # Documented weight: 2.


def test_a_bare_word_is_an_answer_only_where_it_is_listed():
    assert parse(b'"disabled"', WORDS) == "disabled"
    assert parse(b'"maintenance"', WORDS) is None
    assert parse(b'"disabled"') is None
