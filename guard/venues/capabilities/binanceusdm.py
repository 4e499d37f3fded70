"""Binance USD-M: what guard does there."""

from guard.venues.binance_family import LIMIT
from guard.venues.binance_margin import ANSWERS
from guard.venues.capabilities import Capabilities, Published

CAPABILITIES = Capabilities(
    name="Binance USD-M",
    contracts="linear, perpetual and dated, in USDT, USDC and others",
    guarded="isolated positions of a single-asset account",
    watched={
        "cross positions": "they lean on the whole wallet already, so there is nothing to add to; modelled as one pool",
        "multi-assets mode": "the exchange has no isolated margin there; its own account ratio is watched",
    },
    settle_currencies=("USDT", "USDC"),
    stream="mark price every second",
    account_news="fills, liquidations, funding, transfers, margin moved by hand, margin calls, leverage",
    candles="mark price",
    tiers="from the account's own brackets, with maintenance amounts",
    settling="the record of margin changes",
    key_audit="withdraw, transfer, futures trading",
    has_inverse=False,
    has_hedge=True,
    tells_auto_margin=True,
    tells_ip_binding=True,
    requests_per_cycle=2,
    answers=ANSWERS,
    published=Published(limit=LIMIT, counts="weight of an address", source="exchangeInfo and docs, 2026-11"),
    known_limits=(
        "portfolio margin accounts (papi) are not read",
        "a demo or testnet host cannot say what a key may do",
        "the margin record has no ids: rows alike in every field are numbered",
        "`notionalCoef` is taken as contained in the brackets already: nobody documents it",
    ),
    verified=(
        "positions, balances, margin history and one isolated price against recorded answers of 2021 to 2024; refusals "
        "and limits against the documents of 2026-07 to 2026-11; not run against the live exchange"
    ),
)
