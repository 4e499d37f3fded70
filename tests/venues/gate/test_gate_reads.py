"""How a Gate account is read: settle currencies, pages, closed contracts, modes, and what contradicts itself."""

from datetime import timedelta
from decimal import Decimal

import pytest
from wire_faults import Fate

from guard.errors import VenueUnavailable
from guard.snapshot import AssetMode, LiquidationKind, MarginMode, PositionKey, Side

BTC, ETH, COIN = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC"
LONG = PositionKey(BTC, Side.LONG)
NOTHING = Decimal(0)


def only_usdt(server):
    server.set_wallet("BTC", NOTHING, NOTHING)


def paths(server):
    return [path.removeprefix("/api/v4/") for _, path, _ in server.requests]


def with_row(server, **fields):
    """Change the first row of every positions answer; ... takes a field away."""

    def change(answer):
        for name, value in fields.items():
            if value is ...:
                answer[0].pop(name, None)
            else:
                answer[0][name] = value
        return answer

    server.mangle("positions", change)


async def test_a_start_asks_for_the_clock_and_two_lists_of_contracts_and_probes_nothing(server, venue):
    await venue.open()
    assert sorted(paths(server)) == ["futures/btc/contracts", "futures/usdt/contracts", "spot/time"]
    assert venue._client.options["unifiedAccount"] is False


async def test_a_cycle_with_positions_in_usdt_only_costs_two_requests(server, venue):
    only_usdt(server)
    server.hold_many(20)
    await venue.snapshot()
    server.requests.clear()
    snapshot = await venue.snapshot()
    assert len(snapshot.positions) == 20
    assert paths(server) == ["futures/usdt/accounts", "futures/usdt/positions"]


async def test_an_empty_settle_currency_is_looked_at_again_every_ten_minutes(server, venue, clock):
    only_usdt(server)
    await venue.snapshot()
    server.hold_sample(of=server.inverse)
    assert (await venue.snapshot()).positions == ()
    clock.ahead = timedelta(minutes=11)
    assert [p.key.symbol for p in (await venue.snapshot()).positions] == [COIN]
    clock.ahead = timedelta(minutes=12)
    assert [p.key.symbol for p in (await venue.snapshot()).positions] == [COIN]


@pytest.mark.parametrize("settle", ["btc", "usdt"])
async def test_a_futures_account_that_was_never_used_is_no_failure(server, venue, settle):
    server.no_account = {settle}
    held = server.sample if settle == "btc" else server.inverse
    server.hold_sample(of=held)
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [held.symbol]
    assert snapshot.gaps == ()
    assert [wallet.currency for wallet in snapshot.wallets] == [held.currency]


async def test_any_other_refusal_of_an_account_is_a_failure(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.break_reads("wallets in btc", Fate.UNKNOWN_CODE)
    with pytest.raises(VenueUnavailable):
        await venue.snapshot()


@pytest.mark.parametrize("kind", ["wallets in btc", "positions in btc"])
async def test_a_settle_currency_that_nobody_uses_blinds_nobody_when_it_fails(server, venue, kind):
    server.hold_sample()
    server.break_reads(kind, Fate.HTTP_500)
    for _ in range(2):
        snapshot = await venue.snapshot()
        assert [position.key for position in snapshot.positions] == [LONG]
        assert [gap.subject for gap in snapshot.gaps] == ["positions in BTC"]
    server.break_reads(kind, None)
    assert (await venue.snapshot()).gaps == ()


async def test_more_positions_than_a_page_holds_are_all_read(server, venue):
    server.hold_many(120)
    snapshot = await venue.snapshot()
    assert len({position.key for position in snapshot.positions}) == 120
    assert snapshot.gaps == ()
    assert [query["offset"] for query in server.asked("usdt/positions")] == ["0", "100"]


async def test_closed_contracts_are_no_positions_even_where_they_are_listed_unasked(server, venue):
    server.ignores_holding = True
    server.closed_rows = [ETH]
    server.hold_sample()
    snapshot = await venue.snapshot()
    assert [position.key for position in snapshot.positions] == [LONG]
    assert snapshot.gaps == ()
    assert {query["holding"] for query in server.asked("usdt/positions")} == {"true"}


@pytest.mark.parametrize("size", ["1.7", "0.3"])
async def test_a_size_with_a_fraction_of_a_contract_is_read_whole(server, venue, size):
    server.hold_sample(contracts=Decimal(size))
    (position,) = (await venue.snapshot()).positions
    assert position.quantity == Decimal(size)


async def test_zero_as_liquidation_price_is_none_in_a_classic_account(server, venue):
    server.hold_sample(margin=Decimal(6000))
    (position,) = (await venue.snapshot()).positions
    assert position.exchange_liquidation.kind is LiquidationKind.NONE


async def test_zero_as_liquidation_price_is_no_answer_in_a_unified_account(server, venue):
    server.margin_mode = 2
    server.hold_sample(margin=None)
    with_row(server, liq_price="0")
    (position,) = (await venue.snapshot()).positions
    assert position.exchange_liquidation.kind is LiquidationKind.UNKNOWN


@pytest.mark.parametrize("said", ["", "-5", None, "abc", ...])
async def test_a_liquidation_price_that_says_nothing_is_unknown(server, venue, said):
    server.hold_sample()
    with_row(server, liq_price=said)
    (position,) = (await venue.snapshot()).positions
    assert position.exchange_liquidation.kind is LiquidationKind.UNKNOWN


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"pos_margin_mode": "cross"}, "pos_margin_mode"),
        ({"leverage": "0"}, "pos_margin_mode"),
        ({"mode": "dual_short"}, "mode"),
        ({"mode": "split"}, "mode"),
        ({"value": "5900"}, "value"),  # As if a contract were larger than it is listed.
        ({"contract": "NEW_USDT"}, "contract"),
    ],
)
async def test_a_row_that_contradicts_itself_is_a_gap(server, venue, fields, named):
    server.hold_sample()
    server.hold_sample(of=server.other)
    with_row(server, **fields)
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [ETH]
    (gap, *_) = snapshot.gaps
    assert named in gap.reason
    assert gap.may_be_cross


async def test_what_a_row_said_before_2026_is_enough(server, venue):
    server.hold_sample()
    with_row(server, pos_margin_mode=..., lever=..., maintenance_margin="0", update_time="1705052585")
    (position,) = (await venue.snapshot()).positions
    assert (position.margin_mode, position.exchange_maintenance_margin) == (MarginMode.ISOLATED, None)
    assert position.updated_at.year == 2024


async def test_a_change_that_is_yet_to_come_has_no_time(server, venue):
    server.hold_sample()
    with_row(server, update_time=4_102_444_800)
    (position,) = (await venue.snapshot()).positions
    assert position.updated_at is None


async def test_a_contract_whose_name_cannot_be_written_down_is_shown_as_question_marks(server, venue):
    server.hold_sample()
    with_row(server, contract="A\x1b[31m", size="x")
    assert (await venue.snapshot()).gaps[0].subject == "position row A?[31m"


async def test_a_quanto_contract_is_a_gap_and_the_markets_are_read_again_once_for_it(server, venue):
    server.hold("ETH/USD:BTC", Side.LONG, contracts=Decimal(10), entry=Decimal(3000), margin=Decimal(1), leverage=2)
    server.hold_sample(of=server.inverse)
    for _ in range(3):
        snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [COIN]
    assert any("ETH_USD" in gap.reason and gap.may_be_cross for gap in snapshot.gaps)
    assert len(server.asked("btc/contracts")) == 2


async def test_a_leg_that_is_listed_twice_is_a_gap(server, venue):
    server.hold_sample()
    server.mangle("positions", lambda answer: answer * 2)
    assert any(gap.key == LONG for gap in (await venue.snapshot()).gaps)


async def test_cross_and_isolated_stand_side_by_side_in_a_classic_account(server, venue):
    server.hold_sample()
    server.hold_sample(of=server.other, margin=None)
    snapshot = await venue.snapshot()
    assert snapshot.asset_mode is AssetMode.SINGLE
    assert {p.key.symbol: p.margin_mode for p in snapshot.positions} == {
        BTC: MarginMode.ISOLATED,
        ETH: MarginMode.CROSS,
    }
    cross = next(position for position in snapshot.positions if position.margin_mode is MarginMode.CROSS)
    assert (cross.isolated_wallet, cross.leverage) == (None, 10)
    assert snapshot.gaps == ()


async def test_isolated_margin_without_a_listed_isolated_position_is_a_gap(server, venue):
    server.hold_sample()
    server.hold_sample(of=server.other, margin=None)
    server.mangle("positions", lambda answer: answer[1:])
    assert any("holds 598.215" in gap.reason for gap in (await venue.snapshot()).gaps)


@pytest.mark.parametrize(
    ("mode", "words", "ratio"),
    [(1, "multi-currency", "0.25"), (2, "portfolio", "0.25"), (3, "single-currency", "0.025")],
)
async def test_a_unified_account_is_watched_by_its_own_ratio_and_says_why(server, venue, mode, words, ratio):
    server.margin_mode = mode
    server.hold_sample(margin=None)
    snapshot = await venue.snapshot()
    assert snapshot.asset_mode is AssetMode.MULTI
    assert snapshot.exchange_margin_ratio == Decimal(ratio)
    assert words in venue.watch_only
    assert len(snapshot.positions) == 1


async def test_a_coin_that_a_unified_account_does_not_list_is_missed_where_a_position_needs_it(server, venue):
    server.margin_mode = 2
    server.hold_sample(margin=None)
    listed = {"balances": {"ETH": {"equity": "1"}}}
    server.mangle("unified", lambda answer: answer | listed)
    assert [gap.subject for gap in (await venue.snapshot()).gaps] == ["wallet USDT"]


@pytest.mark.parametrize("how", [Fate.HTML_200, Fate.NULL_200, Fate.BARE_200, Fate.HTTP_500])
async def test_a_unified_account_that_does_not_answer_is_not_read(server, venue, how):
    server.margin_mode = 2
    server.hold_sample(margin=None)
    server.break_reads("unified", how)
    with pytest.raises(VenueUnavailable):
        await venue.snapshot()


async def test_a_unified_account_with_nothing_left_has_no_ratio_but_a_gap(server, venue):
    server.margin_mode, server.totals = 2, ("-3", "2500")
    server.hold_sample(margin=None)
    snapshot = await venue.snapshot()
    assert snapshot.exchange_margin_ratio is None
    assert any("2500 is required" in gap.reason for gap in snapshot.gaps)


@pytest.mark.parametrize("field", ["margin_mode", "currency"])
async def test_an_account_whose_mode_is_not_told_is_not_read(server, venue, field):
    server.hold_sample()
    server.mangle("wallets", lambda answer: {name: v for name, v in answer.items() if name != field})
    with pytest.raises(VenueUnavailable, match=field):
        await venue.snapshot()


async def test_the_account_of_another_currency_is_none(server, venue):
    server.mangle("wallets", lambda answer: answer | {"currency": "BTC"})
    with pytest.raises(VenueUnavailable, match="BTC"):
        await venue.snapshot()


async def test_a_wallet_that_cannot_be_read_is_a_gap_and_the_position_stays(server, venue):
    server.hold_sample()
    server.mangle("wallets", lambda answer: answer | {"available": "NaN"})
    snapshot = await venue.snapshot()
    assert [position.key for position in snapshot.positions] == [LONG]
    assert any(gap.subject == "wallet USDT" for gap in snapshot.gaps)
    assert snapshot.wallet("USDT") is None


@pytest.mark.parametrize("mode", ["dual_plus", "split"])
async def test_split_positions_are_watched_only(server, venue, mode):
    server.position_mode = mode
    server.hold_sample()
    await venue.snapshot()
    assert "split" in venue.watch_only
