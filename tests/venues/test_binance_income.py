"""Which symbols were traded lately, by the exchange's income, read in halves where a page is full."""

from datetime import UTC, datetime, timedelta

import pytest

from guard.errors import VenueUnavailable
from guard.venues import binance_margin
from guard.venues.binance_margin import INCOME_REQUESTS_MAX, read_traded, server_time

START = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Income:
    """Serves rows of a span, at most a page of them, oldest first."""

    def __init__(self, *rows):
        self.rows = list(rows)  # Milliseconds since START, and symbol.
        self.asked = []

    async def fapiPrivateGetIncome(self, parameters):  # noqa: N802  As ccxt names it.
        start, end = parameters["startTime"], parameters["endTime"]
        self.asked.append((start, end))
        origin = round(START.timestamp() * 1000)
        found = [{"symbol": symbol} for at, symbol in self.rows if start <= origin + at <= end]
        return found[: parameters["limit"]]

    async def fapiPublicGetTime(self, _):  # noqa: N802  As ccxt names it.
        return {"serverTime": "soon"}


@pytest.fixture(autouse=True)
def pages_of_two(monkeypatch):
    monkeypatch.setattr(binance_margin, "INCOME_ROWS_MAX", 2)


async def traded(income, end=START + SECOND):
    return await read_traded(income, "fapi", start=START, end=end)


async def test_what_was_booked_names_the_symbols_and_a_transfer_names_none():
    income = Income((0, "BTCUSDT"))
    assert await traded(income) == {"BTCUSDT"}
    assert await traded(Income((0, ""))) == frozenset()
    assert await traded(Income()) == frozenset()
    assert len(income.asked) == 1


async def test_a_full_page_is_asked_for_again_in_halves_that_leave_nothing_out():
    income = Income((0, "A"), (500, "B"), (501, "C"), (1000, "D"))
    assert await traded(income) == {"A", "B", "C", "D"}
    first, *halves = [(start - income.asked[0][0], end - income.asked[0][0]) for start, end in income.asked]
    assert first == (0, 1000)
    assert halves[0] == (0, 500)
    assert (501, 1000) in halves


async def test_rows_that_no_halving_parts_are_not_asked_for_without_end():
    income = Income((0, "A"), (0, "B"))
    assert await traded(income, end=START) == {"A", "B"}
    assert len(income.asked) == 1


async def test_more_rows_than_it_asks_for_are_said_to_be_not_known():
    income = Income(*((at, f"S{at}") for at in range(1000)))
    assert await traded(income) is None
    assert len(income.asked) == INCOME_REQUESTS_MAX


async def test_what_makes_no_sense_is_no_answer():
    with pytest.raises(VenueUnavailable, match=r"^income: .*symbol"):
        await traded(Income((0, 5)))
    with pytest.raises(VenueUnavailable, match=r"^time: "):
        await server_time(Income(), "fapi")
