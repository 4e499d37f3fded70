"""An order as it was asked about, as it was understood, and what came of it: the words of `guard whatif`."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from guard.margin.arithmetic import ZERO
from guard.margin.books.book import Book
from guard.margin.books.figures import PoolState
from guard.margin.figures import PositionFigures
from guard.margin.rule import MarginRule
from guard.margin.tier_table import TierTable
from guard.snapshot import Contract, MarginMode, PositionKey, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked about, as a person wrote it. None: not written."""

    symbol: str
    side: Side
    quantity: Decimal | None  # Contracts. None: `worth` says how much.
    worth: Decimal | None = None  # Quote currency at the order's price.
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None
    margin: Decimal | None = None  # Settle currency; isolated only.
    price: Decimal | None = None

    @property
    def key(self) -> PositionKey:
        return PositionKey(self.symbol, self.side)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What a symbol is and costs, also where no position of it is open yet."""

    contract: Contract
    tiers: TierTable
    rule: MarginRule
    mark_price: Decimal


class Effect(StrEnum):
    OPENS = "opens"
    ADDS = "adds"
    REDUCES = "reduces"
    CLOSES = "closes"
    FLIPS = "flips"


class RefusalKind(StrEnum):
    SHORT = "short"  # The wallet cannot pay.
    OTHER_MODE = "other_mode"  # The symbol has a position in the other margin mode.
    NO_MARGIN = "no_margin"  # Isolated, and neither a margin nor a leverage is known.
    NOT_MODELLED = "not_modelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    kind: RefusalKind
    currency: str
    needed: Decimal | None = None  # SHORT: this much, of what is available.
    available: Decimal | None = None
    text: str | None = None  # NOT_MODELLED: what is in the way.


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The order as it was understood, nothing left open. Money is in the settle currency."""

    market: Market
    quantity: Decimal  # Contracts.
    price: Decimal
    notional: Decimal  # At its price.
    margin_mode: MarginMode
    leverage: Decimal | None  # None: nobody stated one.
    leverage_before: Decimal | None  # What the symbol's position has now; None: no position, or not stated.
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The account before and after. `before` and `after` hold every pool; what moved is in the settle currency."""

    before: tuple[PoolState, ...]
    after: tuple[PoolState, ...] | None  # None: `refusal` says why not.
    terms: Terms
    refusal: Refusal | None
    margin: Decimal | None = (
        None  # What a new or larger isolated position took, or a cross one reserves. None: unknown.
    )
    released: Decimal = ZERO  # What an isolated position gave back, profit and loss aside.
    realized: Decimal = ZERO  # Profit and loss of what was closed.
    available_before: Decimal | None = None  # None: not an exchange's account.
    available_after: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A position that the order is not about, and that it moves."""

    before: PositionFigures
    after: PositionFigures


def market_of(book: Book, symbol: str) -> Market | None:
    """Return the market of a symbol as a position of the book states it; None: there is none."""
    found = next((one.leg for one in book.holdings() if one.leg.contract.symbol == symbol), None)
    if found is None:
        return None
    return Market(contract=found.contract, tiers=found.tiers, rule=found.rule, mark_price=found.mark_price)
