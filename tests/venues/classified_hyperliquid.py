"""Hyperliquid under the classifier suite. A refusal is a sentence; sources of each stand in hyperliquid_wire."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from classified import NOT_APPLIED, UNKNOWN, Classified
from raw_server import http

from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues import transport
from guard.venues.hyperliquid import Hyperliquid
from guard.venues.hyperliquid_margin import ANSWERS

sys.path.insert(0, str(Path(__file__).parent / "hyperliquid"))
from hyperliquid_wire import BTC, SENTENCES, HyperliquidServer

YES = b'{"status": "ok", "response": {"type": "default"}}'


def refusal(sentence: str) -> bytes:
    return json.dumps({"status": "err", "response": sentence}).encode()


@asynccontextmanager
async def open_on(url: str) -> AsyncIterator[Hyperliquid]:
    async with HyperliquidServer().serving() as exchange:
        venue = Hyperliquid(exchange.account(), now=lambda: datetime.now(UTC))
        await venue.open()
        venue._client.urls["api"]["private"] = url
        venue._client.gate.origins |= {transport.yarl.URL(url)}
        yield venue
        await venue.close()


HYPERLIQUID = Classified(
    name="hyperliquid",
    answers=ANSWERS,
    request=MarginRequest(key=PositionKey(BTC, Side.LONG), hedged=False, amount=Decimal("62.31"), currency="USDC"),
    yes=YES,
    refused_status=200,
    open_on=open_on,
    refusal=lambda code: refusal(SENTENCES.get(code, code)),
    refusal_in_words=lambda code, meaning: refusal(f"{code}: {meaning}"),
    amount_of=lambda body: f"{Decimal(json.loads(body)['action']['ntli']) / 1_000_000:f}",
    not_yes=(
        b'{"status": "ok"}',
        b'{"status": "ok", "response": null}',
        b'{"status": "ok", "response": "default"}',
        b'{"status": "ok", "response": {"type": "order"}}',
        b'{"status": "ok", "response": {"type": "order", "data": {"statuses": [{"error": "Insufficient margin"}]}}}',
        b'{"status": "OK", "response": {"type": "default"}}',
        b'{"status": true, "response": {"type": "default"}}',
        b'{"response": {"type": "default"}}',
    ),
    codes_never_seen=(
        "Insufficient margin.",
        "Internal error",
        "Invalid nonce: duplicate nonce 1764221206959",
        "User or API Wallet 0x12 does not exist. Retrying.",
        "Action already expired?",
        "ok",
        "",
    ),
    rows={
        "no sentence": (http(200, b'{"status": "err", "response": {"text": "Action already expired"}}'), UNKNOWN),
        "null for a sentence": (http(200, b'{"status": "err", "response": null}'), UNKNOWN),
        "no sentence at all": (http(200, b'{"status": "err"}'), UNKNOWN),
        "L1 error before it": (http(200, refusal("L1 error: " + SENTENCES[next(iter(SENTENCES))])), NOT_APPLIED),
        "an address cut short": (http(200, refusal("User or API Wallet 0x0123... does not exist.")), NOT_APPLIED),
        "422 in words": (http(422, b"Failed to deserialize the JSON body into the target type"), NOT_APPLIED),
        "the bare word of another question": (http(200, b'"disabled"'), UNKNOWN),
        "a code of another exchange": (http(400, b'{"code": -4051, "msg": "?"}'), UNKNOWN),
    },
)
