"""The rows of `guard compare --json`: the keys of `status --json` where the figure is the same (design 4.2)."""

from collections.abc import Mapping
from decimal import Decimal

from guard.cli.compare_texts import advice, reason_text
from guard.margin import decimal_text, pool_fields, position_fields
from guard.margin.books import Comparison, PoolState, Stand, Variant
from guard.snapshot import Purse

VARIANTS = ("as_is", "isolated", "cross")
# What holds of a position in every mode, and what the mode decides.
OF_POSITION = (
    "symbol", "side", "margin_mode", "currency", "quantity", "contract_size", "entry_price", "mark_price", "notional",
    "leverage", "unrealized_pnl",
)  # fmt: skip
OF_MODE = (
    "margin_mode", "pool", "isolated_wallet", "margin_balance", "maintenance_margin", "requirement", "margin_ratio",
    "liquidation", "liquidation_price", "liquidation_price_down", "liquidation_price_up", "bankruptcy_price",
    "distance",
)  # fmt: skip


def comparison_rows(comparison: Comparison, available: Mapping[Purse, Decimal]) -> dict[str, object]:
    """Return the answer about one account, position by position. `available`: the exchange's own figures, as it is."""
    variants = {name: getattr(comparison, name) for name in VARIANTS}
    rows: dict[str, object] = {name: _variant_row(variant) for name, variant in variants.items()}
    rows["as_is"] = _variant_row(comparison.as_is, available)
    rows["positions"] = [
        _position_row({name: variant.stands[index] for name, variant in variants.items()})
        | {"advice": advice(holding, comparison.isolated.stands[index], comparison.cross.stands[index])}
        for index, holding in enumerate(comparison.holdings)
    ]
    return rows


def pool_row(state: PoolState, available: Mapping[Purse, Decimal] | None = None) -> dict[str, object]:
    """Return a pool's row, an isolated one's too."""
    figures, pool = state.figures, state.book_pool.pool
    own = None if state.book_pool.is_isolated else (available or {}).get(figures.purse)
    return pool_fields(figures) | {
        "margin_mode": pool.margin_mode.value,
        "available": decimal_text(own),
        "capital_at_risk": decimal_text(state.capital_at_risk),
        "free": decimal_text(state.free),
    }


def _variant_row(variant: Variant, available: Mapping[Purse, Decimal] | None = None) -> dict[str, object]:
    return {
        "is_whole": variant.is_whole,
        "capital_at_risk": {currency: decimal_text(amount) for currency, amount in variant.at_risk().items()},
        "free": {currency: decimal_text(amount) for currency, amount in variant.free().items()},
        "pools": [pool_row(state, available) for state in variant.pools],
    }


def _position_row(stands: Mapping[str, Stand]) -> dict[str, object]:
    figures = stands["as_is"].figures
    assert figures is not None, "as it is, every position of a book has figures"
    fields = position_fields(figures)
    return {key: fields[key] for key in OF_POSITION} | {name: stand_row(stand) for name, stand in stands.items()}


def stand_row(stand: Stand) -> dict[str, object]:
    """Return a position's figures in one mode. Where there are none every figure is null, and `reason` says why."""
    if stand.state is None or stand.figures is None:
        assert stand.reason is not None, "no figures without a reason"
        unknown = dict.fromkeys(OF_MODE) | {"liquidation": "unknown", "capital_at_risk": None, "margin_source": None}
        return unknown | {"falls_together": [], "reason": reason_text(stand.reason)}
    fields = position_fields(stand.figures)
    return {key: fields[key] for key in OF_MODE} | {
        "capital_at_risk": decimal_text(stand.state.capital_at_risk),
        "margin_source": None if stand.margin_source is None else stand.margin_source.value,
        "falls_together": [str(key) for key in stand.falls_together],
        "reason": None,
    }
