"""`guard stress` as a person starts it: on a file, on live accounts, and held to the exchange that then liquidates."""

import asyncio
import json
from decimal import Decimal

from cli_world import MARKS, add_account, guard, hold, one_long, world
from PIL import Image, ImageColor

from guard.cli.plot import COLOURS, LIQUIDATION
from guard.demo.exchange import Fault, FaultKind
from guard.snapshot import Side

ONE_PERCENT = '[{ notional_floor = "0", notional_cap = "1e12", maintenance_margin_rate = "0.01" }]'
HAIR = Decimal("1e-6")


def written(symbol, side, mark, *more):
    return f"""
[[positions]]
symbol = "{symbol}/USDT:USDT"
contract = "linear"
side = "{side}"
quantity = "1"
entry_price = "{mark}"
mark_price = "{mark}"
tiers = {ONE_PERCENT}
""" + "\n".join(more or ['margin_mode = "cross"'])


def isolated(wallet):
    return f'margin_mode = "isolated"\nisolated_wallet = "{wallet}"'


# BTC dies at 80/0.99, that is at -19.19 %; SOL at -50/99 of itself; the pool where 60 - 140 x = 0.01 (100 + 40) (1 - x).
ACCOUNT = (
    '[[collateral]]\nasset = "USDT"\nwallet_balance = "60"\nprice = "1"\n'
    + written("BTC", "long", "100", isolated("20"))
    + written("SOL", "short", "100", isolated("51"))
    + written("ETH", "long", "100")
    + written("DOGE", "long", "40")
)


def hedged_pool_and_two_isolated(exchange):
    account = add_account(exchange, "main", wallet=12_000, hedge_mode=True)
    hold(exchange, account, "BTCUSDT", Decimal("0.4"), leverage=10, isolated=False)
    hold(exchange, account, "BTCUSDT", Decimal("-0.15"), leverage=10, isolated=False)
    hold(exchange, account, "DOGEUSDT", Decimal(90_000), leverage=10, isolated=False)
    hold(exchange, account, "SOLUSDT", Decimal(60), leverage=10, isolated=True)
    hold(exchange, account, "ETHUSDT", Decimal(-4), leverage=5, isolated=True)


async def on_file(tmp_path, *words, text=ACCOUNT, name="account.toml"):
    file = tmp_path / name
    file.write_text(text)
    return await guard("stress", name, *words, home=tmp_path, COLUMNS="80")


def near(text, numerator, denominator):
    return abs(Decimal(text) * denominator - numerator) < Decimal("1e-30")


async def test_without_a_move_a_ladder_tells_what_dies_at_each_rung_and_where_each_pool_ends_exactly(tmp_path):
    answer, shown = await asyncio.gather(on_file(tmp_path, "--json"), on_file(tmp_path))
    assert (answer.status, answer.err, shown.status) == (0, "", 0)
    document = answer.document
    assert list(document) == ["pools", "scenarios", "gaps"]
    rungs = {row["name"]: [death["pool"] for death in row["deaths"]] for row in document["scenarios"]}
    assert list(rungs) == ["-5%", "-10%", "-15%", "-20%", "-30%", "-50%", "+5%", "+10%", "+20%", "+50%"]
    assert rungs["-15%"] == []
    assert rungs["-20%"] == ["BTC/USDT:USDT long isolated"]
    assert rungs["-50%"] == ["BTC/USDT:USDT long isolated", "USDT cross"]
    assert rungs["+50%"] == ["SOL/USDT:USDT short isolated"]
    ends = {row["pool"]: (row["market_down"], row["market_up"]) for row in document["pools"]}
    assert near(ends["BTC/USDT:USDT long isolated"][0], -19, 99)
    assert near(ends["SOL/USDT:USDT short isolated"][1], 50, 101)
    assert near(ends["USDT cross"][0], Decimal("-58.6"), Decimal("138.6"))
    assert ends["USDT cross"][1] is None
    for text in ("-20%", "BTC long isolated at -19.1 %", "ETH long, and with it DOGE long (USDT cross)", "if all fall"):
        assert text in " ".join(shown.out.split())


async def test_the_rows_of_a_scenario_have_the_keys_that_scripts_read(tmp_path):
    scenario = (await on_file(tmp_path, "--json", "--move", "-50%", "--adl")).document["scenarios"][0]
    assert list(scenario) == [
        "name", "market", "coins", "auto_deleveraging_at", "deaths", "deaths_without_closures", "closures", "pools",
        "currency", "equity_before", "equity_after", "lost", "unpriced", "unmoved",
    ]  # fmt: skip
    assert list(scenario["deaths"][0]) == [
        "pool", "margin_mode", "currency", "way", "market_move", "moves", "positions", "trigger_coin", "driver",
        "taken_along", "prices", "lost", "only_by_auto_deleveraging",
    ]  # fmt: skip
    assert list(scenario["pools"][0]) == [
        "pool", "margin_mode", "currency", "positions", "fate", "equity_before", "equity_after", "margin_ratio_after",
        "distance_left",
    ]  # fmt: skip
    assert (scenario["market"], scenario["equity_before"], scenario["equity_after"]) == ("-0.5", "131", "101")


async def test_one_scenario_is_told_in_plain_words(tmp_path):
    shown = await on_file(tmp_path, "--move", "-50%")
    words = " ".join(shown.out.split())
    assert "dies at -19.1 %: BTC long isolated: its margin is lost, 20 USDT" in words
    assert "dies at -42.2 %: ETH long, and with it DOGE long (USDT cross): its wallet is lost, 60 USDT" in words
    assert "left: 101 USDT of 131 USDT" in words


async def test_named_coins_move_alone_however_they_are_spelled_and_one_that_is_not_here_is_named(tmp_path):
    words = ("--move", "eth=-70%,NOPE=-5%")
    answer, shown = await asyncio.gather(on_file(tmp_path, "--json", *words), on_file(tmp_path, *words))
    (scenario,) = answer.document["scenarios"]
    (death,) = scenario["deaths"]
    # 60 - 100 x = 0.01 (140 - 100 x)
    assert near(death["moves"]["ETH"], Decimal("-58.6"), 99)
    assert (death["trigger_coin"], death["taken_along"]) == ("ETH", ["DOGE/USDT:USDT long"])
    assert scenario["unmoved"] == ["NOPE"]
    assert "dies at ETH -59.1 %" in shown.out
    assert "nothing here moves with NOPE" in shown.out


async def test_several_scenarios_stand_side_by_side_with_the_worst_on_top(tmp_path):
    (tmp_path / "days.csv").write_text("name,market,BTC\nbad day,-50%,\nbtc day,,-30%\n")
    words = ("--move", "-5%", "--scenarios", "days.csv")
    answer, shown = await asyncio.gather(on_file(tmp_path, "--json", *words), on_file(tmp_path, *words))
    assert [row["name"] for row in answer.document["scenarios"]] == ["-5%", "bad day", "btc day"]
    places = [shown.out.index(name) for name in ("bad day", "btc day", "-5%")]
    assert places == sorted(places)


async def test_what_lost_hedges_change_is_told(tmp_path):
    text = (
        '[[collateral]]\nasset = "USDT"\nwallet_balance = "25"\nprice = "1"\n'
        + written("BTC", "long", "100")
        + written("BTC", "short", "100")
        + written("ETH", "long", "100")
    )
    words = ("--move", "-20%", "--adl")
    answer, shown = await asyncio.gather(
        on_file(tmp_path, "--json", *words, text=text), on_file(tmp_path, *words, text=text)
    )
    (scenario,) = answer.document["scenarios"]
    (closure,) = scenario["closures"]
    assert (closure["position"], closure["price"], closure["realized"]) == ("BTC/USDT:USDT short", "90", "10")
    assert (scenario["deaths"][0]["only_by_auto_deleveraging"], scenario["deaths_without_closures"]) == (True, [])
    shown_words = " ".join(shown.out.split())
    assert "auto-deleveraging, 50 % of the way: BTC short closed at 90, 10 USDT realized" in shown_words
    assert "dies at -16.6 %: BTC long, and with it ETH long (USDT cross): its wallet is lost, 35 USDT" in shown_words
    assert "with its hedges it would live" in shown_words


async def test_a_phone_shows_every_word_whole(tmp_path):
    file = tmp_path / "account.toml"
    file.write_text(ACCOUNT)
    shown = await guard("stress", file.name, home=tmp_path, COLUMNS="40")
    assert max(len(line.rstrip()) for line in shown.out.splitlines()) <= 40
    for word in ("isolated", "left", "cross)", "-19.1"):
        assert word in shown.out


async def test_a_list_of_accounts_gets_a_list_of_answers(tmp_path):
    position = {
        "symbol": "BTC/USDT:USDT", "contract": "linear", "side": "long", "margin_mode": "isolated", "quantity": "1",
        "entry_price": "100", "mark_price": "100", "isolated_wallet": "20",
        "tiers": [{"notional_floor": "0", "notional_cap": "1e12", "maintenance_margin_rate": "0.01"}],
    }  # fmt: skip
    text = json.dumps([{"positions": [position]}, {"positions": []}])
    answer = await on_file(tmp_path, "--json", "--move", "-30%", text=text, name="a.json")
    assert [len(one["scenarios"][0]["deaths"]) for one in answer.document] == [1, 0]
    shown = await on_file(tmp_path, "--move", "-30%", text=text, name="a.json")
    assert "no open positions" in shown.out


async def test_a_picture_of_all_pools_is_drawn_where_it_is_asked_for(tmp_path):
    drawn, nowhere, empty = await asyncio.gather(
        on_file(tmp_path, "--plot", "stress.png", "--json"),
        on_file(tmp_path, "--plot", "no/stress.png"),
        on_file(tmp_path, "--plot", "empty.png", text="positions = []\n", name="empty.toml"),
    )
    assert (drawn.status, len(drawn.document["pools"])) == (0, 3)
    with Image.open(tmp_path / "stress.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    assert {ImageColor.getrgb(colour) for colour in (LIQUIDATION, *COLOURS[:3])} <= colours
    assert nowhere.status == 78
    assert "no/stress.png: the picture cannot be written" in nowhere.err
    assert (empty.status, (tmp_path / "empty.png").exists()) == (0, False)
    assert "no pool to draw" in empty.err


async def test_bad_files_exit_78_and_name_the_place(tmp_path):
    text = ACCOUNT.replace('quantity = "1"', 'quantity = "1"\nbeta = "2"', 1) + written("BTC", "short", "100")
    (tmp_path / "s.csv").write_text("name,BTC\na,-15\n")
    two_betas, missing, scenarios = await asyncio.gather(
        on_file(tmp_path, text=text, name="betas.toml"),
        guard("stress", "nope.toml", home=tmp_path),
        on_file(tmp_path, "--scenarios", "s.csv"),
    )
    for answer, said in (
        (two_betas, "positions[4].beta: found 1, expected 2 as in positions[0]: a coin has one price"),
        (missing, "nope.toml: cannot be read"),
        (scenarios, "s.csv:2: BTC: found '-15', expected a move in percent"),
    ):
        assert (answer.status, answer.out) == (78, "")
        assert said in answer.err


# Live --------------------------------------------------------------------------------------------------------------


async def test_what_dies_in_a_stress_is_what_the_exchange_then_takes_at_these_prices_and_in_this_order(tmp_path):
    async with world(tmp_path, build=hedged_pool_and_two_isolated, mode="observe", rules="") as here:
        answer = await here.guard("stress", "--json", "--move", "-60%", "--move", "+60%")
        assert (answer.status, here.writes()) == (0, [])
        falling, rising = answer.document["accounts"][0]["scenarios"]
        assert [death["pool"] for death in falling["deaths"]] == ["SOL/USDT:USDT long isolated", "USDT cross"]
        assert [death["pool"] for death in rising["deaths"]] == ["ETH/USDT:USDT short isolated"]
        for scenario in (falling, rising):
            for death in scenario["deaths"]:
                move = Decimal(death["market_move"])
                assert here.exchange.set_marks(marks_at(move * (1 - HAIR))) == []
                taken = here.exchange.set_marks(marks_at(move * (1 + HAIR)))
                assert {unified(event) for event in taken} == set(death["positions"])
                assert abs(sum(event.loss for event in taken) - Decimal(death["lost"])) < HAIR


def marks_at(move):
    return {symbol: mark * (1 + move) for symbol, mark in MARKS.items()}


def unified(event):
    return f"{event.symbol.removesuffix('USDT')}/USDT:USDT {'long' if event.side is Side.LONG else 'short'}"


async def test_the_ends_of_live_pools_are_those_of_status(tmp_path):
    async with world(tmp_path, build=hedged_pool_and_two_isolated, mode="observe", rules="") as here:
        stressed, status = await asyncio.gather(here.guard("stress", "--json"), here.guard("status", "--json"))
    ends = {row["pool"]: row for row in stressed.document["accounts"][0]["pools"]}
    account = status.document["accounts"][0]
    (pool,) = account["pools"]
    assert (ends["USDT cross"]["market_down"], ends["USDT cross"]["market_up"]) == (pool["shock_down"], None)
    alone = {f"{row['symbol']} {row['side']} isolated": row for row in account["positions"] if row["pool"] is None}
    for name, row in alone.items():
        move = Decimal(ends[name]["market_down"] or ends[name]["market_up"])
        assert abs(Decimal(row["liquidation_price"]) / Decimal(row["mark_price"]) - 1 - move) < Decimal(
            "1e-24"
        )  # Of 28 digits here.


def two_longs(exchange):
    one_long(exchange)
    hold(exchange, add_account(exchange, "other"), "ETHUSDT", Decimal(1), leverage=2, isolated=True)


async def test_one_dead_account_leaves_the_others_on_the_screen(tmp_path):
    async with world(tmp_path, build=two_longs) as here:
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, api_key="key-of-other-canary"))
        answer, shown = await asyncio.gather(
            here.guard("stress", "--json", "--move", "-20%"), here.guard("stress", "--move", "-20%")
        )
        main, other = answer.document["accounts"]
        assert (answer.status, shown.status) == (0, 0)
        assert near(main["scenarios"][0]["deaths"][0]["prices"]["BTC/USDT:USDT"], 24_000, Decimal("0.498"))
        assert (other["state"], other["scenarios"], other["gaps"][0]["subject"]) == ("blind", [], "other")
        assert "dies at -19.6 %: BTC long isolated" in shown.out
        assert "not stressed: other" in shown.out
        alone = await here.guard("stress", "--account", "other")
        assert (alone.status, alone.err.startswith("guard: ")) == (69, True)


async def test_refused_keys_exit_77_and_are_never_printed(tmp_path):
    async with world(tmp_path, build=two_longs) as here:
        here.rewrite("key-of-other-canary", "wrong-key-canary")
        answer = await here.guard("stress", "--json", "--account", "other")
        assert (answer.status, len(answer.document["accounts"])) == (77, 1)
        assert "canary" not in answer.out + answer.err


async def test_only_the_named_account_is_asked(tmp_path):
    async with world(tmp_path, build=two_longs) as here:
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, api_key="key-of-other-canary"))
        only = await here.guard("stress", "--json", "--account", "main")
        assert (only.status, [one["account"] for one in only.document["accounts"]]) == (0, ["main"])
        nobody = await here.guard("stress", "--account", "mian")
        assert (nobody.status, nobody.out) == (78, "")
        assert "main, other" in nobody.err


async def test_a_wallet_in_a_coin_without_a_price_is_left_out_of_the_sums_and_named(tmp_path):
    def build(exchange):
        one_long(exchange)
        exchange.accounts["key-of-main-canary"].balances["SOL"] = Decimal(2)

    async with world(tmp_path, build=build) as here:
        answer, shown = await asyncio.gather(
            here.guard("stress", "--json", "--move", "-5%"), here.guard("stress", "--move", "-5%")
        )
    (scenario,) = answer.document["accounts"][0]["scenarios"]
    assert (scenario["unpriced"], scenario["equity_before"], scenario["equity_after"]) == (["SOL"], "20000", "18500")
    assert "left: 18,500 USDT of 20,000 USDT" in shown.out
    assert "not summed up: SOL, which has no price in dollars here" in shown.out


async def test_a_pool_that_cannot_be_modelled_is_named_and_nothing_is_said_of_it(tmp_path):
    def build(exchange):
        account = add_account(exchange, multi_assets=True)
        hold(exchange, account, "BTCUSDT", Decimal("0.5"), leverage=10, isolated=False)

    async with world(tmp_path, build=build) as here:
        answer, shown = await asyncio.gather(here.guard("stress", "--json"), here.guard("stress"))
    account = answer.document["accounts"][0]
    assert account["pools"] == []
    assert any("multi-assets mode is not modelled" in gap["reason"] for gap in account["gaps"])
    assert "not stressed: USDT cross" in shown.out
