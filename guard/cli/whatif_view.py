"""The answer of `guard whatif` for people: every pool before and after, side by side."""

from collections.abc import Iterator

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from guard.cli.tables import NOT_KNOWN, UNSEEN
from guard.cli.whatif_rows import pool_pairs
from guard.cli.whatif_texts import notes, refusal_text, shift_text, understood
from guard.margin import PositionFigures
from guard.margin.books import Book, Order, Outcome, PoolState, shifts
from guard.notify import wording
from guard.policy.phrases import short_name
from guard.snapshot import LiquidationKind

Part = Table | Text | Padding
Lines = dict[str, str]


def outcome_parts(order: Order, outcome: Outcome, book: Book, *, title: str | None) -> Iterator[Part]:
    if title is not None:
        yield Text(title, style="bold")
    yield _line(understood(order, outcome))
    if outcome.refusal is not None:
        yield _line(f"No answer: {refusal_text(outcome.refusal, order)}.", "bold yellow")
    yield Text("")
    yield _table(outcome)
    yield Text("")
    yield from (_line(shift_text(shift)) for shift in shifts(outcome, order))
    yield from (_line(text, "dim") for text in notes(order, outcome))
    yield from (_line(f"not seen: {gap.subject}: {gap.reason}", UNSEEN) for gap in book.gaps)


def _line(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 2), expand=False)


def _table(outcome: Outcome) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("pool", "before", "after"):
        table.add_column(name, justify="left" if name == "pool" else "right", overflow="fold")
    for name, (before, after) in pool_pairs(outcome):
        known = before or after
        assert known is not None, "a pool stands on one side at least"
        table.add_row(Text(_pool_name(known, name), style="bold"), *_presence(before, after, outcome))
        if before is not None and after is not None and before.book_pool == after.book_pool:
            continue
        was = {} if before is None else _lines(before, outcome, is_after=False)
        will = {} if after is None else _lines(after, outcome, is_after=True)
        for label in {**was, **will}:
            table.add_row(f"  {label}", was.get(label, ""), will.get(label, ""))
    return table


def _pool_name(state: PoolState, name: str) -> str:
    return f"{short_name(state.positions[0].key)} isolated" if state.book_pool.is_isolated else name


def _presence(before: PoolState | None, after: PoolState | None, outcome: Outcome) -> tuple[str, str]:
    if before is None:
        return "", "new"
    if after is None:
        return "", "" if outcome.after is None else "gone"
    if before.book_pool == after.book_pool:
        return (_end(before.positions[0]) if before.positions else ""), "unchanged"
    return "", ""


def _lines(state: PoolState, outcome: Outcome, *, is_after: bool) -> Lines:
    figures = state.figures
    lines: Lines = {}
    if state.book_pool.is_isolated:
        lines["liquidation"] = _end(state.positions[0])
        lines["margin"] = wording.free(state.margin, figures.currency)
    elif state.positions:
        lines |= {short_name(row.key): _end(row) for row in state.positions}
        lines["all prices together"] = _shocks(state)
    if figures.margin_balance is not None:
        lines["balance"] = wording.free(figures.margin_balance, figures.currency)
    if state.positions:
        lines["ratio"] = NOT_KNOWN if figures.margin_ratio is None else wording.share(figures.margin_ratio)
    available = outcome.available_after if is_after else outcome.available_before
    is_wallet = not state.book_pool.is_isolated and figures.purse == outcome.terms.market.contract.purse
    if is_wallet and available is not None:
        lines["available"] = wording.free(available, figures.currency)
    return lines


def _end(row: PositionFigures) -> str:
    ending = row.crossings.nearest
    if ending.price is None or row.distance is None:
        return {LiquidationKind.PAST: "past liquidation", LiquidationKind.NONE: "no price"}.get(ending.kind, "unknown")
    price = wording.liquidation_price(ending.price, mark=row.position.mark_price)
    return f"{price}, {wording.distance(row.distance)} away"


def _shocks(state: PoolState) -> str:
    moves = (state.figures.shock_down, state.figures.shock_up)
    return " / ".join(wording.signed_move(move) for move in moves if move is not None) or "no move"
