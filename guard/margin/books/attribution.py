"""Why a position's liquidation moved between two readings: part by part, and the parts sum to the whole.

The pool before is turned into the pool after, one cause at a time and in the order of `Cause`; each part is what the
liquidation price did at its step. Another order would share a change that has two causes at once differently, so the
order is fixed and stated: what others did comes first, what the trader did next, and the market last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from guard.margin.added_margin import distance_of, with_margin
from guard.margin.arithmetic import ZERO, exact
from guard.margin.liquidation import crossings
from guard.margin.pool import Leg, MarginPool
from guard.snapshot import Collateral, Liquidation, PositionKey


class Cause(StrEnum):
    """In the order in which a change is attributed."""

    OTHER_POSITIONS = "other positions"  # Of a cross pool: their sizes, entries and marks; opened and closed ones.
    COLLATERAL = "collateral"  # Other assets of the wallet, their prices and haircuts, open orders.
    TIERS = "tier table"  # Brackets and the exchange's rule.
    MARGIN = "margin moved by guard"
    # What else the wallet did: two looks alone do not tell a fee from margin that its owner moved.
    FUNDING_AND_FEES = "funding, fees, realized, or by hand"
    SIZE = "size"  # Quantity and entry price, with the margin that came or went with them.
    MARK = "mark price"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A position in its pool at one moment."""

    leg: Leg
    pool: MarginPool

    @property
    def key(self) -> PositionKey:
        return PositionKey(self.leg.contract.symbol, self.leg.side)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one cause did. The changes are None where there is no price, or no distance, on one of both sides."""

    cause: Cause
    before: Liquidation
    after: Liquidation
    price_change: Decimal | None  # Of the liquidation price, quote per base.
    distance_change: Decimal | None  # Of |mark - liquidation| / mark.


@exact
def attribute(before: Look, after: Look, *, margin_moved: Decimal = ZERO, funding: Decimal | None = None) -> list[Part]:
    """Return what each cause did to the liquidation price, in the order of `Cause`; also those that did nothing.

    `margin_moved`: what guard added to the position or the wallet (negative: taken) in between, in the pool's currency.
    `funding`: what else moved the same wallet: funding, fees, realized profit, margin moved by hand; None: all of its
    change that guard did not make, unless the size changed too, for then a part of the margin came or went with it.
    """
    assert before.key == after.key
    parts, last = [], before
    for cause, look in _steps(before, after, margin_moved, funding):
        parts.append(_part(cause, last, look))
        last = look
    return parts


def _part(cause: Cause, before: Look, after: Look) -> Part:
    first, second = crossings(before.pool, before.leg), crossings(after.pool, after.leg)
    old, new = (distance_of(found, look.leg.mark_price) for found, look in ((first, before), (second, after)))
    prices = first.nearest.price, second.nearest.price
    return Part(
        cause=cause,
        before=first.nearest,
        after=second.nearest,
        price_change=None if prices[0] is None or prices[1] is None else prices[1] - prices[0],
        distance_change=None if old is None or new is None else new - old,
    )


def _steps(before: Look, after: Look, moved: Decimal, funding: Decimal | None) -> Iterator[tuple[Cause, Look]]:
    """Yield the pool after each cause, from the one before to the one after."""
    own, others = before.leg, [leg for leg in after.pool.legs if leg != after.leg]
    pool = replace(
        before.pool,
        legs=(own, *others),
        other_maintenance_margin=after.pool.other_maintenance_margin,
        other_unrealized_pnl=after.pool.other_unrealized_pnl,
    )
    yield Cause.OTHER_POSITIONS, Look(leg=own, pool=pool)
    currency, balance = before.pool.currency, _own_balance(before.pool)
    pool = replace(
        pool,
        collateral=_with_balance(after.pool.collateral, currency, balance),
        haircut_basis=after.pool.haircut_basis,
        order_margin=after.pool.order_margin,
    )
    yield Cause.COLLATERAL, Look(leg=own, pool=pool)
    own = replace(own, tiers=after.leg.tiers, rule=after.leg.rule)
    pool = replace(pool, legs=(own, *others))
    yield Cause.TIERS, Look(leg=own, pool=pool)
    pool = with_margin(pool, moved)
    yield Cause.MARGIN, Look(leg=own, pool=pool)
    is_resized = before.leg.quantity != after.leg.quantity
    rest = _own_balance(after.pool) - balance - moved
    paid = funding if funding is not None else (ZERO if is_resized else rest)
    pool = replace(with_margin(pool, paid), funding_due=after.pool.funding_due)
    yield Cause.FUNDING_AND_FEES, Look(leg=own, pool=pool)
    own = replace(own, quantity=after.leg.quantity, entry_price=after.leg.entry_price)
    pool = replace(with_margin(pool, rest - paid), legs=(own, *others))
    yield Cause.SIZE, Look(leg=own, pool=pool)
    yield Cause.MARK, after


def _own_balance(pool: MarginPool) -> Decimal:
    return sum((row.wallet_balance for row in pool.collateral if row.asset == pool.currency), ZERO)


def _with_balance(rows: Sequence[Collateral], currency: str, balance: Decimal) -> tuple[Collateral, ...]:
    return tuple(replace(row, wallet_balance=balance) if row.asset == currency else row for row in rows)
