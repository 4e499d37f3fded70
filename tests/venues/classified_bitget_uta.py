"""Bitget's unified accounts under the classifier suite.

Codes and bodies: docs UTA, "Set Margin" (copy of 2026-07) and "Error Code" (copy of 2025-12).
"""

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
from guard.venues.bitget import Bitget
from guard.venues.bitget_uta_margin import ANSWERS

sys.path.insert(0, str(Path(__file__).parent / "bitget"))

from bitget_uta_wire import BitgetUtaServer  # Its folder is on the path only now.


def body(data: object = "success", code: object = "00000", msg: object = "success") -> bytes:
    return json.dumps({"code": code, "msg": msg, "requestTime": 1730186730084, "data": data}).encode()


def refusal(code: object, text: str = "refused") -> bytes:
    return body(None, code, text)


@asynccontextmanager
async def open_on(url: str) -> AsyncIterator[Bitget]:
    async with BitgetUtaServer().serving() as exchange:
        exchange.hold_sample()
        venue = Bitget(exchange.account(), now=lambda: datetime.now(UTC))
        await venue.snapshot()
        venue._client.urls["api"]["uta"] = url
        venue._client.gate.origins |= {yarl.URL(url)}
        yield venue
        await venue.close()


BITGET_UTA = Classified(
    name="bitget-uta",
    answers=ANSWERS,
    request=MarginRequest(
        key=PositionKey("BTC/USDT:USDT", Side.LONG), hedged=False, amount=Decimal("62.31"), currency="USDT"
    ),
    yes=body(),
    refused_status=400,
    open_on=open_on,
    refusal=refusal,
    refusal_in_words=lambda code, meaning: json.dumps({"msg": f"{code}: {meaning}", "data": None}).encode(),
    amount_of=lambda sent: json.loads(sent)["amount"],
    not_yes=(
        body(None),
        body(""),  # The yes of a classic account.
        body({}),
        body([]),
        body("fail"),
        body("Success"),
        body(True),
        body(code=0),
        body(code="0"),
        body(code="000000"),
        body(code=None),
        body(msg="failed"),
        body(msg=""),
        json.dumps({"data": "success", "msg": "success"}).encode(),
        json.dumps({"code": "00000", "msg": "success"}).encode(),
        json.dumps({"code": "00000", "data": "success"}).encode(),
    ),
    codes_never_seen=("1", "-1", "25999", "40711", "22002", "25203.", "99999"),
    limited=(http(429, refusal("429", "Too Many Requests")), timedelta(seconds=2)),
    rows={
        **{
            f"{code} {text} with {status}": (http(status, refusal(code, text)), UNKNOWN)
            for code, text in (
                ("25000", "System error"),
                ("25001", "Operation timed out"),
                ("25003", "Concurrent operation"),
                ("25004", "Too frequent"),
                ("40010", "Request timed out"),  # ccxt makes of it that the keys are wrong.
                ("40015", "System is abnormal, please try again later"),
                ("40725", "service return an error"),
                ("40808", "Parameter verification exception"),
                ("45001", "Unknown error"),
            )
            for status in (200, 400, 500)
        },
        "429 as a page": (http(429, b"<html>slow down</html>"), UNKNOWN),
        "429 with a time-out": (http(429, refusal("25001")), UNKNOWN),
        "a code that is a number": (http(400, refusal(25203)), NOT_APPLIED),
        "a refusal with 200": (http(200, refusal("25203")), NOT_APPLIED),
        "a refusal with the data of a yes": (http(200, body(code="25203")), NOT_APPLIED),
        "a code of another exchange": (http(200, b'{"retCode": 10000, "retMsg": "Server Timeout"}'), UNKNOWN),
    },
)
