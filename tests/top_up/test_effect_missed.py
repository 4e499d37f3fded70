from dataclasses import replace
from decimal import Decimal

import pytest
from acting_support import BTC, START

from guard.journal import Intent, IntentState
from guard.margin.figures import Crossings, PositionFigures
from guard.snapshot import Contract, ContractKind, Liquidation, LiquidationKind, MarginMode, Position, PositionKey, Side
from guard.top_up import effect_missed

NONE = Liquidation(kind=LiquidationKind.NONE)
UNKNOWN = Liquidation(kind=LiquidationKind.UNKNOWN)


def at(price) -> Liquidation:
    return Liquidation(kind=LiquidationKind.AT, price=Decimal(price))


def figures(*, wallet="500", ours, theirs=UNKNOWN, side=Side.LONG, quantity="1") -> PositionFigures:
    position = Position(
        contract=Contract(
            symbol=BTC.symbol, kind=ContractKind.LINEAR, base="BTC", settle="USDT", contract_size=Decimal(1)
        ),
        side=side,
        margin_mode=MarginMode.ISOLATED,
        quantity=Decimal(quantity),
        entry_price=Decimal(10_000),
        mark_price=Decimal(10_000),
        isolated_wallet=None if wallet is None else Decimal(wallet),
        leverage=Decimal(20),
        hedged=False,
        auto_add_margin=False,
        exchange_liquidation=theirs,
        exchange_maintenance_margin=None,
        updated_at=None,
    )
    return PositionFigures(
        position=position,
        leg=None,
        pool=None,
        pool_name=None,
        notional=Decimal(10_000),
        unrealized_pnl=Decimal(0),
        margin_balance=None,
        maintenance_margin=None,
        requirement=None,
        margin_ratio=None,
        crossings=Crossings(nearest=ours),
        model_gap=None,
        bankruptcy_price=None,
        liquidation=ours,
        distance=None,
        distance_basis="model",
        effective_leverage=Decimal("12.2"),
    )


def act(amount="100", side=Side.LONG) -> Intent:
    return Intent(
        intent_id="i",
        account="main",
        key=PositionKey(BTC.symbol, side),
        life_id="life",
        rule="shield",
        hedged=False,
        amount=Decimal(amount),
        currency="USDT",
        dollars=Decimal(amount),
        planned_at=START,
        state=IntentState.APPLIED,
        reason="",
        facts_before="{}",
    )


# Without tiers a long of 1 BTC from 10,000 with 500 is liquidated at 9,500, with 600 at 9,400; a short at 10,500, 10,600.
@pytest.mark.parametrize(
    ("side", "before", "after"),
    [
        (Side.LONG, at(9500), at(9400)),
        (Side.SHORT, at(10_500), at(10_600)),
        (Side.LONG, at(9500), NONE),
        (Side.LONG, UNKNOWN, UNKNOWN),
    ],
)
def test_an_act_that_raised_margin_and_moved_liquidation_away_had_its_effect(side, before, after):
    before = figures(ours=before, side=side)
    after = figures(wallet="600", ours=after, side=side)
    assert effect_missed(act(side=side), before, after) is None


def test_an_act_that_raised_no_margin_missed():
    missed = effect_missed(act(), figures(ours=at(9500)), figures(ours=at(9500)))
    assert missed == "its margin went from 500 to 500 USDT, 100 were added"


@pytest.mark.parametrize("paid", ["0", "29.99", "30"])  # 0.3 % of 10,000 is 30.
def test_a_funding_payment_in_between_is_no_miss(paid):
    after = figures(wallet=str(Decimal(600) - Decimal(paid)), ours=at(9400 + int(Decimal(paid))))
    assert effect_missed(act(), figures(ours=at(9500)), after) is None


def test_more_than_a_funding_payment_is_a_miss():
    assert effect_missed(act(), figures(ours=at(9500)), figures(wallet="569.99", ours=at(9430)))


def test_of_a_small_act_at_least_half_must_be_seen_whatever_funding_was_paid():
    before = figures(ours=at(9500))
    assert effect_missed(act("10"), before, figures(wallet="505", ours=at(9495))) is None
    assert effect_missed(act("10"), before, figures(wallet="504.99", ours=at(9496)))


def test_margin_that_somebody_else_added_too_is_no_miss():
    assert effect_missed(act(), figures(ours=at(9500)), figures(wallet="900", ours=at(9100))) is None


@pytest.mark.parametrize(("side", "after"), [(Side.LONG, 9500), (Side.LONG, 9501), (Side.SHORT, 9499)])
def test_a_liquidation_price_that_did_not_move_away_is_a_miss(side, after):
    before = figures(ours=at(9500), side=side)
    missed = effect_missed(act(side=side), before, figures(wallet="600", ours=at(after), side=side))
    assert missed == f"its liquidation price went from 9500 to {after}"


def test_the_exchanges_price_may_stand_still_by_rounding_but_not_come_nearer():
    before = figures(ours=at(9500), theirs=at(9501))
    assert effect_missed(act(), before, figures(wallet="600", ours=at(9400), theirs=at(9501))) is None
    missed = effect_missed(act(), before, figures(wallet="600", ours=at(9400), theirs=at(9502)))
    assert missed == "the exchange's liquidation price went from 9501 to 9502"


def test_the_market_may_fall_meanwhile():
    before, after = figures(ours=at(9500)), figures(wallet="600", ours=at(9400))
    fallen = replace(after, position=replace(after.position, mark_price=Decimal(9450)), distance=Decimal("0.005"))
    assert effect_missed(act(), replace(before, distance=Decimal("0.05")), fallen) is None


def test_a_position_that_changed_size_meanwhile_is_not_blamed():
    assert effect_missed(act(), figures(ours=at(9500)), figures(wallet="250", ours=at(9500), quantity="0.5")) is None


def test_a_position_without_margin_of_its_own_is_a_miss():
    assert "not isolated" in effect_missed(act(), figures(ours=at(9500)), figures(wallet=None, ours=at(9500)))
