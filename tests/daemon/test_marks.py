"""A mark price that was asked for, to spend on: when it counts, and what it must not keep out."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from guard.daemon.reader import MARK_AGE_MAX, AccountReader
from guard.errors import VenueUnavailable
from guard.snapshot import Mark

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
BTC = "BTC/USDT:USDT"


class _Venue:
    """As much of a venue as says a mark price."""

    skew = None

    def __init__(self):
        self.said = NOW
        self.price = Decimal(1)

    async def mark(self, symbol):
        return Mark(symbol=symbol, price=self.price, at=self.said)


async def test_a_mark_from_the_future_is_refused_and_keeps_no_true_one_out():
    venue = _Venue()
    reader = AccountReader(venue, lambda: NOW)
    venue.said = NOW + timedelta(days=1)
    with pytest.raises(VenueUnavailable, match="dates it"):
        await reader.read_mark(BTC)
    assert reader.mark_since(BTC, NOW - timedelta(hours=1)) is None
    venue.said, venue.price = NOW, Decimal(2)
    await reader.read_mark(BTC)
    assert reader.mark_since(BTC, NOW - timedelta(hours=1)).price == 2


async def test_an_old_mark_is_not_spent_on_but_is_the_best_that_is_known():
    venue = _Venue()
    reader = AccountReader(venue, lambda: NOW)
    venue.said = NOW - MARK_AGE_MAX - timedelta(seconds=1)
    with pytest.raises(VenueUnavailable, match="dates it"):
        await reader.read_mark(BTC)
    assert reader.mark_since(BTC, NOW - timedelta(hours=1)).price == 1
