"""How much of an asset counts, as exchanges list it: by the examples of their documents."""

from decimal import Decimal

import pytest

from guard.errors import VenueUnavailable
from guard.venues.bybit import HAIRCUTS as BYBIT
from guard.venues.gateio_wallet import HAIRCUTS as GATE
from guard.venues.gateio_wallet import discount_rows
from guard.venues.haircut_rows import read_haircuts
from guard.venues.okx_tiers import HAIRCUTS as OKX

BTC = frozenset({"BTC"})
# Docs, "Get Tiered Collateral Ratio" (2026).
OF_BYBIT = {
    "currency": "BTC",
    "collateralRatioList": [
        {"minQty": "0", "maxQty": "1000000", "collateralRatio": "0.85"},
        {"minQty": "1000000", "maxQty": "", "collateralRatio": "0"},
    ],
}
# Docs, "Get discount rate and interest-free quota" (2026).
OF_OKX = {
    "amt": "0", "ccy": "BTC", "collateralRestrict": False, "discountLv": "1", "minDiscountRate": "0",
    "details": [
        {"discountRate": "0.98", "liqPenaltyRate": "0.02", "maxAmt": "20", "minAmt": "0", "tier": "1", "disCcyEq": "1000"},
        {"discountRate": "0.9775", "liqPenaltyRate": "0.0225", "maxAmt": "25", "minAmt": "20", "tier": "2", "disCcyEq": "2"},
    ],
}  # fmt: skip

# Docs, "Query unified account tiered" (2025), whose example is a list in a list; the SDK's model is a plain one.
OF_GATE = {
    "currency": "BTC",
    "discount_tiers": [
        {"tier": "1", "discount": "0.98", "lower_limit": "0", "leverage": "10", "upper_limit": "1000"},
        {"tier": "2", "discount": "0.95", "lower_limit": "1000", "leverage": "10", "upper_limit": "+"},
    ],
}


def steps(row, names):
    return [(one.balance_floor, one.haircut) for one in read_haircuts([row], BTC, names)["BTC"]]


def test_the_documented_examples_are_read():
    assert steps(OF_BYBIT, BYBIT) == [(0, Decimal("0.15")), (1000000, 1)]
    assert steps(OF_GATE, GATE) == [(0, Decimal("0.02")), (1000, Decimal("0.05"))]
    # What lies above the last step counts by the least rate.
    assert steps(OF_OKX, OKX) == [(0, Decimal("0.02")), (20, Decimal("0.0225")), (25, 1)]
    open_end = {**OF_OKX, "details": [*OF_OKX["details"][:1], {**OF_OKX["details"][1], "maxAmt": ""}]}
    assert steps(open_end, OKX) == [(0, Decimal("0.02")), (20, Decimal("0.0225"))]


def test_a_table_that_is_cut_differently_is_the_same_table():
    half = [{"minQty": "0", "collateralRatio": "0.85"}, {"minQty": "7", "collateralRatio": "0.85"}]
    rest = {"minQty": "1000000", "collateralRatio": "0"}
    assert steps({**OF_BYBIT, "collateralRatioList": [rest, *half]}, BYBIT) == steps(OF_BYBIT, BYBIT)


def test_other_assets_and_what_is_no_row_are_left_out():
    assert read_haircuts([{"currency": "ETH"}, None, "BTC", {"currency": ["BTC"]}], BTC, BYBIT) == {}


@pytest.mark.parametrize(
    "change",
    [{"minDiscountRate": None}, {"minDiscountRate": "1.5"}, {"details": None}, {"details": [{"minAmt": "0"}]}],
    ids=["no least rate", "more than all", "no steps", "no rate"],
)
def test_half_a_table_is_none(change):
    with pytest.raises(VenueUnavailable, match="details of BTC"):
        read_haircuts([{**OF_OKX, **change}], BTC, OKX)


def test_gates_list_is_read_whether_it_stands_in_another_or_not():
    assert discount_rows([[OF_GATE]]) == discount_rows([OF_GATE]) == [OF_GATE]
    for answer in ({}, "no list", None):
        with pytest.raises(VenueUnavailable, match="discount tiers"):
            discount_rows(answer)
