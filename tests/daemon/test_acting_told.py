"""One account's actor, in virtual time: what is told of a top-up that was lost, only said, or missed its effect."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from acting_desk import HELPED, NEAR, Desk
from acting_support import START, Clock, journal_with
from journal_support import intent
from policy_worlds import ETH, KEY, isolated, rule, top_up_terms
from simulated_venue import FENCE, Fate, ProcessDied
from structlog.testing import capture_logs

from guard.daemon.acting import SAY_AGAIN_AFTER, SETTLE_LATE_EVERY
from guard.errors import JournalError, KeysRefused, VenueUnavailable
from guard.journal import IntentState
from guard.policy.terms import Level, Mode
from guard.snapshot import PositionKey, Side, Wallet

pytestmark = pytest.mark.looptime

ETH_KEY = PositionKey(ETH, Side.LONG)


@pytest.fixture
def desk(tmp_path):
    journal = journal_with(tmp_path, KEY, ETH_KEY)
    yield lambda *fates: Desk(journal, Clock(), fates=fates)
    journal.close()


async def test_a_lost_answer_is_told_with_its_fence_and_its_end_with_the_proof(desk):
    one = desk(Fate.LOST_AFTER)
    await one.act()
    assert one.intent.state is IntentState.UNKNOWN
    assert one.asked.count("read again") == 1  # Nothing is known, so nothing is read back.
    (lost,) = one.told
    assert (lost.kind, lost.event, lost.level) == ("unknown_outcome", "fired", Level.DANGER)
    by = START + FENCE
    assert f"by {by:%H:%M:%S}" in lost.text
    await asyncio.sleep(3)
    with capture_logs() as lines:
        await one.actor.settle()
    assert lines == [
        {
            "event": "intent.settled",
            "log_level": "info",
            "intent": one.intent.intent_id,
            "state": "applied",
            "evidence": "history: 891.00 USDT added at 21:00:00",
        }
    ]
    one.actor.tell_outcomes()
    one.actor.tell_outcomes()
    assert len(one.told) == 2
    settled = one.told[1]
    assert (settled.event, settled.alert, settled.level) == ("resolved", one.intent.intent_id, Level.DANGER)
    assert settled.title.startswith("SETTLED: 891 USDT was added to BTC long")
    assert "Evidence: history: 891.00 USDT added at 21:00:00" in settled.text
    assert settled.happened_at == one.intent.settled_at == START + timedelta(seconds=3)


async def test_what_was_not_applied_is_told_as_not_added(desk):
    one = desk(Fate.LOST_BEFORE)
    await one.act()
    await one.actor.settle()
    await asyncio.sleep(FENCE.total_seconds())
    await one.actor.settle()
    one.actor.tell_outcomes()
    assert one.titles()[-1].startswith("SETTLED: 891 USDT was not added to BTC long")
    assert "Evidence: history: nothing since the fence" in one.told[-1].text


async def test_an_outcome_that_the_journal_did_not_keep_as_told_is_told_once_until_it_works(desk):
    one = desk()
    one.kept = False
    await one.act()
    one.journal.broken = "the disk is full"
    one.actor.tell_outcomes()
    assert len(one.told) == 1
    one.journal.broken, one.kept = None, True
    one.actor.tell_outcomes()
    one.actor.tell_outcomes()
    assert one.titles() == [
        "ADDED 891 USDT to BTC long: 7 % → 16 % — main",
        "SETTLED: 891 USDT was added to BTC long — main",
    ]


@pytest.mark.parametrize(
    ("state", "title"),
    [
        (IntentState.UNKNOWN, "OUTCOME UNKNOWN: 891 USDT for BTC long, 7 % from liquidation — main"),
        (IntentState.REFUSED, "REFUSED: 891 USDT for BTC long, 7 % from liquidation — main"),
    ],
)
async def test_what_a_crash_kept_from_being_told_is_told_by_the_next_process(desk, state, title):
    one = desk(Fate.DIES_BEFORE)
    with pytest.raises(ProcessDied):
        await one.act()
    one.journal.settle(one.intent.intent_id, state, at=one.clock.now(), evidence="as the records say")
    one.told.clear()
    one.actor.tell_outcomes()
    assert one.titles() == [title]
    assert one.told[0].level is Level.DANGER
    assert one.told[0].alert == one.intent.intent_id
    if state is IntentState.REFUSED:
        assert "The exchange refused to add 891 USDT: as the records say" in one.told[0].text
    else:
        assert f"by {one.intent.sent_at + FENCE:%H:%M:%S}" in one.told[0].text


async def test_a_plan_that_a_crash_cut_off_before_the_request_is_told_though_its_position_is_gone(desk):
    one = desk()
    planned = replace(intent(KEY, life_id=f"life {KEY}", at=START), facts_before='{"level": "critical"}')
    one.journal.plan(planned)
    one.journal.end_life("main", KEY, START, "closed")
    await asyncio.sleep(60)
    one.actor.tell_outcomes()
    (message,) = one.told
    assert (message.kind, message.level, message.happened_at) == ("unknown_outcome", Level.CRITICAL, START)
    assert f"by {START + FENCE:%H:%M:%S}" in message.text
    assert "Spent on it" not in message.text


async def test_what_locks_nothing_any_more_is_asked_about_now_and_then(desk):
    one = desk(Fate.LOST_BEFORE)
    await one.act()
    asked = []
    margin_changes = one.venue.margin_changes

    async def noted(key, since):
        asked.append(asyncio.get_running_loop().time())
        return await margin_changes(key, since)

    one.venue.margin_changes = noted
    await one.actor.settle_late()
    assert asked == []  # It locks.
    one.journal.unlock(one.intent.intent_id, one.clock.now())
    await one.actor.settle()
    assert asked == []
    every = SETTLE_LATE_EVERY.total_seconds()
    for second in range(100):
        one.venue.unreadable = second < 2 * every
        await one.actor.settle_late()
        await asyncio.sleep(1)
    assert asked == [every, 2 * every]
    assert one.intent.state is IntentState.NOT_APPLIED


async def test_what_it_would_do_is_said_once_and_again_after_half_an_hour(desk):
    one = desk()
    said = {"rules": [rule(mode=Mode.SHADOW)]}
    await asyncio.sleep(3600)
    began = one.clock.now()
    for _ in range(31):
        await one.act(**said)
        await asyncio.sleep(60)
    assert len(one.told) == 2
    assert one.told[1].happened_at - one.told[0].happened_at == SAY_AGAIN_AFTER
    message = one.told[0]
    assert (message.kind, message.event, message.level) == ("action", "fired", Level.DANGER)
    assert message.title == "WOULD ADD 891 USDT to BTC long: 7 % → 16 % — main"
    assert message.alert == f"would add main {KEY}"
    assert (message.account, message.symbol, message.happened_at) == ("main", KEY.symbol, began)
    assert "distance 7 % is at or below the trigger 8 %" in message.text
    assert "shield" in message.text
    assert "Mode shadow: nothing was sent." in message.text
    assert message.facts["before"]["distance"] == "0.07"
    assert (one.venue.requests, one.asked) == ([], [])


async def test_a_trigger_that_is_breached_anew_is_said_at_once(desk):
    one = desk()
    said = {"rules": [rule(mode=Mode.SHADOW)]}
    await one.act(**said)
    await one.act(isolated("0.2"), **said)
    await one.act(**said)
    await one.act(isolated("0.07", symbol=ETH), **said)
    assert [message.symbol for message in one.told] == [KEY.symbol, KEY.symbol, ETH]


async def test_all_that_is_only_said_is_said_and_in_a_coin_with_its_dollars(desk):
    one = desk()
    said = [rule(mode=Mode.SHADOW, top_up=top_up_terms(trigger=Decimal("0.1"), birth_cap=False))]
    await one.act(NEAR, isolated("0.05", symbol=ETH), rules=said)
    assert [message.symbol for message in one.told] == [ETH, KEY.symbol]
    inverse = isolated(symbol="BTC/USD:BTC", quantity=10_000, isolated_wallet=Decimal("0.08"))
    own = Wallet(currency="BTC", cross_wallet_balance=Decimal(2), cross_unrealized_pnl=Decimal(0), available=Decimal(2))
    await one.act(inverse, rules=said, wallets=(own,))  # 10,100 / 8,400 - 1.08, in steps of 0.01.
    assert "guard would add 0.13 BTC (1,300 USD) of margin" in one.told[-1].text
    assert one.told[-1].facts["currency"] == "BTC"


async def test_what_is_only_said_keeps_nothing_from_being_done(desk):
    one = desk()
    rules = [rule("said", symbol="ETH/*", mode=Mode.SHADOW), rule()]
    both = NEAR, isolated("0.05", symbol=ETH)
    one.seen = (one.decision(*both, rules=rules), one.decision(HELPED, rules=rules))
    await one.act(*both, rules=rules)
    assert [r.key for r in one.venue.requests] == [KEY]
    assert sorted(one.titles()) == [
        "ADDED 891 USDT to BTC long: 7 % → 16 % — main",
        "WOULD ADD 1,089 USDT to ETH long: 5 % → 16 % — main",
    ]


def misses(one):
    return one.journal.open_lives("main")[KEY].misses


async def test_an_act_that_changed_nothing_is_noted_as_a_miss(desk):
    one = desk()
    one.seen = ([NEAR],)
    with capture_logs() as lines:
        await one.act()
    assert misses(one) == 1
    missed = next(line for line in lines if line["event"] == "effect.missed")
    assert missed == {
        "event": "effect.missed",
        "log_level": "error",
        "intent": one.intent.intent_id,
        "reason": "its margin went from 793.0000 to 793.0000 USDT, 891.00 were added",
    }
    assert one.titles()[0].startswith("ADDED 891 USDT")
    one.seen = ([NEAR], [NEAR], [HELPED])
    await asyncio.sleep(120)
    await one.act()
    assert misses(one) == 0


@pytest.mark.parametrize("error", [VenueUnavailable("HTTP 502"), KeysRefused("no such key")])
async def test_an_effect_that_could_not_be_read_back_is_told_and_judged_with_the_next_decision(desk, error):
    one = desk()
    one.venue._on_request = lambda _request: one.reader.failing.update({"read again": error})
    with capture_logs() as lines:
        await one.act()
    assert {
        "event": "effect.not_read",
        "log_level": "warning",
        "intent": one.intent.intent_id,
        "reason": str(error),
    } in lines
    assert one.titles() == ["ADDED 891 USDT to BTC long — main"]
    assert one.intent.facts_after is None
    await one.act(NEAR)
    assert misses(one) == 1
    assert json.loads(one.intent.facts_after)["distance"] == "0.07"
    await one.act(HELPED)
    assert misses(one) == 1  # Judged once.


async def test_the_effect_of_a_lost_answer_is_judged_when_it_is_proven_and_not_when_it_moved_nothing(desk):
    one = desk(Fate.LOST_AFTER, Fate.LOST_BEFORE)
    await one.act()
    await one.act(HELPED)
    assert one.intent.facts_after is None
    await one.actor.settle()
    await one.act(HELPED)
    assert json.loads(one.intent.facts_after)["distance"] == "0.16"
    assert one.actor._unjudged == {}

    both = isolated("0.07", symbol=ETH)
    one.seen = ([both],)
    await one.act(both)
    assert len(one.actor._unjudged) == 1
    await one.actor.settle()
    await asyncio.sleep(FENCE.total_seconds())
    await one.actor.settle()
    await one.act(isolated("0.2", symbol=ETH))
    assert one.actor._unjudged == {}
    assert one.journal.open_lives("main")[ETH_KEY].misses == 0


async def test_a_journal_that_cannot_be_read_keeps_no_top_up_from_being_judged_later(desk, monkeypatch):
    one = desk(Fate.LOST_AFTER)
    await one.act()

    def failing(_intent_id):
        raise JournalError("cannot read the journal")

    monkeypatch.setattr(one.journal, "intent", failing)
    with capture_logs() as lines:
        await one.act(isolated("0.2"))
    assert lines == [
        {
            "event": "journal.failed",
            "log_level": "critical",
            "account": "main",
            "reason": "cannot read the journal",
        }
    ]
