"""Every exchange of ccxt without a file of its own: what guard does there."""

from guard.venues.capabilities import Capabilities
from guard.venues.generic import UNREADABLE

CAPABILITIES = Capabilities(
    name="every other exchange",
    contracts="what ccxt lists by itself, linear and inverse",
    guarded="",
    watched={
        "everything": "how the exchange takes margin, and what its answers prove, is not shown",
    },
    settle_currencies=(),
    stream="asked for every five seconds or more",
    account_news="each exchange signs in and speaks in its own way, and none was shown",
    candles="mark price where ccxt has them, else trades",
    tiers="none: the exchange's own price, where its own row states it",
    settling="",
    key_audit="not asked: give it a key that can only read",
    has_inverse=True,
    has_hedge=True,
    tells_auto_margin=False,
    tells_ip_binding=False,
    requests_per_cycle=1,
    answers=None,
    published=None,
    known_limits=(
        "wallets are not read, so nothing is said of what is available",
        "one request more for each position whose row states no mark price",
        "where ccxt's list needs a symbol or a settle currency, positions beside its default are not seen",
        "an exchange that wants a wallet address or a private key cannot be watched this way",
        f"refused at the start, for ccxt tells no size, side or entry price there: {', '.join(sorted(UNREADABLE))}",
        "a position in one-way mode whose side ccxt calls both or net (Poloniex) is named as not seen",
        "of several positions of one symbol and side the one nearest to its end is watched, with a word on the others",
        "of an isolated position's margin nothing is said where only the initial margin is stated",
    ),
    verified="a recorded answer of BingX and the documented ones of MEXC, on loopback; no live exchange",
)
