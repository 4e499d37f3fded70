"""What the Gate server lists: contracts with their tiers, as in the docs (futures, v4.106.88 of 2026-05)."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

TierRow = tuple[str, str, str]  # Risk limit, maintenance rate, deduction.


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    symbol: str
    market: str
    settle: str
    kind: str  # direct, inverse.
    multiplier: str
    tick: Decimal
    tiers: tuple[TierRow, ...]
    taker: str = "0.00075"

    @property
    def size(self) -> Decimal:
        return Decimal(self.multiplier) or Decimal(1)

    @property
    def inverse(self) -> bool:
        return self.kind == "inverse"


BTC_TIERS = (("100000", "0.004", "0"), ("1200000", "0.005", "100"), ("10000000", "0.01", "6100"))
ETH_TIERS = (("5000", "0.004", "0"), ("1000000", "0.005", "5"))
COIN_TIERS = (("100", "0.005", "0"), ("500", "0.01", "0.5"))

_ALL = (
    Listed(
        symbol="BTC/USDT:USDT", market="BTC_USDT", settle="usdt", kind="direct", multiplier="0.0001",
        tick=Decimal("0.1"), tiers=BTC_TIERS,
    ),
    Listed(
        symbol="ETH/USDT:USDT", market="ETH_USDT", settle="usdt", kind="direct", multiplier="0.01",
        tick=Decimal("0.01"), tiers=ETH_TIERS,
    ),
    Listed(
        symbol="BTC/USD:BTC", market="BTC_USD", settle="btc", kind="inverse", multiplier="0",
        tick=Decimal("0.1"), tiers=COIN_TIERS,
    ),
    # A contract with a standard rate of its own, and one that settles in a coin that is neither base nor quote.
    Listed(
        symbol="XAU/USDT:USDT", market="XAU_USDT", settle="usdt", kind="direct", multiplier="0.001",
        tick=Decimal("0.01"), tiers=ETH_TIERS, taker="0.0005",
    ),
    Listed(
        symbol="ETH/USD:BTC", market="ETH_USD", settle="btc", kind="direct", multiplier="0.000001",
        tick=Decimal("0.01"), tiers=COIN_TIERS,
    ),
)  # fmt: skip
MANY = tuple(
    Listed(
        symbol=f"C{n}/USDT:USDT", market=f"C{n}_USDT", settle="usdt", kind="direct", multiplier="1",
        tick=Decimal("0.001"), tiers=ETH_TIERS,
    )
    for n in range(150)
)  # fmt: skip
LISTED: dict[str, Listed] = {one.symbol: one for one in (*_ALL, *MANY)}
OF_MARKET: dict[tuple[str, str], Listed] = {(one.settle, one.market): one for one in LISTED.values()}


def contract(one: Listed) -> dict[str, Any]:
    """A row of GET /futures/{settle}/contracts."""
    return {
        "name": one.market, "type": one.kind, "quanto_multiplier": one.multiplier, "leverage_min": "1",
        "leverage_max": "100", "maintenance_rate": one.tiers[0][1], "mark_type": "index", "mark_price": "1",
        "index_price": "1", "last_price": "1", "maker_fee_rate": "-0.0001", "taker_fee_rate": one.taker,
        "order_price_round": f"{one.tick:f}", "mark_price_round": f"{one.tick:f}", "funding_rate": "0.0001",
        "funding_interval": 28800, "funding_next_apply": 1784131200, "risk_limit_base": "100000",
        "risk_limit_step": "0", "risk_limit_max": one.tiers[-1][0], "order_size_min": "1", "order_size_max": "1000000",
        "order_price_deviate": "0.5", "ref_discount_rate": "0", "ref_rebate_rate": "0.2", "orderbook_id": 1,
        "trade_id": 1, "trade_size": "1", "position_size": "1", "config_change_time": 1782119113, "in_delisting": False,
        "orders_limit": 100, "enable_bonus": True, "enable_credit": True, "create_time": 1758124392,
        "funding_cap_ratio": "1", "status": "trading", "enable_decimal": False,
    }  # fmt: skip
