"""What dies on the way to a shock, in which order, what goes with it, and what is left.

What is assumed: the first pool that ends is gone, and the others go on. An isolated position loses its whole margin;
the positions of a cross pool go together, and its collateral with them. What a liquidation leaves, the exchange keeps.
Prices go from the present to the shock by one path (`shock_path.py`): a pool may die on the way to prices at which it
would live. Nothing is added, closed or hedged meanwhile, but for auto-deleveraging where it is asked for.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import zip_longest

from guard.margin.added_margin import distance_of
from guard.margin.arithmetic import ONE, ZERO, exact, finished
from guard.margin.books.auto_deleveraging import deleveraged
from guard.margin.books.book import Book, BookPool
from guard.margin.books.ends import assets_of, pool_on_way, way_to_end
from guard.margin.books.shock_path import Path, Shock, betas_of
from guard.margin.books.stress_report import Closure, Death, Fate, MarketEnds, PoolOutcome, StressReport
from guard.margin.liquidation import crossings
from guard.margin.liquidation import shock as market_shock
from guard.margin.pool import HaircutBasis, MarginPool
from guard.margin.present import PresentPool, counted_value
from guard.snapshot import DOLLAR_STABLECOINS, ContractKind, PositionKey

LOWEST_CURVED = Decimal("-0.999")  # How far down a market with betas is searched: a price of 0 is not on its path.
HIGHEST = Decimal(10)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """What became of one pool."""

    before: BookPool | None  # None: it came to be on the way.
    pool: BookPool | None  # As it was when it died or arrived. None: auto-deleveraging closed all of it.
    way: Decimal | None  # Where it died. None: it did not.


@exact
def stress(book: Book, shock: Shock, *, auto_deleveraging_at: Decimal | None = None) -> StressReport:
    """Return what the shock does to a book. `auto_deleveraging_at`: the part of the way after which hedges are lost.

    Raises ValueError where two holdings of one coin state different betas.
    """
    path = Path(shock, betas_of(book))
    hedged = [_Course(before=pool, pool=pool, way=_way(pool, path)) for pool in book.pools]
    courses, closures = hedged, list[Closure]()
    if auto_deleveraging_at is not None:
        courses, closures = _unhedged(hedged, path, auto_deleveraging_at)
    outcomes = tuple(_outcome(course, path) for course in courses)
    known = {asset for pool in book.pools for asset in assets_of(pool.pool)}
    prices = _dollar_prices(book)
    before, after = _dollars(outcomes, prices, path.factors(prices, ONE))
    return StressReport(
        shock=shock,
        auto_deleveraging_at=auto_deleveraging_at,
        deaths=_deaths(courses, hedged, path),
        closures=tuple(closures),
        deaths_without_closures=_deaths(hedged, hedged, path),
        outcomes=outcomes,
        dollars_before=before,
        dollars_after=after,
        unpriced=tuple(dict.fromkeys(one.currency for one in outcomes if one.currency not in prices)),
        unmoved=tuple(coin for coin in shock.coins if coin not in known),
    )


@exact
def market_ends(book: Book) -> tuple[MarketEnds, ...]:
    """Return for each pool the moves of the whole market, down and up, that end it, by its coins' betas.

    Searched from -1 (with betas other than 1: from -0.999) to +10.
    """
    betas = betas_of(book)
    return tuple(_market_ends(pool, betas) for pool in book.pools)


@exact
def market_ratios(book: Book, moves: Sequence[Decimal]) -> tuple[tuple[Decimal | None, ...], ...]:
    """Return each pool's margin ratio under these moves of the whole market, if it lived to see them.

    None: no balance is left.
    """
    betas = betas_of(book)
    paths = [Path(Shock(market=move), betas) for move in moves]
    return tuple(tuple(PresentPool(pool_on_way(pool.pool, path, ONE)).ratio for path in paths) for pool in book.pools)


def _market_ends(pool: BookPool, betas: Mapping[str, Decimal]) -> MarketEnds:
    is_past = bool(pool.holdings) and PresentPool(pool.pool).excess <= 0
    down = up = None
    if pool.holdings and not is_past:
        if all(betas.get(coin, ONE) == 1 for coin in assets_of(pool.pool)):
            down, up = market_shock(pool.pool)
        else:
            down, up = (_move_to_end(pool.pool, Path(Shock(market=end), betas)) for end in (LOWEST_CURVED, HIGHEST))
    return MarketEnds(pool_name=pool.name, is_past=is_past, down=down, up=up)


def _move_to_end(pool: MarginPool, path: Path) -> Decimal | None:
    way = way_to_end(pool, path)
    return None if way is None else finished(path.shock.market * way)


def _way(pool: BookPool, path: Path, since: Decimal = ZERO) -> Decimal | None:
    return way_to_end(pool.pool, path, since) if pool.holdings else None  # Without positions nothing is liquidated.


def _unhedged(hedged: Sequence[_Course], path: Path, at: Decimal) -> tuple[list[_Course], list[Closure]]:
    """Return the courses of all pools when hedges in profit are closed at one moment, and what was closed."""
    alive = [course.pool if course.way is None or course.way > at else None for course in hedged]
    after, closures = deleveraged(alive, path, at)
    courses = []
    for course, then, now in zip_longest(hedged, alive, after):
        if course is None:
            courses.append(_Course(before=None, pool=now, way=None))
        elif now is then:
            courses.append(course)
        else:
            way = None if now is None else _way(now, path, at)
            courses.append(_Course(before=course.before, pool=now, way=way))
    return courses, closures


def _deaths(courses: Sequence[_Course], hedged: Sequence[_Course], path: Path) -> tuple[Death, ...]:
    with_hedges = dict(enumerate(course.way for course in hedged))
    dead = [
        _death(course.pool, path, course.way, only_by_auto_deleveraging=with_hedges[index] is None)
        for index, course in enumerate(courses)
        if course.pool is not None and course.way is not None
    ]
    return tuple(sorted(dead, key=lambda death: death.way))


def _death(pool: BookPool, path: Path, way: Decimal, *, only_by_auto_deleveraging: bool) -> Death:
    then = PresentPool(pool_on_way(pool.pool, path, way))
    factors = path.factors(assets_of(pool.pool), way)
    changes = _changes(pool, path, then)
    moving = [coin for coin in changes if way > 0 and path.shock.moves(coin)]
    trigger = min(moving, key=lambda coin: sum(changes[coin].values()), default=None)
    lost_by = {key: change for of_coin in changes.values() for key, change in of_coin.items() if key is not None}
    of_trigger = {} if trigger is None else changes[trigger]
    driver = min(((change, key) for key, change in of_trigger.items() if key and change < 0), default=(ZERO, None))[1]
    keys = sorted(lost_by, key=lambda key: (key != driver, lost_by[key]))
    money = sum((row.wallet_balance * row.price for row in then.pool.collateral), ZERO)
    return Death(
        way=finished(way),
        market_move=finished(path.shock.market * way) if path.shock.market else None,
        moves={asset: finished(factor - 1) for asset, factor in factors.items()},
        pool_name=pool.name,
        currency=pool.pool.currency,
        is_isolated=pool.is_isolated,
        keys=tuple(keys),
        trigger_coin=trigger,
        driver=driver,
        prices={one.leg.contract.symbol: finished(one.leg.mark_price) for one in then.legs},
        lost=max(ZERO, finished(money)),
        only_by_auto_deleveraging=only_by_auto_deleveraging,
    )


def _changes(pool: BookPool, path: Path, then: PresentPool) -> dict[str, dict[PositionKey | None, Decimal]]:
    """Return what each moving coin has changed of the balance, by position; None: as collateral."""
    changes: dict[str, dict[PositionKey | None, Decimal]] = defaultdict(dict)
    now = PresentPool(pool.pool)
    for holding, one, later in zip(pool.holdings, now.legs, then.legs, strict=True):
        contract = holding.leg.contract
        coin = contract.base if path.shock.moves(contract.base) else contract.settle
        change = later.pnl * later.settle_price - one.pnl * one.settle_price
        changes[coin][holding.key] = changes[coin].get(holding.key, ZERO) + change
    for row, later_row in zip(now.pool.collateral, then.pool.collateral, strict=True):
        if row.asset != now.pool.currency:
            changes[row.asset][None] = counted_value(later_row) - counted_value(row)
    return changes


def _outcome(course: _Course, path: Path) -> PoolOutcome:
    known = course.before or course.pool
    assert known is not None, "a pool was there before, or came to be"
    arrived = None
    fate = Fate.CLOSED if course.pool is None else Fate.DEAD
    if course.pool is not None and course.way is None:
        fate, arrived = Fate.ALIVE, pool_on_way(course.pool.pool, path, ONE)
    now = None if arrived is None else PresentPool(arrived)
    return PoolOutcome(
        pool_name=known.name,
        currency=known.pool.currency,
        is_isolated=known.is_isolated,
        keys=() if course.before is None else tuple(holding.key for holding in course.before.holdings),
        fate=fate,
        equity_before=ZERO if course.before is None else _equity(course.before.pool),
        equity_after=ZERO if arrived is None else _equity(arrived),
        margin_ratio_after=None if now is None or now.ratio is None else finished(now.ratio),
        distance_left=None if now is None or not now.legs else _distance(now),
    )


def _equity(pool: MarginPool) -> Decimal:
    plain = tuple(replace(row, haircut=ZERO, haircut_tiers=(), surcharge=ZERO) for row in pool.collateral)
    return finished(PresentPool(replace(pool, collateral=plain, haircut_basis=HaircutBasis.WALLET)).balance)


def _distance(now: PresentPool) -> Decimal | None:
    """Return the smallest move of one coin, or of all together, that ends a pool."""
    coins = {one.leg.contract.base: one.leg for one in now.legs}
    ends = [distance_of(crossings(now, leg), leg.mark_price) for leg in coins.values()]
    ends += [None if move is None else abs(move) for move in market_shock(now)]
    return min((end for end in ends if end is not None), default=None)


def _dollar_prices(book: Book) -> Mapping[str, Decimal]:
    """Return what is known of coins' prices in dollars: stablecoins are one each, coins by their marks and rows."""
    prices: dict[str, Decimal] = {}
    for pool in book.pools:
        if pool.pool.currency in DOLLAR_STABLECOINS:
            prices |= {row.asset: row.price for row in pool.pool.collateral}
    for holding in book.holdings():
        contract = holding.leg.contract
        if contract.kind is ContractKind.INVERSE or contract.settle in DOLLAR_STABLECOINS:
            prices[contract.base] = holding.leg.mark_price
    return prices | dict.fromkeys(DOLLAR_STABLECOINS, ONE)


def _dollars(
    outcomes: Sequence[PoolOutcome], prices: Mapping[str, Decimal], factors: Mapping[str, Decimal]
) -> tuple[Decimal | None, Decimal | None]:
    """Return all equity before and after, where at least every currency with positions has a price."""
    if any(outcome.keys and outcome.currency not in prices for outcome in outcomes):
        return None, None
    before = after = ZERO
    for outcome in outcomes:
        price = prices.get(outcome.currency, ZERO)
        before += outcome.equity_before * price
        after += outcome.equity_after * price * factors.get(outcome.currency, ONE)
    return finished(before), finished(after)
