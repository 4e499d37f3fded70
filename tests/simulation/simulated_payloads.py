"""What the account says on the wire: Binance USD-M's shapes, by path. Shapes: its documents and recorded answers."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from simulated_exchange import TIERS, ZERO, Exchange, Fill, Holding, text
from simulated_market import COINS, TICKS

HISTORY_SEEN_AFTER_S = 1.5  # An entry shows in the history a little later than it happened.
PATHS = {
    "/fapi/v1/exchangeInfo": "markets",
    "/fapi/v1/time": "time",
    "/fapi/v1/premiumIndex": "mark",
    "/fapi/v1/accountConfig": "account_config",
    "/fapi/v1/symbolConfig": "symbol_config",
    "/fapi/v1/leverageBracket": "brackets",
    "/fapi/v3/positionRisk": "positions",
    "/fapi/v3/account": "account",
    "/fapi/v1/positionMargin/history": "history",
    "/fapi/v1/income": "income",
    "/fapi/v1/openAlgoOrders": "stops",
    "/fapi/v1/userTrades": "fills",
    "/fapi/v1/forceOrders": "forced",
}


def answer(exchange: Exchange, path: str, query: Mapping[str, str]) -> Any:
    return _ANSWERS[PATHS[path]](exchange, query)


def milliseconds(exchange: Exchange, at_s: float) -> int:
    return round((exchange.world.start.timestamp() + at_s) * 1000)


def _markets(_exchange: Exchange, _query: Mapping[str, str]) -> Any:
    return {"timezone": "UTC", "assets": [], "symbols": [_market(coin) for coin in COINS]}


def _market(coin: str) -> dict[str, Any]:
    return {
        "symbol": f"{coin}USDT", "pair": f"{coin}USDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000, "status": "TRADING", "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0",
        "baseAsset": coin, "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": 3, "quantityPrecision": 3,
        "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": [], "settlePlan": 0,
        "triggerProtect": "0.05", "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": str(TICKS[coin]), "maxPrice": "1000000", "tickSize": str(TICKS[coin])},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "100000", "stepSize": "0.001"},
        ],
    }  # fmt: skip


def _time(exchange: Exchange, _query: Mapping[str, str]) -> Any:
    return {"serverTime": milliseconds(exchange, exchange.world.time_s)}


def _mark(exchange: Exchange, query: Mapping[str, str]) -> Any:
    coin = query["symbol"].removesuffix("USDT")
    return {
        "symbol": query["symbol"],
        "markPrice": text(exchange.price(coin)),
        "time": milliseconds(exchange, exchange.world.time_s),
    }


def _account_config(exchange: Exchange, _query: Mapping[str, str]) -> Any:
    return {"dualSidePosition": exchange.hedged, "multiAssetsMargin": False}


def _symbol_config(exchange: Exchange, _query: Mapping[str, str]) -> Any:
    rows = []
    for coin in COINS:
        held = next((one for one in exchange.holdings.values() if one.coin == coin), None)
        rows.append(
            {
                "symbol": f"{coin}USDT",
                "marginType": "ISOLATED" if held is None or held.isolated else "CROSSED",
                "isAutoAddMargin": "false",
                "leverage": 5 if held is None else held.leverage,
                "maxNotionalValue": "1000000",
            }
        )
    return rows


def _brackets(_exchange: Exchange, _query: Mapping[str, str]) -> Any:
    rows = [
        {
            "bracket": number,
            "initialLeverage": 20,
            "notionalFloor": int(floor),
            "notionalCap": int(cap),
            "maintMarginRatio": str(rate),
            "cum": str(deducted),
        }
        for number, (floor, cap, rate, deducted) in enumerate(TIERS, 1)
    ]
    return [{"symbol": f"{coin}USDT", "brackets": rows} for coin in COINS]


def _positions(exchange: Exchange, _query: Mapping[str, str]) -> Any:
    return [_position(exchange, one) for one in exchange.holdings.values()]


def _position(exchange: Exchange, one: Holding) -> dict[str, Any]:
    price, end = exchange.price(one.coin), exchange.liquidation_price(one)
    profit, notional = one.profit(price), one.side * one.notional(price)
    return {
        "symbol": f"{one.coin}USDT",
        "positionSide": ("LONG" if one.side > 0 else "SHORT") if exchange.hedged else "BOTH",
        "positionAmt": text(one.side * one.quantity, 3),
        "entryPrice": text(one.entry),
        "markPrice": text(price),
        "unRealizedProfit": text(profit),
        "liquidationPrice": "0" if end is None else text(end),
        "isolatedMargin": text(one.margin + profit if one.isolated else ZERO),
        "isolatedWallet": text(one.margin),
        "notional": text(notional),
        "marginAsset": "USDT",
        "maintMargin": text(one.requirement(price)),
        "updateTime": milliseconds(exchange, one.updated_s),
    }


def _account(exchange: Exchange, _query: Mapping[str, str]) -> Any:
    rows = _positions(exchange, {})
    names = ("symbol", "positionSide", "positionAmt", "isolatedWallet", "notional", "maintMargin", "updateTime")
    required = sum((Decimal(row["maintMargin"]) for row in rows), ZERO)
    initial = sum((abs(Decimal(row["notional"])) for row in rows), ZERO) / 5
    isolated = sum((one.margin for one in exchange.holdings.values()), ZERO)
    asset = {
        "asset": "USDT",
        "walletBalance": text(exchange.free + isolated),
        "crossWalletBalance": text(exchange.free),
        "crossUnPnl": text(exchange.cross_profit()),
        "availableBalance": text(exchange.available()),
    }
    return {
        "totalMaintMargin": text(required),
        "totalMarginBalance": text(exchange.free + isolated),
        "totalPositionInitialMargin": text(initial),
        "assets": [asset, dict.fromkeys(asset, "0.00000000") | {"asset": "BNB"}],
        "positions": [{name: row[name] for name in names} for row in rows],
    }


def _history(exchange: Exchange, query: Mapping[str, str]) -> Any:
    start, end, seen = int(query["startTime"]), int(query["endTime"]), exchange.world.time_s - HISTORY_SEEN_AFTER_S
    rows = [
        {
            "symbol": query["symbol"],
            "type": 1 if entry.amount > 0 else 2,
            "deltaType": entry.kind,
            "amount": text(abs(entry.amount)),
            "asset": "USDT",
            "time": milliseconds(exchange, entry.at_s),
            "positionSide": entry.leg,
        }
        for entry in exchange.history
        if entry.coin == query["symbol"].removesuffix("USDT")
        and start <= milliseconds(exchange, entry.at_s) <= end
        and entry.at_s <= seen
    ]
    return rows[: int(query["limit"])]


def _income(exchange: Exchange, query: Mapping[str, str]) -> Any:
    """What closed positions left: the symbols are what anybody asks for."""
    start, end = int(query["startTime"]), int(query["endTime"])
    rows = [
        {"symbol": f"{coin}USDT", "incomeType": "REALIZED_PNL", "time": milliseconds(exchange, at_s)}
        for coin, at_s in exchange.booked
        if start <= milliseconds(exchange, at_s) <= end
    ]
    return rows[: int(query["limit"])]


def _stops(_exchange: Exchange, _query: Mapping[str, str]) -> Any:
    return []


def _fills(exchange: Exchange, query: Mapping[str, str]) -> Any:
    return [
        _closing(exchange, one, number)
        | {"price": text(one.price), "qty": text(one.quantity, 3), "time": milliseconds(exchange, one.at_s)}
        for number, one in _closed(exchange, query)
    ]


def _forced(exchange: Exchange, query: Mapping[str, str]) -> Any:
    return [
        _closing(exchange, one, number)
        | {"clientOrderId": f"autoclose-{number}", "updateTime": milliseconds(exchange, one.at_s)}
        for number, one in _closed(exchange, query)
        if one.is_forced
    ]


def _closed(exchange: Exchange, query: Mapping[str, str]) -> list[tuple[int, Fill]]:
    coin, start = query["symbol"].removesuffix("USDT"), int(query.get("startTime", 0))
    return [
        (number, one)
        for number, one in enumerate(exchange.fills)
        if one.coin == coin and milliseconds(exchange, one.at_s) >= start
    ]


def _closing(exchange: Exchange, one: Fill, number: int) -> dict[str, Any]:
    return {
        "symbol": f"{one.coin}USDT",
        "orderId": number,
        "side": "SELL" if one.side > 0 else "BUY",
        "positionSide": ("LONG" if one.side > 0 else "SHORT") if exchange.hedged else "BOTH",
    }


_ANSWERS = {
    "markets": _markets,
    "time": _time,
    "mark": _mark,
    "account_config": _account_config,
    "symbol_config": _symbol_config,
    "brackets": _brackets,
    "positions": _positions,
    "account": _account,
    "history": _history,
    "income": _income,
    "stops": _stops,
    "fills": _fills,
    "forced": _forced,
}
