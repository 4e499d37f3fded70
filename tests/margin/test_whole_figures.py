"""Every figure of small accounts, checked by hand and all at once: nothing of a row is left out or put elsewhere."""

from dataclasses import replace
from decimal import Decimal

import pytest
from made_accounts import position_of
from margin_worlds import contract, cross_pool, leg, table
from test_assessment import NOW, at, judge, mark, position, snapshot, wallet

from guard.margin import PresentPool, cross_figures, pool_fields, position_fields, reprice
from guard.snapshot import AssetMode, Gap, LiquidationKind, MarginMode, PositionKey, Side

UNKNOWN_KEYS = dict.fromkeys(
    (
        *("guarded_liquidation_price", "sigmas", "touch_probability", "stop_price", "trigger", "money_to_target"),
        *("budget_left", "rule", "withheld", "level", "reason", "idle_margin"),
    )
)


def test_every_figure_of_an_isolated_position():
    """Short 2 contracts of 5 SOL at 110, mark 100, 150 in it, 1 %: it ends where 150 + 10 (110 - P) = 0.1 P."""
    terms = contract("SOL", size="5")
    one = leg(terms, side=Side.SHORT, quantity="2", entry="110", mark="100")
    held = replace(position_of(one, Decimal(150)), leverage=Decimal(7), exchange_liquidation=at("130"))
    row = judge(snapshot(held, wallets=())).positions[0]
    assert position_fields(row) == UNKNOWN_KEYS | {
        "symbol": "SOL/USDT:USDT",
        "side": "short",
        "margin_mode": "isolated",
        "pool": None,
        "currency": "USDT",
        "quantity": "2",
        "contract_size": "5",
        "entry_price": "110",
        "mark_price": "100",
        "notional": "1000",
        "leverage": "7",
        "isolated_wallet": "150",
        "unrealized_pnl": "100",
        "margin_balance": "250",
        "maintenance_margin": "10",
        "requirement": "10",
        "margin_ratio": "0.04",
        "liquidation": "at",
        "liquidation_price": "123.7623762376237623762376237623762",
        "liquidation_price_down": None,
        "liquidation_price_up": "123.7623762376237623762376237623762",
        "exchange_liquidation_price": "130",
        "model_gap": "-0.06237623762376237623762376237623762",
        "bankruptcy_price": "125",
        "distance": "0.2376237623762376237623762376237624",
        "effective_leverage": "4",
    }
    assert row.pool.margin_mode is MarginMode.ISOLATED
    assert row.distance_basis == "model"


def test_every_figure_of_a_cross_pool_and_of_its_positions():
    """Long 1 BTC at 100 and short 3 ETH at 100, wallet 50, marks 110 and 100: 60 against 4.1; a rise of both ends it."""
    account = snapshot(
        position("BTC", mark_price="110"),
        position("ETH", Side.SHORT, quantity="3"),
        wallets=(wallet(pnl="10", available="33"),),
    )
    result = judge(account)
    btc, eth = result.positions
    pool = result.pools[0]
    together = "0.2879958784131890777949510561566203"  # 55.9 / (300 x 1.01 - 110 x 0.99).
    assert pool_fields(pool) == {
        "pool": "USDT cross",
        "currency": "USDT",
        "margin_mode": "cross",
        "margin_balance": "60",
        "maintenance_margin": "4.1",
        "requirement": "4.1",
        "margin_ratio": "0.06833333333333333333333333333333333",
        "available": "33",
        "reserve": None,
        "spendable": None,
        "liquidation": "at",
        "distance": "0.1844884488448844884488448844884488",
        "sigmas": None,
        "shock_down": None,
        "shock_up": together,
        "driver": "ETH/USDT:USDT",
        "level": None,
        "reason": None,
        "falls_together": ["BTC/USDT:USDT long", "ETH/USDT:USDT short"],
    }
    assert (pool.equity, pool.exchange_margin_ratio) == (60, None)
    assert pool.liquidation == eth.crossings.nearest
    assert (btc.maintenance_margin, eth.maintenance_margin) == (Decimal("1.1"), Decimal(3))
    assert btc.pool is eth.pool is pool.pool
    assert btc.effective_leverage == eth.effective_leverage
    assert round(btc.effective_leverage, 10) == Decimal("6.8333333333")
    assert (btc.unrealized_pnl, eth.unrealized_pnl) == (10, 0)
    assert (result.snapshot, result.assessed_at, result.gaps) == (account, NOW, ())


def test_every_figure_of_a_pool_that_is_not_modelled():
    account = snapshot(
        position("BTC", quantity="2", entry_price="90", theirs=at("60")),
        position("ETH", Side.SHORT, theirs=at("130")),
        wallets=(wallet(balance="50", pnl="12", available="7"),),
    )
    result = judge(account, {})
    pool = pool_fields(result.pools[0])
    assert {name: figure for name, figure in pool.items() if figure is not None} == {
        "pool": "USDT cross",
        "currency": "USDT",
        "margin_mode": "cross",
        "available": "7",
        "liquidation": "unknown",
        "distance": "0.3",
        "driver": "ETH/USDT:USDT",
        "falls_together": ["BTC/USDT:USDT long", "ETH/USDT:USDT short"],
    }
    assert result.pools[0].equity == 62
    btc = position_fields(result.positions[0])
    assert {name: figure for name, figure in btc.items() if figure is not None} == {
        "symbol": "BTC/USDT:USDT",
        "side": "long",
        "margin_mode": "cross",
        "pool": "USDT cross",
        "currency": "USDT",
        "quantity": "2",
        "contract_size": "1",
        "entry_price": "90",
        "mark_price": "100",
        "notional": "200",
        "leverage": "10",
        "unrealized_pnl": "20",
        "maintenance_margin": "7",
        "liquidation": "at",
        "liquidation_price": "60",
        "exchange_liquidation_price": "60",
        "distance": "0.4",
    }


def test_a_pool_that_is_not_modelled_shows_the_exchange_s_own_ratio_and_may_have_no_wallet():
    multi = judge(snapshot(position("BTC"), mode=AssetMode.MULTI, ratio=Decimal("0.31")))
    assert pool_fields(multi.pools[0])["margin_ratio"] == "0.31"
    bare = judge(snapshot(position("BTC"), wallets=()))
    assert (bare.pools[0].equity, bare.pools[0].available) == (None, None)
    assert pool_fields(bare.pools[0])["margin_ratio"] is None
    assert (bare.pools[0].distance, bare.pools[0].driver) == (None, None)


def test_an_inverse_position_without_brackets_still_has_what_needs_none():
    """Long 40 contracts of 100 dollars at 50,000, mark 40,000, 0.05 BTC in it: 0.1 BTC now, 0.08 paid, 0.03 left."""
    one = leg(contract(inverse=True, size="100"), quantity="40", entry="50000", mark="40000")
    row = judge(snapshot(position_of(one, Decimal("0.05"))), {}).positions[0]
    assert (row.notional, row.unrealized_pnl, row.margin_balance) == (Decimal("0.1"), Decimal("-0.02"), Decimal("0.03"))
    assert round(row.effective_leverage, 20) == round(Decimal(10) / 3, 20)
    assert row.bankruptcy_price is not None
    assert abs(row.bankruptcy_price - Decimal(4000) / Decimal("0.13")) < Decimal("1e-20")
    assert (row.pool_name, row.pool, row.leg, row.requirement) == (None, None, None, None)


# What could not be modelled says so -----------------------------------------------------------------------------------


def gaps_of(*positions, tiers=None, **more):
    account = snapshot(*positions, **more)
    return [
        (gap.subject, gap.reason, gap.key) for gap in (judge(account) if tiers is None else judge(account, tiers)).gaps
    ]


BTC = PositionKey("BTC/USDT:USDT", Side.LONG)
NO_BRACKETS = "its leverage brackets are not known: only the exchange's own liquidation price is watched"


def test_every_gap_names_its_subject_its_reason_and_its_position():
    assert gaps_of(position("BTC", wallet="5", quantity="-1", mark_price="NaN")) == [
        ("BTC/USDT:USDT long", "its quantity is -1 and its mark price is NaN", BTC)
    ]
    assert gaps_of(position("BTC", wallet="5"), tiers={}) == [("BTC/USDT:USDT long", NO_BRACKETS, BTC)]
    unstated = replace(position("BTC"), margin_mode=MarginMode.ISOLATED)
    assert gaps_of(unstated) == [("BTC/USDT:USDT long", "the exchange does not state the margin in it", BTC)]
    assert gaps_of(unstated, tiers={}) == [("BTC/USDT:USDT long", NO_BRACKETS, BTC)]
    assert gaps_of(position("BTC"), wallets=()) == [("USDT cross", "the exchange lists no USDT wallet", None)]
    assert gaps_of(position("BTC"), mode=AssetMode.MULTI) == [
        (
            "USDT cross",
            "multi-assets mode is not modelled: the exchange's own account ratio is watched",
            None,
        )
    ]
    assert gaps_of(position("BTC"), position("ETH", quantity="0"), tiers={}) == [
        ("ETH/USDT:USDT long", "its quantity is 0", PositionKey("ETH/USDT:USDT", Side.LONG)),
        ("BTC/USDT:USDT long", NO_BRACKETS, BTC),
        (
            "USDT cross",
            "not modelled without ETH/USDT:USDT long, BTC/USDT:USDT long: the exchange's own prices are watched",
            None,
        ),
    ]


def test_a_pool_without_many_positions_names_some_of_them_and_counts_the_rest():
    many = [position(f"COIN{number}") for number in range(300)]
    (reason,) = [reason for subject, reason, _ in gaps_of(*many, tiers={}) if subject == "USDT cross"]
    assert "COIN7/USDT:USDT long and 292 more:" in reason
    assert "COIN8/" not in reason


def test_a_position_unseen_in_one_currency_s_pool_does_not_cost_another_its_model():
    hidden = Gap(
        subject="SOL/USDC:USDC long",
        reason="unreadable",
        key=PositionKey("SOL/USDC:USDC", Side.LONG),
        may_be_cross=True,
    )
    account = snapshot(
        position("BTC"), position("BTC", quote="USDC"), wallets=(wallet(), wallet("USDC")), gaps=(hidden,)
    )
    result = judge(account)
    assert [(pool.currency, pool.pool is None) for pool in result.pools] == [("USDT", False), ("USDC", True)]
    assert result.gaps[0] == hidden
    assert "without SOL/USDC:USDC long:" in result.gaps[1].reason


def test_nonsense_names_every_number_that_is_none():
    """A size of zero in a contract, and a mark of zero, are no positions at all."""
    one = position("BTC", wallet="5", quantity="-1", entry_price="Infinity", mark_price="0")
    one = replace(one, contract=replace(one.contract, contract_size=Decimal(0)))
    said = "its quantity is -1 and its contract size is 0 and its entry price is Infinity and its mark price is 0"
    assert gaps_of(one) == [("BTC/USDT:USDT long", said, BTC)]
    for name, number in {"mark_price": "0", "entry_price": "0", "quantity": "0"}.items():
        words = name.replace("_", " ")
        assert gaps_of(position("BTC", wallet="5", **{name: number})) == [
            ("BTC/USDT:USDT long", f"its {words} is 0", BTC)
        ]
    sizeless = replace(position("BTC", wallet="5"), contract=replace(one.contract, contract_size=Decimal(0)))
    assert gaps_of(sizeless) == [("BTC/USDT:USDT long", "its contract size is 0", BTC)]


def test_a_wallet_is_a_pool_as_soon_as_anything_lies_in_it():
    filled = judge(snapshot(wallets=(wallet(balance="1"), wallet("USDC", balance="0"), wallet("BTC", balance="-0.1"))))
    assert [pool.currency for pool in filled.pools] == ["USDT", "BTC"]
    assert {pool.pool.margin_mode for pool in filled.pools} == {MarginMode.CROSS}


def test_the_exchange_s_own_ratio_is_the_account_s_and_no_single_pool_s():
    pool = judge(snapshot(position("BTC"), ratio=Decimal("0.31")), {}).pools[0]
    assert pool.exchange_margin_ratio is None


def test_the_distance_is_the_model_s_where_the_exchange_says_the_same():
    free = {"BTC/USDT:USDT": table(("0", "0"))}
    row = judge(snapshot(position("BTC", wallet="11", theirs=at("89"))), free).positions[0]
    assert (row.crossings.nearest, row.distance_basis, row.model_gap) == (at("89"), "model", 0)


# What drives a pool --------------------------------------------------------------------------------------------------


def figures_of(pool):
    return cross_figures(pool, [position_of(one) for one in pool.legs], wallet=None)[1]


FREE = table(("0", "0"))


def test_a_pool_is_past_only_when_its_balance_is_no_more_than_its_requirement():
    one = leg(entry="100", mark="100")
    assert figures_of(cross_pool(one, wallet="1.5")).liquidation.kind is LiquidationKind.AT
    past = figures_of(cross_pool(one, wallet="1"))
    assert (past.liquidation.kind, past.distance, past.driver) == (LiquidationKind.PAST, 0, "BTC/USDT:USDT")
    assert past.margin_ratio == 1
    ruined = figures_of(cross_pool(one, wallet="-1"))
    assert (ruined.liquidation.kind, ruined.margin_ratio) == (LiquidationKind.PAST, None)


def test_money_owed_without_a_position_is_past_and_has_no_driver():
    pool = replace(cross_pool(leg(), wallet="-5"), legs=())
    figures = figures_of(pool)
    assert (figures.liquidation.kind, figures.driver, figures.falls_together) == (LiquidationKind.PAST, None, ())


def test_coins_that_lie_alone_in_a_pool_with_a_debt_have_no_driver_though_a_fall_of_all_ends_it():
    coin = replace(cross_pool(leg()).collateral[0], asset="BTC", wallet_balance=Decimal(1), price=Decimal(100))
    figures = figures_of(replace(cross_pool(leg(), wallet="-50", others=(coin,)), legs=()))
    assert figures.shock_down == Decimal("-0.5")
    assert (figures.liquidation.kind, figures.distance, figures.driver) == (LiquidationKind.NONE, None, None)


def test_a_pool_of_two_settle_currencies_is_driven_by_what_is_worth_most_in_its_own():
    """Past its end: 2 BTC of an inverse contract weigh more than 1,000 dollars of a linear one."""
    inverse = leg(contract(inverse=True), quantity="100000", entry="50000", mark="50000")
    linear = leg(contract("ETH"), quantity="1", entry="1000", mark="1000")
    btc = replace(cross_pool(leg()).collateral[0], asset="BTC", wallet_balance=Decimal(0), price=Decimal(50000))
    figures = figures_of(replace(cross_pool(linear, wallet="-1", others=(btc,)), legs=(linear, inverse)))
    assert figures.driver == "BTC/USD:BTC"


def test_effective_leverage_counts_every_notional_in_the_pool_s_currency():
    """2 BTC at 50,000 and 1,000 dollars, on 10,100 dollars."""
    inverse = leg(contract(inverse=True), quantity="100000", entry="50000", mark="50000")
    linear = leg(contract("ETH"), quantity="1", entry="1000", mark="1000")
    btc = replace(cross_pool(leg()).collateral[0], asset="BTC", wallet_balance=Decimal(0), price=Decimal(50000))
    pool = replace(cross_pool(linear, wallet="10100", others=(btc,)), legs=(linear, inverse))
    assert PresentPool(pool).effective_leverage() == 10


def test_a_pool_of_shorts_is_as_near_as_a_rise_of_all():
    shorts = [leg(contract(coin), side=Side.SHORT, entry="100", mark="100") for coin in ("BTC", "ETH")]
    figures = figures_of(cross_pool(*shorts, wallet="50"))
    assert figures.distance == figures.shock_up
    assert (figures.shock_down, pool_fields(figures)["shock_down"]) == (None, None)
    longs = [replace(short, side=Side.LONG) for short in shorts]
    figures = figures_of(cross_pool(*longs, wallet="50"))
    assert pool_fields(figures)["shock_down"] == "-0." + "24" * 17


def test_a_pool_that_both_a_fall_and_a_rise_of_all_end_is_as_near_as_the_nearer():
    """Two longs of 10 at 9,900 whose brackets jump at 10,000 from 0.5 to 5 %: one jump is carried, two are not."""
    tiers = table(("0", "0.005"), ("100000", "0.05"), jumping=True)
    legs = [leg(contract(coin), quantity="10", entry="9900", mark="9900", tiers=tiers) for coin in ("BTC", "ETH")]
    figures = figures_of(cross_pool(*legs, wallet="6000"))
    assert round(figures.shock_up, 20) == round(Decimal(1) / 99, 20)
    assert -figures.shock_down > figures.shock_up
    assert figures.distance == figures.shock_up
    assert figures.driver == "BTC/USDT:USDT"


def test_in_a_fall_to_nothing_the_longs_lose_and_not_the_larger_shorts():
    """Two longs of 100 and a hedged short of 150: all of the wallet's 50 is lost at a price of zero, and not before."""
    longs = [leg(contract(coin), entry="100", mark="100", tiers=FREE) for coin in ("ETH", "SOL")]
    short = leg(contract("BTC"), side=Side.SHORT, quantity="1.5", entry="100", mark="100", tiers=FREE)
    coin = replace(cross_pool(leg()).collateral[0], asset="BTC", wallet_balance=Decimal("1.5"), price=Decimal(100))
    pool = cross_pool(short, *longs, wallet="50", others=(coin,))
    figures = figures_of(pool)
    assert figures.shock_down == -1
    assert (figures.liquidation.kind, figures.liquidation.price, figures.distance) == (LiquidationKind.AT, 0, 1)
    assert figures.driver == "ETH/USDT:USDT"


# A newer mark --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "available"), [("99.5", "19.5"), ("100.5", "20"), ("101", "20"), ("70", "0")])
def test_a_wallet_follows_small_moves_and_large_ones(price, available):
    moved = reprice(snapshot(position("BTC", entry_price="80")), mark("BTC/USDT:USDT", price)).wallets[0]
    assert moved.cross_unrealized_pnl == Decimal(price) - 100
    assert moved.available == Decimal(available)


def test_a_wallet_that_nothing_moved_is_the_same_object():
    account = snapshot(position("BTC"), wallets=(wallet(), wallet("USDC")))
    moved = reprice(account, mark("BTC/USDT:USDT", "101"))
    assert moved.wallets[1] is account.wallets[1]
    assert moved.wallets[0].cross_unrealized_pnl == 1


def test_a_newer_mark_changes_nothing_else_of_a_position():
    one = replace(position("BTC", wallet="11", theirs=at("80")), updated_at=NOW, hedged=True, auto_add_margin=True)
    moved = reprice(snapshot(one), mark("BTC/USDT:USDT", "101")).positions[0]
    assert moved == replace(one, mark_price=Decimal(101))


def test_an_inverse_position_gains_coins_at_its_new_mark():
    """Long 100 contracts of 10 dollars from 100 to 125: 10 coins become 8 to pay back, a gain of 2."""
    one = leg(contract(inverse=True, size="10"), quantity="100", entry="90", mark="100")
    account = snapshot(position_of(one), wallets=(wallet("BTC"),))
    assert reprice(account, mark(one.contract.symbol, "125")).wallets[0].cross_unrealized_pnl == 2


def test_a_hidden_dated_contract_leans_on_its_coins_wallet_too():
    gap = Gap(
        subject="BTC/USDT:USDT-261225 long",
        reason="markPrice is 'NaN'",
        key=PositionKey("BTC/USDT:USDT-261225", Side.LONG),
        may_be_cross=True,
    )
    seen = snapshot(gaps=(gap,))
    assert seen.unseen_in_cross("USDT") == (gap,)
    assert seen.unseen_in_cross("BTC") == ()
