"""Gate: what guard does there."""

from guard.venues.capabilities import Capabilities, Published
from guard.venues.gateio import KNOWN_LIMITS
from guard.venues.gateio_margin import ANSWERS
from guard.venues.gateio_wire import LIMIT

CAPABILITIES = Capabilities(
    name="Gate",
    contracts="perpetual, linear in USDT and inverse in BTC",
    guarded="isolated positions of a classic futures account, one-way and dual mode",
    watched={
        "unified accounts": "several assets back everything; the account's own ratio is watched",
        "split position mode": "of several positions of one symbol and side the one nearest to its end is watched",
        "cross positions": "they lean on the whole wallet already",
    },
    settle_currencies=("USDT", "BTC"),
    stream="mark price of the tickers",
    account_news="positions and balance of the futures account, in each settle currency with money or positions",
    candles="mark price",
    tiers="from the public risk limit tiers",
    settling="what the position holds, where no funding could explain it",
    key_audit="the permissions of the key, where it may read them",
    has_inverse=True,
    has_hedge=True,
    tells_auto_margin=False,
    tells_ip_binding=True,
    requests_per_cycle=4,
    answers=ANSWERS,
    published=Published(
        limit=LIMIT,
        counts="requests of a user to each private endpoint, of an address to each public one; here all together",
        source="docs, 2026-05",
    ),
    known_limits=KNOWN_LIMITS,
    verified=(
        "recorded isolated rows of 2022 and 2024; the rest against the documents of 2026-05-27; not run against the "
        "live exchange"
    ),
)
