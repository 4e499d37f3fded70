"""What policy answers: a verdict for each position and pool, what changed for people, and which top-ups to make."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from guard.margin.figures import AccountAssessment, PoolFigures, PositionFigures
from guard.outlook import Outlook
from guard.policy.memory import AlertState, Life
from guard.policy.stops import PricedStop
from guard.policy.terms import Level, Mode, Rule
from guard.snapshot import Gap, MarginMode, PositionKey


class WithheldReason(StrEnum):
    """Why a position whose trigger is breached gets no money. The first that holds is given."""

    NO_RULE = "no rule with a top_up matches"
    NOT_ISOLATED = "the position is cross"
    MODE = "the mode does not allow it"
    DISARMED = "disarmed"
    SPENDING_NOT_KNOWN = "the journal cannot say what was already spent"
    OUTCOME_UNKNOWN = "an earlier top-up of this position is not settled"
    DATA_TOO_OLD = "the data is too old to spend on"
    CONTRADICTION = "what the exchange says contradicts itself"
    NO_EFFECT = "the last two top-ups did not have their effect"
    RIVAL = "somebody else adds margin to it, too"
    EXCHANGE_TOPS_UP = "the exchange's own auto-margin is on"
    NOT_MODELLED = "the position cannot be modelled"
    NO_PRICE = "the coin has no dollar price"
    NO_INITIAL_MARGIN = "the position's initial margin is not known"
    COOLING_DOWN = "cooling down"
    POSITION_BUDGET_SPENT = "max_per_position is spent"
    RULE_DAY_BUDGET_SPENT = "the rule's max_per_day is spent"
    TOTAL_DAY_BUDGET_SPENT = "[limits] max_per_day is spent"
    RESERVE = "the reserve must stay"
    CROSS_POOL_NEEDS_IT = "the cross pool on the same wallet would end in danger"
    CANNOT_SAVE = "your budget cannot save this"
    OTHERS_FIRST = "the money goes to others first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    reason: WithheldReason
    text: str  # One sentence with the figures: "max_per_day 1,000: 990.00 spent, 10.00 left, 62.31 wanted".


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """A top-up that all limits allow now. It is checked again on a fresh read just before it is sent."""

    key: PositionKey
    rule: str
    amount: Decimal  # Settle currency, a multiple of the exchange's step.
    currency: str
    dollars: Decimal  # The same in US dollars, for the daily limits.
    trigger: Decimal  # In force.
    target: Decimal
    distance_before: Decimal
    distance_after: Decimal  # Expected at the present mark.
    liquidation_after: Decimal | None  # Expected. None: none at any positive price.
    cut_by: str | None  # Which limit made it smaller than wanted. None: not cut.
    priority: int
    mode: Mode  # ACT sends; SHADOW and APPROVE only say so.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionVerdict:
    """A position's row: figures, level, and where it stands against its rule. Money in the settle currency."""

    figures: PositionFigures
    outlook: Outlook
    level: Level
    reason: str
    rule: Rule | None
    trigger: Decimal | None  # In force. None: no top_up for it.
    trigger_note: str | None  # "8 % written, cut to 2.2 % by the birth distance". None: not cut.
    money_to_target: Decimal | None  # Margin that restores target (0: nothing needed). None: cross or not known.
    idle_margin: Decimal | None  # Margin beyond what target needs (0: none). None: as above.
    budget_left: Decimal | None  # What the limits leave for it now, without reserve. None: no budget or not known.
    spendable: Decimal | None  # What limits and reserve leave for it now.
    guarded_liquidation_price: Decimal | None  # After everything its backed budget may add. None: cross or none.
    top_up: TopUp | None
    withheld: Withheld | None
    stop: PricedStop | None = None  # The user's own that counts. None: there is none, or it is not known.
    stop_trouble: str | None = None  # Why that stop will not help. None: it comes before liquidation.
    stop_unpriced: str | None = None  # That there is a stop of which nobody knows where it stands. None: there is none.

    @property
    def key(self) -> PositionKey:
        return self.figures.key


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolVerdict:
    figures: PoolFigures
    level: Level
    reason: str
    reserve: (
        Decimal | None
    )  # The largest reserve that a rule asks to keep in this wallet. None: no rule spends from it.
    spendable: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One of several positions that need the same money, and too little of it: what saving it costs and is worth."""

    key: PositionKey
    currency: str  # Its settle currency: of all amounts.
    mode: Mode  # Below ACT it is only said.
    priority: int
    is_saved: bool  # The money brings it to its clear level, now or in several acts.
    amount: Decimal | None  # What it gets now. None: nothing.
    clear: Decimal  # Its clear level, a distance.
    money_to_clear: Decimal | None  # The price of saving it. None: no amount does.
    money_to_target: Decimal | None  # None: no amount does.
    loss_avoided: Decimal  # What a liquidation would take: its margin balance.

    @property
    def worth(self) -> Decimal:
        """Return the loss avoided per unit of money. Zero: no money saves it."""
        return self.loss_avoided / self.money_to_clear if self.money_to_clear else Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """What each breached position gets, or why not."""

    answers: Mapping[PositionKey, TopUp | Withheld]
    top_ups: tuple[TopUp, ...]  # In the order in which they are to be made.
    contenders: tuple[Contender, ...]  # Best placed first. Empty: there is money for everybody.


class AlertKind(StrEnum):
    ALERT = "alert"
    ACTION = "action"
    REFUSED = "refused"
    UNKNOWN_OUTCOME = "unknown_outcome"
    MODEL_GAP = "model_gap"
    STALE = "stale"
    BLIND = "blind"
    VANISHED = "vanished"
    HEARTBEAT = "heartbeat"
    DRILL = "drill"


class AlertEvent(StrEnum):
    FIRED = "fired"
    REPEATED = "repeated"
    ESCALATED = "escalated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something to tell people. Texts are made by notify from the verdict; `alert_id` is stable over repeats."""

    alert_id: str
    kind: AlertKind
    event: AlertEvent
    level: Level  # For a resolved alert: the level that ended.
    account: str
    happened_at: datetime
    key: PositionKey | None
    margin_mode: MarginMode | None
    reason: str
    position: PositionVerdict | None = None
    pool: PoolVerdict | None = None
    headline: str | None = None  # What it is called, as in STOP TOO LATE. None: after its kind and level.


class DataState(StrEnum):
    FRESH = "fresh"
    STALE = "stale"
    BLIND = "blind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One cycle's answer for one account."""

    assessment: AccountAssessment | None  # None: nothing was ever read.
    state: DataState
    level: Level
    positions: tuple[PositionVerdict, ...]
    pools: tuple[PoolVerdict, ...]
    gaps: tuple[Gap, ...]
    alerts: tuple[Alert, ...]
    # In the order in which they are to be made: what is done before what is only said; priority, then nearest to
    # liquidation, or in the order of triage where money is short.
    top_ups: tuple[TopUp, ...]
    alert_states: tuple[AlertState, ...]  # The next memory of the ladder, whole.
    new_lives: tuple[Life, ...]  # Positions seen for the first time.
    contenders: tuple[Contender, ...] = ()  # Best placed first. Empty: there is money for everybody who may have some.
    are_stops_known: bool = False  # The user's own stop orders were read.
