"""What Bitget's bills and a position's margin prove of a request whose answer was lost, classic or unified.

No recorded bill of added margin is at hand. So a bill is a yes, of two open legs only together with the margin, but
that there is none is no "no" by itself: that takes the position's margin as well.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from guard.errors import VenueUnavailable
from guard.snapshot import MarginRequest, Outcome, Position, Settlement
from guard.venues.bitget_bills import ADDED, FUNDING, Bill, entry_of
from guard.venues.bitget_wire import ms
from guard.venues.margin_difference import settle_by_margin
from guard.venues.protocol import WriteTerms
from guard.venues.rows import shown

CLOCK_TOLERANCE = timedelta(seconds=2)  # Between a request's start and the time the exchange books it under.
NEAR = timedelta(seconds=1)
BOOKED_EARLIER_MAX = timedelta(seconds=30)  # Our clock may have run ahead by as much as the exchange bears.


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A request whose answer was lost, and how its position, bills of a kind and the exchange's clock are read."""

    request: MarginRequest
    market_id: str
    sent_at: datetime
    now: datetime
    skew: timedelta  # The exchange's clock minus ours.
    known_entries: frozenset[str]
    read_position: Callable[[], Awaitable[Position | None]]
    read_bills: Callable[[str, datetime, datetime], Awaitable[tuple[Bill, ...]]]  # Of a kind, from when to when.
    read_clock: Callable[[], Awaitable[datetime]]
    has_both_legs: bool  # The symbol's other side is open as well, and bills do not name the side.


async def settle(lost: Lost, terms: WriteTerms) -> Settlement:
    """Look for the request in the bills and in the position's margin. NOT_APPLIED only behind the fence, by both."""
    start = lost.sent_at + min(lost.skew, timedelta(0)) - BOOKED_EARLIER_MAX
    fence = lost.sent_at + max(lost.skew, timedelta(0)) + terms.fence
    end = fence + CLOCK_TOLERANCE  # Booked later than this, it is not ours.
    if lost.now - lost.sent_at > terms.history_kept:
        return await _by_margin(lost, terms, "the bills do not go back that far; ")
    for reading in (1, 2):
        try:
            bills = await lost.read_bills(ADDED, start, end)
        except VenueUnavailable as error:
            return await _by_margin(lost, terms, f"the bills could not be read ({error}); ")
        ours = [bill for bill in bills if _earliest(lost) <= bill.c_time <= end and _is_effect_of(lost, bill)]
        if ours:
            return await _proven(lost, ours[0], terms)
        doubt = _missing(bills, lost, start, end)
        if lost.now < lost.sent_at + terms.fence:
            doubt = f"it may still be executed until {lost.sent_at + terms.fence:%H:%M:%S} UTC"
        elif reading == 1 and not doubt and await lost.read_clock() < fence:
            doubt = "by the exchange's clock it may still be executed"
        if doubt:
            found = await _by_margin(lost, terms, f"not among the bills; {doubt}; ")
            return found if found.outcome is Outcome.APPLIED else replace(found, outcome=Outcome.UNKNOWN)
    text = f"bills: no such entry in two readings after {lost.sent_at + terms.fence:%H:%M:%S} UTC; "
    found = await _by_margin(lost, terms, text)
    # Clocks are known to some milliseconds, and a look is followed by its act as soon: only the margin tells then whose
    # a bill is that seems to be from just before the look.
    near = [
        bill for bill in bills if timedelta(0) < _earliest(lost) - bill.c_time <= NEAR and _is_effect_of(lost, bill)
    ]
    return replace(found, entry_id=entry_of(near[-1])) if near and found.outcome is Outcome.APPLIED else found


def _earliest(lost: Lost) -> datetime:
    """Return when its bill can be booked at the earliest, by the exchange's clock as measured.

    What is older was there when its position was read before: it is of another request, or of a person. Where clocks
    stepped meanwhile a bill of its own may look older, and then the margin tells.
    """
    before = lost.request.before
    return lost.skew + (lost.sent_at - CLOCK_TOLERANCE if before is None else before.read_at)


async def _proven(lost: Lost, bill: Bill, terms: WriteTerms) -> Settlement:
    text = (
        f"bill {shown(bill.bill_id)}: {abs(bill.amount):f} {lost.request.currency} added at {bill.c_time:%H:%M:%S} UTC"
    )
    if lost.has_both_legs:
        found = await _by_margin(lost, terms, f"{text}, to this leg or to the other: bills do not tell; ")
        return found if found.outcome is not Outcome.APPLIED else replace(found, entry_id=entry_of(bill))
    return Settlement(outcome=Outcome.APPLIED, evidence=text, entry_id=entry_of(bill))


async def _by_margin(lost: Lost, terms: WriteTerms, text: str) -> Settlement:
    quiet = lost.request.before is not None and not await _had_funding(lost, lost.request.before.read_at)
    found = await settle_by_margin(
        lost.request,
        lost.read_position,
        sent_at=lost.sent_at + max(lost.skew, timedelta(0)),
        now=lost.now,
        fence=terms.fence,
        # Whether funding is paid by the wallet or by the position's margin is not told.
        read_funding=_no_funding if quiet else None,
    )
    return replace(found, evidence=text + found.evidence)


async def _had_funding(lost: Lost, since: datetime) -> bool:
    """Say whether funding of this symbol may have been paid since then."""
    start, end = since + lost.skew - CLOCK_TOLERANCE, lost.now + lost.skew + timedelta(minutes=1)
    try:
        bills = await lost.read_bills(FUNDING, start, end)
    except VenueUnavailable:
        return True
    return any(bill.symbol == lost.market_id for bill in bills)


async def _no_funding(_: datetime) -> Decimal:
    return Decimal(0)


def _is_effect_of(lost: Lost, bill: Bill) -> bool:
    request = lost.request
    return (
        bill.symbol == lost.market_id
        and bill.coin == request.currency
        and abs(bill.amount) == request.amount
        and entry_of(bill) not in _bare(lost)
    )


def _missing(bills: tuple[Bill, ...], lost: Lost, start: datetime, end: datetime) -> str:
    """Return that entries which were there are gone; empty when none is."""
    due = {
        entry
        for entry in _bare(lost)
        if entry.startswith(f"{lost.market_id}|") and ms(start) <= int(entry.split("|")[1]) <= ms(end)
    }
    missing = due - {entry_of(bill) for bill in bills}
    return f"{len(missing)} entries that were there before are missing" if missing else ""


def _bare(lost: Lost) -> frozenset[str]:
    """Return the known entries without the leg that some were counted for."""
    return frozenset("|".join(entry.split("|")[:3]) for entry in lost.known_entries if entry.count("|") >= 2)
