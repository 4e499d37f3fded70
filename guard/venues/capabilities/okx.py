"""OKX: what guard does there."""

from guard.venues.capabilities import Capabilities, Published
from guard.venues.okx_margin import ANSWERS
from guard.venues.shared import RateLimit

CAPABILITIES = Capabilities(
    name="OKX",
    contracts="linear in USDT and USDC, inverse in their coin; perpetual and dated",
    guarded="isolated positions in futures mode and multi-currency mode",
    watched={
        "portfolio margin mode": "its rules are not modelled; the account's own ratio is watched",
        "spot mode": "it has no positions",
        "isolated margin moved by hand (ctIsoMode)": "adding could open an empty position",
        "the delta neutral strategy": "its rules for margin are its own",
        "cross positions": "they lean on the whole account already; modelled in futures mode, by OKX's own ratio in "
        "multi-currency mode",
    },
    settle_currencies=("USDT", "BTC"),
    stream="mark price channel",
    account_news="fills, liquidations, funding, transfers, margin moved by hand, leverage, settlement",
    candles="mark price",
    tiers="from the public position tiers, in contracts, with the user's own taker fee",
    settling="the account's bills and what the position holds",
    key_audit="withdraw, trade; trading includes moving money between own accounts",
    has_inverse=True,
    has_hedge=True,
    tells_auto_margin=False,
    tells_ip_binding=True,
    requests_per_cycle=2,
    answers=ANSWERS,
    published=Published(
        limit=RateLimit(weight_max=10, window_s=2.0, weights={}, weight_else=1),
        counts="requests of a user, for each of the two reads",
        source="docs, Get positions and Get balance, as ccxt 4.5.90 paces them",
        per_endpoint=True,
    ),
    known_limits=(
        "a symbol opened anew in the other margin mode keeps the first one's tiers until they are read again (a day)",
        "isolated and cross of one symbol and side at once are named as not seen",
        "bills of margin transfers name no side: of two legs the margin tells whose it was",
        "of a position that became smaller in several ways between two looks OKX states the last way only",
        "how long OKX's backend may still work on a request is not documented: 10 s are taken",
    ),
    verified=(
        "price, maintenance margin and ratio of an isolated inverse and a linear position, a cross and a closed one "
        "against recorded answers of 2021 to 2026; bills, the answer to the write, algo orders and fee groups against "
        "the documents only; not run against the live exchange"
    ),
)
