"""Adding margin: which answers mean yes, no, or nothing known. Source of the table: the reliability study, section 2."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from aiohttp import web
from venue_support import API_KEY, SECRET, account_at

from guard.errors import OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues import transport
from guard.venues.binance import BinanceUsdm

PATH = "/fapi/v1/positionMargin"


def request_for(amount="62.31", symbol="BTC/USDT:USDT", side=Side.LONG, *, hedged=False):
    return MarginRequest(key=PositionKey(symbol, side), hedged=hedged, amount=Decimal(amount), currency="USDT")


def success(request: web.Request, **fields):
    async def reply():
        amount = dict(await request.post())["amount"]
        return {"amount": float(amount), "code": 200, "msg": "Successfully modify position margin.", "type": 1} | fields

    return reply()


@pytest.fixture
async def opened(exchange, venue):
    await venue.open()
    exchange.replies[PATH] = success
    exchange.forget_requests()
    return venue


# Amounts of four price classes that ccxt's own add_margin would round or refuse (ccxt_facts, section 0.3).
@pytest.mark.parametrize(
    ("symbol", "market_id"), [("BTC/USDT:USDT", "BTCUSDT"), ("1000SHIB/USDT:USDT", "1000SHIBUSDT")]
)
@pytest.mark.parametrize("amount", ["10.79", "0.7", "0.5", "0.01", "100", "1E+2", "100.70", "12345.67"])
async def test_the_amount_on_the_wire_is_the_amount_asked_for(exchange, opened, symbol, market_id, amount):
    confirmation = await opened.add_margin(request_for(amount, symbol))
    assert "code 200" in confirmation
    (sent,) = exchange.asked(PATH, "POST")
    assert Decimal(sent["amount"]) == Decimal(amount)
    assert set(sent["amount"]) <= set("0123456789.")
    assert (sent["symbol"], sent["type"], sent["recvWindow"]) == (market_id, "1", "1000")
    assert "positionSide" not in sent


@pytest.mark.parametrize("side", Side)
async def test_a_hedge_leg_is_named_with_its_side(exchange, opened, side):
    await opened.add_margin(request_for(side=side, hedged=True))
    (sent,) = exchange.asked(PATH, "POST")
    assert sent["positionSide"] == side.word.upper()


@pytest.mark.parametrize("amount", ["0", "-5", "0.001", "10.791"])
async def test_an_amount_that_is_no_positive_multiple_of_the_step_is_never_sent(exchange, opened, amount):
    with pytest.raises(ValueError, match=r"multiple of 0\.01"):
        await opened.add_margin(request_for(amount))
    assert not exchange.requests


def answer_of(status, text, **headers):
    return lambda _request: web.Response(status=status, text=text, headers=headers)


def error_of(status, code, text="refused"):
    return answer_of(status, f'{{"code": {code}, "msg": "{text}"}}')


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "90"})
    await response.prepare(request)
    await response.write(b'{"amount": 62.31, "code": 200, "msg": "Succ')
    request.transport.close()
    return response


async def hang_up(request: web.Request) -> web.Response:
    request.transport.close()
    return web.Response()


CLEAR_NOES = {
    **{
        str(code): error_of(400, code)
        for code in (-1021, -1022, -1102, -1111, -1121, -2018, -2019, -4049, -4050, -4051, -4054, -4055, -4061, -4168)
    },
    "-2015": error_of(401, -2015),
    "-2014": error_of(401, -2014),
    "-1003": error_of(429, -1003),
    "-1008 overload": error_of(503, -1008),
    "429 in html": answer_of(429, "<html>slow down</html>"),
    "418": answer_of(418, ""),
    "-4051 with 200": error_of(200, -4051),
}

NOT_KNOWN = {
    "503 unknown error": error_of(503, -1000, "Unknown error, please check your request or try again later."),
    "-1001": error_of(503, -1001),
    "-1006": error_of(400, -1006),
    "-1007": error_of(408, -1007),
    "503 service unavailable": answer_of(503, '{"msg": "Service Unavailable."}'),
    "a refusal code under a 5xx": error_of(502, -4051),
    "-1008 in words only": answer_of(503, "Request throttled by system-level protection (-1008)"),
    "a code never seen before": error_of(400, -4999),
    "-5028": error_of(400, -5028),
    "400 html": answer_of(400, "<html>bad request</html>"),
    "403 firewall": answer_of(403, "<html>WAF</html>"),
    "451": answer_of(451, "{}"),
    "a redirect": answer_of(307, "", Location="/fapi/v1/positionMargin"),
    **{str(status): answer_of(status, "<html>cloudflare</html>") for status in (500, 502, 504, 520, 521, 522, 523)},
    "524": answer_of(524, ""),
    "527 with json": answer_of(527, '{"code": 200, "amount": 62.31, "type": 1}'),
    "200 html": answer_of(200, "<html>maintenance</html>"),
    "200 empty": answer_of(200, ""),
    "200 null": answer_of(200, "null"),
    "200 {}": answer_of(200, "{}"),
    "200 []": answer_of(200, "[]"),
    "200 ok in words": answer_of(200, '"ok"'),
    "another amount": answer_of(200, '{"amount": 62.3, "code": 200, "type": 1}'),
    "no amount": answer_of(200, '{"code": 200, "type": 1}'),
    "taken away": answer_of(200, '{"amount": 62.31, "code": 200, "type": 2}'),
    "another code": answer_of(200, '{"amount": 62.31, "code": 0, "type": 1}'),
    "NaN": answer_of(200, '{"amount": NaN, "code": 200, "type": 1}'),
    "a truncated body": cut_off,
    "closed before the answer": hang_up,
}


@pytest.mark.parametrize("reply", CLEAR_NOES.values(), ids=CLEAR_NOES.keys())
async def test_a_listed_refusal_is_a_clear_no_after_exactly_one_post(exchange, opened, reply):
    exchange.replies[PATH] = reply
    with pytest.raises(VenueRefused):
        await opened.add_margin(request_for())
    assert exchange.count() == {f"POST {PATH}": 1}


@pytest.mark.parametrize("reply", NOT_KNOWN.values(), ids=NOT_KNOWN.keys())
async def test_everything_else_is_unknown_after_exactly_one_post(exchange, opened, reply):
    exchange.replies[PATH] = reply
    with pytest.raises(OutcomeUnknown):
        await opened.add_margin(request_for())
    assert exchange.count() == {f"POST {PATH}": 1}


async def test_a_hanging_post_is_unknown_at_its_deadline_and_not_sent_again(exchange, opened):
    opened._client.deadline_s = 0.2
    exchange.replies[PATH] = lambda _request: asyncio.sleep(60)
    with pytest.raises(OutcomeUnknown, match="no answer within"):
        await opened.add_margin(request_for())
    assert exchange.count() == {f"POST {PATH}": 1}


async def test_no_connection_counts_as_unknown_too(exchange, opened):
    opened._client.urls["api"]["fapiPrivate"] = "http://127.0.0.1:1/fapi/v1"
    opened._client.gate.origins |= {transport.yarl.URL("http://127.0.0.1:1")}
    with pytest.raises(OutcomeUnknown, match="no connection"):
        await opened.add_margin(request_for())


async def test_a_bug_of_ours_while_sending_counts_as_unknown(exchange, opened, monkeypatch):
    monkeypatch.setattr(opened._client, "_judge", lambda *_, **__: 1 / 0)
    with pytest.raises(OutcomeUnknown, match="ZeroDivisionError"):
        await opened.add_margin(request_for())


async def test_a_cancellation_passes_through_and_the_next_request_still_gets_its_turn(exchange, opened):
    exchange.replies[PATH] = lambda _request: asyncio.sleep(60)
    task = asyncio.create_task(opened.add_margin(request_for()))
    await exchange.asked_something.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await opened.snapshot()).positions


async def test_the_time_that_the_exchange_asked_for_is_handed_on(exchange, opened):
    exchange.replies[PATH] = answer_of(429, '{"code": -1003, "msg": "x"}', **{"Retry-After": "30"})
    with pytest.raises(VenueRefused) as refused:
        await opened.add_margin(request_for())
    assert (refused.value.code, refused.value.retry_after) == ("-1003", timedelta(seconds=30))
    with pytest.raises(VenueRefused, match="asked for quiet") as again:
        await opened.add_margin(request_for())
    assert again.value.code == "not_sent"
    assert exchange.count() == {f"POST {PATH}": 1}


async def test_a_write_that_does_not_get_its_turn_is_not_sent_and_says_so(exchange, opened):
    exchange.replies["positionRisk"] = lambda _request: asyncio.sleep(2)
    reading = asyncio.create_task(opened.snapshot())
    await exchange.asked_something.wait()
    with pytest.raises(VenueRefused, match="held the line") as refused:
        await opened.add_margin(request_for())
    assert refused.value.code == "not_sent"
    assert not exchange.asked(PATH)
    reading.cancel()


async def test_a_write_before_which_the_machine_stood_still_is_not_sent_but_a_read_is(exchange, opened, monkeypatch):
    opened._client.gate.write_wait_s = 0.2
    sleep = asyncio.sleep

    async def stand_still(_seconds):
        await sleep(0.3)  # As a stopped process does between two of its steps.

    monkeypatch.setattr("guard.venues.gate.asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": stand_still}))
    with pytest.raises(VenueRefused, match="late") as refused:
        await opened.add_margin(request_for())
    assert refused.value.code == "not_sent"
    assert not exchange.asked(PATH)
    assert (await opened.snapshot()).positions


async def test_a_market_that_is_not_known_is_refused_before_sending(exchange, opened):
    with pytest.raises(VenueRefused) as refused:
        await opened.add_margin(request_for(symbol="NONE/USDT:USDT"))
    assert refused.value.code == "not_sent"
    assert not exchange.requests


@pytest.mark.parametrize("reply", [hang_up, error_of(400, -4051, f"{API_KEY} {SECRET}"), answer_of(200, SECRET)])
async def test_no_secret_stands_in_what_a_write_raises(exchange, opened, reply):
    exchange.replies[PATH] = reply
    with pytest.raises((VenueRefused, OutcomeUnknown)) as told:
        await opened.add_margin(request_for())
    signature = exchange.asked(PATH)[0]["signature"]
    error: BaseException | None = told.value
    while error is not None:
        assert not any(secret in f"{error!r} {vars(error)}" for secret in (API_KEY, SECRET, signature))
        error = error.__cause__ or error.__context__


async def test_the_fence_is_short_on_loopback_and_long_where_money_is_real(exchange, venue):
    assert venue.write_terms.fence == timedelta(seconds=2)
    assert venue.write_terms.test_host
    real = BinanceUsdm(account_at(exchange, urls={}), now=lambda: datetime.now(UTC))
    # 8 s for its turn, recvWindow 5 s, backend 10 s, clock 1 s.
    assert (real.write_terms.fence, real.write_terms.test_host) == (timedelta(seconds=24), False)
    assert real.write_terms.history_kept == timedelta(days=30)
    assert real.hosts() == ("api.binance.com", "fapi.binance.com", "fstream.binance.com")
    await real.close()


@pytest.mark.parametrize("options", [{"sandbox": True}, {"enableDemoTrading": True}])
async def test_testnet_and_demo_hosts_are_known_as_such_and_have_no_real_host_beside_them(exchange, options):
    one = BinanceUsdm(account_at(exchange, urls={}, options=options), now=lambda: datetime.now(UTC))
    assert one.write_terms.test_host
    assert one.write_terms.fence == timedelta(seconds=24)
    assert all("binancefuture.com" in host or host == "demo-fapi.binance.com" for host in one.hosts())
    await one.close()


async def test_reading_fails_softly_when_the_market_is_unknown(exchange, opened):
    with pytest.raises(VenueUnavailable, match="no market"):
        await opened.mark("NONE/USDT:USDT")
