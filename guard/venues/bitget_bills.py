"""Bitget's account bills: what moved margin into positions by hand or by Bitget itself, and funding.

Source: docs v2 "Get Account Bills" (copy of 2025-10): 90 days of them, 30 days to a question. A bill names symbol and
amount, not the side, and no recorded one of margin is at hand: its sign is not relied on, its kind says the direction.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from guard.errors import VenueUnavailable
from guard.snapshot import MarginChange, PositionKey, Side
from guard.venues.bitget_wire import list_of, ms
from guard.venues.rows import Moment, Number, Row, RowError, Word, read_row, shown
from guard.venues.transport import ask

PAGE_ROWS = 100
PAGES_MAX = 50
SPAN_MAX = timedelta(days=29)
ADDED, TAKEN, LEVER, AUTO = "append_margin", "reduce_margin", "adjust_down_lever_append_margin", "auto_append_margin"
FUNDING = "contract_settle_fee"
# What moves margin without a trade: the sign, and whether a person or a key did it.
MOVES: Mapping[str, tuple[int, bool]] = {ADDED: (1, True), TAKEN: (-1, True), LEVER: (1, False), AUTO: (1, False)}


class Bill(Row):
    bill_id: Word
    symbol: Word
    amount: Number
    business_type: Word
    coin: Word
    c_time: Moment


async def read_bills(client: Any, product: str, kind: str, *, start: datetime, end: datetime) -> tuple[Bill, ...]:
    """Read a product's bills of one kind, oldest first. Raises VenueUnavailable."""
    found: dict[str, Bill] = {}
    while start < end:
        until = min(end, start + SPAN_MAX)
        question = {
            "productType": product,
            "businessType": kind,
            "startTime": str(ms(start)),
            "endTime": str(ms(until)),
            "limit": str(PAGE_ROWS),
        }
        for bill in await _pages(client, question):
            found[bill.bill_id] = bill
        start = until
    return tuple(sorted(found.values(), key=lambda bill: bill.c_time))


async def _pages(client: Any, question: dict[str, str]) -> list[Bill]:
    what = f"bills of {question['productType']}"
    bills: list[Bill] = []
    for _ in range(PAGES_MAX):
        page = list_of(await ask(client, "privateMixGetV2MixAccountBill", question), what, "bills")
        try:
            read = [read_row(Bill, raw) for raw in page]
        except RowError as error:
            raise VenueUnavailable(f"{what}: {error}") from None
        strange = next((bill for bill in read if bill.business_type != question["businessType"]), None)
        if strange is not None:
            raise VenueUnavailable(f"{what}: asked for {question['businessType']}, told {shown(strange.business_type)}")
        bills += read
        if len(page) < PAGE_ROWS:
            return bills
        if bills[-1].bill_id == question.get("idLessThan"):
            break
        question["idLessThan"] = bills[-1].bill_id
    raise VenueUnavailable(f"{what}: more than {PAGES_MAX} pages, or pages that do not go on")


def entry_of(bill: Bill) -> str:
    return f"{bill.symbol}|{ms(bill.c_time)}|{bill.bill_id}"


def changes_of(bill: Bill, symbol: str, legs: tuple[PositionKey, ...]) -> list[MarginChange]:
    """Return what a bill changed, once for each open leg that it may be about. Without one its side is not known."""
    sign, by_user = MOVES[bill.business_type]
    return [
        MarginChange(
            key=leg,
            amount=sign * abs(bill.amount),
            currency=bill.coin,
            at=bill.c_time,
            by_user=by_user,
            entry_id=entry_of(bill) + (f"|{leg.side.word}" if len(legs) > 1 else ""),
            side_known=bool(legs),
        )
        for leg in legs or (PositionKey(symbol, Side.LONG),)
    ]
