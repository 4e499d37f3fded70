"""What an answer says, read by other code than the guard's: what it may legitimately be taken for, and what not.

It knows JSON and Binance's field names, counts in fractions, and is stricter than it has to be: where it cannot read
something it says None, and then the guard must have noticed.
"""

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
NOES = {
    *(-1003, -1008, -1021, -1022, -1102, -1111, -1121, -2014, -2015, -2018, -2019, -4049, -4050, -4051, -4054, -4055),
    *(-4061, -4168),
}
A_CENT_OF_ALL = Fraction(1, 100)


class _Contradiction(ValueError):
    """A key stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen and seen[key] != value:
            seen[key] = _Contradiction  # Nothing can be read out of it.
        else:
            seen[key] = value
    return seen


def parsed(raw: bytes) -> Any:
    """Return the answer with bare numbers as text; None where it is no JSON."""
    try:
        return json.loads(
            raw, parse_float=str, parse_int=_integer, parse_constant=lambda _: None, object_pairs_hook=_object
        )
    except (ValueError, RecursionError):
        return None


class Whole(str):
    """An integer that stood bare in the JSON."""

    __slots__ = ()


def _integer(text: str) -> Whole:
    return Whole(text)


def number(value: Any) -> Fraction | None:
    if not isinstance(value, str) or len(value) > 60 or NUMBER.fullmatch(value) is None:
        return None
    found = Fraction(value)
    return found if abs(found) < 10**19 else None


def rows_of(answer: Any, symbol: str, position_side: str) -> list[dict[str, Any]]:
    rows = answer if isinstance(answer, list) else []
    return [
        row
        for row in rows
        if isinstance(row, dict) and row.get("symbol") == symbol and row.get("positionSide") == position_side
    ]


def said_distance(positions: Any, account: Any, leg: tuple[str, str], brackets: Any, side: int) -> Fraction | None:
    """Return how far an isolated position is from its end, as the answers say it. None: they say nothing that holds.

    The nearer of the end that follows from the row and the end that the row states; 10 when it has none.
    """
    rows = rows_of(positions, *leg)
    others = rows_of(account.get("positions") if isinstance(account, dict) else None, *leg)
    if len(rows) != 1 or len(others) != 1 or rows[0].get("marginAsset") != "USDT":
        return None
    figures = [
        number(rows[0].get(name)) for name in ("positionAmt", "entryPrice", "markPrice", "isolatedWallet", "notional")
    ]
    theirs = [number(others[0].get(name)) for name in ("positionAmt", "isolatedWallet")]
    if None in figures or None in theirs or not _agree(figures, theirs, side):
        return None
    amount, entry, mark, wallet, _ = figures
    ends = [abs(mark - end) / mark for end in _ends(abs(amount), side, entry, wallet, brackets)]
    balance = wallet + amount * (mark - entry)
    if balance <= _required(abs(amount) * mark, brackets):
        return Fraction(0)
    stated = number(rows[0].get("liquidationPrice"))
    if stated is not None and stated > 0:
        ends.append(max(Fraction(0), side * (mark - stated) / mark))
    return min(ends, default=Fraction(10))


def _agree(figures: list[Any], theirs: list[Any], side: int) -> bool:
    amount, entry, mark, wallet, notional = figures
    their_amount, their_wallet = theirs
    return (
        min(amount * side, entry, mark) > 0
        and their_amount == amount
        and abs(wallet - their_wallet) <= A_CENT_OF_ALL * max(abs(wallet), abs(their_wallet))
        and abs(notional - amount * mark) <= A_CENT_OF_ALL * abs(amount * mark)
    )


def _tiers(brackets: Any) -> list[tuple[Fraction, Fraction | None, Fraction, Fraction]]:
    rows = sorted(brackets, key=lambda row: Fraction(str(row["notionalFloor"])))
    floors = [Fraction(str(row["notionalFloor"])) for row in rows]
    return [
        (floor, cap, Fraction(str(row["maintMarginRatio"])), Fraction(str(row["cum"])))
        for row, floor, cap in zip(rows, floors, [*floors[1:], None], strict=True)
    ]


def _required(notional: Fraction, brackets: Any) -> Fraction:
    tiers = [tier for tier in _tiers(brackets) if notional >= tier[0]]
    return notional * tiers[-1][2] - tiers[-1][3]


def _ends(size: Fraction, side: int, entry: Fraction, wallet: Fraction, brackets: Any) -> Iterator[Fraction]:
    """Yield the prices at which wallet and profit fall to what is required."""
    for floor, cap, rate, deducted in _tiers(brackets):
        slope = side * size - rate * size
        if slope == 0:
            continue
        price = (side * size * entry - wallet - deducted) / slope
        if price > 0 and floor <= size * price and (cap is None or size * price <= cap):
            yield price


def is_proof_of_a_yes(raw: bytes, status: int, amount: Fraction) -> bool:
    """Say whether an answer to a margin addition is positive evidence that exactly this amount moved."""
    answer = parsed(raw)
    return (
        200 <= status < 300
        and isinstance(answer, dict)
        and isinstance(answer.get("code"), Whole)
        and answer["code"] == "200"
        and isinstance(answer.get("type"), Whole)
        and answer["type"] == "1"
        and number(answer.get("amount")) == amount
    )


def may_be_a_no(raw: bytes, status: int) -> bool:
    """Say whether an answer is one of the documented clear noes."""
    if status in {418, 429}:
        return True
    answer = parsed(raw)
    code = answer.get("code") if isinstance(answer, dict) else None
    if not isinstance(code, str) or not re.fullmatch(r"-\d{1,8}", code, re.ASCII):
        return False
    return int(code) in NOES and (status < 500 or int(code) == -1008)


def entries_of(raw: bytes) -> list[dict[str, Any]] | None:
    """Return the rows of a history answer; None where one of them cannot be read."""
    answer = parsed(raw)
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        return None
    names = ("symbol", "deltaType", "asset", "positionSide")
    for row in answer:
        if not all(isinstance(row.get(name), str) and row[name] for name in names) or row.get("type") not in {"1", "2"}:
            return None
        if number(row.get("amount")) is None or number(row.get("time")) is None:
            return None
    return answer


def is_effect(row: dict[str, Any], symbol: str, side: str, amount: Fraction, span_ms: tuple[int, int]) -> bool:
    """Say whether a row of the history is the effect of a request for this amount in this span of time."""
    at = number(row.get("time"))
    return (
        row.get("symbol") == symbol
        and row.get("type") == "1"
        and isinstance(row.get("type"), Whole)
        and row.get("deltaType") == "USER_ADJUST"
        and row.get("asset") == "USDT"
        and row.get("positionSide") in {"BOTH", side}
        and number(row.get("amount")) in {amount, -amount}
        and at is not None
        and span_ms[0] <= at <= span_ms[1]
    )
