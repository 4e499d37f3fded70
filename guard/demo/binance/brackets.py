"""Leverage brackets: public tables of five coins, and a cautious one of the demo's own for every other symbol.

Only floors, rates and leverages stand here; the maintenance amount ("cum") follows from them, so that the requirement
does not jump at a floor. Source: GET /fapi/v1/leverageBracket as published for ordinary users, tables of 2026-09.
"""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """One row of a table. Money is in the settle currency."""

    floor: Decimal  # A notional equal to the floor belongs to this bracket.
    cap: Decimal
    rate: Decimal  # Maintenance margin as a fraction of the notional.
    amount: Decimal  # Deducted from rate * notional; Binance's "cum".
    leverage_max: int


Brackets = tuple[Bracket, ...]


def maintenance_margin(brackets: Brackets, notional: Decimal) -> Decimal:
    """Return what a notional (positive, at the mark price) must be covered by. The last bracket goes on."""
    bracket = next((one for one in reversed(brackets) if notional >= one.floor), brackets[0])
    return notional * bracket.rate - bracket.amount


def brackets_of(symbol: str) -> Brackets:
    """Return the table of a symbol; the demo's own where `is_own_table`."""
    return _TABLES.get(symbol, _OWN)


def is_own_table(symbol: str) -> bool:
    """Say whether a symbol's table was made up by the demo, more cautious than a real one would be."""
    return symbol not in _TABLES


def notional_max(symbol: str, leverage: int) -> Decimal:
    """Return the largest notional that this leverage is allowed for."""
    allowed = [bracket.cap for bracket in brackets_of(symbol) if bracket.leverage_max >= leverage]
    return allowed[-1] if allowed else Decimal(0)


def _table(*rows: tuple[int, str, int], cap: int) -> Brackets:
    """Build a table of (floor, rate, leverage_max). amount_n = floor_n * (rate_n - rate_n-1) + amount_n-1."""
    amounts = [Decimal(0)]
    for (_, lower, _), (floor, rate, _) in pairwise(rows):
        amounts.append(floor * (Decimal(rate) - Decimal(lower)) + amounts[-1])
    caps = [row[0] for row in rows[1:]] + [cap]
    return tuple(
        Bracket(floor=Decimal(floor), cap=Decimal(top), rate=Decimal(rate), amount=amount, leverage_max=leverage)
        for (floor, rate, leverage), top, amount in zip(rows, caps, amounts, strict=True)
    )


_TABLES: dict[str, Brackets] = {
    "BTCUSDT": _table(
        (0, "0.004", 150),
        (300_000, "0.005", 100),
        (800_000, "0.0065", 75),
        (3_000_000, "0.01", 50),
        (12_000_000, "0.02", 25),
        (70_000_000, "0.025", 20),
        (100_000_000, "0.05", 10),
        (230_000_000, "0.1", 5),
        (480_000_000, "0.125", 4),
        (600_000_000, "0.15", 3),
        (800_000_000, "0.25", 2),
        (1_200_000_000, "0.5", 1),
        cap=1_800_000_000,
    ),
    "ETHUSDT": _table(
        (0, "0.004", 150),
        (300_000, "0.005", 100),
        (800_000, "0.0065", 75),
        (3_000_000, "0.01", 50),
        (12_000_000, "0.02", 25),
        (50_000_000, "0.025", 20),
        (65_000_000, "0.05", 10),
        (150_000_000, "0.1", 5),
        (320_000_000, "0.125", 4),
        (400_000_000, "0.15", 3),
        (530_000_000, "0.25", 2),
        (800_000_000, "0.5", 1),
        cap=1_200_000_000,
    ),
    "SOLUSDT": _table(
        (0, "0.005", 100),
        (50_000, "0.0065", 75),
        (400_000, "0.01", 50),
        (1_000_000, "0.02", 25),
        (4_000_000, "0.025", 20),
        (8_000_000, "0.05", 10),
        (40_000_000, "0.1", 5),
        (80_000_000, "0.125", 4),
        (100_000_000, "0.25", 2),
        (200_000_000, "0.5", 1),
        cap=400_000_000,
    ),
    "XRPUSDT": _table(
        (0, "0.005", 100),
        (40_000, "0.006", 75),
        (80_000, "0.01", 50),
        (150_000, "0.0125", 40),
        (400_000, "0.02", 25),
        (1_000_000, "0.025", 20),
        (2_000_000, "0.05", 10),
        (10_000_000, "0.1", 5),
        (20_000_000, "0.125", 4),
        (25_000_000, "0.25", 2),
        (50_000_000, "0.5", 1),
        cap=100_000_000,
    ),
    "DOGEUSDT": _table(
        (0, "0.0065", 75),
        (80_000, "0.01", 50),
        (150_000, "0.0125", 40),
        (750_000, "0.02", 25),
        (2_000_000, "0.025", 20),
        (4_000_000, "0.05", 10),
        (20_000_000, "0.1", 5),
        (40_000_000, "0.125", 4),
        (50_000_000, "0.25", 2),
        (100_000_000, "0.5", 1),
        cap=200_000_000,
    ),
}
_OWN = _table(
    (0, "0.015", 25),
    (10_000, "0.025", 20),
    (50_000, "0.05", 10),
    (250_000, "0.1", 5),
    (1_000_000, "0.125", 4),
    (2_000_000, "0.25", 2),
    (5_000_000, "0.5", 1),
    cap=10_000_000,
)
