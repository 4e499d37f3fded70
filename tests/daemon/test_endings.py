"""How a position that is gone ended is asked for until it is known, and told once, over restarts too."""

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from guard.daemon.endings import TRY_FOR_S, Endings
from guard.daemon.spare_time import SpareTime
from guard.errors import VenueUnavailable
from guard.journal import Journal
from guard.policy.decision import AlertKind
from guard.policy.memory import Life
from guard.policy.terms import Level
from guard.snapshot import EndKind, PositionEnding, PositionKey, Side

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = PositionKey("BTC/USDT:USDT", Side.LONG)
SHORT = PositionKey("BTC/USDT:USDT", Side.SHORT)
LIQUIDATED = PositionEnding(kind=EndKind.LIQUIDATED, evidence="1 fill of a liquidation", at=NOON)
CLOSED = PositionEnding(kind=EndKind.CLOSED, evidence="2 fills", at=NOON)
NOT_YET = PositionEnding(kind=EndKind.UNKNOWN, evidence="no fill since")


class Fills:
    """An exchange that is asked how a position ended, and nothing else."""

    account = "main"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def ending(self, key, since):
        self.asked.append((key, since))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def seen(*keys, told_gone=(), hedged=True):
    alerts = [SimpleNamespace(kind=AlertKind.VANISHED, key=key) for key in told_gone]
    snapshot = SimpleNamespace(positions_read_at=NOON - timedelta(seconds=10))
    return SimpleNamespace(
        positions=[
            SimpleNamespace(key=key, figures=SimpleNamespace(position=SimpleNamespace(hedged=hedged))) for key in keys
        ],
        alerts=alerts,
        assessment=SimpleNamespace(snapshot=snapshot),
    )


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.db", exclusive=True) as one:
        yield one


class Unhurried(Endings):
    """Asks in cycles that have time for all of it."""

    async def tell(self, ended, decision, until_s=math.inf):
        await super().tell(ended, decision, until_s)


def endings_of(venue, journal, told, spare_time=None):
    teller = SimpleNamespace(tell=told.append, journal=journal)
    return Unhurried(venue, teller, spare_time or SpareTime(), lambda: NOON)


async def test_it_is_asked_again_until_the_fills_are_there_and_told_once(journal):
    told, venue = [], Fills(VenueUnavailable("HTTP 502"), NOT_YET, LIQUIDATED)
    endings = endings_of(venue, journal, told)
    await endings.tell([], seen(LONG))
    await endings.tell([LONG], seen(told_gone=[LONG]))
    await endings.tell([], seen())
    assert told == []
    await endings.tell([], seen())
    await endings.tell([], seen())
    (message,) = told
    assert (message.title, message.level) == ("LIQUIDATED BTC long — main", Level.CRITICAL)
    assert [since for _, since in venue.asked] == [NOON - timedelta(seconds=70)] * 3
    (event,) = [row for row in journal.history("main") if row.kind == "position.how_it_ended"]
    assert event.text == "liquidated: 1 fill of a liquidation"


@pytest.mark.parametrize(("told_gone", "messages"), [([], 1), ([LONG], 0)])
async def test_what_nobody_knows_is_told_after_five_minutes_unless_gone_was(journal, monkeypatch, told_gone, messages):
    told = []
    endings = endings_of(Fills(NOT_YET), journal, told)
    await endings.tell([LONG], seen(told_gone=told_gone))
    monkeypatch.setattr("guard.daemon.endings.TRY_FOR_S", TRY_FOR_S)
    endings._gone = {key: replace(one, until_s=0.0) for key, one in endings._gone.items()}
    await endings.tell([], seen())
    await endings.tell([], seen())
    assert len(told) == messages
    assert all("how it ended is not known" in message.title and message.level is Level.WARN for message in told)
    assert [row.text for row in journal.history("main") if row.kind == "position.how_it_ended"] == [
        "unknown: no fill since"
    ]


async def test_what_is_open_again_is_not_told_to_be_gone_for_want_of_fills(journal):
    told = []
    endings = endings_of(Fills(NOT_YET), journal, told)
    await endings.tell([LONG], seen())
    endings._gone = {LONG: replace(endings._gone[LONG], until_s=0.0)}
    await endings.tell([], seen(LONG))
    assert told == []
    assert [row.kind for row in journal.history("main")] == ["position.how_it_ended"]


async def test_a_lost_hedge_leg_is_said_with_the_leg_that_stands_alone(journal):
    told = []
    await endings_of(Fills(LIQUIDATED), journal, told).tell([LONG], seen(SHORT))
    assert told[0].title == "LIQUIDATED BTC long, BTC short stands alone — main"
    assert "It hedged BTC/USDT:USDT short, which is open and unhedged now." in told[0].text
    await endings_of(Fills(CLOSED), journal, told).tell([LONG], seen(SHORT))
    assert (told[-1].title, told[-1].level) == ("CLOSED BTC long, BTC short stands alone — main", Level.WARN)


@pytest.mark.parametrize("answer", [NOT_YET, VenueUnavailable("HTTP 502")])
async def test_a_lost_hedge_leg_is_told_at_once_when_the_fills_are_late_or_unreadable(journal, answer):
    told = []
    endings = endings_of(Fills(answer), journal, told)
    await endings.tell([], seen(LONG, SHORT))
    await endings.tell([LONG], seen(SHORT))
    await endings.tell([], seen(SHORT))
    (message,) = told
    assert (message.title, message.level) == ("GONE BTC long, BTC short stands alone — main", Level.WARN)
    assert message.event == "fired"
    assert "How it ended is not known yet" in message.text
    assert "which is open and unhedged now" in message.text
    endings._gone = {LONG: replace(endings._gone[LONG], until_s=0.0)}
    await endings.tell([], seen(SHORT))
    assert told == [message], "that nobody knows how it ended is no news once it is told to be gone"


async def test_a_leg_whose_own_alert_named_the_other_one_is_not_told_to_be_gone_twice(journal):
    told = []
    endings = endings_of(Fills(NOT_YET), journal, told)
    await endings.tell([], seen(LONG, SHORT))
    await endings.tell([LONG], seen(SHORT, told_gone=[LONG]))
    assert told == []


async def test_legs_of_which_the_exchange_does_not_say_that_they_hedge_do_where_both_were_listed(journal):
    told = []
    endings = endings_of(Fills(NOT_YET), journal, told)
    await endings.tell([], seen(LONG, SHORT, hedged=False))
    await endings.tell([LONG], seen(SHORT, told_gone=[LONG], hedged=False))
    assert [message.title for message in told] == ["GONE BTC long, BTC short stands alone — main"]


@pytest.mark.parametrize("hedged", [True, False])
@pytest.mark.parametrize("answer", [NOT_YET, CLOSED, LIQUIDATED])
async def test_a_position_that_was_turned_round_left_no_leg_alone(journal, answer, hedged):
    told = []
    endings = endings_of(Fills(answer), journal, told)
    await endings.tell([], seen(LONG, hedged=hedged))
    await endings.tell([], seen(SHORT, hedged=hedged))
    await endings.tell([LONG], seen(SHORT, hedged=hedged))
    assert not [message for message in told if "alone" in message.title or "hedged" in message.text]


async def test_an_end_that_a_killed_process_did_not_explain_is_explained_by_the_next(journal):
    life = Life(
        life_id="l1", key=LONG, first_seen_at=NOON - timedelta(hours=2), birth_distance=None, initial_margin=None,
        spent=0, last_top_up_at=None, has_open_intent=False,
    )  # fmt: skip
    with journal._write(NOON) as connection:
        connection.execute(
            "INSERT INTO lives (life_id, account, symbol, side, budget_id, first_seen_at) "
            "VALUES ('l1', 'main', 'BTC/USDT:USDT', 'long', 'l1', ?)",
            (life.first_seen_at.isoformat(),),
        )
    journal.end_life("main", LONG, at=NOON, reason="not listed twice")
    told = []
    await endings_of(Fills(LIQUIDATED), journal, told).tell([], seen())
    await endings_of(Fills(LIQUIDATED), journal, told).tell([], seen())
    assert [message.title for message in told] == ["LIQUIDATED BTC long — main"]


async def test_the_end_of_one_that_was_opened_again_is_told_as_that_of_the_one_before(journal):
    told, venue = [], Fills(NOT_YET, PositionEnding(kind=EndKind.CLOSED, evidence="2 fills", at=NOON))
    endings = endings_of(venue, journal, told)
    await endings.tell([LONG], seen())
    await endings.tell([], seen(LONG))
    assert [message.title for message in told] == ["CLOSED BTC long, another is open — main"]
    assert "what is open there now was opened since" in told[0].text


class Hanging(Fills):
    """One of whose fills are not answered."""

    def __init__(self, key):
        super().__init__(LIQUIDATED)
        self.deaf = key

    async def ending(self, key, since):
        if key == self.deaf:
            self.asked.append((key, since))
            await asyncio.sleep(3600)
        return await super().ending(key, since)


async def test_all_ends_of_a_cycle_share_its_time_and_the_next_cycle_begins_with_those_not_asked_for(journal):
    told, venue = [], Hanging(LONG)
    endings = endings_of(venue, journal, told)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await endings.tell([LONG, SHORT], seen(), began_s + 0.2)
    assert (loop.time() - began_s < 2, [key for key, _ in venue.asked], told) == (True, [LONG], [])
    await endings.tell([], seen(), loop.time() + 0.2)
    assert [key for key, _ in venue.asked] == [LONG, SHORT, LONG]
    assert [message.title for message in told] == ["LIQUIDATED BTC short — main"]


async def test_a_rescue_that_becomes_due_cuts_the_question_off_and_leaves_no_time_for_others(journal):
    told, venue, spare_time = [], Hanging(LONG), SpareTime()
    endings = endings_of(venue, journal, told, spare_time)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    loop.call_later(0.1, spare_time.end)
    await endings.tell([LONG, SHORT], seen(), began_s + 60)
    assert loop.time() - began_s < 5
    await endings.tell([], seen(), loop.time() + 60)
    assert [key for key, _ in venue.asked] == [LONG]
    spare_time.begin()
    await endings.tell([], seen(), loop.time() + 0.2)
    assert [message.title for message in told] == ["LIQUIDATED BTC short — main"]


async def test_what_there_was_never_time_to_ask_is_told_after_five_minutes_all_the_same(journal):
    told, spare_time = [], SpareTime()
    endings = endings_of(Fills(LIQUIDATED), journal, told, spare_time)
    spare_time.end()
    await endings.tell([LONG], seen())
    assert told == []
    endings._gone = {LONG: replace(endings._gone[LONG], until_s=0.0)}
    await endings.tell([], seen())
    assert ["how it ended is not known" in message.title for message in told] == [True]
    (event,) = journal.history("main")
    assert event.text == "unknown: nothing: there was no time to ask, others were to be saved"
