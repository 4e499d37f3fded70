"""The judge of write answers alone, with a table of its own: what is a yes, what a no, and what neither."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from guard.errors import OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues.gate import NotSent
from guard.venues.rows import Number
from guard.venues.transport import Answered
from guard.venues.write_answers import Confirmation, Refusal, WriteAnswers, judge_write

REQUEST = MarginRequest(
    key=PositionKey("BTC/USDT:USDT", Side.LONG), hedged=False, amount=Decimal("62.310"), currency="USDT"
)
WHAT = "62.310 USDT to BTC/USDT:USDT long"


class Said(Confirmation):
    amount: Number

    @property
    def amount_said(self):
        return self.amount

    @property
    def text(self):
        return f"amount {self.amount:f}"


class Silent(Confirmation):
    code: Number

    @property
    def amount_said(self):
        return None

    @property
    def text(self):
        return "done"


def answers(confirmation=Said):
    return WriteAnswers(
        confirmation=confirmation,
        refusing_statuses=frozenset({429}),
        refusals={
            "-1": Refusal(meaning="no money", remedy="move some in"),
            "-2": Refusal(meaning="overloaded", even_as_5xx=True),
        },
    )


async def judged(answer, confirmation=Said):
    """Let the exchange answer so, or the request fail so."""

    async def send():
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return await judge_write(send, REQUEST, answers(confirmation))


def answered(status, code=None, retry_after=None):
    return Answered("the answer", status=status, code=code, retry_after=retry_after)


async def test_a_yes_is_what_the_venues_own_class_reads_and_repeats_the_amount():
    assert await judged({"amount": "62.31"}) == "amount 62.31"
    assert await judged({"code": 200}, Silent) == "done"


async def test_another_amount_is_no_yes_and_no_no():
    with pytest.raises(OutcomeUnknown) as unknown:
        await judged({"amount": "62.32"})
    assert str(unknown.value) == f"{WHAT}: the answer speaks of 62.32"


async def test_what_cannot_be_read_as_a_yes_is_unknown_and_says_so():
    with pytest.raises(OutcomeUnknown, match=rf"^{WHAT}: answered without a confirmation \(.*amount.*\)$"):
        await judged({"code": 200})


async def test_a_listed_code_is_a_no_that_says_what_to_do():
    with pytest.raises(VenueRefused) as refused:
        await judged(answered(400, "-1", timedelta(seconds=7)))
    assert str(refused.value) == f"{WHAT}: no money: move some in (the answer)"
    assert (refused.value.code, refused.value.retry_after) == ("-1", timedelta(seconds=7))
    assert refused.value.__context__ is None


async def test_a_no_that_nobody_can_mend_says_what_it_means_and_nothing_more():
    with pytest.raises(VenueRefused) as refused:
        await judged(answered(503, "-2"))
    assert str(refused.value) == f"{WHAT}: overloaded (the answer)"


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (499, "-1", VenueRefused),
        (500, "-1", OutcomeUnknown),
        (503, "-2", VenueRefused),
        (400, "-3", OutcomeUnknown),
        (400, None, OutcomeUnknown),
        (400, "", OutcomeUnknown),
    ],
)
async def test_under_a_server_error_only_a_code_that_says_so_is_a_no(status, code, expected):
    with pytest.raises(expected, match=f"^{WHAT}: "):
        await judged(answered(status, code))


@pytest.mark.parametrize(("code", "said"), [("-9", "-9"), (None, "429")])
async def test_a_status_that_is_a_no_by_itself_needs_no_code(code, said):
    with pytest.raises(VenueRefused) as refused:
        await judged(answered(429, code, timedelta(seconds=30)))
    assert str(refused.value) == f"{WHAT}: the answer"
    assert (refused.value.code, refused.value.retry_after) == (said, timedelta(seconds=30))


async def test_what_never_left_is_a_no():
    with pytest.raises(VenueRefused) as refused:
        await judged(NotSent("quiet was asked for", retry_after=timedelta(seconds=5)))
    assert str(refused.value) == f"{WHAT}: quiet was asked for"
    assert (refused.value.code, refused.value.retry_after) == ("not_sent", timedelta(seconds=5))


async def test_whatever_else_broke_is_unknown_and_no_foreign_text_is_told():
    with pytest.raises(OutcomeUnknown) as unknown:
        await judged(VenueUnavailable("no answer within 8 s"))
    assert str(unknown.value) == f"{WHAT}: no answer within 8 s"
    with pytest.raises(OutcomeUnknown) as unknown:
        await judged(TypeError("a secret"))
    assert str(unknown.value) == f"{WHAT}: TypeError"


async def test_a_cancellation_passes_through():
    with pytest.raises(asyncio.CancelledError):
        await judged(asyncio.CancelledError())
