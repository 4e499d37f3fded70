"""The other commands, each as a person starts it: history, arm, disarm, run --once, schema, calc, help, bad usage."""

import asyncio
import json
import resource
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from cli_world import add_account, guard, hold, one_long, started, until, world

CALC = """
[[collateral]]
asset = "USDT"
wallet_balance = "50"
price = "1"
[[positions]]
symbol = "BTC/USDT:USDT"
contract = "linear"
side = "long"
margin_mode = "isolated"
quantity = "3"
contract_size = "1"
entry_price = "100"
mark_price = "100"
isolated_wallet = "31"
tiers = [{ notional_floor = "0", notional_cap = "1e12", maintenance_margin_rate = "0.01" }]
[[positions]]
symbol = "ETH/USDT:USDT"
contract = "linear"
side = "short"
margin_mode = "cross"
quantity = "1"
contract_size = "1"
entry_price = "100"
mark_price = "100"
tiers = [{ notional_floor = "0", notional_cap = "1e12", maintenance_margin_rate = "0.01" }]
"""
COMMANDS = ("demo", "check", "status", "run", "calc", "stress", "history", "arm", "disarm", "schema")


def two_accounts(exchange):
    one_long(exchange)
    hold(exchange, add_account(exchange, "other"), "ETHUSDT", Decimal(1), leverage=2, isolated=True)


async def test_history_tells_the_rescue_in_order_with_its_reasons(tmp_path):
    async with world(tmp_path, build=two_accounts) as here:
        here.exchange.set_mark("BTCUSDT", Decimal(52_000))
        once = await here.guard("run", "--once")
        assert (once.status, once.out) == (0, "")
        assert {"event", "level", "timestamp"} <= set(json.loads(once.err.splitlines()[-1]))
        everything, mine, last, shown, unknown = await asyncio.gather(
            here.guard("history", "--json"),
            here.guard("history", "--json", "--account", "other"),
            here.guard("history", "--json", "-n", "2"),
            here.guard("history"),
            here.guard("history", "--account", "nobody"),
        )
    rows = everything.document
    assert [list(row) for row in rows] == [["at", "account", "kind", "subject", "text", "data"]] * len(rows)
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    kinds = [row["kind"] for row in rows if row["account"] == "main"]
    assert kinds.index("alert.fired") < kinds.index("intent.planned") < kinds.index("intent.applied")
    assert "message.delivered" in kinds
    planned = next(row for row in rows if row["kind"] == "intent.planned")
    assert "distance 7.32 % is at or below the trigger 8 %" in planned["text"]
    assert {row["account"] for row in mine.document} == {"other", None}
    assert last.document == rows[-2:]
    assert len(shown.out.splitlines()) == len(rows)
    assert "intent.applied" in shown.out
    assert (unknown.status, unknown.out) == (78, "")
    assert "main, other" in unknown.err


async def test_history_without_a_journal_says_who_makes_one(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        answer = await here.guard("history")
        assert (answer.status, answer.out) == (69, "")
        assert "`guard run` makes it" in answer.err
        assert not (tmp_path / "journal.db").exists()


async def test_a_reader_that_goes_away_is_no_error(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        await here.guard("run", "--once")
        async with started("history", "-c", str(here.config), home=tmp_path) as process:
            process.stdout._transport.close()
            assert (await process.stderr.read()).decode() == ""
            assert await process.wait() == 0


async def test_a_disarmed_account_spends_nothing_until_it_is_armed_again(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        here.exchange.set_mark("BTCUSDT", Decimal(52_000))
        disarmed = await here.guard("disarm", "main", "--because", "on holiday")
        assert (disarmed.status, disarmed.err) == (0, "")
        assert disarmed.out.startswith("disarmed: main.")
        await here.guard("run", "--once")
        assert here.exchange.margin_posts == []
        armed = await here.guard("arm", "main")
        assert armed.out.startswith("armed: main.")
        await here.guard("run", "--once")
        assert len(here.exchange.margin_posts) == 1
        told = (await here.guard("history", "--json")).document
        assert [row["kind"] for row in told if row["kind"] in {"arm", "disarm"}] == ["disarm", "arm"]
        assert any("on holiday" in row["text"] for row in told)


@pytest.mark.parametrize("word", ["arm", "disarm"])
async def test_an_account_that_is_not_there_exits_78_and_the_known_ones_are_named(tmp_path, word):
    async with world(tmp_path, build=two_accounts) as here:
        answer = await here.guard(word, "mian")
        assert (answer.status, answer.out) == (78, "")
        assert "'mian'" in answer.err
        assert "main, other" in answer.err
        assert not (tmp_path / "journal.db").exists()


async def test_a_second_daemon_on_one_journal_exits_69_and_names_the_first(tmp_path):
    async with (
        world(tmp_path, build=one_long) as here,
        started("run", "-c", str(here.config), home=tmp_path) as first,
    ):
        while b"daemon.started" not in await first.stderr.readline():
            pass
        second = await here.guard("run")
        assert (second.status, second.out) == (69, "")
        assert str(first.pid) in second.err.splitlines()[-1]


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="limits of another process are read in /proc")
async def test_a_process_that_holds_keys_leaves_no_core_dump(tmp_path):
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    async with (
        world(tmp_path, build=two_accounts) as here,
        started("run", "-c", str(here.config), home=tmp_path) as run,
    ):
        await until("it runs", (tmp_path / "journal.db").exists)
        limits = Path(f"/proc/{run.pid}/limits").read_text().splitlines()  # noqa: ASYNC240 - it is memory, no disk.
    assert next(line.split()[4:6] for line in limits if line.startswith("Max core file size")) == ["0", "0"]


def test_no_crash_collector_gets_a_core_of_a_process_that_holds_keys(tmp_path):
    asks = "import ctypes; print('dumpable', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE.
    code = f"import sys; sys.argv = ['guard', '--version']\nfrom guard.cli import main\ntry: main()\nexcept SystemExit: {asks}"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "dumpable 0"


async def test_the_schema_is_a_json_schema_of_this_config_and_needs_none(tmp_path):
    answer = await guard("schema", home=tmp_path, GUARD_CONFIG="/nonexistent")
    schema = answer.document
    assert (answer.status, answer.err) == (0, "")
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"mode", "accounts", "ladder", "rules", "notify", "journal"} <= set(schema["properties"])
    defined = {f"#/$defs/{name}" for name in schema["$defs"]}
    assert set(references(schema)) <= defined


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from [value] if key == "$ref" else references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


async def test_calc_needs_no_config_and_says_the_same_to_people_and_programs(tmp_path):
    """Liquidated at (3 * 100 - 31) / (3 * 0.99) = 90.57; the short at (50 + 100) / 1.01 = 148.51."""
    file = tmp_path / "account.toml"
    file.write_text(CALC)
    answer, shown = await asyncio.gather(
        guard("calc", str(file), "--json", home=tmp_path, GUARD_CONFIG="/nonexistent"),
        guard("calc", str(file), home=tmp_path, COLUMNS="80"),
    )
    assert (answer.status, answer.err, shown.status, shown.err) == (0, "", 0, "")
    assert list(answer.document) == ["positions", "pools"]
    prices = [Decimal(row["liquidation_price"]) for row in answer.document["positions"]]
    assert [round(price, 2) for price in prices] == [Decimal("90.57"), Decimal("148.51")]
    assert max(map(len, shown.out.splitlines())) <= 80
    for said in ("90.573", "148.51", "9.4 %", "USDT cross", "all +48.5 %"):
        assert said in shown.out


async def test_a_bad_calc_file_exits_78_with_every_error(tmp_path):
    file = tmp_path / "account.toml"
    file.write_text(CALC.replace('side = "long"', 'side = "up"').replace('quantity = "1"', 'quantity = "-1"'))
    answer = await guard("calc", str(file), "--json", home=tmp_path)
    assert (answer.status, answer.out) == (78, "")
    assert len(answer.err.splitlines()) == 2


async def test_every_command_explains_itself_without_a_config(tmp_path):
    answers = await asyncio.gather(
        guard("--help", home=tmp_path), *(guard(word, "--help", home=tmp_path) for word in COMMANDS)
    )
    assert {(answer.status, answer.err) for answer in answers} == {(0, "")}
    assert all(f"  {word} " in answers[0].out for word in COMMANDS)
    version = await guard("--version", home=tmp_path)
    assert version.out.startswith("guard ")


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("status", "--nope"),
        ("calc",),
        ("stress", "--move", "-20"),
        ("stress", "--move", "BTC:-20%"),
        ("stress", "--adl-at", "0%"),
        ("stress", "--plot", "stress.jpg"),
        ("stress", "account.toml", "--account", "main"),
        ("stress", "account.toml", "-c", "config.toml"),
        ("history", "-n", "0"),
        ("history", "-n", "many"),
        ("run", "--log-level", "loud"),
        ("run", "--log-format", "xml"),
        ("demo", "--budget", "500"),
        ("demo", "--prices", "market.csv", "--budget", "5%"),
        ("demo", "--serve", "--json"),
        ("demo", "--config", "config.toml"),
    ],
)
async def test_what_cannot_be_meant_exits_2_and_says_what_could(tmp_path, words):
    answer = await guard(*words, home=tmp_path)
    assert (answer.status, answer.out) == (2, "")
    assert "Error: " in answer.err


async def test_a_config_that_the_demo_cannot_write_exits_78_and_names_it(tmp_path):
    answer = await guard("demo", "--serve", "--config", str(tmp_path / "missing" / "demo.toml"), home=tmp_path)
    assert (answer.status, answer.out) == (78, "")
    assert "missing/demo.toml: cannot be written: No such file or directory" in answer.err


async def test_a_bug_of_our_own_exits_70_in_one_line_that_holds_no_value(tmp_path):
    plant = "import guard.config.schema as s\ndef json_schema():\n    raise KeyError('a-secret-canary')\ns.json_schema = json_schema\n"
    (tmp_path / "sitecustomize.py").write_text(plant)
    answer = await guard("schema", home=tmp_path, PYTHONPATH=str(tmp_path))
    assert (answer.status, answer.out) == (70, "")
    assert answer.err.startswith("guard: a bug in guard itself: KeyError at ")
    assert "canary" not in answer.err
    assert len(answer.err.splitlines()) == 1
