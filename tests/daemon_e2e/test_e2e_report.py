"""The black-box report, of what really happened: a rescue, a lost answer that was settled, and a liquidation.

The position is the one of daemon_kit: 0.5 BTC from 60,000 with 6,000 of margin, liquidated at 48,192.77. At a mark of
45,000 it would have had 6,000 - 7,500 = -1,500 against 0.4 % of 22,500 = 90: 1,590 more would have kept it alive.
"""

import json
from decimal import Decimal

import pytest
from daemon_kit import (
    BREACHED,
    NEEDED,
    SHIELD,
    Played,
    call,
    cycles,
    daemon,
    name_of,
    until,
    watching,
    world,
)

from guard.demo.exchange import Fault, FaultKind

LONG = "BTC/USDT:USDT long"
LOW = Decimal(45_000)
OUTLASTS = Decimal(1_590)


async def report(here, wanted):
    """Return the report for people and the one for programs; both end with 0 and the first fits 80 columns."""
    status, text = await call(here, "history", "--report", wanted)
    assert status == 0, text
    assert max(len(line) for line in text.splitlines()) <= 80
    status, document = await call(here, "history", "--report", wanted, "--json")
    assert status == 0, document
    return " ".join(text.split()), json.loads(document)


async def of_a_rescue_what_was_seen_sent_answered_and_told(folder):
    async with world(folder) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("action"), of=guarded)
        await cycles(guarded, 2)
        (intent,) = here.intents()
        text, found = await report(here, intent.intent_id[:-4])
        assert (found["intent"], found["state"], found["amount"]) == (intent.intent_id, "applied", str(NEEDED))
        assert Decimal(found["before"]["distance"]) <= Decimal("0.08") < Decimal(found["after"]["distance"])
        assert found["before"]["exchange_liquidation_price"] is not None
        assert found["before"]["trigger"] == "0.08"
        ages = found["data_ages_s"]
        assert 0 <= ages["positions"] <= 5
        assert 0 <= ages["wallets"] <= 5
        assert ages["mark"] <= 5
        assert found["planned_at"] <= found["sent_at"] <= found["settled_at"]
        assert "code 200" in found["evidence"]
        told = {(one["kind"], one["event"]): one for one in found["told"]}
        (delivery,) = told["action", "fired"]["deliveries"]
        assert (delivery["channel"], delivery["state"]) == ("webhook.test", "delivered")
        assert delivery["at"] >= told["action", "fired"]["at"]
        assert ("alert", "fired") in told
        assert text.startswith("ADDED: 1,211.53 USDT to BTC/USDT:USDT long")
        for words in (
            "is at or below the trigger 8 %",
            "code 200",
            "webhook.test: delivered",
            "-> 12 %",
            "positions 0.",
        ):
            assert words in text, words
        status, said = await call(here, "history", "--report", "20010101")
        assert (status, len(said.splitlines())) == (2, 1)
        assert "no top-up '20010101' in the journal" in said
        status, said = await call(here, "history", "--report", "DOGE/USDT:USDT short")
        assert (status, len(said.splitlines())) == (2, 1)
        assert f"it knows: {LONG}" in said
        _, of_it = await report(here, LONG)
        assert (of_it["ended_at"], of_it["saved_by"], of_it["not_known"]) == (None, None, "it is still open")


async def of_a_lost_answer_how_it_was_settled(folder):
    async with world(folder) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_AFTER, path="/positionMargin", method="POST", times=1))
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is settled", lambda: here.told("unknown_outcome", "resolved"), of=guarded)
        await cycles(guarded, 1)
        (intent,) = here.intents()
        text, found = await report(here, intent.intent_id)
        assert (found["state"], Decimal(found["after"]["isolated_wallet"])) == ("applied", 6000 + NEEDED)
        assert "USER_ADJUST" in found["evidence"]
        assert found["entry_id"] is not None
        kinds = [(one["kind"], one["event"]) for one in found["told"]]
        assert kinds.index(("unknown_outcome", "fired")) < kinds.index(("unknown_outcome", "resolved"))
        assert Decimal(found["look_after"]["distance"]) >= Decimal("0.12")
        assert "-> 12 % from liquidation" in text
        assert "OUTCOME UNKNOWN" in text
        assert "SETTLED" in text


async def of_a_liquidation_which_written_limit_would_have_saved_it(folder):
    rules = SHIELD.replace('"3000"', '"300"')
    async with world(folder, rules=rules) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("the refusal is told", lambda: here.told("refused"), of=guarded)
        await cycles(guarded, 1)
        here.exchange.set_mark("BTCUSDT", LOW)
        await until("its end is told", lambda: here.told("vanished"), of=guarded)
        await cycles(guarded, 1)
        text, found = await report(here, LONG)
        saved = found["saved_by"]
        assert Decimal(saved["worst_mark"]) == LOW
        assert OUTLASTS <= Decimal(saved["needed"]) < OUTLASTS + Decimal("1e-20")
        limits = {one["limit"]: one for one in saved["limits"]}
        assert (limits["max_per_position"]["left"], limits["max_per_position"]["is_enough"]) == ("300", False)
        assert limits["max_per_day of rule shield"]["is_enough"] is True
        assert limits["the reserve"]["is_enough"] is True
        assert saved["verdict"] == "In the way: max_per_position."
        assert found["ended_at"] is not None
        assert Decimal(found["last_seen"]["position"]["mark_price"]) == BREACHED
        assert any("your budget cannot save this" in one["reason"] for one in found["withheld"])
        assert ("vanished", "escalated") in {(one["kind"], one["event"]) for one in found["told"]}
        for words in ("GONE: BTC/USDT:USDT long", "1,590.01 USDT more of margin", "1,290.01 USDT short", "TOO SMALL"):
            assert words in text, words


STORIES = [
    of_a_rescue_what_was_seen_sent_answered_and_told,
    of_a_lost_answer_how_it_was_settled,
    of_a_liquidation_which_written_limit_would_have_saved_it,
]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return Played(STORIES, tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize("story", STORIES, ids=name_of)
def test_the_report_tells(played, story):
    assert played(story)
