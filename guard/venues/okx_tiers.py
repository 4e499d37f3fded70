"""OKX's position tiers and fees: what a position's requirement is made of, per instrument family.

Tiers count contracts, hold for the whole position (no maintenance amount), and differ between isolated and cross. The
fee to close is the user's own taker rate and part of the requirement.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from guard.errors import VenueUnavailable
from guard.margin import RuleBook, TierTable
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import ContractKind, MarginMode, RiskTier
from guard.venues.haircut_rows import Names
from guard.venues.okx_contracts import Market
from guard.venues.okx_rows import FeeRow, TierRow, data_of
from guard.venues.rows import RowError, read_row

FAMILIES_MAX = 5  # In one request for tiers.
ROUND_SIZE_GAP = Decimal(1)  # "1 to 6500, 6501 to 13000" leaves a whole contract between two tiers.

ISOLATED, CROSS = KNOWN_RULES["okx isolated"].rule, KNOWN_RULES["okx futures mode cross"].rule


HAIRCUTS = Names(  # In coins (docs, "Get discount rate and interest-free quota", 2026).
    asset="ccy", steps="details", floor="minAmt", share="discountRate", top="maxAmt", beyond="minDiscountRate"
)


def base_rules() -> RuleBook:
    """Return the rules before any fee is known. Without one no symbol has tiers either, so nothing is modelled."""
    return RuleBook(isolated=ISOLATED, cross=CROSS)


def rules_with(book: RuleBook, fees: Mapping[str, Decimal]) -> RuleBook:
    """Return the book with these symbols' fee rates filled in."""
    filled = {
        symbol: (replace(ISOLATED, liquidation_fee_rate=fee), replace(CROSS, liquidation_fee_rate=fee))
        for symbol, fee in fees.items()
    }
    return RuleBook(isolated=book.isolated, cross=book.cross, by_symbol={**book.by_symbol, **filled})


def questions(inst_type: str, mode: MarginMode, members: Iterable[Market]) -> Iterator[dict[str, str]]:
    """Yield what is to be asked for the tiers of these markets' families, as few times as can be."""
    names = sorted({market.family for market in members})
    for first in range(0, len(names), FAMILIES_MAX):
        some = ",".join(names[first : first + FAMILIES_MAX])
        yield {"instType": inst_type, "tdMode": mode.value, "instFamily": some}


def read_families(answer: object) -> dict[str, list[TierRow | RowError]]:
    """Return the rows of each family; a row that cannot be read stands as its error. Raises VenueUnavailable."""
    rows: dict[str, list[TierRow | RowError]] = defaultdict(list)
    for raw in data_of(answer, "position tiers"):
        family = str(raw.get("instFamily")) if isinstance(raw, dict) else "?"
        try:
            rows[family].append(read_row(TierRow, raw))
        except RowError as error:
            rows[family].append(error)
    return rows


def table_of(rows: Iterable[TierRow | RowError], lot: Decimal) -> TierTable:
    """Return a family's table with floors in contracts. Raises RowError.

    A size equal to `maxSz` belongs to that tier and the next lot to the next one, so that is where the next one starts.
    """
    read: list[TierRow] = []
    for row in rows:
        if isinstance(row, RowError):
            raise row
        read.append(row)
    read.sort(key=lambda row: row.min_sz)
    if not read:
        raise RowError("no tiers are listed")
    for below, above in pairwise(read):
        if not below.max_sz <= above.min_sz <= below.max_sz + max(ROUND_SIZE_GAP, lot):
            raise RowError("its tiers leave holes or overlap")
        if above.mmr < below.mmr:
            raise RowError("a higher tier asks for less margin than a lower one")
    if read[0].min_sz > max(ROUND_SIZE_GAP, lot):
        raise RowError(f"its first tier starts at {read[0].min_sz:f}")
    floors = [Decimal(0), *(row.max_sz + lot for row in read[:-1])]
    caps = [*floors[1:], read[-1].max_sz]
    return TierTable.of(
        RiskTier(notional_floor=floor, notional_cap=cap, maintenance_margin_rate=row.mmr, maintenance_amount=None)
        for row, floor, cap in zip(read, floors, caps, strict=True)
    )


def read_fee(answer: object) -> FeeRow:
    """Return the account's fees of one instrument type. Raises VenueUnavailable."""
    rows = data_of(answer, "trade fees")
    try:
        return read_row(FeeRow, rows[0] if rows else {})
    except RowError as error:
        raise VenueUnavailable(f"trade fees: {error}") from None


def taker_rate(fees: FeeRow, market: Market) -> Decimal:
    """Return the fraction of notional that closing costs, never negative: a rebate is not counted on.

    By the market's fee group where both sides name it; else by the older fields, which are deprecated. Raises RowError.
    """
    grouped = [group.taker for group in fees.fee_group if group.group_id == market.fee_group]
    signed = grouped[0] if grouped else _older_rate(fees, market)
    if signed is None:
        raise RowError("the taker fee of its group is not listed")
    if not -1 < signed < 1:
        raise RowError(f"its taker fee is {signed:f}")
    return max(Decimal(0), -signed)


def _older_rate(fees: FeeRow, market: Market) -> Decimal | None:
    if market.contract.kind is ContractKind.INVERSE:
        return fees.taker
    return fees.taker_u if market.contract.settle == "USDT" else fees.taker_usdc
