"""`guard compare`: the live account, or a written one, under isolated and under cross margin."""

import asyncio
import json
from decimal import Decimal

import pytest
from cli_world import add_account, guard, hold, rows_of, world

from guard.demo.exchange import Fault, FaultKind

VARIANTS = ("as_is", "isolated", "cross")
TIERS = [
    {"notional_floor": "0", "notional_cap": "1e9", "maintenance_margin_rate": "0.01", "maintenance_amount": "0"},
]


def desk(exchange):
    """Add a hedged cross pair with two isolated positions beside it; 18,350 of 20,000 stay in the wallet."""
    account = add_account(exchange, "desk", hedge_mode=True)
    hold(exchange, account, "BTCUSDT", Decimal("0.4"), leverage=20, isolated=False)
    hold(exchange, account, "BTCUSDT", Decimal("-0.4"), leverage=20, isolated=False)
    hold(exchange, account, "SOLUSDT", Decimal(60), leverage=10, isolated=True)
    hold(exchange, account, "ETHUSDT", Decimal(-2), leverage=8, isolated=True)


def two_desks(exchange):
    desk(exchange)
    hold(exchange, add_account(exchange, "other"), "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)


def position(symbol="BTC/USDT:USDT", side="long", mode="isolated", wallet="5000", price="50000", **more):
    row = {
        "symbol": symbol, "contract": "linear", "side": side, "margin_mode": mode, "quantity": "1",
        "entry_price": price, "mark_price": price, "tiers": TIERS,
    }  # fmt: skip
    return row | ({"isolated_wallet": wallet} if mode == "isolated" else {}) | more


def written(folder, account):
    path = folder / "account.json"
    path.write_text(json.dumps(account))
    return str(path)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """One comparison, one status and one comparison for people, of the same account at the same prices."""

    async def look():
        async with world(tmp_path_factory.mktemp("compare"), build=desk) as here:
            answers = await asyncio.gather(
                here.guard("compare", "--json"), here.guard("status", "--json"), here.guard("compare")
            )
            return *answers, here.writes()

    return asyncio.run(look())


@pytest.fixture(scope="module")
def account(seen):
    return seen[0].document["accounts"][0]


def test_a_comparison_is_quiet_and_reads_only(seen):
    answer, _, shown, writes = seen
    assert (answer.status, answer.err, shown.status, shown.err, writes) == (0, "", 0, "", [])
    assert list(answer.document) == ["schema_version", "as_of", "accounts"]


def test_as_it_is_the_figures_are_those_of_status(seen, account):
    stated = {(row["symbol"], row["side"]): row for row in rows_of(seen[1].document, "desk")}
    assert len(account["positions"]) == len(stated) == 4
    for row in account["positions"]:
        same = stated[row["symbol"], row["side"]]
        assert {key: value for key, value in row.items() if key in same} == {
            key: same[key] for key in row if key in same
        }
        figures = row["as_is"]
        shared = set(figures) & set(same) - {"reason"}
        assert len(shared) == 13
        assert {key: figures[key] for key in shared} == {key: same[key] for key in shared}
    pool = seen[1].document["accounts"][0]["pools"][0]
    assert account["as_is"]["pools"][0]["available"] == pool["available"]


def test_every_mode_is_told_with_what_it_risks_and_what_falls_together(account):
    modes = {row["symbol"] + row["side"]: {name: row[name] for name in VARIANTS} for row in account["positions"]}
    sol = modes["SOL/USDT:USDTlong"]
    assert [sol[name]["capital_at_risk"] for name in VARIANTS] == ["900", "900", "20000"]
    assert [len(sol[name]["falls_together"]) for name in VARIANTS] == [1, 1, 4]
    assert sol["isolated"] == sol["as_is"]
    btc = modes["BTC/USDT:USDTshort"]
    assert [btc[name]["capital_at_risk"] for name in VARIANTS] == ["18350", "1200", "20000"]
    assert [btc[name]["isolated_wallet"] for name in VARIANTS] == [None, "1200", None]
    assert btc["isolated"]["margin_source"] == "leverage"


def test_isolated_prices_are_those_of_the_published_formula(account):
    """(wallet + cum - side * size * entry) / (size * (rate - side)), 0.4 % and no amount, as Binance's page has it."""
    short = next(row for row in account["positions"] if (row["symbol"], row["side"]) == ("BTC/USDT:USDT", "short"))
    by_hand = (Decimal(1_200) + 24_000) / (Decimal("0.4") * Decimal("1.004"))
    assert abs(Decimal(short["isolated"]["liquidation_price"]) / by_hand - 1) < Decimal("1e-25")


def test_the_whole_account_is_told_in_its_own_money(account):
    assert [account[name]["capital_at_risk"] for name in VARIANTS] == [
        {"USDT": "20000"},
        {"USDT": "4050"},  # 900 and 750, and 24,000 / 20 twice.
        {"USDT": "20000"},
    ]
    assert account["isolated"]["free"] == {"USDT": "15950"}
    assert all(account[name]["is_whole"] for name in VARIANTS)
    assert [len(account[name]["pools"]) for name in VARIANTS] == [3, 5, 1]


def test_the_hedge_is_told_as_a_trader_would(account):
    """Isolated, the short ends at 25,200 / 0.4016: 4.58 % above 60,000. The pair loses nothing by then."""
    said = " ".join(account["advice"])
    assert "BTC long and BTC short are a hedge: isolated, BTC short is liquidated at +4.5 %" in said
    assert "together they lose nothing" in said
    assert "In one cross pool" in said


def test_people_see_the_worst_first_in_eighty_columns(seen):
    lines = seen[2].out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    text = " ".join(seen[2].out.split())
    assert text.index("SOL long") < text.index("ETH short") < text.index("BTC long")
    assert "Cross ends at" in text
    assert "but then risks 20,000 USDT instead of 750 USDT" in text
    assert "Isolated limits each loss to the margin in the position" in text
    assert "risks the whole deposit" in text
    assert "BTC short takes 1,200 USDT (entry notional / leverage, 20x)" in text


async def test_one_account_can_be_asked_about_and_an_unknown_one_is_named(tmp_path):
    async with world(tmp_path, build=two_desks) as here:
        one, nobody = await asyncio.gather(
            here.guard("compare", "--account", "other", "--json"), here.guard("compare", "--account", "nobody")
        )
        assert [row["account"] for row in one.document["accounts"]] == ["other"]
        assert nobody.status == 78
        assert "no account 'nobody'" in nobody.err
        assert "desk, other" in nobody.err


async def test_a_dead_account_leaves_the_others_and_all_dead_ends_with_69_and_refused_keys_with_77(tmp_path):
    async with world(tmp_path, build=two_desks) as here:
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, api_key="key-of-other-canary"))
        answer = await here.guard("compare", "--json")
        alive, dead = answer.document["accounts"]
        assert (answer.status, len(alive["positions"]), dead["positions"]) == (0, 4, [])
        assert dead["gaps"][0]["subject"] == "other"
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, api_key="key-of-desk-canary"))
        gone = await here.guard("compare", "--json")
        assert (gone.status, gone.out) == (69, "")
        here.exchange.faults.clear()
        here.rewrite("key-of-desk-canary", "wrong-key-canary")
        here.rewrite("key-of-other-canary", "wrong-key-canary")
        refused = await here.guard("compare")
        assert refused.status == 77
        assert "canary" not in refused.out + refused.err


async def test_a_multi_assets_account_is_not_compared_and_says_why(tmp_path):
    def build(exchange):
        account = add_account(exchange, multi_assets=True)
        hold(exchange, account, "BTCUSDT", Decimal("0.5"), leverage=10, isolated=False)

    async with world(tmp_path, build=build) as here:
        answer, shown = await asyncio.gather(here.guard("compare", "--json"), here.guard("compare"))
        account = answer.document["accounts"][0]
        assert (answer.status, account["positions"]) == (0, [])
        assert any("multi-assets mode is not modelled" in gap["reason"] for gap in account["gaps"])
        assert "multi-assets mode is not modelled" in " ".join(shown.out.split())


# A written account ---------------------------------------------------------------------------------------------------


async def test_a_written_account_is_compared_with_its_wallet_though_nothing_leans_on_it(tmp_path):
    """1 BTC at 50,000 with 5,000 and 1 % required: 45,000 / 0.99; with the wallet's 4,000 too, 41,000 / 0.99."""
    wallet = [{"asset": "USDT", "wallet_balance": "4000", "price": "1"}]
    account = {"collateral": wallet, "positions": [position(leverage="10")]}
    answer, shown = await asyncio.gather(
        guard("compare", written(tmp_path, account), "--json", home=tmp_path),
        guard("compare", written(tmp_path, account), home=tmp_path),
    )
    row = answer.document["positions"][0]
    assert row["isolated"]["liquidation_price"].startswith("45454.545454545454")
    assert row["cross"]["liquidation_price"].startswith("41414.141414141414")
    assert row["advice"] == (
        "Cross ends at 41,415 instead of 45,455 (8 points farther) but then risks 9,000 USDT instead of 5,000 USDT."
    )
    assert row["advice"] in " ".join(shown.out.split())


async def test_a_list_of_accounts_gets_a_list_of_answers(tmp_path):
    accounts = [{"positions": [position()]}, {"positions": [position(side="short")]}]
    answer = await guard("compare", written(tmp_path, accounts), "--json", home=tmp_path)
    assert [one["positions"][0]["side"] for one in answer.document] == ["long", "short"]


async def test_a_wallet_that_cannot_pay_the_margins_says_so_instead_of_inventing_money(tmp_path):
    wallet = [{"asset": "USDT", "wallet_balance": "4000", "price": "1"}]
    account = {"collateral": wallet, "positions": [position(mode="cross", leverage="10")]}
    answer = await guard("compare", written(tmp_path, account), "--json", home=tmp_path)
    isolated = answer.document["positions"][0]["isolated"]
    assert (isolated["liquidation"], isolated["liquidation_price"], isolated["capital_at_risk"]) == (
        "unknown",
        None,
        None,
    )
    assert isolated["reason"] == "the margins come to 5,000 USDT, and the wallet has 4,000 USDT"
    assert answer.document["isolated"]["is_whole"] is False
    shown = await guard("compare", written(tmp_path, account), home=tmp_path)
    assert "All isolated cannot be told: the margins come to 5,000 USDT" in " ".join(shown.out.split())


@pytest.mark.parametrize("words", [("--account", "main"), ("-c", "config.toml")])
async def test_a_file_goes_with_no_account_of_a_config(tmp_path, words):
    answer = await guard("compare", written(tmp_path, {"positions": [position()]}), *words, home=tmp_path)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.count("\n") == 1


async def test_a_bad_file_is_a_config_error(tmp_path):
    answer = await guard("compare", written(tmp_path, {"positions": [position(leverage="-1")]}), home=tmp_path)
    assert answer.status == 78
    assert "positions[0].leverage" in answer.err


async def test_an_account_without_positions_says_so(tmp_path):
    async with world(tmp_path, build=add_account) as here:
        assert "no open positions" in (await here.guard("compare")).out
