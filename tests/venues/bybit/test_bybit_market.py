"""Bybit's marks, candles and tiers, its open stops and fills, its hosts and keys."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from bybit_wire import BybitServer

from guard.errors import ConfigError, KeysRefused, VenueUnavailable
from guard.snapshot import EndKind, PositionKey, Side
from guard.venues.bybit import Bybit
from guard.venues.bybit_wire import FENCE, RECV_WINDOW
from guard.venues.protocol import KeyVerdict, VenueAccount

USDT, COIN = BybitServer.sample, BybitServer.inverse
LONG = PositionKey(USDT.symbol, Side.LONG)
DAY_AGO = datetime.now(UTC) - timedelta(days=1)


def account_with(**ccxt):
    return VenueAccount(account="main", exchange="bybit", api_key="k", secret="s", password=None, ccxt=ccxt)


def venue_with(**ccxt):
    return Bybit(account_with(**ccxt), now=lambda: datetime.now(UTC))


async def test_linear_and_inverse_marks_stream_side_by_side(server, venue):  # ccxt asks all where the first one lives.
    await venue.open()
    symbols = (USDT.symbol, COIN.symbol, BybitServer.usdc.symbol)
    told = set()
    async with asyncio.timeout(15), aclosing(venue.watch_marks(symbols)) as stream:
        async for mark in stream:
            told.add(mark.symbol)
            if told == set(symbols):
                break
    assert server.stream_paths == {"/v5/public/linear", "/v5/public/inverse"}
    assert server.subscriptions == [{"tickers.BTCUSDT", "tickers.BTCPERP"}, {"tickers.BTCUSD"}]


async def test_a_message_that_does_not_name_the_mark_says_that_it_stands_still(server, venue):
    await venue.open()
    server.silent_on_marks = True
    async with asyncio.timeout(15), aclosing(venue.watch_marks((USDT.symbol,))) as stream:
        first = await anext(stream)
        server.set_mark(USDT.symbol, Decimal(1))  # Not told: the later message names the volume only.
        second = await anext(stream)
    assert (first.price, second.price) == (USDT.mark, USDT.mark)
    assert second.at > first.at


async def test_the_open_candle_is_left_out_for_it_closes_at_the_last_trade(server, venue):
    await venue.open()
    candles = await venue.candles(USDT.symbol, minutes=5, count=3)
    assert [candle.close for candle in candles] == [58000.0] * 3
    assert candles[-1].opened_at + timedelta(minutes=5) <= datetime.now(UTC)
    assert server.asked("mark-price-kline")[0]["interval"] == "5"


@pytest.mark.parametrize("fields", [{"maintenanceMargin": "0.5", "initialMargin": "1"}, {}])
async def test_a_tiers_rate_in_percent_is_told_from_a_fraction(server, venue, fields):
    await venue.open()

    def change(answer):
        answer["result"]["list"] = [answer["result"]["list"][0] | fields]
        return answer

    server.mangle("tiers", change)
    (tier,) = (await venue.tiers(frozenset({COIN.symbol}))).by_symbol[COIN.symbol].rows
    assert (tier.maintenance_margin_rate, tier.notional_cap) == (Decimal("0.005"), 150)


@pytest.mark.parametrize(
    "fields",
    [
        {"initialMargin": "0.1"},
        {"maintenanceMargin": "NaN"},
        {"riskLimitValue": ""},
        {"symbol": "ETHUSDT"},
        {"mmDeduction": None},
        {"riskLimitValue": "20000000"},
        {"riskLimitValue": "10000000"},  # As the next one.
    ],
    ids=str,
)
async def test_tiers_that_make_no_sense_are_a_gap_and_the_others_stay(server, venue, fields):
    await venue.open()

    def change(answer):
        if answer["result"]["list"][0]["symbol"] == "BTCUSDT":
            answer["result"]["list"][0] |= fields
        return answer

    server.mangle("tiers", change)
    tables = await venue.tiers(frozenset({USDT.symbol, BybitServer.other.symbol}))
    assert set(tables.by_symbol) == {BybitServer.other.symbol}
    assert [gap.subject for gap in tables.gaps] == [f"{USDT.symbol} tiers"]


async def test_a_stop_is_read_with_its_position(server, venue):
    server.hold_sample()
    server.hold_sample(Side.SHORT, COIN)
    await venue.open()
    server.add_stop(USDT.symbol, Side.LONG, Decimal(55000))
    server.add_stop(COIN.symbol, Side.SHORT, Decimal(66000))
    stops = await venue.stops(frozenset({USDT.symbol, COIN.symbol}))
    assert {(stop.key, stop.trigger_price, stop.trigger_by, stop.quantity) for stop in stops} == {
        (LONG, 55000, "mark", None),
        (PositionKey(COIN.symbol, Side.SHORT), 66000, "mark", None),
    }
    assert len(server.asked("order/realtime")) == 2


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"stopOrderType": "PartialStopLoss", "qty": "0.05"}, True),
        ({"stopOrderType": "Stop"}, True),
        ({"stopOrderType": "Stop", "reduceOnly": False, "closeOnTrigger": False}, False),  # It may open a position.
        ({"stopOrderType": "Stop", "triggerDirection": 1}, False),  # Takes profit.
        ({"stopOrderType": "TakeProfit", "triggerDirection": 1}, False),
        ({"stopOrderType": "TrailingStop", "triggerDirection": 1}, True),  # It begins to trail where it wins.
        ({"stopOrderType": "UNKNOWN"}, False),
        ({"symbol": "ETHUSDT"}, False),  # Not asked for.
    ],
    ids=str,
)
async def test_what_is_a_stop_and_what_is_not(server, venue, fields, seen):
    server.hold_sample()
    await venue.open()
    server.add_stop(USDT.symbol, Side.LONG, Decimal(55000))

    def change(answer):
        answer["result"]["list"][0] |= fields
        return answer

    server.mangle("stops", change)
    stops = await venue.stops(frozenset({USDT.symbol}))
    assert bool(stops) == seen
    assert not seen or stops[0].key == LONG
    trails = fields.get("stopOrderType") == "TrailingStop"
    assert not seen or stops[0].trigger_price == (None if trails else 55000)  # Nobody says where it stands.


async def test_an_order_that_cannot_be_read_is_no_missing_stop(server, venue):
    server.hold_sample()
    await venue.open()
    server.add_stop(USDT.symbol, Side.LONG, Decimal(55000))
    server.mangle("stops", lambda answer: answer["result"]["list"][0].update(triggerPrice="") or answer)
    with pytest.raises(VenueUnavailable):
        await venue.stops(frozenset({USDT.symbol}))


@pytest.mark.parametrize(
    ("how", "kind"),
    [("closed", EndKind.CLOSED), ("liquidated", EndKind.LIQUIDATED), ("adl", EndKind.DELEVERAGED)],
)
async def test_how_a_position_ended_is_told_by_its_fills(server, venue, how, kind):
    server.hold_sample()
    await venue.open()
    server.end_position(USDT.symbol, Side.LONG, how)
    ending = await venue.ending(LONG, DAY_AGO)
    assert (ending.kind, ending.price) == (kind, USDT.mark)
    assert "1 fill until" in ending.evidence


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"createType": "CreateByLiq"}, EndKind.LIQUIDATED),  # Sold in steps before it is taken over.
        ({"execType": "Delivery"}, EndKind.CLOSED),
        ({"closedSize": "0"}, EndKind.UNKNOWN),  # In hedge mode the other leg was opened.
        ({"closedSize": ""}, EndKind.UNKNOWN),
        ({"execType": "Funding"}, EndKind.UNKNOWN),
        ({"side": "Buy"}, EndKind.UNKNOWN),
        ({"symbol": "ETHUSDT"}, EndKind.UNKNOWN),
    ],
    ids=str,
)
async def test_which_fills_end_a_position(server, venue, fields, kind):
    server.hold_sample()
    await venue.open()
    server.end_position(USDT.symbol, Side.LONG, "closed")
    server.mangle("fills", lambda answer: answer["result"]["list"][0].update(fields) or answer)
    assert (await venue.ending(LONG, DAY_AGO)).kind is kind


async def test_a_position_that_ended_before_the_exchange_tells_is_unknown(server, venue):
    await venue.open()
    ending = await venue.ending(LONG, DAY_AGO - timedelta(days=60))
    assert (ending.kind, ending.at, ending.price) == (EndKind.UNKNOWN, None, None)
    started = datetime.fromtimestamp(int(server.asked("execution/list")[0]["startTime"]) / 1000, UTC)
    assert timedelta(days=6) < datetime.now(UTC) - started < timedelta(days=7)


async def test_the_end_of_a_key_is_told(server, venue):
    end = datetime(2027, 1, 5, 3, 20, 45, tzinfo=UTC)
    server.set_key(ip_bound=False, expires_at=end)
    scopes = await venue.key_scopes()
    assert (scopes.expires_at, scopes.ip_restricted) == (end, False)
    server.set_key()
    scopes = await venue.key_scopes()
    assert (scopes.expires_at, scopes.ip_restricted) == (None, True)  # 1970 means never.


@pytest.mark.parametrize(
    ("group", "names", "verdict"),
    [
        ("Wallet", ["SubMemberTransferList"], KeyVerdict.TOO_POWERFUL),
        ("FiatP2P", ["FiatP2POrder"], KeyVerdict.TOO_POWERFUL),
        ("FiatBitPay", ["FaitPayOrder"], KeyVerdict.TOO_POWERFUL),
        ("FiatBybitPay", ["FaitPayOrder"], KeyVerdict.TOO_POWERFUL),
        ("Spot", ["SpotTrade"], KeyVerdict.SAFE),
        ("Derivatives", [], KeyVerdict.SAFE),  # ContractTrade is enough.
    ],
)
async def test_which_permissions_are_too_much(server, venue, group, names, verdict):
    def change(answer):
        answer["result"]["permissions"][group] = names
        return answer

    server.mangle("query-api", change)
    scopes = await venue.key_scopes()
    assert scopes.verdict is verdict
    assert all(f"{group}.{name}" in scopes.scopes for name in names)


@pytest.mark.parametrize("group", ["Wallet", "FiatP2P"])
async def test_what_a_read_only_key_lists_it_may_look_at(server, venue, group):
    """Docs, "Get API Key Information" (2026): readOnly 1 is "read only", whatever the permissions name."""

    def change(answer):
        answer["result"]["permissions"][group] = ["AccountTransfer"]
        return answer

    server.set_key(read_only=True)
    server.mangle("query-api", change)
    assert (await venue.key_scopes()).verdict is KeyVerdict.READ_ONLY


@pytest.mark.parametrize("fields", [{"permissions": {}}, {"permissions": {"ContractTrade": ["Order"]}}])
async def test_a_key_without_contract_positions_can_only_look(server, venue, fields):
    server.mangle("query-api", lambda answer: answer["result"].update(fields) or answer)
    assert (await venue.key_scopes()).verdict is KeyVerdict.READ_ONLY


@pytest.mark.parametrize(
    "fields", [{"permissions": None}, {"ips": None}, {"expiredAt": "soon"}, {"readOnly": 2}, {"expiredAt": None}]
)
async def test_a_key_of_which_a_part_is_not_told_is_not_verified(server, venue, fields):
    server.mangle("query-api", lambda answer: answer["result"].update(fields) or answer)
    assert (await venue.key_scopes()).verdict is KeyVerdict.UNVERIFIABLE


@pytest.mark.parametrize("code", ["10003", "10004", "10005", "10010", "33004"])
async def test_a_key_that_is_refused_is_told_as_that(server, venue, code):
    await venue.open()
    server.refuse_signed = code
    with pytest.raises(KeysRefused, match=code):
        await venue.snapshot()


@pytest.mark.parametrize(
    ("ccxt", "hosts", "test"),
    [
        ({}, ("api.bybit.com", "stream.bybit.com"), False),
        ({"hostname": "bytick.com"}, ("api.bytick.com", "stream.bytick.com"), False),
        ({"hostname": "bybit.eu"}, ("api.bybit.eu", "stream.bybit.eu"), False),
        ({"sandbox": True}, ("api-testnet.bybit.com", "stream-testnet.bybit.com"), True),
        (
            {"options": {"enableDemoTrading": True}},
            ("api-demo.bybit.com", "stream-demo.bybit.com", "stream.bybit.com"),
            True,
        ),
    ],
    ids=str,
)
async def test_requests_go_to_these_hosts_only(ccxt, hosts, test):
    venue = venue_with(**ccxt)
    assert venue.hosts() == hosts
    assert venue.write_terms.test_host is test
    assert venue.write_terms.fence == FENCE > RECV_WINDOW
    assert venue._client.options["recvWindow"] == 5000
    await venue.close()


@pytest.mark.parametrize("hostname", ["bybit.co", "evil.example", "", None])
def test_a_key_is_sent_to_no_host_that_is_not_bybits(hostname):
    with pytest.raises(ConfigError, match="hostname"):
        venue_with(hostname=hostname)


async def test_a_longer_validity_in_the_config_does_not_outlast_the_fence(server):
    venue = Bybit(server.account(options={"recvWindow": 60_000}), now=lambda: datetime.now(UTC))
    await venue.open()
    assert venue._client.options["recvWindow"] == 1000
    await venue.close()


async def test_a_demo_account_says_nothing_of_fees_and_keys(server):
    venue = Bybit(server.account(), now=lambda: datetime.now(UTC))
    venue._is_demo = True
    server.hold_sample()
    assert (await venue.snapshot()).gaps == ()
    assert (await venue.key_scopes()).verdict is KeyVerdict.UNVERIFIABLE
    assert server.asked("fee-rate") == server.asked("query-api") == []
    await venue.close()
