"""Which looks are kept: one an hour, and one whenever a liquidation has moved or positions came or went."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from guard.daemon.looks import KEPT_EVERY, LookKeeper
from guard.journal import Journal
from guard.margin import MarginRule, RuleBook, TierTable, assess
from guard.snapshot import (
    AccountSnapshot,
    AssetMode,
    Contract,
    ContractKind,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Position,
    RiskTier,
    Side,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TIERS = TierTable.of(
    [
        RiskTier(
            notional_floor=Decimal(0),
            notional_cap=Decimal("1e12"),
            maintenance_margin_rate=Decimal("0.01"),
            maintenance_amount=Decimal(0),
        )
    ]
)


def assessed(*wallets: str, mark: str = "100"):
    """Longs of one coin each at 100, each with its wallet: liquidated at (100 - wallet) / 0.99."""
    positions = tuple(
        Position(
            contract=Contract(
                symbol=f"C{number}/USDT:USDT",
                kind=ContractKind.LINEAR,
                base=f"C{number}",
                settle="USDT",
                contract_size=Decimal(1),
            ),
            side=Side.LONG,
            margin_mode=MarginMode.ISOLATED,
            quantity=Decimal(1),
            entry_price=Decimal(100),
            mark_price=Decimal(mark),
            isolated_wallet=Decimal(wallet),
            leverage=None,
            hedged=False,
            auto_add_margin=None,
            exchange_liquidation=Liquidation(kind=LiquidationKind.UNKNOWN),
            exchange_maintenance_margin=None,
            updated_at=None,
        )
        for number, wallet in enumerate(wallets)
    )
    snapshot = AccountSnapshot(
        account="main",
        exchange="binanceusdm",
        asset_mode=AssetMode.SINGLE,
        positions=positions,
        wallets=(),
        positions_read_at=NOON,
        wallets_read_at=NOON,
        exchange_margin_ratio=None,
    )
    return assess(snapshot, {one.contract.symbol: TIERS for one in positions}, RuleBook.uniform(MarginRule()), NOON)


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.db", exclusive=True) as journal:
        yield journal


@pytest.fixture
def keeper(journal):
    keeper = LookKeeper(journal, "main")
    keeper.keep(assessed("10"), NOON)
    return keeper


@pytest.mark.parametrize(
    ("seen", "after"),
    [
        (assessed("10.6"), SECOND),  # The liquidation moved by 0.6 % of the mark.
        (assessed("10", "10"), SECOND),  # A position came.
        (assessed(), SECOND),  # It went.
        (assessed("101"), SECOND),  # No price liquidates it any more.
        (assessed("10"), KEPT_EVERY),
        (assessed("10"), -SECOND),  # The clock stepped back: nobody knows how old the last one is.
    ],
)
def test_a_look_is_kept_when_there_is_something_to_explain(keeper, journal, seen, after):
    keeper.keep(seen, NOON + after)
    assert {look.at for look in (journal.last_look("main"), journal.look_at("main", NOON - SECOND))} == {
        NOON,
        NOON + after,
    }


def test_a_look_that_says_nothing_new_is_not_kept(keeper, journal):
    keeper.keep(assessed("10.1", mark="95"), NOON + KEPT_EVERY - SECOND)
    assert journal.last_look("main").at == NOON


def test_an_account_that_holds_nothing_writes_nothing(journal):
    keeper = LookKeeper(journal, "main")
    keeper.keep(assessed(), NOON)
    keeper.keep(assessed(), NOON + KEPT_EVERY)
    assert journal.last_look("main") is None
