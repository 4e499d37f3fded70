"""Where a unified account's positions are found, and what is done where two statements differ."""

from datetime import timedelta
from decimal import Decimal

import pytest
from bybit_wire import BybitServer

from guard.errors import VenueUnavailable
from guard.snapshot import AssetMode, LiquidationKind, MarginMode, PositionKey, Side

USDT, USDC, COIN = BybitServer.sample, BybitServer.usdc, BybitServer.inverse
LONG_BTC = PositionKey(USDT.symbol, Side.LONG)


def asked_for(server):
    return [
        (p["category"], p.get("settleCoin", "")) for _, path, p in server.requests if path.endswith("position/list")
    ]


def change_row(server, **fields):
    def change(answer):
        if answer["result"]["list"]:
            answer["result"]["list"][0] |= fields
        return answer

    server.mangle("positions", change)


def change_coin(server, **fields):
    def change(answer):
        answer["result"]["list"][0]["coin"][0] |= fields
        return answer

    server.mangle("wallets", change)


async def test_a_start_is_lean_and_looks_everywhere_once(server, venue):
    server.hold_sample()
    await venue.snapshot()
    paths = [(path.removeprefix("/v5/"), p.get("category"), p.get("status")) for _, path, p in server.requests]
    assert sorted(paths, key=str) == sorted(
        [
            ("market/instruments-info", "linear", None),
            ("market/instruments-info", "linear", "PreLaunch"),
            ("market/instruments-info", "inverse", None),
            ("market/instruments-info", "inverse", "PreLaunch"),
            ("account/info", None, None),
            ("account/wallet-balance", None, None),
            ("position/list", "linear", None),
            ("position/list", "linear", None),
            ("position/list", "inverse", None),
            ("account/fee-rate", "linear", None),
        ],
        key=str,
    )
    assert asked_for(server) == [("linear", "USDC"), ("linear", "USDT"), ("inverse", "")]


async def test_a_cycle_costs_two_requests_and_one_more_for_each_other_coin_in_use(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.requests.clear()
    await venue.snapshot()
    assert len(server.requests) == 2
    server.hold_sample(of=USDC)
    server.hold_sample(of=COIN)
    assert len((await venue.snapshot()).positions) == 3
    server.requests.clear()
    assert len((await venue.snapshot()).positions) == 3
    assert len(server.requests) == 4


async def test_a_position_in_another_coin_is_found_in_the_next_cycle(server, venue):  # ccxt issue 24159
    await venue.snapshot()
    server.hold_sample(of=USDC)
    server.hold_sample(Side.SHORT, COIN)
    snapshot = await venue.snapshot()
    assert {position.key for position in snapshot.positions} == {
        PositionKey(USDC.symbol, Side.LONG),
        PositionKey(COIN.symbol, Side.SHORT),
    }
    assert snapshot.gaps == ()


async def test_what_no_wallet_speaks_of_is_looked_through_now_and_then(server, venue, clock):
    await venue.snapshot()
    server.hold_sample(of=USDC)

    def silent(answer):
        for coin in server.rows_in("wallets", answer):
            coin["totalPositionIM"] = "0"
        return answer

    server.mangle("wallets", silent)
    assert (await venue.snapshot()).positions == ()
    clock.ahead = timedelta(minutes=11)
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [USDC.symbol]
    assert "by the wallet" in snapshot.gaps[0].reason  # And its wallet says otherwise.
    assert len((await venue.snapshot()).positions) == 1  # Where one was found it is looked for again.


@pytest.mark.parametrize("page", [20, 200])
async def test_all_of_many_positions_are_listed(server, venue, page):
    server.pages_of = page  # ccxt issue 17340: fewer rows than were asked for.
    server.hold_many(21)
    snapshot = await venue.snapshot()
    assert (len(snapshot.positions), snapshot.gaps) == (21, ())


@pytest.mark.parametrize(("count", "requests"), [(1, 2), (19, 2), (20, 3)])
async def test_the_last_pages_cursor_is_followed_only_where_there_may_be_more(server, venue, count, requests):
    server.hold_many(count)
    assert len((await venue.snapshot()).positions) == count
    server.requests.clear()
    await venue.snapshot()
    assert len(server.requests) == requests


async def test_pages_that_go_round_are_no_answer(server, venue):
    server.hold_many(20)

    def round_and_round(answer):
        answer["result"]["list"] = answer["result"]["list"] or [{}] * 20
        answer["result"]["nextPageCursor"] = "0"
        return answer

    server.mangle("positions", round_and_round)
    with pytest.raises(VenueUnavailable, match="pages do not end"):
        await venue.snapshot()
    assert len(asked_for(server)) < 6  # It is seen at once.


async def test_an_answer_about_another_category_is_none(server, venue):
    server.mangle("positions", lambda answer: answer | {"result": answer["result"] | {"category": "inverse"}})
    with pytest.raises(VenueUnavailable, match="linear"):
        await venue.snapshot()


async def test_the_margin_mode_is_the_accounts_whatever_a_row_says(server, venue):
    server.hold_sample()
    change_row(server, tradeMode=0, positionBalance="12345")
    (position,) = (await venue.snapshot()).positions
    assert (position.margin_mode, position.isolated_wallet) == (MarginMode.ISOLATED, USDT.margin)
    assert venue.watch_only is None


async def test_a_cross_account_is_watched_by_its_own_ratio(server, venue):
    server.margin_mode, server.account_mm_rate = "REGULAR_MARGIN", "0.4"
    server.hold_sample(margin=None)
    snapshot = await venue.snapshot()
    (position,) = snapshot.positions
    assert (snapshot.asset_mode, snapshot.exchange_margin_ratio) == (AssetMode.MULTI, Decimal("0.4"))
    assert (position.margin_mode, position.isolated_wallet) == (MarginMode.CROSS, None)
    assert "cross margin mode" in venue.watch_only
    assert snapshot.gaps == ()


async def test_a_portfolio_account_has_no_margins_and_no_liquidation_price(server, venue):
    server.margin_mode = "PORTFOLIO_MARGIN"
    server.hold_sample(margin=None)
    snapshot = await venue.snapshot()
    (position,) = snapshot.positions
    assert snapshot.exchange_margin_ratio == Decimal("0.25")
    assert position.exchange_liquidation.kind is LiquidationKind.UNKNOWN
    assert (position.leverage, position.exchange_maintenance_margin, position.isolated_wallet) == (None, None, None)
    assert "portfolio margin mode" in venue.watch_only
    assert snapshot.gaps == ()


async def test_the_larger_of_an_accounts_two_statements_holds(server, venue):
    server.margin_mode, server.account_mm_rate = "REGULAR_MARGIN", "0.008"  # Its totals make 0.01, without haircuts.
    server.hold_sample(margin=None)
    assert (await venue.snapshot()).exchange_margin_ratio == Decimal("0.01")


@pytest.mark.parametrize("rate", ["", "0", "0.0000"])
async def test_a_cross_account_without_positions_has_no_ratio_and_no_gap(server, venue, rate):
    server.margin_mode, server.account_mm_rate = "REGULAR_MARGIN", rate
    snapshot = await venue.snapshot()
    assert (snapshot.asset_mode, snapshot.exchange_margin_ratio, snapshot.gaps) == (AssetMode.MULTI, None, ())


@pytest.mark.parametrize("rate", ["", "NaN", None, "-1", "0.001"])  # The last is less than its own totals make.
async def test_a_ratio_that_is_none_or_contradicts_the_totals_is_a_gap(server, venue, rate):
    server.margin_mode, server.account_mm_rate = "REGULAR_MARGIN", rate
    server.hold_sample(margin=None)
    snapshot = await venue.snapshot()
    assert snapshot.exchange_margin_ratio is None
    assert [gap.subject for gap in snapshot.gaps] == ["account margin ratio"]


@pytest.mark.parametrize("rate", ["", "0", "0.0000"])
async def test_an_isolated_account_is_not_asked_for_its_mode_in_every_cycle(server, venue, rate):
    server.hold_sample()
    server.mangle("wallets", lambda answer: answer["result"]["list"][0].update(accountMMRate=rate) or answer)
    for _ in range(3):
        await venue.snapshot()
    assert len(server.asked("account/info")) == 1


async def test_a_switched_mode_is_seen_in_the_next_cycle(server, venue):
    server.hold_sample()
    assert (await venue.snapshot()).asset_mode is AssetMode.SINGLE
    server.holdings[USDT.symbol, Side.LONG].margin = None
    server.margin_mode = "REGULAR_MARGIN"
    snapshot = await venue.snapshot()
    assert snapshot.asset_mode is AssetMode.MULTI
    assert snapshot.positions[0].margin_mode is MarginMode.CROSS


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"liqPrice": ""}, LiquidationKind.NONE),
        ({"liqPrice": "0"}, LiquidationKind.NONE),
        ({"liqPrice": None}, LiquidationKind.UNKNOWN),
        ({"liqPrice": "NaN"}, LiquidationKind.UNKNOWN),
        ({"liqPrice": "-5"}, LiquidationKind.UNKNOWN),
        ({"positionStatus": "Liq"}, LiquidationKind.PAST),
    ],
)
async def test_what_the_exchange_says_of_liquidation(server, venue, fields, kind):
    server.hold_sample()
    change_row(server, **fields)
    (position,) = (await venue.snapshot()).positions
    assert position.exchange_liquidation.kind is kind


async def test_a_usdc_position_counts_from_its_last_settlement(server, venue):
    server.hold_sample(of=USDC)
    server.session_prices[USDC.symbol] = Decimal(58500)
    (position,) = (await venue.snapshot()).positions
    assert position.entry_price == 58500
    assert position.isolated_wallet == USDC.margin


@pytest.mark.parametrize("fields", [{"unrealisedPnl": "200"}, {"unrealisedPnl": ""}, {"avgPrice": "5999850"}])
async def test_a_row_that_contradicts_itself_is_a_gap(server, venue, fields):
    server.hold_sample()
    change_row(server, **fields)
    snapshot = await venue.snapshot()
    assert snapshot.positions == ()
    assert [gap.key for gap in snapshot.gaps] == [LONG_BTC]


@pytest.mark.parametrize("fields", [{"positionIdx": 2}, {"positionIdx": 3}, {"side": ""}, {"side": "None"}])
async def test_a_side_that_contradicts_the_leg_is_a_gap(server, venue, fields):
    server.hold_sample()
    change_row(server, **fields)
    snapshot = await venue.snapshot()
    assert snapshot.positions == ()
    assert len(snapshot.gaps) == 1


async def test_a_wallet_whose_positions_hold_something_else_puts_all_of_them_in_doubt(server, venue):
    server.hold_sample()
    server.hold_sample(of=BybitServer.other)
    change_coin(server, totalPositionIM="1500")
    snapshot = await venue.snapshot()
    assert {gap.key for gap in snapshot.gaps} == {p.key for p in snapshot.positions}
    assert "1500 by the wallet" in snapshot.gaps[0].reason


async def test_a_row_that_is_missing_beside_others_of_a_cross_account_is_a_gap(server, venue):
    server.hold_sample(margin=None)
    server.hold_sample(of=BybitServer.other, margin=None)
    assert (await venue.snapshot()).gaps == ()

    def drop(answer):
        del answer["result"]["list"][1:]
        return answer

    server.mangle("positions", drop)
    snapshot = await venue.snapshot()
    assert [position.key for position in snapshot.positions] == [LONG_BTC]
    (gap,) = snapshot.gaps
    assert (gap.subject, gap.key, gap.may_be_cross) == ("positions", None, True)
    assert "by the wallet" in gap.reason


@pytest.mark.parametrize("more", ["6", "-6"])
async def test_a_wallet_that_counts_the_fee_to_close_once_more_or_not_at_all_is_no_conflict(server, venue, more):
    server.hold_sample()
    wallet = USDT.margin + Decimal("2.97") + Decimal(more)
    change_coin(server, totalPositionIM=f"{wallet}")
    assert (await venue.snapshot()).gaps == ()


async def test_what_may_move_is_what_is_bound_by_nothing(server, venue):
    server.set_wallet("USDT", Decimal(1000), Decimal(900))
    change_coin(server, locked="50", bonus="25", spotBorrow="100")
    wallet = (await venue.snapshot()).wallet("USDT")
    assert (wallet.cross_wallet_balance, wallet.available) == (900, 725)
    change_coin(server, locked="5000")
    assert (await venue.snapshot()).wallet("USDT").available == 0


@pytest.mark.parametrize("name", ["walletBalance", "totalPositionIM", "totalOrderIM", "locked", "bonus", "spotBorrow"])
@pytest.mark.parametrize("value", ["", None, "NaN"])
async def test_a_wallet_that_cannot_be_read_is_a_gap_and_no_wallet(server, venue, name, value):
    server.hold_sample()
    change_coin(server, **{name: value})
    snapshot = await venue.snapshot()
    assert snapshot.wallet("USDT") is None
    assert "wallet USDT" in {gap.subject for gap in snapshot.gaps}
    assert len(snapshot.positions) == 1


async def test_fees_that_are_not_told_are_a_gap_and_taken_for_more_than_they_can_be(server, venue):
    server.hold_sample()
    server.mangle("fee-rate", lambda answer: answer | {"result": {}})
    snapshot = await venue.snapshot()
    (position,) = snapshot.positions
    assert position.isolated_wallet < USDT.margin
    assert [gap.subject for gap in snapshot.gaps] == ["linear taker fees"]
    server.mangle("fee-rate", None)
    assert (await venue.snapshot()).positions[0].isolated_wallet == USDT.margin


@pytest.mark.parametrize(("status", "reason"), [(4, "unified account 1.0"), (3, "unified account 1.0")])
async def test_an_older_unified_account_keeps_its_inverse_positions_elsewhere(server, venue, status, reason):
    server.hold_sample(of=COIN)
    server.hold_sample()
    server.mangle("info", lambda answer: answer | {"result": answer["result"] | {"unifiedMarginStatus": status}})
    snapshot = await venue.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [USDT.symbol]
    assert reason in snapshot.gaps[0].reason


@pytest.mark.parametrize("result", [{"unifiedMarginStatus": 1}, {"marginMode": "NEW_MARGIN"}, {"marginMode": None}])
async def test_an_account_whose_mode_is_not_known_is_not_read(server, venue, result):
    server.mangle("info", lambda answer: answer | {"result": answer["result"] | result})
    with pytest.raises(VenueUnavailable):
        await venue.snapshot()


async def test_a_mode_that_cannot_be_read_again_is_a_gap(server, venue, clock):
    server.hold_sample()
    await venue.snapshot()
    server.mangle("info", lambda answer: answer | {"result": {}})
    clock.ahead = timedelta(minutes=11)
    snapshot = await venue.snapshot()
    assert len(snapshot.positions) == 1
    assert snapshot.gaps[0].subject == "margin mode and markets"


async def test_the_maintenance_margin_is_told_without_the_fee_to_close(server, venue):
    server.hold_sample()
    (position,) = (await venue.snapshot()).positions
    assert position.exchange_maintenance_margin == USDT.contracts * USDT.mark * Decimal("0.005")
