"""Five hundred events at once over the real outbox and real HTTP to a Bot API that takes 20 messages a window."""

import asyncio
import html
import math
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from aiohttp import web
from told_support import BTC, FOUR_O_CLOCK, ScriptedChannel, decision, message, server, virtual_clock

from guard.errors import DeliveryFailed
from guard.journal import Journal
from guard.notify.delivery import flush
from guard.notify.quiet import QuietChannel
from guard.notify.split import units
from guard.notify.telegram import TEXT_UNITS_MAX, TelegramChannel
from guard.policy.terms import Level

TOKEN = "123456:AAH-made-up-token"
NAME = "telegram.me"
PER_WINDOW = 20  # What Telegram lets a bot write into one group in a minute.
WINDOW_S = 2.0  # A minute, shortened.
LEVELS = [Level.CRITICAL] * 30 + [Level.DANGER] * 70 + [Level.WARN] * 300 + [Level.WATCH] * 100


class Group:
    """A group chat: 429 beyond its limit, 400 for what is too long; what it took stands in `texts`."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.requests = 0
        self.refused = 0
        self.too_early = 0  # Requests before a Retry-After was over.
        self.lose: list[int] = []  # Of the texts, by number: taken, and the answer lost.
        self._took_s: list[float] = []
        self._quiet_until_s = 0.0

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        now_s = time.monotonic()
        self.requests += 1
        self.too_early += now_s < self._quiet_until_s
        recent = [at_s for at_s in self._took_s if at_s > now_s - WINDOW_S]
        if len(recent) >= PER_WINDOW:
            self.refused += 1
            wait_s = max(1, math.ceil(recent[-PER_WINDOW] + WINDOW_S - now_s))
            self._quiet_until_s = now_s + wait_s - 0.05
            return _refusal(429, f"Too Many Requests: retry after {wait_s}", {"retry_after": wait_s})
        text = html.unescape((await request.json())["text"].replace("<b>", "").replace("</b>", ""))
        if units(text) > TEXT_UNITS_MAX:
            return _refusal(400, "Bad Request: message is too long", {})
        self._took_s.append(now_s)
        self.texts.append(text)
        if len(self.texts) in self.lose:
            request.transport.abort()
        return web.json_response({"ok": True, "result": {"message_id": len(self.texts)}})


def _refusal(code: int, description: str, parameters: dict) -> web.Response:
    return web.json_response(
        {"ok": False, "error_code": code, "description": description, "parameters": parameters}, status=code
    )


def event(number: int, level: Level, *, padding: str = ""):
    title = f"{level.word.upper()} C{number:03}{padding} long {number / 100:.2f} % from liquidation (54,101) — main"
    facts = {"distance": f"{number / 10_000:.4f}"}
    return message(number, alert=f"alert_{number}", level=level, title=title, facts=facts)


def enqueue(journal, events, *channels: str) -> None:
    """Put all of them into the outbox as one decision of one cycle does."""
    routes = dict.fromkeys(channels or (NAME,), Level.WATCH)
    journal.record_decision("main", decision(read=False), events, routes, FOUR_O_CLOCK)


@pytest.fixture
def journal(tmp_path):
    journal = Journal.open(tmp_path / "journal.db", exclusive=True)
    yield journal
    journal.close()


@asynccontextmanager
async def telegram(group: Group):
    async with server(group) as url:
        channel = QuietChannel(
            TelegramChannel(name=NAME, token=TOKEN, chat_id=-42, from_level=Level.WATCH, api_url=url, timeout_s=5.0)
        )
        try:
            yield channel
        finally:
            await channel.close()


def untold(news):
    raise AssertionError(f"no channel died, but {news}")


def clock():
    began_s = time.monotonic()
    return lambda: FOUR_O_CLOCK + timedelta(seconds=time.monotonic() - began_s)


async def told_all(journal, channel, *, within: float = 40) -> bool:
    return await flush(journal, [channel], now=clock(), within=timedelta(seconds=within), tell=untold)


def ends(journal) -> Counter[str]:
    return Counter(row.kind for row in journal.history(limit=2000) if row.kind.startswith("message"))


@pytest.mark.parametrize("padding", ["", "X" * 60])
async def test_of_500_events_at_once_the_critical_arrive_first_and_all_arrive_within_what_the_group_takes(
    journal, padding
):
    events = [event(number, level, padding=padding) for number, level in enumerate(LEVELS)]
    enqueue(journal, sorted(events, key=lambda one: one.id))  # In no order that helps.
    # Five alone; then each digest is full but for less than one line.
    line = max(units(one.title) for one in events) + 3
    requests = 5 + math.ceil(495 * line / (TEXT_UNITS_MAX - 120 - 90 - 2 - line - 5))
    group = Group()
    began_s = time.monotonic()
    async with telegram(group) as channel:
        assert await told_all(journal, channel)
    took_s = time.monotonic() - began_s
    assert len(group.texts) <= requests
    assert group.too_early == 0
    assert group.refused <= requests // PER_WINDOW
    assert took_s < group.refused * (WINDOW_S + 1) + 8  # Without a digest: 25 windows.
    assert [text.splitlines()[0] for text in group.texts[:5]] == [one.title for one in events[:5]]
    soon = "\n".join(group.texts[:7])
    assert all(one.title in soon for one in events if one.level is Level.CRITICAL)
    everything = "\n".join(group.texts)
    assert [one.title for one in events if everything.count(one.title) != 1] == []
    assert ends(journal) == {"message.delivered": 500}


async def test_a_digest_whose_answer_is_lost_is_told_again_and_nothing_else_is(journal):
    events = [event(number, Level.WARN) for number in range(60)]
    enqueue(journal, events)
    group = Group()
    group.lose = [1]
    async with telegram(group) as channel:
        assert await told_all(journal, channel)
    first, *later = group.texts
    lost = [one for one in events if one.title in first]
    assert len(lost) > 40
    assert [one.title for one in lost if "\n".join(later).count(one.title) != 1] == []
    assert [one.title for one in events if one not in lost and "\n".join(later).count(one.title) != 1] == []
    assert ends(journal) == {"message.delivered": 60}


async def test_after_a_crash_between_confirmation_and_mark_the_digest_is_told_again_whole(tmp_path):
    path = tmp_path / "journal.db"
    journal = Journal.open(path, exclusive=True)
    events = [event(number, Level.WARN) for number in range(30)]
    enqueue(journal, events)
    group = Group()
    async with telegram(group) as channel:
        dying = asyncio.create_task(told_all(_DyingJournal(journal), channel))
        with suppress(_Died):
            await dying
        journal.close()
        journal = Journal.open(path, exclusive=True)
        assert ends(journal) == {}
        assert await told_all(journal, channel)
    first, again = group.texts
    assert again == first
    assert ends(journal) == {"message.delivered": 30}
    journal.close()


class _Died(BaseException):
    """The process is gone."""


class _DyingJournal:
    """Dies when the first digest was confirmed, before it is marked."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def delivered(self, delivery_ids, at, *, told_with=None):
        raise _Died

    def __getattr__(self, name):
        return getattr(self._journal, name)


async def test_events_longer_than_a_message_all_arrive_and_stand_whole_in_the_journal(journal):
    enqueue(journal, [event(number, Level.WARN, padding="🔥" * 6000) for number in range(40)])
    group = Group()
    async with telegram(group) as channel:
        assert await told_all(journal, channel)
    seen = "\n".join(group.texts)
    assert [seen.count(f"C{number:03}🔥") for number in range(40)] == [1] * 40
    assert ends(journal) == {"message.delivered": 40}
    assert any("🔥" * 6000 in row.text for row in journal.history(limit=1))


async def test_history_and_report_say_that_it_went_out_with_others(journal):
    enqueue(journal, [event(number, Level.WARN) for number in range(8)], NAME, "webhook.ops")
    group = Group()
    async with telegram(group) as channel:
        assert await told_all(journal, channel)
    (hook, *_) = journal.due("webhook.ops", FOUR_O_CLOCK, 1)
    journal.delivered([hook.delivery_id], FOUR_O_CLOCK)
    texts = {row.subject: row.text for row in journal.history(limit=50)}
    assert texts[NAME].endswith("— main (one of 8 in one message)")
    assert texts["webhook.ops"].endswith("— main")
    told = journal.told_about("main", BTC, FOUR_O_CLOCK, FOUR_O_CLOCK)
    attempts = [attempt for one in told for attempt in one.attempts]
    assert {one.told_with for one in attempts if one.channel == NAME} == {"msg_0"}
    assert {one.told_with for one in attempts if one.channel != NAME} == {None}


class Picky(ScriptedChannel):
    """Takes digests; whatever holds a certain word it never takes, as a chat with a filter."""

    async def send(self, told, *, attempt):
        if "POISON" in told.title + told.text:
            self.script.insert(0, DeliveryFailed("400 Bad Request"))
        await super().send(told, attempt=attempt)


@pytest.mark.looptime
async def test_one_line_that_is_never_taken_keeps_no_other_back_for_long(journal):
    enqueue(journal, [event(number, Level.WARN, padding="POISON" * (number == 40)) for number in range(100)], "phone")
    phone = Picky("phone", digest_units_max=TEXT_UNITS_MAX)
    now = virtual_clock(asyncio.get_running_loop())
    assert not await flush(journal, [phone], now=now, within=timedelta(minutes=5), tell=untold)
    assert ends(journal) == {"message.delivered": 99}


@pytest.mark.looptime
async def test_a_new_critical_goes_alone_before_the_rest_of_a_storm(journal):
    enqueue(journal, [event(number, Level.WARN) for number in range(300)], "phone")
    phone = ScriptedChannel("phone", digest_units_max=TEXT_UNITS_MAX, takes_s=1)
    now = virtual_clock(asyncio.get_running_loop())
    telling = asyncio.create_task(flush(journal, [phone], now=now, within=timedelta(minutes=5), tell=untold))
    await asyncio.sleep(1.5)
    journal.enqueue(event(999, Level.CRITICAL), ["phone"], now())
    assert await telling
    assert [told.title for told in phone.confirmed[:3]].index(event(999, Level.CRITICAL).title) == 2
