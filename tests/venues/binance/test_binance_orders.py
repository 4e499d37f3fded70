"""Which of Binance's orders are stops, of which position, and how an end is told from fills."""

from datetime import UTC, datetime, timedelta

import pytest

from guard.errors import VenueUnavailable
from guard.snapshot import EndKind, PositionKey, Side
from guard.venues.binance_orders import fewest_requests, read_ending, read_stops, window

BTC = "BTC/USDT:USDT"
IDS = {"BTCUSDT": BTC}
LONG, SHORT = PositionKey(BTC, Side.LONG), PositionKey(BTC, Side.SHORT)


def algo(**fields):
    """One row of openAlgoOrders. Source: docs, Current All Algo Open Orders (2026-11)."""
    return {
        "algoId": 2146760, "clientAlgoId": "6B2I9XVcJpCjqPAJ4YoFX7", "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET", "symbol": "BTCUSDT", "side": "SELL", "positionSide": "BOTH", "timeInForce": "GTC",
        "quantity": "0.010", "algoStatus": "NEW", "triggerPrice": "56000.00", "price": "0.00", "workingType": "MARK_PRICE",
        "closePosition": False, "priceProtect": False, "reduceOnly": True, "createTime": 1750485492076,
    } | fields  # fmt: skip


def booked(**fields):
    """The same in openOrders. Source: docs, Current All Open Orders (2026-11)."""
    return {
        "avgPrice": "0.0", "clientOrderId": "abc", "executedQty": "0", "orderId": 1917641, "origQty": "3",
        "origType": "STOP", "price": "0", "reduceOnly": False, "side": "BUY", "positionSide": "SHORT", "status": "NEW",
        "stopPrice": "9300", "closePosition": False, "symbol": "BTCUSDT", "time": 1579276756075, "type": "STOP",
        "workingType": "CONTRACT_PRICE", "priceProtect": False,
    } | fields  # fmt: skip


@pytest.mark.parametrize(
    ("row", "key", "quantity", "by"),
    [
        (algo(), LONG, "0.010", "mark"),
        (algo(closePosition=True, quantity="0"), LONG, None, "mark"),
        (algo(side="BUY", workingType="CONTRACT_PRICE"), SHORT, "0.010", "last"),
        (algo(positionSide="LONG"), LONG, "0.010", "mark"),
        (booked(), SHORT, "3", "last"),
    ],
    ids=["of a long", "of all of it", "of a short, by the last price", "of a hedge leg", "in the book"],
)
def test_a_stop_closes_the_side_that_its_order_sells_or_buys_back(row, key, quantity, by):
    (stop,) = read_stops([row], IDS)
    assert (stop.key, stop.trigger_by) == (key, by)
    assert stop.quantity is None if quantity is None else f"{stop.quantity}" == quantity


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (algo(orderType="TRAILING_STOP_MARKET", triggerPrice=None), LONG),
        (algo(orderType="TRAILING_STOP_MARKET", triggerPrice="63000", side="BUY"), SHORT),
        (booked(type="TRAILING_STOP_MARKET", stopPrice="63000"), SHORT),
    ],
    ids=["without a price", "that begins at a price", "in the book"],
)
def test_of_a_trailing_stop_nobody_says_where_it_stands(row, key):
    (stop,) = read_stops([row], IDS)
    assert (stop.key, stop.trigger_price) == (key, None)


@pytest.mark.parametrize(
    "row",
    [
        algo(orderType="TAKE_PROFIT_MARKET"),
        algo(positionSide="SHORT"),
        algo(symbol="ETHUSDT"),
        booked(type="LIMIT", stopPrice="0"),
    ],
    ids=["a take-profit", "a stop that opens", "another symbol", "a limit order"],
)
def test_what_does_not_close_it_at_a_price_is_no_stop(row):
    assert read_stops([row], IDS) == []


@pytest.mark.parametrize(
    "row",
    [
        algo(triggerPrice="NaN"),
        algo(triggerPrice="0"),
        algo(side="?"),
        algo(closePosition=None),
        None,
        {"symbol": "BTCUSDT"},
    ],
    ids=["no price", "a price of zero", "no side", "half said", "no row", "no type"],
)
def test_a_stop_that_cannot_be_read_is_not_told_as_missing(row):
    with pytest.raises(VenueUnavailable):
        read_stops([algo(), row], IDS)


def test_few_symbols_are_asked_one_by_one_and_many_at_once():
    assert fewest_requests({"BTCUSDT": BTC, "ETHUSDT": "ETH/USDT:USDT"}) == [
        {"symbol": "BTCUSDT"},
        {"symbol": "ETHUSDT"},
    ]
    assert fewest_requests({f"{n}USDT": str(n) for n in range(41)}) == [{}]


NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=1)
AT = round(NOW.timestamp() * 1000)


def fill(**fields):
    return {
        "symbol": "BTCUSDT", "id": 1, "orderId": 7, "side": "SELL", "price": "57120.5", "qty": "0.5", "time": AT,
        "positionSide": "BOTH", "realizedPnl": "-1",
    } | fields  # fmt: skip


def forced(client_order_id, **fields):
    return {
        "orderId": 7, "symbol": "BTCUSDT", "clientOrderId": client_order_id, "side": "SELL", "positionSide": "BOTH",
        "updateTime": AT,
    } | fields  # fmt: skip


@pytest.mark.parametrize(
    ("orders", "kind"),
    [
        ([], EndKind.CLOSED),
        ([forced("autoclose-1596107620040000020")], EndKind.LIQUIDATED),
        ([forced("adl_autoclose")], EndKind.DELEVERAGED),
        ([forced("settlement_autoclose-1")], EndKind.UNKNOWN),
        ([forced("autoclose-1", side="BUY")], EndKind.CLOSED),
        ([forced("autoclose-1", positionSide="SHORT")], EndKind.CLOSED),
    ],
    ids=["own", "liquidation", "deleveraging", "never seen", "of the other side", "of the other leg"],
)
def test_an_end_is_what_the_exchanges_own_orders_make_it(orders, kind):
    ending = read_ending(LONG, orders, [fill()], SINCE)
    assert (ending.kind, ending.at, str(ending.price)) == (kind, NOW, "57120.5")
    assert "1 fill until 12:00:00 UTC, the last at 57120.5" in ending.evidence


def test_an_opening_fill_closes_nothing():
    assert read_ending(LONG, [], [fill(side="BUY")], SINCE).kind is EndKind.UNKNOWN


def test_a_liquidation_whose_fill_is_not_listed_yet_is_one():
    ending = read_ending(LONG, [forced("autoclose-1")], [], SINCE)
    assert (ending.kind, ending.price) == (EndKind.LIQUIDATED, None)


@pytest.mark.parametrize("row", [None, fill(price="NaN"), fill(time=None)], ids=["no row", "no price", "no time"])
def test_fills_that_cannot_be_read_end_nothing(row):
    with pytest.raises(VenueUnavailable):
        read_ending(LONG, [], [row], SINCE)


def test_forced_orders_are_asked_for_no_longer_back_than_the_exchange_allows():
    asked = window("BTCUSDT", datetime(2026, 1, 1, tzinfo=UTC), NOW)
    assert AT - asked["startTime"] < 7 * 86_400_000


def test_fills_of_before_are_not_of_this_end():
    earlier = fill(time=AT - 3_600_000, price="60000")
    assert read_ending(LONG, [], [earlier], SINCE).kind is EndKind.UNKNOWN
    assert str(read_ending(LONG, [], [fill(), earlier], SINCE).price) == "57120.5"
