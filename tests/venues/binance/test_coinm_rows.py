"""COIN-M's own traps: rows as recorded and as documented, and what two endpoints must say alike."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from coinm_wire import BTC, ETH, BinanceCoinmServer

from guard.daemon.past import open_isolated
from guard.errors import VenueUnavailable
from guard.snapshot import ContractKind, LiquidationKind, MarginMode, MarginRequest, Outcome, PositionKey, Side
from guard.venues import open_venue
from guard.venues.binance_account import read_positions
from guard.venues.binance_market import read_mark
from guard.venues.protocol import VenueAccount

LONG = PositionKey(BTC, Side.LONG)
# ccxt's recorded answer of 2024-07-27 (ts/src/test/static/response/binance.json at 05776890), numbers as they stood.
RECORDED = [
    {
        "symbol": "BTCUSD_PERP", "positionAmt": "-3", "entryPrice": "68911.00000037", "markPrice": "68234.20000000",
        "unRealizedProfit": "0.00004318", "liquidationPrice": "72491.16879818", "leverage": "20", "maxQty": "150",
        "marginType": "cross", "isolatedMargin": "0.00000000", "isAutoAddMargin": "false", "positionSide": "BOTH",
        "notionalValue": "-0.00439662", "isolatedWallet": "0", "updateTime": "1722105622903",
        "breakEvenPrice": "68876.54450033",
    },
    {
        "symbol": "BCHUSD_241227", "positionAmt": "0", "entryPrice": "0.00000000", "markPrice": "0.00000000",
        "unRealizedProfit": "0.00000000", "liquidationPrice": "0", "leverage": "20", "maxQty": "500",
        "marginType": "cross", "isolatedMargin": "0.00000000", "isAutoAddMargin": "false", "positionSide": "BOTH",
        "notionalValue": "0", "isolatedWallet": "0", "updateTime": "0", "breakEvenPrice": "0.00000000",
    },
]  # fmt: skip


@pytest.fixture
async def server():
    async with BinanceCoinmServer().serving() as one:
        yield one


@pytest.fixture
async def venue(server):
    one = open_venue(server.account(), now=lambda: datetime.now(UTC))
    yield one
    await one.close()


def rows_changed(server, change):
    """Change the first position row of every answer."""

    def mangle(answer):
        change(answer[0])
        return answer

    server.mangle("positions", mangle)


async def test_a_recorded_answer_reads_as_the_one_position_it_holds(server, venue):
    await venue.open()
    account = [{"symbol": "BTCUSD_PERP", "positionSide": "BOTH", "positionAmt": "-3", "isolated": False, "maintMargin": "0.00001758"}]  # fmt: skip
    state = venue._account_state({"assets": [], "positions": account})
    positions, gaps = read_positions(RECORDED, account, venue._terms(state), now=datetime.now(UTC))
    assert gaps == ()
    (one,) = positions
    assert one.key == PositionKey(BTC, Side.SHORT)
    assert (one.contract.kind, one.contract.contract_size) == (ContractKind.INVERSE, 100)
    assert (one.quantity, one.entry_price) == (3, Decimal("68911.00000037"))
    assert (one.margin_mode, one.isolated_wallet, one.leverage) == (MarginMode.CROSS, None, 20)
    assert one.exchange_liquidation.price == Decimal("72491.16879818")
    assert one.exchange_maintenance_margin == Decimal("0.00001758")


async def test_without_the_undocumented_wallet_the_margin_is_what_the_documented_fields_mean(server, venue):
    server.hold_sample()

    def as_documented(row):
        del row["isolatedWallet"], row["notionalValue"]

    rows_changed(server, as_documented)
    snapshot = await venue.snapshot()
    assert snapshot.gaps == ()
    assert abs(snapshot.positions[0].isolated_wallet - server.sample.margin) <= Decimal("1E-8")


async def test_an_account_without_the_undocumented_wallet_leaves_the_position_as_it_is(server, venue):
    server.hold_sample()

    def as_documented(answer):
        for row in answer["positions"]:
            row.pop("isolatedWallet", None)
        return answer

    server.mangle("wallets", as_documented)
    snapshot = await venue.snapshot()
    assert snapshot.gaps == ()
    assert snapshot.positions[0].isolated_wallet == server.sample.margin


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"isolatedWallet": "0.06000000"}, "isolatedWallet is 0.06"),
        ({"marginType": "cross"}, "account says isolated: True"),
        ({"notionalValue": "52.17391304"}, "notional is 52"),  # As if a contract were a hundred times as large.
        ({"positionSide": "SHORT"}, "positionSide is SHORT"),
        ({"marginType": "portfolio"}, "marginType is 'portfolio'"),
    ],
    ids=["two wallets", "two modes", "another size", "another side", "an unknown mode"],
)
async def test_a_row_that_contradicts_itself_or_the_account_is_a_gap(server, venue, change, said):
    server.hold_sample()
    rows_changed(server, lambda row: row.update(change))
    snapshot = await venue.snapshot()
    assert snapshot.positions == ()
    assert said in snapshot.gaps[0].reason


async def test_margin_that_a_coin_holds_without_a_listed_position_is_a_gap(server, venue):
    server.hold_sample()

    def empty(answer):
        answer.clear() if isinstance(answer, list) else answer["positions"].clear()
        return answer

    server.mangle("positions", empty)
    server.mangle("wallets", empty)
    (gap,) = (await venue.snapshot()).gaps
    assert gap.may_be_cross
    assert "none is listed" in gap.reason


async def test_each_coin_has_a_wallet_of_its_own(server, venue):
    server.hold_sample(margin=None)
    server.hold_sample(of=server.other)
    server.set_wallet("BTC", Decimal("0.5"), Decimal("0.4"))
    server.set_wallet("ETH", Decimal(30), Decimal(29))
    wallets = {wallet.currency: wallet for wallet in (await venue.snapshot()).wallets}
    assert {name: wallet.available for name, wallet in wallets.items()} == {"BTC": Decimal("0.4"), "ETH": 29}
    assert wallets["BTC"].cross_unrealized_pnl < 0 == wallets["ETH"].cross_unrealized_pnl


async def test_a_long_that_its_coin_covers_whole_is_never_liquidated(server, venue):
    server.hold_sample(Side.SHORT, margin=Decimal(1))
    (position,) = (await venue.snapshot()).positions
    assert server.liquidation_of(BTC, Side.SHORT) is None
    assert position.exchange_liquidation.kind is LiquidationKind.NONE


async def test_markets_cost_one_request_and_no_spot_market_is_asked_for(server, venue):
    await venue.open()
    assert [path for _, path, _ in server.requests] == ["/dapi/v1/exchangeInfo"]


async def test_twenty_positions_cost_a_weight_of_six_a_cycle(server, venue):
    await venue.snapshot()
    server.requests.clear()
    await venue.snapshot()
    costs = venue._client.describe()["api"]["dapiPrivate"]["get"]
    weights = [costs[path.removeprefix("/dapi/v1/")]["cost"] for _, path, _ in server.requests]
    assert weights == [1, 5]


async def test_a_dated_contract_is_known_by_its_date(server, venue):
    honest = server.market

    def dated(symbol):
        delivery = {"symbol": "BTCUSD_261225", "contractType": "CURRENT_QUARTER", "deliveryDate": 1798185600000}
        return honest(symbol) | (delivery if symbol == BTC else {})

    server.market = dated
    await venue.open()
    assert venue.contracts["BTC/USD:BTC-261225"].contract_size == 100
    assert set(venue.contracts) == {"BTC/USD:BTC-261225", ETH}


async def test_a_contract_without_a_size_is_no_contract(server, venue):
    honest = server.market
    server.market = lambda symbol: honest(symbol) | ({"contractSize": "x"} if symbol == BTC else {})
    server.hold_sample()
    snapshot = await venue.snapshot()
    assert set(venue.contracts) == {ETH}
    assert "is not among the markets" in snapshot.gaps[0].reason


def request_for(server):
    return MarginRequest(key=LONG, hedged=False, amount=server.sample.top_up, currency="BTC")


async def settled(venue, server):
    now = datetime.now(UTC)
    return await venue.settle(
        request_for(server), sent_at=now - timedelta(seconds=4), now=now, known_entries=frozenset()
    )


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [
        ({}, Outcome.APPLIED),
        ({"deltaType": "USER_ADJUST"}, Outcome.APPLIED),
        ({"deltaType": "TRADE"}, Outcome.NOT_APPLIED),
    ],
    ids=["not said", "a person's", "a trade's"],
)
async def test_an_entry_without_a_cause_proves_what_it_says_and_a_trades_proves_nothing(server, venue, cause, outcome):
    server.hold_sample()
    await venue.snapshot()
    server.add_to(BTC, Side.LONG, server.sample.top_up)
    booked = round((datetime.now(UTC) - timedelta(seconds=4)).timestamp() * 1000)
    server.mangle("history", lambda rows: [row | cause | {"time": booked} for row in rows])
    assert (await settled(venue, server)).outcome is outcome


async def test_what_a_cause_that_is_not_said_moved_counts_as_a_persons(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.add_to(BTC, Side.LONG, Decimal("0.01"))
    (change,) = await venue.margin_changes(
        open_isolated(await venue.snapshot()), datetime.now(UTC) - timedelta(hours=1)
    )
    assert (change.key, change.amount, change.currency, change.by_user) == (LONG, Decimal("0.01"), "BTC", True)


async def test_the_real_exchange_is_asked_at_three_hosts_and_no_other():
    account = VenueAccount(account="main", exchange="binancecoinm", api_key="k", secret="s", password=None, ccxt={})
    venue = open_venue(account, now=lambda: datetime.now(UTC))
    assert venue.hosts() == ("api.binance.com", "dapi.binance.com", "dstream.binance.com")
    assert not venue.write_terms.test_host
    await venue.close()


async def test_a_demo_account_is_a_test_host_and_asks_the_real_one_nothing():
    account = VenueAccount(
        account="main", exchange="binancecoinm", api_key="k", secret="s", password=None,
        ccxt={"options": {"enableDemoTrading": True}},
    )  # fmt: skip
    venue = open_venue(account, now=lambda: datetime.now(UTC))
    assert venue.hosts() == ("demo-dapi.binance.com", "dstream.binancefuture.com")
    assert venue.write_terms.test_host
    assert (await venue.key_scopes()).verdict.value == "unverifiable"
    await venue.close()


async def test_ccxts_own_method_would_refuse_what_is_added_here(server, venue):
    """The trap itself: amounts are rounded to whole contracts there, so less than a coin cannot be added."""
    server.hold_sample()
    await venue.snapshot()
    with pytest.raises(Exception, match="must be greater than minimum amount precision of 1"):
        await venue._client.add_margin(BTC, 0.01)
    assert server.writes == []
    assert await venue.add_margin(request_for(server))
    assert server.writes[0].params["amount"] == "0.00123457"


async def test_a_mark_of_another_symbol_or_of_several_is_none(server, venue):
    await venue.open()
    server.mangle("mark", lambda rows: rows * 2)
    with pytest.raises(VenueUnavailable):
        await venue.mark(BTC)
    server.mangle("mark", lambda rows: [rows[0] | {"symbol": "ETHUSD_PERP"}])
    with pytest.raises(VenueUnavailable):
        await venue.mark(BTC)


async def test_a_symbol_whose_brackets_are_not_listed_is_a_gap_and_never_left_out_in_silence(server, venue):
    await venue.open()
    server.mangle("tiers", lambda answer: [answer[1], {**answer[0], "symbol": "GONEUSD_PERP"}])
    tables = await venue.tiers(frozenset({BTC, ETH}))
    assert set(tables.by_symbol) == {ETH}
    assert [(gap.subject, gap.reason) for gap in tables.gaps] == [(f"{BTC} tiers", "leverageBracket: not listed")]


def test_a_mark_that_is_asked_for_comes_with_its_index_price():
    row = {"symbol": "BTCUSD_PERP", "markPrice": "58000.1", "indexPrice": "57990.2", "time": 1785000000000}
    assert read_mark([row], "BTCUSD_PERP", "BTC/USD:BTC").index_price == Decimal("57990.2")
