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
    with_margin,
)
from guard.margin.assess import assess, cross_figures
from guard.margin.book import Book, BookPool, Holding, book_of, cross_book_pool, isolated_book_pool
from guard.margin.book_figures import PoolState, state_of, states_of
from guard.margin.compare import Comparison, Hedge, MarginSource, Reason, ReasonKind, Stand, Variant, compare
from guard.margin.cross import pool_name
from guard.margin.ends import assets_of
from guard.margin.figures import AccountAssessment, Crossings, PoolFigures, PositionFigures
from guard.margin.liquidation import bankruptcy_price, crossings, shock
from guard.margin.order import Effect, Market, Order, Outcome, Refusal, RefusalKind, Shift, Terms, market_of
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
from guard.margin.rule import HedgeNetting, MaintenanceBasis, MarginRule, ShownPrice, TierBasis
from guard.margin.shock_path import Shock
from guard.margin.stress import market_ends, market_ratios, stress
from guard.margin.stress_report import Closure, Death, Fate, MarketEnds, PoolOutcome, StressReport
from guard.margin.stress_rows import pool_end_fields, stress_fields
from guard.margin.tier_table import TierTable
from guard.margin.whatif import shifts, what_if

__all__ = [
    "AccountAssessment",
    "Book",
    "BookPool",
    "Closure",
    "Comparison",
    "Crossings",
    "Death",
    "Effect",
    "Factors",
    "Fate",
    "HaircutBasis",
    "Hedge",
    "HedgeNetting",
    "Holding",
    "Leg",
    "MaintenanceBasis",
    "MarginPool",
    "MarginRule",
    "MarginSource",
    "Market",
    "MarketEnds",
    "Order",
    "Outcome",
    "PoolFigures",
    "PoolOutcome",
    "PoolState",
    "PositionFigures",
    "PresentLeg",
    "PresentPool",
    "Reason",
    "ReasonKind",
    "Refusal",
    "RefusalKind",
    "Shift",
    "Shock",
    "ShownPrice",
    "Stand",
    "StressReport",
    "Terms",
    "TierBasis",
    "TierTable",
    "Variant",
    "assess",
    "assets_of",
    "at_prices",
    "bankruptcy_price",
    "birth_distance",
    "book_of",
    "compare",
    "contract_value",
    "counted_value",
    "cross_book_pool",
    "cross_figures",
    "crossings",
    "decimal_text",
    "distance_of",
    "gain_between",
    "idle_margin",
    "isolated_book_pool",
    "isolated_pool",
    "isolated_position",
    "leg_of",
    "liquidation_with_margin",
    "margin_balance",
    "margin_to_distance",
    "market_ends",
    "market_of",
    "market_ratios",
    "obstacle_of",
    "of_leg",
    "pool_end_fields",
    "pool_fields",
    "pool_maintenance_margin",
    "pool_name",
    "pool_requirement",
    "position_fields",
    "reprice",
    "shifts",
    "shock",
    "state_of",
    "states_of",
    "stress",
    "stress_fields",
    "what_if",
    "with_margin",
]
