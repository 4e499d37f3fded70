"""What was seen at an exchange, as values: no figure in here was computed by us."""

from guard.snapshot.account import (
    AccountSnapshot,
    AssetMode,
    Collateral,
    Gap,
    HaircutTier,
    Mark,
    Position,
    PositionKey,
    Wallet,
)
from guard.snapshot.adjustment import MarginBefore, MarginChange, MarginRequest, Outcome, Settlement
from guard.snapshot.contract import (
    Contract,
    ContractKind,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Purse,
    RiskTier,
    Side,
)
from guard.snapshot.money import DOLLAR_STABLECOINS, Money
from guard.snapshot.order import EndKind, PositionEnding, StopOrder

__all__ = [
    "DOLLAR_STABLECOINS",
    "AccountSnapshot",
    "AssetMode",
    "Collateral",
    "Contract",
    "ContractKind",
    "EndKind",
    "Gap",
    "HaircutTier",
    "Liquidation",
    "LiquidationKind",
    "MarginBefore",
    "MarginChange",
    "MarginMode",
    "MarginRequest",
    "Mark",
    "Money",
    "Outcome",
    "Position",
    "PositionEnding",
    "PositionKey",
    "Purse",
    "RiskTier",
    "Settlement",
    "Side",
    "StopOrder",
    "Wallet",
]
