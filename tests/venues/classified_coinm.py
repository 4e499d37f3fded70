"""Binance COIN-M under the classifier suite. It shares USD-M's table; codes and bodies: docs, error codes (2026-11)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qs

from classified import NOT_APPLIED, UNKNOWN, Classified
from classified_binance import UNAVAILABLE, refusal
from exchanges import server_of
from raw_server import http
from yarl import URL

from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues.binance_coinm import BinanceCoinm
from guard.venues.binance_margin import ANSWERS

YES = b'{"amount": 0.00123457, "code": 200, "msg": "Successfully modify position margin.", "type": 1}'


def yes_but(**fields: object) -> bytes:
    return json.dumps(json.loads(YES) | fields).encode()


@asynccontextmanager
async def open_on(url: str) -> AsyncIterator[BinanceCoinm]:
    async with server_of("binancecoinm")().serving() as server:
        venue = BinanceCoinm(server.account(), now=lambda: datetime.now(UTC))
        await venue.open()
        venue._client.urls["api"]["dapiPrivate"] = f"{url}/dapi/v1"
        venue._client.gate.origins |= {URL(url)}
        yield venue
        await venue.close()


COINM = Classified(
    name="binancecoinm",
    answers=ANSWERS,
    request=MarginRequest(
        key=PositionKey("BTC/USD:BTC", Side.LONG), hedged=False, amount=Decimal("0.00123457"), currency="BTC"
    ),
    yes=YES,
    refused_status=400,
    open_on=open_on,
    refusal=lambda code: refusal(int(code)),
    refusal_in_words=lambda code, meaning: json.dumps({"msg": f"{code}: {meaning}"}).encode(),
    amount_of=lambda body: parse_qs(body.decode())["amount"][0],
    not_yes=(
        yes_but(amount=0.00123458),
        yes_but(amount=0.001),  # As if it had been rounded.
        yes_but(amount=1),  # A whole coin.
        yes_but(amount=None),
        yes_but(type=2),
        yes_but(code=201),
    ),
    codes_never_seen=("-1", "-4052", "-9999"),
    rows={
        **{name: (http(503, body), UNKNOWN) for name, body in UNAVAILABLE.items()},
        "503 with -1008": (http(503, refusal(-1008, "Server is currently overloaded")), NOT_APPLIED),
        "-1003 with 429": (http(429, refusal(-1003), Retry_After="3"), NOT_APPLIED),
    },
)
