"""What the exchange says of orders and of fills, field by field as documented (USD-M, seen 2026-11).

Orders that wait for a price are at the algo service (since 2025-12-09); the book has the others.
"""

from guard.demo.exchange.ledger import ConditionalOrder, Fill, OpenOrder, margin_asset
from guard.demo.exchange.payloads import Row, amount, plain
from guard.demo.exchange.signing import milliseconds


def open_order(order: OpenOrder) -> Row:
    placed = milliseconds(order.placed_at)
    return {
        "orderId": order.order_id,
        "clientOrderId": f"demo-{order.order_id}",
        "symbol": order.symbol,
        "status": "NEW",
        "price": plain(order.price),
        "avgPrice": "0.00000",
        "origQty": plain(order.quantity),
        "executedQty": "0",
        "cumQuote": "0",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "origType": "LIMIT",
        "reduceOnly": False,
        "closePosition": False,
        "side": "BUY" if order.side > 0 else "SELL",
        "positionSide": order.position_side,
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "time": placed,
        "updateTime": placed,
    }


def algo_order(order: ConditionalOrder) -> Row:
    placed = milliseconds(order.placed_at)
    return {
        "algoId": order.order_id,
        "clientAlgoId": f"demo-{order.order_id}",
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": order.symbol,
        "side": "SELL" if order.closes > 0 else "BUY",
        "positionSide": order.position_side,
        "timeInForce": "GTC",
        "quantity": "0",
        "algoStatus": "NEW",
        "triggerPrice": plain(order.trigger_price),
        "price": "0",
        "icebergQuantity": None,
        "workingType": "MARK_PRICE",
        "priceMatch": "NONE",
        "closePosition": True,
        "priceProtect": False,
        "reduceOnly": True,
        "createTime": placed,
        "updateTime": placed,
        "triggerTime": 0,
        "goodTillDate": 0,
    }


def fill(row: Fill) -> Row:
    return {
        "symbol": row.symbol,
        "id": row.order_id,
        "orderId": row.order_id,
        "side": "SELL" if row.closes > 0 else "BUY",
        "price": plain(row.price),
        "qty": plain(row.quantity),
        "realizedPnl": amount(row.pnl),
        "quoteQty": amount(row.price * row.quantity),
        "commission": "0",
        "commissionAsset": margin_asset(row.symbol),
        "time": milliseconds(row.at),
        "positionSide": row.position_side,
        "buyer": row.closes < 0,
        "maker": False,
    }


def force_order(row: Fill) -> Row:
    """Return the order of the exchange's own by which a position was liquidated."""
    at = milliseconds(row.at)
    return {
        "orderId": row.order_id,
        "symbol": row.symbol,
        "status": "FILLED",
        "clientOrderId": f"autoclose-{at}",
        "price": plain(row.price),
        "avgPrice": plain(row.price),
        "origQty": plain(row.quantity),
        "executedQty": plain(row.quantity),
        "cumQuote": amount(row.price * row.quantity),
        "timeInForce": "IOC",
        "type": "LIMIT",
        "reduceOnly": False,
        "closePosition": False,
        "side": "SELL" if row.closes > 0 else "BUY",
        "positionSide": row.position_side,
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "origType": "LIMIT",
        "time": at,
        "updateTime": at,
    }
