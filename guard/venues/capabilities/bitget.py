"""Bitget: what guard does there."""

from guard.venues.bitget import KNOWN_LIMITS
from guard.venues.bitget_margin import ANSWERS
from guard.venues.bitget_uta_margin import ANSWERS as UNIFIED_ANSWERS
from guard.venues.bitget_wire import LIMIT
from guard.venues.capabilities import Capabilities, Published

CAPABILITIES = Capabilities(
    name="Bitget",
    contracts="perpetual, linear in USDT and USDC",
    guarded=(
        "isolated positions of a classic account in single-asset mode, and of a unified account (UTA) where Bitget's "
        "own liquidation price confirms the margin that the row states"
    ),
    watched={
        "isolated positions of a unified account whose margin is not confirmed": (
            "what positionBalance is there is documented in words only, so it must meet the row's own liquidation price"
        ),
        "unified accounts in delta neutral or an unknown mode, hybrid ones, and those that owe": (
            "their rules, or what loans need, are not modelled"
        ),
        "cross positions": "the published formula is cut off; Bitget's own price is watched",
        "coin-margined contracts": "they convert at an index price and are not modelled",
    },
    settle_currencies=("USDT", "USDC"),
    stream="mark price of the tickers",
    account_news="orders, fills, transfers, in unified accounts funding; of margin moved by hand nothing is said",
    candles="mark price",
    tiers="from the public position tiers",
    settling="the account's bills (unified: its records, which are only a yes) and what the position holds",
    key_audit=(
        "what its authorities allow: withdraw, transfer, contract trading; of a unified account's key withdraw and UTA "
        "mgt., which includes transfers between the user's own accounts"
    ),
    has_inverse=False,
    has_hedge=True,
    tells_auto_margin=True,
    tells_ip_binding=True,
    requests_per_cycle=2,
    answers=ANSWERS,
    other_answers=UNIFIED_ANSWERS,
    published=Published(
        limit=LIMIT,
        counts=(
            "requests of an address; a user has 5 in a second for positions and for the write, 10 for accounts, stop "
            "orders and bills; of a unified account 10 for the write and 20 for the rest"
        ),
        source="docs, 2025-10; the user's figures: docs, copies of 2025-03",
    ),
    known_limits=KNOWN_LIMITS,
    verified=(
        "the documented isolated row, and recorded cross rows; the writes, bills and records, and an isolated row of a "
        "unified account against the documents only; not run against the live exchange"
    ),
)
