"""What each limit leaves for one position now, in its settle currency, and a sentence that says so."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from guard.margin.figures import AccountAssessment, PoolFigures, PositionFigures
from guard.margin.pool import Leg, MarginPool
from guard.policy.cross_room import room_of
from guard.policy.decision import DataState, Withheld, WithheldReason
from guard.policy.ladder import rung_distance
from guard.policy.memory import Life, Memory
from guard.policy.phrases import money_left, percent
from guard.policy.prices import DollarPrices, in_dollars, in_settle
from guard.policy.terms import Amount, AmountUnit, Level, Mode, Rule, Terms, TopUpTerms
from guard.snapshot import AssetMode, MarginMode, PositionKey, Purse, Wallet

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One isolated position under a rule with a budget. Money is in its settle currency."""

    figures: PositionFigures
    rule: Rule
    top_up: TopUpTerms
    mode: Mode
    life: Life | None
    level: Level  # Of this moment.
    trigger: Decimal  # In force.
    leg: Leg | None  # None: not modelled.
    pool: MarginPool | None  # As nearly liquidated as the nearer of our price and the exchange's says.
    step: Decimal

    @property
    def key(self) -> PositionKey:
        return self.figures.key

    @property
    def settle(self) -> str:
        return self.figures.position.contract.settle

    @property
    def purse(self) -> Purse:
        return self.figures.position.contract.purse

    @property
    def is_breached(self) -> bool:
        return self.figures.distance is not None and self.figures.distance <= self.trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Money that is spoken for in this decision: for whoever comes later it is gone."""

    key: PositionKey
    rule: str
    purse: Purse
    amount: Decimal
    dollars: Decimal  # The same in US dollars.
    mode: Mode

    @property
    def currency(self) -> str:
        return self.purse.currency

    def takes_from(self, case: Case, limit: WithheldReason) -> bool:
        """Say whether it leaves a position less of a limit: what is only said takes nothing from what is done."""
        if self.mode < case.mode:
            return False
        match limit:
            case WithheldReason.RULE_DAY_BUDGET_SPENT:
                return self.rule == case.rule.name
            case WithheldReason.RESERVE | WithheldReason.CROSS_POOL_NEEDS_IT:
                return self.purse == case.purse
            case _:
                return limit is WithheldReason.TOTAL_DAY_BUDGET_SPENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What lies on the table for every position of one decision."""

    assessment: AccountAssessment
    memory: Memory
    terms: Terms
    prices: DollarPrices  # Of several marks of a coin by the highest.
    lowest: DollarPrices  # By the lowest.
    state: DataState
    now: datetime
    claims: tuple[Claim, ...] = ()  # Of others in this decision.
    cross_rooms: dict[Purse, Decimal] = field(default_factory=dict)  # Computed once, when first asked for.

    def beside(self, claims: Iterable[Claim]) -> "Desk":
        return replace(self, claims=tuple(claims))

    def claimed(self, case: Case, limit: WithheldReason) -> Iterator[Claim]:
        return (claim for claim in self.claims if claim.takes_from(case, limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one limit leaves. `left` is never negative."""

    reason: WithheldReason  # Given where nothing is left.
    name: str
    left: Decimal
    text: str


def rooms(case: Case, desk: Desk) -> tuple[Room, ...] | Withheld:
    """Return what each limit leaves for the position in total, the most fundamental first; or why that is not known."""
    if case.settle not in desk.prices:
        return Withheld(
            reason=WithheldReason.NO_PRICE,
            text=f"{case.settle} has no dollar price: no position of this account is marked in it",
        )
    found: list[Room] = []
    for room in (_position_room, _rule_day_room, _all_day_room, _reserve_room, _cross_room):
        answer = room(case, desk)
        if isinstance(answer, Withheld):
            return answer
        if answer is not None:
            found.append(answer)
    return tuple(found)


def action_room(case: Case, desk: Desk) -> Room | Withheld | None:
    """Return what one act may spend. None: max_per_position alone bounds it."""
    written = case.top_up.max_per_action
    if written is None:
        return None
    limit = _settle_amount(written, case, desk, "max_per_action")
    if isinstance(limit, Withheld):
        return limit
    text = (
        f"max_per_action {written.written or money_left(limit, case.settle)} is below the exchange's step {case.step}"
    )
    reason = WithheldReason.POSITION_BUDGET_SPENT
    return Room(reason=reason, name="max_per_action", left=max(ZERO, limit), text=text)


def smallest(found: Sequence[Room]) -> Room | None:
    """Return the limit that leaves least. None: there is no limit."""
    return min(found, key=lambda room: room.left, default=None)


def reserve_of(top_up: TopUpTerms, wallet: Wallet, desk: Desk, life: Life | None = None) -> Decimal | None:
    """Return what must stay available in a wallet, in its currency. None: a price or initial margin is not known."""
    equity = wallet.cross_wallet_balance + wallet.cross_unrealized_pnl
    margin = None if life is None else life.initial_margin
    return in_settle(
        top_up.reserve, wallet.currency, initial_margin=margin, equity=equity, prices=desk.lowest, worth=desk.prices
    )


def _position_room(case: Case, desk: Desk) -> Room | Withheld | None:
    written = case.top_up.max_per_position
    if written is None:
        return None
    limit = _settle_amount(written, case, desk, "max_per_position")
    if isinstance(limit, Withheld):
        return limit
    spent = ZERO if case.life is None else case.life.spent
    return _spent_room(
        WithheldReason.POSITION_BUDGET_SPENT, "max_per_position", limit=limit, spent=spent, currency=case.settle
    )


def _rule_day_room(case: Case, desk: Desk) -> Room | Withheld | None:
    written = case.top_up.max_per_day
    if written is None:
        return None
    limit = _settle_amount(written, case, desk, f"max_per_day of rule {case.rule.name}")
    if isinstance(limit, Withheld):
        return limit
    reason = WithheldReason.RULE_DAY_BUDGET_SPENT
    claimed = sum((claim.dollars for claim in desk.claimed(case, reason)), ZERO)
    # What was spent under a name that no rule bears any more counts for each: a new name is no new budget.
    others = {rule.name for rule in desk.terms.rules} - {case.rule.name}
    spent = claimed + sum((d for name, d in desk.memory.spent_today_by_rule.items() if name not in others), ZERO)
    return _spent_room(
        reason,
        f"max_per_day of rule {case.rule.name}",
        limit=limit,
        spent=spent / desk.prices[case.settle],
        currency=case.settle,
    )


def _all_day_room(case: Case, desk: Desk) -> Room | Withheld | None:
    written = desk.terms.max_per_day_all
    if written is None:
        return None
    limit = _settle_amount(written, case, desk, "[limits] max_per_day")
    if isinstance(limit, Withheld):
        return limit
    reason = WithheldReason.TOTAL_DAY_BUDGET_SPENT
    spent = desk.memory.spent_today_all + sum((claim.dollars for claim in desk.claimed(case, reason)), ZERO)
    return _spent_room(
        reason,
        "[limits] max_per_day",
        limit=limit,
        spent=spent / desk.prices[case.settle],
        currency=case.settle,
    )


def _reserve_room(case: Case, desk: Desk) -> Room | Withheld:
    wallet = desk.assessment.snapshot.wallet(*case.purse)
    if wallet is None:
        text = f"the {case.purse} wallet was not seen: what is available is not known"
        return Withheld(reason=WithheldReason.RESERVE, text=text)
    reserve = reserve_of(case.top_up, wallet, desk, case.life)
    if reserve is None:
        return _not_known(case.top_up.reserve, case, "reserve")
    available = wallet.available - _claimed_amount(case, desk)
    text = f"reserve {money_left(reserve, case.settle)} must stay: {money_left(available, case.settle)} available"
    return Room(
        reason=WithheldReason.RESERVE, name="the reserve", left=max(ZERO, available - max(ZERO, reserve)), text=text
    )


def _cross_room(case: Case, desk: Desk) -> Room | None:
    pool = next((pool for pool in desk.assessment.pools if pool.purse == case.purse), None)
    leaning = _leaning(case, desk)
    if not leaning:
        return None
    danger = rung_distance(desk.terms.ladder, Level.DANGER)
    name = f"the {case.purse} cross pool"
    if pool is None or pool.pool is None:
        text = f"{name} cannot be modelled: what it needs is not known, and cross comes first"
    else:
        text = f"{name} comes first: with less in it, it would end at {percent(danger)} from liquidation or nearer"
    if case.purse not in desk.cross_rooms:
        desk.cross_rooms[case.purse] = _room_beside(pool, danger, case, desk)
    left = desk.cross_rooms[case.purse] - _claimed_amount(case, desk)
    return Room(reason=WithheldReason.CROSS_POOL_NEEDS_IT, name=name, left=max(ZERO, left), text=text)


def _leaning(case: Case, desk: Desk) -> bool:
    """Say whether a cross position leans on the wallet that pays, or may: in multi-assets mode every one does."""
    snapshot = desk.assessment.snapshot
    is_multi = snapshot.asset_mode is AssetMode.MULTI
    if snapshot.unseen_in_cross(None if is_multi else case.settle, case.purse.name):
        return True
    return any(
        position.margin_mode is MarginMode.CROSS and (is_multi or position.contract.purse == case.purse)
        for position in snapshot.positions
    )


def _room_beside(pool: PoolFigures | None, danger: Decimal, case: Case, desk: Desk) -> Decimal:
    wallet = desk.assessment.snapshot.wallet(*case.purse)
    if pool is None or pool.pool is None or wallet is None:
        return ZERO
    if pool.distance is not None and pool.distance <= danger:  # By the exchange's price, too, which no model moves.
        return ZERO
    return room_of(pool.pool, danger=danger, most=max(ZERO, wallet.available), step=case.step)


def _claimed_amount(case: Case, desk: Desk) -> Decimal:
    """Return what else may leave the wallet: others' claims in this decision, and requests that are not settled."""
    claimed = sum((claim.amount for claim in desk.claimed(case, WithheldReason.RESERVE)), ZERO)
    return claimed + desk.memory.unsettled.get(case.settle, ZERO)


def _settle_amount(written: Amount, case: Case, desk: Desk, name: str) -> Decimal | Withheld:
    margin = None if case.life is None else case.life.initial_margin
    limit = in_settle(written, case.settle, initial_margin=margin, equity=None, prices=desk.prices, worth=desk.lowest)
    return _not_known(written, case, name) if limit is None else limit


def _not_known(written: Amount, case: Case, name: str) -> Withheld:
    if written.unit is AmountUnit.INITIAL_MARGINS:
        text = f"{name} {written.written} is of the initial margin, which is not known: the exchange states no leverage"
        return Withheld(reason=WithheldReason.NO_INITIAL_MARGIN, text=text)
    text = f"{name} {written.written}: {written.coin or case.settle} has no dollar price"
    return Withheld(reason=WithheldReason.NO_PRICE, text=text)


def _spent_room(reason: WithheldReason, name: str, *, limit: Decimal, spent: Decimal, currency: str) -> Room:
    left = max(ZERO, limit - spent)
    text = (
        f"{name} {money_left(limit, currency)}: {money_left(spent, currency)} spent, {money_left(left, currency)} left"
    )
    return Room(reason=reason, name=name, left=left, text=text)


def most_left(found: Sequence[Room]) -> Decimal | None:
    """Return what all limits together leave. None: there is no limit."""
    room = smallest(found)
    return None if room is None else room.left


def in_full_dollars(amount: Decimal, case: Case, desk: Desk) -> Decimal:
    """Return an amount in dollars, for the daily limits. The currency's price is known: `rooms` asked for it."""
    dollars = in_dollars(amount, case.settle, desk.prices)
    assert dollars is not None, "rooms() refuses a currency without a price"
    return dollars
