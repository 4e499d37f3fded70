"""What is staged: the market's path, the positions, and the amounts that their owner would have written."""

from dataclasses import dataclass
from decimal import Decimal

from guard.snapshot import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedPosition:
    """An isolated position, opened at the first price of the path."""

    symbol: str  # The exchange's own, BTCUSDT.
    side: Side
    quantity: Decimal  # Base units.
    leverage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The rule's amounts, as they stand in the config."""

    target: str
    max_per_action: str | None
    max_per_position: str
    max_per_day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One show. Money in USDT."""

    title: str
    positions: tuple[StagedPosition, ...]
    free_margin: Decimal  # In the wallet beside the positions' margin.
    budget: Budget
    notes: tuple[str, ...] = ()  # What is not as on a real exchange, for people.


# Two coins falling in two hours as coins fall on bad days: slow, then all at once, and back a little.
CRASH_MINUTES = (0, 8, 18, 30, 38, 52, 60, 66, 71, 76, 82, 95, 120)
CRASH_PRICES: dict[str, tuple[str, ...]] = {
    "BTCUSDT": (
        "60000", "60240", "59100", "57600", "58200", "55900", "56300", "54600", "53100", "51400", "52700", "54000",
        "54800",
    ),
    "ETHUSDT": (
        "3000", "3016", "2945", "2862", "2890", "2755", "2772", "2660", "2560", "2390", "2480", "2560", "2610",
    ),
}  # fmt: skip
CRASH_POSITIONS = (
    StagedPosition(symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.5"), leverage=10),
    StagedPosition(symbol="ETHUSDT", side=Side.LONG, quantity=Decimal(4), leverage=5),
)
CRASH_BUDGET = Budget(target="12%", max_per_action="2000", max_per_position="3500", max_per_day="5000")

REPLAY_NOTIONAL = Decimal(10_000)  # Of each coin of a replayed market.
REPLAY_LEVERAGE = 10
REPLAY_BUDGET = Budget(target="16%", max_per_action=None, max_per_position="5x", max_per_day="20000")
