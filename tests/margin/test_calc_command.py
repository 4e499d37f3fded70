"""`guard calc FILE`: the answer on stdout, for programs and for people."""

import json

import pytest

from guard.cli.calc import calc
from guard.errors import ConfigError

ONE_PERCENT = [{"notional_floor": "0", "notional_cap": "1e18", "maintenance_margin_rate": "0.01"}]


def position(symbol, mode, mark, **more):
    return {
        "symbol": symbol,
        "contract": "linear",
        "side": "long",
        "margin_mode": mode,
        "quantity": "1",
        "contract_size": "1",
        "entry_price": mark,
        "mark_price": mark,
        "tiers": ONE_PERCENT,
    } | more


ACCOUNT = {
    "collateral": [{"asset": "USDT", "wallet_balance": "50", "price": "1"}],
    "positions": [
        position("SOL/USDT:USDT", "isolated", "100", isolated_wallet="10.9"),
        position("BTC/USDT:USDT", "cross", "100"),
        position("ETH/USDT:USDT", "isolated", "100", isolated_wallet="0.5"),
    ],
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "account.json"
    path.write_text(json.dumps(ACCOUNT))
    return path


def test_positions_come_in_the_order_of_the_file_and_the_cross_pool_with_them(file, capsys):
    calc(file, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert [row["symbol"] for row in answer["positions"]] == ["SOL/USDT:USDT", "BTC/USDT:USDT", "ETH/USDT:USDT"]
    assert [row["liquidation_price"] for row in answer["positions"]] == [
        "90",
        "50.50505050505050505050505050505051",
        None,
    ]
    assert answer["positions"][0]["distance"] == "0.1"
    assert [row["pool"] for row in answer["positions"]] == [None, "USDT cross", None]
    assert [(row["pool"], row["requirement"], row["driver"]) for row in answer["pools"]] == [
        ("USDT cross", "1", "BTC/USDT:USDT")
    ]


def test_without_a_cross_position_there_is_no_pool(tmp_path, capsys):
    path = tmp_path / "account.json"
    path.write_text(json.dumps({"positions": ACCOUNT["positions"][:1]}))
    calc(path, as_json=True)
    assert json.loads(capsys.readouterr().out)["pools"] == []


def test_a_list_of_accounts_gets_a_list_of_answers(tmp_path, capsys):
    path = tmp_path / "accounts.json"
    for accounts in ([ACCOUNT, ACCOUNT], [ACCOUNT], []):
        path.write_text(json.dumps(accounts))
        calc(path, as_json=True)
        assert len(json.loads(capsys.readouterr().out)) == len(accounts)


def test_a_person_sees_prices_past_and_the_shock_without_a_figure_cut_short(file, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    calc(file, as_json=False)
    shown = capsys.readouterr().out
    for text in ("90", "past", "-49.4 %", "USDT cross", "BTC/USDT"):
        assert text in shown
    assert "…" not in shown


def test_a_bad_file_is_a_config_error_and_prints_no_answer(tmp_path, capsys):
    path = tmp_path / "account.json"
    path.write_text('{"positions": [{}]}')
    with pytest.raises(ConfigError, match=r"positions\[0\]\.symbol: is missing"):
        calc(path, as_json=True)
    assert capsys.readouterr().out == ""


def test_a_pools_balance_stands_in_the_currency_of_the_row_it_stands_in(tmp_path, capsys, monkeypatch):
    """5,000 USDT and 1 BTC at 100 are 5,100 USDT, or 51 BTC in the row of a contract that settles in BTC."""
    tiers = [ONE_PERCENT[0] | {"maintenance_amount": "0"}]
    coin = position("BTC/USD:BTC", "cross", "100", contract="inverse", side="short", tiers=tiers)
    path = tmp_path / "account.json"
    wallet = [
        {"asset": "USDT", "wallet_balance": "5000", "price": "1"},
        {"asset": "BTC", "wallet_balance": "1", "price": "100"},
    ]
    positions = [position("BTC/USDT:USDT", "cross", "100"), coin]
    path.write_text(json.dumps({"currency": "USDT", "collateral": wallet, "positions": positions}))
    calc(path, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    said = [(row["margin_balance"], row["currency"]) for row in (*answer["positions"], *answer["pools"])]
    assert said == [("5100", "USDT"), ("51", "BTC"), ("5100", "USDT")]
    monkeypatch.setenv("COLUMNS", "80")
    calc(path, as_json=False)
    assert "5,100 BTC" not in capsys.readouterr().out
