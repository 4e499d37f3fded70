"""A book as account files (design 4.3), so that what was seen once can be read, judged and explained again later."""

from decimal import Decimal
from typing import Any

from guard.margin.books import Book, BookPool, Holding
from guard.snapshot import Collateral, RiskTier


def accounts_of_book(book: Book) -> list[dict[str, Any]]:
    """Return the account files that state a book: one for each cross pool, and one for all isolated positions.

    A wallet that nothing leans on has no pool yet, and none of them.
    """
    cross = [_cross_account(pool) for pool in book.pools if not pool.is_isolated and pool.holdings]
    isolated = [
        _position(holding) | {"isolated_wallet": _text(pool.pool.collateral[0].wallet_balance)}
        for pool in book.pools
        if pool.is_isolated
        for holding in pool.holdings
    ]
    return [*cross, *([{"positions": isolated}] if isolated else [])]


def _cross_account(pool: BookPool) -> dict[str, Any]:
    model = pool.pool
    document: dict[str, Any] = {
        "collateral": [_collateral(row) for row in model.collateral],
        "positions": [_position(holding) for holding in pool.holdings],
    }
    amounts = {
        "other_maintenance_margin": model.other_maintenance_margin,
        "other_unrealized_pnl": model.other_unrealized_pnl,
        "order_margin": model.order_margin,
        "funding_due": model.funding_due,
    }
    document |= {key: _text(amount) for key, amount in amounts.items() if amount}
    return document | {"currency": model.currency, "haircut_basis": model.haircut_basis.value}


def _collateral(row: Collateral) -> dict[str, Any]:
    return {
        "asset": row.asset,
        "wallet_balance": _text(row.wallet_balance),
        "price": _text(row.price),
        "haircut": _text(row.haircut),
        "haircut_tiers": [
            {"balance_floor": _text(tier.balance_floor), "haircut": _text(tier.haircut)} for tier in row.haircut_tiers
        ],
        "surcharge": _text(row.surcharge),
    }


def _position(holding: Holding) -> dict[str, Any]:
    position, rule = holding.position, holding.leg.rule
    wallet = position.contract.wallet
    return ({"wallet": wallet} if wallet else {}) | {
        "symbol": position.contract.symbol,
        "contract": position.contract.kind.value,
        "side": position.side.word,
        "margin_mode": position.margin_mode.value,
        "quantity": _text(position.quantity),
        "contract_size": _text(position.contract.contract_size),
        "entry_price": _text(position.entry_price),
        "mark_price": _text(position.mark_price),
        "liquidation_fee_rate": _text(rule.liquidation_fee_rate),
        "maintenance_basis": rule.maintenance_basis.value,
        "tier_basis": rule.tier_basis.value,
        "hedge_netting": rule.hedge_netting.value,
        "beta": _text(holding.beta),
        "tiers": [_tier(tier) for tier in holding.leg.tiers.rows],
    }


def _tier(tier: RiskTier) -> dict[str, str]:
    row = {
        "notional_floor": _text(tier.notional_floor),
        "notional_cap": _text(tier.notional_cap),
        "maintenance_margin_rate": _text(tier.maintenance_margin_rate),
    }
    return row if tier.maintenance_amount is None else row | {"maintenance_amount": _text(tier.maintenance_amount)}


def _text(number: Decimal) -> str:
    return f"{number:f}"
