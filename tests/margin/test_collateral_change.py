"""What another haircut does to a price that the exchange states, by hand.

One BTC long of 10 at a requirement of 1 % of its notional: where its price is P, the pool gains 9.9 for each dollar on
it. A share of 5 % of 2 ETH at 3,000 are 300 dollars.
"""

from decimal import Decimal

import pytest

from guard.margin import Leg, MarginRule, TierTable
from guard.margin.collateral_change import counted_share, liquidation_under
from guard.snapshot import Contract, ContractKind, HaircutTier, LiquidationKind, RiskTier, Side

D = Decimal


def cut(*steps: tuple[str, str]) -> tuple[HaircutTier, ...]:
    return tuple(HaircutTier(balance_floor=D(floor), haircut=D(haircut)) for floor, haircut in steps)


FLAT = TierTable.of(
    [RiskTier(notional_floor=D(0), notional_cap=D(10**9), maintenance_margin_rate=D("0.01"), maintenance_amount=D(0))]
)
FIVE, TEN = cut(("0", "0.05")), cut(("0", "0.1"))


def leg(side: Side = Side.LONG, kind: ContractKind = ContractKind.LINEAR, tiers: TierTable = FLAT) -> Leg:
    settle = "USDT" if kind is ContractKind.LINEAR else "BTC"
    contract = Contract(symbol=f"BTC/USDT:{settle}", kind=kind, base="BTC", settle=settle, contract_size=D(1))
    return Leg(
        contract=contract, side=side, quantity=D(10), entry_price=D(60000), mark_price=D(60000), tiers=tiers,
        rule=MarginRule(),
    )  # fmt: skip


def before(one: Leg, stated: int, *, asset: str = "ETH", units: str = "2", price: str = "3000", now=TEN, then=FIVE):
    return liquidation_under(one, D(stated), asset=asset, units=D(units), price=D(price), now=now, then=then)


def near(found, expected: Decimal) -> bool:
    return found.kind is LiquidationKind.AT and abs(found.price - expected) < D("1e-20")


@pytest.mark.parametrize(
    ("side", "stated", "expected"),
    [
        (Side.LONG, 50000, 50000 - D(300) / D("9.9")),
        (Side.SHORT, 70000, 70000 + D(300) / D("10.1")),
    ],
)
def test_what_counted_more_before_stood_the_price_further_away(side, stated, expected):
    assert near(before(leg(side), stated), expected)
    assert near(before(leg(side), stated, now=FIVE, then=TEN), 2 * D(stated) - expected)
    assert near(before(leg(side), stated, now=TEN, then=TEN), D(stated))


def test_collateral_in_the_coin_that_moves_counts_for_what_it_is_worth_there():
    # 9.9 (P - 50000) + 2 P (1 - 0.1) - 2 * 50000 * 0.9 + 2 P 0.05 = 0
    expected = (D("9.9") * 50000 + D("1.8") * 50000) / (D("9.9") + D("1.8") + D("0.1"))
    assert near(before(leg(), 50000, asset="BTC", price="60000"), expected)


def test_the_settle_currency_itself_may_count_less():
    assert near(before(leg(), 50000, asset="USDT", units="6000", price="1"), 50000 - D(300) / D("9.9"))


def test_a_step_counts_for_what_lies_above_it():
    then, now = cut(("0", "0"), ("1", "0.05")), cut(("0", "0"), ("1", "0.15"))
    assert near(before(leg(), 50000, now=now, then=then), 50000 - D(300) / D("9.9"))
    assert counted_share(D(2), now) == D("0.925")


def test_tiers_are_those_of_the_price_that_is_found():
    # Up to a notional of 499,800 the rate is 1 %, above 2 %; without amounts the requirement jumps there.
    rows = [("0", "499800", "0.01"), ("499800", "1000000000", "0.02")]
    tiers = TierTable.of(
        RiskTier(notional_floor=D(low), notional_cap=D(high), maintenance_margin_rate=D(rate), maintenance_amount=None)
        for low, high, rate in rows
    )
    # At 50,000 exactly 10,000 are required. 300 more would end at 49,969, and there it is in the tier of 1 %.
    found = before(leg(tiers=tiers), 50000)
    rest = 10 * 60000 - 10 * 50000 + D("0.02") * 10 * 50000  # What the rest of the account is worth.
    assert near(found, (10 * 60000 - rest - 300) / D("9.9"))


def test_more_than_all_of_it_is_no_price_and_past_is_past():
    assert before(leg(), 50, units="40000").kind is LiquidationKind.NONE
    assert before(leg(), 59990, now=FIVE, then=cut(("0", "1")), units="200").kind is LiquidationKind.PAST


def test_of_a_contract_that_pays_in_its_coin_nothing_is_told():
    assert before(leg(kind=ContractKind.INVERSE), 50000) is None
