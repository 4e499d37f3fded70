"""One top-up: the intent on disk, one request, its outcome. What stays open is settled by reading only."""

import asyncio
import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from guard.errors import JournalError, OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.journal import DATA_AGES, Intent, IntentState, Journal
from guard.margin.figures import PositionFigures
from guard.policy.decision import TopUp
from guard.policy.terms import Mode
from guard.snapshot import Liquidation, LiquidationKind, MarginBefore, MarginRequest, Outcome, Settlement, Side
from guard.venues.protocol import Venue

# One funding payment at a usual cap of the rate may leave the margin between the two reads that are compared.
FUNDING_RATE_MAX = Decimal("0.003")
CLOCK_SLACK = timedelta(minutes=1)  # How much earlier than our own clock an exchange may date an entry.

_ENDS = {Outcome.APPLIED: IntentState.APPLIED, Outcome.NOT_APPLIED: IntentState.NOT_APPLIED}


async def top_up(
    plan: TopUp,
    *,
    venue: Venue,
    journal: Journal,
    account: str,
    life_id: str,
    hedged: bool,
    facts_before: str,
    now: Callable[[], datetime],
) -> Intent:
    """Add margin to a position once, and return how it ended: APPLIED, REFUSED or UNKNOWN.

    Raises JournalError: before the request, then nothing was sent; after it, then the intent stays open on disk.
    Cancelled or failing in any other way during the request, the intent stays SENT: unknown until settled.
    """
    assert plan.mode is Mode.ACT
    assert venue.account == account
    assert venue.write_terms.test_host, "law 11: act is for loopback, testnet and demo hosts until simulation proved it"
    intent = _intent_of(plan, account=account, life_id=life_id, hedged=hedged, facts_before=facts_before, at=now())
    journal.plan(intent)
    intent = journal.sent(intent.intent_id, now())
    _waited(journal, intent)
    try:
        confirmation = await venue.add_margin(request_of(intent))
    except VenueRefused as refusal:
        return _settle(journal, intent, IntentState.REFUSED, now(), f"{refusal} (code {refusal.code})")
    except OutcomeUnknown as lost:
        return _settle(journal, intent, IntentState.UNKNOWN, now(), str(lost))
    return _settle(journal, intent, IntentState.APPLIED, now(), confirmation)


def told_apart(plan: TopUp, unsettled: Iterable[Intent], step: Decimal) -> TopUp | None:
    """Return the plan with an amount that no unsettled intent of its symbol has: so no history entry fits two.

    It is made smaller by single steps, for the limits have been asked already. None: nothing is left.
    """
    taken = {intent.amount for intent in unsettled if intent.key.symbol == plan.key.symbol}
    amount = plan.amount
    while amount in taken:
        amount -= step
    if amount <= 0:
        return None
    return plan if amount == plan.amount else replace(plan, amount=amount, dollars=plan.dollars / plan.amount * amount)


async def settle_open(
    journal: Journal,
    venue: Venue,
    account: str,
    now: Callable[[], datetime],
    *,
    which: Callable[[Intent], bool] = lambda _: True,
) -> tuple[Intent, ...]:
    """Ask the exchange how every open intent, of those wanted, ended; return those that have an end now.

    What stays open locks its position only. Raises KeysRefused and JournalError.
    """
    ended: list[Intent] = []
    for intent in filter(which, journal.open_intents(account)):
        try:
            settled = await _settle_by_records(journal, venue, intent, now)
        except VenueUnavailable:
            continue  # Nothing is known and nothing is concluded; asked again in the next cycle.
        if not settled.state.is_open:
            ended.append(settled)
    return tuple(ended)


def effect_missed(intent: Intent, before: PositionFigures, after: PositionFigures) -> str | None:
    """Return in what an applied act missed its effect; None: margin and liquidation price moved as they should.

    Looks at margin and liquidation price, not at distance: the market moves meanwhile (law 6). A position whose size or
    entry changed in between was traded, or closed and opened again: it cannot be judged and is not blamed.
    """
    was, now = before.position, after.position
    if (was.quantity, was.entry_price) != (now.quantity, now.entry_price):
        return None
    return _margin_missed(intent, before, after) or _liquidation_missed(before, after)


def request_of(intent: Intent) -> MarginRequest:
    return MarginRequest(key=intent.key, hedged=intent.hedged, amount=intent.amount, currency=intent.currency)


def _intent_of(plan: TopUp, *, account: str, life_id: str, hedged: bool, facts_before: str, at: datetime) -> Intent:
    return Intent(
        intent_id=f"{at:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        account=account,
        key=plan.key,
        life_id=life_id,
        rule=plan.rule,
        hedged=hedged,
        amount=plan.amount,
        currency=plan.currency,
        dollars=plan.dollars,
        planned_at=at,
        state=IntentState.PLANNED,
        reason=plan.reason,
        facts_before=facts_before,
    )


def _settle(journal: Journal, intent: Intent, state: IntentState, at: datetime, evidence: str) -> Intent:
    try:
        return journal.settle(intent.intent_id, state, at=at, evidence=evidence)
    except JournalError as error:
        raise JournalError(
            f"{intent.key}: {intent.amount:f} {intent.currency} went out and ended as {state.value} ({evidence}), "
            f"but it stays open on disk as intent {intent.intent_id}: {error}"
        ) from error


async def _settle_by_records(journal: Journal, venue: Venue, intent: Intent, now: Callable[[], datetime]) -> Intent:
    waited = _waited(journal, intent)
    await _prove_earlier(journal, venue, intent, now)
    settlement = await _ask(journal, venue, intent, now())
    if settlement.outcome is Outcome.NOT_APPLIED and waited < venue.write_terms.fence:
        # The wall clock may have stepped: the fence is over only when this process has waited it out itself.
        settlement = replace(
            settlement, outcome=Outcome.UNKNOWN, evidence="not in the records yet; its time is not over"
        )
    return journal.settle(
        intent.intent_id,
        _ENDS.get(settlement.outcome, IntentState.UNKNOWN),
        at=now(),
        evidence=settlement.evidence,
        entry_id=settlement.entry_id,
    )


async def _prove_earlier(journal: Journal, venue: Venue, intent: Intent, now: Callable[[], datetime]) -> None:
    """Give earlier confirmed acts their history entries first, so that none of these passes for the lost one."""
    since = intent.planned_at - venue.write_terms.fence - CLOCK_SLACK
    for earlier in journal.unproven(intent.account, intent.key.symbol, since):
        settlement = await _ask(journal, venue, earlier, now())
        if settlement.outcome is Outcome.APPLIED and settlement.entry_id is not None:
            journal.prove(earlier.intent_id, settlement.entry_id, at=now())


async def _ask(journal: Journal, venue: Venue, intent: Intent, now: datetime) -> Settlement:
    known = journal.proving_entries(intent.account)
    settlement = await venue.settle(
        # A planned intent may have been sent in the instant before a crash: its plan is the earliest it can have been.
        replace(request_of(intent), before=_before(intent, journal.added_since(intent))),
        sent_at=intent.sent_at or intent.planned_at,
        now=now,
        known_entries=known,
    )
    assert settlement.entry_id not in known, "an entry proves one intent"
    return settlement


def _before(intent: Intent, added_since: Decimal | None) -> MarginBefore | None:
    """Return the position as it was read before an intent; None when that was not written down."""
    facts = json.loads(intent.facts_before)
    names = ("isolated_wallet", "quantity", "entry_price", "mark_price")
    margin, quantity, entry_price, mark_price = (facts.get(name) for name in names)
    age_s = facts.get(DATA_AGES, {}).get("positions")
    if margin is None or quantity is None or entry_price is None or mark_price is None or age_s is None:
        return None
    return MarginBefore(
        margin=Decimal(margin),
        quantity=Decimal(quantity),
        entry_price=Decimal(entry_price),
        mark_price=Decimal(mark_price),
        read_at=intent.planned_at - timedelta(seconds=age_s),
        added_since=added_since,
    )


def _waited(journal: Journal, intent: Intent) -> timedelta:
    return journal.waited(intent.intent_id, asyncio.get_running_loop().time())


def _margin_missed(intent: Intent, before: PositionFigures, after: PositionFigures) -> str | None:
    had, has = before.position.isolated_wallet, after.position.isolated_wallet
    if had is None or has is None:
        return f"{intent.key} has no margin of its own: it is not isolated"
    funding = min(before.notional * FUNDING_RATE_MAX, intent.amount / 2)  # Half must be seen whatever was paid.
    if has - had >= intent.amount - funding:
        return None
    return f"its margin went from {had:f} to {has:f} {intent.currency}, {intent.amount:f} were added"


def _liquidation_missed(before: PositionFigures, after: PositionFigures) -> str | None:
    side = before.position.side
    if _came_nearer(side, before.liquidation, after.liquidation, may_stay=False):
        return f"its liquidation price went from {before.liquidation.price:f} to {after.liquidation.price:f}"
    theirs = before.position.exchange_liquidation, after.position.exchange_liquidation
    if _came_nearer(side, *theirs, may_stay=True):  # Rounded to ticks: a small act may not show.
        return f"the exchange's liquidation price went from {theirs[0].price:f} to {theirs[1].price:f}"
    return None


def _came_nearer(side: Side, before: Liquidation, after: Liquidation, *, may_stay: bool) -> bool:
    """Say whether a liquidation price moved towards the mark. Only two prices can be compared."""
    if before.kind is not LiquidationKind.AT or after.kind is not LiquidationKind.AT:
        return False
    assert before.price is not None
    assert after.price is not None
    moved_away = (before.price - after.price) * side
    return moved_away < 0 or (moved_away == 0 and not may_stay)
