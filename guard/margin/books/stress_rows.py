"""A stress as the rows that `stress --json` prints. Amounts are decimal strings in the row's `currency`."""

from collections.abc import Mapping
from decimal import Decimal

from guard.margin.books.book import BookPool
from guard.margin.books.stress_report import Closure, Death, MarketEnds, PoolOutcome, StressReport
from guard.margin.rows import decimal_text
from guard.snapshot import MarginMode


def stress_fields(name: str, report: StressReport) -> dict[str, object]:
    """Return one scenario's row: what dies, in its order, and what is left of each pool. Sums are in dollars."""
    return {
        "name": name,
        "market": decimal_text(report.shock.market),
        "coins": _texts(report.shock.coins),
        "auto_deleveraging_at": decimal_text(report.auto_deleveraging_at),
        "deaths": [_death(death) for death in report.deaths],
        "deaths_without_closures": [_death(death) for death in report.deaths_without_closures],
        "closures": [_closure(closure) for closure in report.closures],
        "pools": [_outcome(outcome) for outcome in report.outcomes],
        "currency": "USD",
        "equity_before": decimal_text(report.dollars_before),
        "equity_after": decimal_text(report.dollars_after),
        "lost": decimal_text(report.dollars_lost),
        "unpriced": list(report.unpriced),
        "unmoved": list(report.unmoved),
    }


def pool_end_fields(pool: BookPool, ends: MarketEnds) -> dict[str, object]:
    """Return one pool's row: the exact moves of the whole market that end it."""
    at_none = "none" if ends.down is None and ends.up is None else "at"
    return {
        "pool": pool.name,
        "margin_mode": pool.pool.margin_mode.value,
        "currency": pool.pool.currency,
        "positions": [str(holding.key) for holding in pool.holdings],
        "liquidation": "past" if ends.is_past else at_none,
        "market_down": decimal_text(ends.down),
        "market_up": decimal_text(ends.up),
    }


def _death(death: Death) -> dict[str, object]:
    return {
        "pool": death.pool_name,
        "margin_mode": _mode(is_isolated=death.is_isolated),
        "currency": death.currency,
        "way": decimal_text(death.way),
        "market_move": decimal_text(death.market_move),
        "moves": _texts(death.moves),
        "positions": [str(key) for key in death.keys],
        "trigger_coin": death.trigger_coin,
        "driver": None if death.driver is None else str(death.driver),
        "taken_along": [str(key) for key in death.taken_along],
        "prices": _texts(death.prices),
        "lost": decimal_text(death.lost),
        "only_by_auto_deleveraging": death.only_by_auto_deleveraging,
    }


def _closure(closure: Closure) -> dict[str, object]:
    return {
        "position": str(closure.key),
        "pool": closure.pool_name,
        "currency": closure.currency,
        "price": decimal_text(closure.price),
        "realized": decimal_text(closure.realized),
        "released": decimal_text(closure.released),
    }


def _outcome(outcome: PoolOutcome) -> dict[str, object]:
    return {
        "pool": outcome.pool_name,
        "margin_mode": _mode(is_isolated=outcome.is_isolated),
        "currency": outcome.currency,
        "positions": [str(key) for key in outcome.keys],
        "fate": outcome.fate.value,
        "equity_before": decimal_text(outcome.equity_before),
        "equity_after": decimal_text(outcome.equity_after),
        "margin_ratio_after": decimal_text(outcome.margin_ratio_after),
        "distance_left": decimal_text(outcome.distance_left),
    }


def _mode(*, is_isolated: bool) -> str:
    return (MarginMode.ISOLATED if is_isolated else MarginMode.CROSS).value


def _texts(values: Mapping[str, Decimal]) -> dict[str, str | None]:
    return {name: decimal_text(value) for name, value in values.items()}
