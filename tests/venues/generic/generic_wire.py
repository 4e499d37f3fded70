"""Exchanges without a file of their own on loopback: a server that answers by the end of a path, and what it answers.

BingX's position is of a recorded answer (ccxt fixture, 2024) and its contract of the API documents; MEXC's of its API
documents (2026-07), which state no mark price in a position.
"""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web

from guard.venues import open_venue
from guard.venues.lazy_ccxt import exchange_class
from guard.venues.protocol import VenueAccount

LTC = "LTC/USDT:USDT"
BINGX = {
    "/swap/v2/quote/contracts": {"code": 0, "msg": "", "data": [{
        "contractId": "100", "symbol": "LTC-USDT", "size": "0.1", "quantityPrecision": 1, "pricePrecision": 2,
        "feeRate": 0.0005, "makerFeeRate": 0.0002, "takerFeeRate": 0.0005, "tradeMinLimit": 0, "tradeMinQuantity": 0.1,
        "tradeMinUSDT": 2, "currency": "USDT", "asset": "LTC", "status": 1, "apiStateOpen": "true",
        "apiStateClose": "true", "ensureTrigger": True, "triggerFeeRate": "0.00050000"}]},
    "/cswap/v1/market/contracts": {"code": 0, "msg": "", "data": []},
    "/spot/v1/common/symbols": {"code": 0, "msg": "", "data": {"symbols": []}},
    "/swap/v2/user/positions": {"code": 0, "msg": "", "data": [{
        "positionId": "1773289330136281088", "symbol": "LTC-USDT", "currency": "USDT", "positionAmt": "0.1",
        "availableAmt": "0.1", "positionSide": "LONG", "isolated": True, "avgPrice": "95.61", "initialMargin": "1.9128",
        "margin": "1.9133", "leverage": "5", "unrealizedProfit": "0.0005", "realisedProfit": "-0.0048",
        "liquidationPrice": 77.81, "riskRate": "0.0068", "markPrice": "95.62", "positionValue": "9.5616"}]},
    "/swap/v2/server/time": {"code": 0, "msg": "", "data": {"serverTime": 1785000000000}},
}  # fmt: skip
MEXC = {
    "/api/v3/exchangeInfo": {"symbols": []},
    "/detail": {"success": True, "code": 0, "data": [{
        "symbol": "LTC_USDT", "displayNameEn": "LTC_USDT PERPETUAL", "positionOpenType": 3, "baseCoin": "LTC",
        "quoteCoin": "USDT", "settleCoin": "USDT", "contractSize": 0.1, "minLeverage": 1, "maxLeverage": 100,
        "priceScale": 2, "volScale": 0, "amountScale": 4, "priceUnit": 0.01, "volUnit": 1, "minVol": 1, "maxVol": 1000,
        "takerFeeRate": 0.0006, "makerFeeRate": 0.0002, "maintenanceMarginRate": 0.005, "initialMarginRate": 0.01,
        "state": 0, "riskBaseVol": 1000, "riskIncrVol": 1000, "riskIncrMmr": 0.005, "riskIncrImr": 0.005,
        "riskLevelLimit": 5}]},
    "/position/open_positions": {"success": True, "code": 0, "data": [{
        "positionId": 1109973831, "symbol": "LTC_USDT", "positionType": 2, "openType": 2, "state": 1, "holdVol": 3,
        "frozenVol": 0, "closeVol": 0, "holdAvgPrice": 95.5, "openAvgPrice": 95.5, "closeAvgPrice": 0,
        "liquidatePrice": 140.02, "oim": 5.7, "im": 5.7, "holdFee": 0, "realised": -0.01, "leverage": 5,
        "autoAddIm": False}]},
}  # fmt: skip


@asynccontextmanager
async def venue_at(exchange, answers):
    """Open the venue of an exchange whose every address is a server with these answers, by the end of the path."""
    asked = []

    async def handle(request):
        asked.append((request.method, request.path))
        answer = next((value for end, value in answers.items() if request.path.endswith(end)), None)
        if isinstance(answer, web.Response):
            return answer
        return web.json_response(answer if answer is not None else {"code": 404}, status=200 if answer else 404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    everything = _all_at(url, exchange_class(exchange)().urls["api"])
    account = VenueAccount(
        account="main", exchange=exchange, api_key="canary-key", secret="canary-secret", password=None,
        ccxt={"urls": {"api": everything}, "rateLimit": 1},
    )  # fmt: skip
    venue = open_venue(account, now=lambda: datetime.now(UTC))
    try:
        yield venue, asked
    finally:
        await venue.close()
        await runner.cleanup()


def _all_at(url, api):
    return {name: _all_at(url, inner) for name, inner in api.items()} if isinstance(api, dict) else url


def bingx(**position):
    row = BINGX["/swap/v2/user/positions"]["data"][0]
    changed = {name: value for name, value in (row | position).items() if value is not None}
    return BINGX | {"/swap/v2/user/positions": {"code": 0, "msg": "", "data": [changed]}}
