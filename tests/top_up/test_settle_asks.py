"""What the exchange is asked when an intent is settled, and how amounts are kept apart so that it can tell."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from acting_support import BTC, ETH, Clock, act, journal_with, plan, settle
from journal_support import intent, live
from simulated_venue import FENCE, Fate, SimulatedVenue

from guard.errors import VenueUnavailable
from guard.journal import DATA_AGES, IntentState
from guard.snapshot import MarginBefore, Outcome, Settlement
from guard.top_up import CLOCK_SLACK, settle_open, told_apart, top_up

pytestmark = pytest.mark.looptime

FACTS = {
    "isolated_wallet": "812.5",
    "quantity": "0.25",
    "entry_price": "65000",
    "mark_price": "60010.5",
    DATA_AGES: {"positions": 1.5},
}


class Asked(SimulatedVenue):
    """Remembers what settling asked, and answers with what it was given while that lasts."""

    def __init__(self, *answers, **keywords):
        super().__init__(**keywords)
        self.asked = []
        self.answers = list(answers)

    async def settle(self, request, *, sent_at, now, known_entries):
        self.asked.append((request, sent_at, now, known_entries))
        if self.answers:
            return self.answers.pop(0)
        return await super().settle(request, sent_at=sent_at, now=now, known_entries=known_entries)


@pytest.fixture
def journal(tmp_path):
    with journal_with(tmp_path, BTC, ETH) as journal:
        yield journal


@pytest.fixture
def clock():
    return Clock()


def venue_with(clock, *fates, answers=()):
    return Asked(*answers, fates=fates, true_now=clock.true_now, our_now=clock.now)


async def lost(journal, venue, clock, facts=FACTS, amount="62.31", *, hedged=False):
    return await top_up(
        plan(amount),
        venue=venue,
        journal=journal,
        account="main",
        life_id=f"life {BTC}",
        hedged=hedged,
        facts_before=json.dumps(facts),
        now=clock.now,
    )


async def test_the_position_as_it_was_read_before_goes_along(journal, clock):
    venue = venue_with(clock, Fate.LOST_BEFORE)
    intent = await lost(journal, venue, clock, hedged=True)
    await asyncio.sleep(3)
    await settle(journal, venue, clock)
    ((request, sent_at, now, known),) = venue.asked
    assert (request.key, request.hedged, request.amount, request.currency) == (BTC, True, Decimal("62.31"), "USDT")
    assert request.before == MarginBefore(
        margin=Decimal("812.5"),
        quantity=Decimal("0.25"),
        entry_price=Decimal(65000),
        mark_price=Decimal("60010.5"),
        read_at=intent.planned_at - timedelta(seconds=1.5),
        added_since=Decimal(0),
    )
    assert (sent_at, now, known) == (intent.sent_at, clock.now(), frozenset())


@pytest.mark.parametrize("missing", [*FACTS, "positions"])
async def test_without_one_of_its_figures_the_position_before_is_not_known(journal, clock, missing):
    venue = venue_with(clock, Fate.LOST_BEFORE)
    facts = {name: value for name, value in FACTS.items() if name != missing}
    await lost(journal, venue, clock, facts if missing in FACTS else FACTS | {DATA_AGES: {}})
    await settle(journal, venue, clock)
    assert venue.asked[0][0].before is None


async def test_what_later_acts_added_is_said_and_one_in_doubt_is_none(journal, clock):
    venue = venue_with(clock, Fate.LOST_BEFORE, Fate.DONE, Fate.LOST_BEFORE)
    first = await lost(journal, venue, clock)
    journal.unlock(first.intent_id, clock.now())
    await asyncio.sleep(1)
    await lost(journal, venue, clock, amount="10")
    await settle_open(journal, venue, "main", clock.now)
    assert venue.asked[-1][0].before.added_since == 10
    await asyncio.sleep(1)
    await lost(journal, venue, clock, amount="11")
    venue.asked.clear()
    await settle_open(journal, venue, "main", clock.now, which=lambda intent: intent.intent_id == first.intent_id)
    assert [asked[0].before.added_since for asked in venue.asked if asked[0].amount == first.amount] == [None]


async def test_an_earlier_act_is_proven_first_where_the_lost_one_could_pass_for_it(journal, clock):
    venue = venue_with(clock, Fate.DONE, Fate.LOST_BEFORE)
    done = await act(journal, venue, clock)
    await asyncio.sleep((FENCE + CLOCK_SLACK).total_seconds())  # The last instant that still counts.
    await act(journal, venue, clock, amount="10")
    await settle(journal, venue, clock)
    assert [asked[0].amount for asked in venue.asked] == [done.amount, 10]
    assert journal.intent(done.intent_id).entry_id == "entry-0"
    assert venue.asked[1][3] == {"entry-0"}  # It proves no other from now on.


async def test_an_act_too_old_to_be_mixed_up_is_not_asked_about_again(journal, clock):
    venue = venue_with(clock, Fate.DONE, Fate.LOST_BEFORE)
    await act(journal, venue, clock)
    await asyncio.sleep((FENCE + CLOCK_SLACK).total_seconds() + 1)
    await act(journal, venue, clock, amount="10")
    await settle(journal, venue, clock)
    assert [asked[0].amount for asked in venue.asked] == [10]


@pytest.mark.parametrize(
    "answer",
    [
        Settlement(outcome=Outcome.APPLIED, evidence="its margin went up"),  # No entry: nothing to remember.
        Settlement(outcome=Outcome.UNKNOWN, evidence="perhaps", entry_id="entry-0"),
    ],
)
async def test_only_an_applied_act_with_an_entry_is_given_one(journal, clock, answer):
    venue = venue_with(clock, Fate.DONE, Fate.LOST_BEFORE, answers=[answer])
    done = await act(journal, venue, clock)
    await asyncio.sleep(1)
    await act(journal, venue, clock, amount="10")
    await settle(journal, venue, clock)
    assert journal.intent(done.intent_id).entry_id is None


async def test_what_is_not_in_the_records_before_its_time_is_over_stays_unknown_and_says_so(journal, clock):
    venue = venue_with(clock, Fate.LOST_BEFORE)
    intent = await act(journal, venue, clock)
    clock.off_by = timedelta(hours=1)  # By the wall clock its fence is over.
    assert await settle(journal, venue, clock) == ()
    now = journal.intent(intent.intent_id)
    assert (now.state, now.evidence) == (IntentState.UNKNOWN, "not in the records yet; its time is not over")


async def test_a_settled_intent_keeps_what_proved_it(journal, clock):
    venue = venue_with(clock, Fate.LOST_AFTER)
    await act(journal, venue, clock)
    await asyncio.sleep(2)
    (settled,) = await settle(journal, venue, clock)
    assert settled.evidence == "history: 62.31 USDT added at 21:00:00"
    assert (settled.settled_at, settled.entry_id) == (clock.now(), "entry-0")


async def test_only_the_wanted_intents_are_asked_about(journal, clock):
    venue = venue_with(clock, Fate.LOST_AFTER, Fate.LOST_AFTER)
    await act(journal, venue, clock)
    await act(journal, venue, clock, key=ETH, amount="10")
    (settled,) = await settle_open(journal, venue, "main", clock.now, which=lambda intent: intent.key == ETH)
    assert settled.key == ETH
    assert [asked[0].key for asked in venue.asked] == [ETH]


async def test_an_intent_names_the_moment_and_keeps_the_plan(journal, clock):
    intent = await act(journal, venue_with(clock), clock)
    assert intent.intent_id.startswith("20251010-210000-")
    assert len(intent.intent_id) == len("20251010-210000-") + 8
    wanted = plan()
    assert (intent.account, intent.life_id, intent.rule, intent.hedged) == ("main", f"life {BTC}", "shield", False)
    assert (intent.amount, intent.currency, intent.dollars) == (wanted.amount, "USDT", wanted.dollars)
    assert (intent.planned_at, intent.reason, intent.facts_before) == (clock.now(), wanted.reason, "{}")
    assert intent.evidence == '{"code": 200, "msg": "Successfully modify position margin."}'


@pytest.mark.parametrize(
    ("fate", "evidence"),
    [
        (Fate.REFUSED, "insufficient available balance (code -2019)"),
        (Fate.LOST_AFTER, "no answer within 8 s"),
    ],
)
async def test_what_the_exchange_said_is_kept_as_evidence(journal, clock, fate, evidence):
    assert (await act(journal, venue_with(clock, fate), clock)).evidence == evidence


async def unsettled(journal, clock, *amounts, key=BTC):
    """Return open intents of these amounts, oldest first, none of which locks."""
    venue = venue_with(clock, *[Fate.LOST_BEFORE] * len(amounts))
    for amount in amounts:
        intent = await act(journal, venue, clock, amount=amount, key=key)
        journal.unlock(intent.intent_id, clock.now())
        await asyncio.sleep(1)
    return journal.open_intents("main")


STEP = Decimal("0.01")


async def test_an_amount_that_an_unsettled_act_has_is_made_smaller_by_single_steps(journal, clock):
    wanted = replace(plan("62.31"), dollars=Decimal("124.62"))
    assert told_apart(wanted, (), STEP) is wanted
    assert told_apart(wanted, await unsettled(journal, clock, "62.30"), STEP) is wanted
    apart = told_apart(wanted, await unsettled(journal, clock, "62.31", "62.29"), STEP)
    assert (apart.amount, apart.dollars) == (Decimal("62.28"), Decimal("124.56"))
    assert replace(apart, amount=wanted.amount, dollars=wanted.dollars) == wanted


async def test_an_unsettled_act_of_another_position_does_not_matter(journal, clock):
    wanted = plan("62.31")
    assert told_apart(wanted, await unsettled(journal, clock, "62.31", key=ETH), STEP) is wanted


async def test_where_nothing_is_left_nothing_is_sent(journal, clock):
    open_now = await unsettled(journal, clock, "0.01", "0.02")
    assert told_apart(plan("0.02"), open_now, STEP) is None
    assert told_apart(plan("0.03"), open_now, STEP).amount == Decimal("0.03")
    assert told_apart(plan("0.02"), open_now[1:], STEP).amount == Decimal("0.01")


async def test_each_intent_waits_out_a_fence_of_its_own(journal, clock):
    venue = venue_with(clock, Fate.LOST_BEFORE, Fate.LOST_BEFORE)
    first = await act(journal, venue, clock)
    await asyncio.sleep(FENCE.total_seconds() - 1)
    second = await act(journal, venue, clock, key=ETH)
    clock.off_by = timedelta(minutes=1)  # By the wall clock both fences are over.
    await asyncio.sleep(1)
    await settle(journal, venue, clock)
    assert journal.intent(first.intent_id).state is IntentState.NOT_APPLIED
    assert journal.intent(second.intent_id).state is IntentState.UNKNOWN


async def test_one_that_cannot_be_asked_about_keeps_no_other_from_being_settled(journal, clock):
    venue = venue_with(clock, Fate.LOST_AFTER, Fate.LOST_AFTER)
    await act(journal, venue, clock)
    await act(journal, venue, clock, key=ETH)

    async def settle_one(request, **terms):
        if request.key == BTC:
            raise VenueUnavailable("HTTP 502")
        return await Asked.settle(venue, request, **terms)

    venue.settle = settle_one
    assert [intent.key for intent in await settle(journal, venue, clock)] == [ETH]
    assert [intent.key for intent in journal.open_intents()] == [BTC]


async def test_what_another_account_left_open_is_not_asked_about(journal, clock):
    live(journal, BTC, account="other", life_id="theirs", at=clock.now())
    journal.plan(intent(BTC, account="other", life_id="theirs", at=clock.now()))
    venue = venue_with(clock)
    await settle(journal, venue, clock)
    assert venue.asked == []


async def test_an_earlier_act_that_the_history_does_not_show_yet_is_asked_about_with_the_time(journal, clock):
    venue = venue_with(clock, Fate.DONE, Fate.LOST_BEFORE)
    await act(journal, venue, clock, amount="10")
    venue.ledger._entries.clear()
    await asyncio.sleep(2)
    await act(journal, venue, clock)
    await settle(journal, venue, clock)
    assert [now for _, _, now, _ in venue.asked] == [clock.now()] * 2
