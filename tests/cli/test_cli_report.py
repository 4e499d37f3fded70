"""`guard history --report` on journals written by hand: every state, every way of not knowing, never beyond 80 columns."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import typer

from guard.cli.report import run_report
from guard.journal import Intent, IntentState, Journal
from guard.journal.records import LAST_SEEN
from guard.policy.decision import DataState, Decision
from guard.policy.memory import Life
from guard.policy.message import Message
from guard.policy.terms import Level
from guard.snapshot import PositionKey, Side

NOON = datetime(2025, 10, 10, 12, 0, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
BTC = PositionKey("BTC/USDT:USDT", Side.LONG)
SHORT = PositionKey("BTC/USDT:USDT", Side.SHORT)
ACCOUNT = """
[accounts.{name}]
exchange = "binanceusdm"
api_key = "key-{name}-0123456789"
secret = "secret-{name}-0123456789"
"""
RULE = """
[[rules]]
name = "shield"
match = { margin_mode = "isolated" }
[rules.top_up]
trigger = "8%"
target = "12%"
max_per_position = "300"
max_per_day = "5000"
"""
# 0.5 BTC from 60,000 with 6,000 of its own, 0.4 % asked: gone at 48,192.77; at 45,000 it needs 1,590 more.
HELD = {
    "symbol": "BTC/USDT:USDT",
    "contract": "linear",
    "side": "long",
    "margin_mode": "isolated",
    "quantity": "0.5",
    "contract_size": "1",
    "entry_price": "60000",
    "mark_price": "52000",
    "isolated_wallet": "6000",
    "tiers": [{"notional_floor": "0", "notional_cap": "1000000", "maintenance_margin_rate": "0.004"}],
}
ROW = {
    "mark_price": "52000",
    "liquidation": "at",
    "liquidation_price": "48192.77108",
    "exchange_liquidation_price": None,
    "distance": "0.0732",
    "isolated_wallet": "6000",
    "currency": "USDT",
    "trigger": "0.08",
    "budget_left": "300",
    "level": "danger",
    "reason": "distance 7.32 % is at or below danger 8 %",
    "withheld": None,
}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    accounts = "".join(ACCOUNT.format(name=name) for name in ("main", "hedge"))
    path.write_text(f'mode = "act"\n{accounts}{RULE}\n[journal]\npath = "journal.db"\n')
    return path


@pytest.fixture
def journal(config):
    with Journal.open(config.with_name("journal.db"), exclusive=False) as one:
        yield one


@pytest.fixture
def report(config, capsys):
    """Give a function that prints a report for people and for programs, and returns both."""

    def of(wanted, account=None):
        run_report(config, wanted, account=account, as_json=False)
        text = capsys.readouterr().out
        assert max(len(line) for line in text.splitlines()) <= 80
        run_report(config, wanted, account=account, as_json=True)
        return " ".join(text.split()), json.loads(capsys.readouterr().out)

    return of


def live(journal, key=BTC, *, account="main", life_id="life", at=NOON - HOUR):
    life = Life(
        life_id=life_id,
        key=key,
        first_seen_at=at,
        birth_distance=None,
        initial_margin=None,
        spent=Decimal(0),
        last_top_up_at=None,
        has_open_intent=False,
    )
    nothing = {"positions": (), "pools": (), "gaps": (), "alerts": (), "top_ups": (), "alert_states": ()}
    seen = Decision(assessment=None, state=DataState.FRESH, level=Level.OK, new_lives=(life,), **nothing)
    journal.record_decision(account, seen, [], {}, at)


def planned(journal, intent_id="20251010-120000-aaaa", **fields) -> Intent:
    intent = Intent(
        **{
            "intent_id": intent_id,
            "account": "main",
            "key": BTC,
            "life_id": "life",
            "rule": "shield",
            "hedged": False,
            "amount": Decimal("62.31"),
            "currency": "USDT",
            "dollars": Decimal("62.31"),
            "planned_at": NOON,
            "state": IntentState.PLANNED,
            "reason": "distance 7.32 % is at or below the trigger 8 %",
            "facts_before": json.dumps(ROW),
            **fields,
        }
    )
    journal.plan(intent)
    return intent


def told(message_id, at, *, withheld=None, mark="52000", **fields):
    message = Message(
        id=message_id,
        alert=message_id,
        happened_at=at,
        kind="alert",
        event="fired",
        level=Level.DANGER,
        account="main",
        symbol=BTC.symbol,
        side="long",
        margin_mode="isolated",
        title="DANGER BTC long 7.3 % from liquidation (48,193), and a reason that does not end: " + "so it is " * 9,
        text="…",
        facts={"mark_price": mark, "withheld": withheld},
    )
    return replace(message, **fields)


def gone(journal, *, worst="45000", wallet=True, at=NOON + 3 * SECOND):
    """End the position's life as the daemon does, with what it saw last. Without `worst` it saw nothing."""
    journal.end_life("main", BTC, at, "missing from 3 fresh reads in a row")
    if worst is None:
        return
    data = {
        "seen_at": "2025-10-10T12:00:00.000Z",
        "position": ROW,
        "worst_mark": {"price": worst, "at": "2025-10-10T12:00:02.000Z"},
        "wallet": {"available": "1000", "equity": "2000"} if wallet else None,
        "accounts": [{"positions": [HELD]}],
    }
    journal.event(at, "main", LAST_SEEN, str(BTC), "last listed at 12:00:00 UTC", json.dumps(data))


ENDS = {
    IntentState.APPLIED: "ADDED: 62.31 USDT to BTC/USDT:USDT long",
    IntentState.REFUSED: "REFUSED by the exchange: 62.31 USDT to BTC/USDT:USDT long; no money moved",
    IntentState.NOT_APPLIED: "NOT ADDED: 62.31 USDT to BTC/USDT:USDT long",
    IntentState.UNKNOWN: "OUTCOME UNKNOWN: 62.31 USDT to BTC/USDT:USDT long was sent, the answer was lost",
}


@pytest.mark.parametrize(("state", "title"), ENDS.items(), ids=ENDS.keys())
def test_every_end_has_its_title_and_what_the_exchange_said(journal, report, state, title):
    live(journal)
    planned(journal)
    journal.sent("20251010-120000-aaaa", NOON + SECOND)
    journal.settle("20251010-120000-aaaa", state, at=NOON + 2 * SECOND, evidence="as the exchange said")
    text, document = report("20251010")
    assert text.startswith(title)
    assert "as the exchange said" in text
    assert (document["state"], document["evidence"]) == (state.value, "as the exchange said")
    assert document["before"] == ROW
    assert document["data_ages_s"] is None
    assert ("counts as spent" in text) is (state is IntentState.UNKNOWN)


def test_a_plan_that_a_crash_cut_off_says_that_nobody_knows_whether_it_left(journal, report):
    live(journal)
    planned(journal)
    text, document = report("20251010-120000-aaaa")
    assert "whether it was sent is not known" in text
    assert (document["state"], document["sent_at"]) == ("planned", None)


def test_facts_that_say_nothing_make_a_report_without_figures_and_no_crash(journal, report):
    live(journal)
    planned(journal, facts_before='{"level": null, "mark_price": 7, "distance": "NaN?"}')
    text, _ = report("20251010-120000-aaaa")
    assert "distance not known" in text


def test_an_act_that_missed_its_effect_says_so_and_names_the_later_end(journal, report):
    live(journal)
    planned(journal)
    journal.sent("20251010-120000-aaaa", NOON)
    journal.settle("20251010-120000-aaaa", IntentState.APPLIED, at=NOON, evidence="code 200")
    journal.note_effect("20251010-120000-aaaa", missed="its margin stood still", facts_after=json.dumps(ROW), at=NOON)
    gone(journal)
    text, document = report("2025")
    assert "it missed its effect: its margin stood still" in text
    assert 'guard history --report "BTC/USDT:USDT long"' in text
    assert document["missed"] == "its margin stood still"
    assert document["ended_at"] == "2025-10-10T12:00:03.000Z"


def test_a_message_that_never_arrived_is_not_called_told(journal, report):
    live(journal)
    planned(journal)
    journal.enqueue(told("m1", NOON), ["phone", "ops"], NOON)
    (delivery,) = journal.due("phone", NOON, 9)
    journal.given_up(delivery.delivery_id, NOON + 5 * SECOND, "chat not found")
    text, document = report("2025")
    assert "phone: GIVEN UP 12:00:05 UTC: chat not found" in text
    assert "ops: NOT delivered yet" in text
    assert [one["state"] for one in document["told"][0]["deliveries"]] == ["waiting", "given_up"]


def test_a_message_that_went_out_in_a_digest_is_said_to_have(journal, report):
    live(journal)
    planned(journal)
    for number in (1, 2):
        journal.enqueue(told(f"m{number}", NOON), ["phone"], NOON)
    both = [delivery.delivery_id for delivery in journal.due("phone", NOON, 9)]
    journal.delivered(both, NOON + 5 * SECOND, told_with="m2")
    text, document = report("2025")
    assert "delivered 12:00:05 UTC, after 5.0 s, together with others in one message" in " ".join(text.split())
    assert {delivery["told_with"] for one in document["told"] for delivery in one["deliveries"]} == {"m2"}


def test_the_limit_that_was_too_small_is_named_with_what_was_missing(journal, report):
    live(journal)
    why = "your budget cannot save this: needs 693.61 USDT to reach 10 %, 300 USDT can be spent"
    journal.enqueue(told("m1", NOON, withheld=why), ["phone"], NOON)
    gone(journal)
    text, document = report("BTC/USDT:USDT long")
    saved = document["saved_by"]
    assert (saved["worst_mark"], saved["verdict"]) == ("45000", "In the way: max_per_position, the reserve.")
    assert Decimal(saved["needed"]).quantize(Decimal("0.01")) == 1_590
    assert "1,590.01 USDT more of margin would have kept it alive at 45,000" in text
    assert "1,290.01 USDT short" in text
    assert why in text


def test_a_limit_that_would_have_been_enough_is_not_blamed(journal, report):
    live(journal)
    gone(journal, worst="48000")  # 96 more.
    text, document = report("BTC/USDT:USDT long")
    assert [one["limit"] for one in document["saved_by"]["limits"] if one["is_enough"] is not True] == []
    assert "No limit was too small" in text


def test_where_no_mark_beyond_the_liquidation_price_was_seen_the_answer_is_that_nobody_knows(journal, report):
    live(journal)
    gone(journal, worst="50000")
    text, document = report("BTC/USDT:USDT long")
    assert (document["saved_by"]["needed"], document["saved_by"]["verdict"]) == ("0", None)
    assert "Not known: the lowest mark that guard saw was 50,000" in text
    assert "order history at the exchange" in text


def test_a_wallet_that_was_not_seen_leaves_the_reserve_unknown(journal, report):
    live(journal)
    gone(journal, wallet=False)
    text, _ = report("BTC/USDT:USDT long")
    assert "the reserve: not known" in text


def test_an_end_while_guard_was_not_running_is_judged_by_the_last_look_and_the_marks_that_were_told(journal, report):
    live(journal)
    journal.keep_look("main", json.dumps([{"positions": [HELD]}]), NOON - SECOND)
    journal.enqueue(told("m1", NOON, mark="47000"), ["phone"], NOON)
    gone(journal, worst=None)
    text, document = report("BTC/USDT:USDT long")
    assert document["last_seen"] is None
    assert document["saved_by"]["worst_mark"] == "47000"
    assert "guard was not running when it ended" in text


def test_without_any_look_it_says_so(journal, report):
    live(journal)
    gone(journal, worst=None)
    text, document = report("BTC/USDT:USDT long")
    assert document["saved_by"] is None
    assert "Not known: no look is kept" in text


def test_a_position_that_was_opened_again_is_told_apart_from_the_one_that_ended(journal, report):
    live(journal)
    gone(journal)
    live(journal, life_id="again", at=NOON + HOUR)
    text, document = report("BTC/USDT:USDT long")
    assert document["ended_at"] is not None
    assert "opened again, first seen 2025-10-10 13:00:00 UTC" in text


REFUSED = {
    "an id that is none": ("19990101", "no top-up '19990101' in the journal"),
    "nothing": ("", "no top-up '' in the journal"),
    "a beginning of two": ("20251010-12", "2 top-ups begin with '20251010-12', name one: "),
    "a position that never was": ("ETH/USDT:USDT long", "no position 'ETH/USDT:USDT long' in the journal; it knows: "),
    "a position of two accounts": ("BTC/USDT:USDT long", "add --account and one of hedge, main"),
}


@pytest.mark.parametrize(("wanted", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_there_or_not_one_thing_is_one_line_and_exits_2(journal, config, capsys, wanted, said):
    live(journal)
    live(journal, account="hedge", life_id="there")
    live(journal, SHORT, life_id="beside")
    planned(journal, hedged=True)
    planned(journal, "20251010-120001-bbbb", key=SHORT, life_id="beside", hedged=True, amount=Decimal("62.32"))
    with pytest.raises(typer.Exit) as leaving:
        run_report(config, wanted, account=None, as_json=False)
    assert leaving.value.exit_code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert said in shown.err


def test_of_two_accounts_the_named_one_is_reported(journal, report):
    live(journal)
    live(journal, account="hedge", life_id="there")
    assert report("BTC/USDT:USDT long", "hedge")[1]["account"] == "hedge"
