"""Money and positions moved between the pools of a book. Nothing is made and nothing is lost on the way."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from guard.margin.added_margin import with_margin
from guard.margin.arithmetic import ZERO, exact
from guard.margin.books.book import Book, BookPool, Holding, cross_book_pool, isolated_book_pool
from guard.margin.cross import pool_name
from guard.margin.liquidation import UNKNOWN
from guard.margin.pool import MarginPool
from guard.margin.requirement import isolated_pool
from guard.snapshot import MarginMode, Position


def own_balance(pool: MarginPool, asset: str) -> Decimal:
    """Return a pool's wallet balance of one asset, in the asset's units."""
    return next((row.wallet_balance for row in pool.collateral if row.asset == asset), ZERO)


@exact
def cross_index(pools: Sequence[BookPool], asset: str, wallet: str = "") -> int | None:
    """Return which cross pool an asset's positions lean on: the one counted in it, else one that holds it.

    `wallet`: by its name, which of the asset's.
    """
    cross = [index for index, one in enumerate(pools) if not one.is_isolated and one.pool.wallet == wallet]
    counted = [index for index in cross if pools[index].pool.currency == asset]
    holding = [index for index in cross if any(row.asset == asset for row in pools[index].pool.collateral)]
    return next(iter((*counted, *holding)), None)


def empty_cross_pool(currency: str, wallet: str = "") -> BookPool:
    """Return a cross pool without money and positions."""
    pool = MarginPool(currency=currency, margin_mode=MarginMode.CROSS, collateral=(), legs=(), wallet=wallet)
    return cross_book_pool((), with_margin(pool, ZERO, currency))


def with_holdings(pool: MarginPool, holdings: Sequence[Holding]) -> BookPool:
    """Return a cross pool that carries these holdings. What the exchange said of them elsewhere no longer holds."""
    legs = tuple(holding.leg for holding in holdings)
    return cross_book_pool(tuple(unstated(holding) for holding in holdings), replace(pool, legs=legs))


def as_cross(holding: Holding) -> Holding:
    position = replace(holding.position, margin_mode=MarginMode.CROSS, isolated_wallet=None)
    return replace(unstated(holding), position=_unstated(position))


def as_isolated(holding: Holding, wallet: Decimal) -> BookPool:
    """Return the pool of one that a holding is with this margin."""
    position = replace(holding.position, margin_mode=MarginMode.ISOLATED, isolated_wallet=wallet)
    return isolated_book_pool(replace(holding, position=_unstated(position)), isolated_pool(holding.leg, wallet))


def unstated(holding: Holding) -> Holding:
    """Return the holding without what its exchange said of its liquidation: it stands in another pool now."""
    return replace(holding, position=_unstated(holding.position))


def _unstated(position: Position) -> Position:
    return replace(position, exchange_liquidation=UNKNOWN, exchange_maintenance_margin=None)


def missing_from(book: Book, currency: str, wallet: str = "") -> str | None:
    """Return why not all that leans, or could lean, on a currency's wallet is in the book. None: all of it is."""
    held = {holding.key for holding in book.holdings()}
    for gap in book.gaps:
        unseen = gap.may_be_cross if gap.key is None else gap.key.settle == currency and gap.key not in held
        if (unseen and gap.wallet in {None, wallet}) or gap.subject == pool_name(currency, wallet):
            return f"{gap.subject}: {gap.reason}"
    return None
