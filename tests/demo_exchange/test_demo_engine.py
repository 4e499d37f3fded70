"""Marking to market and liquidating by the published rule, without a socket."""

from dataclasses import replace
from decimal import Decimal

import pytest
from demo_exchange_support import account_with

from guard.demo.exchange import DemoExchange, available, equity, liquidation_of
from guard.demo.exchange.ledger import multi_assets_equity, wallet_balance, withdrawable
from guard.snapshot import MarginMode, Side

ISOLATED, CROSS = MarginMode.ISOLATED, MarginMode.CROSS
TICK = Decimal("0.00000001")


def just_beyond(price: Decimal, side: Side) -> Decimal:
    return price - side * TICK


def just_before(price: Decimal, side: Side) -> Decimal:
    return price + side * TICK


@pytest.mark.parametrize("side", [Side.LONG, Side.SHORT])
def test_an_isolated_position_lives_just_before_its_liquidation_price_and_dies_just_beyond_it(exchange, account, side):
    position = exchange.open_position(account, symbol="BTCUSDT", side=side, quantity=Decimal("0.5"), leverage=10)
    price = liquidation_of(account, position, exchange.marks)
    assert exchange.set_mark("BTCUSDT", just_before(price, side)) == []
    [event] = exchange.set_mark("BTCUSDT", just_beyond(price, side))
    assert (event.symbol, event.side, event.margin_mode, event.loss) == ("BTCUSDT", side, ISOLATED, Decimal(3000))
    assert exchange.liquidations == [event]
    assert account.positions == {}


def test_an_isolated_liquidation_costs_its_own_wallet_and_nothing_else(exchange, account):
    exchange.open_position(account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.5"), leverage=10)
    other = exchange.open_position(account, symbol="ETHUSDT", side=Side.LONG, quantity=Decimal(1), leverage=5)
    exchange.set_mark("BTCUSDT", Decimal(40_000))
    assert list(account.positions.values()) == [other]
    assert equity(account, exchange.marks) == 10_000 - 3_000


def test_a_cross_pool_dies_as_a_whole_and_takes_the_cross_wallet_but_no_isolated_margin(exchange, account):
    exchange.open_position(
        account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("1.5"), leverage=20, margin_mode=CROSS
    )
    exchange.open_position(
        account, symbol="ETHUSDT", side=Side.LONG, quantity=Decimal(3), leverage=20, margin_mode=CROSS
    )
    kept = exchange.open_position(account, symbol="SOLUSDT", side=Side.LONG, quantity=Decimal(40), leverage=4)
    events = exchange.set_marks({"BTCUSDT": Decimal(55_000), "ETHUSDT": Decimal(2_700)})
    assert {event.symbol for event in events} == {"BTCUSDT", "ETHUSDT"}
    assert sum(event.loss for event in events) == 10_000 - 1_500
    assert list(account.positions.values()) == [kept]
    assert account.balances["USDT"] == 0


def test_a_gain_keeps_a_cross_pool_alive_that_the_loss_alone_would_kill(exchange, account):
    exchange.open_position(
        account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("1.5"), leverage=20, margin_mode=CROSS
    )
    exchange.open_position(
        account, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(30), leverage=20, margin_mode=CROSS
    )
    assert exchange.set_marks({"BTCUSDT": Decimal(53_000), "ETHUSDT": Decimal(2_700)}) == []
    assert exchange.set_mark("ETHUSDT", Decimal(3_000)) != []  # The gain goes, and both legs with it.


def test_prices_that_move_in_the_same_instant_are_judged_together(exchange, account):
    exchange.open_position(
        account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("1.5"), leverage=20, margin_mode=CROSS
    )
    exchange.open_position(
        account, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(30), leverage=20, margin_mode=CROSS
    )
    assert exchange.set_marks({"BTCUSDT": Decimal(50_000), "ETHUSDT": Decimal(2_500)}) == []


def test_a_cross_position_dies_at_the_price_that_the_exchange_states(exchange, account):
    exchange.open_position(
        account, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(3), leverage=20, margin_mode=CROSS
    )
    position = exchange.open_position(
        account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("1.2"), leverage=20, margin_mode=CROSS
    )
    exchange.set_mark("ETHUSDT", Decimal(3_050))
    price = liquidation_of(account, position, exchange.marks)
    assert exchange.set_mark("BTCUSDT", just_before(price, Side.LONG)) == []
    assert len(exchange.set_mark("BTCUSDT", just_beyond(price, Side.LONG))) == 2


def test_both_legs_of_a_cross_hedge_are_charged_and_have_one_liquidation_price():
    # Wallet 1,000, long 0.5 from 20,000, short 0.2 from 21,000, all in the first bracket (0.4 %).
    exchange = DemoExchange({"BTCUSDT": Decimal(20_500)})
    account = exchange.add_account(account_with("1000", hedge_mode=True))
    prices = []
    for side, quantity, entry in ((Side.LONG, "0.5", 20_000), (Side.SHORT, "0.2", 21_000)):
        exchange.open_position(
            account,
            symbol="BTCUSDT",
            side=side,
            quantity=Decimal(quantity),
            entry_price=Decimal(entry),
            leverage=20,
            margin_mode=CROSS,
        )
    prices = [liquidation_of(account, position, exchange.marks) for position in account.positions.values()]
    assert prices[0] == prices[1]
    assert abs(prices[0] - Decimal("16150.740242261105")) < Decimal("1e-9")
    assert len(exchange.set_mark("BTCUSDT", just_beyond(prices[0], Side.LONG))) == 2


def test_isolated_hedge_legs_stand_alone(exchange):
    account = exchange.add_account(account_with(hedge_mode=True))
    for side in Side:
        exchange.open_position(account, symbol="BTCUSDT", side=side, quantity=Decimal("0.5"), leverage=20)
    exchange.set_mark("BTCUSDT", Decimal(57_000))
    assert [leg.side for leg in account.positions.values()] == [Side.SHORT]


def test_a_liquidation_cancels_the_orders_that_reserved_margin(exchange, account):
    exchange.place_order(account, symbol="SOLUSDT", side=Side.LONG, price=Decimal(100), quantity=Decimal(1))
    exchange.open_position(
        account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal(2), leverage=20, margin_mode=CROSS
    )
    exchange.set_mark("BTCUSDT", Decimal(50_000))
    assert account.orders == []


def test_opening_adding_and_closing_keep_the_account_whole(exchange, account):
    exchange.open_position(account, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(1), leverage=5)
    exchange.set_mark("ETHUSDT", Decimal(3_300))
    position = exchange.open_position(account, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(2), leverage=5)
    assert position.entry_price == 3_200
    assert position.isolated_wallet == 600 + 1_320
    exchange.close_position(account, "ETHUSDT", Side.SHORT)
    assert account.balances["USDT"] == 10_000 - 300
    assert [change.delta_type for change in account.margin_changes] == ["TRADE", "TRADE"]


def test_a_position_that_a_real_exchange_would_refuse_is_refused(exchange, account):
    def opening(**fields):
        terms = {"symbol": "BTCUSDT", "side": Side.LONG, "quantity": Decimal("0.1"), "leverage": 10} | fields
        return exchange.open_position(account, **terms)

    opening()
    for refused, why in (
        ({"side": Side.SHORT}, "is long already"),
        ({"margin_mode": CROSS}, "other margin mode"),
        ({"leverage": 20}, "another leverage"),
        ({"symbol": "ETHUSDT", "isolated_wallet": Decimal(20_000)}, "more than the wallet holds"),
    ):
        with pytest.raises(ValueError, match=why):
            opening(**refused)
    assert len(account.positions) == 1
    account.multi_assets = True
    with pytest.raises(ValueError, match="multi-assets"):
        opening(symbol="SOLUSDT")


def test_what_is_available_falls_with_losses_margins_and_orders_and_is_never_negative(exchange, account):
    exchange.open_position(
        account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal(1), leverage=20, margin_mode=CROSS
    )
    exchange.place_order(account, symbol="SOLUSDT", side=Side.SHORT, price=Decimal(150), quantity=Decimal(40))
    assert available(account, "USDT", exchange.marks) == 10_000 - 3_000 - 300
    exchange.set_mark("BTCUSDT", Decimal(58_000))
    assert available(account, "USDT", exchange.marks) == 10_000 - 2_000 - 2_900 - 300
    exchange.set_mark("BTCUSDT", Decimal(61_000))
    assert available(account, "USDT", exchange.marks) == 10_000 + 1_000 - 3_050 - 300
    assert withdrawable(account, "USDT", exchange.marks) == 10_000 - 3_050 - 300
    exchange.set_mark("BTCUSDT", Decimal(51_000))
    assert available(account, "USDT", exchange.marks) == 0
    assert account.positions != {}


def test_an_isolated_loss_does_not_touch_what_is_available(exchange, account):
    exchange.open_position(account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.5"), leverage=10)
    exchange.set_mark("BTCUSDT", Decimal(57_000))
    assert available(account, "USDT", exchange.marks) == 7_000
    assert wallet_balance(account, "USDT") == 10_000
    assert equity(account, exchange.marks) == 8_500


def test_in_multi_assets_mode_other_coins_count_at_their_rate_and_everything_dies_together(exchange):
    account = exchange.add_account(account_with("1000", multi_assets=True))
    account.change_wallet("BTC", Decimal("0.1"))
    assert multi_assets_equity(account, exchange.marks) == 1_000 + 6_000 * Decimal("0.95")
    exchange.open_position(
        account, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(10), leverage=10, margin_mode=CROSS
    )
    assert exchange.set_mark("ETHUSDT", Decimal(3_500)) == []  # 6,700 less 5,000 is above 140.
    [event] = exchange.set_mark("ETHUSDT", Decimal(3_660))
    assert event.loss == 1_000 + 6_000
    assert account.balances == {"USDT": 0, "BTC": 0}


def test_a_coin_without_a_price_is_no_collateral(exchange):
    with pytest.raises(ValueError, match="PEPE: no such coin is listed"):
        exchange.add_account(account_with(balances={"PEPE": Decimal(1)}))


def test_a_new_symbol_is_listed_by_its_first_price_and_nonsense_is_refused(exchange):
    exchange.set_mark("1000PEPEUSDT", Decimal("0.0123"))
    assert exchange.market.listings["1000PEPEUSDT"].base == "1000PEPE"
    for symbol, mark in (("BTC/USDT", "1"), ("USDT", "1"), ("BTCEUR", "1"), ("BTCUSDT", "0"), ("BTCUSDT", "NaN")):
        with pytest.raises(ValueError, match=symbol):
            exchange.set_mark(symbol, Decimal(mark))


def test_accounts_do_not_share_a_key(exchange, account):
    with pytest.raises(ValueError, match="taken"):
        exchange.add_account(replace(account, name="other"))


def test_two_accounts_with_the_same_position_fare_by_their_own_margin(exchange, account):
    other = exchange.add_account(account_with(name="other", api_key="other-key"))
    for one, margin in ((account, 3_000), (other, 5_000)):
        exchange.open_position(
            one,
            symbol="BTCUSDT",
            side=Side.LONG,
            quantity=Decimal("0.5"),
            leverage=10,
            isolated_wallet=Decimal(margin),
        )
    events = exchange.set_mark("BTCUSDT", Decimal(53_000))
    assert [event.account for event in events] == ["main"]
    assert other.positions != {}
