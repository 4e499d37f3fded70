"""The rows of `status --json` and `calc --json`: every key, in order, in plain decimals (design 4.2)."""

from decimal import Decimal

import margin_worlds as worlds
import pytest

from guard.margin import cross_figures, decimal_text, isolated_pool, isolated_position, pool_fields, position_fields

POSITION_KEYS = (
    "symbol side margin_mode pool currency quantity contract_size entry_price mark_price notional leverage "
    "isolated_wallet unrealized_pnl margin_balance maintenance_margin requirement margin_ratio liquidation "
    "liquidation_price liquidation_price_down liquidation_price_up exchange_liquidation_price model_gap "
    "guarded_liquidation_price bankruptcy_price distance sigmas touch_probability stop_price trigger "
    "money_to_target budget_left rule withheld level reason "
    "effective_leverage idle_margin"
)
POOL_KEYS = (
    "pool currency margin_mode margin_balance maintenance_margin requirement margin_ratio available reserve "
    "spendable liquidation distance sigmas shock_down shock_up driver level reason "
    "falls_together"
)


def row_of(wallet, **leg_terms):
    leg = worlds.leg(**leg_terms)
    pool = isolated_pool(leg, Decimal(wallet))
    return position_fields(isolated_position(worlds.position_of(leg, Decimal(wallet)), leg, pool))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (Decimal("1E+3"), "1000"),
        (Decimal("1.500"), "1.5"),
        (Decimal(100), "100"),
        (Decimal("-0.00"), "0"),
        (Decimal("1e-9"), "0.000000001"),
        (Decimal(1) / Decimal(3), "0.3333333333333333333333333333"),
        (Decimal("54591.836734693877551020408163265306122448979591837"), "54591.83673469387755102040816326531"),
        (Decimal("996015936254980.079681274900398406374501992031"), "996015936254980.0796812749003984064"),
    ],
)
def test_decimals_are_printed_plainly_and_with_at_least_twenty_significant_digits(value, text):
    assert decimal_text(value) == text


def test_a_position_s_row_has_every_key_in_the_order_of_the_contract():
    assert " ".join(row_of("6000")) == POSITION_KEYS


def test_what_needs_an_exchange_a_policy_or_an_outlook_is_null():
    row = row_of("6000")
    unknown = {key for key, value in row.items() if value is None}
    assert unknown == {
        *(
            "pool",
            "leverage",
            "liquidation_price_up",
            "exchange_liquidation_price",
            "model_gap",
            "sigmas",
            "idle_margin",
        ),
        *("guarded_liquidation_price", "touch_probability", "stop_price", "trigger", "money_to_target"),
        *("budget_left", "rule", "withheld", "level", "reason"),
    }


def test_a_position_past_its_requirement_has_no_price_and_distance_zero():
    row = row_of("100")
    assert (row["liquidation"], row["liquidation_price"], row["distance"]) == ("past", None, "0")
    assert row["margin_ratio"] == "5"
    assert row_of("0")["margin_ratio"] is None


def test_a_position_that_nothing_liquidates_has_neither_price_nor_distance():
    row = row_of("60000")
    assert (row["liquidation"], row["liquidation_price"], row["distance"]) == ("none", None, None)


def test_a_pool_s_row_has_every_key_in_the_order_of_the_contract():
    leg = worlds.leg()
    _, figures = cross_figures(worlds.cross_pool(leg, wallet="60000"), [worlds.position_of(leg, None)], wallet=None)
    row = pool_fields(figures)
    assert " ".join(row) == POOL_KEYS
    assert (row["available"], row["liquidation"], row["distance"]) == (None, "none", None)
