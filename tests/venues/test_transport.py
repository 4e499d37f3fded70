import asyncio
import logging
import time
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from venue_support import API_KEY, SECRET, account_at

from guard.errors import ConfigError, KeysRefused, VenueError, VenueUnavailable
from guard.venues import gate, transport
from guard.venues.binance import BinanceUsdm
from guard.venues.protocol import VenueAccount

RISK, ACCOUNT = "/fapi/v3/positionRisk", "/fapi/v3/account"


def answer_of(status: int, text: str, **headers: str):
    return lambda _request: web.Response(status=status, text=text, headers=headers)


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "500"})
    await response.prepare(request)
    await response.write(b'[{"symbol": "BTCUSDT", ')
    request.transport.close()
    return response


async def hang_up(request: web.Request) -> web.Response:
    request.transport.close()
    return web.Response()


UNUSABLE = {
    "html": answer_of(200, "<html><body>maintenance</body></html>"),
    "html that starts like a list": answer_of(200, "[maintenance]"),
    "empty": answer_of(200, ""),
    "null": answer_of(200, "null"),
    "a number": answer_of(200, "12"),
    "text": answer_of(200, '"ok"'),
    "an object where a list belongs": answer_of(200, "{}"),
    "NaN, which is not JSON": answer_of(200, "[NaN]"),
    "too deep": answer_of(200, "[" * 100_000),
    "520": answer_of(520, "<html>520</html>"),
    "522": answer_of(522, "[]"),
    "523": answer_of(523, "[]"),
    "524": answer_of(524, "[]"),
    "527": answer_of(527, "[]"),
    "529": answer_of(529, "[]"),
    "503 in words": answer_of(503, '{"msg": "Service Unavailable."}'),
    "503 with a code": answer_of(503, '{"code": -1000, "msg": "Unknown error"}'),
    "403 of a firewall": answer_of(403, "<html>WAF</html>"),
    "451": answer_of(451, '{"msg": "restricted location"}'),
    "a redirect": answer_of(302, "[]", Location="https://example.org/"),
    "an error with 200": answer_of(200, '{"code": -1001, "msg": "Internal error"}'),
    "a truncated body": cut_off,
    "a connection closed before the answer": hang_up,
}


@pytest.mark.parametrize("path", [RISK, ACCOUNT])
@pytest.mark.parametrize("reply", UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_an_unusable_answer_is_never_an_empty_account(exchange, venue, path, reply):
    await venue.open()
    exchange.replies[path] = reply
    with pytest.raises(VenueUnavailable):
        await venue.snapshot()


ASKED_AGAIN_AT_ONCE = {name: reply for name, reply in UNUSABLE.items() if not name.startswith(("403", "451"))}


@pytest.mark.parametrize("path", ["exchangeInfo", "accountConfig", "symbolConfig"])
@pytest.mark.parametrize("reply", ASKED_AGAIN_AT_ONCE.values(), ids=ASKED_AGAIN_AT_ONCE.keys())
async def test_an_unusable_answer_at_the_start_is_unavailable_and_the_next_open_works(exchange, venue, path, reply):
    exchange.replies[path] = reply
    with pytest.raises(VenueUnavailable):
        await venue.open()
    exchange.replies.clear()
    await venue.open()
    assert len((await venue.snapshot()).positions) == 1


@pytest.mark.parametrize("text", ["", "null", "12", '"ok"', "<html>", "[NaN]", "[" * 100_000])
async def test_the_transport_itself_takes_only_json_objects_and_lists_for_answers(exchange, venue, text):
    exchange.replies["/fapi/v1/time"] = answer_of(200, text)
    with pytest.raises(transport.Answered, match="no usable JSON"):
        await venue._client.fapiPublicGetTime({})


async def test_a_hanging_read_ends_at_its_deadline(exchange, venue):
    await venue.open()
    venue._client.deadline_s = 0.2
    exchange.replies[RISK] = lambda _request: asyncio.sleep(60)
    started = time.monotonic()
    with pytest.raises(VenueUnavailable, match=r"no answer within 0\.2 s"):
        await venue.snapshot()
    assert time.monotonic() - started < 5


async def test_connections_that_fail_again_and_again_get_a_new_session_and_resolver(exchange, venue):
    await venue.open()
    first = venue._client.session
    exchange.replies[RISK] = hang_up
    for _ in range(transport.FAILURES_TO_RENEW - 1):
        with pytest.raises(VenueUnavailable):
            await venue.snapshot()
    exchange.replies.clear()
    await venue.snapshot()
    assert venue._client.session is first, "an answer in between: the connection is good"
    exchange.replies[RISK] = hang_up
    sessions = [first]
    for _ in range(3 * transport.FAILURES_TO_RENEW):
        with pytest.raises(VenueUnavailable):
            await venue.snapshot()
        if venue._client.session not in {None, sessions[-1]}:
            sessions.append(venue._client.session)
    exchange.replies.clear()
    assert (await venue.snapshot()).positions
    sessions.append(venue._client.session)
    assert len(sessions) == 4
    assert [session.closed for session in sessions] == [True, True, False, False], (
        "a stream may live on the last but one"
    )
    await venue.close()
    assert all(session.closed for session in sessions)


async def test_an_answer_above_the_size_cap_is_refused(exchange, venue, monkeypatch):
    await venue.open()
    monkeypatch.setattr(transport, "ANSWER_BYTES_MAX", 1000)
    exchange.replies[RISK] = answer_of(200, "[" + "1," * 5000 + "1]")
    with pytest.raises(VenueUnavailable, match="longer than 1000 bytes"):
        await venue.snapshot()


@pytest.mark.parametrize("code", [-2015, -2014, -1022])
async def test_refused_keys_are_told_apart_from_an_exchange_that_is_away(exchange, venue, code):
    await venue.open()
    text = f'{{"code": {code}, "msg": "Invalid API-key, IP, or permissions for action."}}'
    exchange.replies[RISK] = answer_of(401, text)
    with pytest.raises(KeysRefused, match=str(code)):
        await venue.snapshot()


@pytest.mark.parametrize(("status", "unsaid_s"), [(429, 60), (418, 120)])
@pytest.mark.parametrize("header", ["7", None, "soon"])
async def test_after_429_and_418_nothing_leaves_before_the_time_has_passed(exchange, venue, status, unsaid_s, header):
    await venue.open()
    headers = {"Retry-After": header} if header else {}
    exchange.replies[RISK] = answer_of(status, '{"code": -1003, "msg": "Too many requests"}', **headers)
    with pytest.raises(VenueUnavailable) as told:
        await venue.snapshot()
    asked_for = 7 if header == "7" else unsaid_s
    assert told.value.retry_after == timedelta(seconds=asked_for)
    exchange.replies.clear()
    exchange.forget_requests()
    for read in (venue.snapshot, lambda: venue.tiers(frozenset()), venue.clock_skew):
        with pytest.raises(VenueUnavailable, match="asked for quiet") as refused:
            await read()
        assert timedelta(seconds=asked_for - 3) < refused.value.retry_after <= timedelta(seconds=asked_for)
    assert not exchange.requests


async def test_requests_leave_again_when_the_quiet_time_has_passed(exchange, venue):
    await venue.open()
    exchange.replies[RISK] = answer_of(429, "{}", **{"Retry-After": "1"})
    with pytest.raises(VenueUnavailable):
        await venue.snapshot()
    exchange.replies.clear()
    await asyncio.sleep(1.1)
    assert (await venue.snapshot()).positions


@pytest.mark.parametrize(
    ("status", "why"), [(403, "a firewall before the exchange"), (451, "the exchange does not serve")]
)
async def test_a_firewall_and_a_region_are_named_and_asked_again_only_after_a_pause(exchange, venue, status, why):
    await venue.open()
    exchange.replies[RISK] = answer_of(status, "<html>no</html>")
    with pytest.raises(VenueUnavailable, match=f"HTTP {status}, {why}") as told:
        await venue.snapshot()
    assert told.value.retry_after is None, "the exchange asked for nothing: a restart may ask"
    exchange.replies.clear()
    exchange.forget_requests()
    with pytest.raises(VenueUnavailable, match=f"not sent, {why}.*; asked again in (30|29|60|59) s"):
        await venue.snapshot()
    assert not exchange.requests
    venue._client.gate._pauses = dict.fromkeys(venue._client.gate.origins, (0.0, why))
    assert (await venue.snapshot()).positions


async def test_a_no_of_the_exchange_itself_with_403_makes_no_pause(exchange, venue):
    await venue.open()
    exchange.replies[RISK] = answer_of(403, '{"code": -1000, "msg": "Unknown error"}')
    with pytest.raises(VenueUnavailable):
        await venue.snapshot()
    exchange.replies.clear()
    assert (await venue.snapshot()).positions


async def test_requests_of_one_account_go_out_one_at_a_time(exchange, venue):
    await venue.open()
    under_way, most = 0, 0

    async def slowly(request: web.Request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return exchange.answer(request)

    exchange.replies[RISK] = exchange.replies[ACCOUNT] = slowly
    await asyncio.gather(*(venue.snapshot() for _ in range(5)))
    assert most == 1


async def test_a_cancelled_request_frees_the_line(exchange, venue):
    await venue.open()
    exchange.replies[RISK] = lambda _request: asyncio.sleep(60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await venue.snapshot()
    exchange.replies.clear()
    assert (await venue.snapshot()).positions


async def test_a_foreign_host_is_refused_before_anything_is_sent(exchange, venue):
    await venue.open()
    exchange.forget_requests()
    elsewhere = exchange.url.replace("127.0.0.1", "localhost")  # The same server, by a name that was not fixed.
    for key in ("fapiPrivateV3", "fapiPublic"):
        venue._client.urls["api"][key] = f"{elsewhere}/fapi/v1"
    with pytest.raises(VenueUnavailable, match="not a host of this account"):
        await venue.snapshot()
    with pytest.raises(VenueUnavailable, match="not a host of this account"):
        await venue.clock_skew()
    venue._client.urls["api"]["ws"]["linear"] = elsewhere.replace("http", "ws")
    with pytest.raises(VenueUnavailable, match="not a host of this account"):
        await anext(venue.watch_marks(("BTC/USDT:USDT",)))
    assert not exchange.requests


FORBIDDEN = {
    "an order": lambda c: c.fapiPrivatePostOrder({"symbol": "BTCUSDT", "side": "SELL"}),
    "leverage": lambda c: c.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 2}),
    "margin mode": lambda c: c.fapiPrivatePostMarginType({"symbol": "BTCUSDT", "marginType": "CROSSED"}),
    "a cancellation": lambda c: c.fapiPrivateDeleteAllOpenOrders({"symbol": "BTCUSDT"}),
    "a transfer": lambda c: c.sapiPostAssetTransfer({"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "1"}),
    "a withdrawal": lambda c: c.sapiPostCapitalWithdrawApply({"coin": "USDT", "address": "x", "amount": "1"}),
    "taking margin away": lambda c: c.fapiPrivatePostPositionMargin({"symbol": "BTCUSDT", "amount": "1", "type": 2}),
    "margin without a type": lambda c: c.fapiPrivatePostPositionMargin({"symbol": "BTCUSDT", "amount": "1"}),
    "the end of a stream that others may share": lambda c: c.fapiPrivateDeleteListenKey({}),
    "another renewal of its key": lambda c: c.fapiPrivatePutListenKey({}),
}


@pytest.mark.parametrize("write", FORBIDDEN.values(), ids=FORBIDDEN.keys())
async def test_no_write_but_adding_margin_can_leave_the_process(exchange, venue, write):
    await venue.open()
    exchange.forget_requests()
    with pytest.raises(gate.NotSent, match="not on the list"):
        await write(venue._client)
    assert not exchange.requests


@pytest.mark.parametrize(
    "options",
    [
        {"verbose": True},
        {"verify": False},
        {"options": {"maxRetriesOnFailure": 2}},
        {"options": {"positionMargin": {"maxRetriesOnFailure": 2}}},
        {"aiohttp_trust_env": True},
        {"socksProxy": "socks5://127.0.0.1:1080"},  # Without the package that it needs.
        {"proxyUrl": "https://relay.example/?"},
        {"secret": "another"},
    ],
    ids=str,
)
async def test_options_that_would_log_resend_or_weaken_are_refused(exchange, options):
    with pytest.raises(ConfigError, match=r"accounts\.main\.ccxt"):
        BinanceUsdm(account_at(exchange, **options), now=lambda: datetime.now(UTC))


@pytest.mark.parametrize(("timeout_ms", "deadline_s"), [(2000, 2), (8000, 8), (60_000, 8)])
async def test_a_users_timeout_may_shorten_the_deadline_and_never_lengthen_it(exchange, timeout_ms, deadline_s):
    one = BinanceUsdm(account_at(exchange, timeout=timeout_ms, enableRateLimit=False), now=lambda: datetime.now(UTC))
    assert one._client.deadline_s == deadline_s
    assert one._client.enableRateLimit is True
    await one.close()


async def test_requests_go_through_the_users_proxy_and_the_proxy_sees_where_to(exchange):
    asked = []

    async def relay(request: web.Request):
        asked.append(str(request.url))
        return web.json_response(exchange.answer(request))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", relay)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    proxy = f"http://127.0.0.1:{runner.addresses[0][1]}"
    one = BinanceUsdm(account_at(exchange, httpProxy=proxy), now=lambda: datetime.now(UTC))
    await one.clock_skew()
    await one.close()
    await runner.cleanup()
    assert asked == [f"{exchange.url}/fapi/v1/time"]
    assert not exchange.requests


async def test_what_was_saved_of_the_pace_lets_a_read_and_a_write_follow_at_once(exchange):
    one = BinanceUsdm(account_at(exchange, rateLimit=400), now=lambda: datetime.now(UTC))
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(3):  # 0, 400 and 800 ms of the saved second.
        await one.clock_skew()
    at_once = loop.time() - started
    for _ in range(4):
        await one.clock_skew()
    await one.close()
    assert at_once < 0.4
    assert loop.time() - started >= 6 * 0.4 - 1.0


async def test_plain_http_is_refused_elsewhere_than_on_loopback(exchange):
    urls = exchange.urls()
    urls["api"]["fapiPrivate"] = "http://fapi.example.com/fapi/v1"
    with pytest.raises(ConfigError, match="plain http is for loopback only"):
        BinanceUsdm(account_at(exchange, urls=urls), now=lambda: datetime.now(UTC))


async def test_ccxt_never_retries_logs_or_reads_proxies_from_the_environment(venue):
    client = venue._client
    assert client.options["maxRetriesOnFailure"] == 0
    assert client.aiohttp_trust_env is False
    assert client.verify is True
    assert logging.getLogger("ccxt").level == logging.WARNING


def everything_in(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))


LEAKS = {
    "an echo of the keys": answer_of(400, f'{{"code": -1102, "msg": "bad {API_KEY} {SECRET} signature={"ab" * 32}"}}'),
    "html that echoes": answer_of(500, f"<html>{API_KEY} {SECRET}</html>"),
    "a lost connection": hang_up,
    "a broken header": answer_of(200, "{}", **{"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("reply", LEAKS.values(), ids=LEAKS.keys())
async def test_no_secret_and_no_signature_stands_in_an_error(exchange, venue, reply, caplog):
    caplog.set_level(logging.DEBUG)
    await venue.open()
    exchange.replies[RISK] = reply
    with pytest.raises(VenueError) as told:
        await venue.snapshot()
    signature = exchange.asked("positionRisk")[-1]["signature"]
    text = everything_in(told.value) + caplog.text
    assert "fapi/v3/positionRisk" in text
    for secret in (API_KEY, SECRET, signature, "ab" * 32, "signature="):
        assert secret not in text


def test_an_account_shows_no_secret_when_it_is_printed():
    account = VenueAccount(
        account="main", exchange="binanceusdm", api_key=API_KEY, secret=SECRET, password="pass-phrase-1", ccxt={}
    )
    assert not any(secret in repr(account) for secret in (API_KEY, SECRET, "pass-phrase-1"))


def test_a_stream_address_that_is_no_table_is_a_config_error():
    account = VenueAccount(
        account="main",
        exchange="binanceusdm",
        api_key="k",
        secret="s",
        password=None,
        ccxt={"urls": {"api": {"ws": "ws://127.0.0.1:1"}}},
    )
    with pytest.raises(ConfigError, match=r"urls\.api\.ws"):
        BinanceUsdm(account, now=lambda: datetime.now(UTC))
