"""Reading an account row by row. F29 to F42 are the numbers of the reliability study's catalogue of odd rows."""

from decimal import Decimal

import pytest
from aiohttp import web
from venue_support import account_of, market, position_row

from guard.errors import VenueUnavailable
from guard.snapshot import AssetMode, Liquidation, LiquidationKind, MarginMode, PositionKey, Side

BTC, ETH, SHIB = "BTC/USDT:USDT", "ETH/USDT:USDT", "1000SHIB/USDT:USDT"
LONG_BTC = PositionKey(BTC, Side.LONG)

# A cross short beside the isolated BTC long: the one that must stay seen.
HEALTHY = position_row(
    symbol="ETHUSDT",
    positionAmt="-2.000",
    entryPrice="3000",
    markPrice="3100.00000000",
    notional="-6200.00000000",
    isolatedWallet="0",
    isolatedMargin="0",
    liquidationPrice="4100.5",
    maintMargin="40.3",
)


async def test_a_cycle_costs_exactly_two_requests(exchange, venue):
    await venue.open()
    assert sum(exchange.count().values()) == 3  # The lean start: exchangeInfo, accountConfig, symbolConfig.
    exchange.forget_requests()
    for _ in range(3):
        await venue.snapshot()
    assert exchange.count() == {"GET /fapi/v3/positionRisk": 3, "GET /fapi/v3/account": 3}


async def test_an_isolated_long_is_read_from_the_exchanges_own_fields(exchange, venue):
    snapshot = await venue.snapshot()
    (position,) = snapshot.positions
    assert position.key == LONG_BTC
    assert position.margin_mode is MarginMode.ISOLATED
    assert position.isolated_wallet == Decimal(600)  # isolatedWallet, and not isolatedMargin, which holds the PnL.
    assert (position.quantity, position.entry_price, position.mark_price) == (Decimal("0.1"), 60000, 58000)
    assert (position.leverage, position.auto_add_margin, position.hedged) == (10, False, False)
    assert position.exchange_liquidation == Liquidation(kind=LiquidationKind.AT, price=Decimal("54216.86746988"))
    assert position.exchange_maintenance_margin == Decimal("23.2")
    assert position.updated_at.isoformat() == "2024-07-28T10:06:06.529000+00:00"
    (wallet,) = snapshot.wallets
    assert (wallet.currency, wallet.available) == ("USDT", 2000)
    assert (wallet.cross_wallet_balance, wallet.cross_unrealized_pnl) == (2000, 0)
    assert snapshot.asset_mode is AssetMode.SINGLE
    assert snapshot.exchange_margin_ratio is None
    assert snapshot.gaps == ()
    assert snapshot.positions_read_at <= snapshot.wallets_read_at


async def test_a_cross_short_has_no_isolated_wallet(exchange, venue):
    exchange.positions = [HEALTHY]
    (position,) = (await venue.snapshot()).positions
    assert (position.side, position.margin_mode, position.isolated_wallet) == (Side.SHORT, MarginMode.CROSS, None)
    assert position.quantity == 2


async def test_both_legs_of_a_hedge_are_kept_apart(exchange, venue):  # F38
    short = position_row(positionSide="SHORT", positionAmt="-0.050", notional="-2900.0", liquidationPrice="70000")
    exchange.positions = [position_row(positionSide="LONG"), short]
    snapshot = await venue.snapshot()
    assert {p.key: p.quantity for p in snapshot.positions} == {
        LONG_BTC: Decimal("0.1"),
        PositionKey(BTC, Side.SHORT): Decimal("0.05"),
    }
    assert all(position.hedged for position in snapshot.positions)
    assert snapshot.gaps == ()


async def test_rows_that_are_there_for_open_orders_are_no_positions(exchange, venue):
    empty = position_row(symbol="ETHUSDT", positionAmt="0.000", entryPrice="0.0", markPrice="0", liquidationPrice="0")
    exchange.positions = [position_row(), empty]
    snapshot = await venue.snapshot()
    assert [position.key for position in snapshot.positions] == [LONG_BTC]
    assert snapshot.gaps == ()


MISSING = object()
BAD_FIELDS = [
    *(("markPrice", value) for value in ("NaN", "inf", "-1", "0", "", "abc", None, MISSING, "1e400", True, [])),  # F33
    *(("entryPrice", value) for value in ("NaN", "0", "", "-60000", MISSING)),  # F31
    *(("positionAmt", value) for value in ("NaN", "inf", "text", "", None, MISSING)),  # F34
    *(("isolatedWallet", value) for value in ("NaN", "-inf", "", MISSING)),  # F30
    *(("notional", value) for value in ("NaN", "", MISSING, "-5800", "1")),
    *(("maintMargin", value) for value in ("NaN", "-1", MISSING)),
    *(("updateTime", value) for value in ("NaN", 0, MISSING, "1e30")),
    *(("marginAsset", value) for value in ("", "USDC", None, MISSING)),
    ("positionSide", "SHORT"),  # Against a positive size.
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=lambda part: "missing" if part is MISSING else repr(part))
async def test_one_bad_row_is_a_gap_and_the_others_stay_watched(exchange, venue, field, value):
    await venue.open()
    bad = position_row(**{field: value})
    if value is MISSING:
        del bad[field]
    exchange.positions = [bad, HEALTHY]
    exchange.account = account_of([position_row(), HEALTHY])
    snapshot = await venue.snapshot()
    assert [position.contract.symbol for position in snapshot.positions] == [ETH]
    gap = snapshot.gaps[0]
    assert gap.key is not None
    assert gap.key.symbol == BTC
    assert field in gap.reason
    assert len([gap for gap in snapshot.gaps if gap.key == LONG_BTC or gap.key.symbol == BTC]) >= 1
    assert not any(gap.key and gap.key.symbol == ETH for gap in snapshot.gaps)


@pytest.mark.parametrize(
    "row", [None, 7, "row", [], {}, {"symbol": "BTCUSDT"}, {"symbol": None, "positionAmt": "1"}], ids=repr
)
async def test_a_row_that_is_no_row_is_a_gap_without_a_key(exchange, venue, row):
    await venue.open()
    exchange.positions = [row, HEALTHY]
    exchange.account = account_of([HEALTHY])
    snapshot = await venue.snapshot()
    assert [position.contract.symbol for position in snapshot.positions] == [ETH]
    (gap,) = snapshot.gaps
    assert gap.key is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", LiquidationKind.NONE),  # F32: no positive price liquidates it.
        ("0.00000000", LiquidationKind.NONE),
        ("", LiquidationKind.UNKNOWN),
        (None, LiquidationKind.UNKNOWN),
        (MISSING, LiquidationKind.UNKNOWN),
        ("NaN", LiquidationKind.UNKNOWN),
        ("-110167.59", LiquidationKind.UNKNOWN),  # As HTX was seen to answer.
        ("54216.8", LiquidationKind.AT),
    ],
)
async def test_a_liquidation_price_is_the_exchanges_own_or_unknown_and_never_guessed(exchange, venue, value, expected):
    row = position_row(liquidationPrice=value)
    if value is MISSING:
        del row["liquidationPrice"]
    exchange.positions = [row]
    snapshot = await venue.snapshot()
    assert snapshot.positions[0].exchange_liquidation.kind is expected
    assert snapshot.gaps == ()


async def test_an_empty_position_list_is_held_against_the_account(exchange, venue):  # F29
    exchange.positions, exchange.account = [], account_of([position_row()])
    snapshot = await venue.snapshot()
    assert snapshot.positions == ()
    assert [gap.key for gap in snapshot.gaps] == [LONG_BTC]


async def test_an_account_that_holds_margin_for_no_listed_position_is_a_gap(exchange, venue):  # F29
    exchange.positions, exchange.account = [], account_of([])
    snapshot = await venue.snapshot()
    (gap,) = snapshot.gaps
    assert gap.key is None
    assert "holds 580" in gap.reason


async def test_a_flat_account_is_flat_without_a_gap(exchange, venue):
    exchange.positions = []
    exchange.account = account_of([], totalMaintMargin="0.00000000", totalPositionInitialMargin="0.00000000")
    snapshot = await venue.snapshot()
    assert (snapshot.positions, snapshot.gaps) == ((), ())


@pytest.mark.parametrize("their_rows", [[], [position_row(positionAmt="0.200")], [position_row(isolatedWallet="500")]])
async def test_a_position_that_the_account_states_otherwise_is_a_gap_of_that_position(
    exchange, venue, their_rows
):  # F36
    exchange.positions, exchange.account = [position_row(), HEALTHY], account_of([HEALTHY, *their_rows])
    snapshot = await venue.snapshot()
    assert {position.key.symbol for position in snapshot.positions} == {BTC, ETH}
    assert [gap.key for gap in snapshot.gaps] == [LONG_BTC]
    assert snapshot.gaps[0].reason.startswith("positionRisk says ")


async def test_a_funding_payment_between_the_two_requests_is_no_contradiction(exchange, venue):
    exchange.account = account_of([position_row(isolatedWallet="598.20000000")])
    assert (await venue.snapshot()).gaps == ()


async def test_a_position_listed_twice_is_a_contradiction(exchange, venue):
    exchange.positions = [position_row(), position_row(positionAmt="0.300", notional="17400")]
    assert any(gap.key == LONG_BTC and "twice" in gap.reason for gap in (await venue.snapshot()).gaps)


async def test_a_position_listed_a_second_time_as_closed_is_a_contradiction(exchange, venue):
    exchange.positions = [position_row(), position_row(positionAmt="0")]
    assert any(gap.key == LONG_BTC and "twice" in gap.reason for gap in (await venue.snapshot()).gaps)


async def test_a_symbol_listed_after_the_start_is_found_by_reading_the_markets_again(exchange, venue):  # F39
    await venue.open()
    exchange.markets.append(market("NEWUSDT", "NEW"))
    exchange.margin_types["NEWUSDT"] = "ISOLATED"
    exchange.positions = [position_row(symbol="NEWUSDT")]
    snapshot = await venue.snapshot()
    assert [position.contract.symbol for position in snapshot.positions] == ["NEW/USDT:USDT"]
    assert snapshot.gaps == ()


async def test_a_symbol_that_stays_unknown_is_a_gap_and_the_markets_are_read_again_only_once(exchange, venue):  # F39
    await venue.open()
    exchange.positions = [position_row(symbol="GONEUSDT"), HEALTHY]
    for _ in range(3):
        snapshot = await venue.snapshot()
        assert [position.contract.symbol for position in snapshot.positions] == [ETH]
        assert any("GONEUSDT" in gap.subject for gap in snapshot.gaps)
    assert len(exchange.asked("exchangeInfo")) == 2


async def test_a_changed_margin_mode_is_noticed_with_the_rows_that_show_it(exchange, venue):
    await venue.snapshot()
    exchange.margin_types["BTCUSDT"] = "CROSSED"
    exchange.positions = [position_row(isolatedWallet="0", isolatedMargin="0")]
    snapshot = await venue.snapshot()
    assert snapshot.positions[0].margin_mode is MarginMode.CROSS
    assert snapshot.gaps == ()


async def test_a_cross_position_that_holds_isolated_margin_is_a_contradiction(exchange, venue):
    exchange.margin_types["BTCUSDT"] = "CROSSED"
    snapshot = await venue.snapshot()
    assert snapshot.positions == ()
    assert snapshot.gaps[0].key == LONG_BTC
    assert "its margin mode is cross, isolatedWallet is 600" in snapshot.gaps[0].reason


async def test_the_choices_of_a_newly_opened_position_are_read(exchange, venue):
    await venue.snapshot()
    exchange.forget_requests()
    exchange.positions = [position_row(), HEALTHY]
    await venue.snapshot()
    assert len(exchange.asked("symbolConfig")) == 1
    exchange.forget_requests()
    await venue.snapshot()
    assert sum(exchange.count().values()) == 2


def chosen(exchange, leverage):
    """The user chooses a leverage for BTC, and its row is margined accordingly: 5,800 by it."""
    modes = exchange.margin_types
    exchange.replies["symbolConfig"] = lambda _request: [
        {"symbol": one, "marginType": modes[one], "isAutoAddMargin": "false", "leverage": leverage} for one in modes
    ]
    initial = f"{Decimal(5800) / leverage:.8f}"
    return {"initialMargin": initial, "positionInitialMargin": initial}


async def test_a_side_that_flipped_between_two_reads_has_the_leverage_and_flags_of_now(exchange, venue):
    exchange.positions = [position_row(**chosen(exchange, 5))]
    assert (await venue.snapshot()).positions[0].leverage == 5
    exchange.forget_requests()
    short = {"positionAmt": "-0.100", "notional": "-5800", "unRealizedProfit": "200", "liquidationPrice": "70000"}
    exchange.positions = [position_row(**short, **chosen(exchange, 20))]
    (position,) = (await venue.snapshot()).positions
    assert (position.side, position.leverage) == (Side.SHORT, 20)
    assert len(exchange.asked("symbolConfig")) == 1


async def test_choices_that_were_not_read_when_a_position_opened_are_read_next_time(exchange, venue):
    exchange.positions = [HEALTHY]
    chosen(exchange, 5)
    await venue.snapshot()
    exchange.positions = [position_row(**chosen(exchange, 20)), HEALTHY]
    answers = exchange.replies["symbolConfig"]
    exchange.replies["symbolConfig"] = lambda _request: web.Response(status=503, text="busy")
    first = await venue.snapshot()
    assert [gap.subject for gap in first.gaps] == ["margin modes and leverages"]
    assert first.positions[0].leverage == 20
    exchange.forget_requests()
    exchange.replies["symbolConfig"] = answers
    second = await venue.snapshot()
    assert (len(exchange.asked("symbolConfig")), second.gaps) == (1, ())


@pytest.mark.parametrize("initial", ["", None, "0", "579.0", "abc"])
async def test_where_a_row_makes_no_whole_leverage_the_chosen_one_is_believed(exchange, venue, initial):
    exchange.positions = [position_row(positionInitialMargin=initial)]
    (position,) = (await venue.snapshot()).positions
    assert position.leverage == 10


async def test_a_position_whose_margin_mode_cannot_be_read_is_a_gap_and_not_taken_for_cross(exchange, venue):
    del exchange.margin_types["BTCUSDT"]
    exchange.positions = [position_row(), HEALTHY]
    snapshot = await venue.snapshot()
    assert [position.contract.symbol for position in snapshot.positions] == [ETH]
    assert "margin mode is not known" in snapshot.gaps[0].reason


async def test_choices_that_cannot_be_read_again_are_a_gap_and_the_rows_stay_watched(exchange, venue):
    await venue.snapshot()
    exchange.replies["symbolConfig"] = lambda _request: {}
    exchange.positions = [position_row(), HEALTHY]
    snapshot = await venue.snapshot()
    assert len(snapshot.positions) == 2
    assert [gap.subject for gap in snapshot.gaps] == ["margin modes and leverages"]


async def test_multi_assets_mode_is_watched_by_the_exchanges_own_ratio(exchange, venue):
    exchange.multi_assets = True
    exchange.positions = [HEALTHY]
    snapshot = await venue.snapshot()
    assert snapshot.asset_mode is AssetMode.MULTI
    assert snapshot.exchange_margin_ratio == Decimal("23.2") / Decimal(2400)


async def test_a_multi_assets_balance_that_is_not_positive_has_no_ratio_and_says_why(exchange, venue):
    exchange.multi_assets = True
    exchange.positions = [HEALTHY]
    exchange.account = account_of([HEALTHY], totalMarginBalance="-3.5")
    snapshot = await venue.snapshot()
    assert snapshot.exchange_margin_ratio is None
    assert "-3.5" in snapshot.gaps[0].reason


@pytest.mark.parametrize("field", ["walletBalance", "crossWalletBalance", "crossUnPnl", "availableBalance"])
async def test_a_wallet_that_cannot_be_read_is_a_gap_and_not_an_empty_wallet(exchange, venue, field):
    exchange.account = account_of(exchange.positions)
    exchange.account["assets"][0][field] = "NaN"
    snapshot = await venue.snapshot()
    assert snapshot.wallet("USDT") is None
    assert [gap.subject for gap in snapshot.gaps] == ["wallet USDT"]
    assert field in snapshot.gaps[0].reason


async def test_a_wallet_that_is_not_listed_is_a_gap(exchange, venue):
    exchange.account = account_of(exchange.positions, assets=[])
    assert [gap.subject for gap in (await venue.snapshot()).gaps] == ["wallet USDT"]


@pytest.mark.parametrize(
    "change", [{"assets": None}, {"positions": {}}, {"totalMarginBalance": "NaN"}, {"totalMaintMargin": "-1"}], ids=str
)
async def test_an_account_without_its_envelope_is_unavailable(exchange, venue, change):
    await venue.open()
    exchange.account = account_of(exchange.positions) | change
    with pytest.raises(VenueUnavailable, match=next(iter(change))):
        await venue.snapshot()
