"""What `guard calc FILE --json` answers to the account file of design 4.3, written in TOML and in JSON."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guard.cli.app import app

WRITTEN = """
other_maintenance_margin = "0"
other_unrealized_pnl = "0"

[[collateral]]
asset = "USDT"
wallet_balance = "1535443.01"
price = "1"
haircut = "0"

[[positions]]
symbol = "BTC/USDT:USDT"
contract = "linear"
side = "long"
margin_mode = "cross"
quantity = "109.488"
contract_size = "1"
entry_price = "32481.980"
mark_price = "31967.27"
liquidation_fee_rate = "0"
maintenance_basis = "mark"
beta = "1"

[[positions.tiers]]
notional_floor = "0"
notional_cap = "50000"
maintenance_margin_rate = "0.004"
maintenance_amount = "0"

[[positions]]
symbol = "ETH/USDT:USDT"
contract = "linear"
side = "short"
margin_mode = "isolated"
quantity = "1.25e1"
contract_size = "1"
entry_price = "2000"
mark_price = "2000"
isolated_wallet = "2500"

[[positions.tiers]]
notional_floor = "0"
notional_cap = "50000"
maintenance_margin_rate = "0.004"
"""
NOT_OF_A_FILE = {
    "positions": {
        *("exchange_liquidation_price", "model_gap", "guarded_liquidation_price", "sigmas", "touch_probability"),
        *("stop_price", "trigger", "money_to_target", "budget_left", "rule", "withheld", "level", "reason", "leverage"),
        "idle_margin",
    },
    "pools": {"available", "reserve", "spendable", "sigmas", "level", "reason"},
}
MODELLED = {
    "positions": {
        *("symbol", "side", "margin_mode", "pool", "currency", "quantity", "contract_size", "entry_price"),
        *("mark_price", "notional", "isolated_wallet", "unrealized_pnl", "margin_balance", "maintenance_margin"),
        *("requirement", "margin_ratio", "liquidation", "liquidation_price", "liquidation_price_down"),
        *("liquidation_price_up", "bankruptcy_price", "distance", "effective_leverage"),
    },
    "pools": {
        *("pool", "currency", "margin_mode", "margin_balance", "maintenance_margin", "requirement", "margin_ratio"),
        *("liquidation", "distance", "shock_down", "shock_up", "driver", "falls_together"),
    },
}


def calc(path: Path) -> Any:
    ran = CliRunner().invoke(app, ["calc", str(path), "--json"], catch_exceptions=False)
    assert ran.exit_code == 0
    return json.loads(ran.stdout)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "account.toml"
    path.write_text(WRITTEN)
    return path


def test_the_same_account_in_json_gets_the_same_answer_and_a_list_gets_a_list(toml, tmp_path):
    account, both = tmp_path / "account.json", tmp_path / "both.json"
    account.write_text(json.dumps(tomllib.loads(WRITTEN)))
    both.write_text(json.dumps([tomllib.loads(WRITTEN)] * 2))
    answer = calc(toml)
    assert calc(account) == answer
    assert calc(both) == [answer, answer]


@pytest.mark.parametrize("kind", ["positions", "pools"])
def test_rows_have_the_keys_of_status_and_what_no_file_can_say_is_null(toml, kind):
    answer = calc(toml)
    assert list(answer) == ["positions", "pools"]
    for row in answer[kind]:
        assert set(row) == MODELLED[kind] | NOT_OF_A_FILE[kind]
        assert {key for key in NOT_OF_A_FILE[kind] if row[key] is not None} == set()
        assert {key for key, value in row.items() if not isinstance(value, str | None)} <= {"falls_together"}


def test_the_figures_are_those_of_the_formula_by_hand(toml):
    answer = calc(toml)
    cross, isolated = answer["positions"]
    assert cross["pool"] == "USDT cross"
    # (109.488 * 32481.98 - 1535443.01) / (109.488 * (1 - 0.004)): the only cross position, at its tier's rate.
    assert cross["liquidation_price"].startswith("18532.2615927")
    assert (cross["liquidation_price"], cross["liquidation_price_up"]) == (cross["liquidation_price_down"], None)
    assert isolated["pool"] is None
    assert isolated["quantity"] == "12.5"
    # (2500 + 12.5 * 2000) / (12.5 * (1 + 0.004)): a short is liquidated above.
    assert isolated["liquidation_price"].startswith("2191.2350597")
    assert (isolated["liquidation_price"], isolated["liquidation_price_down"]) == (
        isolated["liquidation_price_up"],
        None,
    )
    assert answer["pools"][0]["shock_down"] == f"-{answer['pools'][0]['distance']}"
