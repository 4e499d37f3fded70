"""The owner's written terms: mode, ladder, budgets and rules, as config hands them over."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum

from guard.snapshot import MarginMode, Side


class Mode(IntEnum):
    """How free the daemon is. The strictest (smallest) of top level, account and rule holds."""

    OBSERVE = 0
    SHADOW = 1
    APPROVE = 2
    ACT = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Level(IntEnum):
    """How bad it is, in order (design ruling on levels)."""

    OK = 0
    WATCH = 1
    WARN = 2
    UNKNOWN = 3
    DANGER = 4
    CRITICAL = 5

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One rung of the ladder. Distances are fractions of the mark price."""

    level: Level
    distance: Decimal  # The rung is reached at or below this distance.
    sigmas: float | None  # At or below this many sigmas too; watch and warn only. None: not used.
    clear: Decimal  # It clears above this distance, held for `clear_for`.
    clear_for: timedelta
    hold: (
        timedelta | None
    )  # The TOML key `for`. None: the default (1 fresh read at critical, else 2 at least 5 s apart).
    repeat_interval: timedelta | None  # Told again while it lasts. None: never repeated.


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Watch, warn, danger and critical, in this order, each nearer to liquidation than the one before."""

    rungs: tuple[Rung, ...]


class AmountUnit(StrEnum):
    DOLLARS = "dollars"  # A bare number: dollar stablecoins 1:1, coins at mark.
    COIN = "coin"
    INITIAL_MARGINS = "initial_margins"  # "0.5x": of the position's initial margin when first seen.
    OF_EQUITY = "of_equity"  # "10%": only for a reserve.


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """An amount as the owner wrote it; policy turns it into the settle currency."""

    unit: AmountUnit
    value: Decimal  # Dollars, coin units, multiples, or a fraction of equity.
    coin: str | None = None  # Given exactly when unit is COIN.
    written: str = ""  # As it stands in the config, for messages.


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpTerms:
    """A rule's budget for adding margin to isolated positions. Distances are fractions of the mark price."""

    trigger: Decimal
    birth_cap: bool  # In force is the smaller of trigger and half the birth distance.
    target: Decimal
    max_per_action: Amount | None  # None: max_per_position.
    max_per_position: Amount | None  # None: no limit; config refuses that in act and approve.
    max_per_day: Amount | None  # This rule on this account, rolling 24 h. None as above.
    reserve: Amount
    cooldown: timedelta
    when_short_spend: bool  # `when_short = "spend"`: spend even though it cannot reach the clear level.
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The first rule that matches a position holds for it. Patterns are case-sensitive shell patterns."""

    name: str
    account: str
    symbol: str
    side: Side | None  # None: both.
    margin_mode: MarginMode | None  # None: both.
    mode: Mode | None  # None: puts no limit.
    ladder: Ladder
    top_up: TopUpTerms | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAgeLimits:
    stale_after: timedelta  # max(3 x poll interval, 15 s) unless written.
    blind_after: timedelta  # 120 s unless written.
    spend_within: timedelta = timedelta(seconds=5)  # Older facts or marks never move money.


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Everything the owner wrote that policy needs for one account."""

    account: str
    mode: Mode  # The stricter of top level and account; a rule may be stricter still.
    ladder: Ladder  # For what no rule matches, and for pools.
    rules: tuple[Rule, ...]  # In the order of the file.
    max_per_day_all: Amount | None  # [limits] max_per_day: everything together, rolling 24 h.
    data_age: DataAgeLimits
    model_gap_alert: Decimal = Decimal("0.1")  # |our price - theirs| as a share of the distance.
