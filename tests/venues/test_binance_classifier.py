"""The classifier of the reliability study, section 2, row by row for Binance USD-M: reply -> outcome, one POST each.

Real venue, real ccxt, real aiohttp, real sockets; the far side is bytes. APPLIED needs positive evidence, NOT_APPLIED
an allow-listed code; everything else is UNKNOWN, whatever class ccxt would have made of it.
"""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs

import pytest
from raw_server import End, http, raw_server

from guard.errors import OutcomeUnknown, VenueRefused
from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues import transport
from guard.venues.binance_margin import CLEAR_NOES

APPLIED, NOT_APPLIED, UNKNOWN = "applied", "not applied", "unknown"
REQUEST = MarginRequest(
    key=PositionKey("BTC/USDT:USDT", Side.LONG), hedged=False, amount=Decimal("62.31"), currency="USDT"
)
YES = b'{"amount": 62.31, "code": 200, "msg": "Successfully modify position margin.", "type": 1}'
PAGE = b"<html><body>maintenance</body></html>"


def refusal(code: int, text: str = "refused") -> bytes:
    return json.dumps({"code": code, "msg": text}).encode()


# The three bodies of a 503 that Binance documents (general info, "HTTP Return Codes"; seen 2026-07). B and C are said
# to be certain failures; they carry no code that could be parsed, so they are unknown here: the stricter reading.
UNAVAILABLE = {
    "503 A, unknown error": refusal(-1000, "Unknown error, please check your request or try again later."),
    "503 A without a code": b'{"msg": "Unknown error, please check your request or try again later."}',
    "503 B, service unavailable": b'{"msg": "Service Unavailable."}',
    "503 C, internal error": b'{"msg": "Internal error; unable to process your request. Please try again."}',
    "503 C with -1001": refusal(-1001, "Internal error; unable to process your request. Please try again."),
    "503 as a page": PAGE,
}
ROWS = {
    **{name: (http(503, body), UNKNOWN) for name, body in UNAVAILABLE.items()},
    "503 with -1008": (http(503, refusal(-1008, "Server is currently overloaded")), NOT_APPLIED),
    "-1008 with 400": (http(400, refusal(-1008)), NOT_APPLIED),
    "-1008 in words only": (http(503, b'{"msg": "throttled by system-level protection (-1008)"}'), UNKNOWN),
    **{
        f"{code} with {status}": (http(status, refusal(code)), UNKNOWN)
        for code, status in ((-1006, 400), (-1006, 503), (-1007, 408), (-1007, 504), (-1000, 400), (-1001, 500))
    },
    "-1021": (http(400, refusal(-1021, "Timestamp for this request is outside of the recvWindow.")), NOT_APPLIED),
    "-1003 with 429": (http(429, refusal(-1003), Retry_After="3"), NOT_APPLIED),
    "-1003 with 418": (http(418, refusal(-1003), Retry_After="3"), NOT_APPLIED),
    "429 as a page": (http(429, PAGE), NOT_APPLIED),
    "418 with nothing": (http(418, b""), NOT_APPLIED),
    **{
        str(code): (http(400, refusal(code)), NOT_APPLIED) for code in (-4049, -4050, -4051, -4054, -4055, -2018, -2019)
    },
    **{
        f"{code} under 5xx": (http(502, refusal(code)), UNKNOWN)
        for code in (-4049, -4050, -4051, -4054, -4055, -2018, -2019, -1021, -1003)
    },
    **{f"{status} as a page": (http(status, PAGE), UNKNOWN) for status in (500, 502, 504, *range(520, 531))},
    **{f"{status} with a yes in it": (http(status, YES), UNKNOWN) for status in (300, 400, 500, 520, 522, 524)},
    **{f"{status} with nothing": (http(status, b""), UNKNOWN) for status in (502, 520, 524)},
    "200 as a page": (http(200, PAGE), UNKNOWN),
    **{
        f"200 with {body.decode() or 'nothing'}": (http(200, body), UNKNOWN)
        for body in (b"", b"null", b"{}", b"[]", b'""', b"200", b"true", b"[{}]", b" ")
    },
    "200 with a list round the yes": (http(200, b"[" + YES + b"]"), UNKNOWN),
    "204": (http(204, b""), UNKNOWN),
    "200 with an unknown code": (http(200, refusal(-9999)), UNKNOWN),
    **{f"a code never seen, {code}": (http(400, refusal(code)), UNKNOWN) for code in (-1, 0, 1, -4052, -4999, -5028)},
    "a code that is text": (http(400, b'{"code": "-4051x", "msg": "?"}'), UNKNOWN),
    "a code that is null": (http(400, b'{"code": null, "msg": "?"}'), UNKNOWN),
    "a code of another exchange": (http(400, b'{"retCode": 10000, "retMsg": "Server Timeout"}'), UNKNOWN),
    "no HTTP at all": (b"SSH-2.0-OpenSSH_9.2\r\n", UNKNOWN),
    "nothing and FIN": (b"", UNKNOWN),
    "the yes": (http(200, YES), APPLIED),
    "the yes without a length": (http(200, YES, length=False), APPLIED),
}


async def outcome_of(venue) -> str:
    try:
        await venue.add_margin(REQUEST)
    except VenueRefused:
        return NOT_APPLIED
    except OutcomeUnknown:
        return UNKNOWN
    return APPLIED


@pytest.fixture
async def far_side(exchange, venue):
    """Give a server for the one write; everything else goes where it always goes."""
    await venue.open()
    async with raw_server() as raw:
        venue._client.urls["api"]["fapiPrivate"] = f"{raw.url}/fapi/v1"
        venue._client.gate.origins |= {transport.yarl.URL(raw.url)}
        yield raw


@pytest.mark.parametrize(("reply", "outcome"), ROWS.values(), ids=ROWS.keys())
async def test_each_reply_has_its_outcome_after_exactly_one_post(far_side, venue, reply, outcome):
    far_side.answer = lambda _: reply
    assert await outcome_of(venue) == outcome
    assert far_side.posts == 1


@pytest.mark.parametrize("code", CLEAR_NOES)
async def test_every_code_on_the_list_is_a_no_and_none_is_one_without_its_code(far_side, venue, code):
    far_side.answer = lambda _: http(400, refusal(int(code)))
    assert await outcome_of(venue) == NOT_APPLIED
    far_side.answer = lambda _: http(400, json.dumps({"msg": f"{code}: {CLEAR_NOES[code]}"}).encode())
    assert await outcome_of(venue) == UNKNOWN
    assert far_side.posts == 2


@pytest.mark.parametrize("end", [End.FIN, End.RST])
@pytest.mark.parametrize("length", [True, False], ids=["with a length", "until the end"])
async def test_a_yes_cut_off_at_any_byte_is_unknown_after_one_post(far_side, venue, end, length):
    whole, far_side.end = http(200, YES, length=length), end
    step = 1 if end is End.FIN else 7
    wrong = []
    cuts = range(0, len(whole), step)
    for cut in cuts:
        far_side.answer = lambda _, cut=cut: whole[:cut]
        if await outcome_of(venue) != UNKNOWN:
            wrong.append(cut)
    assert wrong == []
    assert far_side.posts == len(cuts)


async def test_a_no_cut_off_at_any_byte_is_unknown_after_one_post(far_side, venue):
    whole = http(400, refusal(-4051, "Isolated balance insufficient."))
    wrong = []
    for cut in range(len(whole)):
        far_side.answer = lambda _, cut=cut: whole[:cut]
        if await outcome_of(venue) != UNKNOWN:
            wrong.append(cut)
    assert wrong == []
    assert far_side.posts == len(whole)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", http(200, YES)[:-20]], ids=["nothing", "half a line", "half"])
async def test_an_answer_that_stops_coming_is_unknown_at_the_deadline_after_one_post(far_side, venue, said):
    venue._client.deadline_s = 0.2
    far_side.answer, far_side.end = lambda _: said, End.NEVER
    assert await outcome_of(venue) == UNKNOWN
    assert far_side.posts == 1


async def test_a_cancellation_is_no_outcome_and_nothing_is_sent_again(far_side, venue):
    far_side.end = End.NEVER
    asking = asyncio.create_task(venue.add_margin(REQUEST))
    await far_side.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert far_side.posts == 1


async def test_a_yes_to_another_amount_or_kind_is_unknown(far_side, venue):
    for fields in (
        {"amount": 62.32},
        {"amount": -62.31},
        {"type": 2},
        {"code": 201},
        {"amount": None},
        {"type": "add"},
    ):
        far_side.answer = lambda _, fields=fields: http(200, json.dumps(json.loads(YES) | fields).encode())
        assert await outcome_of(venue) == UNKNOWN, fields


async def test_what_left_is_the_amount_of_the_request_to_the_last_digit(far_side, venue):
    seen: list[bytes] = []
    far_side.answer = lambda body: seen.append(body) or http(200, YES)
    assert await outcome_of(venue) == APPLIED
    assert [parse_qs(body.decode())["amount"] for body in seen] == [["62.31"]]


async def test_how_long_to_stay_away_comes_with_the_no(far_side, venue):
    far_side.answer = lambda _: http(418, refusal(-1003), Retry_After="30")
    with pytest.raises(VenueRefused) as refused:
        await venue.add_margin(REQUEST)
    assert refused.value.retry_after == timedelta(seconds=30)
    with pytest.raises(VenueRefused, match="asked for quiet"):
        await venue.add_margin(REQUEST)
    assert far_side.posts == 1
