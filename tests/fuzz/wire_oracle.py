"""What a changed answer says of itself, for any exchange: every number in it, and what it proves of a margin write.

It knows JSON and the documents of each exchange, counts in fractions, and shares nothing with guard.venues.
"""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import oracle

NEAR = Fraction(1, 10**6)
# Of the true answers; and the highest of any group, which one that is not told is taken for: against ourselves.
FEES = (Fraction(55, 100_000), Fraction(6, 10_000), Fraction(1, 1_000))


def inside(answer: Any) -> Iterator[Any]:
    """Yield everything in an answer, itself first. No recursion: answers may be a thousand lists deep."""
    waiting = [answer]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()


def numbers_in(raws: Iterable[bytes]) -> set[Fraction]:
    """Return every number that answers state, with either sign."""
    found = (oracle.number(one) for raw in raws for one in inside(oracle.parsed(raw)))
    return {signed for one in found if one is not None for signed in (one, -one)}


def _numbers(row: dict[str, Any], *names: str) -> list[Fraction] | None:
    found = [oracle.number(row.get(name)) for name in names]
    return None if any(one is None for one in found) else [one for one in found if one is not None]


def _of_coinm(row: dict[str, Any], _: set[Fraction]) -> Iterator[Fraction]:
    """The margin: isolatedMargin holds the profit as well."""
    found = _numbers(row, "isolatedMargin", "unRealizedProfit")
    if found is not None:
        yield found[0] - found[1]


def _of_bybit(row: dict[str, Any], fees: set[Fraction]) -> Iterator[Fraction]:
    """The margin: positionIM holds the fee to close at the bankruptcy price of the leverage as well (help page)."""
    found = _numbers(row, "size", "avgPrice", "leverage", "positionIM")
    if found is None or found[2] <= 0 or found[1] <= 0:
        return
    size, entry, leverage, initial = found
    for value in (size * entry, size / entry):  # Linear, inverse.
        for toward in (1, -1):
            for taker in fees:
                yield initial - value * (1 - toward / leverage) * taker


def _of_hyperliquid(row: dict[str, Any], _: set[Fraction]) -> Iterator[Fraction]:
    """The mark is value by size; the margin is what would be left if it were closed at its entry price."""
    found = _numbers(row, "szi", "positionValue", "entryPx")
    if found is None or found[0] == 0:
        return
    size, value, entry = found
    yield value / abs(size)
    leverage = row.get("leverage")
    raw_usd = oracle.number(leverage.get("rawUsd")) if isinstance(leverage, dict) else None
    if raw_usd is not None:
        yield raw_usd + size * entry


DERIVED: dict[str, Callable[[dict[str, Any], set[Fraction]], Iterator[Fraction]]] = {
    "binancecoinm": _of_coinm,
    "bybit": _of_bybit,
    "hyperliquid": _of_hyperliquid,
}


def derived_in(exchange: str, raws: Iterable[bytes]) -> list[Fraction]:
    """Return the figures that follow from rows of an exchange by its documents."""
    derive, raws = DERIVED.get(exchange), tuple(raws)
    if derive is None:
        return []
    fees = {*FEES, *(one for one in numbers_in(raws) if 0 <= one < 1)}
    rows = (one for raw in raws for one in inside(oracle.parsed(raw)) if isinstance(one, dict))
    return [figure for row in rows for figure in derive(row, fees)]


def is_near(figure: Fraction, other: Fraction) -> bool:
    return abs(figure - other) <= NEAR * abs(other)


def is_stated(figure: Fraction, stated: set[Fraction], derived: Iterable[Fraction]) -> bool:
    return figure in stated or any(is_near(figure, one) for one in derived)


def is_yes(exchange: str, raw: bytes, status: int, honest: Any, amount: Fraction) -> bool:
    """Say whether an answer to a margin write still proves that it was carried out. `honest`: the true one."""
    answer = oracle.parsed(raw)
    try:
        return 200 <= status < 300 and isinstance(answer, dict | list) and YES[exchange](answer, honest, amount)
    except (KeyError, TypeError, IndexError):
        return False  # The true answer is a refusal, which names nothing.


def _coinm(answer: Any, _: Any, amount: Fraction) -> bool:
    return (
        isinstance(answer, dict)
        and (answer.get("code"), answer.get("type")) == ("200", "1")
        and oracle.number(answer.get("amount")) == amount
    )


def _bybit(answer: Any, honest: Any, _: Fraction) -> bool:
    result = answer.get("result") if isinstance(answer, dict) else None
    return (
        isinstance(result, dict)
        and answer.get("retCode") == "0"
        and result.get("symbol") == honest["result"]["symbol"]
        and (oracle.number(result.get("positionIM")) or 0) > 0
    )


def _okx(answer: Any, honest: Any, amount: Fraction) -> bool:
    rows = answer.get("data") if isinstance(answer, dict) and answer.get("code") == "0" else None
    if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict):
        return False
    true = honest["data"][0]
    return oracle.number(rows[0].get("amt")) == amount and all(
        rows[0].get(name) == true[name] for name in ("instId", "posSide", "type")
    )


def _gate(answer: Any, honest: Any, _: Fraction) -> bool:
    rows = answer if isinstance(answer, list) else [answer]
    true = honest if isinstance(honest, list) else [honest]
    contracts = [row["contract"] for row in true]
    return any(
        isinstance(row, dict) and row.get("contract") in contracts and (oracle.number(row.get("margin")) or 0) > 0
        for row in rows
    )


def _bitget(answer: Any, _: Any, __: Fraction) -> bool:
    return isinstance(answer, dict) and (answer.get("code"), answer.get("data")) == ("00000", "")


def _bitget_uta(answer: Any, _: Any, __: Fraction) -> bool:
    return isinstance(answer, dict) and (answer.get("code"), answer.get("data")) == ("00000", "success")


def _hyperliquid(answer: Any, _: Any, __: Fraction) -> bool:
    response = answer.get("response") if isinstance(answer, dict) and answer.get("status") == "ok" else None
    return isinstance(response, dict) and response.get("type") == "default"


YES: dict[str, Callable[[Any, Any, Fraction], bool]] = {
    "binancecoinm": _coinm,
    "bybit": _bybit,
    "okx": _okx,
    "gate": _gate,
    "bitget": _bitget,
    "bitget-uta": _bitget_uta,
    "hyperliquid": _hyperliquid,
}
