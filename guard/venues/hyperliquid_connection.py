"""Where Hyperliquid is, what may be sent there, and by whose credentials: its terms for the transport."""

from collections.abc import Mapping
from typing import Any

from guard.errors import ConfigError
from guard.venues.gate import PostRule
from guard.venues.hyperliquid_margin import ADD_MARGIN, CLOCK_IS_OFF, error_of
from guard.venues.hyperliquid_modes import WORDS
from guard.venues.shared import RateLimit
from guard.venues.transport import Wire

HOSTNAME = "hyperliquid.xyz"
TEST_HOSTS = frozenset({"api.hyperliquid-testnet.xyz"})


def _urls_in_use(api: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses of reads, of the write and of the stream. Raises ConfigError."""
    sockets = api.get("ws")
    stream = sockets.get("public") if isinstance(sockets, dict) else None
    urls = (api.get("public"), api.get("private"), stream)
    if not all(isinstance(url, str) for url in urls):
        raise ConfigError(
            'ccxt.urls.api: expected { public = "https://…", private = "https://…", ws = { public = "wss://…" } }'
        )
    return tuple(str(url).replace("{hostname}", HOSTNAME) for url in urls)


# By the type of the question (docs, Rate limits, 2026-09); long lists of fills weigh more, which is not foreseen here.
LIMIT = RateLimit(
    weight_max=1200,
    window_s=60.0,
    weights={
        **dict.fromkeys(("/clearinghouseState", "/spotClearinghouseState", "/exchangeStatus"), 2),
        "/userRole": 60,
        "/exchange": 1,
    },
    weight_else=20,
    quiet_statuses=frozenset({429}),
    question="type",
)

WIRE = Wire(
    options={
        "fetchMarkets": {"types": ["swap"]},
        # ccxt's own writes, which nobody asked for: taken as done. The gate would stop them.
        "approvedBuilderFee": True,
        "refSet": True,
    },
    urls=_urls_in_use,
    writes=(ADD_MARGIN,),
    reads=(PostRule(method="POST", path="/info", fields={}),),
    error=error_of,
    keys_refused=frozenset(),  # Reads have no keys.
    clock_is_off=CLOCK_IS_OFF,
    limit=LIMIT,
    bare_words=WORDS,
    credentials=lambda account: {"walletAddress": account.api_key.lower(), "privateKey": "0x" + account.secret[-64:]},
)
