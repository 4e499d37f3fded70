"""OKX's contracts as it lists them: size, lot, and the family that tiers and fees go by."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from guard.snapshot import Contract, ContractKind

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


def read_market(listed: Mapping[str, Any]) -> Market | None:
    """Return a contract; None for what is none, or not open for trading yet and so not described."""
    info = listed.get("info") or {}
    inst_type = info.get("instType")
    size = _product(info.get("ctVal"), info.get("ctMult"))
    if inst_type not in CONTRACTS or info.get("ctType") not in {"linear", "inverse"} or size is None:
        return None
    lot = _product(info.get("lotSz"), "1")
    settle, family = listed.get("settle"), info.get("instFamily")
    if lot is None or not settle or not family or not listed.get("base"):
        return None
    return Market(
        contract=Contract(
            symbol=listed["symbol"],
            kind=ContractKind(info["ctType"]),
            base=listed["base"],
            settle=settle,
            contract_size=size,
        ),
        inst_id=info["instId"],
        inst_type=inst_type,
        family=family,
        lot=lot,
        fee_group=info.get("groupId") or None,
    )


def _product(one: object, other: object) -> Decimal | None:
    try:
        product = Decimal(str(one)) * Decimal(str(other))
    except ArithmeticError:
        return None
    return product if product.is_finite() and product > 0 else None
