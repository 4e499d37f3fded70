"""What accounts of one process share: one request budget for an address, and markets that are loaded once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp import web
from venue_support import account_at

from guard.venues import open_venue
from guard.venues.binance import BinanceUsdm
from guard.venues.binance_family import LIMIT
from guard.venues.gate import NotSent
from guard.venues.hyperliquid_connection import LIMIT as HYPERLIQUID
from guard.venues.protocol import VenueAccount
from guard.venues.shared import Need, RateLimit, Shared, WeightBudget, needed_for

KEYS = {"api_key": "k", "secret": "s", "password": "p"}
CREDENTIALS = {
    **dict.fromkeys(("binanceusdm", "binancecoinm", "bybit", "okx", "gate", "bitget"), KEYS),
    "hyperliquid": {"api_key": "0x" + "a" * 40, "secret": "b" * 64, "password": None},
}
LIMITED_BY_USER = {"okx"}  # Each endpoint for itself and each user: ccxt's pace stays below it.
TEN = RateLimit(weight_max=100, window_s=60.0, weights={"/big": 40}, weight_else=10)


def test_what_is_aside_leaves_a_share_to_the_cycle_and_that_one_to_the_rescue_and_the_window_moves_on():
    budget = WeightBudget(TEN)
    for second in range(9):
        assert budget.wait_s(10, float(second), Need.ASIDE) == 0
        budget.take(10, float(second))
    assert budget.wait_s(10, 9.0, Need.ASIDE) == 51  # When the first has left the window.
    assert budget.wait_s(10, 9.0, Need.RESCUE) == 0
    assert budget.wait_s(5, 9.0, Need.CYCLE) == 0
    assert budget.wait_s(6, 9.0, Need.CYCLE) == 51
    assert budget.wait_s(40, 9.0, Need.ASIDE) == 54  # Four of them have to leave.
    assert budget.wait_s(10, 60.0, Need.ASIDE) == 0
    assert budget.wait_s(101, 60.0, Need.RESCUE) == float("inf")


def test_the_exchanges_own_count_is_taken_over_where_it_is_higher():
    budget = WeightBudget(TEN)
    budget.take(10, 0.0)
    budget.note_used(85, 1.0)
    assert budget.used(1.0) == 85
    budget.note_used(20, 2.0)
    assert budget.used(2.0) == 85
    assert budget.wait_s(10, 2.0, Need.ASIDE) > 0


def test_the_weights_are_those_of_the_endpoints():
    assert [LIMIT.weight_of(path) for path in ("/v3/positionRisk", "/v3/account", "/v1/time")] == [5, 5, 1]


def test_where_all_questions_have_one_path_each_weighs_by_its_type():
    places = [HYPERLIQUID.place("/info", {"type": kind}) for kind in ("clearinghouseState", "userRole", "meta")]
    assert [HYPERLIQUID.weight_of(place) for place in places] == [2, 60, 20]
    assert HYPERLIQUID.weight_of(HYPERLIQUID.place("/exchange", {"action": {"type": "updateIsolatedMargin"}})) == 1


@pytest.mark.parametrize("exchange", sorted(CREDENTIALS))
def test_every_limit_that_an_exchange_has_for_an_address_is_shared_by_its_accounts(exchange):
    shared = Shared()
    one, two = (
        open_venue(
            VenueAccount(account=name, exchange=exchange, **CREDENTIALS[exchange], ccxt={}, shared=shared),
            now=lambda: datetime.now(UTC),
        )
        for name in ("a", "b")
    )
    assert one._client.gate.budget is two._client.gate.budget
    assert (one._client.gate.budget is None) == (exchange in LIMITED_BY_USER)


def test_accounts_of_one_exchange_share_one_budget_and_others_have_their_own():
    shared = Shared()
    terms = {"api_key": "k", "secret": "s", "password": None, "ccxt": {}, "shared": shared}
    now = lambda: datetime.now(UTC)  # noqa: E731
    one, two = (BinanceUsdm(VenueAccount(account=n, exchange="binanceusdm", **terms), now=now) for n in ("a", "b"))
    alone = BinanceUsdm(VenueAccount(account="c", exchange="binanceusdm", **terms | {"shared": Shared()}), now=now)
    assert one._client.gate.budget is two._client.gate.budget is not None
    assert alone._client.gate.budget is not one._client.gate.budget


async def test_a_read_that_the_budget_does_not_allow_is_not_sent_and_a_write_is(exchange, venue):
    exchange.replies["/positionRisk"] = lambda _: web.json_response(
        exchange.positions, headers={"X-MBX-USED-WEIGHT-1M": "85"}
    )
    await venue.open()
    venue._client.gate.budget = WeightBudget(replace(TEN, used_header="X-MBX-USED-WEIGHT-1M"))
    await venue._client.fapiPrivateV3GetPositionRisk({})
    exchange.forget_requests()
    with pytest.raises(NotSent, match="85 of 100 of the weight that this address may use is used"):
        await venue._client.fapiPrivateV3GetAccount({})
    assert exchange.requests == []
    async with venue._client.gate.turn("a write", wait_s=0.5, pace_s=0.0, path="/small", is_write=True):
        pass


async def test_a_second_account_takes_the_markets_of_the_first_and_a_new_symbol_loads_them_anew(exchange):
    shared, now = Shared(), lambda: datetime.now(UTC)
    one, two = (BinanceUsdm(replace(account_at(exchange), account=n, shared=shared), now=now) for n in ("a", "b"))
    try:
        await one.open()
        await two.open()
        assert len(exchange.asked("/exchangeInfo")) == 1
        assert two._client.markets is one._client.markets
        assert two.contracts == one.contracts
        exchange.markets.append(exchange.markets[0] | {"symbol": "NEWUSDT", "pair": "NEWUSDT", "baseAsset": "NEW"})
        await two._load_markets(reload=True)
        assert len(exchange.asked("/exchangeInfo")) == 2
        assert "NEW/USDT:USDT" in two.contracts
        await one._load_markets(reload=True)
        assert len(exchange.asked("/exchangeInfo")) == 2
        assert "NEW/USDT:USDT" in one.contracts
    finally:
        await asyncio.gather(one.close(), two.close())


async def test_a_read_that_waits_for_its_budget_does_not_hold_the_line_for_a_rescue(exchange, venue):
    await venue.open()
    venue._client.gate.budget = budget = WeightBudget(replace(TEN, window_s=1.0))
    budget.take(90, asyncio.get_running_loop().time())
    waits = asyncio.create_task(venue._client.fapiPrivateV3GetAccount({}))
    await asyncio.sleep(0.1)
    with needed_for(Need.RESCUE):
        await venue._client.fapiPrivateV3GetPositionRisk({})
    assert not waits.done()
    assert exchange.asked("/account") == []
    await waits


def test_binance_and_hyperliquid_ask_the_address_for_quiet():
    assert LIMIT.quiet_statuses == {418}
    assert HYPERLIQUID.quiet_statuses == {429}
