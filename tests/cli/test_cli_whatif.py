"""`guard whatif`: the live account, or a written one, with one more order in it."""

import asyncio
from decimal import Decimal

import pytest
from cli_world import add_account, guard, hold, rows_of, world
from test_cli_compare import desk, position, two_desks, written

from guard.demo.exchange import Fault, FaultKind

EXAMPLE = "long 0.5 BTC/USDT:USDT 10x isolated 800"
NEW = "long 20000 DOGE/USDT:USDT 10x isolated 600"
WALLET = [{"asset": "USDT", "wallet_balance": "10000", "price": "1"}]


def empty(exchange):
    """Add an account of 20,000 without any position."""
    add_account(exchange)


def pairs(document):
    """Return the positions of a live answer, before and after, by symbol and side."""
    rows = document["accounts"][0]["positions"]
    return {(row["symbol"], row["side"]): (row["before"], row["after"]) for row in rows}


def pool_pair(document, name="USDT cross"):
    pool = next(one for one in document["accounts"][0]["pools"] if one["pool"] == name)
    return pool["before"], pool["after"]


async def test_a_look_ahead_is_quiet_and_sends_nothing(tmp_path):
    async with world(tmp_path, build=desk) as here:
        answer = await here.guard("whatif", NEW, "--json")
        assert (answer.status, answer.err, here.writes()) == (0, "", [])
        assert list(answer.document) == ["schema_version", "as_of", "accounts"]
        row = answer.document["accounts"][0]
        assert (row["possible"], row["reason"], row["order"]["effect"]) == (True, None, "opens")


async def test_a_symbol_without_a_position_is_told_by_its_live_mark_and_brackets(tmp_path):
    """0.5 BTC at 60,000 with 6,000: (30,000 - 6,000) / (0.5 x 0.996), as Binance's page has it."""
    async with world(tmp_path, build=empty) as here:
        answer = await here.guard("whatif", "long 0.5 BTC/USDT:USDT 5x isolated", "--json")
        (before, after) = pairs(answer.document)["BTC/USDT:USDT", "long"]
        assert before is None
        assert after["isolated_wallet"] == "6000"
        assert abs(Decimal(after["liquidation_price"]) - Decimal(24_000) / Decimal("0.498")) < Decimal("1e-20")
        was, will = pool_pair(answer.document)
        assert (was["available"], will["available"]) == ("20000", "14000")
        assert (was["margin_balance"], will["margin_balance"]) == ("20000", "14000")


@pytest.mark.parametrize(
    ("words", "symbol", "amount", "terms"),
    [
        ("long 20000 DOGE/USDT:USDT 10x isolated", "DOGEUSDT", "20000", {"leverage": 10, "isolated": True}),
        ("short 0.1 BTC/USDT:USDT cross", "BTCUSDT", "-0.1", {"leverage": 20, "isolated": False}),
        ("long 0.2 BTC/USDT:USDT 20x", "BTCUSDT", "0.2", {"leverage": 20, "isolated": False}),
    ],
)
async def test_what_was_foretold_is_what_the_exchange_then_shows(tmp_path, words, symbol, amount, terms):
    async with world(tmp_path, build=desk) as here:
        foretold = (await here.guard("whatif", words, "--json")).document
        account = here.exchange.accounts["key-of-desk-canary"]
        hold(here.exchange, account, symbol, Decimal(amount), **terms)
        status = (await here.guard("status", "--json")).document
        then = {(row["symbol"], row["side"]): row for row in rows_of(status, "desk")}
        assert set(then) == {key for key, (_, after) in pairs(foretold).items() if after is not None}
        for key, (_, after) in pairs(foretold).items():
            ours, theirs = after["liquidation_price"], then[key]["exchange_liquidation_price"]
            assert (ours is None) is (theirs is None)
            assert ours is None or abs(Decimal(ours) / Decimal(theirs) - 1) < Decimal("1e-6")
            assert after["margin_balance"] == then[key]["margin_balance"]
        pool = next(one for one in status["accounts"][0]["pools"] if one["pool"] == "USDT cross")
        _, will = pool_pair(foretold)
        assert (will["margin_ratio"], will["available"]) == (pool["margin_ratio"], pool["available"])


async def test_the_others_are_told_how_far_they_are_then(tmp_path):
    async with world(tmp_path, build=desk) as here:
        answer, shown = await asyncio.gather(here.guard("whatif", NEW, "--json"), here.guard("whatif", NEW))
        others = answer.document["accounts"][0]["others"]
        assert [line.partition(":")[0] for line in others] == ["BTC long", "BTC short"]
        text = " ".join(shown.out.split())
        assert all(line in text for line in others)
        assert "SOL long isolated" in text
        assert "unchanged" in text
        assert max(len(line.rstrip()) for line in shown.out.splitlines()) <= 80


async def test_the_mode_of_an_account_decides_whether_the_other_side_is_closed(tmp_path):
    def build(exchange):
        hold(exchange, add_account(exchange), "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)

    async with world(tmp_path, build=build) as here:
        words = "short 0.2 BTC/USDT:USDT"
        answer, shown = await asyncio.gather(here.guard("whatif", words, "--json"), here.guard("whatif", words))
        row = answer.document["accounts"][0]
        assert (row["order"]["effect"], row["order"]["margin_released"]) == ("reduces", "2400")
        assert "It makes BTC long smaller (one-way mode)" in " ".join(shown.out.split())
    async with world(tmp_path, build=desk) as here:
        answer = await here.guard("whatif", f"{words} 20x", "--json")
        row = answer.document["accounts"][0]
        assert row["order"]["effect"] == "adds"
        assert any("hedge mode" in note for note in row["notes"])


async def test_what_the_wallet_does_not_back_is_said_and_nothing_is_made_up(tmp_path):
    async with world(tmp_path, build=empty) as here:
        words = "long 4 BTC/USDT:USDT 10x"
        answer, shown = await asyncio.gather(here.guard("whatif", words, "--json"), here.guard("whatif", words))
        row = answer.document["accounts"][0]
        assert (answer.status, row["possible"], row["positions"]) == (0, False, [])
        assert "takes 24,000 USDT, 20,000 USDT is available, 4,000 USDT is missing" in row["reason"]
        assert [pool["after"] for pool in row["pools"]] == [None]
        assert row["reason"] in " ".join(shown.out.split())


async def test_what_cannot_be_modelled_is_neither_possible_nor_impossible(tmp_path):
    def build(exchange):
        account = add_account(exchange, multi_assets=True)
        hold(exchange, account, "BTCUSDT", Decimal("0.5"), leverage=10, isolated=False)

    async with world(tmp_path, build=build) as here:
        row = (await here.guard("whatif", NEW, "--json")).document["accounts"][0]
        assert (row["possible"], row["pools"], row["positions"]) == (None, [], [])
        assert "multi-assets mode is not modelled" in row["reason"]


async def test_wrong_words_end_with_2_and_one_line_each(tmp_path):
    async with world(tmp_path, build=empty) as here:
        answers = await asyncio.gather(
            *(
                here.guard("whatif", words)
                for words in ("long 0.5", "long 1 BTC/USDT:USDT", "long 1 BTCUSDT 5x", "long 5EUR BTC/USDT:USDT 5x")
            )
        )
        assert [answer.status for answer in answers] == [2, 2, 2, 2]
        assert [answer.err.count("\n") for answer in answers] == [1, 1, 1, 1]
        assert [answer.out for answer in answers] == ["", "", "", ""]
        assert "expected SIDE QUANTITY SYMBOL" in answers[0].err
        assert "needs a margin or a leverage" in answers[1].err
        assert "has no market 'BTCUSDT', did you mean 'BTC/USDT:USDT'?" in answers[2].err
        assert "found a quantity in EUR" in answers[3].err


async def test_of_several_accounts_one_must_be_named(tmp_path):
    async with world(tmp_path, build=two_desks) as here:
        which, one = await asyncio.gather(
            here.guard("whatif", EXAMPLE), here.guard("whatif", EXAMPLE, "--account", "other", "--json")
        )
        assert (which.status, which.err) == (2, "guard: whatif: expected --account with one of desk, other\n")
        assert (one.status, one.document["accounts"][0]["order"]["effect"]) == (0, "adds")


@pytest.mark.parametrize("path", [None, "/fapi/v1/premiumIndex", "/fapi/v1/leverageBracket"])
async def test_an_exchange_that_does_not_answer_ends_with_69(tmp_path, path):
    async with world(tmp_path, build=empty) as here:
        where = {} if path is None else {"path": path}
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, **where))
        answer = await here.guard("whatif", NEW, "--json")
        assert (answer.status, answer.out, answer.err.count("\n")) == (69, "", 1)


# A written account ---------------------------------------------------------------------------------------------------


async def test_a_written_account_takes_mark_and_brackets_from_its_position_of_the_symbol(tmp_path):
    """2 BTC at 50,000 and 55,000 on 5,000 and 11,000: (105,000 - 16,000) / (2 x 0.99)."""
    file = written(tmp_path, {"collateral": WALLET, "positions": [position()]})
    words = "long 1 BTC/USDT:USDT 5x isolated at 55000"
    answer, shown = await asyncio.gather(
        guard("whatif", words, "--file", file, "--json", home=tmp_path),
        guard("whatif", words, "--file", file, home=tmp_path),
    )
    assert answer.document["possible"] is False
    assert "11,000 USDT, 10,000 USDT is available" in answer.document["reason"]
    assert "No answer: the wallet does not back it" in " ".join(shown.out.split())
    fitting = await guard("whatif", f"{words} 11x".replace(" 5x", ""), "--file", file, "--json", home=tmp_path)
    after = fitting.document["positions"][0]["after"]
    assert (after["entry_price"], after["isolated_wallet"]) == ("52500", "10000")
    assert after["liquidation_price"].startswith("47979.79797979")
    assert fitting.document["pools"][0]["after"]["available"] is None


async def test_a_symbol_that_the_file_does_not_hold_is_refused_clearly(tmp_path):
    file = written(tmp_path, {"collateral": WALLET, "positions": [position()]})
    answer = await guard("whatif", "long 1 BTC/USDC:USDC 5x", "--file", file, home=tmp_path)
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "has no position of 'BTC/USDC:USDC'" in answer.err
    assert "did you mean 'BTC/USDT:USDT'?" in answer.err


async def test_a_list_of_written_accounts_gets_a_list_of_answers(tmp_path):
    file = written(tmp_path, [{"collateral": WALLET, "positions": [position()]}] * 2)
    answer = await guard("whatif", "short 1 BTC/USDT:USDT", "--file", file, "--json", home=tmp_path)
    assert [one["order"]["effect"] for one in answer.document] == ["closes", "closes"]


async def test_a_file_and_an_account_of_the_config_do_not_go_together(tmp_path):
    file = written(tmp_path, {"positions": [position()]})
    answer = await guard("whatif", EXAMPLE, "--file", file, "--account", "main", home=tmp_path)
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert (await guard("whatif", EXAMPLE, "--file", "nowhere.json", home=tmp_path)).status == 78
