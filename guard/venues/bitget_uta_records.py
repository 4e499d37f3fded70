"""A unified account's financial records, as far as they prove that a lost request was carried out.

Source: docs UTA "Get Financial Records" (copy of 2026-07): 90 days of them, 30 days to a question, by a cursor. For
margin added by hand the documents' lists name FIXED_INCREASE_MARGIN (2025-12) and INCREASE_MARGIN (2026-09); no
recorded one is at hand. So a record is a yes and its absence is nothing: what was spent cannot be rebuilt from them.
What else is told of a symbol may be funding, whose words differ between the lists as well.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from guard.errors import VenueUnavailable
from guard.venues.bitget_bills import ADDED, Bill
from guard.venues.bitget_wire import data_of, list_of, maybe, ms
from guard.venues.rows import Moment, Row, RowError, Word, read_row
from guard.venues.transport import ask

PAGE_ROWS = 100
PAGES_MAX = 50
ADDED_WORDS = frozenset({"FIXED_INCREASE_MARGIN", "INCREASE_MARGIN"})


class _Record(Row):
    id: Word
    type: Word
    symbol: object = None
    coin: Word
    amount: object
    position_amount: object = None
    ts: Moment


async def read_records(client: Any, product: str, kind: str, start: datetime, end: datetime) -> tuple[Bill, ...]:
    """Read a product's records as bills, oldest first: of ADDED margin, or for any other kind all that are not.

    The span is one question, of 30 days at most. Raises VenueUnavailable.
    """
    what = f"financial records of {product}"
    question = {"category": product, "startTime": str(ms(start)), "endTime": str(ms(end)), "limit": str(PAGE_ROWS)}
    found: dict[str, Bill] = {}
    for _ in range(PAGES_MAX):
        answer = await ask(client, "privateUtaGetV3AccountFinancialRecords", question)
        page = list_of(answer, what, "list")
        try:
            bills = [_bill(read_row(_Record, raw)) for raw in page]
        except RowError as error:
            raise VenueUnavailable(f"{what}: {error}") from None
        found |= {bill.bill_id: bill for bill in bills}
        cursor = data_of(answer, what).get("cursor")
        if len(page) < PAGE_ROWS:
            mine = (bill for bill in found.values() if (bill.business_type == ADDED) == (kind == ADDED))
            return tuple(sorted(mine, key=lambda bill: bill.c_time))
        if not isinstance(cursor, str) or not cursor or cursor == question.get("cursor"):
            break
        question["cursor"] = cursor
    raise VenueUnavailable(f"{what}: more than {PAGES_MAX} pages, or pages that do not go on")


def _bill(row: _Record) -> Bill:
    """Return a record as a bill, or raise RowError."""
    fields: Mapping[str, object] = {
        "billId": row.id,
        "symbol": row.symbol if isinstance(row.symbol, str) and row.symbol else "-",  # Of no contract.
        # What left the account's balance, or what the position got where that is said apart.
        "amount": f"{maybe(row.amount) or maybe(row.position_amount) or Decimal(0):f}",
        "businessType": ADDED if row.type in ADDED_WORDS else row.type,
        "coin": row.coin,
        "cTime": ms(row.ts),
    }
    return read_row(Bill, fields)
