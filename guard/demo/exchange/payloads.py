"""What the exchange says, field by field as in recorded answers of Binance USD-M (2024-07 to 2026-07).

Amounts have eight decimals. Numbers that Binance writes bare are bare here too.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from guard.demo.exchange.brackets import brackets_of, notional_max
from guard.demo.exchange.ledger import (
    COLLATERAL_RATES,
    DemoAccount,
    DemoPosition,
    Leg,
    MarginChangeRow,
    Marks,
    available,
    liquidation_of,
    margin_asset,
    order_margin,
    total_initial,
    total_maintenance,
    total_pnl,
    wallet_balance,
    withdrawable,
)
from guard.demo.exchange.market import QUOTES, Listing, MarkBar
from guard.demo.exchange.signing import milliseconds
from guard.snapshot import MarginMode

Json = Any  # What orjson can write.
Row = dict[str, Json]

DECIMALS = Decimal("0.00000001")
TAKER_FEE_RATE = Decimal("0.0005")  # Only for breakEvenPrice.
NEVER_MS = 4_133_404_800_000  # Binance's delivery date of a perpetual.
LISTED_MS = 1_569_398_400_000
POSITION_FIELDS_OF_ACCOUNT = (
    *("symbol", "positionSide", "positionAmt", "unrealizedProfit", "isolatedMargin", "notional", "isolatedWallet"),
    *("initialMargin", "maintMargin", "updateTime"),
)


def amount(value: Decimal) -> str:
    return f"{value.quantize(DECIMALS) + 0:f}"  # + 0: there is no negative zero.


def plain(value: Decimal) -> str:
    """Return a number without trailing zeros."""
    text = amount(value).rstrip("0").rstrip(".")
    return text or "0"


def bare(value: Decimal) -> orjson.Fragment:
    """Return a JSON number with every digit."""
    return orjson.Fragment(plain(value))


def exchange_info(listings: Mapping[str, Listing], now: datetime) -> Row:
    return {
        "timezone": "UTC",
        "serverTime": milliseconds(now),
        "futuresType": "U_MARGINED",
        "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}],
        "exchangeFilters": [],
        "assets": [{"asset": quote, "marginAvailable": True, "autoAssetExchange": "-10000"} for quote in QUOTES],
        "symbols": [_symbol(listing) for listing in listings.values()],
    }


def _symbol(listing: Listing) -> Row:
    tick = plain(Decimal(1).scaleb(-listing.price_decimals))
    step = plain(Decimal(1).scaleb(-listing.quantity_decimals))
    lot = {"minQty": step, "maxQty": "10000000", "stepSize": step}
    return {
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER_MS,
        "onboardDate": LISTED_MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.quote,
        "pricePrecision": listing.price_decimals,
        "quantityPrecision": listing.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def leverage_brackets(symbol: str) -> Row:
    rows = [
        {
            "bracket": number,
            "initialLeverage": bracket.leverage_max,
            "notionalCap": bare(bracket.cap),
            "notionalFloor": bare(bracket.floor),
            "maintMarginRatio": bare(bracket.rate),
            "cum": bare(bracket.amount),
        }
        for number, bracket in enumerate(brackets_of(symbol), start=1)
    ]
    return {"symbol": symbol, "brackets": rows}


def position_rows(account: DemoAccount, marks: Marks, symbol: str | None = None) -> list[Row]:
    """Return GET /fapi/v3/positionRisk: legs with a position or an open order."""
    legs: dict[Leg, DemoPosition | None] = dict(account.positions)
    for order in account.orders:
        legs.setdefault(order.leg, None)
    return [_position_row(account, leg, position, marks) for leg, position in legs.items() if symbol in {None, leg[0]}]


def _position_row(account: DemoAccount, leg: Leg, position: DemoPosition | None, marks: Marks) -> Row:
    orders = [order for order in account.orders if order.leg == leg]
    reserved = sum((order.notional for order in orders), Decimal(0)) / account.choice(leg[0]).leverage
    bids = sum((order.notional for order in orders if order.side > 0), Decimal(0))
    asks = sum((order.notional for order in orders if order.side < 0), Decimal(0))
    row = _flat_row(leg, marks) if position is None else _open_row(account, position, marks)
    initial = Decimal(row["positionInitialMargin"]) + reserved
    return row | {
        "initialMargin": amount(initial),
        "openOrderInitialMargin": plain(reserved),
        "bidNotional": plain(bids),
        "askNotional": plain(asks),
    }


def _flat_row(leg: Leg, marks: Marks) -> Row:
    zeros = ("unRealizedProfit", "liquidationPrice", "isolatedMargin", "notional", "isolatedWallet", "maintMargin")
    return {
        "symbol": leg[0],
        "positionSide": leg[1],
        "positionAmt": "0",
        "entryPrice": "0.0",
        "breakEvenPrice": "0.0",
        "markPrice": amount(marks[leg[0]]),
        **dict.fromkeys(zeros, "0"),
        "marginAsset": margin_asset(leg[0]),
        "positionInitialMargin": "0",
        "adl": 0,
        "updateTime": 0,
    }


def _open_row(account: DemoAccount, position: DemoPosition, marks: Marks) -> Row:
    liquidation = liquidation_of(account, position, marks)
    pnl = position.unrealized_pnl(marks)
    wallet = position.isolated_wallet
    return {
        "symbol": position.symbol,
        "positionSide": position.position_side,
        "positionAmt": plain(position.side * position.quantity),
        "entryPrice": plain(position.entry_price),
        "breakEvenPrice": plain(position.entry_price * (1 + position.side * TAKER_FEE_RATE)),
        "markPrice": amount(marks[position.symbol]),
        "unRealizedProfit": amount(pnl),
        "liquidationPrice": "0" if liquidation is None else amount(liquidation),
        "isolatedMargin": "0" if wallet is None else amount(wallet + pnl),
        "notional": amount(position.side * position.notional(marks)),
        "marginAsset": position.asset,
        "isolatedWallet": "0" if wallet is None else amount(wallet),
        "maintMargin": amount(position.maintenance_margin(marks)),
        "positionInitialMargin": amount(position.initial_margin(marks)),
        "adl": 2,
        "updateTime": milliseconds(position.updated_at),
    }


def account_payload(account: DemoAccount, marks: Marks) -> Row:
    """Return GET /fapi/v3/account. Totals are dollars; in single-asset mode of USDT only, as documented."""
    assets = [_asset_row(account, asset, marks) for asset in _assets(account)]
    counted = assets if account.multi_assets else assets[:1]

    def total(name: str) -> str:
        rates = [Decimal(1) if one["asset"] in QUOTES else _dollars(one, marks) for one in counted]
        return amount(sum((Decimal(one[name]) * rate for one, rate in zip(counted, rates, strict=True)), Decimal(0)))

    rows = [row | {"unrealizedProfit": row["unRealizedProfit"]} for row in position_rows(account, marks)]
    return {
        "totalInitialMargin": total("initialMargin"),
        "totalMaintMargin": total("maintMargin"),
        "totalWalletBalance": total("walletBalance"),
        "totalUnrealizedProfit": total("unrealizedProfit"),
        "totalMarginBalance": total("marginBalance"),
        "totalPositionInitialMargin": total("positionInitialMargin"),
        "totalOpenOrderInitialMargin": total("openOrderInitialMargin"),
        "totalCrossWalletBalance": total("crossWalletBalance"),
        "totalCrossUnPnl": total("crossUnPnl"),
        "availableBalance": assets[0]["availableBalance"],
        "maxWithdrawAmount": total("maxWithdrawAmount"),
        "assets": assets,
        "positions": [{name: row[name] for name in POSITION_FIELDS_OF_ACCOUNT} for row in rows],
    }


def _assets(account: DemoAccount) -> list[str]:
    return list(dict.fromkeys((*QUOTES, *account.balances)))


def _dollars(row: Row, marks: Marks) -> Decimal:
    return marks[f"{row['asset']}USDT"] * COLLATERAL_RATES.get(row["asset"], Decimal(0))


def _asset_row(account: DemoAccount, asset: str, marks: Marks) -> Row:
    positions = [position for position in account.positions.values() if position.asset == asset]
    cross = account.cross(asset)
    wallet, pnl = wallet_balance(account, asset), total_pnl(positions, marks)
    margin, orders = total_initial(positions, marks), order_margin(account, asset)
    updated = [milliseconds(position.updated_at) for position in positions]
    return {
        "asset": asset,
        "walletBalance": amount(wallet),
        "unrealizedProfit": amount(pnl),
        "marginBalance": amount(wallet + pnl),
        "maintMargin": amount(total_maintenance(positions, marks)),
        "initialMargin": amount(margin + orders),
        "positionInitialMargin": amount(margin),
        "openOrderInitialMargin": amount(orders),
        "crossWalletBalance": amount(account.balances.get(asset, Decimal(0))),
        "crossUnPnl": amount(total_pnl(cross, marks)),
        "availableBalance": amount(available(account, asset, marks)),
        "maxWithdrawAmount": amount(withdrawable(account, asset, marks)),
        "updateTime": max(updated, default=LISTED_MS if wallet else 0),
    }


def symbol_config(account: DemoAccount, symbol: str) -> Row:
    choice = account.choice(symbol)
    return {
        "symbol": symbol,
        "marginType": "ISOLATED" if choice.margin_mode is MarginMode.ISOLATED else "CROSSED",
        "isAutoAddMargin": choice.auto_add_margin,
        "leverage": choice.leverage,
        "maxNotionalValue": plain(notional_max(symbol, choice.leverage)),
    }


def account_config(account: DemoAccount) -> Row:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": account.hedge_mode,
        "updateTime": 0,
        "multiAssetsMargin": account.multi_assets,
        "tradeGroupId": -1,
    }


def api_restrictions(account: DemoAccount, *, may_trade: bool) -> Row:
    permissions = account.permissions
    return {
        "ipRestrict": permissions.ip_restricted,
        "createTime": LISTED_MS,
        "enableReading": True,
        "enableFutures": may_trade,
        "enableWithdrawals": permissions.withdrawals,
        "enableInternalTransfer": permissions.internal_transfer,
        "permitsUniversalTransfer": permissions.universal_transfer,
        "enableMargin": False,
        "enableSpotAndMarginTrading": False,
        "enableVanillaOptions": False,
        "enablePortfolioMarginTrading": False,
    }


def premium_index(symbol: str, mark: Decimal, now: datetime) -> Row:
    return {
        "symbol": symbol,
        "markPrice": amount(mark),
        "indexPrice": amount(mark),
        "estimatedSettlePrice": amount(mark),
        "lastFundingRate": "0.00000000",
        "interestRate": "0.00010000",
        "nextFundingTime": _next_funding(now),
        "time": milliseconds(now),
    }


def mark_update(symbol: str, mark: Decimal, now: datetime) -> Row:
    """Return a message of the mark-price stream."""
    price = amount(mark)
    names = {"e": "markPriceUpdate", "E": milliseconds(now), "s": symbol, "p": price, "ap": price, "P": price}
    return names | {"i": price, "r": "0.00000000", "T": _next_funding(now)}


def _next_funding(now: datetime) -> int:
    eight_hours = 8 * 3600 * 1000
    return (milliseconds(now) // eight_hours + 1) * eight_hours


def kline(bar: MarkBar, interval: timedelta) -> list[Json]:
    opened, prices = milliseconds(bar.opened_at), (bar.open, bar.high, bar.low, bar.close)
    closed = opened + interval // timedelta(milliseconds=1) - 1
    return [opened, *map(amount, prices), "0", closed, "0", 60, "0", "0", "0"]


def margin_change(row: MarginChangeRow) -> Row:
    return {
        "symbol": row.symbol,
        "type": row.change_type,
        "deltaType": row.delta_type,
        "amount": amount(row.amount),
        "asset": margin_asset(row.symbol),
        "time": milliseconds(row.at),
        "positionSide": row.position_side,
        "clientTranId": "",
    }
