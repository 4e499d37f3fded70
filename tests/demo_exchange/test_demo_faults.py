"""Every fault, as the real ccxt meets it: what it is told, and what truly happened."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import ccxt.pro
import pytest
from demo_exchange_support import API_KEY, account_with, client_at

from guard.demo.exchange import Fault, FaultKind, banned, html_page, too_many_requests
from guard.snapshot import Side

POSITION_MARGIN = "/positionMargin"
MARGIN_MOVED, NOTHING_MOVED = Decimal(3_100), Decimal(3_000)


@pytest.fixture
def opened(exchange, account):
    exchange.open_position(account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.5"), leverage=10)
    exchange.open_position(account, symbol="ETHUSDT", side=Side.LONG, quantity=Decimal(1), leverage=10)
    return account


@pytest.fixture
async def ready(client, opened):
    await client.load_markets()
    return client


def wallet(account) -> Decimal:
    return account.positions["BTCUSDT", "BOTH"].isolated_wallet


async def add_100(client) -> object:
    return await client.fapiPrivatePostPositionMargin({"symbol": "BTCUSDT", "type": 1, "amount": "100"})


def answer(status: int, body: str, *, applied: bool) -> Fault:
    return Fault(kind=FaultKind.ANSWER, status=status, body=body, applied=applied)


MOVED, STAYED = True, False


@pytest.mark.parametrize(
    "case",  # The fault, what ccxt raises (None: it takes that for an answer), and whether the margin moved.
    [
        (Fault(kind=FaultKind.REJECT, code=-2019), ccxt.pro.BaseError, STAYED),
        (Fault(kind=FaultKind.LOSE_BEFORE), ccxt.pro.ExchangeNotAvailable, STAYED),
        (Fault(kind=FaultKind.LOSE_AFTER), ccxt.pro.ExchangeNotAvailable, MOVED),
        (Fault(kind=FaultKind.TRUNCATED), ccxt.pro.ExchangeError, MOVED),
        (too_many_requests(), ccxt.pro.DDoSProtection, STAYED),
        (banned(), ccxt.pro.DDoSProtection, STAYED),
        (html_page(), None, STAYED),
        (html_page(applied=True), None, MOVED),
        (html_page(status=524, applied=True), None, MOVED),
        (answer(200, "", applied=True), None, MOVED),
        (answer(200, "null", applied=False), None, STAYED),
        (answer(200, "{}", applied=False), None, STAYED),
        (answer(503, '{"msg":"Service Unavailable."}', applied=True), ccxt.pro.ExchangeNotAvailable, MOVED),
    ],
    ids=lambda case: f"{case[0].kind}-{case[0].status}-{'moved' if case[2] else 'stayed'}",
)
async def test_a_write_meets_its_fault_once_and_the_log_says_what_truly_happened(exchange, opened, ready, case):
    fault, raised, moved = case
    exchange.faults.add(replace(fault, path=POSITION_MARGIN, times=1))
    if raised is None:
        await add_100(ready)
    else:
        with pytest.raises(raised):
            await add_100(ready)
    assert wallet(opened) == (MARGIN_MOVED if moved else NOTHING_MOVED)
    [post] = exchange.margin_posts
    assert (post.applied, post.code, post.fault) == (moved, 200 if moved else 0, fault.kind)
    assert post.fields["amount"] == "100"
    before = wallet(opened)
    await add_100(ready)
    assert wallet(opened) == before + 100


async def test_the_answer_of_a_rate_limit_says_when_to_come_back(exchange, http):
    exchange.faults.add(too_many_requests(retry_after_s=7))
    exchange.faults.add(banned(retry_after_s=9))
    told = []
    for _ in range(3):
        async with http.get("/fapi/v1/time") as response:
            told.append((response.status, response.headers.get("Retry-After")))
    assert told == [(429, "7"), (418, "9"), (200, None)]


async def test_a_hang_is_silence_and_then_nothing(exchange, opened, url):
    exchange.faults.add(Fault(kind=FaultKind.HANG, path=POSITION_MARGIN, seconds=30))
    client = client_at(url, timeout=300)
    try:
        await client.load_markets()
        with pytest.raises(ccxt.pro.RequestTimeout):
            await add_100(client)
    finally:
        await client.close()
    assert wallet(opened) == NOTHING_MOVED


async def test_a_slow_answer_is_a_true_one(exchange, opened, ready):
    exchange.faults.add(Fault(kind=FaultKind.SLOW, path=POSITION_MARGIN, seconds=0.2))
    started = asyncio.get_running_loop().time()
    assert (await add_100(ready))["code"] == 200
    assert asyncio.get_running_loop().time() - started >= 0.2
    assert wallet(opened) == MARGIN_MOVED


async def test_a_request_applied_late_moves_money_after_the_connection_is_gone(exchange, opened, ready):
    exchange.faults.add(Fault(kind=FaultKind.APPLY_LATE, path=POSITION_MARGIN, seconds=1.5, times=1))
    with pytest.raises(ccxt.pro.ExchangeNotAvailable):
        await add_100(ready)
    assert wallet(opened) == NOTHING_MOVED
    await asyncio.sleep(3)
    assert wallet(opened) == MARGIN_MOVED
    assert exchange.margin_posts[0].applied


async def test_frozen_positions_stay_as_they_were_first_told_while_the_rest_goes_on(exchange, opened, ready):
    exchange.faults.add(Fault(kind=FaultKind.FROZEN, path="/positionRisk"))
    first = await ready.fapiPrivateV3GetPositionRisk()
    exchange.set_mark("BTCUSDT", Decimal(58_000))
    await add_100(ready)
    assert await ready.fapiPrivateV3GetPositionRisk() == first
    assert (await ready.fetch_balance())["info"]["assets"][0]["crossWalletBalance"] == "6600.00000000"
    exchange.faults.clear()
    assert await ready.fapiPrivateV3GetPositionRisk() != first


async def test_an_empty_list_hides_positions_that_are_there(exchange, opened, ready):
    exchange.faults.add(Fault(kind=FaultKind.EMPTY_LIST, path="/positionRisk", times=1))
    assert await ready.fapiPrivateV3GetPositionRisk() == []
    assert len(await ready.fapiPrivateV3GetPositionRisk()) == 2


@pytest.mark.parametrize("value", ["NaN", "", None])
async def test_one_row_is_broken_and_the_others_are_whole(exchange, opened, ready, value):
    exchange.faults.add(Fault(kind=FaultKind.BROKEN_ROW, path="/positionRisk", row=1, name="markPrice", value=value))
    whole, broken = await ready.fapiPrivateV3GetPositionRisk()
    assert whole["markPrice"] == "60000.00000000"
    assert broken.get("markPrice") == value
    assert broken["symbol"] == "ETHUSDT"


async def test_a_row_of_the_account_can_be_broken_too(exchange, opened, ready):
    exchange.faults.add(Fault(kind=FaultKind.BROKEN_ROW, path="/account", row=0, name="positionAmt", value="0.6"))
    answer = await ready.fapiPrivateV3GetAccount()
    assert [row["positionAmt"] for row in answer["positions"]] == ["0.6", "1"]


async def test_a_clock_that_is_off_shows_in_the_time_and_refuses_stamps(exchange, opened, ready):
    exchange.faults.add(Fault(kind=FaultKind.CLOCK_SKEW, seconds=120))
    skew_s = (await ready.fetch_time() - ready.milliseconds()) / 1000
    assert 115 < skew_s < 125
    with pytest.raises(ccxt.pro.InvalidNonce):
        await ready.fapiPrivateV3GetPositionRisk()
    exchange.faults.clear()
    assert len(await ready.fapiPrivateV3GetPositionRisk()) == 2


async def test_withdrawn_scopes_let_a_key_look_but_not_trade(exchange, opened, ready):
    exchange.faults.add(Fault(kind=FaultKind.WITHDRAWN_SCOPES, api_key=API_KEY))
    assert len(await ready.fapiPrivateV3GetPositionRisk()) == 2
    assert (await ready.sapiGetAccountApiRestrictions())["enableFutures"] is False
    with pytest.raises(ccxt.pro.AuthenticationError):
        await add_100(ready)
    exchange.faults.clear()
    await add_100(ready)
    assert wallet(opened) == MARGIN_MOVED


async def test_a_fault_spares_the_first_requests_strikes_as_often_as_told_and_counts(exchange, http):
    number = exchange.faults.add(Fault(kind=FaultKind.REJECT, path="/time", after=2, times=2, status=503))
    statuses = []
    for _ in range(6):
        async with http.get("/fapi/v1/time") as response:
            statuses.append(response.status)
    assert statuses == [200, 200, 503, 503, 200, 200]
    [state] = exchange.faults.states()
    assert (state.id, state.struck) == (number, 2)


async def test_a_fault_of_one_key_leaves_the_other_accounts_alone(exchange, opened, ready, url):
    exchange.add_account(account_with(name="other", api_key="other-key"))
    exchange.faults.add(Fault(kind=FaultKind.REJECT, api_key=API_KEY, status=503))
    other = client_at(url, apiKey="other-key")
    try:
        assert await other.fetch_positions() == []
    finally:
        await other.close()
    with pytest.raises(ccxt.pro.BaseError):
        await ready.fapiPrivateV3GetPositionRisk()


def test_the_first_fault_that_matches_strikes_and_a_spent_one_makes_room(exchange):
    faults = exchange.faults
    faults.add(Fault(kind=FaultKind.REJECT, method="POST", times=1))
    faults.add(Fault(kind=FaultKind.HANG, path=POSITION_MARGIN))
    kinds = [faults.strike(API_KEY, "POST", f"/fapi/v1{POSITION_MARGIN}") for _ in range(2)]
    assert [strike.fault.kind for strike in kinds] == [FaultKind.REJECT, FaultKind.HANG]
    assert faults.strike(API_KEY, "GET", "/fapi/v1/time") is None
    faults.clear()
    assert faults.states() == []


async def test_a_dropped_read_is_asked_again_by_aiohttp_itself_so_losing_it_takes_two(exchange, opened, ready):
    exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, path="/positionRisk", times=1))
    assert len(await ready.fapiPrivateV3GetPositionRisk()) == 2
    exchange.faults.clear()
    exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, path="/positionRisk", times=2))
    with pytest.raises(ccxt.pro.ExchangeNotAvailable):
        await ready.fapiPrivateV3GetPositionRisk()
