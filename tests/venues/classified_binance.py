"""Binance USD-M under the classifier suite. Codes and bodies: docs, error codes and general info (seen 2026-07)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qs

from classified import NOT_APPLIED, UNKNOWN, Classified
from raw_server import http
from venue_support import account_at, stub_exchange

from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues import transport
from guard.venues.binance import BinanceUsdm
from guard.venues.binance_margin import ANSWERS

YES = b'{"amount": 62.31, "code": 200, "msg": "Successfully modify position margin.", "type": 1}'


def refusal(code: object, text: str = "refused") -> bytes:
    return json.dumps({"code": code, "msg": text}).encode()


def yes_but(**fields: object) -> bytes:
    return json.dumps(json.loads(YES) | fields).encode()


# The three bodies of a 503 that Binance documents (general info, "HTTP Return Codes"; seen 2026-07). B and C are said
# to be certain failures; they carry no code that could be parsed, so they are unknown here: the stricter reading.
UNAVAILABLE = {
    "503 A, unknown error": refusal(-1000, "Unknown error, please check your request or try again later."),
    "503 A without a code": b'{"msg": "Unknown error, please check your request or try again later."}',
    "503 B, service unavailable": b'{"msg": "Service Unavailable."}',
    "503 C, internal error": b'{"msg": "Internal error; unable to process your request. Please try again."}',
    "503 C with -1001": refusal(-1001, "Internal error; unable to process your request. Please try again."),
}


@asynccontextmanager
async def open_on(url: str) -> AsyncIterator[BinanceUsdm]:
    async with stub_exchange() as exchange:
        venue = BinanceUsdm(account_at(exchange), now=lambda: datetime.now(UTC))
        await venue.open()
        venue._client.urls["api"]["fapiPrivate"] = f"{url}/fapi/v1"
        venue._client.gate.origins |= {transport.yarl.URL(url)}
        yield venue
        await venue.close()


BINANCE = Classified(
    name="binanceusdm",
    answers=ANSWERS,
    request=MarginRequest(
        key=PositionKey("BTC/USDT:USDT", Side.LONG), hedged=False, amount=Decimal("62.31"), currency="USDT"
    ),
    yes=YES,
    refused_status=400,
    open_on=open_on,
    refusal=lambda code: refusal(int(code)),
    refusal_in_words=lambda code, meaning: json.dumps({"msg": f"{code}: {meaning}"}).encode(),
    amount_of=lambda body: parse_qs(body.decode())["amount"][0],
    not_yes=(
        yes_but(amount=62.32),
        yes_but(amount=-62.31),
        yes_but(amount=None),
        yes_but(type=2),
        yes_but(type="add"),
        yes_but(code=201),
    ),
    codes_never_seen=("-1", "0", "1", "-4052", "-4999", "-5028", "-9999"),
    rows={
        **{name: (http(503, body), UNKNOWN) for name, body in UNAVAILABLE.items()},
        "503 with -1008": (http(503, refusal(-1008, "Server is currently overloaded")), NOT_APPLIED),
        "-1008 in words only": (
            http(503, b'{"msg": "throttled by system-level protection (-1008)"}'),
            UNKNOWN,
        ),
        **{
            f"{code} with {status}": (http(status, refusal(code)), UNKNOWN)
            for code, status in ((-1006, 400), (-1006, 503), (-1007, 408), (-1007, 504), (-1000, 400), (-1001, 500))
        },
        "-1003 with 429": (http(429, refusal(-1003), Retry_After="3"), NOT_APPLIED),
        "-1003 with 418": (http(418, refusal(-1003), Retry_After="3"), NOT_APPLIED),
        "200 with an unknown code": (http(200, refusal(-9999)), UNKNOWN),
        "a code that is text": (http(400, b'{"code": "-4051x", "msg": "?"}'), UNKNOWN),
        "a code that is null": (http(400, b'{"code": null, "msg": "?"}'), UNKNOWN),
        "a code of another exchange": (http(400, b'{"retCode": 10000, "retMsg": "Server Timeout"}'), UNKNOWN),
    },
)
