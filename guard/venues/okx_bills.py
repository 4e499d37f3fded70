"""OKX's bills: what moved the margin of positions, by hand and by trading.

Source: docs "Get bills details" (copies of 2025-07 and 2026). Seven days of them stand in one endpoint, three months in
another. A bill of a margin transfer names instrument and amount, not the side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from guard.errors import VenueUnavailable
from guard.snapshot import MarginChange, PositionKey, Side
from guard.venues.okx_rows import Bill, data_of, ms
from guard.venues.rows import Row, RowError, Word, read_row
from guard.venues.transport import ask

PAGE_ROWS = 100
PAGES_MAX = 50
PAGES_OF_TRADES_MAX = 10
RECENT_KEPT = timedelta(days=7)  # `bills`; what is older stands in `bills-archive`.
RECENT_MARGIN = timedelta(hours=1)
MARGIN_TRANSFER, ADDED_BY_HAND, TAKEN_BY_HAND = "6", "160", "161"
# Which kinds of bills move a position's margin by trading, and of which leg in long/short mode.
LEG_OF_TRADE: Mapping[str, Side] = {
    **dict.fromkeys(("3", "5", "100", "104", "112", "125", "206", "208"), Side.LONG),
    **dict.fromkeys(("4", "6", "101", "105", "113", "126", "207", "209"), Side.SHORT),
}


async def read_bills(
    client: Any, inst_id: str, *, start: datetime, end: datetime, now: datetime, kind: str | None = None
) -> tuple[Bill, ...]:
    """Read one instrument's bills, oldest first. `kind`: one bill type only. Raises VenueUnavailable."""
    span = _Span(inst_ids=frozenset({inst_id}), start=start, end=end, now=now, kind=kind)
    bills, is_whole = await _read(client, span, PAGES_MAX)
    if not is_whole:
        raise VenueUnavailable(f"{span.what}: more than {PAGES_MAX} pages of them")
    return bills


async def read_moves(
    client: Any, inst_ids: frozenset[str], *, start: datetime, end: datetime, now: datetime
) -> Mapping[str, tuple[Bill, ...]]:
    """Read the bills of what may have moved margin, by instrument, oldest first. Raises VenueUnavailable.

    All of the account at once, as long as that takes no more pages than there are instruments; else one by one.
    """
    if len(inst_ids) > 1:
        span = _Span(inst_ids=inst_ids, start=start, end=end, now=now, kind=None)
        bills, is_whole = await _read(client, span, min(len(inst_ids), PAGES_OF_TRADES_MAX))
        if is_whole:
            return {one: tuple(bill for bill in bills if bill.inst_id == one) for one in inst_ids}
    return {one: await _moves_of(client, one, start=start, end=end, now=now) for one in sorted(inst_ids)}


async def _moves_of(client: Any, inst_id: str, *, start: datetime, end: datetime, now: datetime) -> tuple[Bill, ...]:
    """Of a busy instrument these are all margin transfers, and of its trades the latest, as many as some pages hold."""
    span = _Span(inst_ids=frozenset({inst_id}), start=start, end=end, now=now, kind=None)
    latest, is_whole = await _read(client, span, PAGES_OF_TRADES_MAX)
    if is_whole:
        return latest
    transfers = await read_bills(client, inst_id, start=start, end=end, now=now, kind=MARGIN_TRANSFER)
    by_id = {bill.bill_id: bill for bill in (*transfers, *latest)}
    return tuple(sorted(by_id.values(), key=lambda bill: bill.ts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    inst_ids: frozenset[str]  # More than one: the account's bills are read, and those of others left out.
    start: datetime
    end: datetime
    now: datetime
    kind: str | None  # None: all bill types.

    @property
    def what(self) -> str:
        return f"bills of {next(iter(self.inst_ids)) if len(self.inst_ids) == 1 else 'the account'}"

    def query(self, start: datetime, end: datetime) -> dict[str, str]:
        # Whether begin and end themselves belong to a span is not said.
        query = {"begin": str(ms(start) - 1), "end": str(ms(end) + 1), "limit": str(PAGE_ROWS)}
        if len(self.inst_ids) == 1:
            query["instId"] = next(iter(self.inst_ids))
        return query if self.kind is None else query | {"type": self.kind}

    def leaves_out(self, raw: object) -> bool:
        """Say whether a row is plainly of something else, which no error in it makes interesting."""
        return isinstance(raw, dict) and isinstance(raw.get("instId"), str) and raw["instId"] not in self.inst_ids


async def _read(client: Any, span: _Span, pages_max: int) -> tuple[tuple[Bill, ...], bool]:
    """Return the bills of a span, the latest of them when there are too many, and whether these are all."""
    recent_from = span.now - RECENT_KEPT + RECENT_MARGIN
    bills: list[Bill] = []
    is_whole = True
    if span.end > recent_from:
        query = span.query(max(span.start, recent_from), span.end)
        bills, is_whole = await _pages(client, "privateGetAccountBills", span, query, pages_max)
    if span.start < recent_from and is_whole:
        query = span.query(span.start, min(span.end, recent_from))
        older, is_whole = await _pages(client, "privateGetAccountBillsArchive", span, query, pages_max)
        bills += older
    mine = {bill.bill_id: bill for bill in bills if span.start <= bill.ts <= span.end}
    return tuple(sorted(mine.values(), key=lambda bill: bill.ts)), is_whole


class _Numbered(Row):
    bill_id: Word


async def _pages(
    client: Any, endpoint: str, span: _Span, query: dict[str, str], pages_max: int
) -> tuple[list[Bill], bool]:
    bills: list[Bill] = []
    for _ in range(pages_max):
        page = data_of(await ask(client, endpoint, query), span.what)
        try:
            bills += [read_row(Bill, raw) for raw in page if not span.leaves_out(raw)]
            if len(page) < PAGE_ROWS:
                return bills, True
            last = read_row(_Numbered, page[-1]).bill_id
        except RowError as error:
            raise VenueUnavailable(f"{span.what}: {error}") from None
        if last == query.get("after"):
            raise VenueUnavailable(f"{span.what}: pages that do not go on")
        query["after"] = last
    return bills, False


def entry_of(bill: Bill) -> str:
    return f"{bill.inst_id}|{ms(bill.ts)}|{bill.bill_id}"


def is_by_hand(bill: Bill) -> bool:
    """Say whether a person or a key moved this margin. All margin transfers count but the automatic one (162)."""
    return bill.type == MARGIN_TRANSFER and bill.sub_type != "162"


def changes_of(bill: Bill, legs: tuple[PositionKey, ...], *, hedged: bool) -> list[MarginChange]:
    """Return what a bill changed, once for each leg that it may be about.

    One by hand is one change: where there can be two legs it is of either, whichever of them is open now.
    """
    if bill.mgn_mode == "cross" or not bill.moved:
        return []
    by_hand = is_by_hand(bill)
    if not by_hand and not bill.pos_bal_chg:
        return []  # A bill of the wallet only.
    named = LEG_OF_TRADE.get(bill.sub_type)
    amount = bill.moved
    if bill.type == MARGIN_TRANSFER and bill.sub_type in {ADDED_BY_HAND, TAKEN_BY_HAND}:
        amount = abs(amount) if bill.sub_type == ADDED_BY_HAND else -abs(amount)
    about = [leg for leg in legs if named in {None, leg.side} or len(legs) == 1]
    is_of_either = by_hand and hedged and named is None  # One entry of one act: proof once, and spending once.
    return [
        MarginChange(
            key=leg,
            amount=amount,
            currency=bill.ccy,
            at=bill.ts,
            by_user=by_hand,
            entry_id=entry_of(bill) + (f"|{leg.side.word}" if len(legs) > 1 and not by_hand else ""),
            side_known=not is_of_either,
        )
        for leg in (about[:1] if is_of_either else about)
    ]
