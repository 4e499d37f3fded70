"""Adding margin at OKX: what goes over the wire, to where, and what an answer must say."""

import json
from decimal import Decimal

import pytest
from okx_wire import OkxServer
from wire_faults import Fate

from guard.errors import ConfigError, OutcomeUnknown, VenueRefused
from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues import SUPPORTED, open_venue
from guard.venues.okx import FENCE, Okx
from guard.venues.okx_rows import error_of

D = Decimal
BTC, INVERSE = OkxServer.sample.symbol, OkxServer.inverse.symbol
LIVE_URLS = {"api": {"rest": "https://{hostname}", "ws": "wss://ws.okx.com:8443/ws/v5"}}


def now():
    raise AssertionError("nobody asks for the time")


def request_for(amount="62.31", symbol=BTC, side=Side.LONG, *, hedged=False, currency="USDT"):
    return MarginRequest(key=PositionKey(symbol, side), hedged=hedged, amount=D(amount), currency=currency)


@pytest.fixture
async def opened(server, okx):
    server.hold_sample()
    server.hold_sample(of=server.inverse)
    await okx.snapshot()
    server.requests.clear()
    return okx


# Amounts that ccxt's own add_margin would send as a binary float (ccxt_facts, section 3: "amt":100.7).
@pytest.mark.parametrize("amount", ["10.79", "0.01", "100", "1E+2", "100.70", "1234.56"])
async def test_the_body_is_the_amount_asked_for_as_text(server, opened, amount):
    confirmation = await opened.add_margin(request_for(amount))
    (call,) = server.writes
    body = json.loads(call.body)
    assert (call.method, call.path) == ("POST", "/api/v5/account/position/margin-balance")
    assert body == {"instId": "BTC-USDT-SWAP", "posSide": "net", "type": "add", "amt": f"{D(amount):f}"}
    assert confirmation == f"code 0, add {D(amount):f} to BTC-USDT-SWAP net"


async def test_it_is_one_request_and_nothing_beside_it(server, opened):
    await opened.add_margin(request_for())  # ccxt's add_margin would raise TypeError here, after the money moved.
    assert [(method, path.rsplit("/", 1)[-1]) for method, path, _ in server.requests] == [("POST", "margin-balance")]


@pytest.mark.parametrize("side", Side)
async def test_a_hedge_leg_is_named_with_its_side(server, okx, side):
    for leg in Side:
        server.hold_sample(leg, hedged=True)
    await okx.snapshot()
    await okx.add_margin(request_for(side=side, hedged=True))
    assert json.loads(server.writes[0].body)["posSide"] == side.word


async def test_margin_in_coin_keeps_eight_digits(server, opened):
    await opened.add_margin(request_for("0.00000001", INVERSE, currency="BTC"))
    assert json.loads(server.writes[0].body)["amt"] == "0.00000001"


@pytest.mark.parametrize("amount", ["0", "-5", "0.001"])
async def test_an_amount_that_is_no_positive_multiple_of_the_step_is_never_sent(server, opened, amount):
    with pytest.raises(ValueError, match=r"multiple of 0\.01"):
        await opened.add_margin(request_for(amount))
    assert not server.requests


@pytest.mark.parametrize("parameters", [{"type": "reduce"}, {"amt": "-5"}, {"amt": "0"}])
async def test_nothing_that_takes_margin_away_can_leave(server, opened, parameters):
    body = {"instId": "BTC-USDT-SWAP", "posSide": "net", "type": "add", "amt": "5"} | parameters
    with pytest.raises(Exception, match="not on the list"):
        await opened._client.privatePostAccountPositionMarginBalance(body)
    assert not server.requests


@pytest.mark.parametrize(
    "fields", [{"instId": "ETH-USDT-SWAP"}, {"posSide": "short"}, {"amt": "62.30"}, {"type": "reduce"}]
)
async def test_an_answer_about_something_else_proves_nothing(server, opened, fields):
    server.mangle("write", lambda answer: answer["data"][0].update(fields) or answer)
    with pytest.raises(OutcomeUnknown):
        await opened.add_margin(request_for())


@pytest.mark.parametrize(
    "data", [[], [{}], [None], None, {}, [{"sCode": "0"}], [{"amt": "62.31", "type": "add"}]], ids=repr
)
async def test_an_answer_without_its_row_proves_nothing(server, opened, data):
    server.mangle("write", lambda answer: answer | {"data": data})
    with pytest.raises(OutcomeUnknown):
        await opened.add_margin(request_for())


async def test_two_rows_for_one_request_prove_nothing(server, opened):
    server.mangle("write", lambda answer: answer | {"data": answer["data"] * 2})
    with pytest.raises(OutcomeUnknown):
        await opened.add_margin(request_for())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"code": "0", "data": [], "msg": ""}, None),
        ({"code": "59200", "data": [], "msg": "no"}, ("59200", "no")),
        ({"code": "1", "data": [{"sCode": "59301", "sMsg": "max"}], "msg": ""}, ("59301", "max")),
        ({"code": "2", "data": [{"sCode": "0"}, {"sCode": "59301", "sMsg": "max"}]}, ("59301", "max")),
        ({"code": "0", "data": [{"sCode": "59301", "sMsg": "max"}]}, ("59301", "max")),  # Success outside only.
        ({"code": "1", "data": [{"sCode": "0", "sMsg": ""}], "msg": "All operations failed"}, ("1", "All operations failed")),
        ({"code": "50004", "data": [{"sCode": "59200"}], "msg": "timeout"}, ("50004", "timeout")),
        ({"code": 59200, "msg": "no"}, ("59200", "no")),
        ({"data": []}, None),
        ([], None),
        (None, None),
    ],
    ids=str,
)  # fmt: skip
def test_an_error_is_found_outside_and_inside_of_its_envelope(answer, error):
    assert error_of(answer) == error


async def test_a_refusal_inside_a_success_is_a_refusal(server, opened):
    refusal = {"sCode": "59301", "sMsg": "Margin adjustment failed for exceeding the max limit."}
    server.mangle("write", lambda _answer: {"code": "0", "data": [refusal], "msg": ""})
    with pytest.raises(VenueRefused, match="more than OKX allows") as caught:
        await opened.add_margin(request_for())
    assert caught.value.code == "59301"


@pytest.mark.parametrize("code", ["50001", "50004", "50005", "50013", "50026", "51149", "1", "59999"])
async def test_what_does_not_prove_that_nothing_was_done_is_unknown(server, opened, code):
    server.fate_of_next_write = code
    with pytest.raises(OutcomeUnknown):
        await opened.add_margin(request_for())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("50009", "being liquidated: wait"),
        ("50017", "auto-deleveraging: wait"),
        ("50020", "being liquidated: wait"),
        ("50023", "funding is being settled: wait"),
        ("51030", "funding is being settled: wait"),
    ],
)
async def test_a_frozen_account_or_position_is_a_no_that_says_what_to_wait_for(server, opened, code, words):
    server.fate_of_next_write = code
    with pytest.raises(VenueRefused, match=words) as caught:
        await opened.add_margin(request_for())
    assert caught.value.code == code


async def test_busy_systems_are_no_rate_limit_although_they_answer_429(server, opened):
    server.fate_of_next_write = "50013"
    assert server.refusal("50013").status == 429
    with pytest.raises(OutcomeUnknown, match="50013"):
        await opened.add_margin(request_for())


async def test_a_rate_limit_asks_for_a_few_seconds_and_not_for_a_minute(server, opened):
    server.fate_of_next_write = Fate.RATE_LIMITED
    with pytest.raises(VenueRefused) as caught:
        await opened.add_margin(request_for())
    assert caught.value.retry_after.total_seconds() <= 5  # OKX counts by two seconds.


async def test_a_rate_limit_under_status_200_asks_for_quiet_too(server, opened):
    server.fate_of_next_write = "50011"
    with pytest.raises(VenueRefused) as caught:
        await opened.add_margin(request_for())
    assert server.refusal("50011").status == 200
    assert caught.value.retry_after.total_seconds() == 3


async def test_a_clock_that_was_refused_is_measured_before_the_next_read(server, opened):
    server.fate_of_next_write = "50102"
    with pytest.raises(VenueRefused, match="clock"):
        await opened.add_margin(request_for())
    server.requests.clear()
    await opened.snapshot()
    assert server.requests[0][1] == "/api/v5/public/time"


@pytest.mark.parametrize("level", ["1", "4", "9"])
async def test_an_account_that_is_only_watched_sends_nothing(server, okx, level):
    server.acct_lv = level
    server.hold_sample()
    await okx.snapshot()
    with pytest.raises(VenueRefused, match="not sent"):
        await okx.add_margin(request_for())
    assert not server.writes


async def test_a_key_for_demo_trading_needs_the_header(server):
    server.needs_header = True
    server.hold_sample()
    without = Okx(server.account(), now=server.now)
    with_it = Okx(server.account(headers={"x-simulated-trading": "1"}), now=server.now)
    try:
        with pytest.raises(Exception, match="50101"):
            await without.snapshot()
        assert len((await with_it.snapshot()).positions) == 1
        assert await with_it.add_margin(request_for())
    finally:
        await without.close()
        await with_it.close()


def account_on(server, **ccxt):
    return server.account(**{"urls": LIVE_URLS, **ccxt})


@pytest.mark.parametrize(
    ("ccxt", "is_test"),
    [
        ({}, False),
        ({"headers": {"x-simulated-trading": "1"}}, True),
        ({"headers": {"X-Simulated-Trading": "1"}}, True),
        ({"headers": {"x-simulated-trading": "0"}}, False),
        ({"headers": {"x-simulated": "1"}}, False),
        ({"sandbox": True}, True),
        ({"options": {"sandbox": True}}, True),
    ],
    ids=str,
)
async def test_a_test_mode_is_what_the_header_says_and_nothing_else(server, ccxt, is_test):
    venue = Okx(account_on(server, **ccxt), now=now)
    try:
        assert venue.write_terms.test_host is is_test
        assert venue.hosts()[0].startswith("ws")
        assert "www.okx.com" in venue.hosts()
    finally:
        await venue.close()


async def test_a_header_that_went_away_stops_the_write(server):
    server.hold_sample()
    venue = Okx(account_on(server, headers={"x-simulated-trading": "1"}), now=server.now)
    venue._config = (await _config_of(server))._config
    venue._by_symbol = (await _config_of(server))._by_symbol
    venue._client.headers = {}
    try:
        with pytest.raises(VenueRefused, match="x-simulated-trading"):
            await venue.add_margin(request_for())
    finally:
        await venue.close()


async def _config_of(server):
    venue = Okx(server.account(), now=server.now)
    await venue.open()
    await venue.close()
    return venue


@pytest.mark.parametrize("options", [{"enableDemoTrading": True}, {"sandboxMode": True}])
def test_a_test_mode_that_ccxt_would_not_send_is_a_config_error(server, options):
    with pytest.raises(ConfigError, match="sandbox = true"):
        Okx(account_on(server, options=options), now=now)


async def test_another_hostname_is_the_one_in_use(server):
    venue = Okx(account_on(server, hostname="www.okx.example"), now=now)
    try:
        assert "www.okx.example" in venue.hosts()
        assert not venue.write_terms.test_host
    finally:
        await venue.close()


async def test_the_fence_covers_the_life_of_a_request(server):
    venue = open_venue(account_on(server), now=now)
    try:
        assert "okx" in SUPPORTED
        assert venue.write_terms.fence == FENCE
        assert FENCE.total_seconds() == 49  # 0.5 for its turn, 30 that a stamp holds, 10 behind it, 8.5 for the rest.
    finally:
        await venue.close()
