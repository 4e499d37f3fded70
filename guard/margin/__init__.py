"""The margin model: pools of collateral and positions, and everything that follows from two functions of the prices.

`margin_balance(P)` is collateral at its haircut plus unrealized PnL; `requirement(P)` is what the exchange holds it
against. A pool is liquidated where the first falls to the second. An isolated position is a pool of one.
"""

from guard.margin.added_margin import (
    birth_distance,
    distance_of,
    isolated_pool,
    liquidation_with_margin,
    margin_to_distance,
    with_margin,
)
from guard.margin.assess import assess
from guard.margin.cross import modelled_pool, pool_name
from guard.margin.figures import AccountAssessment, Crossings, PoolFigures, PositionFigures
from guard.margin.liquidation import bankruptcy_price, crossings, shock
from guard.margin.pool import Leg, MaintenanceBasis, MarginPool, MarginRule
from guard.margin.position import modelled_position
from guard.margin.reprice import reprice
from guard.margin.requirement import (
    Factors,
    contract_value,
    leg_of,
    maintenance_margin,
    margin_balance,
    margin_ratio,
    notional,
    pool_maintenance_margin,
    pool_requirement,
    requirement,
    unrealized_pnl,
)
from guard.margin.rows import decimal_text, pool_fields, position_fields

__all__ = [
    "AccountAssessment",
    "Crossings",
    "Factors",
    "Leg",
    "MaintenanceBasis",
    "MarginPool",
    "MarginRule",
    "PoolFigures",
    "PositionFigures",
    "assess",
    "bankruptcy_price",
    "birth_distance",
    "contract_value",
    "crossings",
    "decimal_text",
    "distance_of",
    "isolated_pool",
    "leg_of",
    "liquidation_with_margin",
    "maintenance_margin",
    "margin_balance",
    "margin_ratio",
    "margin_to_distance",
    "modelled_pool",
    "modelled_position",
    "notional",
    "pool_fields",
    "pool_maintenance_margin",
    "pool_name",
    "pool_requirement",
    "position_fields",
    "reprice",
    "requirement",
    "shock",
    "unrealized_pnl",
    "with_margin",
]
