"""The same account as it is, all isolated and all cross: by hand, and as laws over made-up accounts."""

from dataclasses import replace
from decimal import Context, Decimal

import pytest
from book_worlds import alone, book, books, holding, money, wallet_pool
from hypothesis import given
from margin_worlds import contract, table

from guard.margin.books import Book, MarginSource, ReasonKind, compare, cross_book_pool
from guard.snapshot import Collateral, Gap, LiquidationKind, PositionKey, Side

ETH = contract("ETH")


def figures(variant, index=0):
    return variant.stands[index].figures


def near(value):
    return pytest.approx(Decimal(value), abs=Decimal("1e-20"))


# By hand -------------------------------------------------------------------------------------------------------------


def test_an_isolated_long_joins_the_wallet_and_ends_where_all_of_it_is_lost():
    """1 BTC at 50,000, 1 % required: (50,000 - margin) / 0.99."""
    told = compare(book(holding(wallet="5000"), wallet="4000"))
    assert figures(told.isolated).liquidation.price == near(Decimal(45_000) / Decimal("0.99"))
    assert figures(told.cross).liquidation.price == near(Decimal(41_000) / Decimal("0.99"))
    assert figures(told.cross).bankruptcy_price == 41_000
    assert told.isolated.at_risk() == {"USDT": 5_000}
    assert told.isolated.free() == {"USDT": 4_000}
    assert told.cross.at_risk() == {"USDT": 9_000}
    assert told.cross.free() == {"USDT": 0}


def test_alone_in_its_account_a_position_risks_the_same_in_both_modes_with_the_profit_it_made():
    told = compare(book(holding(side=Side.SHORT, entry="60000", mark="50000", wallet="20000"), wallet="0"))
    assert told.isolated.at_risk() == told.cross.at_risk() == {"USDT": 30_000}


def test_a_cross_position_takes_entry_notional_over_leverage_and_the_rest_is_free():
    told = compare(book(holding(leverage="10", entry="40000", mark="50000"), wallet="9000"))
    assert figures(told.isolated).position.isolated_wallet == 4_000
    assert figures(told.isolated).liquidation.price == near(Decimal(36_000) / Decimal("0.99"))
    assert told.isolated.stands[0].margin_source is MarginSource.LEVERAGE
    assert told.isolated.free() == {"USDT": 5_000}
    assert told.as_is.at_risk() == {"USDT": 19_000}


def test_without_a_leverage_the_wallet_is_shared_by_notional_after_those_that_have_one():
    """50,000 at 10x takes 5,000 of 9,000; 30,000 and 10,000 of ETH share 4,000."""
    eth = [holding(terms=ETH, quantity=size, entry="1000", mark="1000") for size in ("30", "10")]
    told = compare(book(holding(leverage="10"), *eth, wallet="9000"))
    assert [figures(told.isolated, index).position.isolated_wallet for index in range(3)] == [5_000, 3_000, 1_000]
    assert [stand.margin_source for stand in told.isolated.stands] == [
        MarginSource.LEVERAGE,
        MarginSource.SHARE,
        MarginSource.SHARE,
    ]


def test_a_wallet_that_cannot_pay_the_margins_is_short_and_no_figure_is_made_up():
    told = compare(book(holding(leverage="10"), wallet="4999"))
    stand = told.isolated.stands[0]
    assert (stand.figures, stand.state, stand.falls_together) == (None, None, ())
    assert (stand.reason.kind, stand.reason.needed, stand.reason.there) == (ReasonKind.SHORT, 5_000, 4_999)
    assert told.isolated.pools == ()
    assert not told.isolated.is_whole
    assert told.cross.is_whole


def test_a_wallet_that_pays_some_margins_and_has_nothing_left_to_share_is_short():
    told = compare(book(holding(leverage="10"), holding(terms=ETH, entry="1000", mark="1000"), wallet="5000"))
    assert [stand.reason.kind for stand in told.isolated.stands] == [ReasonKind.SHORT, ReasonKind.SHORT]


def test_isolated_positions_of_two_currencies_join_two_pools():
    coin = holding(terms=contract(inverse=True), quantity="50000", wallet="0.1")
    told = compare(book(holding(wallet="5000"), coin, wallet="0"))
    assert told.cross.at_risk() == {"USDT": 5_000, "BTC": Decimal("0.1")}
    assert [state.figures.name for state in told.cross.pools] == ["USDT cross", "BTC cross"]


def test_what_falls_together_is_one_position_when_isolated_and_the_whole_pool_when_cross():
    told = compare(book(holding(wallet="5000"), holding(terms=ETH, side=Side.SHORT, entry="1000", mark="1000")))
    btc, eth = PositionKey("BTC/USDT:USDT", Side.LONG), PositionKey("ETH/USDT:USDT", Side.SHORT)
    names = {
        variant: set(getattr(told, variant).stands[1].falls_together) for variant in ("as_is", "isolated", "cross")
    }
    assert names == {"as_is": {btc}, "isolated": {btc}, "cross": {btc, eth}}


def test_two_equal_legs_are_a_hedge_that_isolated_margin_loses_though_the_pair_loses_nothing():
    """The short of 1 BTC at 50,000 with 5,000 ends at 55,000 / 1.01, nearer than the long's 45,000 / 0.99."""
    legs = [holding(side=side, wallet="5000") for side in Side]
    (hedge,) = compare(book(*legs)).hedges
    assert hedge.dying == 1
    assert hedge.move == near(Decimal(55_000) / Decimal("1.01") / 50_000 - 1)
    assert hedge.change == 0
    assert hedge.own_change == near(50_000 - Decimal(55_000) / Decimal("1.01"))


def test_two_coins_are_no_hedge_and_neither_is_one_coin_in_two_currencies():
    other = holding(terms=contract(quote="USDC"), side=Side.SHORT, wallet="5000")
    eth = holding(terms=ETH, side=Side.SHORT, entry="1000", mark="1000", wallet="500")
    assert compare(book(holding(wallet="5000"), other, eth)).hedges == ()


def test_a_hedge_of_which_no_leg_can_die_is_not_told():
    legs = [holding(wallet="60000"), holding(side=Side.SHORT, wallet="10", quantity="1e-9")]
    short_dies = compare(book(*legs)).hedges
    assert [hedge.dying for hedge in short_dies] == [1]
    twice = [holding(terms=contract(inverse=True), quantity="50000", side=side, wallet="2") for side in Side]
    assert [hedge.dying for hedge in compare(book(*twice)).hedges] == [0]


def test_an_isolated_position_with_too_little_margin_is_past_and_not_dressed_up():
    told = compare(book(holding(leverage="20", entry="50000", mark="47000"), wallet="9000"))
    assert figures(told.isolated).liquidation.kind is LiquidationKind.PAST
    assert figures(told.isolated).distance == 0


# What cannot be told -------------------------------------------------------------------------------------------------


def test_a_position_that_is_not_in_the_book_keeps_its_currency_from_being_told_as_one_pool():
    key = PositionKey("SOL/USDT:USDT", Side.LONG)
    unseen = Gap(subject=str(key), reason="its brackets are not known", key=key)
    coin = holding(terms=contract(inverse=True), quantity="50000", wallet="0.1")
    told = compare(book(holding(wallet="5000"), coin, gaps=(unseen,)))
    dollars, coins = told.cross.stands
    assert (dollars.reason.kind, dollars.figures) == (ReasonKind.NOT_MODELLED, None)
    assert "SOL/USDT:USDT long: its brackets are not known" in dollars.reason.text
    assert coins.figures is not None
    assert told.isolated.is_whole


@pytest.mark.parametrize(
    ("gap", "is_told"),
    [
        (Gap(subject="USDT cross", reason="multi-assets mode is not modelled"), False),
        (Gap(subject="a row", reason="no symbol", may_be_cross=True), False),
        (Gap(subject="margin modes", reason="not read again"), True),
        (Gap(subject="BTC long", reason="auto margin unknown", key=PositionKey("BTC/USDT:USDT", Side.LONG)), True),
    ],
)
def test_only_what_may_lean_on_the_wallet_keeps_it_from_being_told(gap, is_told):
    assert compare(book(holding(wallet="5000"), gaps=(gap,))).cross.is_whole is is_told


def test_a_pool_that_no_curve_can_state_is_refused_by_name():
    """A coin-margined contract whose brackets jump, joining a pool that counts in dollars and holds that coin."""
    jumping = table((0, "0.01"), (1, "0.02"), jumping=True)
    coin = holding(terms=contract(inverse=True), quantity="50000", wallet="0.5", tiers=jumping)
    held = Collateral(asset="BTC", wallet_balance=Decimal(1), price=Decimal(50_000), haircut=Decimal(0))
    dollars = wallet_pool(currency="USD").pool
    mixed = replace(dollars, collateral=(*dollars.collateral, held))
    told = compare(Book(pools=(cross_book_pool((), mixed), alone(coin))))
    assert "brackets that jump" in told.cross.stands[0].reason.text


def test_a_coin_position_joins_the_pool_that_holds_its_coin():
    coin = holding(terms=contract(inverse=True), quantity="50000", wallet="0.5")
    held = Collateral(asset="BTC", wallet_balance=Decimal(1), price=Decimal(50_000), haircut=Decimal(0))
    dollars = wallet_pool(currency="USD").pool
    mixed = replace(dollars, collateral=(*dollars.collateral, held))
    told = compare(Book(pools=(cross_book_pool((), mixed), alone(coin))))
    assert told.cross.at_risk() == {"USD": 10_000 + Decimal("1.5") * 50_000}


# Laws ----------------------------------------------------------------------------------------------------------------


@given(books())
def test_no_conversion_makes_or_loses_money(account):
    told = compare(account)
    had = money(account.pools)
    for variant in (told.as_is, told.isolated, told.cross):
        if variant.is_whole:
            assert money(state.book_pool for state in variant.pools) == had


@given(books())
def test_a_conversion_keeps_every_position_its_size_and_its_profit(account):
    told = compare(account)
    for variant in (told.isolated, told.cross):
        for holding_, stand in zip(told.holdings, variant.stands, strict=True):
            if stand.figures is not None:
                assert stand.figures.key == holding_.key
                assert stand.figures.position.quantity == holding_.position.quantity
                assert stand.figures.unrealized_pnl == figures_of(told, holding_).unrealized_pnl


def figures_of(told, holding_):
    return told.as_is.stands[told.holdings.index(holding_)].figures


@given(books())
def test_an_account_that_is_all_isolated_or_all_cross_already_is_unchanged(account):
    told = compare(account)
    isolated = compare(Book(pools=tuple(state.book_pool for state in told.isolated.pools)))
    assert isolated.as_is == isolated.isolated
    if told.cross.is_whole:
        cross = compare(Book(pools=tuple(state.book_pool for state in told.cross.pools)))
        assert cross.as_is == cross.cross


@given(books())
def test_one_isolated_position_alone_ends_at_the_same_price_in_a_cross_pool_of_its_own(account):
    for pool in account.pools:
        if pool.is_isolated:
            told = compare(Book(pools=(pool,)))
            own, pooled = figures(told.isolated).crossings, figures(told.cross).crossings
            assert own.nearest.kind is pooled.nearest.kind
            assert [one and rounded(one) for one in (own.down, own.up)] == [
                one and rounded(one) for one in (pooled.down, pooled.up)
            ]


def rounded(price):
    """Thirty digits: a pool of one is solved without a curve, and the last of the model's fifty may differ."""
    return Context(prec=30).plus(price)
