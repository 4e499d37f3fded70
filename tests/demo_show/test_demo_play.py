"""The show is real: the daemon, ccxt, HTTP and WebSocket, a falling market, and money inside every limit."""

import io
import itertools
import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from guard.demo.pace import Pace
from guard.demo.play import Play
from guard.demo.show import Picture
from guard.demo.stage import build, crash_script, settings_of, write_config
from guard.demo.view import draw
from guard.policy.terms import Level


def demo(*arguments: str) -> dict:
    run = subprocess.run(
        [sys.executable, "-m", "guard", "demo", *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def crash() -> dict:
    return demo("--fast")


def test_the_guarded_account_survives_the_crash_that_liquidates_the_unguarded_one(crash):
    assert crash["guarded"]["liquidations"] == []
    assert crash["guarded"]["top_ups"]
    assert {one["symbol"] for one in crash["unguarded"]["liquidations"]} == {"BTCUSDT", "ETHUSDT"}
    assert Decimal(crash["guarded"]["equity_end"]) > Decimal(crash["unguarded"]["equity_end"])


def test_the_demos_top_ups_stay_inside_every_limit(crash):
    budget = crash["budget"]
    amounts = [Decimal(one["amount"]) for one in crash["guarded"]["top_ups"]]
    assert max(amounts) <= Decimal(budget["max_per_action"])
    assert sum(amounts) == Decimal(crash["guarded"]["added"]) <= Decimal(budget["max_per_day"])
    for symbol in ("BTCUSDT", "ETHUSDT"):
        own = [Decimal(one["amount"]) for one in crash["guarded"]["top_ups"] if one["symbol"] == symbol]
        assert sum(own) <= Decimal(budget["max_per_position"])


def test_the_demos_alerts_climb_and_say_what_was_added(crash):
    alerts = crash["guarded"]["alerts"]
    assert {"warn", "danger"} <= {one["level"] for one in alerts}
    added = [one for one in alerts if one["kind"] == "action"]
    assert len(added) == len(crash["guarded"]["top_ups"])
    assert all(one["title"].startswith("ADDED ") for one in added)


def market_file(folder: Path, *lows: str) -> Path:
    """Write an hour of one-minute bars that fall straight to each low in turn."""
    prices = [Decimal(100), *(Decimal(low) for low in lows)]
    steps = 60 // (len(prices) - 1)
    rows = ["symbol,time,open,high,low,close"]
    for leg, (start, end) in enumerate(itertools.pairwise(prices)):
        for minute in range(steps):
            opens = start + (end - start) * minute / steps
            closes = start + (end - start) * (minute + 1) / steps
            at = leg * steps + minute
            rows.append(
                f"KRILLUSDT,2025-01-01T00:{at:02d}:00Z,{opens:.4f},{max(opens, closes):.4f},"
                f"{min(opens, closes):.4f},{closes:.4f}"
            )
    path = folder / "krill.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_market_from_a_file_is_survived_and_what_is_the_demos_own_is_said(tmp_path):
    played = demo("--prices", str(market_file(tmp_path, "84", "90")), "--speed", "360")
    assert played["guarded"]["liquidations"] == []
    assert len(played["unguarded"]["liquidations"]) == 1
    assert played["market"]["symbols"]["KRILLUSDT"]["low"] == "84.0000"
    assert any("KRILLUSDT" in note and "of its own" in note for note in played["notes"])
    assert any("mark" in note for note in played["notes"])


def test_a_budget_that_cannot_save_is_said_before_money_is_spent_in_vain(tmp_path):
    played = demo("--prices", str(market_file(tmp_path, "80")), "--speed", "360", "--budget", "100")
    guarded = played["guarded"]
    refused = [one for one in guarded["alerts"] if one["kind"] == "refused"]
    assert guarded["top_ups"] == []
    assert len(guarded["liquidations"]) == 1
    assert "your budget cannot save this" in refused[0]["text"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("symbol,time,open\n", ":1: no column high, low, close"),
        ("symbol,time,open,high,low,close\nAUSDT,yesterday,1,1,1,1\n", ":2: time: found 'yesterday'"),
        ("symbol,time,open,high,low,close\nBTC/USD,2025-01-01T00:00:00Z,1,1,1,1\n", ":2: symbol: found 'BTC/USD'"),
        ("symbol,time,open,high,low,close\n", "no bars in it"),
    ],
)
def test_a_price_file_that_cannot_be_used_ends_with_78_and_its_line(tmp_path, text, said):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    run = subprocess.run(
        [sys.executable, "-m", "guard", "demo", "--prices", str(path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 78
    assert said in run.stderr
    assert run.stdout == ""


def test_every_duration_of_the_policy_is_scaled_alike(tmp_path):
    script, _ = crash_script()
    written = settings_of(
        write_config(
            tmp_path, script.budget, exchange_url="http://127.0.0.1:1", webhook_url="http://127.0.0.1:2/alerts"
        )
    )
    account, before = (settings.accounts["demo"] for settings in (Pace(speed=10).settings(written), written))
    rule, rule_before = account.terms.rules[0], before.terms.rules[0]
    assert rule.top_up.cooldown == rule_before.top_up.cooldown / 10 == timedelta(seconds=12)
    assert account.poll_near == before.poll_near / 10
    for rung, rung_before in zip(rule.ladder.rungs, rule_before.ladder.rungs, strict=True):
        assert rung.clear_for == rung_before.clear_for / 10
        assert rung.repeat_interval == (rung_before.repeat_interval and rung_before.repeat_interval / 10)
        assert rung.hold == (None if rung.level is Level.CRITICAL else timedelta(seconds=0.5))
    assert account.terms.data_age == before.terms.data_age, "what belongs to the wire stays real"


def test_the_same_account_stands_twice_on_the_stage():
    stage = build(*crash_script())
    assert stage.guarded.balances == stage.unguarded.balances
    assert [(one.symbol, one.quantity, one.isolated_wallet) for one in stage.guarded.positions.values()] == [
        (one.symbol, one.quantity, one.isolated_wallet) for one in stage.unguarded.positions.values()
    ]


def test_the_picture_is_eighty_columns_wide_and_shows_both_ends():
    play = Play(build(*crash_script()), Pace(speed=100))
    picture = Picture(play)
    picture.sample()
    play._set({"BTCUSDT": Decimal(54_000)})
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(draw(picture.frame()))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("LIQUIDATED at 54,000.00" in line for line in lines)


def test_the_served_exchange_answers_every_other_command(tmp_path):
    config = tmp_path / "demo.toml"
    serving = subprocess.Popen(
        [sys.executable, "-m", "guard", "demo", "--serve", "--config", str(config)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert serving.stdout is not None
        assert serving.stdout.readline().startswith("exchange: http://127.0.0.1:")
        status = subprocess.run(
            [sys.executable, "-m", "guard", "status", "-c", str(config), "--json"],
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip
    finally:
        serving.terminate()
        assert serving.wait(10) == 0
    accounts = {one["account"]: one for one in json.loads(status.stdout)["accounts"]}
    assert status.returncode == 0
    assert {name: len(one["positions"]) for name, one in accounts.items()} == {"isolated": 2, "hedge": 4, "cross": 2}
    assert all(one["state"] == "fresh" for one in accounts.values())
