"""A position whose margin is the coin itself, through the whole daemon: budgets in dollars, money in bitcoin.

300 contracts of 100 dollars bought at 60,000 with 10x hold 0.05 BTC. Its first bracket asks 0.4 %, so it is liquidated
at 301.2 / (0.05 / 100 + 300 / 60,000) = 54,763.6. At 57,500 that is 4.8 % away, and 12 % away, at 50,600, needs
100 * (301.2 / 50,600 - 300 / 60,000) - 0.05 = 0.045256917 BTC more: 2,602.27 dollars. The exchange prints its
liquidation price rounded in the eighth digit, so a unit of the last digit more may be needed.
"""

import json
from decimal import Decimal

import pytest
from daemon_kit import Played, call, cycles, daemon, name_of, until, watching
from exchanges import server_of
from wire_world import wire_world

from guard.snapshot import Side

NEEDED = Decimal("0.04525692")
BTC = "BTC/USD:BTC"
SATOSHI = Decimal("0.00000001")
AMPLE = {"max_per_position": "3000", "max_per_day": "5000"}


async def _falls(here, server, guarded):
    await watching(guarded)
    server.hold_sample()
    await cycles(guarded, 2)
    server.set_mark(BTC, server.sample.mark)


async def a_top_up_in_coin_counts_in_dollars_against_the_budgets(folder):
    async with server_of("binancecoinm")().serving() as server, wire_world(folder, server, limits=AMPLE) as here:
        server.set_mark(BTC, server.sample.entry)
        async with daemon(here) as guarded:
            await _falls(here, server, guarded)
            await until("it is told", lambda: here.told("action"), of=guarded)
            (intent,) = here.intents()
            assert NEEDED <= intent.amount <= NEEDED + SATOSHI
            assert intent.currency == "BTC"
            assert intent.dollars == intent.amount * server.sample.mark
            (write,) = server.writes
            assert Decimal(write.params["amount"]) == intent.amount
            assert server.margin_of(BTC, Side.LONG) == server.sample.margin + intent.amount
            (told,) = here.told("action")
            assert told["title"].startswith("ADDED 0.045257 BTC to BTC/USD long")
            assert "guard added 0.045257 BTC (2,602.28 USD) of margin" in told["text"]
            assert told["facts"]["amount"] == str(intent.amount)
            left = await _status(here)
            assert Decimal(left["positions"][0]["budget_left"]) < Decimal("0.007")  # 3,000 dollars less 2,602, in BTC.
            assert left["positions"][0]["currency"] == "BTC"


async def a_limit_in_dollars_cuts_the_coins(folder):
    limits = AMPLE | {"max_per_action": "2300"}  # 0.04 BTC at 57,500.
    async with server_of("binancecoinm")().serving() as server, wire_world(folder, server, limits=limits) as here:
        server.set_mark(BTC, server.sample.entry)
        async with daemon(here) as guarded:
            await _falls(here, server, guarded)
            await until("it is told", lambda: here.told("action"), of=guarded)
            assert [intent.amount for intent in here.intents()] == [Decimal("0.04")]
            assert server.writes[0].params["amount"] == "0.04000000"


async def a_limit_in_coin_is_one(folder):
    limits = AMPLE | {"max_per_action": "0.041 BTC"}
    async with server_of("binancecoinm")().serving() as server, wire_world(folder, server, limits=limits) as here:
        server.set_mark(BTC, server.sample.entry)
        async with daemon(here) as guarded:
            await _falls(here, server, guarded)
            await until("it is told", lambda: here.told("action"), of=guarded)
            assert [intent.amount for intent in here.intents()] == [Decimal("0.041")]


async def a_day_whose_dollars_are_spent_moves_no_coins_and_says_so(folder):
    limits = {"max_per_position": "3000", "max_per_day": "500"}
    async with server_of("binancecoinm")().serving() as server, wire_world(folder, server, limits=limits) as here:
        server.set_mark(BTC, server.sample.entry)
        async with daemon(here) as guarded:
            await _falls(here, server, guarded)
            await until("it is refused", lambda: here.told("refused"), of=guarded)
            await cycles(guarded, 1)
            assert server.writes == []
            assert "BTC can be spent" in here.told("refused")[0]["text"]


async def a_position_older_than_the_journal_is_watched_only_until_it_is_armed(folder):
    async with server_of("binancecoinm")().serving() as server, wire_world(folder, server, limits=AMPLE) as here:
        server.hold_sample()
        server.set_mark(BTC, server.sample.mark)
        async with daemon(here) as guarded:
            await until("it is refused", lambda: here.told("refused"), of=guarded)
            assert server.writes == []
            code, said = await call(here, "arm")
            assert code == 0, said
            await until("it is told", lambda: here.told("action"), of=guarded)
            assert len(server.writes) == 1


async def _status(here):
    code, said = await call(here, "status", "--json")
    assert code in {0, 1, 2}, said
    return json.loads(said[said.index("{") :])["accounts"][0]


STORIES = (
    a_top_up_in_coin_counts_in_dollars_against_the_budgets,
    a_limit_in_dollars_cuts_the_coins,
    a_limit_in_coin_is_one,
    a_day_whose_dollars_are_spent_moves_no_coins_and_says_so,
    a_position_older_than_the_journal_is_watched_only_until_it_is_armed,
)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return Played(STORIES, tmp_path_factory.mktemp("inverse"))


@pytest.mark.parametrize("story", STORIES, ids=name_of)
def test_margin_in_coin(story, played):
    assert played(story)
