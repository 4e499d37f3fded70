"""Bybit under the classifier suite. Codes and bodies: docs v5, "Error Codes" and "Add Or Reduce Margin" (seen 2026-07)."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import yarl
from classified import NOT_APPLIED, UNKNOWN, Classified
from raw_server import http

from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues.bybit import Bybit
from guard.venues.bybit_margin import ANSWERS

sys.path.insert(0, str(Path(__file__).parent / "bybit"))
from bybit_wire import BybitServer

# The documented answer (inverse, ETHUSD), with the symbol and the figures of the request below.
RESULT = {
    "category": "linear", "symbol": "BTCUSDT", "positionIdx": 0, "riskId": 1, "riskLimitValue": "2000000", "size": "0.1",
    "positionValue": "5800", "avgPrice": "59998.5", "liqPrice": "53645.10", "bustPrice": "", "markPrice": "58000",
    "leverage": "10", "autoAddMargin": 0, "positionStatus": "Normal", "positionIM": "665.26742575", "positionMM": "32",
    "unrealisedPnl": "-199.85", "cumRealisedPnl": "0", "stopLoss": "0.00", "takeProfit": "0.00", "trailingStop": "0.00",
    "createdTime": "1672737740039", "updatedTime": "1684234363788",
}  # fmt: skip


def body(result: object, code: object = 0, text: str = "OK") -> bytes:
    return json.dumps({"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": 1}).encode()


def refusal(code: object, text: str = "refused") -> bytes:
    return body({}, code, text)


def yes_but(**fields: object) -> bytes:
    return body({name: value for name, value in (RESULT | fields).items() if value is not ...})


@asynccontextmanager
async def open_on(url: str) -> AsyncIterator[Bybit]:
    async with BybitServer().serving() as server:
        server.hold_sample()
        venue = Bybit(server.account(), now=lambda: datetime.now(UTC))
        await venue.snapshot()
        venue._client.urls["api"]["private"] = url
        venue._client.gate.origins |= {yarl.URL(url)}
        yield venue
        await venue.close()


BYBIT = Classified(
    name="bybit",
    answers=ANSWERS,
    request=MarginRequest(
        key=PositionKey("BTC/USDT:USDT", Side.LONG), hedged=False, amount=Decimal("62.3125"), currency="USDT"
    ),
    yes=body(RESULT),
    refused_status=200,
    open_on=open_on,
    refusal=lambda code: refusal(int(code)),
    refusal_in_words=lambda code, meaning: json.dumps({"retMsg": f"{code}: {meaning}", "result": {}}).encode(),
    amount_of=lambda sent: json.loads(sent)["margin"],
    not_yes=(
        body({}),
        body(None),
        yes_but(symbol="ETHUSDT"),
        yes_but(category="inverse"),
        yes_but(positionIdx=1),
        yes_but(size="0"),
        yes_but(positionIM="62.3"),  # Less than was sent.
        yes_but(positionIM=""),
        yes_but(positionIM=...),
        body(RESULT, code="ok"),
        body(RESULT, code=None),
    ),
    limited=(
        http(200, refusal(10006, "Too many visits!"), X_Bapi_Limit="10", X_Bapi_Limit_Reset_Timestamp="4001"),
        timedelta(seconds=4),
    ),
    codes_never_seen=("1", "-1", "110001", "110013", "110078", "3400214", "99999"),
    rows={
        **{
            f"{code} {text} with {status}": (http(status, refusal(code, text)), UNKNOWN)
            for code, text in (
                (10000, "Server Timeout"),
                (10014, "Invalid duplicate request."),
                (10016, "Server error."),
                (10019, "ws trade service is restarting"),
                (429, "The trading service is experiencing a high server load. Please retry"),
            )
            for status in (200, 400, 500)
        },
        "429 as a page": (http(429, b"<html>"), UNKNOWN),
        "429 with a 10000": (http(429, refusal(10000)), UNKNOWN),
        "403 access too frequent": (http(403, refusal(403, "access too frequent")), NOT_APPLIED),
        "a refusal and a result": (http(200, body(RESULT, 110014)), NOT_APPLIED),
        "a code as text": (http(200, refusal("110014")), NOT_APPLIED),
        "a code of another exchange": (http(400, b'{"code": -4051, "msg": "Isolated balance insufficient."}'), UNKNOWN),
        "a code in the envelope before this one": (http(200, b'{"ret_code": 110014, "ret_msg": "no"}'), UNKNOWN),
    },
)
