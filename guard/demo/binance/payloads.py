"""Binance USD-M's wire format: the fields of its recorded v3 answers, filled from the demo's ledger."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from guard.demo.binance.brackets import brackets_of
from guard.demo.binance.ledger import ASSET, ZERO, Change, DemoAccount, Holding, liquidation_price
from guard.demo.binance.market import DemoExchange

Json = dict[str, Any]
QUOTES = ("USDT", "USDC", "FDUSD")


def text(value: Decimal, places: int = 8) -> str:
    return f"{value:.{places}f}"


def exchange_info(exchange: DemoExchange) -> Json:
    return {
        "timezone": "UTC",
        "serverTime": exchange.now_ms(),
        "assets": [],
        "symbols": [_symbol(s) for s in exchange.marks],
    }


def _symbol(symbol: str) -> Json:
    quote = next((quote for quote in QUOTES if symbol.endswith(quote)), ASSET)
    return {
        "symbol": symbol, "pair": symbol, "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000, "status": "TRADING", "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000", "baseAsset": symbol.removesuffix(quote), "quoteAsset": quote,
        "marginAsset": quote, "pricePrecision": 5, "quantityPrecision": 3, "baseAssetPrecision": 8,
        "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": [], "settlePlan": 0,
        "triggerProtect": "0.05", "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.00001", "maxPrice": "10000000", "tickSize": "0.00001"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "100000000", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
    }  # fmt: skip


def leverage_brackets(exchange: DemoExchange, symbol: str | None) -> list[Json]:
    wanted = [symbol] if symbol else list(exchange.marks)
    return [
        {
            "symbol": name,
            "brackets": [
                {
                    "bracket": number, "initialLeverage": row.leverage, "notionalCap": float(row.cap),
                    "notionalFloor": float(row.floor), "maintMarginRatio": float(row.rate), "cum": float(row.cum),
                }
                for number, row in enumerate(brackets_of(name), start=1)
            ],
        }
        for name in wanted
    ]  # fmt: skip


def position_risk(exchange: DemoExchange, account: DemoAccount, symbol: str | None) -> list[Json]:
    return [_risk_row(exchange, account, one) for one in account.holdings if symbol in {None, one.symbol}]


def _risk_row(exchange: DemoExchange, account: DemoAccount, holding: Holding) -> Json:
    mark = exchange.marks[holding.symbol]
    pnl, wallet = holding.pnl(mark), holding.isolated_wallet
    return {
        "symbol": holding.symbol,
        "positionSide": holding.position_side,
        "positionAmt": f"{holding.amount:f}",
        "entryPrice": f"{holding.entry_price:f}",
        "breakEvenPrice": f"{holding.entry_price:f}",
        "markPrice": text(mark),
        "unRealizedProfit": text(pnl),
        "liquidationPrice": _price_or_zero(liquidation_price(account, holding, exchange.marks)),
        "isolatedMargin": "0" if wallet is None else text(wallet + pnl),
        "notional": text(holding.amount * mark),
        "marginAsset": ASSET,
        "isolatedWallet": "0" if wallet is None else text(wallet),
        "initialMargin": text(holding.initial_margin(mark)),
        "maintMargin": text(exchange.maintenance(holding)),
        "positionInitialMargin": text(holding.initial_margin(mark)),
        "openOrderInitialMargin": "0",
        "adl": "2",
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": holding.updated_ms,
    }


def _price_or_zero(price: Decimal) -> str:
    """Return a liquidation price as the exchange prints it: eight decimals, "0" for none."""
    return "0" if price <= 0 else text(price)


def account(exchange: DemoExchange, one: DemoAccount) -> Json:
    """GET v3/account: totals, the one asset, and the positions in short."""
    marks = exchange.marks
    isolated = sum((holding.isolated_wallet or ZERO for holding in one.holdings), ZERO)
    pnl = sum((holding.pnl(marks[holding.symbol]) for holding in one.holdings), ZERO)
    initial = sum((holding.initial_margin(marks[holding.symbol]) for holding in one.holdings), ZERO)
    maintenance = sum((exchange.maintenance(holding) for holding in one.holdings), ZERO)
    available = text(one.available(marks))
    shared = {
        "maintMargin": text(maintenance), "initialMargin": text(initial), "positionInitialMargin": text(initial),
        "openOrderInitialMargin": text(ZERO), "availableBalance": available, "maxWithdrawAmount": available,
    }  # fmt: skip
    asset = {
        "asset": ASSET, "walletBalance": text(one.wallet + isolated), "unrealizedProfit": text(pnl),
        "marginBalance": text(one.wallet + isolated + pnl), **shared, "crossWalletBalance": text(one.wallet),
        "crossUnPnl": text(one.cross_pnl(marks)), "updateTime": exchange.now_ms(),
    }  # fmt: skip
    empty = {name: text(ZERO) for name in asset} | {"asset": "BNB", "updateTime": 0}
    return {
        "totalInitialMargin": shared["initialMargin"],
        "totalMaintMargin": shared["maintMargin"],
        "totalWalletBalance": asset["walletBalance"],
        "totalUnrealizedProfit": asset["unrealizedProfit"],
        "totalMarginBalance": asset["marginBalance"],
        "totalPositionInitialMargin": shared["positionInitialMargin"],
        "totalOpenOrderInitialMargin": shared["openOrderInitialMargin"],
        "totalCrossWalletBalance": asset["crossWalletBalance"],
        "totalCrossUnPnl": asset["crossUnPnl"],
        "availableBalance": available,
        "maxWithdrawAmount": available,
        "assets": [asset, empty],
        "positions": [_account_row(exchange, holding) for holding in one.holdings],
    }


def _account_row(exchange: DemoExchange, holding: Holding) -> Json:
    mark, wallet = exchange.marks[holding.symbol], holding.isolated_wallet
    return {
        "symbol": holding.symbol, "positionSide": holding.position_side, "positionAmt": f"{holding.amount:f}",
        "unrealizedProfit": text(holding.pnl(mark)), "notional": text(holding.amount * mark),
        "isolatedMargin": "0" if wallet is None else text(wallet + holding.pnl(mark)),
        "isolatedWallet": "0" if wallet is None else text(wallet),
        "initialMargin": text(holding.initial_margin(mark)), "maintMargin": text(exchange.maintenance(holding)),
        "updateTime": holding.updated_ms,
    }  # fmt: skip


def symbol_config(exchange: DemoExchange, one: DemoAccount, symbol: str | None) -> list[Json]:
    held = {holding.symbol: holding for holding in one.holdings}
    rows = []
    for name in [symbol] if symbol else list(exchange.marks):
        holding = held.get(name)
        isolated = holding is None or holding.is_isolated
        rows.append(
            {
                "symbol": name,
                "marginType": "ISOLATED" if isolated else "CROSSED",
                "isAutoAddMargin": holding.auto_add_margin if holding else False,
                "leverage": holding.leverage if holding else 20,
                "maxNotionalValue": "1000000000",
            }
        )
    return rows


def account_config(one: DemoAccount) -> Json:
    return {
        "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "dualSidePosition": one.hedge_mode,
        "updateTime": 0, "multiAssetsMargin": one.multi_assets, "tradeGroupId": -1,
    }  # fmt: skip


def restrictions(one: DemoAccount) -> Json:
    return {
        "ipRestrict": True, "createTime": 1700000000000, "enableReading": True, "enableFutures": True,
        "enableWithdrawals": False, "enableInternalTransfer": False, "permitsUniversalTransfer": False,
        "enableVanillaOptions": False, "enableMargin": False, "enableSpotAndMarginTrading": False,
    } | one.scopes  # fmt: skip


def premium_index(exchange: DemoExchange, symbol: str) -> Json:
    price = text(exchange.marks[symbol])
    return {
        "symbol": symbol, "markPrice": price, "indexPrice": price, "estimatedSettlePrice": price,
        "lastFundingRate": "0.00010000", "interestRate": "0.00010000", "nextFundingTime": 0, "time": exchange.now_ms(),
    }  # fmt: skip


def margin_history(one: DemoAccount, query: Mapping[str, str]) -> list[Json]:
    start, end = int(query.get("startTime", 0)), int(query.get("endTime", 1 << 62))
    rows = [
        _change_row(change)
        for change in one.changes
        if change.symbol == query["symbol"]
        and start <= change.time_ms <= end
        and query.get("type", _type_of(change)) == _type_of(change)
    ]
    return rows[: int(query.get("limit", 500))]


def _type_of(change: Change) -> str:
    return "1" if change.added else "2"


def _change_row(change: Change) -> Json:
    return {
        "symbol": change.symbol, "type": int(_type_of(change)), "deltaType": change.kind, "amount": text(change.amount),
        "asset": ASSET, "time": change.time_ms, "positionSide": change.position_side, "clientTranId": "",
    }  # fmt: skip


def klines(exchange: DemoExchange, query: Mapping[str, str]) -> list[list[Any]]:
    """Return one-minute bars, whatever interval is asked for beyond that is not kept."""
    bars = exchange.bars.get(query["symbol"], [])[-int(query.get("limit", 500)) :]
    return [
        [int(bar[0]), *(text(price) for price in bar[1:]), "0", int(bar[0]) + 59_999, "0", 60, "0", "0", "0"]
        for bar in bars
    ]


def mark_update(symbol: str, price: Decimal, now_ms: int) -> Json:
    quoted = text(price)
    return {"e": "markPriceUpdate", "E": now_ms, "s": symbol, "p": quoted, "i": quoted, "P": quoted, "r": "0", "T": 0}
