"""The classifier of the reliability study, section 2, over every venue that can write: reply -> outcome, one POST each.

Real venue, real ccxt, real aiohttp, real sockets; the far side is bytes. APPLIED needs positive evidence, NOT_APPLIED
an allow-listed code; everything else is UNKNOWN, whatever class ccxt would have made of it. A venue joins by a
`Classified` of its own in VENUES.
"""

import asyncio
from itertools import chain

import pytest
from classified import APPLIED, NOT_APPLIED, UNKNOWN, Classified
from classified_binance import BINANCE
from classified_bitget import BITGET
from classified_bitget_uta import BITGET_UTA
from classified_bybit import BYBIT
from classified_coinm import COINM
from classified_gate import GATE
from classified_hyperliquid import HYPERLIQUID
from classified_okx import OKX
from raw_server import End, http, raw_server

from guard.errors import OutcomeUnknown, VenueRefused

VENUES: tuple[Classified, ...] = (BINANCE, COINM, BYBIT, OKX, HYPERLIQUID, GATE, BITGET, BITGET_UTA)
PAGE = b"<html><body>maintenance</body></html>"


def rows_of(venue: Classified) -> dict[str, tuple[bytes, str]]:
    """What holds for every exchange, by its own bodies, and the rows that are its alone."""
    yes, codes = venue.yes, venue.answers.refusals
    return {
        "503 as a page": (http(503, PAGE), UNKNOWN),
        **{f"{code}": (http(venue.refused_status, venue.refusal(code)), NOT_APPLIED) for code in codes},
        **{
            f"{code} under {status}": (
                http(status, venue.refusal(code)),
                NOT_APPLIED if codes[code].even_as_5xx else UNKNOWN,
            )
            for code in codes
            for status in (500, 502)
        },
        **{f"a code never seen, {code}": (http(400, venue.refusal(code)), UNKNOWN) for code in venue.codes_never_seen},
        **dict(
            chain.from_iterable(
                (
                    (f"{status} as a page", (http(status, PAGE), NOT_APPLIED)),
                    (f"{status} with nothing", (http(status, b""), NOT_APPLIED)),
                )
                for status in venue.answers.refusing_statuses
            )
        ),
        **{f"{status} as a page": (http(status, PAGE), UNKNOWN) for status in (500, 502, 504, *range(520, 531))},
        **{f"{status} with a yes in it": (http(status, yes), UNKNOWN) for status in (300, 400, 500, 520, 522, 524)},
        **{f"{status} with nothing": (http(status, b""), UNKNOWN) for status in (502, 520, 524)},
        "200 as a page": (http(200, PAGE), UNKNOWN),
        **{
            f"200 with {body.decode() or 'nothing'}": (http(200, body), UNKNOWN)
            for body in (b"", b"null", b"{}", b"[]", b'""', b"200", b"true", b"[{}]", b" ")
        },
        "200 with a list round the yes": (http(200, b"[" + yes + b"]"), UNKNOWN),
        "204": (http(204, b""), UNKNOWN),
        "no HTTP at all": (b"SSH-2.0-OpenSSH_9.2\r\n", UNKNOWN),
        "nothing and FIN": (b"", UNKNOWN),
        "the yes": (http(200, yes), APPLIED),
        "the yes without a length": (http(200, yes, length=False), APPLIED),
        **venue.rows,
    }


ROWS = [
    pytest.param(venue, *row, id=f"{venue.name}: {name}")
    for venue in VENUES
    for name, row in sorted(rows_of(venue).items(), key=lambda row: row[0])
]
CODES = [
    pytest.param(venue, code, id=f"{venue.name} {code}") for venue in VENUES for code in sorted(venue.answers.refusals)
]
every_venue = pytest.mark.parametrize("classified", VENUES, ids=lambda venue: venue.name)


@pytest.fixture
async def far_side():
    """Give a server for the one write; everything else goes where it always goes."""
    async with raw_server() as raw:
        yield raw


@pytest.fixture
async def venue(far_side, classified):
    async with classified.open_on(far_side.url) as opened:
        yield opened


@pytest.fixture
def outcome_of(classified, venue):
    async def outcome() -> str:
        try:
            await venue.add_margin(classified.request)
        except VenueRefused:
            return NOT_APPLIED
        except OutcomeUnknown:
            return UNKNOWN
        return APPLIED

    return outcome


@pytest.mark.parametrize(("classified", "reply", "expected"), ROWS)
async def test_each_reply_has_its_outcome_after_exactly_one_post(far_side, outcome_of, reply, expected):
    far_side.answer = lambda _: reply
    assert await outcome_of() == expected
    assert far_side.posts == 1


@pytest.mark.parametrize(("classified", "code"), CODES)
async def test_every_code_on_the_list_is_a_no_and_none_is_one_without_its_code(
    far_side, venue, outcome_of, classified, code
):
    status, meaning = classified.refused_status, classified.answers.refusals[code].meaning
    far_side.answer = lambda _: http(status, classified.refusal(code))
    assert await outcome_of() == NOT_APPLIED
    venue._client.gate._quiet_until = 0.0  # Some ask for quiet,
    venue._is_clock_off = False  # and some have the clock measured before anything is sent again.
    far_side.answer = lambda _: http(status, classified.refusal_in_words(code, meaning))
    assert await outcome_of() == UNKNOWN
    assert far_side.posts == 2


@pytest.mark.parametrize(("classified", "code"), CODES)
async def test_a_no_says_what_it_means_and_what_its_owner_can_do(far_side, venue, classified, code):
    far_side.answer = lambda _: http(classified.refused_status, classified.refusal(code))
    with pytest.raises(VenueRefused) as refused:
        await venue.add_margin(classified.request)
    refusal = classified.answers.refusals[code]
    assert refused.value.code == code
    assert refusal.meaning in str(refused.value)
    assert refusal.remedy in str(refused.value)


@every_venue
@pytest.mark.parametrize("end", [End.FIN, End.RST])
@pytest.mark.parametrize("length", [True, False], ids=["with a length", "until the end"])
async def test_a_yes_cut_off_at_any_byte_is_unknown_after_one_post(far_side, outcome_of, classified, end, length):
    whole, far_side.end = http(200, classified.yes, length=length), end
    step = 1 if end is End.FIN else 7
    wrong = []
    cuts = range(0, len(whole), step)
    for cut in cuts:
        far_side.answer = lambda _, cut=cut: whole[:cut]
        if await outcome_of() != UNKNOWN:
            wrong.append(cut)
    assert wrong == []
    assert far_side.posts == len(cuts)


@every_venue
async def test_a_no_cut_off_at_any_byte_is_unknown_after_one_post(far_side, outcome_of, classified):
    whole = http(classified.refused_status, classified.refusal(next(iter(classified.answers.refusals))))
    wrong = []
    for cut in range(len(whole)):
        far_side.answer = lambda _, cut=cut: whole[:cut]
        if await outcome_of() != UNKNOWN:
            wrong.append(cut)
    assert wrong == []
    assert far_side.posts == len(whole)


@every_venue
@pytest.mark.parametrize("said", ["nothing", "half a line", "half"])
async def test_an_answer_that_stops_coming_is_unknown_at_the_deadline_after_one_post(
    far_side, venue, outcome_of, classified, said
):
    venue._client.deadline_s = 0.2
    begun = {"nothing": b"", "half a line": b"HTTP/1.1 200", "half": http(200, classified.yes)[:-20]}[said]
    far_side.answer, far_side.end = lambda _: begun, End.NEVER
    assert await outcome_of() == UNKNOWN
    assert far_side.posts == 1


@every_venue
async def test_a_cancellation_is_no_outcome_and_nothing_is_sent_again(far_side, venue, classified):
    far_side.end = End.NEVER
    asking = asyncio.create_task(venue.add_margin(classified.request))
    await far_side.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert far_side.posts == 1


@every_venue
async def test_a_yes_to_another_amount_or_kind_is_unknown(far_side, outcome_of, classified):
    assert classified.not_yes
    for body in classified.not_yes:
        far_side.answer = lambda _, body=body: http(200, body)
        assert await outcome_of() == UNKNOWN, body


@every_venue
async def test_what_left_is_the_amount_of_the_request_to_the_last_digit(far_side, outcome_of, classified):
    seen: list[bytes] = []
    far_side.answer = lambda body: seen.append(body) or http(200, classified.yes)
    assert await outcome_of() == APPLIED
    assert [classified.amount_of(body) for body in seen] == [f"{classified.request.amount:f}"]


@every_venue
async def test_how_long_to_stay_away_comes_with_the_no(far_side, venue, classified):
    reply, wait = classified.limited
    far_side.answer = lambda _: reply
    with pytest.raises(VenueRefused) as refused:
        await venue.add_margin(classified.request)
    assert refused.value.retry_after == wait
    with pytest.raises(VenueRefused, match="asked for quiet"):
        await venue.add_margin(classified.request)
    assert far_side.posts == 1
