"""The margin model: pools of collateral and positions, and everything that follows from two functions of the prices.

`margin_balance(P)` is collateral at its haircut plus unrealized PnL; `requirement(P)` is what the exchange holds it
against. A pool is liquidated where the first falls to the second. An isolated position is a pool of one.
"""

from guard.margin.added_margin import (
    birth_distance,
    distance_of,
    idle_margin,
    liquidation_with_margin,
    margin_to_distance,
    margin_to_outlast,
    with_margin,
)
from guard.margin.assess import assess, cross_figures
from guard.margin.cross import pool_name
from guard.margin.figures import AccountAssessment, Crossings, PoolFigures, PositionFigures
from guard.margin.liquidation import bankruptcy_price, crossings, shock
from guard.margin.pool import HaircutBasis, Leg, MarginPool
from guard.margin.position import isolated_position
from guard.margin.present import PresentLeg, PresentPool, counted_value, obstacle_of
from guard.margin.reprice import reprice
from guard.margin.requirement import (
    Factors,
    at_prices,
    contract_value,
    gain_between,
    isolated_pool,
    leg_of,
    margin_balance,
    of_leg,
    pool_maintenance_margin,
    pool_requirement,
)
from guard.margin.rows import decimal_text, pool_fields, position_fields
from guard.margin.rule import HedgeNetting, MaintenanceBasis, MarginRule, RuleBook, ShownPrice, TierBasis
from guard.margin.tier_table import TierTable

__all__ = [
    "AccountAssessment",
    "Crossings",
    "Factors",
    "HaircutBasis",
    "HedgeNetting",
    "Leg",
    "MaintenanceBasis",
    "MarginPool",
    "MarginRule",
    "PoolFigures",
    "PositionFigures",
    "PresentLeg",
    "PresentPool",
    "RuleBook",
    "ShownPrice",
    "TierBasis",
    "TierTable",
    "assess",
    "at_prices",
    "bankruptcy_price",
    "birth_distance",
    "contract_value",
    "counted_value",
    "cross_figures",
    "crossings",
    "decimal_text",
    "distance_of",
    "gain_between",
    "idle_margin",
    "isolated_pool",
    "isolated_position",
    "leg_of",
    "liquidation_with_margin",
    "margin_balance",
    "margin_to_distance",
    "margin_to_outlast",
    "obstacle_of",
    "of_leg",
    "pool_fields",
    "pool_maintenance_margin",
    "pool_name",
    "pool_requirement",
    "position_fields",
    "reprice",
    "shock",
    "with_margin",
]
