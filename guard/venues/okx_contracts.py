"""OKX's contracts as it lists them: size, lot, and the family that tiers and fees go by."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from guard.snapshot import Contract, ContractKind
from guard.venues.rows import Positive, Row, RowError, Word, read_row

CONTRACTS = frozenset({"SWAP", "FUTURES"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One contract as GET /api/v5/public/instruments lists it."""

    contract: Contract
    inst_id: str
    inst_type: str  # SWAP or FUTURES.
    family: str  # Its tiers and its fee are those of the family: "BTC-USDT".
    lot: Decimal  # The smallest step of a size, in contracts.
    fee_group: str | None  # None: an answer from before the groups.


class _Listed(Row):
    """What of ccxt's `info` describes a contract. One that is not open for trading yet has only its name."""

    inst_id: Word
    inst_type: Literal["SWAP", "FUTURES"]
    inst_family: Word
    ct_type: Literal["linear", "inverse"]
    ct_val: Positive
    ct_mult: Positive
    lot_sz: Positive
    group_id: object = None


class _Named(Row):
    """What ccxt makes of it: names only."""

    symbol: Word
    base: Word
    settle: Word


def read_market(listed: Mapping[str, Any]) -> Market | None:
    """Return a contract; None for what is none, or is not described yet."""
    try:
        row, named = read_row(_Listed, listed.get("info")), read_row(_Named, listed)
    except RowError:
        return None
    return Market(
        contract=Contract(
            symbol=named.symbol,
            kind=ContractKind(row.ct_type),
            base=named.base,
            settle=named.settle,
            contract_size=row.ct_val * row.ct_mult,
        ),
        inst_id=row.inst_id,
        inst_type=row.inst_type,
        family=row.inst_family,
        lot=row.lot_sz,
        fee_group=str(row.group_id)[:16] if row.group_id else None,
    )
