"""Margin added on a dex beside the main one (HIP-3): by its number, once, and settled by what stands there."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hyperliquid_wire import BTC
from hyperliquid_wire_dexes import NVDA, OF_NVDA, TSLA
from wire_faults import Fate

from guard.errors import OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.snapshot import EndKind, MarginBefore, MarginRequest, Outcome, PositionKey, Side
from guard.venues.hyperliquid import Hyperliquid

LONG = PositionKey(TSLA, Side.LONG)


def of(snapshot, symbol):
    return next(position for position in snapshot.positions if position.key.symbol == symbol)


def request_of(key=LONG, amount="62.310007", currency="USDC", before=None):
    return MarginRequest(key=key, hedged=False, amount=Decimal(amount), currency=currency, before=before)


# The write, and its lost answer.


async def test_margin_is_added_on_a_strictly_isolated_dex_position_by_its_number(dexes, venue):
    await venue.snapshot()
    assert venue.watch_only is None
    elsewhere = dexes.wallets["USDC"]
    await venue.add_margin(request_of())
    (write,) = dexes.writes
    assert write.params["action"] == {
        "type": "updateIsolatedMargin",
        "asset": 110_001,
        "isBuy": True,
        "ntli": 62_310_007,
    }
    assert dexes.margin_of(TSLA, Side.LONG) == Decimal("1062.310007")
    assert dexes.wallets["USDC xyz"][1] == 10_000 - Decimal("62.310007")
    assert dexes.wallets["USDC"] == elsewhere
    assert of(await venue.snapshot(), TSLA).isolated_wallet == Decimal("1062.310007")


async def test_a_market_is_named_by_the_place_of_its_dex_and_its_own(dexes, venue):
    dexes.hold_sample(of=OF_NVDA)
    await venue.snapshot()
    assert {symbol: venue._asset(symbol) for symbol in (BTC, NVDA, TSLA)} == {BTC: 0, NVDA: 110_000, TSLA: 110_001}


async def test_a_dex_that_stands_elsewhere_in_the_list_is_numbered_anew(dexes):
    clock = [timedelta(0)]
    venue = Hyperliquid(dexes.account(), now=lambda: datetime.now(UTC) + clock[0])
    await venue.snapshot()
    dexes.deployed = dict(reversed(dexes.deployed.items()))
    clock[0], dexes.clock_skew = timedelta(minutes=11), 11 * 60_000
    await venue.snapshot()
    await venue.add_margin(request_of())
    await venue.close()
    assert dexes.writes[0].params["action"]["asset"] == 120_001
    assert dexes.margin_of(TSLA, Side.LONG) == Decimal("1062.310007")


async def test_two_markets_of_one_symbol_are_none(dexes, venue):
    def alter(meta):
        twin = [{**row, "name": "xyz:tsla"} for row in meta["universe"] if row["name"] == "xyz:TSLA"]
        return meta | {"universe": [*meta["universe"], *twin]}

    dexes.mangle("tiers", alter)
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [BTC]
    with pytest.raises(VenueRefused):
        await venue.add_margin(request_of())
    assert dexes.writes == []


async def test_a_refusal_is_named_with_the_dex_untouched(dexes, venue):
    await venue.snapshot()
    dexes.fate_of_next_write = "Action already expired"
    with pytest.raises(VenueRefused) as caught:
        await venue.add_margin(request_of())
    assert caught.value.code == "Action already expired"
    assert dexes.margin_of(TSLA, Side.LONG) == 1_000


async def test_a_market_of_an_unknown_dex_is_refused_unsent(dexes, venue):
    await venue.snapshot()
    with pytest.raises(VenueRefused, match="no such market"):
        await venue.add_margin(request_of(PositionKey("NEW-TSLA/USDC:USDC", Side.LONG)))
    with pytest.raises(VenueUnavailable, match="no market"):
        await venue.mark("NEW-TSLA/USDC:USDC")
    assert dexes.writes == []


@pytest.mark.parametrize(
    ("fate", "outcome"), [(Fate.LOST_AFTER, Outcome.APPLIED), (Fate.LOST_BEFORE, Outcome.NOT_APPLIED)]
)
async def test_a_lost_answer_is_settled_by_the_position_on_its_dex(dexes, venue, fate, outcome):
    snapshot = await venue.snapshot()
    position = of(snapshot, TSLA)
    before = MarginBefore(
        margin=position.isolated_wallet,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        read_at=snapshot.positions_read_at,
    )
    request = request_of(before=before)
    dexes.fate_of_next_write = fate
    sent_at = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(request)
    dexes.pay_funding(TSLA, Side.LONG, Decimal("-0.25"))
    dexes.clock_skew = 60_000
    later = datetime.now(UTC) + timedelta(minutes=1)
    fresh = Hyperliquid(dexes.account(), now=lambda: datetime.now(UTC) + timedelta(minutes=1))  # After a restart.
    settlement = await fresh.settle(request, sent_at=sent_at, now=later, known_entries=frozenset())
    await fresh.close()
    assert settlement.outcome is outcome, settlement.evidence
    assert "-0.25 of it by funding" in settlement.evidence


# Marks, orders, fills, candles.


async def test_marks_of_a_dex_are_asked_there_and_streamed(dexes, venue):
    await venue.snapshot()
    assert (await venue.mark(TSLA)).price == 390
    marks = venue.watch_marks((BTC, TSLA))
    seen = {}
    async for mark in marks:
        seen[mark.symbol] = mark.price
        if len(seen) == 2:
            break
        dexes.set_mark(TSLA, Decimal(391))
    await marks.aclose()
    assert seen == {BTC: 57_500, TSLA: seen[TSLA]}
    assert seen[TSLA] in {390, 391}


async def test_stops_and_endings_are_read_on_their_dex(dexes, venue):
    await venue.snapshot()
    dexes.add_stop(TSLA, Side.LONG, Decimal(350))
    dexes.add_stop(BTC, Side.LONG, Decimal(50_000))
    stops = await venue.stops(frozenset({BTC, TSLA}))
    assert {stop.key.symbol: stop.trigger_price for stop in stops} == {BTC: 50_000, TSLA: 350}
    dexes.end_position(TSLA, Side.LONG, "liquidated")
    ending = await venue.ending(LONG, dexes.now() - timedelta(minutes=5))
    assert (ending.kind, ending.price) == (EndKind.LIQUIDATED, 390)
    assert len(await venue.candles(TSLA, minutes=1, count=3)) == 3


async def test_a_symbol_of_a_dex_is_known_before_anything_was_read_there(dexes, venue):
    """After a restart its end is asked for by name, and nothing may be there any more."""
    await venue.open()
    dexes.end_position(TSLA, Side.LONG, "closed")
    ending = await venue.ending(LONG, dexes.now() - timedelta(minutes=5))
    assert ending.kind is EndKind.CLOSED


async def test_tiers_and_marks_of_a_dex_can_be_the_first_that_is_asked(dexes, venue):
    await venue.open()
    assert (await venue.tiers(frozenset({TSLA}))).by_symbol[TSLA].rows[0].maintenance_margin_rate == Decimal("0.05")
    again = Hyperliquid(dexes.account(), now=lambda: datetime.now(UTC))
    marks = again.watch_marks((TSLA,))
    assert (await anext(marks)).price == 390
    await marks.aclose()
    await again.close()


async def test_tiers_of_a_dex_that_fails_are_unavailable_where_nothing_else_was_asked_for(dexes, venue):
    """The reader asks again soon then; as gaps they were the whole answer for a day."""
    await venue.snapshot()
    dexes.break_reads("tiers", Fate.HTTP_500)
    with pytest.raises(VenueUnavailable, match="HTTP 500"):
        await venue.tiers(frozenset({TSLA}))
    dexes.break_reads("tiers", None)
    assert TSLA in (await venue.tiers(frozenset({TSLA}))).by_symbol
