"""Hyperliquid: what guard does there."""

from guard.venues.capabilities import Capabilities, Published
from guard.venues.hyperliquid import KNOWN_LIMITS
from guard.venues.hyperliquid_connection import LIMIT
from guard.venues.hyperliquid_margin import ANSWERS

CAPABILITIES = Capabilities(
    name="Hyperliquid",
    contracts="linear, perpetual, of every dex: in USDC, and on other dexes (HIP-3) in their collateral",
    guarded="isolated positions in USDC of a classic account or sub-account, on every dex",
    watched={
        "cross positions": "they lean on the whole account already; modelled as one pool for each dex",
        "dexes whose collateral is not USDC": "in which unit margin is added there is not documented",
        "unified accounts": "what of the USDC in spot may move into a position is not documented",
        "portfolio margin": "its rules are not published in full; the account's own ratio is watched",
        "dex abstraction": "other dexes draw on the wallet by themselves, and what backs them is not known",
        "vaults": "their money is that of their depositors",
    },
    settle_currencies=("USDC",),
    stream="mark price of activeAssetCtx",
    account_news="any change of sizes, leverages or dollars on any dex as the account is told again and again",
    candles="trades: there are none of mark prices",
    tiers="from each dex's margin tables",
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
        "prices of five recorded accounts, one of them on another dex, and of four positions, 2024 to 2026, to nine "
        "digits; the write on another dex against documents and SDKs of 2026 only; signatures against "
        "the official SDK's vectors; refusals as others measured them in 2026; not run against the live exchange"
    ),
)
