"""Binance COIN-M: what guard does there."""

from guard.venues.binance_family import LIMIT
from guard.venues.binance_margin import ANSWERS
from guard.venues.capabilities import Capabilities, Published

CAPABILITIES = Capabilities(
    name="Binance COIN-M",
    contracts="inverse, perpetual and dated, each in its coin",
    guarded="isolated positions",
    watched={"cross positions": "they lean on the coin's whole wallet already; modelled as one pool for each coin"},
    settle_currencies=("BTC", "ETH"),
    stream="mark price every second",
    account_news="fills, liquidations, funding, transfers, margin moved by hand, margin calls, leverage",
    candles="mark price",
    tiers="from the account's own brackets, counted in coins",
    settling="the record of margin changes",
    key_audit="withdraw, transfer, futures trading",
    has_inverse=True,
    has_hedge=True,
    tells_auto_margin=True,
    tells_ip_binding=True,
    requests_per_cycle=2,
    answers=ANSWERS,
    published=Published(limit=LIMIT, counts="weight of an address", source="exchangeInfo and docs, 2026-11"),
    known_limits=(
        "the margin record names no cause: a new journal beside an open position only watches until `guard arm`",
        "a demo or testnet host cannot say what a key may do",
    ),
    verified=(
        "a recorded inverse answer, and prices of Binance's own calculator; the write and its record against documents "
        "and SDK models of 2026-08 to 2026-11; not run against the live exchange"
    ),
)
