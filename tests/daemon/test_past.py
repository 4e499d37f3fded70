"""Whether an exchange's history of adjustments reaches back to a position's opening."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from guard.daemon.past import _opened_at
from guard.snapshot import (
    Contract,
    ContractKind,
    Liquidation,
    LiquidationKind,
    MarginChange,
    MarginMode,
    Position,
    Side,
)

OPENED = datetime(2026, 3, 1, 12, tzinfo=UTC)


def position(kind, symbol, *, settle, size, contracts):
    return Position(
        contract=Contract(symbol=symbol, kind=kind, base="BTC", settle=settle, contract_size=Decimal(size)),
        side=Side.LONG,
        margin_mode=MarginMode.ISOLATED,
        quantity=Decimal(contracts),
        entry_price=Decimal(60_000),
        mark_price=Decimal(60_000),
        isolated_wallet=Decimal(1),
        leverage=Decimal(10),
        hedged=False,
        auto_add_margin=False,
        exchange_liquidation=Liquidation(kind=LiquidationKind.UNKNOWN),
        exchange_maintenance_margin=None,
        updated_at=OPENED,
    )


LINEAR = position(ContractKind.LINEAR, "BTC/USDT:USDT", settle="USDT", size=1, contracts="0.5")
INVERSE = position(ContractKind.INVERSE, "BTC/USD:BTC", settle="BTC", size=100, contracts=300)


@pytest.mark.parametrize(
    ("held", "margin", "shown"),
    [(LINEAR, "3000", True), (LINEAR, "2000", False), (INVERSE, "0.05", True), (INVERSE, "0.03", False)],
    ids=["linear, all of it", "linear, a part", "inverse, all of it", "inverse, a part"],
)
def test_the_opening_is_shown_when_what_trades_moved_in_covers_the_initial_margin(held, margin, shown):
    moved_in = MarginChange(
        key=held.key,
        amount=Decimal(margin),
        currency=held.contract.settle,
        at=OPENED,
        by_user=False,
        entry_id="1",
    )
    assert _opened_at(held, [moved_in]) == (OPENED if shown else None)
