"""Bitget: what guard does there."""

from guard.venues.bitget import KNOWN_LIMITS
from guard.venues.bitget_margin import ANSWERS
from guard.venues.bitget_wire import LIMIT
from guard.venues.capabilities import Capabilities, Published

CAPABILITIES = Capabilities(
    name="Bitget",
    contracts="perpetual, linear in USDT and USDC",
    guarded="isolated positions of a classic account in single-asset mode",
    watched={
        "unified accounts (UTA)": "only what they state of positions and wallets is read",
        "cross positions": "the published formula is cut off; Bitget's own price is watched",
        "coin-margined contracts": "they convert at an index price and are not modelled",
    },
    settle_currencies=("USDT", "USDC"),
    stream="mark price of the tickers",
    account_news="orders, fills, transfers, in unified accounts funding; of margin moved by hand nothing is said",
    candles="mark price",
    tiers="from the public position tiers",
    settling="the account's bills and what the position holds",
    key_audit="what its authorities allow: withdraw, transfer, contract trading",
    has_inverse=False,
    has_hedge=True,
    tells_auto_margin=True,
    tells_ip_binding=True,
    requests_per_cycle=2,
    answers=ANSWERS,
    published=Published(
        limit=LIMIT,
        counts=(
            "requests of an address; a user has 5 in a second for positions and for the write, 10 for accounts, stop "
            "orders and bills"
        ),
        source="docs, 2025-10; the user's figures: docs, copies of 2025-03",
    ),
    known_limits=KNOWN_LIMITS,
    verified=(
        "the documented isolated row, and recorded cross rows; the write and bills against the documents only; not run "
        "against the live exchange"
    ),
)
