"""What OKX's bills and a position's margin prove of a request whose answer was lost.

A bill of a margin transfer does not name the side: of two open legs the margin itself tells which one it was.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from guard.errors import VenueUnavailable
from guard.snapshot import MarginRequest, Outcome, Position, Settlement
from guard.venues.margin_difference import settle_by_margin
from guard.venues.okx_bills import ADDED_BY_HAND, MARGIN_TRANSFER, entry_of, read_bills
from guard.venues.okx_market import server_time
from guard.venues.okx_rows import Bill, ms
from guard.venues.protocol import WriteTerms

FUNDING = "8"  # Bill type.
CLOCK_TOLERANCE = timedelta(seconds=2)  # Between a request's start and the time the exchange books it under.
# How much earlier than its written start a request may be booked: our clock may have run ahead when it was sent, by as
# much as the exchange bears, and may have been set since. Earlier entries of the guard's own are known by then.
BOOKED_EARLIER_MAX = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A request whose answer was lost, and how its position is read."""

    request: MarginRequest
    inst_id: str
    sent_at: datetime
    now: datetime
    skew: timedelta  # The exchange's clock minus ours.
    known_entries: frozenset[str]
    read_position: Callable[[], Awaitable[Position | None]]
    has_both_legs: bool  # The instrument's other side is open as well, and bills do not name the side.


async def settle(client: Any, lost: Lost, terms: WriteTerms) -> Settlement:
    """Look for the request in the bills, and in the position's margin.

    Applied as soon as a bill shows it (of two open legs: and the margin of the right one does). Not applied only after
    the fence by both clocks, when two readings of the bills have nothing like it but every older entry that we know of,
    and the margin, as far as it can be told, did not grow for no reason that they name.
    """
    sent_at, now, request = lost.sent_at, lost.now, lost.request
    start = sent_at + min(lost.skew, timedelta(0)) - BOOKED_EARLIER_MAX
    fence = sent_at + max(lost.skew, timedelta(0)) + terms.fence
    end = fence + CLOCK_TOLERANCE  # Booked later than this, it is not ours.
    if now - sent_at > terms.history_kept:
        return _unknown("the exchange's bills do not go back that far")
    for reading in (1, 2):
        try:
            bills = await read_bills(client, lost.inst_id, start=start, end=end, now=now + lost.skew)
        except VenueUnavailable as error:
            return await _by_margin(client, lost, terms, f"the bills could not be read ({error}); ")
        ours = [bill for bill in bills if _is_effect_of(request, bill) and entry_of(bill) not in _bare(lost)]
        if ours:
            return await _proven(client, lost, ours[0], terms)
        doubt = _doubt(bills, lost, start, end)
        if now < sent_at + terms.fence:
            doubt = f"it may still be executed until {sent_at + terms.fence:%H:%M:%S} UTC"
        elif reading == 1 and not doubt and await server_time(client) < fence:
            doubt = "by the exchange's clock it may still be executed"
        if doubt:
            return await _by_margin_or(client, lost, terms, f"not among the bills; {doubt}")
    return await _without_a_bill(client, lost, terms)


async def _without_a_bill(client: Any, lost: Lost, terms: WriteTerms) -> Settlement:
    """Return what holds after the fence, when no bill shows the request."""
    found = await _by_margin(client, lost, terms)
    if found.outcome is Outcome.APPLIED:
        return found
    if found.outcome is Outcome.UNKNOWN and await _has_grown(client, lost):
        return _unknown(f"not among the bills; {found.evidence}")  # They lag: it may be ours, and funding beside it.
    text = f"bills: no such entry in two readings after {lost.sent_at + terms.fence:%H:%M:%S} UTC"
    return Settlement(outcome=Outcome.NOT_APPLIED, evidence=f"{text}; {found.evidence}")


async def _proven(client: Any, lost: Lost, bill: Bill, terms: WriteTerms) -> Settlement:
    text = f"bill {bill.bill_id}: {bill.moved:f} {bill.ccy} added at {bill.ts:%H:%M:%S} UTC"
    if lost.has_both_legs:
        found = await _by_margin(client, lost, terms)
        if found.outcome is Outcome.NOT_APPLIED:
            return Settlement(outcome=Outcome.NOT_APPLIED, evidence=f"{text}, to the other leg; {found.evidence}")
        if found.outcome is Outcome.UNKNOWN:
            return _unknown(f"{text}, to this leg or to the other: bills do not tell; {found.evidence}")
        text = f"{text}; {found.evidence}"
    return Settlement(outcome=Outcome.APPLIED, evidence=text, entry_id=entry_of(bill))


async def _has_grown(client: Any, lost: Lost) -> bool:
    """Say whether the position holds more than it did, by half of what was sent and more, for no reason in the bills.

    Of a position that was changed meanwhile nobody can say it.
    """
    request, position = lost.request, await lost.read_position()
    before = request.before
    if before is None or before.added_since is None or position is None or position.isolated_wallet is None:
        return False
    if (position.quantity, position.entry_price) != (before.quantity, before.entry_price):
        return False
    start, end = before.read_at + lost.skew - CLOCK_TOLERANCE, lost.now + lost.skew
    moves = await read_bills(client, lost.inst_id, start=start, end=end, now=end, kind=MARGIN_TRANSFER)
    told = max(before.added_since, sum((bill.moved for bill in moves), Decimal(0)))
    return 2 * (position.isolated_wallet - before.margin - told) >= request.amount


async def _by_margin_or(client: Any, lost: Lost, terms: WriteTerms, evidence: str) -> Settlement:
    found = await _by_margin(client, lost, terms)
    return found if found.outcome is Outcome.APPLIED else _unknown(f"{evidence}; {found.evidence}")


async def _by_margin(client: Any, lost: Lost, terms: WriteTerms, trouble: str = "") -> Settlement:
    """Ask the position's margin. `trouble` with the bills: then they cannot tell the funding either."""

    async def read_funding(since: datetime) -> Decimal:
        return sum((bill.pos_bal_chg or Decimal(0) for bill in await _funding(client, lost, since)), Decimal(0))

    is_told = not trouble
    if is_told and lost.has_both_legs and lost.request.before is not None:
        is_told = not await _funding(client, lost, lost.request.before.read_at)  # Whose it was is not said.
    found = await settle_by_margin(
        lost.request,
        lost.read_position,
        sent_at=lost.sent_at + max(lost.skew, timedelta(0)),
        now=lost.now,
        fence=terms.fence,
        read_funding=read_funding if is_told else None,
    )
    return replace(found, evidence=trouble + found.evidence)


async def _funding(client: Any, lost: Lost, since: datetime) -> tuple[Bill, ...]:
    start, now = since + lost.skew - CLOCK_TOLERANCE, lost.now + lost.skew
    return await read_bills(client, lost.inst_id, start=start, end=now + timedelta(minutes=1), now=now, kind=FUNDING)


def _is_effect_of(request: MarginRequest, bill: Bill) -> bool:
    return (
        bill.type == MARGIN_TRANSFER
        and bill.sub_type == ADDED_BY_HAND
        and bill.ccy == request.currency
        and abs(bill.moved) == request.amount
    )


def _doubt(bills: Iterable[Bill], lost: Lost, start: datetime, end: datetime) -> str:
    """Return why these bills are not to be trusted to show nothing; empty when nothing speaks against it."""
    bills = tuple(bills)
    due = {
        entry
        for entry in _bare(lost)
        if entry.startswith(f"{lost.inst_id}|") and ms(start) <= int(entry.split("|")[1]) <= ms(end)
    }
    missing = due - {entry_of(bill) for bill in bills}
    if missing:
        return f"{len(missing)} entries that were there before are missing"
    amount = lost.request.amount
    alike = [
        bill
        for bill in bills
        if entry_of(bill) not in due
        and amount in {abs(bill.pos_bal_chg or Decimal(0)), abs(bill.bal_chg or Decimal(0))}
    ]
    if alike:
        return f"a bill of type {alike[0].type}, {alike[0].sub_type} moved just as much"
    return ""


def _bare(lost: Lost) -> frozenset[str]:
    """Return the known entries without the leg that some were counted for."""
    return frozenset("|".join(entry.split("|")[:3]) for entry in lost.known_entries if entry.count("|") >= 2)


def _unknown(evidence: str) -> Settlement:
    return Settlement(outcome=Outcome.UNKNOWN, evidence=evidence)
