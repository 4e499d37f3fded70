"""Delivery in virtual time: what waits, what goes first, and that nothing is lost."""

import asyncio
import itertools
import random
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from told_support import FOUR_O_CLOCK, MemoryOutbox, ScriptedChannel, message, virtual_clock

from guard.errors import DeliveryFailed, JournalError
from guard.notify.delivery import ChannelNews, RetrySchedule, deliver, flush
from guard.notify.digest import marked_if_delayed
from guard.notify.quiet import QuietChannel
from guard.policy.terms import Level

pytestmark = pytest.mark.looptime


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


class Post:
    """The delivery under test, with its outbox and the news it told."""

    def __init__(self, *channels: ScriptedChannel) -> None:
        self.outbox = MemoryOutbox()
        self.channels = channels
        self.now = virtual_clock(asyncio.get_running_loop())
        self.wake = asyncio.Event()
        self.stop = asyncio.Event()
        self.news: list[ChannelNews] = []
        for channel in channels:
            channel.clock = self.now

    def add(self, told, *channels: str) -> None:
        self.outbox.add(told, channels or tuple(channel.name for channel in self.channels), self.now())
        self.wake.set()

    def tell(self, news: ChannelNews) -> None:
        self.news.append(news)
        self.outbox.add(message(900 + len(self.news), title=news.reason), news.others, self.now())

    @asynccontextmanager
    async def running(self):
        options = {"now": self.now, "wake": self.wake, "stop": self.stop, "tell": self.tell}
        task = asyncio.create_task(deliver(self.outbox, self.channels, **options))
        try:
            yield self
        finally:
            self.stop.set()
            await task

    async def flush(self, within: float = 10) -> bool:
        return await flush(self.outbox, self.channels, now=self.now, within=seconds(within), tell=self.tell)


def lost() -> DeliveryFailed:
    return DeliveryFailed("no connection")


def tried_at(channel: ScriptedChannel) -> list[float]:
    return [round((at - FOUR_O_CLOCK).total_seconds()) for at, _ in channel.tried]


async def test_a_new_row_is_sent_at_once():
    phone = ScriptedChannel("phone")
    async with Post(phone).running() as post:
        await asyncio.sleep(1)
        post.add(message())
        await asyncio.sleep(0.01)
        assert [told.id for told in phone.confirmed] == ["msg_1"]


async def test_a_message_that_fails_is_tried_again_at_growing_waits():
    phone = ScriptedChannel("phone", [lost() for _ in range(9)])
    async with Post(phone).running() as post:
        post.add(message(level=Level.WATCH))
        await asyncio.sleep(7200)
    assert tried_at(phone) == [0, 5, 20, 50, 110, 230, 530, 1130, 2030, 2930]
    assert {told.id for _, told in phone.tried} == {"msg_1"}
    assert post.outbox.states() == ["delivered"]


@pytest.mark.parametrize("level", [Level.WARN, Level.CRITICAL])
async def test_a_message_of_warn_or_worse_never_waits_longer_than_a_minute(level):
    phone = ScriptedChannel("phone", [lost() for _ in range(30)])
    async with Post(phone).running() as post:
        post.add(message(level=level))
        await asyncio.sleep(3600)
    times = tried_at(phone)
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) == 60
    assert post.outbox.states() == ["delivered"]


async def test_a_pause_that_the_far_side_asks_for_holds_the_whole_channel():
    phone = ScriptedChannel("phone", [DeliveryFailed("429", retry_after=seconds(95))])
    async with Post(phone).running() as post:
        post.add(message(1))
        await asyncio.sleep(3)
        post.add(message(2, level=Level.CRITICAL))
        await asyncio.sleep(200)
    assert tried_at(phone) == [0, 95, 95]
    assert [told.id for told in phone.confirmed] == ["msg_2", "msg_1"]


async def test_a_pause_that_was_asked_of_another_sender_is_no_attempt_of_those_that_wait():
    """Three looks while it runs are three attempts else, and the channel works for a minute before it is asked again."""
    phone = ScriptedChannel("phone", [DeliveryFailed("429", retry_after=seconds(95))])
    quiet = QuietChannel(phone)
    async with Post(quiet).running() as post:
        phone.clock = post.now
        with pytest.raises(DeliveryFailed):
            await quiet.send(message(1), attempt=1)
        for number in (2, 3, 4):
            await asyncio.sleep(20)
            post.add(message(number))
        await asyncio.sleep(36)
    assert tried_at(phone) == [0, 95, 95, 95]
    assert {row.attempts for row in post.outbox.rows.values()} == {0}  # As many as before the one that was confirmed.


async def test_a_dead_or_slow_channel_delays_no_other():
    dead = ScriptedChannel("dead", [lost() for _ in range(1000)])
    slow = ScriptedChannel("slow", takes_s=600)
    phone = ScriptedChannel("phone")
    async with Post(dead, slow, phone).running() as post:
        for number in range(20):
            post.add(message(number))
        await asyncio.sleep(0.01)
        assert len(phone.confirmed) == 20


async def test_the_worst_news_goes_first_even_if_it_came_last():
    phone = ScriptedChannel("phone", takes_s=1)
    async with Post(phone).running() as post:
        for number, level in enumerate((Level.WATCH, Level.WARN, Level.WATCH, Level.DANGER)):
            post.add(message(number, level=level))
        await asyncio.sleep(1.5)
        post.add(message(9, level=Level.CRITICAL))
        await asyncio.sleep(20)
    assert [told.id for told in phone.confirmed] == ["msg_3", "msg_1", "msg_9", "msg_0", "msg_2"]


async def test_a_dead_channel_is_told_on_the_others_once_and_its_return_too():
    gone = DeliveryFailed("phone: the bot was blocked", permanent=True)
    phone = ScriptedChannel("phone", [gone, gone, None, gone])
    ops = ScriptedChannel("ops")
    async with Post(phone, ops).running() as post:
        for number in range(4):
            post.add(message(number))
            await asyncio.sleep(1)
    died, revived, died_again = post.news
    assert (died_again.alive, died_again.undelivered.id) == (False, "msg_3")
    assert (died.channel, died.alive, died.others, died.reason) == (
        "phone",
        False,
        ("ops",),
        "phone: the bot was blocked",
    )
    assert died.undelivered.id == "msg_0"
    assert (revived.alive, revived.others) == (True, ("ops",))
    assert [told.id for told in ops.confirmed] == ["msg_0", "msg_901", "msg_1", "msg_2", "msg_902", "msg_3", "msg_903"]
    assert [told.id for told in phone.confirmed] == ["msg_2"]
    assert post.outbox.states().count("given up") == 3


async def test_a_message_that_nobody_else_would_tell_waits_for_the_repair():
    gone = DeliveryFailed("token revoked", permanent=True)
    phone = ScriptedChannel("phone", [gone, gone, gone])
    ops = ScriptedChannel("ops", from_level=Level.CRITICAL)
    async with Post(phone, ops).running() as post:
        post.add(message(level=Level.DANGER), "phone")
        await asyncio.sleep(3600)
    assert [told.id for told in phone.confirmed] == ["msg_1"]


async def test_a_line_in_the_log_is_no_reason_to_give_up_the_phone():
    blocked = DeliveryFailed("the bot was blocked", permanent=True)
    phone = ScriptedChannel("phone", [blocked] * 3)
    console = ScriptedChannel("console", reaches_people=False)
    async with Post(phone, console).running() as post:
        post.add(message(level=Level.DANGER))
        await asyncio.sleep(3600)
    assert [told.id for told in phone.confirmed] == ["msg_1"]
    assert post.news[0].others == ("console",)


async def test_the_last_channel_that_dies_keeps_its_messages():
    gone = DeliveryFailed("gone", permanent=True)
    phone = ScriptedChannel("phone", [gone] * 5)
    ops = ScriptedChannel("ops", [gone] * 5)
    async with Post(phone, ops).running() as post:
        post.add(message())
        await asyncio.sleep(7200)
    assert {told.id for channel in (phone, ops) for told in channel.confirmed} >= {"msg_1"}


async def test_rows_of_a_channel_that_left_the_config_do_not_hide_the_others():
    phone = ScriptedChannel("phone", [lost(), lost()])
    async with Post(phone).running() as post:
        post.add(message(1), "old")
        post.add(message(2))
        await asyncio.sleep(120)
    assert [told.id for told in phone.confirmed] == ["msg_2"]
    assert len(phone.tried) == 3


async def test_a_late_message_says_when_its_event_was_and_keeps_its_id():
    late = marked_if_delayed(message(), now=FOUR_O_CLOCK + timedelta(minutes=71))
    assert late.id == "msg_1"
    assert late.title == "Delayed, 04:12 UTC: DANGER BTC long 7.8 % from liquidation (54,101) — main"
    assert late.text.splitlines()[0] == "Delayed: this happened at 2026-11-24 04:12:07 UTC. Look before you act."
    assert late.text.endswith(message().text)
    assert marked_if_delayed(message(), now=FOUR_O_CLOCK + timedelta(minutes=2)) == message()
    assert marked_if_delayed(message(), now=FOUR_O_CLOCK + timedelta(days=2)).title.startswith(
        "Delayed, 24 Nov 04:12 UTC"
    )


async def test_a_bug_over_one_message_does_not_silence_the_channel():
    phone = ScriptedChannel("phone", [ValueError("https://bot-token")])
    async with Post(phone).running() as post:
        post.add(message(1))
        post.add(message(2))
        await asyncio.sleep(60)
    assert [told.id for told in phone.confirmed] == ["msg_2", "msg_1"]


class ForgetfulOutbox(MemoryOutbox):
    """Cannot write for a while, as on a full disk."""

    full = True

    def delivered(self, delivery_ids, at, *, told_with=None):
        if self.full:
            raise JournalError("disk full")
        super().delivered(delivery_ids, at, told_with=told_with)


async def test_a_confirmed_message_is_not_sent_again_while_the_journal_cannot_mark_it():
    phone = ScriptedChannel("phone")
    post = Post(phone)
    post.outbox = ForgetfulOutbox()
    async with post.running():
        post.add(message())
        await asyncio.sleep(60)
        post.outbox.full = False
        await asyncio.sleep(10)
    assert len(phone.tried) == 1
    assert post.outbox.states() == ["delivered"]


class BrokenOutbox(MemoryOutbox):
    def due(self, channel, now, limit):
        raise RuntimeError("our own bug")


async def test_a_bug_in_the_outbox_reaches_the_daemon():
    post = Post(ScriptedChannel("phone"))
    options = {"now": post.now, "wake": post.wake, "stop": post.stop, "tell": post.tell}
    with pytest.raises(RuntimeError, match="our own bug"):
        await deliver(BrokenOutbox(), post.channels, **options)


async def test_a_stop_waits_for_a_request_in_flight_but_not_for_ever():
    quick = ScriptedChannel("quick", takes_s=1)
    hung = ScriptedChannel("hung", takes_s=1000)
    post = Post(quick, hung)
    began = asyncio.get_running_loop().time()
    async with post.running():
        post.add(message())
        await asyncio.sleep(0.5)
    assert asyncio.get_running_loop().time() - began < 3
    assert post.outbox.states() == ["delivered", "waiting"]


async def test_flush_delivers_what_waits_and_retries_within_its_time():
    phone = ScriptedChannel("phone", [lost()])
    post = Post(phone)
    post.add(message())
    assert await post.flush(within=10)
    assert tried_at(phone) == [0, 5]


@pytest.mark.parametrize(
    "script", [[lost() for _ in range(9)], [DeliveryFailed("429", retry_after=timedelta(minutes=1))]]
)
async def test_flush_ends_in_time_and_says_that_something_waits(script):
    phone = ScriptedChannel("phone", script)
    post = Post(phone, ScriptedChannel("slow", takes_s=600))
    post.add(message())
    began = asyncio.get_running_loop().time()
    assert not await post.flush(within=10)
    assert asyncio.get_running_loop().time() - began <= 10
    assert "waiting" in post.outbox.states()


async def test_flush_with_nothing_waiting_is_over_at_once():
    post = Post(ScriptedChannel("phone"))
    began = asyncio.get_running_loop().time()
    assert await post.flush(within=10)
    assert asyncio.get_running_loop().time() == began


async def test_flush_tells_on_the_others_that_a_channel_died():
    phone = ScriptedChannel("phone", [DeliveryFailed("blocked", permanent=True)], takes_s=1)
    ops = ScriptedChannel("ops")
    post = Post(phone, ops)
    post.add(message())
    assert await post.flush(within=10)
    assert [told.id for told in ops.confirmed] == ["msg_1", "msg_901"]


@pytest.mark.parametrize("seed", range(12))
async def test_no_message_is_lost_and_no_id_changes_through_random_failures_and_restarts(seed):
    chance = random.Random(seed)  # noqa: S311 - repeatable faults.
    faults = [
        None,
        lost(),
        DeliveryFailed("429", retry_after=seconds(chance.randint(1, 300))),
        DeliveryFailed("gone", permanent=True),
    ]
    phone = ScriptedChannel("phone", chance.choices(faults, [4, 4, 1, 1], k=60))
    ops = ScriptedChannel("ops", chance.choices(faults[:3], [6, 3, 1], k=60))
    post = Post(phone, ops)
    for number in range(30):
        post.add(message(number, level=chance.choice([Level.WATCH, Level.WARN, Level.DANGER, Level.CRITICAL])))
        task = asyncio.create_task(
            deliver(post.outbox, post.channels, now=post.now, wake=post.wake, stop=post.stop, tell=post.tell)
        )
        await asyncio.sleep(chance.uniform(0, 40))
        task.cancel()  # As a crash would.
        with suppress(asyncio.CancelledError):
            await task
    async with post.running():
        while "waiting" in post.outbox.states():  # noqa: ASYNC110 - virtual time; pytest's own timeout ends it.
            await asyncio.sleep(60)
    wanted = {f"msg_{number}" for number in range(30)}
    assert {told.id for told in ops.confirmed} >= wanted
    heard = [told.id for told in phone.confirmed]
    given_up = {
        post.outbox.rows[row].message.id for row, (state, _, _) in post.outbox.done.items() if state == "given up"
    }
    assert set(heard) | given_up >= wanted
    assert len(heard) == len(set(heard)), "a confirmed message was sent again without a crash between"


def test_waits_grow_to_a_quarter_of_an_hour_and_those_of_warn_and_worse_to_a_minute():
    schedule = RetrySchedule()
    assert [schedule.wait(attempts=n, level=Level.WATCH).total_seconds() for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 99)] == [
        5, 15, 30, 60, 120, 300, 600, 900, 900, 900,
    ]  # fmt: skip
    for level in (Level.WARN, Level.UNKNOWN, Level.DANGER, Level.CRITICAL):
        assert schedule.wait(attempts=99, level=level) == timedelta(minutes=1)
