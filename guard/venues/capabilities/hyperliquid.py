"""Hyperliquid: what guard does there."""

from guard.venues.capabilities import Capabilities, Published
from guard.venues.hyperliquid import KNOWN_LIMITS
from guard.venues.hyperliquid_connection import LIMIT
from guard.venues.hyperliquid_margin import ANSWERS

CAPABILITIES = Capabilities(
    name="Hyperliquid",
    contracts="linear in USDC, perpetual, of the main dex",
    guarded="isolated positions of a classic account or sub-account",
    watched={
        "cross positions": "they lean on the whole account already; modelled as one pool",
        "unified accounts": "what of the USDC in spot may move into a position is not documented",
        "portfolio margin": "its rules are not published in full; the account's own ratio is watched",
        "dex abstraction": "other dexes draw on the wallet by themselves",
        "vaults": "their money is that of their depositors",
    },
    settle_currencies=("USDC",),
    stream="mark price of activeAssetCtx",
    account_news="any change of sizes, leverages or dollars in the account as it is told again and again",
    candles="trades: there are none of mark prices",
    tiers="from the margin tables",
    settling="what the position holds, less the funding on record",
    key_audit="whether it is an API wallet of this account, and its end",
    has_inverse=False,
    has_hedge=False,
    tells_auto_margin=False,
    tells_ip_binding=False,
    requests_per_cycle=1,
    answers=ANSWERS,
    published=Published(
        limit=LIMIT,
        counts="weight of an address, by the type of the question",
        source="docs, Rate limits, 2026-09",
    ),
    known_limits=KNOWN_LIMITS,
    verified=(
        "prices of four recorded accounts and of four positions, 2024 to 2026, to nine digits; signatures against "
        "the official SDK's vectors; refusals as others measured them in 2026; not run against the live exchange"
    ),
)
