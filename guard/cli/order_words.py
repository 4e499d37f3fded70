"""The order of `guard whatif`, as a person writes it."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from guard.config.problems import did_you_mean, printable, shortened
from guard.margin.books import Order
from guard.snapshot import MarginMode, Side

GRAMMAR = (
    "SIDE QUANTITY SYMBOL [LEVERAGEx] [isolated [MARGIN] | cross] [at PRICE], "
    'as in "long 0.5 BTC/USDT:USDT 10x isolated 800"'
)
_NUMBER = re.compile(r"\d{1,30}(\.\d{1,30})?")
_QUANTITY = re.compile(rf"({_NUMBER.pattern})([A-Za-z]+)?")
_LEVERAGE = re.compile(rf"({_NUMBER.pattern})x")


class OrderError(Exception):
    """What was written is no order. Its text is one line, fit for a person."""


def read_order(words: str) -> tuple[Order, str | None]:
    """Return the order, and the currency that its quantity is worth in ("5000USDT"); None: contracts.

    Raises OrderError.
    """
    parts = words.split()
    if len(parts) < 3:
        raise OrderError(f"found {_shown(words)}, expected {GRAMMAR}")
    side, much, symbol, *rest = parts
    if side not in {"long", "short"}:
        raise OrderError(f"found {_shown(side)}, expected long or short{did_you_mean(side, ('long', 'short'))}")
    amount = _QUANTITY.fullmatch(much)
    if amount is None:
        raise OrderError(f"found {_shown(much)} as the quantity, expected contracts such as 0.5, or 5000USDT")
    number, currency = _positive(amount[1], "the quantity"), amount[3]
    options = dict(_options(iter(rest)))
    return Order(
        symbol=symbol,
        side=Side[side.upper()],
        quantity=None if currency else number,
        worth=number if currency else None,
        leverage=options.get("leverage"),
        margin_mode=next((mode for mode in MarginMode if mode in options), None),
        margin=options.get(MarginMode.ISOLATED) or None,
        price=options.get("price"),
    ), currency


def nearest_symbol(word: str, symbols: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for a symbol that is not there: `BTC` and `BTC/USDT` mean its first market."""
    known = sorted(symbols, key=lambda symbol: ("USDT" not in symbol, "-" in symbol, symbol))
    begun = [symbol for symbol in known if symbol.startswith((f"{word.upper()}/", f"{word.upper()}:"))]
    return f", did you mean '{begun[0]}'?" if begun else did_you_mean(word.upper(), known)


def _options(words: Iterator[str]) -> Iterator[tuple[str, Decimal]]:
    """Yield each option once; isolated without a margin, and cross, are zero."""
    seen: set[str] = set()
    waiting = next(words, None)
    while waiting is not None:
        word, waiting = waiting, next(words, None)
        leverage = _LEVERAGE.fullmatch(word)
        if leverage is not None:
            name, value = "leverage", _positive(leverage[1], "the leverage")
        elif word == "cross":
            name, value = "cross", Decimal(0)
        elif word == "isolated":
            name, value = "isolated", Decimal(0)
            if waiting is not None and waiting[0].isdigit() and _LEVERAGE.fullmatch(waiting) is None:
                value, waiting = _positive(waiting, "the margin"), next(words, None)
        elif word == "at":
            name, value = "price", _positive(waiting or "", "the price")
            waiting = next(words, None)
        else:
            raise OrderError(f"found {_shown(word)}, expected {GRAMMAR}")
        kind = "mode" if name in {"isolated", "cross"} else name
        if kind in seen:
            raise OrderError(f"found {_shown(word)}, expected one {kind} only")
        seen.add(kind)
        yield name, value


def _positive(text: str, what: str) -> Decimal:
    if _NUMBER.fullmatch(text) is None or not Decimal(text):
        raise OrderError(f"found {_shown(text)} as {what}, expected a number above 0 such as 800 or 0.5")
    return Decimal(text)


def _shown(text: str) -> str:
    return repr(printable(shortened(text)))
