"""Leverage brackets: Binance's for the coins it is known for, a cautious table of our own for every other."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

# Source: Binance USD-M leverage brackets as of 2026-09-29: floor, maintenance rate, initial leverage.
_PUBLISHED: dict[str, tuple[tuple[str, str, int], ...]] = {
    "BTCUSDT": (
        ("0", "0.004", 150), ("300000", "0.005", 100), ("800000", "0.0065", 75), ("3000000", "0.01", 50),
        ("12000000", "0.02", 25), ("70000000", "0.025", 20), ("100000000", "0.05", 10), ("230000000", "0.1", 5),
        ("480000000", "0.125", 4), ("600000000", "0.15", 3), ("800000000", "0.25", 2), ("1200000000", "0.5", 1),
    ),
    "ETHUSDT": (
        ("0", "0.004", 150), ("300000", "0.005", 100), ("800000", "0.0065", 75), ("3000000", "0.01", 50),
        ("12000000", "0.02", 25), ("50000000", "0.025", 20), ("65000000", "0.05", 10), ("150000000", "0.1", 5),
        ("320000000", "0.125", 4), ("400000000", "0.15", 3), ("530000000", "0.25", 2), ("800000000", "0.5", 1),
    ),
    "SOLUSDT": (
        ("0", "0.005", 100), ("50000", "0.0065", 75), ("400000", "0.01", 50), ("1000000", "0.02", 25),
        ("4000000", "0.025", 20), ("8000000", "0.05", 10), ("40000000", "0.1", 5), ("80000000", "0.125", 4),
        ("100000000", "0.25", 2), ("200000000", "0.5", 1),
    ),
    "XRPUSDT": (
        ("0", "0.005", 100), ("40000", "0.006", 75), ("80000", "0.01", 50), ("150000", "0.0125", 40),
        ("400000", "0.02", 25), ("1000000", "0.025", 20), ("2000000", "0.05", 10), ("10000000", "0.1", 5),
        ("20000000", "0.125", 4), ("25000000", "0.25", 2), ("50000000", "0.5", 1),
    ),
    "DOGEUSDT": (
        ("0", "0.0065", 75), ("80000", "0.01", 50), ("150000", "0.0125", 40), ("750000", "0.02", 25),
        ("2000000", "0.025", 20), ("4000000", "0.05", 10), ("20000000", "0.1", 5), ("40000000", "0.125", 4),
        ("50000000", "0.25", 2), ("100000000", "0.5", 1),
    ),
    "FILUSDT": (
        ("0", "0.01", 75), ("20000", "0.015", 50), ("200000", "0.02", 25), ("400000", "0.025", 20),
        ("800000", "0.05", 10), ("3000000", "0.1", 5), ("7500000", "0.125", 4), ("10000000", "0.25", 2),
        ("12500000", "0.5", 1),
    ),
    "ALGOUSDT": (
        ("0", "0.01", 75), ("5000", "0.015", 50), ("10000", "0.02", 25), ("50000", "0.025", 20),
        ("100000", "0.0333", 15), ("175000", "0.05", 10), ("250000", "0.1", 5), ("750000", "0.125", 4),
        ("1500000", "0.1667", 3), ("4500000", "0.25", 2), ("7500000", "0.5", 1),
    ),
    "AVAXUSDT": (
        ("0", "0.005", 75), ("25000", "0.01", 50), ("80000", "0.015", 40), ("160000", "0.02", 25),
        ("800000", "0.025", 20), ("1600000", "0.05", 10), ("8000000", "0.1", 5), ("16000000", "0.125", 4),
        ("20000000", "0.25", 2), ("40000000", "0.5", 1),
    ),
    "NEARUSDT": (
        ("0", "0.01", 75), ("20000", "0.015", 50), ("200000", "0.02", 25), ("1000000", "0.025", 20),
        ("2000000", "0.05", 10), ("10000000", "0.1", 5), ("20000000", "0.125", 4), ("25000000", "0.25", 2),
        ("30000000", "0.5", 1),
    ),
}  # fmt: skip
_OWN = (("0", "0.01", 50), ("10000", "0.015", 33), ("50000", "0.02", 25), ("200000", "0.05", 10), ("1000000", "0.1", 5))
_CAP = Decimal("1e12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """One row. Maintenance margin of a notional in it is notional * rate - cum."""

    floor: Decimal
    cap: Decimal
    rate: Decimal
    cum: Decimal
    leverage: int


def is_own_table(symbol: str) -> bool:
    """Say whether a symbol's table is the demo's own and not the exchange's."""
    return symbol not in _PUBLISHED


def brackets_of(symbol: str) -> tuple[Bracket, ...]:
    """Return a symbol's brackets, ascending, joined without a jump: cum = floor * (rate - rate before) + cum before."""
    rows = _PUBLISHED.get(symbol, _OWN)
    found: list[Bracket] = []
    for index, (floor, rate, leverage) in enumerate(rows):
        cap = Decimal(rows[index + 1][0]) if index + 1 < len(rows) else _CAP
        cum = Decimal(floor) * (Decimal(rate) - found[-1].rate) + found[-1].cum if found else Decimal(0)
        found.append(Bracket(floor=Decimal(floor), cap=cap, rate=Decimal(rate), cum=cum, leverage=leverage))
    return tuple(found)


def bracket_at(brackets: Sequence[Bracket], notional: Decimal) -> Bracket:
    return next(bracket for bracket in reversed(brackets) if notional >= bracket.floor)


def maintenance(brackets: Sequence[Bracket], notional: Decimal) -> Decimal:
    """Return the maintenance margin of a notional, in the quote currency."""
    bracket = bracket_at(brackets, notional)
    return notional * bracket.rate - bracket.cum
