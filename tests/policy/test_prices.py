"""What a coin is worth when limits in dollars are held."""

from decimal import Decimal

import pytest
from policy_worlds import BTC, assessed, isolated, snapshot

from guard.policy.prices import dollar_prices
from guard.snapshot import Side


@pytest.mark.parametrize("marks", [(50_000, 50_400), (50_400, 50_000)])
def test_of_two_marks_of_a_coin_a_limit_in_dollars_is_held_by_the_higher_one(marks):
    """A dated contract is marked above or below the perpetual one (siege, Bybit, seed 346)."""
    sides = zip((Side.LONG, Side.SHORT), marks, strict=True)
    seen = snapshot(*(isolated(symbol=BTC, side=side, mark_price=Decimal(mark)) for side, mark in sides))
    assert dollar_prices(assessed(seen))["BTC"] == 50_400


def test_a_dollar_stablecoin_is_a_dollar_whatever_it_is_marked_at():
    """Else a spike of it would shrink the reserve that is written in dollars."""
    seen = snapshot(isolated(symbol="USDC/USDT:USDT", mark_price=Decimal("1.2")))
    assert dollar_prices(assessed(seen))["USDC"] == 1
