"""The real ccxt.pro, unchanged, against the demo exchange over loopback."""

import re
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest
from demo_exchange_support import account_with, client_at

from guard.demo.exchange import DemoExchange, KeyPermissions, ccxt_urls
from guard.demo.exchange.payloads import account_payload
from guard.snapshot import MarginMode, Side

# The names in a recorded row of GET /fapi/v3/positionRisk, and of an asset and the totals of GET /fapi/v3/account
# (ccxt's fixtures of 2024-07).
POSITION_NAMES = {
    *("symbol", "positionSide", "positionAmt", "entryPrice", "breakEvenPrice", "markPrice", "unRealizedProfit"),
    *("liquidationPrice", "isolatedMargin", "notional", "marginAsset", "isolatedWallet", "initialMargin"),
    *("maintMargin", "positionInitialMargin", "openOrderInitialMargin", "adl", "bidNotional", "askNotional"),
    "updateTime",
}
ACCOUNT_POSITION_NAMES = {
    *("symbol", "positionSide", "positionAmt", "unrealizedProfit", "isolatedMargin", "notional", "isolatedWallet"),
    *("initialMargin", "maintMargin", "updateTime"),
}
ASSET_NAMES = {
    *("asset", "walletBalance", "unrealizedProfit", "marginBalance", "maintMargin", "initialMargin"),
    *("positionInitialMargin", "openOrderInitialMargin", "crossWalletBalance", "crossUnPnl", "availableBalance"),
    *("maxWithdrawAmount", "updateTime"),
}
TOTAL_NAMES = {
    *("totalInitialMargin", "totalMaintMargin", "totalWalletBalance", "totalUnrealizedProfit", "totalMarginBalance"),
    *("totalPositionInitialMargin", "totalOpenOrderInitialMargin", "totalCrossWalletBalance", "totalCrossUnPnl"),
    *("availableBalance", "maxWithdrawAmount", "assets", "positions"),
}


def strings_of(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [text for inner in value.values() for text in strings_of(inner)]


@pytest.fixture
def positions(exchange, account):
    """An isolated long, a cross short, and an order of a third coin."""
    exchange.open_position(account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.5"), leverage=10)
    exchange.open_position(
        account,
        symbol="ETHUSDT",
        side=Side.SHORT,
        quantity=Decimal(1),
        leverage=20,
        margin_mode=MarginMode.CROSS,
    )
    exchange.place_order(account, symbol="SOLUSDT", side=Side.LONG, price=Decimal(100), quantity=Decimal(2))
    exchange.set_mark("BTCUSDT", Decimal(59_000))
    return account


def test_no_address_of_ccxt_is_left_that_leads_out_of_this_machine():
    url = "http://127.0.0.1:1"
    client = ccxt.pro.binanceusdm({"urls": ccxt_urls(url)})
    for address in strings_of(client.urls["api"]):
        assert re.match(r"(http|ws)://127\.0\.0\.1:1/", address)


def test_only_scheme_and_host_of_the_http_addresses_differ_from_the_real_ones():
    ours, real = ccxt_urls("http://127.0.0.1:1")["api"], ccxt.pro.binanceusdm().urls["api"]
    for name, address in real.items():
        if name != "ws":
            assert ours[name].removeprefix("http://127.0.0.1:1") == re.sub(r"^https://[^/]+", "", address)


async def test_ccxt_as_it_comes_out_of_the_box_loads_the_markets(url, account):
    client = client_at(url, options={})
    try:
        markets = await client.load_markets()
    finally:
        await client.close()
    assert {"BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "XRP/USDT:USDT", "DOGE/USDT:USDT"} == set(markets)
    market = markets["BTC/USDT:USDT"]
    assert (market["linear"], market["swap"], market["settle"], market["contractSize"]) == (True, True, "USDT", 1)
    assert market["precision"] == {"amount": 0.001, "price": 0.1, "base": 1e-08, "quote": 1e-08}


async def test_positions_are_read_with_their_own_liquidation_price_and_margin_mode(client, positions):
    bitcoin, ether = await client.fetch_positions()
    assert (bitcoin["symbol"], bitcoin["side"], bitcoin["contracts"]) == ("BTC/USDT:USDT", "long", 0.5)
    assert (bitcoin["marginMode"], bitcoin["unrealizedPnl"], bitcoin["notional"]) == ("isolated", -500.0, 29500.0)
    assert bitcoin["collateral"] == 2500.0
    assert bitcoin["liquidationPrice"] == pytest.approx(54216.86746988)  # (0.5 * 60000 - 3000) / (0.5 * 0.996).
    assert bitcoin["info"]["maintMargin"] == "118.00000000"
    assert (ether["side"], ether["marginMode"], ether["info"]["positionAmt"]) == ("short", "cross", "-1")
    assert bitcoin["hedged"] is False


async def test_rows_have_the_recorded_names_and_stand_for_orders_too(client, positions):
    await client.load_markets()
    rows = await client.fapiPrivateV3GetPositionRisk()
    assert [(row["symbol"], row["positionAmt"]) for row in rows] == [
        ("BTCUSDT", "0.5"),
        ("ETHUSDT", "-1"),
        ("SOLUSDT", "0"),
    ]
    assert all(set(row) == POSITION_NAMES for row in rows)
    assert rows[2]["openOrderInitialMargin"] == "10"  # 200 at 20x.
    assert rows[2]["bidNotional"] == "200"
    one = await client.fapiPrivateV3GetPositionRisk({"symbol": "ETHUSDT"})
    assert [row["symbol"] for row in one] == ["ETHUSDT"]


async def test_the_account_adds_up(client, positions):
    balance = await client.fetch_balance()
    answer = balance["info"]
    usdt = answer["assets"][0]
    assert set(answer) == TOTAL_NAMES
    assert set(usdt) == ASSET_NAMES
    assert all(set(row) == ACCOUNT_POSITION_NAMES for row in answer["positions"])
    assert usdt["walletBalance"] == "10000.00000000"
    assert usdt["crossWalletBalance"] == "7000.00000000"
    assert usdt["unrealizedProfit"] == "-500.00000000"
    assert usdt["crossUnPnl"] == "0.00000000"
    assert usdt["availableBalance"] == "6840.00000000"  # 7,000 less 150 of the short less 10 of the order.
    assert answer["totalMarginBalance"] == usdt["marginBalance"] == "9500.00000000"
    assert answer["totalMaintMargin"] == "130.00000000"
    assert balance["USDT"]["free"] == 6840.0


async def test_hedge_legs_are_rows_of_their_own(exchange, url):
    account = exchange.add_account(account_with(hedge_mode=True))
    for side, quantity in ((Side.LONG, "0.5"), (Side.SHORT, "0.2")):
        exchange.open_position(
            account, symbol="BTCUSDT", side=side, quantity=Decimal(quantity), leverage=20, margin_mode=MarginMode.CROSS
        )
    client = client_at(url)
    try:
        rows = await client.fetch_positions()
        mode = await client.fetch_position_mode()
    finally:
        await client.close()
    assert [(row["info"]["positionSide"], row["side"], row["hedged"]) for row in rows] == [
        ("LONG", "long", True),
        ("SHORT", "short", True),
    ]
    assert rows[0]["liquidationPrice"] == rows[1]["liquidationPrice"]
    assert mode["hedged"] is True


async def test_brackets_carry_their_maintenance_amounts(client, account):
    tiers = (await client.fetch_leverage_tiers(["BTC/USDT:USDT"]))["BTC/USDT:USDT"]
    assert (tiers[1]["minNotional"], tiers[1]["maxNotional"]) == (300_000, 800_000)
    assert (tiers[1]["maintenanceMarginRate"], tiers[1]["maxLeverage"]) == (0.005, 100)
    assert tiers[1]["info"]["cum"] == 300


async def test_modes_and_leverages_are_told(client, positions):
    assert (await client.fetch_margin_mode("BTC/USDT:USDT"))["marginMode"] == "isolated"
    assert (await client.fetch_margin_mode("ETH/USDT:USDT"))["marginMode"] == "cross"
    leverages = await client.fetch_leverages()
    assert leverages["ETH/USDT:USDT"]["longLeverage"] == 20
    config = await client.fapiPrivateGetAccountConfig()
    assert (config["dualSidePosition"], config["multiAssetsMargin"]) == (False, False)
    assert (await client.fapiPrivateGetMultiAssetsMargin()) == {"multiAssetsMargin": False}


async def test_marks_and_candles_are_of_the_same_prices(client, positions):
    marks = await client.fetch_mark_prices()
    assert marks["BTC/USDT:USDT"]["markPrice"] == 59_000
    for parameters in ({}, {"price": "mark"}):
        candles = await client.fetch_ohlcv("BTC/USDT:USDT", "1h", None, 2, parameters)
        assert candles[-1][1:5] in ([60_000, 60_000, 59_000, 59_000], [59_000] * 4)  # The second, an hour's turn later.
    orders = await client.fetch_open_orders("SOL/USDT:USDT")
    assert [(order["side"], order["price"], order["amount"]) for order in orders] == [("buy", 100, 2)]


async def test_margin_is_added_and_stands_in_the_history_beside_what_the_trade_took(client, positions):
    before = (await client.fetch_positions())[0]
    answer = await client.add_margin("BTC/USDT:USDT", 100.5)
    assert (answer["info"]["code"], answer["amount"], answer["type"]) == (200, 100.5, "add")
    after = (await client.fetch_positions())[0]
    assert (before["info"]["isolatedWallet"], after["info"]["isolatedWallet"]) == ("3000.00000000", "3100.50000000")
    assert after["liquidationPrice"] < before["liquidationPrice"]
    history = await client.fetch_margin_adjustment_history("BTC/USDT:USDT")
    assert [(row["info"]["deltaType"], row["amount"]) for row in history] == [("TRADE", 3000.0), ("USER_ADJUST", 100.5)]
    assert (await client.fetch_balance())["info"]["assets"][0]["crossWalletBalance"] == "6899.50000000"


async def test_a_key_says_what_it_may_do(exchange, url):
    exchange.add_account(account_with(permissions=KeyPermissions(withdrawals=True, futures=False)))
    client = client_at(url)
    try:
        scopes = await client.sapiGetAccountApiRestrictions()
    finally:
        await client.close()
    assert (scopes["enableWithdrawals"], scopes["enableFutures"], scopes["ipRestrict"]) == (True, False, True)
    assert {"enableInternalTransfer", "permitsUniversalTransfer", "enableReading"} <= set(scopes)


def test_multi_assets_mode_is_told_with_one_ratio_for_the_account():
    exchange = DemoExchange()
    account = exchange.add_account(account_with("1000", multi_assets=True))
    account.change_wallet("BTC", Decimal("0.1"))
    exchange.open_position(
        account, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(10), leverage=10, margin_mode=MarginMode.CROSS
    )
    answer = account_payload(account, exchange.marks)
    assert answer["totalMarginBalance"] == "6700.00000000"
    assert answer["totalMaintMargin"] == "120.00000000"
    assert answer["availableBalance"] == "3700.00000000"


async def test_every_answer_says_how_much_weight_is_used(http, account):
    used = []
    for _ in range(2):
        async with http.get("/fapi/v1/time") as response:
            used.append(int(response.headers["X-MBX-USED-WEIGHT-1M"]))
    assert used[1] in {used[0] + 1, 1}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/fapi/v1/premiumIndex?symbol=NOPEUSDT", -1121),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=7m", -1120),
        ("/fapi/v1/klines?interval=1m", -1102),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=many", -1100),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_as_binance_does(http, path, code):
    async with http.get(path) as response:
        assert (response.status, (await response.json())["code"]) == (400, code)
