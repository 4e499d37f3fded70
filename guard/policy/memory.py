"""What policy must remember between two cycles. The journal keeps it; policy only reads it and returns the next one."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

from guard.policy.terms import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.snapshot import PositionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One position's life: from first seen until its size is proven 0 or its side flips (24 h re-entry inherits).

    Money is in the settle currency.
    """

    life_id: str
    key: "PositionKey"
    first_seen_at: datetime
    birth_distance: Decimal | None  # At entry with entry notional / leverage as wallet. None: leverage not known.
    initial_margin: Decimal | None  # Entry notional / leverage when first seen. None: leverage not known.
    spent: Decimal  # Applied and open intents of this life (an unsettled intent counts as spent).
    last_top_up_at: datetime | None
    has_open_intent: bool  # One whose request may still be executed: it locks the position.
    misses: int = 0  # Acts in a row that did not have their effect; two stop acting on it.
    rival: str | None = None  # What somebody else added together with an act of ours: it stops acting. None: nothing.


@dataclass(frozen=True, slots=True, kw_only=True)
class Legacy:
    """What a position goes on with that opens now: of a life that ended within 24 h, or of before the journal.

    Money is in the settle currency.
    """

    spent: Decimal
    last_top_up_at: datetime | None
    has_open_intent: bool


NO_LEGACY = Legacy(spent=Decimal(0), last_top_up_at=None, has_open_intent=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One rung under one subject: an alarm with its own `for` on the way in and its own `clear` on the way out.

    Every rung counts for itself, so that readings that swing between two rungs delay neither of them.
    """

    level: Level
    in_force: bool = False
    turning_since: datetime | None = None  # Since when fresh reads say the opposite of `in_force`. None: they agree.
    turning_reads: int = 0
    by_sigmas: bool = False  # In force by sigmas alone: sigmas that go missing must not clear it.


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """Where one subject stands on the ladder, and what was told of it."""

    subject: str  # "position BTC/USDT:USDT long", "pool USDT cross", "account" and others: guard/policy/subjects.py.
    level: Level  # The level in force, after hysteresis: the worst hold in force.
    since: datetime  # When this level was reached.
    holds: tuple[Hold, ...] = ()
    seen_at: datetime | None = None  # The last fresh read that showed it. None: not seen yet.
    alert_id: str | None = None  # Of the alert that is being told; stable over repeats. None: nothing is being told.
    told_level: Level | None = None  # The worst level told under this alert id.
    told_at: datetime | None = None  # When it was last told.


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything remembered of one account."""

    armed: bool
    disarmed_because: str | None  # Why not armed, for people. None: armed.
    lives: "Mapping[PositionKey, Life]" = field(default_factory=lambda: MappingProxyType({}))
    legacies: "Mapping[PositionKey, Legacy]" = field(default_factory=lambda: MappingProxyType({}))  # Of no open life.
    alerts: "Mapping[str, AlertState]" = field(default_factory=lambda: MappingProxyType({}))
    # Dollars moved in the rolling 24 h, applied and open intents: by rule of this account; of all accounts together.
    spent_today_by_rule: "Mapping[str, Decimal]" = field(default_factory=lambda: MappingProxyType({}))
    spent_today_all: Decimal = Decimal(0)
    # By currency: what requests that are not settled may yet take out of its wallets, whatever they showed.
    unsettled: "Mapping[str, Decimal]" = field(default_factory=lambda: MappingProxyType({}))
    spending_known: bool = True  # False: the journal cannot tell what was spent, so nobody spends and budgets are null.
