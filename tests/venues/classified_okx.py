"""OKX under the classifier suite. Codes and bodies: docs, "Error Code" and "Increase/decrease margin" (copies of 2026)."""

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
from guard.venues.okx import Okx
from guard.venues.okx_margin import ANSWERS

sys.path.insert(0, str(Path(__file__).parent / "okx"))

from okx_wire import OkxServer  # Its folder is on the path only now.

ROW = {"amt": "62.31", "ccy": "USDT", "instId": "BTC-USDT-SWAP", "leverage": "", "posSide": "net", "type": "add"}


def envelope(code: object = "0", *rows: object, msg: str = "") -> bytes:
    return json.dumps({"code": code, "data": list(rows), "msg": msg}).encode()


def yes_but(**fields: object) -> bytes:
    return envelope("0", ROW | fields)


@asynccontextmanager
async def open_on(url: str) -> AsyncIterator[Okx]:
    async with OkxServer().serving() as exchange:
        venue = Okx(exchange.account(), now=lambda: datetime.now(UTC))
        await venue.open()
        venue._client.urls["api"]["rest"] = url
        venue._client.gate.origins |= {yarl.URL(url)}
        yield venue
        await venue.close()


OKX = Classified(
    name="okx",
    answers=ANSWERS,
    request=MarginRequest(
        key=PositionKey("BTC/USDT:USDT", Side.LONG), hedged=False, amount=Decimal("62.31"), currency="USDT"
    ),
    yes=envelope("0", ROW),
    refused_status=200,
    open_on=open_on,
    refusal=lambda code: envelope(code, msg="refused"),
    refusal_in_words=lambda code, meaning: json.dumps({"msg": f"{code}: {meaning}", "data": []}).encode(),
    amount_of=lambda body: json.loads(body)["amt"],
    not_yes=(
        yes_but(amt="62.32"),
        yes_but(amt="-62.31"),
        yes_but(amt=""),
        yes_but(amt=None),
        yes_but(type="reduce"),
        yes_but(instId="ETH-USDT-SWAP"),
        yes_but(posSide="long"),
        envelope("0"),
        envelope("0", ROW, ROW),
        envelope("0", [ROW]),
        envelope(0, ROW),
        envelope("", ROW),
        json.dumps({"data": [ROW], "msg": ""}).encode(),
    ),
    codes_never_seen=("1", "2", "50099", "51149", "59303.", "59999", "-1"),
    limited=(http(429, envelope("50011", msg="Too Many Requests")), timedelta(seconds=3)),
    rows={
        # "Does not mean that the request was successful or failed": its own words.
        "50004 with 400": (http(400, envelope("50004", msg="API endpoint request timeout.")), UNKNOWN),
        # Under 429, and no rate limit: "Systems are busy. Please try again later."
        "50013 with 429": (http(429, envelope("50013")), UNKNOWN),
        "50001 with 503": (http(503, envelope("50001")), UNKNOWN),
        "50026 with 500": (http(500, envelope("50026")), UNKNOWN),
        "50005 with 410": (http(410, envelope("50005")), UNKNOWN),
        "51149 with 200": (http(200, envelope("51149")), UNKNOWN),
        "429 as a page": (http(429, b"<html>slow down</html>"), UNKNOWN),
        "50011 with 429": (http(429, envelope("50011")), NOT_APPLIED),
        "50011 with 200": (http(200, envelope("50011")), NOT_APPLIED),
        "50102 with 401": (http(401, envelope("50102")), NOT_APPLIED),
        "51000 with 400": (http(400, envelope("51000")), NOT_APPLIED),
        "a refusal in its row": (http(200, envelope("1", {"sCode": "59301", "sMsg": "max"})), NOT_APPLIED),
        "a refusal in the row of a success": (http(200, envelope("0", {"sCode": "59301", "sMsg": "max"})), NOT_APPLIED),
        "a failure without its reason": (http(200, envelope("1", {"sCode": "0"}, msg="Operation failed.")), UNKNOWN),
        "a success in the row of a time-out": (http(400, envelope("50004", ROW)), UNKNOWN),
        "a code of another exchange": (http(400, b'{"retCode": 10000, "retMsg": "Server Timeout"}'), UNKNOWN),
        "a code that is a number": (http(200, envelope(59200)), NOT_APPLIED),
        "a code that is null": (http(200, envelope(None)), UNKNOWN),
    },
)
