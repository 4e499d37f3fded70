"""`guard check`: one line per finding, an exit status for the worst, and nothing is written at the exchange."""

import asyncio
import re
from decimal import Decimal

import pytest
from cli_world import SHIELD, add_account, every_kind, guard, hold, one_long, world

from guard.demo.exchange import Fault, FaultKind, KeyPermissions
from guard.demo.receiver import SECRET

DEAD_HOOK = f'[notify.webhook.ops]\nurl = "http://127.0.0.1:9/alerts"\nsecret = "{SECRET}"\n'  # Port 9 discards.


def lines_of(answer, sign):
    """Return the findings with a sign, without it."""
    return [line.removeprefix(sign).strip() for line in answer.out.splitlines() if line.startswith(sign)]


async def test_when_all_is_well_every_finding_is_a_line_and_nothing_is_written_anywhere(tmp_path):
    async with world(tmp_path, build=every_kind) as here:
        answer = await here.guard("check")
        assert (answer.status, answer.err) == (0, "")
        assert {re.match(r"ok  |note", line) is not None for line in answer.out.splitlines()} == {True}
        assert here.writes() == []
        assert [message["kind"] for message in here.messages] == ["drill"]
        assert not (tmp_path / "journal.db").exists()
        fine = "\n".join(lines_of(answer, "ok"))
        for said in (
            "oneway  hosts in use: 127.0.0.1",
            "oneway API key  the key may trade futures and can neither withdraw nor transfer",
            "hedged positions  4 open, hedge mode, single-asset mode",
            "oneway positions  3 open, one-way mode, single-asset mode",
            "oneway BTC/USDT:USDT long  liquidation: ours 48,193, the exchange's 48,193, the same to a millionth",
            "oneway BTC/USDT:USDT long  rule 'shield', trigger: 8 %",
            "8 % written, cut to 6.02 % by the birth distance",
            "oneway mark stream  BTC/USDT:USDT at 58,700",
            "webhook.ops  took a drill message",
        ):
            assert said in fine


async def test_every_endpoint_that_the_daemon_reads_is_asked(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        await here.guard("check")
        checked = set(here.exchange.requests)
        here.exchange.requests.clear()
        here.exchange.set_mark("BTCUSDT", Decimal(52_000))
        await here.guard("run", "--once")
        assert set(here.exchange.requests) - checked == {("POST", "/fapi/v1/positionMargin")}


async def test_offline_judges_the_config_and_asks_nobody(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        answer = await here.guard("check", "--offline")
        assert (answer.status, here.exchange.requests, here.messages) == (0, {}, [])
        assert "1 account(s)" in answer.out
        assert "if this machine dies, nobody is told" in answer.out


async def test_a_key_that_may_withdraw_exits_77_and_the_rest_is_still_checked(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        here.exchange.accounts["key-of-main-canary"].permissions = KeyPermissions(withdrawals=True)
        answer = await here.guard("check")
        assert answer.status == 77
        assert lines_of(answer, "KEYS") == [
            "main API key  the key may withdraw or transfer money: make one that may not"
        ]
        assert "took a drill message" in answer.out


async def test_keys_that_are_refused_exit_77_and_are_never_printed(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        here.rewrite("secret-of-main-canary", "wrong-secret-canary")
        answer = await here.guard("check")
        assert answer.status == 77
        assert "canary" not in answer.out + answer.err
        (refused,) = lines_of(answer, "KEYS")
        assert "refused as well: markets and modes, tier tables, margin history; " in refused
        assert "in the config against the exchange's page" in refused
        assert "FAIL" not in answer.out


async def test_an_exchange_that_cannot_be_reached_exits_69_and_says_at_what(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        here.exchange.faults.add(
            Fault(kind=FaultKind.ANSWER, status=503, body="<html>maintenance</html>", content_type="text/html")
        )
        answer = await here.guard("check")
        assert answer.status == 69
        assert {"main clock", "main markets and modes", "main positions"} <= {
            line.partition("  ")[0] for line in lines_of(answer, "FAIL")
        }


async def test_a_channel_that_is_down_exits_69(tmp_path):
    async with world(tmp_path, build=one_long, notify=DEAD_HOOK) as here:
        answer = await here.guard("check")
        assert answer.status == 69
        assert [line.partition("  ")[0] for line in lines_of(answer, "FAIL")] == ["webhook.ops"]


async def test_what_works_but_should_be_known_is_a_note_and_exits_0(tmp_path):
    def build(exchange):
        account = add_account(exchange, wallet=6_900)
        hold(exchange, account, "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)

    cross = '[[rules]]\nname = "nothing"\nmatch = { symbol = "LUNA/*" }\n'
    async with world(tmp_path, build=build, rules=SHIELD + cross, notify="") as here:
        here.exchange.faults.add(Fault(kind=FaultKind.CLOCK_SKEW, seconds=0.9))
        answer = await here.guard("check", GUARD_ACCOUNTS__MAIN__SECRET="secret-of-main-canary")
        assert answer.status == 0
        notes = "\n".join(lines_of(answer, "note"))
        for said in (
            "set the clock (NTP)",
            "rule 'nothing' matches no open position now",
            # 900 are left in the wallet, a tenth of it stays.
            "the budget allows 3,000 USDT, but only 810 USDT is there",
            "no channel leaves this machine",
            "/proc",
        ):
            assert said in notes


async def test_one_dead_account_does_not_keep_the_others_from_being_checked(tmp_path):
    def build(exchange):
        one_long(exchange)
        add_account(exchange, "other")

    async with world(tmp_path, build=build) as here:
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, api_key="key-of-other-canary"))
        answer = await here.guard("check")
        assert answer.status == 69
        assert "main BTC/USDT:USDT long  liquidation" in answer.out
        assert any(line.startswith("other ") for line in lines_of(answer, "FAIL"))


async def test_a_broken_config_exits_78_with_every_error_at_its_line_and_an_empty_stdout(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        here.rewrite('mode = "act"', 'mode = "atc"')
        here.rewrite('trigger = "8%"', "trigger = 8")
        answers = await asyncio.gather(*(here.guard(word) for word in ("check", "status", "run", "history", "arm")))
        assert {(answer.status, answer.out) for answer in answers} == {(78, "")}
        errors = answers[0].err.splitlines()
        assert len(errors) == 2
        assert errors[0].startswith(f"{here.config}:1: mode: ")
        assert re.match(rf"{re.escape(str(here.config))}:\d+: rules\[0\]\.top_up\.trigger: ", errors[1])


@pytest.mark.parametrize("named_by", ["option", "environment"])
async def test_a_config_that_is_not_there_exits_78_and_is_named(tmp_path, named_by):
    missing = str(tmp_path / "nowhere.toml")
    if named_by == "option":
        answer = await guard("check", "-c", missing, home=tmp_path)
    else:
        answer = await guard("check", home=tmp_path, GUARD_CONFIG=missing)
    assert (answer.status, answer.out) == (78, "")
    assert missing in answer.err


async def test_a_key_that_can_only_look_is_a_note_where_money_should_move(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        here.exchange.accounts["key-of-main-canary"].permissions = KeyPermissions(futures=False)
        acting = await here.guard("check")
        here.rewrite('mode = "act"', 'mode = "observe"')
        looking = await here.guard("check")
        assert (acting.status, looking.status) == (0, 0)
        assert any("in mode act no top-up can be made" in line for line in lines_of(acting, "note"))
        assert any("main API key" in line for line in lines_of(looking, "ok"))


async def test_a_stream_that_does_not_come_is_a_note_for_guard_would_only_poll(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        text = here.config.read_text()
        here.config.write_text(re.sub(r"ws://127\.0\.0\.1:\d+", "ws://127.0.0.1:9", text))
        answer = await here.guard("check")
        assert answer.status == 0
        note = next(line for line in lines_of(answer, "note") if line.startswith("main mark stream"))
        assert note.endswith("guard would only poll")


async def test_a_trigger_that_leaves_no_time_to_react_is_said_with_the_one_that_would(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        for price in (60_000, 54_000, 62_000, 58_700):  # One bar of 14 %.
            here.exchange.set_mark("BTCUSDT", Decimal(price))
        here.rewrite('trigger = "8%"', 'trigger = "0.4%"')
        answer = await here.guard("check")
        (note,) = [line for line in lines_of(answer, "note") if "sigmas to react" in line]
        assert re.search(r"BTC/USDT:USDT long  at 0.4 % you have [\d.]+ sigmas to react \(poll 1 s, answers", note), (
            note
        )
        assert re.search(r"raise the trigger to [\d.]+% or more", note)
