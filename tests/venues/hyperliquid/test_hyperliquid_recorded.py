"""Recorded answers through our parsers and our model, held against the exchange's own prices."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hyperliquid_recorded import ACCOUNTS, ROWS, SHORT_AND_LONG, TWO_LONGS, account_of

from guard.margin import RuleBook, TierTable, assess
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import AccountSnapshot, AssetMode, Contract, ContractKind, LiquidationKind
from guard.venues.hyperliquid_account import account_state, read_positions, read_wallet
from guard.venues.hyperliquid_markets import Meta, read_tiers
from guard.venues.rows import RowError, read_row

STATES = ACCOUNTS | {name: account_of(row) for name, row in ROWS.items()}
OF_DISTANCE_MAX = Decimal("2E-7")  # The exchange prints ten digits.


def contract(coin):
    return Contract(
        symbol=f"{coin}/USDC:USDC", kind=ContractKind.LINEAR, base=coin, settle="USDC", contract_size=Decimal(1)
    )


def meta(tables, *assets):
    universe = [dict(zip(("name", "maxLeverage", "marginTableId"), asset, strict=True)) for asset in assets]
    return read_row(Meta, {"universe": universe, "marginTables": tables, "collateralToken": 0})


def assessed(state):
    """Return the snapshot and its assessment, by a flat table of the highest leverage that the row itself states."""
    highest = {row["position"]["coin"]: row["position"]["maxLeverage"] for row in state["assetPositions"]}
    envelope = account_state(state)
    reading = read_positions(envelope, {coin: contract(coin) for coin in highest})
    wallets, gaps = read_wallet(envelope, reading)
    snapshot = AccountSnapshot(
        account="main",
        exchange="hyperliquid",
        asset_mode=AssetMode.SINGLE,
        positions=reading.positions,
        wallets=wallets,
        positions_read_at=envelope.time,
        wallets_read_at=envelope.time,
        exchange_margin_ratio=None,
        gaps=(*reading.gaps, *gaps),
    )
    table = [[50, {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": 50}]}]]
    assets = meta(table, *((coin, leverage, leverage) for coin, leverage in highest.items()))
    tiers = {f"{coin}/USDC:USDC": TierTable.of(read_tiers(assets, coin)) for coin in highest}
    rules = RuleBook.uniform(KNOWN_RULES["hyperliquid"].rule)
    return snapshot, assess(snapshot, tiers, rules, datetime.now(UTC))


@pytest.mark.parametrize("name", STATES)
def test_our_liquidation_price_is_the_one_that_was_recorded(name, record_property):
    snapshot, assessment = assessed(STATES[name])
    assert snapshot.gaps == ()
    assert len(snapshot.positions) == len(STATES[name]["assetPositions"])
    for position, row in zip(snapshot.positions, assessment.positions, strict=True):
        theirs = position.exchange_liquidation
        assert row.liquidation.kind is theirs.kind, position.key
        if theirs.kind is LiquidationKind.AT:
            off = abs(row.liquidation.price - theirs.price) / abs(position.mark_price - theirs.price)
            record_property(
                str(position.key), f"theirs {theirs.price} ours {row.liquidation.price:.10f}, {off:.1E} of the distance"
            )
            assert off < OF_DISTANCE_MAX, position.key


@pytest.mark.parametrize("state", [SHORT_AND_LONG, TWO_LONGS], ids=["short and long", "two longs"])
def test_the_pools_figures_are_the_ones_that_were_recorded(state):
    snapshot, assessment = assessed(state)
    (pool,) = assessment.pools
    assert abs(pool.margin_balance - Decimal(state["crossMarginSummary"]["accountValue"])) < Decimal("0.000001")
    assert abs(pool.maintenance_margin - Decimal(state["crossMaintenanceMarginUsed"])) < Decimal("0.000002")
    assert snapshot.wallets[0].available == Decimal(state["withdrawable"])


def test_with_the_margin_as_ccxt_reads_it_the_price_would_be_wrong_by_a_third_of_the_distance():
    """The trap of ccxt issue 27078: marginUsed holds the unrealized PnL already."""
    snapshot, _ = assessed(STATES["isolated BTC long 2026"])
    (position,) = snapshot.positions
    rate = Decimal(1) / 80
    wrong = (position.entry_price - Decimal("4.135708") / position.quantity) / (1 - rate)
    right = position.exchange_liquidation.price
    assert abs(wrong - right) / abs(position.mark_price - right) > Decimal("0.3")
    assert position.isolated_wallet == Decimal("-213.037712") + Decimal("0.00347") * 62917


TABLES = [
    [50, {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": 50}]}],
    [51, {"description": "tiered 10x", "marginTiers": [
        {"lowerBound": "0.0", "maxLeverage": 10}, {"lowerBound": "3000000.0", "maxLeverage": 5}]}],
    [54, {"description": "tiered 40x, testnet", "marginTiers": [
        {"lowerBound": "0.0", "maxLeverage": 40}, {"lowerBound": "10000.0", "maxLeverage": 25},
        {"lowerBound": "50000.0", "maxLeverage": 10}]}],
]  # fmt: skip


def tiers_of(name, highest, table):
    return [
        (tier.notional_floor, tier.maintenance_margin_rate, tier.maintenance_amount)
        for tier in read_tiers(meta(TABLES, (name, highest, table)), name)
    ]


def test_a_tiers_rate_is_half_of_one_over_its_highest_leverage_and_nothing_jumps():
    """Documents, margin tiers: 3,000,000 x (10 % - 5 %) is deducted above 3,000,000."""
    assert tiers_of("APE", 10, 51) == [
        (0, Decimal("0.05"), 0),
        (3_000_000, Decimal("0.1"), 150_000),
    ]


def test_three_tiers_add_up():
    assert tiers_of("BTC", 40, 54) == [
        (0, Decimal("0.0125"), 0),
        (10_000, Decimal("0.02"), 75),
        (50_000, Decimal("0.05"), 75 + 1_500),
    ]


def test_a_table_below_fifty_is_not_listed_and_has_one_tier_at_that_leverage():
    assert tiers_of("MEME", 3, 3) == [(0, Decimal(1) / 6, 0)]


@pytest.mark.parametrize(
    ("highest", "table"),
    [(10, 52), (20, 51), (5, 3), (10, 0), (0, 51), ("x", 51), (None, 51), (10, None)],
    ids=str,
)
def test_a_table_that_is_missing_or_contradicts_the_market_is_no_table(highest, table):
    with pytest.raises(RowError):
        tiers_of("APE", highest, table)


def test_a_coin_that_is_not_listed_has_no_table():
    with pytest.raises(RowError, match="not listed"):
        read_tiers(meta(TABLES, ("APE", 10, 51)), "BTC")


def test_a_table_whose_leverage_rises_is_no_table():
    rising = [[51, {"marginTiers": [{"lowerBound": "0", "maxLeverage": 5}, {"lowerBound": "9", "maxLeverage": 10}]}]]
    with pytest.raises(RowError, match="more leverage"):
        read_tiers(meta(rising, ("APE", 5, 51)), "APE")


def test_a_table_that_begins_above_zero_is_no_table():
    late = [[51, {"marginTiers": [{"lowerBound": "9", "maxLeverage": 10}]}]]
    with pytest.raises(RowError, match="begin at"):
        read_tiers(meta(late, ("APE", 10, 51)), "APE")
