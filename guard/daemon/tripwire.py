"""The mark prices at which the next rung or trigger is reached, so that a streamed mark costs one comparison.

The liquidation price of an isolated position stands still while only the mark moves, so its lines do too. A cross
pool's lines hold the other coins still; the cycle, which this only calls earlier, looks at all of them together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from guard.policy.decision import Decision, PositionVerdict
from guard.policy.terms import Ladder
from guard.snapshot import LiquidationKind, Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The nearest lines of one symbol: reached when the mark is at or beyond one. None: no line on that side."""

    below: Decimal | None
    above: Decimal | None

    def is_reached(self, price: Decimal) -> bool:
        return (self.below is not None and price <= self.below) or (self.above is not None and price >= self.above)


def lines_of(decision: Decision, ladder: Ladder) -> Mapping[str, Lines]:
    """Return the lines of each symbol that its positions have not reached yet. `ladder` is for what no rule matches."""
    below: dict[str, Decimal] = {}
    above: dict[str, Decimal] = {}
    for verdict in decision.positions:
        symbol = verdict.key.symbol
        for price in _prices(verdict, ladder):
            if price < verdict.figures.position.mark_price:
                below[symbol] = max(price, below.get(symbol, price))
            else:
                above[symbol] = min(price, above.get(symbol, price))
    return {symbol: Lines(below=below.get(symbol), above=above.get(symbol)) for symbol in below.keys() | above.keys()}


def is_reached(lines: Mapping[str, Lines], mark: Mark) -> bool:
    symbol_lines = lines.get(mark.symbol)
    return symbol_lines is not None and symbol_lines.is_reached(mark.price)


def _prices(verdict: PositionVerdict, ladder: Ladder) -> Iterable[Decimal]:
    """Yield the mark prices at which a not yet reached distance is reached."""
    now = verdict.figures.distance
    if now is None:
        return
    distances = [rung.distance for rung in (verdict.rule.ladder if verdict.rule else ladder).rungs]
    if verdict.trigger is not None:
        distances.append(verdict.trigger)
    for liquidation in _liquidation_prices(verdict):
        is_below = liquidation < verdict.figures.position.mark_price
        for distance in distances:
            if distance < now:
                yield liquidation / (1 - distance) if is_below else liquidation / (1 + distance)


def _liquidation_prices(verdict: PositionVerdict) -> Iterable[Decimal]:
    crossings = verdict.figures.crossings
    for price in (crossings.down, crossings.up):
        if price is not None:
            yield price
    theirs = verdict.figures.position.exchange_liquidation
    if theirs.kind is LiquidationKind.AT and theirs.price is not None:
        yield theirs.price
