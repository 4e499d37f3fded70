"""Bybit unified accounts: what guard does there."""

from guard.venues.bybit import KNOWN_LIMITS
from guard.venues.bybit_margin import ANSWERS
from guard.venues.bybit_wire import LIMIT
from guard.venues.capabilities import Capabilities, Published

CAPABILITIES = Capabilities(
    name="Bybit",
    contracts="linear in USDT and USDC, inverse in their coin; perpetual and dated",
    guarded="isolated margin mode of a unified account",
    watched={
        "cross margin mode": "no position has margin of its own; the account's own ratio is watched",
        "portfolio margin mode": "its rules are not modelled; the account's own ratio is watched",
    },
    settle_currencies=("USDT", "BTC"),
    stream="mark price of the tickers",
    account_news="fills, liquidations, funding, balances, margin moved by hand, and orders that change nothing",
    candles="mark price, without the open one",
    tiers="from the public risk limits, with the user's own taker fee",
    settling="what the position holds, where no funding could explain it",
    key_audit="withdraw, transfer, pay, contract trading, end of the key",
    has_inverse=True,
    has_hedge=True,
    tells_auto_margin=True,
    tells_ip_binding=True,
    requests_per_cycle=2,
    answers=ANSWERS,
    published=Published(
        limit=LIMIT,
        counts="requests of an address; a user has 50 in a second for each of the two reads",
        source="docs, Rate Limit Rules, 2026-07",
    ),
    known_limits=KNOWN_LIMITS,
    verified=(
        "the documented answer to add-margin, a recorded cross and a recorded isolated position, margins of a recorded "
        "position of 2025-11; the rest against the documents of 2026-07-24; not run against the live exchange"
    ),
)
