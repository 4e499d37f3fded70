"""One account's actor, in virtual time: what is looked at, sent, kept back and written around a top-up."""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from acting_desk import HELPED, NEAR, NO_COOLDOWN, Desk
from acting_support import START, Clock, journal_with
from journal_support import intent, live
from policy_worlds import ETH, KEY, dollars, isolated, row, rule, top_up_terms
from simulated_venue import FENCE, Fate
from structlog.testing import capture_logs

from guard.daemon.acting import REFUSED_WAIT, REFUSED_WAIT_MAX
from guard.errors import KeysRefused, VenueUnavailable
from guard.journal import IntentState
from guard.policy.rows import position_row
from guard.policy.terms import Level, Mode
from guard.snapshot import PositionKey, Side, Wallet

pytestmark = pytest.mark.looptime

ETH_KEY = PositionKey(ETH, Side.LONG)


@pytest.fixture
def desk(tmp_path):
    journal = journal_with(tmp_path, KEY, ETH_KEY)
    yield lambda *fates: Desk(journal, Clock(), fates=fates)
    journal.close()


async def test_a_top_up_is_looked_at_twice_sent_once_read_back_and_told(desk):
    one = desk()
    await one.act()
    assert [(r.key, r.amount, r.currency, r.hedged) for r in one.venue.requests] == [(KEY, 891, "USDT", False)]
    assert one.asked == [
        f"past before {KEY}",
        "read again",
        f"mark {KEY.symbol}",
        "fit to spend",
        "must read again",
        f"past after {KEY}",
        "read again",
    ]
    before, after = position_row(row(one.decision(NEAR))), position_row(row(one.decision(HELPED)))
    intent = one.intent
    assert (intent.state, intent.account, intent.life_id, intent.rule) == (
        IntentState.APPLIED,
        "main",
        f"life {KEY}",
        "shield",
    )
    facts = json.loads(intent.facts_before)
    assert facts.pop("data_ages_s") == {"positions": 1.234, "mark": 0.0, "wallets": None}
    assert facts["distance"] == before["distance"] == "0.07"
    assert json.loads(intent.facts_after)["distance"] == after["distance"] == "0.16"
    (message,) = one.told
    assert (message.kind, message.event, message.level) == ("action", "fired", Level.DANGER)
    assert (message.alert, message.account, message.symbol) == (intent.intent_id, "main", KEY.symbol)
    assert message.happened_at == intent.sent_at
    assert message.title == "ADDED 891 USDT to BTC long: 7 % → 16 % — main"
    assert message.facts["before"].keys() == before.keys()
    assert message.facts["after"]["distance"] == "0.16"
    assert {name: message.facts[name] for name in ("rule", "reason", "amount", "currency")} == {
        "rule": "shield",
        "reason": "distance 7 % is at or below the trigger 8 %",
        "amount": "891.00",
        "currency": "USDT",
    }
    assert "Spent on it so far: 891 USDT.\nBudget left for it: 4,109 USDT." in message.text
    assert not one.actor.is_writing


async def test_it_is_said_in_the_log_what_was_made(desk):
    one = desk()
    with capture_logs() as lines:
        await one.act()
    assert [line for line in lines if line["event"].startswith("top_up")] == [
        {
            "event": "top_up.made",
            "log_level": "info",
            "intent": one.intent.intent_id,
            "state": "applied",
            "amount": "891.00",
        }
    ]


async def test_while_it_writes_it_says_so_and_not_after_a_failure(desk):
    one = desk()
    seen = []
    one.venue._on_request = lambda request: seen.append(one.actor.is_writing)
    assert not one.actor.is_writing
    await one.act()
    assert (seen, one.actor.is_writing, one.decided) == ([True], False, [False, False])

    def broken(_request):
        raise RuntimeError

    one.venue._on_request = broken
    one.seen = ([isolated("0.07", symbol=ETH)],)
    with pytest.raises(RuntimeError):
        await one.act(isolated("0.07", symbol=ETH))
    assert not one.actor.is_writing


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ([isolated("0.09")], "the trigger is not breached any more"),
        ([isolated("0.07", auto_add_margin=True)], "the exchange's own auto-margin is on for it: switch one of the two off"),
        ([isolated("0.07", symbol=ETH)], "the trigger is not breached any more"),
    ],
    ids=["not breached", "withheld", "not there"],
)  # fmt: skip
async def test_what_the_second_look_does_not_allow_is_not_sent(desk, second, reason):
    one = desk()
    one.seen = (second,)
    with capture_logs() as lines:
        await one.act()
    assert one.venue.requests == []
    assert one.told == []
    assert lines == [
        {"event": "top_up.withheld", "log_level": "info", "account": "main", "position": str(KEY), "reason": reason}
    ]


async def test_a_rule_that_only_says_since_the_first_look_sends_nothing(desk):
    one = desk()
    one.seen = (one.decision(NEAR, rules=[rule(mode=Mode.SHADOW)]),)
    await one.act()
    assert (one.venue.requests, one.told) == ([], [])


@pytest.mark.parametrize("error", [VenueUnavailable("HTTP 502"), KeysRefused("no such key")])
@pytest.mark.parametrize("where", ["read again", f"mark {KEY.symbol}", "fit to spend"])
async def test_a_look_that_fails_postpones_one_top_up_and_leaves_the_others_their_turn(desk, error, where):
    one = desk()
    pair = isolated("0.05"), isolated("0.06", symbol=ETH)
    one.seen = (list(pair), list(pair))
    one.reader.failing = {where: error}
    with capture_logs() as lines:
        await one.act(*pair)
    postponed = {"event": "top_up.postponed", "log_level": "warning", "account": "main", "reason": str(error)}
    sent = [r.key for r in one.venue.requests]
    if where.startswith("mark"):
        assert sent == [ETH_KEY]
    else:
        assert sent == []
        assert {**postponed, "position": str(ETH_KEY)} in lines
    assert {**postponed, "position": str(KEY)} in lines


async def test_a_journal_that_cannot_plan_keeps_the_request_and_is_tended(desk):
    one = desk()
    one.journal.broken = "the disk is full"
    with capture_logs() as lines:
        await one.act()
    assert (one.venue.requests, one.tended) == ([], 1)
    assert {
        "event": "journal.failed",
        "log_level": "critical",
        "account": "main",
        "position": str(KEY),
        "reason": "the disk is full",
    } in lines


async def test_what_is_too_small_to_be_told_apart_from_an_open_one_is_not_sent(desk):
    one = desk(Fate.LOST_BEFORE)
    cent_each = top_up_terms(max_per_action=dollars("0.01"), when_short_spend=True, cooldown=timedelta(0))
    tiny = [rule(top_up=cent_each)]
    one.seen = (one.decision(NEAR, rules=tiny),)
    await one.act(rules=tiny)
    one.journal.unlock(one.intent.intent_id, one.clock.now())
    with capture_logs() as lines:
        await one.act(rules=tiny)
    assert len(one.venue.requests) == 1
    assert lines[-1] == {
        "event": "top_up.withheld",
        "log_level": "info",
        "account": "main",
        "position": str(KEY),
        "reason": "too small to be told apart",
    }


async def test_a_clear_no_is_told_and_the_same_is_asked_again_after_twice_as_long_each_time(desk):
    one = desk(*[Fate.REFUSED] * 9)
    one.seen = (one.decision(NEAR, rules=NO_COOLDOWN),)
    times = []
    for second in range(1000):
        await one.act(rules=NO_COOLDOWN)
        if len(one.venue.requests) > len(times):
            times.append(second)
        await asyncio.sleep(1)
    first = REFUSED_WAIT.total_seconds()
    waits = [min(REFUSED_WAIT_MAX.total_seconds(), first * 2**n) for n in range(len(times) - 1)]
    assert [later - earlier for earlier, later in pairwise(times)] == waits
    assert len(times) == 9  # After 5, 10, 20, 40, 80, 160, 300 and 300 s.
    assert one.titles() == ["REFUSED: 891 USDT for BTC long, 7 % from liquidation — main"] * 9
    assert {message.level for message in one.told} == {Level.DANGER}
    assert "insufficient available balance (code -2019)" in one.told[0].text


async def test_a_no_to_one_position_keeps_no_other_waiting_and_is_forgotten_by_a_yes(desk):
    one = desk(Fate.REFUSED, Fate.DONE, Fate.DONE, Fate.DONE, Fate.REFUSED)
    one.seen = (one.decision(NEAR, isolated("0.06", symbol=ETH), rules=NO_COOLDOWN),)
    both = NEAR, isolated("0.06", symbol=ETH)
    await one.act(*both, rules=NO_COOLDOWN)
    assert [r.key for r in one.venue.requests] == [ETH_KEY, KEY]  # The nearer was refused.
    await one.act(*both, rules=NO_COOLDOWN)
    assert [r.key for r in one.venue.requests][2:] == [KEY]
    await asyncio.sleep(REFUSED_WAIT.total_seconds())
    await one.act(both[1], rules=NO_COOLDOWN)  # A yes.
    await one.act(both[1], rules=NO_COOLDOWN)  # A no, from the beginning.
    await asyncio.sleep(REFUSED_WAIT.total_seconds())
    await one.act(both[1], rules=NO_COOLDOWN)
    assert [r.key for r in one.venue.requests][3:] == [ETH_KEY] * 3


async def test_what_is_added_in_a_coin_is_told_with_its_dollars(desk):
    one = desk()
    inverse = isolated(symbol="BTC/USD:BTC", quantity=10_000, isolated_wallet=Decimal("0.08"))
    own = Wallet(currency="BTC", cross_wallet_balance=Decimal(2), cross_unrealized_pnl=Decimal(0), available=Decimal(2))
    live(one.journal, inverse.key, life_id="inverse", at=START)
    rules = [rule(top_up=top_up_terms(trigger=Decimal("0.1"), birth_cap=False))]
    one.seen = (one.decision(inverse, rules=rules, wallets=(own,)),)
    await one.act(inverse, rules=rules, wallets=(own,))
    assert "guard added 0.13 BTC (1,300 USD) of margin" in one.told[0].text


async def test_what_another_account_has_open_is_its_own_affair(desk):
    one = desk()
    live(one.journal, KEY, account="other", life_id="theirs", at=START)
    one.journal.plan(intent(KEY, account="other", life_id="theirs", amount="891", at=START))
    await one.act()
    assert [request.amount for request in one.venue.requests] == [891]  # And not a cent less, to be told apart.
    await asyncio.sleep(FENCE.total_seconds())
    await one.actor.settle()
    await asyncio.sleep(FENCE.total_seconds())
    await one.actor.settle()
    assert [open_one.account for open_one in one.journal.open_intents()] == ["other"]


@pytest.mark.parametrize(("shown", "is_seen"), [(HELPED, True), (NEAR, False)])
async def test_after_a_restart_an_act_counts_as_landed_only_where_its_position_holds_more(desk, shown, is_seen):
    one = desk(Fate.DONE)
    one.seen = [NEAR], []  # It died before it could look.
    await one.act()
    done = one.intent
    assert done.facts_after is None
    again = Desk(one.journal, one.clock)
    again.actor._judge_effects(again.decision(shown))
    assert (again.intent.facts_after is not None) is is_seen
