"""Gate under the classifier suite. Labels and bodies: docs v4.106.88, "label list" and "Update position margin" (2026-05)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qs

from classified import NOT_APPLIED, UNKNOWN, Classified
from exchanges import server_of
from raw_server import http
from yarl import URL

from guard.snapshot import MarginBefore, MarginRequest, PositionKey, Side
from guard.venues.gateio import GateIo
from guard.venues.gateio_margin import ANSWERS

# The documented answer with the figures of the request below: it is the whole position.
POSITION = {
    "user": 10000, "contract": "BTC_USDT", "size": "1000", "leverage": "10", "risk_limit": "100000",
    "leverage_max": "100", "maintenance_rate": "0.004", "value": "5800", "margin": "660.525", "entry_price": "59427.075",
    "liq_price": "53074", "mark_price": "58000", "initial_margin": "594.27", "maintenance_margin": "23.2",
    "unrealised_pnl": "-142.7", "realised_pnl": "-1.2", "mode": "single", "cross_leverage_limit": "0", "update_id": 4,
    "pos_margin_mode": "isolated", "lever": "10", "update_time": 1684994406, "close_order": None,
}  # fmt: skip
REQUEST = MarginRequest(
    key=PositionKey("BTC/USDT:USDT", Side.LONG),
    hedged=False,
    amount=Decimal("62.31"),
    currency="USDT",
    before=MarginBefore(
        margin=Decimal("598.215"),
        quantity=Decimal(1000),
        entry_price=Decimal("59427.075"),
        mark_price=Decimal(58000),
        read_at=datetime(2026, 11, 1, tzinfo=UTC),
    ),
)
LEGS = [POSITION | {"mode": "dual_long"}, POSITION | {"mode": "dual_short", "size": "-1000"}]


def yes_but(**fields: object) -> bytes:
    return json.dumps({name: value for name, value in (POSITION | fields).items() if value is not ...}).encode()


def refusal(label: object, text: str = "refused") -> bytes:
    return json.dumps({"label": label, "message": text}).encode()


@asynccontextmanager
async def open_on(url: str) -> AsyncIterator[GateIo]:
    async with server_of("gate")().serving() as server:
        venue = GateIo(server.account(), now=lambda: datetime.now(UTC))
        await venue.open()
        venue._client.urls["api"]["private"]["futures"] = f"{url}/api/v4"
        venue._client.gate.origins |= {URL(url)}
        yield venue
        await venue.close()


GATE = Classified(
    name="gate",
    answers=ANSWERS,
    request=REQUEST,
    yes=yes_but(),
    refused_status=400,
    open_on=open_on,
    refusal=refusal,
    refusal_in_words=lambda code, meaning: json.dumps({"message": f"{code}: {meaning}"}).encode(),
    amount_of=lambda query: parse_qs(query.decode())["change"][0],
    not_yes=(
        yes_but(margin="598.215"),  # It holds what it held.
        yes_but(margin="62.31"),
        yes_but(margin="659.8"),  # It grew, by less.
        yes_but(margin="-660.525"),
        yes_but(margin=""),
        yes_but(margin=...),
        yes_but(contract="ETH_USDT"),
        yes_but(size="-1000"),
        yes_but(size="0"),
        yes_but(leverage="0"),  # It is cross.
        yes_but(mode="dual_long"),
        yes_but(mode=...),
        json.dumps(LEGS).encode(),  # What a hedge would be answered with.
    ),
    codes_never_seen=("SOMETHING_NEW", "insufficient_available", "RISK_REJECT", "DUPLICATE_REQUEST", "-4051"),
    rows={
        **{
            f"{label} with {status}": (http(status, refusal(label)), UNKNOWN)
            for label in ("INTERNAL", "SERVER_ERROR", "TOO_BUSY")
            for status in (200, 400, 500, 503)
        },
        "429 with a label": (http(429, refusal("TOO_MANY_REQUESTS", "Request Rate limit Exceeded")), NOT_APPLIED),
        "401 expired": (http(401, refusal("REQUEST_EXPIRED")), NOT_APPLIED),
        "403 without permission": (http(403, refusal("FORBIDDEN")), NOT_APPLIED),
        "a refusal beside a position": (http(200, yes_but(label="POSITION_EMPTY")), NOT_APPLIED),
        "a label that is no text": (http(400, b'{"label": 7, "message": "no"}'), UNKNOWN),
        "an empty label": (http(400, b'{"label": "", "message": "POSITION_EMPTY"}'), UNKNOWN),
        "a code of another exchange": (http(400, b'{"code": -4051, "msg": "Isolated balance insufficient."}'), UNKNOWN),
    },
)
