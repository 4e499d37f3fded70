"""One snapshot in, every figure out: whose price the distance goes by, and what could not be modelled."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import margin_worlds as worlds
import pytest

from guard.margin import MarginRule, RuleBook, assess, reprice
from guard.snapshot import (
    AccountSnapshot,
    AssetMode,
    Gap,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Mark,
    Position,
    PositionKey,
    Side,
    Wallet,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNKNOWN = Liquidation(kind=LiquidationKind.UNKNOWN)
ONE_PERCENT = worlds.table(("0", "0.01"))
TIERS = {f"{coin}/{quote}:{quote}": ONE_PERCENT for coin in worlds.LINEAR_COINS for quote in ("USDT", "USDC")}


def at(price):
    return Liquidation(kind=LiquidationKind.AT, price=Decimal(price))


def position(coin="BTC", side=Side.LONG, *, wallet=None, quote="USDT", theirs=UNKNOWN, **numbers):
    fields = {"quantity": Decimal(1), "entry_price": Decimal(100), "mark_price": Decimal(100)} | {
        k: Decimal(v) for k, v in numbers.items()
    }
    return Position(
        contract=worlds.contract(coin, quote=quote),
        side=side,
        margin_mode=MarginMode.CROSS if wallet is None else MarginMode.ISOLATED,
        isolated_wallet=None if wallet is None else Decimal(wallet),
        leverage=Decimal(10),
        hedged=False,
        auto_add_margin=False,
        exchange_liquidation=theirs,
        exchange_maintenance_margin=Decimal(7),
        updated_at=NOW,
        **fields,
    )


def snapshot(*positions, wallets=None, gaps=(), mode=AssetMode.SINGLE, ratio=None):
    return AccountSnapshot(
        account="main",
        exchange="binanceusdm",
        asset_mode=mode,
        positions=positions,
        wallets=(wallet(),) if wallets is None else wallets,
        positions_read_at=NOW,
        wallets_read_at=NOW,
        exchange_margin_ratio=ratio,
        gaps=gaps,
    )


def wallet(currency="USDT", balance="50", pnl="0", available="20"):
    return Wallet(
        currency=currency,
        cross_wallet_balance=Decimal(balance),
        cross_unrealized_pnl=Decimal(pnl),
        available=Decimal(available),
    )


def judge(account, tiers=TIERS):
    return assess(account, tiers, RuleBook.uniform(MarginRule()), NOW)


def test_an_isolated_position_is_modelled_with_its_own_margin_alone():
    row = judge(snapshot(position(wallet="11"))).positions[0]
    assert row.pool_name is None
    assert row.margin_balance == 11
    assert row.requirement == row.maintenance_margin == 1
    assert row.crossings.down == row.liquidation.price
    assert abs(row.liquidation.price - Decimal(89) / Decimal("0.99")) < Decimal("1e-20")
    assert row.bankruptcy_price == 89
    assert row.distance_basis == "model"


def test_a_cross_position_has_its_own_requirement_and_the_balance_ratio_and_bankruptcy_of_its_pool():
    result = judge(snapshot(position("BTC"), position("ETH", Side.SHORT, quantity="2", mark_price="90")))
    btc, eth = result.positions
    pool = result.pools[0]
    assert pool.name == btc.pool_name == "USDT cross"
    assert (btc.requirement, eth.requirement, pool.requirement) == (Decimal(1), Decimal("1.8"), Decimal("2.8"))
    assert btc.margin_balance == eth.margin_balance == pool.margin_balance == 70
    assert btc.margin_ratio == eth.margin_ratio == pool.margin_ratio == Decimal("0.04")
    assert btc.bankruptcy_price == 30
    assert eth.bankruptcy_price == 125
    assert pool.equity == 50
    assert pool.available == 20


@pytest.mark.parametrize(
    ("theirs", "basis", "distance"),
    [
        (at("80"), "model", "0.1010"),
        (at("95"), "exchange", "0.05"),
        (UNKNOWN, "model", "0.1010"),
        (Liquidation(kind=LiquidationKind.NONE), "model", "0.1010"),
        (Liquidation(kind=LiquidationKind.PAST), "past", "0"),
    ],
)
def test_the_distance_goes_by_the_nearer_of_our_price_and_the_exchange_s(theirs, basis, distance):
    row = judge(snapshot(position(wallet="11", theirs=theirs))).positions[0]
    assert row.distance_basis == basis
    assert round(row.distance, 4) == Decimal(distance)
    assert row.liquidation == row.crossings.nearest


def test_where_we_see_no_liquidation_the_exchange_s_price_still_counts():
    row = judge(snapshot(position(wallet="150", theirs=at("40")))).positions[0]
    assert row.liquidation.kind is LiquidationKind.NONE
    assert (row.distance, row.distance_basis) == (Decimal("0.6"), "exchange")


def test_no_liquidation_anywhere_is_none_and_not_unknown():
    row = judge(snapshot(position(wallet="150"))).positions[0]
    assert (row.distance, row.distance_basis) == (None, "none")


def test_the_model_gap_is_signed_and_measured_in_mark_prices():
    row = judge(snapshot(position(wallet="11", theirs=at("89")))).positions[0]
    assert abs(row.model_gap - (Decimal(89) / Decimal("0.99") - 89) / 100) < Decimal("1e-25")


def test_a_position_past_its_requirement_has_distance_zero_and_no_ratio_once_nothing_is_left():
    beneath, bankrupt = (judge(snapshot(position(wallet=w))).positions[0] for w in ("0.5", "-1"))
    assert beneath.liquidation.kind is LiquidationKind.PAST
    assert beneath.liquidation.price is None
    assert beneath.distance == 0
    assert beneath.margin_ratio == 2
    assert bankrupt.margin_ratio is None


def test_a_position_without_brackets_is_watched_by_the_exchange_s_price_and_says_so():
    result = judge(snapshot(position(wallet="11", theirs=at("89"))), tiers={})
    row = result.positions[0]
    assert row.leg is None
    assert row.crossings.nearest.kind is LiquidationKind.UNKNOWN
    assert row.liquidation == at("89")
    assert (row.distance, row.distance_basis) == (Decimal("0.11"), "exchange")
    assert row.requirement is None
    assert row.maintenance_margin == 7
    assert (row.margin_balance, row.bankruptcy_price) == (Decimal(11), Decimal(89))
    assert [gap.key for gap in result.gaps] == [row.key]


def test_without_brackets_and_without_the_exchange_s_price_the_answer_is_unknown():
    row = judge(snapshot(position(wallet="11")), tiers={}).positions[0]
    assert row.liquidation.kind is LiquidationKind.UNKNOWN
    assert (row.distance, row.distance_basis) == (None, "unknown")


def test_a_cross_pool_is_not_modelled_when_the_brackets_of_one_of_its_positions_are_missing():
    only_eth = {"ETH/USDT:USDT": ONE_PERCENT}
    result = judge(snapshot(position("BTC", theirs=at("60")), position("ETH"), position("SOL", wallet="5")), only_eth)
    pool = result.pools[0]
    assert pool.pool is None
    assert pool.liquidation.kind is LiquidationKind.UNKNOWN
    assert pool.requirement is None
    assert pool.shock_down is None
    assert (pool.distance, pool.driver) == (Decimal("0.4"), "BTC/USDT:USDT")
    assert result.positions[1].leg is None
    assert {gap.subject for gap in result.gaps} == {"BTC/USDT:USDT long", "SOL/USDT:USDT long", "USDT cross"}


def test_another_currency_s_pool_is_modelled_all_the_same():
    account = snapshot(position("BTC"), position("BTC", quote="USDC"), wallets=(wallet(), wallet("USDC")))
    result = judge(account, {"BTC/USDC:USDC": ONE_PERCENT})
    assert [(pool.name, pool.pool is None) for pool in result.pools] == [("USDT cross", True), ("USDC cross", False)]


def test_in_multi_assets_mode_the_exchange_s_ratio_is_watched_and_isolated_positions_are_still_modelled():
    account = snapshot(
        position("BTC", theirs=at("70")), position("ETH", wallet="11"), mode=AssetMode.MULTI, ratio=Decimal("0.31")
    )
    result = judge(account)
    pool = result.pools[0]
    assert (pool.exchange_margin_ratio, pool.margin_ratio) == (Decimal("0.31"), None)
    assert pool.liquidation.kind is LiquidationKind.UNKNOWN
    assert "exchange's own account ratio" in next(gap.reason for gap in result.gaps if gap.subject == "USDT cross")
    cross, isolated = result.positions
    assert (cross.leg, cross.distance_basis) == (None, "exchange")
    assert isolated.leg is not None


def test_a_cross_pool_without_its_wallet_is_unknown_and_never_a_zero():
    result = judge(snapshot(position("BTC"), wallets=()))
    assert result.pools[0].margin_balance is None
    assert result.pools[0].available is None
    assert "no USDT wallet" in result.gaps[0].reason


@pytest.mark.parametrize("numbers", [{"mark_price": "NaN"}, {"entry_price": "0"}, {"quantity": "-1"}])
def test_a_position_whose_numbers_make_no_sense_is_a_gap_and_the_others_stay_watched(numbers):
    result = judge(snapshot(position("BTC", wallet="5", **numbers), position("ETH", wallet="11")))
    assert [row.key.symbol for row in result.positions] == ["ETH/USDT:USDT"]
    assert result.gaps[0].key == PositionKey("BTC/USDT:USDT", Side.LONG)


def test_nonsense_in_a_position_costs_only_the_pool_that_carries_it_its_model():
    nonsense = {"quantity": "-1", "theirs": at("60")}
    isolated = judge(snapshot(position("BTC", wallet="5", **nonsense), position("ETH")))
    cross = judge(snapshot(position("BTC", **nonsense), position("ETH")))
    assert isolated.pools[0].pool is not None
    assert cross.pools[0].pool is None
    assert "BTC/USDT:USDT long" in cross.gaps[-1].reason


def test_gaps_of_the_snapshot_pass_through():
    gap = Gap(subject="SOL/USDT:USDT long", reason="markPrice is 'NaN'", key=PositionKey("SOL/USDT:USDT", Side.LONG))
    assert judge(snapshot(position(wallet="11"), gaps=(gap,))).gaps == (gap,)


def test_positions_keep_the_order_of_the_snapshot():
    account = snapshot(position("BTC"), position("ETH", wallet="5"), position("SOL"))
    assert [row.position for row in judge(account).positions] == list(account.positions)


def test_a_wallet_nothing_leans_on_is_a_pool_with_no_liquidation():
    pool = judge(snapshot(position(wallet="11"))).pools[0]
    assert (pool.margin_balance, pool.requirement, pool.margin_ratio) == (Decimal(50), Decimal(0), Decimal(0))
    assert pool.liquidation.kind is LiquidationKind.NONE
    assert (pool.distance, pool.driver) == (None, None)


def test_a_pool_s_distance_is_the_worst_of_its_coins_and_of_all_together():
    """Two longs of 100 on 50: alone each coin falls 49.5 %, together both fall 24.7 %."""
    pool = judge(snapshot(position("BTC"), position("ETH", mark_price="101", entry_price="101"))).pools[0]
    assert pool.distance == pool.shock_down.copy_negate()
    assert Decimal("0.24") < pool.distance < Decimal("0.25")
    assert pool.driver == "ETH/USDT:USDT"
    assert pool.liquidation.kind is LiquidationKind.AT


def test_a_pool_that_only_a_fall_of_everything_ends_names_the_symbol_that_loses_most():
    account = snapshot(position("BTC"), position("ETH", quantity="1.1"), wallets=(wallet(balance="150"),))
    result = judge(account)
    assert all(row.liquidation.kind is LiquidationKind.NONE for row in result.positions)
    pool = result.pools[0]
    assert pool.driver == "ETH/USDT:USDT"
    assert pool.distance == pool.shock_down.copy_negate()
    assert abs(pool.liquidation.price - 100 * (1 + pool.shock_down)) < Decimal("1e-20")


def test_a_pool_past_its_requirement_has_distance_zero():
    pool = judge(snapshot(position("BTC"), position("ETH", quantity="3"), wallets=(wallet(balance="4"),))).pools[0]
    assert pool.liquidation.kind is LiquidationKind.PAST
    assert (pool.distance, pool.driver, pool.shock_down) == (Decimal(0), "ETH/USDT:USDT", None)


def test_the_exchange_s_nearer_price_of_a_cross_position_counts_for_its_pool_too():
    pool = judge(snapshot(position("BTC", theirs=at("97")))).pools[0]
    assert (pool.distance, pool.driver, pool.liquidation) == (Decimal("0.03"), "BTC/USDT:USDT", at("97"))


# A newer mark ------------------------------------------------------------------------------------------------------


def mark(symbol, price):
    return {symbol: Mark(symbol=symbol, price=Decimal(price), at=NOW)}


def test_a_newer_mark_gives_the_figures_of_a_snapshot_read_at_that_mark():
    before = snapshot(position("BTC"), position("ETH", Side.SHORT), position("SOL", wallet="11"))
    moved = reprice(before, mark("BTC/USDT:USDT", "90"))
    read = snapshot(
        position("BTC", mark_price="90"),
        position("ETH", Side.SHORT),
        position("SOL", wallet="11"),
        wallets=(wallet(pnl="-10", available="10"),),
    )
    assert moved == read
    assert judge(moved).pools == judge(read).pools


def test_available_money_follows_a_loss_at_once_and_a_gain_only_when_the_exchange_says_so():
    account = snapshot(position("BTC"))
    assert reprice(account, mark("BTC/USDT:USDT", "60")).wallets[0].available == 0
    assert reprice(account, mark("BTC/USDT:USDT", "130")).wallets[0].available == 20
    assert reprice(account, mark("BTC/USDT:USDT", "130")).wallets[0].cross_unrealized_pnl == 30


def test_an_isolated_position_s_mark_does_not_touch_the_wallet():
    account = snapshot(position("BTC", wallet="11"))
    assert reprice(account, mark("BTC/USDT:USDT", "60")).wallets == account.wallets


def test_marks_of_other_symbols_change_nothing():
    account = snapshot(position("BTC"))
    assert reprice(account, mark("ETH/USDT:USDT", "60")) is account


def test_both_legs_of_a_hedge_follow_one_mark():
    account = snapshot(position("BTC"), replace(position("BTC", Side.SHORT), quantity=Decimal("0.4")))
    moved = reprice(account, mark("BTC/USDT:USDT", "90"))
    assert {row.mark_price for row in moved.positions} == {Decimal(90)}
    assert moved.wallets[0].cross_unrealized_pnl == -6
