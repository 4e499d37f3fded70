"""`guard compare`: every position and the whole account under isolated and under cross margin."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from guard.cli.books import gap_rows, live_document, read_books, settings_for
from guard.cli.compare_rows import comparison_rows
from guard.cli.compare_texts import advice, aims, assumptions, first_to_end, money
from guard.cli.screen import Screen
from guard.cli.tables import NOT_KNOWN, UNSEEN
from guard.cli.usage import refuse_usage
from guard.config.account_file import read_account_file
from guard.margin.books import Book, Comparison, Stand, Variant, compare
from guard.notify import wording
from guard.policy.phrases import short_name
from guard.snapshot import MarginMode, Purse

FAR = 11  # As shocks are searched up to +1,000 %: what lies beyond that, behind a nearer end, is only in the JSON.
VARIANT_NAMES = {"as_is": "as it is", "isolated": "all isolated", "cross": "all cross"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One account, compared."""

    title: str | None  # The account's name. None: a file has none.
    exchange: str | None
    book: Book
    comparison: Comparison
    available: Mapping[Purse, Decimal]

    def rows(self) -> dict[str, object]:
        """Return the account's part of the JSON document."""
        named = {} if self.title is None else {"account": self.title, "exchange": self.exchange}
        said = {
            "advice": list(aims(self.comparison)),
            "assumptions": list(assumptions(self.comparison)),
            "gaps": gap_rows(self.book),
        }
        return named | comparison_rows(self.comparison, self.available) | said

    def advice(self, index: int) -> str:
        """Return what the choice means for one position."""
        variants = self.comparison
        said = advice(variants.holdings[index], variants.isolated.stands[index], variants.cross.stands[index])
        return f"{short_name(variants.holdings[index].key)}: {said}"


def run_compare(file: Path | None, config: Path | None, *, account: str | None, as_json: bool) -> None:
    """Print the comparison. Raises ConfigError, VenueUnavailable or KeysRefused."""
    if file is not None:
        if config is not None or account is not None:
            refuse_usage("compare FILE asks no exchange: it goes with neither --config nor --account")
        written = read_account_file(file)
        answers = [_answer(one.book) for one in written.accounts]
        rows = [answer.rows() for answer in answers]
        document: object = rows if written.is_list else rows[0]
    else:
        live = asyncio.run(read_books(settings_for(config, account)))
        answers = [_answer(one.book, one.account, one.exchange, one.available) for one in live]
        document = live_document([answer.rows() for answer in answers])
    if as_json:
        print(json.dumps(document, indent=2))
        return
    console = Screen()
    for answer in answers:
        for part in _parts(answer):
            console.print(part)


def _answer(
    book: Book, title: str | None = None, exchange: str | None = None, available: Mapping[Purse, Decimal] | None = None
) -> Answer:
    return Answer(title=title, exchange=exchange, book=book, comparison=compare(book), available=available or {})


# For people ----------------------------------------------------------------------------------------------------------


def _parts(answer: Answer) -> Iterator[Table | Text | Padding]:
    if answer.title is not None:
        yield Text.assemble((answer.title, "bold"), (f"  {answer.exchange}", "dim"))
    comparison = answer.comparison
    if comparison.holdings:
        yield _positions(comparison)
        yield Text("")
        yield _accounts(comparison)
        yield Text("")
        yield from (_line(text) for text in aims(comparison))
        yield from (_line(answer.advice(index)) for index in _worst_first(comparison))
        yield from (_line(f"Assumed: {text}", "dim") for text in assumptions(comparison))
    elif not answer.book.gaps:
        yield _line("no open positions", "dim")
    yield from (_line(f"not seen: {gap.subject}: {gap.reason}", UNSEEN) for gap in answer.book.gaps)
    yield Text("")


def _line(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 2), expand=False)


def _worst_first(comparison: Comparison) -> Sequence[int]:
    def badness(index: int) -> Decimal:
        figures = comparison.as_is.stands[index].figures
        return Decimal("Infinity") if figures is None or figures.distance is None else figures.distance

    return sorted(range(len(comparison.holdings)), key=badness)


def _positions(comparison: Comparison) -> Table:
    currencies = set(comparison.as_is.at_risk()) | set(comparison.cross.at_risk())
    only = currencies.pop() if len(currencies) == 1 else None
    table = _table(
        "position", "margin", "liquidation", "distance", "bankruptcy", f"at risk, {only}" if only else "at risk"
    )
    for index in _worst_first(comparison):
        name = short_name(comparison.holdings[index].key)
        for mode, stand in _modes(comparison, index):
            *cells, at_risk = _stand_cells(stand)
            table.add_row(name, mode, *cells, at_risk.removesuffix(f" {only}"))
            name = ""
    return table


def _modes(comparison: Comparison, index: int) -> Iterator[tuple[str, Stand]]:
    """Yield a position as it is, and in the modes that would change anything for it."""
    mode = comparison.holdings[index].position.margin_mode
    yield f"{mode.value} now", comparison.as_is.stands[index]
    if mode is MarginMode.CROSS:
        yield "isolated", comparison.isolated.stands[index]
    if mode is MarginMode.ISOLATED or _others_join(comparison):
        yield "all cross" if mode is MarginMode.CROSS else "cross", comparison.cross.stands[index]


def _others_join(comparison: Comparison) -> bool:
    return any(holding.position.margin_mode is MarginMode.ISOLATED for holding in comparison.holdings)


def _stand_cells(stand: Stand) -> tuple[str, ...]:
    if stand.figures is None or stand.state is None:
        return ("unknown", NOT_KNOWN, NOT_KNOWN, NOT_KNOWN)
    figures, mark = stand.figures, stand.figures.position.mark_price
    sides = (figures.crossings.down, figures.crossings.up)
    near = [
        price
        for price in sides
        if price is not None and (price == figures.crossings.nearest.price or price <= FAR * mark)
    ]
    ends = [wording.liquidation_price(price, mark=mark) for price in near]
    bankrupt = figures.bankruptcy_price
    return (
        " / ".join(ends) or figures.crossings.nearest.kind.value,
        NOT_KNOWN if figures.distance is None else wording.distance(figures.distance),
        NOT_KNOWN if bankrupt is None else wording.liquidation_price(bankrupt, mark=mark),
        wording.required(stand.state.capital_at_risk, stand.state.figures.currency),
    )


def _accounts(comparison: Comparison) -> Table:
    table = _table("account", "at risk", "free", "first to end", "distance")
    for key, name in VARIANT_NAMES.items():
        variant: Variant = getattr(comparison, key)
        table.add_row(name, *_account_cells(variant))
    return table


def _account_cells(variant: Variant) -> tuple[str, ...]:
    if not variant.is_whole:
        return ("unknown", NOT_KNOWN, NOT_KNOWN, NOT_KNOWN)
    first = first_to_end(variant)
    ending = "none" if first is None else ", ".join(short_name(key) for key in first.figures.falls_together)
    distance = None if first is None else first.figures.distance
    return (
        money(variant.at_risk()),
        money({currency: amount for currency, amount in variant.free().items() if amount}),
        ending,
        NOT_KNOWN if distance is None else wording.distance(distance),
    )


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        left = name in {"position", "margin", "account", "first to end"}
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    return table
