"""What Binance's history proves of a request whose answer was lost: to the millisecond, and in words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from guard.errors import VenueUnavailable
from guard.snapshot import MarginRequest, Outcome, PositionKey, Side
from guard.venues import binance_margin
from guard.venues.binance_margin import (
    BOOKED_EARLIER_MAX,
    CLOCK_TOLERANCE,
    HISTORY_MARGIN,
    read_changes,
    read_traded,
    settle,
)
from guard.venues.protocol import WriteTerms

LONG = PositionKey("BTC/USDT:USDT", Side.LONG)
SENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FENCE = timedelta(seconds=10)
START, END = SENT - BOOKED_EARLIER_MAX, SENT + FENCE + CLOCK_TOLERANCE
TERMS = WriteTerms(fence=FENCE, history_kept=timedelta(days=30), test_host=True)
REQUEST = MarginRequest(key=LONG, hedged=False, amount=Decimal("62.31"), currency="USDT")
MS = timedelta(milliseconds=1)


def ms(moment):
    return round(moment.timestamp() * 1000)


def row(at=SENT, amount="62.31", **fields):
    return {
        "symbol": "BTCUSDT", "type": 1, "deltaType": "USER_ADJUST", "amount": amount, "asset": "USDT",
        "time": ms(at), "positionSide": "BOTH",
    } | fields  # fmt: skip


class Exchange:
    """Keeps a history, and a clock that says what it is told."""

    def __init__(self, *rows, says=SENT + FENCE):
        self.rows, self.says = rows, says
        self.asked = []

    async def fapiPrivateGetPositionMarginHistory(self, parameters):  # noqa: N802  As ccxt names it.
        self.asked.append("history")
        start, end = parameters["startTime"], parameters["endTime"]
        return [one for one in self.rows if start <= one["time"] <= end][: parameters["limit"]]

    async def fapiPublicGetTime(self, parameters):  # noqa: N802  As ccxt names it.
        assert parameters == {}
        self.asked.append("time")
        return {"serverTime": ms(self.says)}

    dapiPrivateGetPositionMarginHistory = fapiPrivateGetPositionMarginHistory  # noqa: N815
    dapiPublicGetTime = fapiPublicGetTime  # noqa: N815


async def settled(exchange, *, after=FENCE, api="fapi", known=frozenset()):
    return await settle(
        exchange,
        api,
        REQUEST,
        "BTCUSDT",
        sent_at=SENT,
        now=SENT + after,
        skew=timedelta(0),
        terms=TERMS,
        known_entries=known,
    )


async def entries(exchange, *, start=START, end=END):
    return await read_changes(exchange, "fapi", "BTCUSDT", LONG, start=start, end=end)


async def test_an_entry_is_named_by_its_fields_and_the_second_alike_by_its_number():
    found = await entries(Exchange(row(), row()))
    fields = f"BTCUSDT|{ms(SENT)}|BOTH|USER_ADJUST|1|62.31"
    assert [one.entry_id for one in found] == [f"{fields}|1", f"{fields}|2"]


async def test_the_proof_says_what_was_added_when_and_by_whom():
    proof = await settled(Exchange(row(SENT + 3 * MS)), after=timedelta(0))
    assert (proof.outcome, proof.evidence) == (
        Outcome.APPLIED,
        "history: 62.31 USDT added at 12:00:00 UTC (USER_ADJUST)",
    )
    silent = {name: value for name, value in row().items() if name != "deltaType"}
    proof = await settled(Exchange(silent), api="dapi")
    assert proof.evidence == "history: 62.31 USDT added at 12:00:00 UTC (the exchange does not say by whom)"


async def test_at_the_end_of_the_fence_by_both_clocks_two_readings_mean_not_applied():
    exchange = Exchange()
    proof = await settled(exchange)
    assert (proof.outcome, proof.evidence) == (
        Outcome.NOT_APPLIED,
        "history: no such entry in two readings after 12:00:10 UTC",
    )
    assert exchange.asked == ["history", "time", "history"]


async def test_a_moment_before_it_is_unknown_and_the_exchanges_clock_is_not_asked():
    exchange = Exchange()
    proof = await settled(exchange, after=FENCE - MS)
    assert (proof.outcome, proof.evidence) == (
        Outcome.UNKNOWN,
        "not in the history; it may still be executed until 12:00:10 UTC",
    )
    assert exchange.asked == ["history"]


async def test_a_moment_before_it_by_the_exchanges_clock_it_is_unknown_after_one_reading():
    exchange = Exchange(says=SENT + FENCE - MS)
    proof = await settled(exchange)
    assert (proof.outcome, proof.evidence) == (
        Outcome.UNKNOWN,
        "not in the history; by the exchange's clock it may still be executed",
    )
    assert exchange.asked == ["history", "time"]


async def test_what_is_older_than_a_day_less_than_is_kept_is_not_asked_for():
    kept = TERMS.history_kept - HISTORY_MARGIN
    assert (await settled(Exchange(says=SENT + kept), after=kept)).outcome is Outcome.NOT_APPLIED
    exchange = Exchange()
    proof = await settled(exchange, after=kept + MS)
    assert (proof.outcome, proof.evidence) == (
        Outcome.UNKNOWN,
        "the exchange's history does not go back that far",
    )
    assert exchange.asked == []


@pytest.mark.parametrize(
    ("at", "symbol", "is_missed"),
    [
        (START, "BTCUSDT", True),
        (END, "BTCUSDT", True),
        (START - MS, "BTCUSDT", False),
        (END + MS, "BTCUSDT", False),
        (SENT, "ETHUSDT", False),
    ],
    ids=["the first moment", "the last", "earlier", "later", "another symbol"],
)
async def test_an_entry_that_was_there_before_and_should_be_there_now_is_missed(at, symbol, is_missed):
    known = frozenset({f"{symbol}|{ms(at)}|BOTH|USER_ADJUST|1|62.31|1"})
    proof = await settled(Exchange(), known=known)
    assert proof.outcome is (Outcome.UNKNOWN if is_missed else Outcome.NOT_APPLIED)
    assert not is_missed or proof.evidence == "not in the history; 1 entries that it had before are missing from it"


async def test_a_page_is_halved_without_a_moment_left_out_or_read_twice(monkeypatch):
    monkeypatch.setattr(binance_margin, "HISTORY_ROWS_MAX", 4)
    rows = [row(SENT + n * MS, amount=str(n + 1)) for n in range(11)]
    found = await entries(Exchange(*rows), start=SENT, end=SENT + 10 * MS)
    assert [one.amount for one in found] == list(range(1, 12))


async def test_income_that_is_no_list_is_named_and_moments_are_whole_milliseconds(monkeypatch):
    monkeypatch.setattr(binance_margin, "INCOME_ROWS_MAX", 2)
    asked = []

    class Income:
        async def fapiPrivateGetIncome(self, parameters):  # noqa: N802  As ccxt names it.
            asked.extend((parameters["startTime"], parameters["endTime"]))
            return [{"symbol": "A"}, {"symbol": "B"}] if len(asked) == 2 else {}

    with pytest.raises(VenueUnavailable, match=r"^income\b"):
        await read_traded(Income(), "fapi", start=SENT, end=SENT + 5 * MS)
    assert asked == [ms(SENT), ms(SENT) + 5, ms(SENT), ms(SENT) + 2]
    assert {type(moment) for moment in asked} == {int}
