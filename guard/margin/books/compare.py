"""Which margin mode suits this account? The same positions as they are, all isolated, and all cross.

What is assumed, and what `guard compare` says in its answer:

- Isolated to cross: the position's margin goes into the wallet of its settle currency, and the position joins the
  cross pool of that currency. Where there is none yet, one begins with that margin.
- Cross to isolated: the position takes its initial margin out of the wallet, entry notional / leverage where the
  exchange states the leverage. Where it does not, the wallet that is left is shared among such positions by their
  notional at the mark. What remains is free wallet. Its profit or loss so far goes with it.
- A wallet that cannot pay those margins is said to be short; no figure is made up for its positions.
- Sizes, entries, marks, tiers and the exchange's rule stay as they are. No fee is counted. Whether the exchange
  switches the mode while a position is open is another matter (most do not).
- What is not in the book (a position that cannot be read or modelled) keeps its currency's cross pool from being told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from guard.margin.added_margin import with_margin
from guard.margin.arithmetic import ZERO, exact, finished
from guard.margin.books.book import Book, BookPool, Holding
from guard.margin.books.figures import PoolState, state_of
from guard.margin.books.moves import (
    as_cross,
    as_isolated,
    cross_index,
    empty_cross_pool,
    missing_from,
    own_balance,
    with_holdings,
)
from guard.margin.figures import PositionFigures
from guard.margin.present import PresentPool, obstacle_of
from guard.margin.requirement import gain_between
from guard.snapshot import PositionKey


class MarginSource(StrEnum):
    """Where the margin of an isolated position comes from."""

    HELD = "held"  # It is isolated already, and keeps what it has.
    LEVERAGE = "leverage"  # Entry notional / leverage.
    SHARE = "share"  # Its share of the wallet by notional: no leverage is stated.


class ReasonKind(StrEnum):
    """Why a position has no figures in a mode."""

    SHORT = "short"  # The wallet cannot pay the margins.
    NOT_MODELLED = "not_modelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    kind: ReasonKind
    currency: str
    needed: Decimal | None = None  # SHORT: what the margins come to, of what there is.
    there: Decimal | None = None
    text: str | None = None  # NOT_MODELLED: what is in the way.


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """One position in one mode, the rest of the account being in it as well."""

    state: PoolState | None  # The pool that it then leans on. None: `reason` says why not.
    figures: PositionFigures | None
    reason: Reason | None = None
    margin_source: MarginSource | None = None  # Isolated only.

    @property
    def falls_together(self) -> tuple[PositionKey, ...]:
        """Return everything that a liquidation of its pool takes, itself included."""
        return () if self.state is None else self.state.figures.falls_together


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The account in one way. `stands` are in the order of the book's holdings."""

    pools: tuple[PoolState, ...]
    stands: tuple[Stand, ...]

    @property
    def is_whole(self) -> bool:
        """Say whether every position of the book has figures here."""
        return all(stand.state is not None for stand in self.stands)

    def at_risk(self) -> Mapping[str, Decimal]:
        """Return what liquidations could take in all, by currency."""
        return _sums((state.figures.currency, state.capital_at_risk) for state in self.pools)

    def free(self) -> Mapping[str, Decimal]:
        """Return what no position leans on, by currency."""
        return _sums((state.figures.currency, state.free) for state in self.pools)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """Both sides of one coin in one settle currency, and the leg that isolated margin loses first.

    `change` is what all legs of the coin gain together by then (negative: lose), `own_change` that leg alone.
    """

    coin: str
    currency: str
    members: tuple[int, ...]  # Indexes of the book's holdings.
    dying: int
    move: Decimal  # Of the coin's price, signed: 0.08 is +8 %.
    change: Decimal
    own_change: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    holdings: tuple[Holding, ...]
    as_is: Variant
    isolated: Variant
    cross: Variant
    hedges: tuple[Hedge, ...]


@exact
def compare(book: Book) -> Comparison:
    """Return every position and the whole account as it is, all isolated, and all cross."""
    holdings = tuple(book.holdings())
    isolated = _variant(_all_isolated(book), len(holdings))
    return Comparison(
        holdings=holdings,
        as_is=_variant(_Draft(pools=_seated(book)), len(holdings)),
        isolated=isolated,
        cross=_variant(_all_cross(book), len(holdings)),
        hedges=tuple(_hedges(holdings, isolated)),
    )


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A variant in the making: its pools, each with the indexes of its holdings."""

    pools: list[tuple[BookPool, tuple[int, ...]]]
    refused: dict[int, Reason] = field(default_factory=dict)
    sources: dict[int, MarginSource] = field(default_factory=dict)


def _seated(book: Book) -> list[tuple[BookPool, tuple[int, ...]]]:
    seated, first = [], 0
    for pool in book.pools:
        seated.append((pool, tuple(range(first, first + len(pool.holdings)))))
        first += len(pool.holdings)
    return seated


def _variant(draft: _Draft, count: int) -> Variant:
    states = [(state_of(pool), seats) for pool, seats in draft.pools]
    stands = {index: Stand(state=None, figures=None, reason=reason) for index, reason in draft.refused.items()}
    for state, seats in states:
        for place, index in enumerate(seats):
            held = MarginSource.HELD if state.book_pool.is_isolated else None
            source = draft.sources.get(index, held)
            stands[index] = Stand(state=state, figures=state.positions[place], margin_source=source)
    return Variant(pools=tuple(state for state, _ in states), stands=tuple(stands[index] for index in range(count)))


# All isolated --------------------------------------------------------------------------------------------------------


def _all_isolated(book: Book) -> _Draft:
    draft = _Draft(pools=[])
    for pool, seats in _seated(book):
        if pool.is_isolated or not seats:
            draft.pools.append((pool, seats))
        else:
            _split(pool, seats, draft)
    return draft


def _split(pool: BookPool, seats: Sequence[int], draft: _Draft) -> None:
    """Take every position of a cross pool out of it, with its margin; what is left stays as the pool."""
    margins = _margins(pool)
    if isinstance(margins, Reason):
        draft.refused |= dict.fromkeys(seats, margins)
        return
    rest = pool.pool
    alone: list[tuple[BookPool, tuple[int, ...]]] = []
    for holding, (margin, source), index in zip(pool.holdings, margins, seats, strict=True):
        rest = with_margin(rest, -margin, holding.leg.contract.settle)
        alone.append((as_isolated(holding, margin), (index,)))
        draft.sources[index] = source
    draft.pools += [(with_holdings(rest, ()), ()), *alone]


class _Taker(NamedTuple):
    """A position that takes margin out of a wallet. Money is in its settle currency."""

    settle: str
    notional: Decimal
    initial: Decimal | None  # None: no leverage is stated.


def _margins(pool: BookPool) -> list[tuple[Decimal, MarginSource]] | Reason:
    """Return what each position takes as its own margin, or why the wallet cannot pay them all."""
    takers = [
        _Taker(
            settle=one.leg.contract.settle,
            notional=one.notional,
            initial=finished(one.paid / held.position.leverage) if held.position.leverage else None,
        )
        for held, one in zip(pool.holdings, PresentPool(pool.pool).legs, strict=True)
    ]
    shares: dict[str, Iterator[Decimal]] = {}
    for asset in dict.fromkeys(taker.settle for taker in takers):
        mine = [taker for taker in takers if taker.settle == asset]
        needed = sum((taker.initial or ZERO for taker in mine), ZERO)
        sharing = [taker.notional for taker in mine if taker.initial is None]
        there = own_balance(pool.pool, asset)
        if there < needed or (sharing and there == needed):
            return Reason(kind=ReasonKind.SHORT, currency=asset, needed=finished(needed), there=there)
        shares[asset] = _shared(there - needed, sharing)
    return [
        (next(shares[taker.settle]), MarginSource.SHARE)
        if taker.initial is None
        else (taker.initial, MarginSource.LEVERAGE)
        for taker in takers
    ]


def _shared(amount: Decimal, weights: Sequence[Decimal]) -> Iterator[Decimal]:
    """Yield an amount's parts by weight. The last one is what is left, so that they sum to it exactly."""
    left, total = amount, sum(weights, ZERO)
    for weight in weights[:-1]:
        part = finished(amount * weight / total)
        left -= part
        yield part
    yield left


# All cross -----------------------------------------------------------------------------------------------------------


def _all_cross(book: Book) -> _Draft:
    draft = _Draft(pools=[one for one in _seated(book) if not one[0].is_isolated])
    for pool, (index, *_) in (one for one in _seated(book) if one[0].is_isolated):
        _join(pool, index, draft)
    for place, (pool, seats) in reversed(list(enumerate(draft.pools))):
        reason = missing_from(book, pool.pool.currency, pool.pool.wallet) or obstacle_of(pool.pool)
        if reason is not None and seats:
            del draft.pools[place]
            refusal = Reason(kind=ReasonKind.NOT_MODELLED, currency=pool.pool.currency, text=reason)
            draft.refused |= dict.fromkeys(seats, refusal)
    return draft


def _join(alone: BookPool, index: int, draft: _Draft) -> None:
    holding, settle, wallet = alone.holdings[0], alone.pool.currency, alone.pool.wallet
    place = cross_index([pool for pool, _ in draft.pools], settle, wallet)
    if place is None:
        place = len(draft.pools)
        draft.pools.append((empty_cross_pool(settle, wallet), ()))
    pool, seats = draft.pools[place]
    filled = with_margin(pool.pool, own_balance(alone.pool, settle), settle)
    draft.pools[place] = with_holdings(filled, (*pool.holdings, as_cross(holding))), (*seats, index)


# Hedges --------------------------------------------------------------------------------------------------------------


def _hedges(holdings: Sequence[Holding], isolated: Variant) -> list[Hedge]:
    groups: dict[tuple[str, str], list[int]] = {}
    for index, holding in enumerate(holdings):
        contract = holding.leg.contract
        groups.setdefault((contract.base, contract.settle), []).append(index)
    found = (_hedge(key, members, holdings, isolated) for key, members in groups.items())
    return [hedge for hedge in found if hedge is not None]


def _hedge(
    key: tuple[str, str], members: Sequence[int], holdings: Sequence[Holding], isolated: Variant
) -> Hedge | None:
    """Return a coin's hedge; None: one side only, or no leg of it dies alone."""
    if len({holdings[index].leg.side for index in members}) < 2:
        return None
    moves = {}
    for index in members:
        figures = isolated.stands[index].figures
        price = None if figures is None else figures.crossings.nearest.price
        if price is not None:
            moves[index] = price / holdings[index].leg.mark_price - 1
    dying = min(moves, key=lambda index: abs(moves[index]), default=None)
    if dying is None:
        return None
    changes = {index: _gain(holdings[index], moves[dying]) for index in members}
    return Hedge(
        coin=key[0],
        currency=key[1],
        members=tuple(members),
        dying=dying,
        move=finished(moves[dying]),
        change=finished(sum(changes.values(), ZERO)),
        own_change=finished(changes[dying]),
    )


def _gain(holding: Holding, move: Decimal) -> Decimal:
    mark = holding.leg.mark_price
    return gain_between(holding.position, mark, mark * (1 + move))


def _sums(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for currency, amount in amounts:
        totals[currency] = totals.get(currency, ZERO) + amount
    return totals
