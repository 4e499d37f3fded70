"""Gate positions as they were recorded: read by the venue's own parser, and priced as the exchange priced them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from guard.margin import RuleBook, TierTable, assess
from guard.margin.rule import shown_price
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import AccountSnapshot, AssetMode, LiquidationKind, MarginMode, RiskTier
from guard.venues.gateio_account import read_market, read_positions

NOW = datetime(2026, 11, 1, tzinfo=UTC)
# ccxt's recorded answer of 2024-01-12 (ts/src/test/static/response/gate.json at 0117dcb9), numbers as they stood.
LTC = {
    "value": "7.443", "leverage": "5", "mode": "single", "realised_point": "0", "contract": "LTC_USDT",
    "entry_price": "74.35", "mark_price": "74.43", "history_point": "0", "realised_pnl": "-0.0037175",
    "close_order": None, "size": "1", "cross_leverage_limit": "1", "pending_orders": "0", "adl_ranking": "5",
    "maintenance_rate": "0.01", "unrealised_pnl": "0.008", "user": "10406147", "leverage_max": "50",
    "history_pnl": "-5.50521537", "risk_limit": "500000", "margin": "1.49257625", "last_close_pnl": "-5.547508534",
    "liq_price": "60.07", "update_time": "1705052585", "update_id": "10", "initial_margin": "0",
    "maintenance_margin": "0", "open_time": "1705052585", "trade_max_size": "0",
}  # fmt: skip
MARKET = {
    "symbol": "LTC/USDT:USDT", "base": "LTC", "quote": "USDT", "settle": "USDT",
    "info": {"name": "LTC_USDT", "type": "direct", "quanto_multiplier": "0.1", "taker_fee_rate": "0.00075"},
}  # fmt: skip


def position_of(row):
    market = read_market(MARKET)
    (position,), gaps = read_positions([row], {("usdt", "LTC_USDT"): market}, "usdt", shared=False, now=NOW)
    assert gaps == ()
    return position


def test_a_recorded_row_reads_as_it_stood():
    position = position_of(LTC)
    assert (position.quantity, position.contract.contract_size) == (1, Decimal("0.1"))
    assert (position.isolated_wallet, position.leverage) == (Decimal("1.49257625"), 5)
    assert position.exchange_liquidation.price == Decimal("60.07")
    assert position.exchange_maintenance_margin is None  # "0" beside a rate of 1 %: not stated.


@pytest.mark.parametrize("rule", ["gate until 2025-07", "gate"])
def test_our_price_of_the_recorded_row_is_the_exchanges_to_the_tick(rule):
    """In its first tier the rule of before 2025-07 and the one of today are the same."""
    position, known = position_of(LTC), KNOWN_RULES[rule].rule
    tier = RiskTier(
        notional_floor=Decimal(0),
        notional_cap=Decimal(500000),
        maintenance_margin_rate=Decimal("0.01"),
        maintenance_amount=Decimal(0),
    )
    snapshot = AccountSnapshot(
        account="main",
        exchange="gate",
        asset_mode=AssetMode.SINGLE,
        positions=(position,),
        wallets=(),
        positions_read_at=position.updated_at,
        wallets_read_at=position.updated_at,
        exchange_margin_ratio=None,
    )
    tables = {position.key.symbol: TierTable.of((tier,))}
    (row,) = assess(snapshot, tables, RuleBook.uniform(known), position.updated_at).positions
    ours = shown_price(row.liquidation.price, position.side, known, Decimal("0.01"))
    assert ours == Decimal("60.07")
    assert abs(row.liquidation.price - ours) < Decimal("0.01")


def test_a_recorded_cross_row_without_a_price_has_none():
    """ccxt PR 18092 (2023-06-02): 36.617 USDT behind a position of 19 dollars, `liq_price` "0"."""
    row = LTC | {
        "leverage": "0", "cross_leverage_limit": "10", "size": "2", "entry_price": "90.22", "mark_price": "95.06",
        "margin": "36.61700759895", "value": "19.012", "liq_price": "0",
    }  # fmt: skip
    position = position_of(row)
    assert (position.margin_mode, position.isolated_wallet) == (MarginMode.CROSS, None)
    assert position.exchange_liquidation.kind is LiquidationKind.NONE
