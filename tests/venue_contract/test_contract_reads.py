"""What every exchange's account reads as, when it answers well and when it does not."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from wire_faults import OF_READS, Fate
from wire_world import hold_two

from guard.daemon.reader import TIER_RETRY_WITHOUT, AccountReader
from guard.errors import VenueUnavailable
from guard.margin import assess
from guard.margin.rule import shown_price
from guard.snapshot import LiquidationKind, MarginMode, PositionKey, Side
from guard.venues import open_venue, protocol
from guard.venues.shared import Shared

column = pytest.mark.column
FIELDS = ("size", "entry", "mark", "margin")
NOT_NUMBERS = [None, "", "NaN", "Infinity", "1e30", [], {}, True, "abc"]
MISSING = object()
MARKETS = {  # The kind of answer that lists the markets.
    "binanceusdm": "markets",
    "binancecoinm": "markets",
    "bybit": "instruments-info",
    "okx": "/api/v5/public/instruments",
    "hyperliquid": "mark",
    "gate": "contracts",
    "bitget": "/api/v2/mix/market/contracts",
}
STAYS = frozenset(
    {"code", "retCode", "ret_code", "time", "collateralToken"}
)  # Says no tier, but whether it is an answer.


def set_field(row, name, value):
    """Set a field of a row, dots between its names; MISSING takes it away."""
    *way, last = name.split(".")
    for step in way:
        row = row[step]
    if value is MISSING:
        del row[last]
    else:
        row[last] = value


@column("snapshot")
@pytest.mark.parametrize("side", list(Side))
async def test_an_isolated_position_reads_exactly_as_the_exchange_holds_it(server, venue, side):
    server.hold_sample(side)
    one = server.sample
    snapshot = await venue.snapshot()
    (position,) = snapshot.positions
    assert snapshot.gaps == ()
    assert position.key == PositionKey(one.symbol, side)
    assert position.margin_mode is MarginMode.ISOLATED
    assert (position.quantity, position.contract.contract_size) == (one.contracts, one.contract_size)
    assert (position.entry_price, position.mark_price) == (one.entry, one.mark)
    assert position.isolated_wallet == server.margin_of(one.symbol, side)
    assert (position.leverage, position.hedged) == (one.leverage, False)
    assert position.contract.settle == one.currency


@column("snapshot")
@pytest.mark.parametrize("near_first", [True, False], ids=["near first", "near last"])
async def test_of_two_rows_of_one_symbol_and_side_the_nearer_end_is_watched_whatever_their_order(
    server, venue, near_first
):
    """Where it is ordinary (split mode) and where it is a fault: everything behind knows a position by these two."""
    one = server.sample
    await hold_two(server, venue, near_first=near_first)
    snapshot = await venue.snapshot()
    (position,) = snapshot.positions
    assert position.isolated_wallet == one.margin
    assert any(gap.key == position.key and "listed twice" in gap.reason for gap in snapshot.gaps)


@column("snapshot")
async def test_the_wallet_that_pays_is_read_with_what_may_move(server, venue):
    server.hold_sample()
    currency = server.sample.currency
    server.set_wallet(currency, server.sample.margin * 4, server.sample.margin * 3)
    wallet = (await venue.snapshot()).wallet(currency)
    assert wallet.cross_wallet_balance == server.sample.margin * 4
    assert wallet.available == server.sample.margin * 3
    assert wallet.cross_unrealized_pnl == 0


@column("snapshot", "cross")
async def test_a_cross_position_has_no_margin_of_its_own(server, venue):
    server.hold_sample(margin=None)
    (position,) = (await venue.snapshot()).positions
    assert (position.margin_mode, position.isolated_wallet) == (MarginMode.CROSS, None)


@column("snapshot")
async def test_an_account_without_positions_is_empty_and_has_no_gap(server, venue):
    snapshot = await venue.snapshot()
    assert (snapshot.positions, snapshot.gaps) == ((), ())


@column("snapshot", "closed rows")
async def test_rows_of_closed_positions_are_no_positions(server, venue):
    server.closed_rows = [server.sample.symbol, server.other.symbol]
    snapshot = await venue.snapshot()
    assert (snapshot.positions, snapshot.gaps) == ((), ())


@column("snapshot", "auto margin")
@pytest.mark.parametrize("auto_add", [True, False])
async def test_the_exchanges_own_auto_margin_is_recognised(server, venue, auto_add):
    server.hold_sample(auto_add=auto_add)
    (position,) = (await venue.snapshot()).positions
    assert position.auto_add_margin is auto_add


@column("snapshot")
async def test_a_quiet_cycle_costs_the_declared_number_of_requests(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.requests.clear()
    await venue.snapshot()
    assert len(server.requests) == server.reads_per_cycle


@column("liquidation price")
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("which", ["sample", "other"])
async def test_our_liquidation_price_is_the_exchanges(server, venue, side, which):
    one = getattr(server, which)
    server.hold_sample(side, one)
    theirs = server.liquidation_of(one.symbol, side)
    snapshot, tiers = await venue.snapshot(), await tiers_of(venue, one.symbol)
    (row,) = assess(snapshot, tiers.by_symbol, venue.rules, snapshot.positions_read_at).positions
    if theirs is None:
        assert row.liquidation.kind is LiquidationKind.NONE
        assert snapshot.positions[0].exchange_liquidation.kind is not LiquidationKind.AT
        return
    assert abs(snapshot.positions[0].exchange_liquidation.price - theirs) < theirs * Decimal("1E-8")
    assert abs(as_shown(server, venue, row) - theirs) < abs(one.mark - theirs) * Decimal("1E-6")


def as_shown(server, venue, row):
    """Return our liquidation price as the exchange would print it: some show it a tick early."""
    symbol, side = row.position.key.symbol, row.position.key.side
    rule, tick = venue.rules.of(symbol, row.position.margin_mode), server.tick_of(symbol)
    return row.liquidation.price if tick is None else shown_price(row.liquidation.price, side, rule, tick)


@column("tiers")
@pytest.mark.parametrize("which", ["sample", "other"])
async def test_the_tiers_of_a_symbol_are_the_exchanges(server, venue, which):
    symbol = getattr(server, which).symbol
    await venue.open()
    tables = await tiers_of(venue, symbol)
    rows = tables.by_symbol[symbol].rows
    told = [(t.notional_floor, t.notional_cap, t.maintenance_margin_rate, t.maintenance_amount) for t in rows]
    assert told == server.tier_rows(symbol)
    assert tables.gaps == ()


@column("tiers")
@pytest.mark.parametrize("how", OF_READS)
async def test_tiers_that_cannot_be_read_are_no_empty_table(server, venue, how):
    await venue.open()
    server.break_reads("tiers", how)
    with pytest.raises(VenueUnavailable):
        await tiers_of(venue, server.sample.symbol)


@column("snapshot")
async def test_a_symbol_listed_since_the_start_is_found_also_when_the_first_search_fails(server, venue):
    markets, (base, *_) = MARKETS[server.exchange], server.other.symbol.split("/")
    server.mangle(markets, lambda answer: json.loads(json.dumps(answer).replace(base, "QQQ")))
    await venue.open()
    server.mangle(markets, None)
    server.hold_sample()
    server.hold_sample(Side.LONG, server.other)
    server.break_reads(markets, Fate.HTTP_500)
    missing = await venue.snapshot()
    assert [one.contract.symbol for one in missing.positions] == [server.sample.symbol]
    assert any("not read again" in gap.reason for gap in missing.gaps)
    server.break_reads(markets, None)
    asked = len(server.requests)
    await venue.snapshot()
    later = server.requests[asked:]
    venue._search._due_s = 0.0  # A minute later.
    found = await venue.snapshot()
    assert {one.contract.symbol for one in found.positions} == {server.sample.symbol, server.other.symbol}
    assert len(later) < len(server.requests) - asked - len(later), "the markets were read with every look"


def without_numbers(answer):
    """Return an answer with its numbers gone, and what is written like one."""
    if isinstance(answer, dict):
        return {key: value if key in STAYS else without_numbers(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [without_numbers(one) for one in answer]
    is_number = isinstance(answer, int | float) or (isinstance(answer, str) and answer.replace(".", "", 1).isdigit())
    return "n/a" if is_number else answer


@column("tiers")
async def test_tables_without_a_number_are_asked_for_again_soon(server, venue):
    server.hold_sample()
    reader = AccountReader(venue, lambda: datetime.now(UTC))
    await venue.open()
    server.mangle("tiers", without_numbers)
    await reader.read()
    assert reader.tables is None
    server.mangle("tiers", None)
    assert reader._tiers_due_s - asyncio.get_running_loop().time() <= TIER_RETRY_WITHOUT.total_seconds()
    reader.tiers_are_due()
    await reader.read()
    assert server.sample.symbol in reader.tables.by_symbol


@column("bad answers")
@pytest.mark.parametrize("kind", ["positions", "wallets"])
@pytest.mark.parametrize("how", OF_READS)
async def test_an_answer_that_is_none_is_never_an_empty_account(server, venue, kind, how):
    server.hold_sample()
    await venue.snapshot()
    server.break_reads(kind, how)
    with pytest.raises(VenueUnavailable) as caught:
        await venue.snapshot()
    assert (caught.value.retry_after is not None) == (how is Fate.RATE_LIMITED)


@column("bad answers")
@pytest.mark.parametrize(
    "value", [*NOT_NUMBERS, MISSING], ids=lambda value: "missing" if value is MISSING else repr(value)
)
@pytest.mark.parametrize("field", FIELDS)
async def test_a_figure_that_is_no_number_is_a_gap_and_the_other_position_stays(server, venue, field, value):
    name = server.position_fields.get(field)
    if name is None:
        pytest.skip(f"position rows have no {field}")
    server.hold_sample()
    server.hold_sample(of=server.other)

    def change(answer):
        set_field(server.rows_in("positions", answer)[0], name, value)
        return answer

    server.mangle("positions", change)
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [server.other.symbol]
    assert any(gap.may_be_cross or gap.key == PositionKey(server.sample.symbol, Side.LONG) for gap in snapshot.gaps)


@column("bad answers", "empty list")
async def test_an_empty_list_beside_held_margin_is_a_gap(server, venue):
    server.hold_sample()

    def empty(answer):
        server.rows_in("positions", answer).clear()
        return answer

    server.mangle("positions", empty)
    snapshot = await venue.snapshot()
    assert snapshot.positions == ()
    assert snapshot.gaps


@column("bad answers")
async def test_rows_that_are_no_rows_are_a_gap(server, venue):
    server.hold_sample()

    def change(answer):
        rows = server.rows_in("positions", answer)
        rows[:] = [None, "row", *rows]
        return answer

    server.mangle("positions", change)
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [server.sample.symbol]
    assert snapshot.gaps


@column("hedge side", "hedge")
async def test_both_legs_of_a_hedge_are_read_apart(server, venue):
    server.hold_sample(Side.LONG, hedged=True)
    server.hold_sample(Side.SHORT, hedged=True, contracts=server.sample.contracts * 2, margin=server.sample.margin * 3)
    snapshot = await venue.snapshot()
    read = {position.side: (position.quantity, position.isolated_wallet) for position in snapshot.positions}
    assert read == {
        Side.LONG: (server.sample.contracts, server.sample.margin),
        Side.SHORT: (server.sample.contracts * 2, server.sample.margin * 3),
    }
    assert all(position.hedged for position in snapshot.positions)
    assert snapshot.gaps == ()


@column("inverse")
async def test_an_inverse_position_counts_in_its_coin(server, venue):
    one = server.inverse
    server.hold_sample(Side.LONG, one)
    (position,) = (await venue.snapshot()).positions
    assert position.contract.kind.value == "inverse"
    assert (position.contract.settle, position.contract.contract_size) == (one.currency, one.contract_size)
    assert (position.quantity, position.isolated_wallet) == (one.contracts, one.margin)
    theirs = server.liquidation_of(one.symbol, Side.LONG)
    snapshot, tiers = await venue.snapshot(), await tiers_of(venue, one.symbol)
    (row,) = assess(snapshot, tiers.by_symbol, venue.rules, snapshot.positions_read_at).positions
    assert abs(as_shown(server, venue, row) - theirs) < abs(one.mark - theirs) * Decimal("1E-6")


async def tiers_of(venue, symbol) -> protocol.TierTables:
    return await venue.tiers(frozenset({symbol}))


@column("bad answers")
async def test_a_ban_of_the_address_is_met_by_one_account_and_heeded_by_all(server):
    """Where the exchange limits the account alone, its others are asked for all the same."""
    server.hold_sample()
    shared = Shared()
    accounts = [replace(server.account(), account=name, shared=shared) for name in ("one", "two")]
    venues = [open_venue(account, now=lambda: datetime.now(UTC)) for account in accounts]
    try:
        for venue in venues:
            await venue.snapshot()
        gates = [venue._client.gate for venue in venues]
        limit = venues[0]._client.wire.limit
        if limit is not None:  # An exchange of our own has no address to share, so that it is given one here.
            for gate in gates:
                gate.budget = shared.budget(gate.hosts, limit)
        said = server.rate_limited()
        is_of_address = limit is not None and bool(limit.quiet_statuses)
        if limit is not None and is_of_address:
            (said.status,) = limit.quiet_statuses
            server.rate_limited = lambda: said
        for kind in ("positions", "wallets"):
            server.break_reads(kind, Fate.RATE_LIMITED)
        with pytest.raises(VenueUnavailable):
            await venues[0].snapshot()
        asked = len(server.requests)
        with pytest.raises(VenueUnavailable) as told:
            await venues[1].snapshot()
        assert (len(server.requests) == asked) is is_of_address
        if is_of_address:
            assert "asked for quiet" in str(told.value)
            assert told.value.retry_after is not None
    finally:
        for venue in venues:
            await venue.close()
