"""The picture of `guard stress --plot`: every pool's margin ratio over the moves of the whole market."""

import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from guard.cli.plot import StressCurve, draw_stress
from guard.cli.stress_words import pool_name
from guard.margin.books import Book, market_ends, market_ratios, pool_end_fields

# Every half percent up to a doubling, and coarser up to where ends are searched; the picture shows what its ends need.
MOVES = tuple(Decimal(half) / 200 for half in (*range(-199, 200), *range(200, 2001, 10)))
BESIDE = tuple(Decimal(thousandth) / 1000 for thousandth in (-2, -1, 0, 1, 2))  # Where curves are steep.


def draw_books(path: Path, books: Mapping[str, Book]) -> None:
    """Write one picture of all pools that positions lean on. Raises ConfigError where it cannot be written."""
    curves = [curve for name, book in books.items() for curve in _curves(f"{name}: " if len(books) > 1 else "", book)]
    if curves:
        draw_stress(path, curves, f"guard stress: {', '.join(books)}")
    else:
        print(f"guard: no pool to draw: {path} is not written", file=sys.stderr)


def _curves(prefix: str, book: Book) -> Iterator[StressCurve]:
    every_end = market_ends(book)
    places = {end + side for ends in every_end for end in (ends.down, ends.up) if end is not None for side in BESIDE}
    moves = sorted({*MOVES, *(place for place in places if place > MOVES[0])})
    for pool, ends, ratios in zip(book.pools, every_end, market_ratios(book, moves), strict=True):
        if pool.holdings:
            yield StressCurve(
                name=prefix + pool_name(pool_end_fields(pool, ends)),
                moves=tuple(map(float, moves)),
                ratios=tuple(None if ratio is None else float(ratio) for ratio in ratios),
                ends_at=tuple(float(end) for end in (ends.down, ends.up) if end is not None),
            )
