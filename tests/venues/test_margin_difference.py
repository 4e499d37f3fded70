"""Settling by what a position holds: the amount, nothing, or a person."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from guard.snapshot import (
    Contract,
    ContractKind,
    Liquidation,
    LiquidationKind,
    MarginBefore,
    MarginMode,
    MarginRequest,
    Outcome,
    Position,
    Side,
)
from guard.venues.margin_difference import settle_by_margin

FENCE = timedelta(seconds=10)
READ_AT = datetime(2026, 7, 1, 4, 12, 0, tzinfo=UTC)
SENT_AT = READ_AT + timedelta(seconds=2)
LATER = SENT_AT + timedelta(minutes=1)
BTC = Contract(
    symbol="BTC/USDT:USDT", kind=ContractKind.LINEAR, base="BTC", settle="USDT", contract_size=Decimal("0.001")
)
POSITION = Position(
    contract=BTC,
    side=Side.LONG,
    margin_mode=MarginMode.ISOLATED,
    quantity=Decimal(100),
    entry_price=Decimal(60000),
    mark_price=Decimal(58000),
    isolated_wallet=Decimal(600),
    leverage=Decimal(10),
    hedged=False,
    auto_add_margin=False,
    exchange_liquidation=Liquidation(kind=LiquidationKind.UNKNOWN),
    exchange_maintenance_margin=None,
    updated_at=None,
)
BEFORE = MarginBefore(
    margin=Decimal(600), quantity=Decimal(100), entry_price=Decimal(60000), mark_price=Decimal(58000), read_at=READ_AT
)
REQUEST = MarginRequest(key=POSITION.key, hedged=False, amount=Decimal(250), currency="USDT", before=BEFORE)


async def settle(*holdings, request=REQUEST, now=LATER, **more):
    """Settle while the position holds these amounts, one a reading; the last one stays."""
    readings = list(holdings)

    async def read():
        held = readings.pop(0) if len(readings) > 1 else readings[0]
        if held is None or isinstance(held, Position):
            return held
        return replace(POSITION, isolated_wallet=Decimal(held))

    return await settle_by_margin(request, read, sent_at=SENT_AT, now=now, fence=FENCE, **more)


@pytest.mark.parametrize(
    ("holdings", "expected"),
    [
        (["850"], Outcome.APPLIED),
        (["600"], Outcome.NOT_APPLIED),
        (["600", "850"], Outcome.APPLIED),
        (["600", "720"], Outcome.UNKNOWN),
        (["720"], Outcome.UNKNOWN),
        (["1100"], Outcome.UNKNOWN),
        (["849.9995"], Outcome.APPLIED),
        (["849"], Outcome.UNKNOWN),
        ([None], Outcome.UNKNOWN),
        ([replace(POSITION, quantity=Decimal(90), isolated_wallet=Decimal(850))], Outcome.UNKNOWN),
        ([replace(POSITION, entry_price=Decimal(59000), isolated_wallet=Decimal(600))], Outcome.UNKNOWN),
        ([replace(POSITION, isolated_wallet=None)], Outcome.UNKNOWN),
    ],
    ids=str,
)
async def test_only_the_amount_or_nothing_is_an_end(holdings, expected):
    assert (await settle(*holdings)).outcome is expected


async def test_nothing_is_not_an_end_before_the_fence_and_the_amount_is():
    early = SENT_AT + FENCE - timedelta(milliseconds=1)
    waiting = await settle("600", now=early)
    assert waiting.outcome is Outcome.UNKNOWN
    assert "it may still be executed until 04:12:12 UTC" in waiting.evidence
    assert (await settle("850", now=early)).outcome is Outcome.APPLIED


async def test_other_top_ups_since_are_told_apart_and_one_in_doubt_ends_all_knowing():
    after_another = replace(REQUEST, before=replace(BEFORE, added_since=Decimal(100)))
    assert (await settle("950", request=after_another)).outcome is Outcome.APPLIED
    assert (await settle("700", request=after_another)).outcome is Outcome.NOT_APPLIED
    assert (await settle("850", request=after_another)).outcome is Outcome.UNKNOWN
    in_doubt = replace(REQUEST, before=replace(BEFORE, added_since=None))
    assert (await settle("850", request=in_doubt)).outcome is Outcome.UNKNOWN
    assert (await settle("850", request=replace(REQUEST, before=None))).outcome is Outcome.UNKNOWN


async def test_a_full_hour_may_have_brought_funding_unless_its_records_say_what_it_brought():
    next_hour = READ_AT + timedelta(hours=1)
    for held in ("850", "600"):  # 4 % of 5,800 is nearly the amount itself: both ends would fit.
        unclear = await settle(held, now=next_hour)
        assert unclear.outcome is Outcome.UNKNOWN
        assert "funding may have moved as much" in unclear.evidence

    async def paid(since):
        assert since == READ_AT
        return Decimal("-17.4")

    assert (await settle("832.6", now=next_hour, read_funding=paid)).outcome is Outcome.APPLIED
    assert (await settle("582.6", now=next_hour, read_funding=paid)).outcome is Outcome.NOT_APPLIED
    assert (await settle("600", now=next_hour, read_funding=paid)).outcome is Outcome.UNKNOWN


async def test_a_reserve_for_the_fee_to_close_is_allowed_for():
    assert (await settle("849.8")).outcome is Outcome.UNKNOWN
    assert (await settle("849.8", reserve_rate=Decimal("0.001"))).outcome is Outcome.APPLIED


async def test_at_the_instant_that_the_fence_ends_nothing_is_an_end():
    assert (await settle("600", now=SENT_AT + FENCE)).outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize(("now", "readings"), [(SENT_AT, 1), (LATER, 2)])
async def test_a_second_reading_is_made_only_where_it_can_say_more(now, readings):
    made = []

    async def read():
        made.append(1)
        return replace(POSITION, isolated_wallet=Decimal(600))

    await settle_by_margin(REQUEST, read, sent_at=SENT_AT, now=now, fence=FENCE)
    assert len(made) == readings


@pytest.mark.parametrize(
    ("held", "before", "text"),
    [
        ("850", BEFORE, "its margin went from 600 to 850 USDT; 250 were sent"),
        (
            "950",
            replace(BEFORE, added_since=Decimal(100)),
            "its margin went from 600 to 950 USDT, 100 of it by other top-ups; 250 were sent",
        ),
        ("600", BEFORE, "its margin went from 600 to 600 USDT; 250 were sent"),
        ("850", replace(BEFORE, added_since=None), "another request of the same position is in doubt as well"),
        ("850", None, "what the position held before is not known"),
        (None, BEFORE, "the position is not there any more"),
        (replace(POSITION, margin_mode=MarginMode.CROSS), BEFORE, "it is not isolated any more"),
        (replace(POSITION, isolated_wallet=None), BEFORE, "what margin it holds is not known"),
        (
            replace(POSITION, quantity=Decimal(90)),
            BEFORE,
            "the position changed meanwhile, from 100 at 60000 to 90 at 60000",
        ),
    ],
    ids=str,
)
async def test_the_evidence_says_what_was_seen(held, before, text):
    assert (await settle(held, request=replace(REQUEST, before=before))).evidence == text


async def test_funding_that_the_records_show_is_said():
    async def paid(_):
        return Decimal("-17.4")

    assert (await settle("832.6", read_funding=paid)).evidence == (
        "its margin went from 600 to 832.6 USDT, -17.4 of it by funding; 250 were sent"
    )


async def test_the_exchanges_rounding_is_allowed_for_to_a_millionth_of_the_larger_margin_and_no_further():
    assert (await settle("599.9994")).outcome is Outcome.NOT_APPLIED
    assert (await settle("599.9993")).outcome is Outcome.UNKNOWN
    exactly_one = Decimal("0.003996604")  # 849 * 0.000001 + 250 * this = 1
    assert (await settle("849", reserve_rate=exactly_one)).outcome is Outcome.APPLIED
    assert (await settle("849", reserve_rate=exactly_one - Decimal("1e-9"))).outcome is Outcome.UNKNOWN


async def test_a_doubt_of_half_the_amount_fits_both_ends_and_so_proves_neither():
    exactly_half = Decimal("0.4999976")  # 600 * 0.000001 + 250 * this = 125
    unclear = await settle("600", reserve_rate=exactly_half)
    assert unclear.evidence == "its margin went from 600 to 600 USDT; 250 were sent, and funding may have moved as much"
    assert (await settle("600", reserve_rate=exactly_half - Decimal("1e-9"))).outcome is Outcome.NOT_APPLIED


# One payment moves at most 4 % of 5,800: 232. Of 1,000 sent, 800 are seen then; without a payment they are unexplained.
@pytest.mark.parametrize(
    ("read_at", "now", "expected"),
    [
        (READ_AT.replace(minute=1), READ_AT.replace(minute=59, second=59), Outcome.UNKNOWN),
        (READ_AT.replace(minute=1), READ_AT.replace(hour=5, minute=0), Outcome.APPLIED),
        (READ_AT.replace(minute=0, second=59), READ_AT.replace(minute=30), Outcome.APPLIED),  # Booked a bit late.
        (READ_AT.replace(hour=3), READ_AT.replace(hour=5), Outcome.APPLIED),  # Two payments: 464.
        (READ_AT.replace(hour=2), READ_AT.replace(hour=5), Outcome.UNKNOWN),  # Three: 696, more than half.
        (READ_AT.replace(minute=1, microsecond=900_000), READ_AT.replace(hour=5, minute=0), Outcome.APPLIED),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "IST-5:30"])  # Of the machine: full hours are those of UTC.
async def test_every_full_hour_may_have_brought_one_payment(monkeypatch, zone, read_at, now, expected):
    with monkeypatch.context() as there:
        there.setenv("TZ", zone)
        time.tzset()
        await pay_by_the_hour(read_at, now, expected)
    time.tzset()


async def pay_by_the_hour(read_at, now, expected):
    before = replace(BEFORE, read_at=read_at)
    request = replace(REQUEST, amount=Decimal(1000), before=before)
    assert (await settle("1400", request=request, now=now)).outcome is expected
    east = timezone(timedelta(hours=5, minutes=30))
    moved = replace(request, before=replace(before, read_at=read_at.astimezone(east)))
    assert (await settle("1400", request=moved, now=now.astimezone(east))).outcome is expected


async def test_a_payment_explains_its_own_size_and_no_more():
    next_hour, request = READ_AT + timedelta(hours=1), replace(REQUEST, amount=Decimal(1000))
    for held, expected in (
        ("1368", Outcome.APPLIED),
        ("1367", Outcome.UNKNOWN),
        ("832", Outcome.NOT_APPLIED),
        ("833", Outcome.UNKNOWN),
    ):
        assert (await settle(held, request=request, now=next_hour)).outcome is expected, held
