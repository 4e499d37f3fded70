"""Figures as the rows that `status --json` and `calc --json` print: every key of design 4.2, in its order, then ours.

Keys that need policy, an outlook or an exchange are None here; the rooms that know them overwrite them.
"""

from decimal import Context, Decimal

from guard.margin.figures import PoolFigures, PositionFigures

_PRINTED = Context(prec=34)


def decimal_text(value: Decimal | None) -> str | None:
    """Return a plain decimal string of up to 34 significant digits, without exponent or needless zeros."""
    if value is None:
        return None
    text = f"{_PRINTED.plus(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def position_fields(figures: PositionFigures) -> dict[str, object]:
    """Return a position's row. Amounts are decimal strings in the row's `currency`."""
    position, crossings = figures.position, figures.crossings
    return {
        "symbol": position.contract.symbol,
        "side": position.side.word,
        "margin_mode": position.margin_mode.value,
        "pool": figures.pool_name,
        "currency": position.contract.settle,
        "quantity": decimal_text(position.quantity),
        "contract_size": decimal_text(position.contract.contract_size),
        "entry_price": decimal_text(position.entry_price),
        "mark_price": decimal_text(position.mark_price),
        "notional": decimal_text(figures.notional),
        "leverage": decimal_text(position.leverage),
        "isolated_wallet": decimal_text(position.isolated_wallet),
        "unrealized_pnl": decimal_text(figures.unrealized_pnl),
        "margin_balance": decimal_text(figures.margin_balance),
        "maintenance_margin": decimal_text(figures.maintenance_margin),
        "requirement": decimal_text(figures.requirement),
        "margin_ratio": decimal_text(figures.margin_ratio),
        "liquidation": figures.liquidation.kind.value,
        "liquidation_price": decimal_text(figures.liquidation.price),
        "liquidation_price_down": decimal_text(crossings.down),
        "liquidation_price_up": decimal_text(crossings.up),
        "exchange_liquidation_price": decimal_text(position.exchange_liquidation.price),
        "model_gap": decimal_text(figures.model_gap),
        "guarded_liquidation_price": None,
        "bankruptcy_price": decimal_text(figures.bankruptcy_price),
        "distance": decimal_text(figures.distance),
        "sigmas": None,
        "touch_probability": None,
        "stop_price": None,
        "trigger": None,
        "money_to_target": None,
        "budget_left": None,
        "rule": None,
        "withheld": None,
        "level": None,
        "reason": None,
        "effective_leverage": decimal_text(figures.effective_leverage),
        "idle_margin": None,
    }


def pool_fields(figures: PoolFigures) -> dict[str, object]:
    """Return a cross pool's row. Amounts are decimal strings in the row's `currency`.

    Where the pool is not modelled its margin ratio is the exchange's own, if it states one.
    """
    ratio = figures.exchange_margin_ratio if figures.pool is None else figures.margin_ratio
    return {
        "pool": figures.name,
        "currency": figures.currency,
        "margin_mode": "cross",
        "margin_balance": decimal_text(figures.margin_balance),
        "maintenance_margin": decimal_text(figures.maintenance_margin),
        "requirement": decimal_text(figures.requirement),
        "margin_ratio": decimal_text(ratio),
        "available": decimal_text(figures.available),
        "reserve": None,
        "spendable": None,
        "liquidation": figures.liquidation.kind.value,
        "distance": decimal_text(figures.distance),
        "sigmas": None,
        "shock_down": decimal_text(figures.shock_down),
        "shock_up": decimal_text(figures.shock_up),
        "driver": figures.driver,
        "level": None,
        "reason": None,
        "falls_together": [str(key) for key in figures.falls_together],
    }
