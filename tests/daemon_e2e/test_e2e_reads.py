"""What cannot be read is a state with an alert of its own: never a big distance, never flat, never for ever."""

import asyncio
import time
from decimal import Decimal

import pytest
from daemon_kit import (
    BREACHED,
    NEEDED,
    POSITIONS,
    SHIELD,
    Played,
    account,
    call,
    cycles,
    daemon,
    hold,
    name_of,
    rate_limit,
    until,
    watching,
    world,
)

from guard.demo.exchange import Fault, FaultKind
from guard.journal import Journal
from guard.snapshot import PositionKey, Side

BTC = PositionKey("BTC/USDT:USDT", Side.LONG)
SHORT_AGES = 'data_age = { stale = "2s", blind = "4s" }'


def _lives(here):
    with Journal.open_to_read(here.journal_path) as journal:
        return journal.open_lives("main")


async def an_exchange_that_answers_html_is_stale_then_blind_and_its_end_is_told_once(folder):
    async with world(folder, data_age=SHORT_AGES) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.faults.add(
            Fault(kind=FaultKind.ANSWER, body="<html>maintenance</html>", status=200, content_type="text/html")
        )
        await until("it is blind", lambda: here.told("blind", "escalated"), of=guarded)
        assert [one["event"] for one in here.told("stale")] == ["fired"]
        (row,) = guarded.service.status()["accounts"]
        assert row["state"] == "blind"
        assert row["level"] == "unknown"
        assert float(row["data_age_s"]) > 4
        here.exchange.faults.clear()
        await until("it is over", lambda: here.told("blind", "resolved"), of=guarded)
        await cycles(guarded, 2)
        assert len(here.told("blind", "resolved")) == 1
        assert here.told("stale", "resolved") == []
        assert guarded.service.status()["accounts"][0]["state"] == "fresh"


async def an_exchange_that_is_down_at_the_start_is_blind_in_its_time_and_watched_when_it_is_back(folder):
    async with world(folder, data_age=SHORT_AGES) as here:
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE))
        async with daemon(here) as guarded:
            await until("it says that it is blind", lambda: here.told("blind", "fired"), of=guarded)
            here.exchange.set_mark("BTCUSDT", BREACHED)
            here.exchange.faults.clear()
            await until("the position is saved", lambda: here.moved() == [NEEDED], of=guarded)


async def within_retry_after_not_one_request_leaves(folder):
    async with world(folder) as here, daemon(here) as guarded:
        await watching(guarded)
        fault = rate_limit(4, path="/positionRisk")
        here.exchange.faults.add(fault)
        await until("the ban", lambda: here.exchange.faults.states()[0].struck, of=guarded)
        asked = sum(here.exchange.requests.values())
        await asyncio.sleep(2.5)
        assert sum(here.exchange.requests.values()) == asked
        await until("it reads again", lambda: sum(here.exchange.requests.values()) > asked, of=guarded)


async def a_restart_within_retry_after_asks_nothing_before_it_is_over(folder):
    async with world(folder) as here:
        async with daemon(here) as guarded:
            await watching(guarded)
            here.exchange.faults.add(rate_limit(8, path="/positionRisk"))
            await until("the ban", lambda: here.exchange.faults.states()[0].struck, of=guarded)
            await cycles(guarded, 1)
            banned_s = time.monotonic()
        asked = sum(here.exchange.requests.values())
        async with daemon(here) as guarded:
            await until("it asks again", lambda: sum(here.exchange.requests.values()) > asked, of=guarded)
            assert time.monotonic() - banned_s > 6, "the exchange asked for quiet, and a restart forgot it"
            await watching(guarded)
            status, said = await call(here, "history")
            assert status == 0
            assert said.count("quiet.asked") == 1


async def a_look_of_a_second_process_within_retry_after_asks_nothing(folder):
    async with world(folder) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.faults.add(rate_limit(60, path="/positionRisk"))
        await until("the ban", lambda: here.exchange.faults.states()[0].struck, of=guarded)
        await cycles(guarded, 1)
        asked = sum(here.exchange.requests.values())
        status, said = await call(here, "status")
        assert status == 69, said
        assert "asked for quiet" in " ".join(said.split())
        assert sum(here.exchange.requests.values()) == asked


async def a_long_retry_after_is_told_as_blindness_long_before_it_is_over(folder):
    async with world(folder, data_age=SHORT_AGES) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.faults.add(rate_limit(60, path="/positionRisk"))
        await until("it is blind", lambda: "blind" in {one["kind"] for one in here.messages}, of=guarded, within_s=12)


async def a_blind_account_whose_live_mark_falls_to_critical_tells_the_danger_and_spends_nothing(folder):
    async with world(folder, data_age=SHORT_AGES) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.faults.add(Fault(kind=FaultKind.ANSWER, status=502, body="", path="/positionRisk"))
        here.exchange.faults.add(Fault(kind=FaultKind.ANSWER, status=502, body="", path="/account"))
        await until("it is blind", lambda: here.told("blind"), of=guarded)
        here.exchange.set_mark("BTCUSDT", Decimal(50_000))  # 3.6 % away: below critical's 4 %.
        await until("the danger is told", lambda: _critical(here), of=guarded)
        (told, *_) = _critical(here)
        assert told["title"].startswith("NOW CRITICAL BTC long 3.6 %")
        assert "by a live mark and positions that were read" in told["text"]
        here.exchange.set_mark("BTCUSDT", Decimal(60_000))
        await cycles(guarded, 2)
        assert here.told("alert", "resolved") == []
        assert here.posts() == 0


def _critical(here):
    return [one for one in here.told("alert") if one["level"] == "critical" and one["event"] != "resolved"]


async def an_empty_list_is_suspect_and_a_closed_position_is_believed_after_three_reads(folder):
    async with world(folder) as here, daemon(here) as guarded:
        await watching(guarded)
        (life,) = _lives(here).values()
        here.exchange.faults.add(Fault(kind=FaultKind.EMPTY_LIST, path="/positionRisk"))
        await until("it is told", lambda: [one for one in here.told("alert") if one["level"] == "unknown"], of=guarded)
        assert _lives(here)[BTC].life_id == life.life_id
        assert guarded.service.status()["accounts"][0]["level"] == "unknown"
        assert here.told("vanished") == []
        here.exchange.faults.clear()
        await cycles(guarded, 1)
        assert _lives(here)[BTC].life_id == life.life_id
        here.exchange.set_mark("BTCUSDT", Decimal(55_000))  # 12.4 % away: its end is worth a message.
        await until("it is at warn", lambda: [m for m in here.told("alert") if m["level"] == "warn"], of=guarded)
        one = here.account()
        here.exchange.close_position(one, "BTCUSDT", Side.LONG)
        await until("the first read without it", lambda: guarded.service.watches["main"].reader.is_suspect, of=guarded)
        before = here.exchange.requests[POSITIONS]
        await until("its end is told", lambda: here.told("vanished"), of=guarded)
        assert here.exchange.requests[POSITIONS] - before >= 2
        assert _lives(here) == {}


def _two_longs(exchange):
    one = account(exchange)
    hold(exchange, one, "ETHUSDT", Decimal(2), leverage=5, isolated=True)
    hold(exchange, one, "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)


async def beside_a_row_that_cannot_be_read_the_others_are_watched_and_saved(folder):
    async with world(folder, build=_two_longs) as here, daemon(here) as guarded:
        await watching(guarded)
        fault = Fault(kind=FaultKind.BROKEN_ROW, path="/positionRisk", name="markPrice", value="NaN")
        here.exchange.faults.add(fault)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("the good one is saved", lambda: here.moved() == [NEEDED], of=guarded)
        await until(
            "the bad one is told",
            lambda: ("ETH/USDT:USDT", "unknown") in [(one["symbol"], one["level"]) for one in here.told("alert")],
            of=guarded,
        )
        gaps = {gap["subject"]: gap["reason"] for gap in guarded.service.status()["accounts"][0]["gaps"]}
        assert "markPrice" in gaps["ETH/USDT:USDT long"]
        assert set(_lives(here)) == {BTC, PositionKey("ETH/USDT:USDT", Side.LONG)}


async def a_wallet_that_the_exchange_states_twice_and_differently_gets_no_more_money(folder):
    """After the first top-up the list of positions still shows the old margin; the account shows the new one."""
    rules = SHIELD.replace("[rules.top_up]", '[rules.top_up]\ncooldown = "0s"')
    async with world(folder, rules=rules) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.faults.add(Fault(kind=FaultKind.FROZEN, path="/positionRisk"))
        await cycles(guarded, 1)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it says why it stops", lambda: here.told("refused"), of=guarded)
        assert "of isolated margin, account says 7211.53" in here.told("refused")[0]["text"]
        await cycles(guarded, 1)
        assert here.moved() == [NEEDED]
        assert here.books_agree()


async def positions_that_stand_still_hide_no_fall_and_draw_no_money_without_effect(folder):
    """Positions and account come from a cache that stopped; mark prices, asked and streamed, go on."""
    rules = SHIELD.replace("[rules.top_up]", '[rules.top_up]\ncooldown = "0s"')
    async with world(folder, rules=rules) as here, daemon(here) as guarded:
        await watching(guarded)
        for path in ("/positionRisk", "/account"):
            here.exchange.faults.add(Fault(kind=FaultKind.FROZEN, path=path))
        await cycles(guarded, 1)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("danger is told", lambda: [m for m in here.messages if m["level"] == "danger"], of=guarded)
        await until("it says why it stops", lambda: here.told("refused"), of=guarded)
        assert "did not have their effect" in here.told("refused")[0]["text"]
        await cycles(guarded, 1)
        assert here.moved() == [NEEDED, NEEDED]
        assert here.books_agree()


STORIES = [
    an_exchange_that_answers_html_is_stale_then_blind_and_its_end_is_told_once,
    an_exchange_that_is_down_at_the_start_is_blind_in_its_time_and_watched_when_it_is_back,
    within_retry_after_not_one_request_leaves,
    a_restart_within_retry_after_asks_nothing_before_it_is_over,
    a_look_of_a_second_process_within_retry_after_asks_nothing,
    a_long_retry_after_is_told_as_blindness_long_before_it_is_over,
    a_blind_account_whose_live_mark_falls_to_critical_tells_the_danger_and_spends_nothing,
    an_empty_list_is_suspect_and_a_closed_position_is_believed_after_three_reads,
    beside_a_row_that_cannot_be_read_the_others_are_watched_and_saved,
    a_wallet_that_the_exchange_states_twice_and_differently_gets_no_more_money,
    positions_that_stand_still_hide_no_fall_and_draw_no_money_without_effect,
]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return Played(STORIES, tmp_path_factory.mktemp("reads"))


@pytest.mark.parametrize("story", STORIES, ids=name_of)
def test_what_cannot_be_read_is_never_taken_for_safety(played, story):
    assert played(story)
