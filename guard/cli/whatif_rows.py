"""The rows of `guard whatif --json`: the keys of `status --json` where the figure is the same (design 4.2)."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from guard.cli.books import gap_rows
from guard.cli.compare_rows import pool_row
from guard.cli.whatif_texts import notes, refusal_text, shift_text
from guard.margin import PositionFigures, decimal_text, position_fields
from guard.margin.books import Book, Order, Outcome, PoolState, RefusalKind, shifts
from guard.snapshot import MarginMode, PositionKey, Purse

Rows = dict[str, object]


def outcome_rows(order: Order, outcome: Outcome, book: Book) -> Rows:
    """Return the answer about one account. `after` is null everywhere where the order cannot be told."""
    refusal = outcome.refusal
    unknown = refusal is not None and refusal.kind is RefusalKind.NOT_MODELLED
    return {
        "order": _order_row(order, outcome),
        "possible": None if unknown else refusal is None,
        "reason": None if refusal is None else refusal_text(refusal, order),
        "pools": [_pool_pair(name, pair, outcome) for name, pair in pool_pairs(outcome)],
        "positions": [_position_pair(key, pair) for (key, _), pair in position_pairs(outcome)],
        "others": [shift_text(shift) for shift in shifts(outcome, order)],
        "notes": list(notes(order, outcome)),
        "gaps": gap_rows(book),
    }


def pool_pairs(outcome: Outcome) -> list[tuple[str, tuple[PoolState | None, PoolState | None]]]:
    """Return each pool before and after, by name. None: it is not there then."""
    before = {state.figures.name: state for state in outcome.before}
    after = {state.figures.name: state for state in outcome.after or ()}
    return [(name, (before.get(name), after.get(name))) for name in {**before, **after}]


Pair = tuple[PositionFigures | None, PositionFigures | None]


def position_pairs(outcome: Outcome) -> Iterator[tuple[tuple[PositionKey, MarginMode], Pair]]:
    """Yield each position before and after. None: it is not there then."""
    before, after = _positions(outcome.before), _positions(outcome.after or ())
    for key in {**before, **after}:
        yield key, (before.get(key), after.get(key))


def _positions(states: Sequence[PoolState]) -> dict[tuple[PositionKey, MarginMode], PositionFigures]:
    rows = (row for state in states for row in state.positions)
    return {(row.key, row.position.margin_mode): row for row in rows}


def _order_row(order: Order, outcome: Outcome) -> Rows:
    terms = outcome.terms
    return {
        "symbol": order.symbol,
        "side": order.side.word,
        "margin_mode": terms.margin_mode.value,
        "currency": terms.market.contract.settle,
        "quantity": decimal_text(terms.quantity),
        "contract_size": decimal_text(terms.market.contract.contract_size),
        "price": decimal_text(terms.price),
        "mark_price": decimal_text(terms.market.mark_price),
        "notional": decimal_text(terms.notional),
        "leverage": decimal_text(terms.leverage),
        "effect": terms.effect.value,
        "margin": decimal_text(outcome.margin),
        "margin_released": decimal_text(outcome.released),
        "realized_pnl": decimal_text(outcome.realized),
    }


def _pool_pair(name: str, pair: tuple[PoolState | None, PoolState | None], outcome: Outcome) -> Rows:
    known = next(state for state in pair if state is not None)
    before, after = pair
    purse = outcome.terms.market.contract.purse
    return {
        "pool": name,
        "currency": known.figures.currency,
        "margin_mode": known.book_pool.pool.margin_mode.value,
        "before": None if before is None else pool_row(before, _available(purse, outcome.available_before)),
        "after": None if after is None else pool_row(after, _available(purse, outcome.available_after)),
    }


def _available(purse: Purse, amount: Decimal | None) -> dict[Purse, Decimal]:
    return {} if amount is None else {purse: amount}


def _position_pair(key: PositionKey, pair: Pair) -> Rows:
    before, after = pair
    return {
        "symbol": key.symbol,
        "side": key.side.word,
        "before": None if before is None else position_fields(before),
        "after": None if after is None else position_fields(after),
    }
