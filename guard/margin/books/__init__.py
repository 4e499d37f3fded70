"""What is asked of a whole account: stress, the other margin mode, one more order, why its liquidation moved.

A book is an account as its pools, live or written by hand. Everything here is made of the model one floor below.
"""

from guard.margin.books.book import Book, BookPool, Holding, book_of, cross_book_pool, isolated_book_pool
from guard.margin.books.compare import Comparison, Hedge, MarginSource, Reason, ReasonKind, Stand, Variant, compare
from guard.margin.books.ends import assets_of
from guard.margin.books.figures import PoolState, state_of, states_of
from guard.margin.books.order import Effect, Market, Order, Outcome, Refusal, RefusalKind, Shift, Terms, market_of
from guard.margin.books.shock_path import Shock
from guard.margin.books.stress import market_ends, market_ratios, stress
from guard.margin.books.stress_report import Closure, Death, Fate, MarketEnds, PoolOutcome, StressReport
from guard.margin.books.stress_rows import pool_end_fields, stress_fields
from guard.margin.books.whatif import shifts, what_if

__all__ = [
    "Book",
    "BookPool",
    "Closure",
    "Comparison",
    "Death",
    "Effect",
    "Fate",
    "Hedge",
    "Holding",
    "MarginSource",
    "Market",
    "MarketEnds",
    "Order",
    "Outcome",
    "PoolOutcome",
    "PoolState",
    "Reason",
    "ReasonKind",
    "Refusal",
    "RefusalKind",
    "Shift",
    "Shock",
    "Stand",
    "StressReport",
    "Terms",
    "Variant",
    "assets_of",
    "book_of",
    "compare",
    "cross_book_pool",
    "isolated_book_pool",
    "market_ends",
    "market_of",
    "market_ratios",
    "pool_end_fields",
    "shifts",
    "state_of",
    "states_of",
    "stress",
    "stress_fields",
    "what_if",
]
