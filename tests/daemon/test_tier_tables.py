"""Leverage brackets that cannot be read: what is known stays, and what is missing is asked for again soon."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from guard.daemon.reader import TIER_RETRY, TIER_RETRY_WITHOUT, AccountReader
from guard.errors import VenueUnavailable
from guard.snapshot import Gap
from guard.venues.protocol import TierTables

pytestmark = pytest.mark.looptime

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


class _Venue:
    """As much of a venue as says its brackets; what is not listed cannot be read."""

    account = "main"

    def __init__(self, **tables):
        self.tables = tables
        self.asked = 0

    async def tiers(self, symbols):
        self.asked += 1
        if self.tables is None:
            raise VenueUnavailable("no connection")
        found = {symbol: table for symbol, table in self.tables.items() if symbol in symbols}
        gaps = tuple(Gap(subject=f"{symbol} tiers", reason="timed out") for symbol in symbols - found.keys())
        return TierTables(by_symbol=found, read_at=NOW, gaps=gaps)


async def reader_of(venue):
    reader = AccountReader(venue, lambda: NOW)
    positions = [SimpleNamespace(contract=SimpleNamespace(symbol=symbol)) for symbol in (BTC, ETH)]
    reader.snapshot = SimpleNamespace(positions=positions)
    await reader._refresh_tiers_if_due()
    return reader


async def test_a_table_that_one_read_misses_stays_as_it_was():
    venue = _Venue(**{BTC: "old", ETH: "old"})
    reader = await reader_of(venue)
    venue.tables = {ETH: "new"}
    reader.tiers_are_due()
    await reader._refresh_tiers_if_due()
    assert reader.tables.by_symbol == {BTC: "old", ETH: "new"}
    await asyncio.sleep(TIER_RETRY.total_seconds())
    venue.tables = {BTC: "new", ETH: "new"}
    await reader._refresh_tiers_if_due()
    assert reader.tables.by_symbol == venue.tables


async def test_a_position_without_any_table_does_not_wait_for_tomorrow():
    """Where brackets are asked symbol by symbol, one lost answer kept one position from being helped for a day."""
    venue = _Venue(**{ETH: "new"})
    reader = await reader_of(venue)
    await reader._refresh_tiers_if_due()
    assert venue.asked == 1
    venue.tables = {BTC: "new", ETH: "new"}
    await asyncio.sleep(TIER_RETRY_WITHOUT.total_seconds())
    await reader._refresh_tiers_if_due()
    assert reader.tables.by_symbol == venue.tables
    await asyncio.sleep(2 * TIER_RETRY.total_seconds())
    await reader._refresh_tiers_if_due()
    assert venue.asked == 2


async def test_a_symbol_that_comes_back_is_asked_about_and_not_held_to_its_table_of_then():
    venue = _Venue(**{BTC: "old", ETH: "old"})
    reader = await reader_of(venue)
    both = reader.snapshot.positions
    reader.snapshot = SimpleNamespace(positions=both[1:])
    reader.tiers_are_due()
    await reader._refresh_tiers_if_due()
    venue.tables = {BTC: "new", ETH: "new"}
    reader.snapshot = SimpleNamespace(positions=both)
    await reader._refresh_tiers_if_due()
    assert reader.tables.by_symbol == venue.tables


@pytest.mark.parametrize("is_known", [True, False])
async def test_when_none_can_be_read_the_old_ones_stay(is_known):
    venue = _Venue(**{BTC: "old", ETH: "old"} if is_known else {})
    reader = await reader_of(venue)
    before = reader.tables.by_symbol
    venue.tables = None
    reader.tiers_are_due()
    await reader._refresh_tiers_if_due()
    assert reader.tables.by_symbol == before


async def test_where_no_table_is_read_by_design_none_is_asked_for_again():
    venue = _Venue()
    reader = await reader_of(venue)
    await asyncio.sleep(TIER_RETRY.total_seconds())
    await reader._refresh_tiers_if_due()
    assert venue.asked == 1
