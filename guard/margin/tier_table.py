"""An exchange's leverage brackets, made ready for the solver once, when they are read."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from guard.margin.arithmetic import ZERO, exact, finished
from guard.snapshot import RiskTier


class TierLine(NamedTuple):
    """From a notional of `floor` on, maintenance margin = notional x rate - amount. Money is in the settle currency."""

    floor: Decimal
    rate: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True, eq=False)
class TierTable:
    """The rows of a table, ascending from a floor of zero, and the straight lines that follow from them.

    The last tier goes on without end. Maintenance margin is never negative: a table that states only its tier in
    force, amount included, would go below zero far from it.
    """

    rows: tuple[RiskTier, ...]
    lines: tuple[TierLine, ...]
    floors: tuple[Decimal, ...]  # Of the lines.
    is_convex: bool  # No jump, and no rate below the one before: the excess of a pool over it is concave.

    @staticmethod
    @exact
    def of(rows: Iterable[RiskTier]) -> "TierTable":
        """Return the table of these rows. Their order and joints are the reader's business."""
        rows = tuple(rows)
        lines = tuple(_lines(rows))
        return TierTable(
            rows=rows,
            lines=lines,
            floors=tuple(line.floor for line in lines),
            is_convex=all(before.rate <= line.rate and _join(before, line) for before, line in pairwise(lines)),
        )

    def index_at(self, value: Decimal) -> int:
        """Return the line of a notional: one equal to a floor belongs to the tier above."""
        return max(0, bisect_right(self.floors, value) - 1)


def _join(before: TierLine, line: TierLine) -> bool:
    """Say whether the requirement does not jump at a floor; one that is a rounded quotient joins up to its rounding."""
    return finished(line.amount - before.amount) == finished((line.rate - before.rate) * line.floor)


def _lines(rows: tuple[RiskTier, ...]) -> Iterable[TierLine]:
    for index, tier in enumerate(rows):
        floor = tier.notional_floor if index else ZERO
        rate, amount = tier.maintenance_margin_rate, tier.maintenance_amount or ZERO
        if amount <= floor * rate:
            yield TierLine(floor, rate, amount)
            continue
        yield TierLine(floor, ZERO, ZERO)
        positive_from = amount / rate if rate else None
        is_last = index + 1 == len(rows)
        if positive_from is not None and (is_last or positive_from < rows[index + 1].notional_floor):
            yield TierLine(positive_from, rate, amount)
