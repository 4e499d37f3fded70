"""The rows of `status --json`: every key of the contract, in its order, and null where nothing is known."""

import json
from datetime import timedelta
from decimal import Decimal

from policy_worlds import ETH, KEY, T0, cross, isolated, judged, life, memory, terms

from guard.policy.decide import decide
from guard.policy.rows import account_row
from guard.policy.terms import Mode
from guard.snapshot import Gap

ACCOUNT_KEYS = "account exchange mode state data_age_s level pools positions gaps contenders"
POOL_KEYS = (
    "pool currency margin_mode margin_balance maintenance_margin requirement margin_ratio available reserve spendable "
    "liquidation distance sigmas shock_down shock_up driver level reason "
    "falls_together"
)
POSITION_KEYS = (
    "symbol side margin_mode pool currency quantity contract_size entry_price mark_price notional leverage "
    "isolated_wallet unrealized_pnl margin_balance maintenance_margin requirement margin_ratio liquidation "
    "liquidation_price liquidation_price_down liquidation_price_up exchange_liquidation_price model_gap "
    "guarded_liquidation_price bankruptcy_price distance sigmas touch_probability stop_price trigger money_to_target "
    "budget_left rule withheld level reason "
    "effective_leverage idle_margin"
)


def as_row(decision, now=T0):
    return account_row(decision, account="main", exchange="binanceusdm", mode=Mode.ACT, now=now)


def test_an_account_row_has_every_key_of_the_contract_in_its_order():
    row = as_row(judged(isolated("0.2"), cross(symbol=ETH)), now=T0 + timedelta(seconds=1.25))
    assert " ".join(row) == ACCOUNT_KEYS
    assert " ".join(row["pools"][0]) == POOL_KEYS
    assert [" ".join(position) for position in row["positions"]] == [POSITION_KEYS] * 2
    assert row["data_age_s"] == 1.25
    assert json.loads(json.dumps(row)) == row


def test_a_row_states_its_rule_its_budget_and_why_no_money_comes():
    position = as_row(judged(isolated("0.07"), lives=[life(spent=Decimal(4990))]))["positions"][0]
    assert position["rule"] == "shield"
    assert (position["trigger"], position["money_to_target"], position["budget_left"]) == ("0.08", "891", "10")
    assert position["withheld"].startswith("your budget cannot save this")
    assert (position["level"], position["reason"]) == (
        "danger",
        "distance 7 % is at or below danger 8 %; sigmas are not known",
    )


def test_a_cross_position_has_no_guarded_price_and_its_pool_says_what_is_spendable():
    row = as_row(judged(isolated("0.2"), cross(symbol=ETH), available=9000))
    assert row["positions"][1]["guarded_liquidation_price"] is None
    assert row["positions"][1]["pool"] == "USDT cross"
    assert (row["pools"][0]["reserve"], row["pools"][0]["spendable"]) == ("0", "9000")


def test_a_cut_trigger_is_said_in_the_row():
    position = as_row(judged(isolated("0.3", leverage=20), lives=[]))["positions"][0]
    assert position["trigger"].startswith("0.0202")
    assert "8 % written, cut to 2.02 %" in position["reason"]


def test_what_no_outlook_measured_is_one_gap_and_not_one_per_position():
    gap = Gap(subject=str(KEY), reason="no mark price", key=KEY)
    row = as_row(judged(isolated("0.2"), isolated("0.2", symbol=ETH), gaps=[gap]))
    assert row["gaps"] == [
        {"subject": "BTC/USDT:USDT long", "reason": "no mark price"},
        {"subject": "sigmas, touch_probability", "reason": "not measured yet"},
        {"subject": "stop_price", "reason": "the standing orders were not read"},
    ]
    assert row["positions"][0]["sigmas"] is None
    assert row["positions"][0]["touch_probability"] is None


def test_an_account_that_was_never_read_has_a_row():
    never = decide(
        None,
        memory=memory(),
        terms=terms(),
        step=lambda _: Decimal("0.01"),
        outlooks={},
        ended=frozenset(),
        fresh_read=False,
        now=T0,
    )
    row = as_row(never)
    assert (row["state"], row["data_age_s"], row["level"], row["positions"]) == ("blind", None, "unknown", [])
