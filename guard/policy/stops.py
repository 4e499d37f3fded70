"""The user's own stops beside the liquidation price: one that lies behind it will never be reached."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from guard.margin.figures import PositionFigures
from guard.policy.phrases import percent
from guard.snapshot import LiquidationKind, PositionKey, Side, StopOrder

Stops = Mapping[PositionKey, tuple[StopOrder, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedStop:
    """A stop of which it is known where it stands."""

    trigger_price: Decimal
    trigger_by: str  # See StopOrder.
    leaves: Decimal = Decimal(0)  # Fraction of the position that neither it nor any other stop closes.


def of_its_mode(figures: PositionFigures, stops: Iterable[StopOrder]) -> tuple[StopOrder, ...]:
    """Return the stops without those of the other margin mode, which do nothing to this position."""
    return tuple(one for one in stops if one.margin_mode in {None, figures.position.margin_mode})


def stop_that_counts(figures: PositionFigures, stops: Sequence[StopOrder]) -> PricedStop | None:
    """Return the stop that a falling position meets first. None: none is known to stand between it and its end.

    Where the first ones close a part only, and one for the rest lies behind liquidation, that one counts.
    """
    side, mark = figures.position.side, figures.position.mark_price
    priced = [
        (PricedStop(trigger_price=one.trigger_price, trigger_by=one.trigger_by), one.quantity)
        for one in stops
        if one.trigger_price is not None and (mark - one.trigger_price) * side > 0
    ]
    against = sorted(priced, key=lambda one: (mark - one[0].trigger_price) * side)
    left = figures.position.quantity  # Contracts that no stop before it closes.
    for stop, quantity in against:
        if left > 0 and behind_liquidation(stop, figures) is not None:
            return stop
        left = Decimal(0) if quantity is None else left - quantity
    if not against:
        return None
    # Nobody knows where one that trails stands: it may stop the rest in time.
    trails = any(one.trigger_price is None for one in stops)
    leaves = Decimal(0) if trails or left <= 0 else left / figures.position.quantity
    return replace(against[0][0], leaves=leaves)


def of_a_part_only(stop: PricedStop) -> str | None:
    """Return that a part of the position has no stop at all. None: each has one, or may have one."""
    if not stop.leaves:
        return None
    return f"the stops close {percent(1 - stop.leaves)} of the position only, nothing stops the rest"


def unpriced(stops: Iterable[StopOrder]) -> str | None:
    """Return that a stop trails the price and nobody says where it stands. None: there is no such stop."""
    if all(stop.trigger_price is not None for stop in stops):
        return None
    return "a trailing stop is there, at a price that the exchange does not state"


def behind_liquidation(stop: PricedStop, figures: PositionFigures) -> str | None:
    """Return why a stop will not help: it lies at or behind the nearer liquidation price. None: it comes first.

    Also None where no liquidation price is known: nothing can be said then.
    """
    side = figures.position.side
    end = _nearer_price(figures)
    if end is None or (stop.trigger_price - end) * side > 0:
        return None
    word = "below" if side is Side.LONG else "above"
    apart = abs(stop.trigger_price - end) / end
    return (
        f"the stop at {stop.trigger_price:f} lies {percent(apart)} {word} the liquidation price {end:f}: "
        "liquidation comes first"
        if apart
        else f"the stop lies at the liquidation price {end:f}: liquidation may come first"
    )


def _nearer_price(figures: PositionFigures) -> Decimal | None:
    side = figures.position.side
    answers = (figures.liquidation, figures.position.exchange_liquidation)
    prices = [one.price for one in answers if one.kind is LiquidationKind.AT and one.price is not None]
    return max(prices, key=lambda price: price * side, default=None)
