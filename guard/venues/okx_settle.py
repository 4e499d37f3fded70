"""What OKX's bills and a position's margin prove of margin that was moved.

Sources: docs "Get bills details" (copies of 2025-07 and 2026). A bill of a margin transfer names instrument and amount,
not the side: of two open legs the margin itself tells which one it was.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from guard.errors import VenueUnavailable
from guard.snapshot import MarginChange, MarginRequest, Outcome, Position, PositionKey, Settlement, Side
from guard.venues.margin_difference import settle_by_margin
from guard.venues.okx_market import server_time
from guard.venues.okx_rows import Bill, data_of, ms
from guard.venues.protocol import WriteTerms
from guard.venues.rows import RowError, read_row
from guard.venues.transport import ask

PAGE_ROWS = 100
PAGES_MAX = 50
RECENT_KEPT = timedelta(days=7)  # `bills`; what is older stands in `bills-archive`.
RECENT_MARGIN = timedelta(hours=1)
MARGIN_TRANSFER, ADDED_BY_HAND, TAKEN_BY_HAND = "6", "160", "161"
FUNDING = "8"
# Which kinds of bills move a position's margin by trading, and of which leg in long/short mode.
LEG_OF_TRADE: Mapping[str, Side] = {
    **dict.fromkeys(("3", "5", "100", "104", "112", "125", "206", "208"), Side.LONG),
    **dict.fromkeys(("4", "6", "101", "105", "113", "126", "207", "209"), Side.SHORT),
}
CLOCK_TOLERANCE = timedelta(seconds=2)  # Between a request's start and the time the exchange books it under.
# How much earlier than its written start a request may be booked: our clock may have run ahead when it was sent, by as
# much as the exchange bears, and may have been set since. Earlier entries of the guard's own are known by then.
BOOKED_EARLIER_MAX = timedelta(seconds=30)


async def read_bills(
    client: Any, inst_id: str, *, start: datetime, end: datetime, now: datetime, kind: str | None = None
) -> tuple[Bill, ...]:
    """Read one instrument's bills, oldest first. `kind`: one bill type only. Raises VenueUnavailable."""
    recent_from = now - RECENT_KEPT + RECENT_MARGIN
    bills: list[Bill] = []
    if start < recent_from:
        query = _query(inst_id, start, min(end, recent_from), kind)
        bills += await _pages(client, "privateGetAccountBillsArchive", query)
    if end > recent_from:
        query = _query(inst_id, max(start, recent_from), end, kind)
        bills += await _pages(client, "privateGetAccountBills", query)
    by_id = {bill.bill_id: bill for bill in bills if bill.inst_id == inst_id and start <= bill.ts <= end}
    return tuple(sorted(by_id.values(), key=lambda bill: bill.ts))


def _query(inst_id: str, start: datetime, end: datetime, kind: str | None) -> dict[str, str]:
    # Whether begin and end themselves belong to the span is not said.
    query = {"instId": inst_id, "begin": str(ms(start) - 1), "end": str(ms(end) + 1), "limit": str(PAGE_ROWS)}
    return query if kind is None else query | {"type": kind}


async def _pages(client: Any, endpoint: str, query: dict[str, str]) -> list[Bill]:
    what = f"bills of {query['instId']}"
    bills: list[Bill] = []
    for _ in range(PAGES_MAX):
        page = data_of(await ask(client, endpoint, query), what)
        try:
            bills += [read_row(Bill, raw) for raw in page]
        except RowError as error:
            raise VenueUnavailable(f"{what}: {error}") from None
        if len(page) < PAGE_ROWS:
            return bills
        if bills[-1].bill_id == query.get("after"):
            break
        query["after"] = bills[-1].bill_id
    raise VenueUnavailable(f"{what}: more than {PAGES_MAX} pages, or pages that do not go on")


def entry_of(bill: Bill) -> str:
    return f"{bill.inst_id}|{ms(bill.ts)}|{bill.bill_id}"


def is_by_hand(bill: Bill) -> bool:
    """Say whether a person or a key moved this margin. All margin transfers count but the automatic one (162)."""
    return bill.type == MARGIN_TRANSFER and bill.sub_type != "162"


def changes_of(bill: Bill, legs: tuple[PositionKey, ...]) -> list[MarginChange]:
    """Return what a bill changed, once for each leg that it may be about."""
    if bill.mgn_mode == "cross" or not bill.moved:
        return []
    by_hand = is_by_hand(bill)
    if not by_hand and not bill.pos_bal_chg:
        return []  # A bill of the wallet only.
    named = LEG_OF_TRADE.get(bill.sub_type)
    amount = bill.moved
    if bill.type == MARGIN_TRANSFER and bill.sub_type in {ADDED_BY_HAND, TAKEN_BY_HAND}:
        amount = abs(amount) if bill.sub_type == ADDED_BY_HAND else -abs(amount)
    return [
        MarginChange(
            key=leg,
            amount=amount,
            currency=bill.ccy,
            at=bill.ts,
            by_user=by_hand,
            entry_id=entry_of(bill) + (f"|{leg.side.word}" if len(legs) > 1 else ""),
        )
        for leg in legs
        if named in {None, leg.side} or len(legs) == 1
    ]


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
    and the margin, as far as it can be told, did not move.
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
    found = await _by_margin(client, lost, terms)
    if found.outcome is Outcome.APPLIED:
        return found
    text = f"bills: no such entry in two readings after {sent_at + terms.fence:%H:%M:%S} UTC"
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


async def _by_margin_or(client: Any, lost: Lost, terms: WriteTerms, evidence: str) -> Settlement:
    found = await _by_margin(client, lost, terms)
    return found if found.outcome is Outcome.APPLIED else _unknown(f"{evidence}; {found.evidence}")


async def _by_margin(client: Any, lost: Lost, terms: WriteTerms, trouble: str = "") -> Settlement:
    """Ask the position's margin. `trouble` with the bills: then they cannot tell the funding either."""

    async def read_funding(since: datetime) -> Decimal:
        start = since + lost.skew - CLOCK_TOLERANCE
        end = lost.now + lost.skew + timedelta(minutes=1)
        bills = await read_bills(client, lost.inst_id, start=start, end=end, now=lost.now + lost.skew, kind=FUNDING)
        return sum((bill.pos_bal_chg or Decimal(0) for bill in bills), Decimal(0))

    found = await settle_by_margin(
        lost.request,
        lost.read_position,
        sent_at=lost.sent_at + max(lost.skew, timedelta(0)),
        now=lost.now,
        fence=terms.fence,
        read_funding=None if lost.has_both_legs or trouble else read_funding,
    )
    return replace(found, evidence=trouble + found.evidence)


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
