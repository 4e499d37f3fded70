"""From alerts to waiting messages: texts are made, routed to channels, and committed before anything is sent."""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from guard.daemon.judging import Fault
from guard.errors import DeliveryFailed, JournalError
from guard.journal import Journal
from guard.notify.channel import Channel
from guard.notify.delivery import ChannelNews
from guard.notify.guard_texts import bug_message, channel_message, journal_message
from guard.notify.texts import message_for
from guard.policy.decision import Decision
from guard.policy.message import Message
from guard.policy.terms import Level

log = structlog.get_logger(__name__)

EMERGENCY_WAITS_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)  # Between attempts without an outbox.


def new_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


class Teller:
    """Puts messages into the outbox and wakes the delivery. When the journal cannot take them they go out at once."""

    def __init__(self, journal: Journal, channels: Sequence[Channel], now: Callable[[], datetime]) -> None:
        self.journal = journal
        self.channels = tuple(channels)
        self.wake = asyncio.Event()
        self._now = now
        self._emergencies: set[asyncio.Task[None]] = set()
        self._is_journal_told = False
        self._has_stepped = False  # The clock stepped, and the rows of the outbox do not know it yet.
        self._bugs: dict[str, Fault] = {}  # By account: the fault of our own that was told and is not over.

    @property
    def routes(self) -> Mapping[str, Level]:
        return {channel.name: channel.from_level for channel in self.channels}

    def tend_journal(self) -> None:
        """Try a broken journal again, and tell when it breaks and when it works again, once each."""
        if self.journal.broken is not None and not self.journal.recover():
            if not self._is_journal_told:
                self._is_journal_told = True
                log.critical("journal.broken", reason=self.journal.broken)
                broken = journal_message(self.journal.broken, works=False, now=self._now(), new_id=new_id)
                self._send_without_journal([broken])
        elif self._is_journal_told:
            self._is_journal_told = False
            log.info("journal.recovered")
            self.tell(journal_message("It can be written again.", works=True, now=self._now(), new_id=new_id))
        self._let_outbox_follow()

    def follow_clock(self) -> None:
        """Let waiting messages follow a step of the clock, or a restart, as soon as the journal takes it."""
        self._has_stepped = True
        self._let_outbox_follow()

    def clear_anew(self) -> None:
        """Let no alert end sooner because the clock stepped."""
        try:
            self.journal.clear_anew()
        except JournalError as error:
            log.error("alerts.not_cleared_anew", reason=str(error))  # In memory they are.

    def _let_outbox_follow(self) -> None:
        if not self._has_stepped:
            return
        try:
            self.journal.make_due(self._now())
        except JournalError as error:
            log.error("outbox.not_hastened", reason=str(error))
            return
        self._has_stepped = False
        self.wake.set()

    def record(self, account: str, decision: Decision, *, born_at: datetime | None = None) -> bool:
        """Commit a decision with its messages in one transaction; return whether it is on disk.

        `born_at` is as with `Journal.record_decision`.
        """
        now = self._now()
        messages = [message_for(alert, decision=decision, now=now, new_id=new_id) for alert in decision.alerts]
        try:
            self.journal.record_decision(account, decision, messages, routes=self.routes, now=now, born_at=born_at)
        except JournalError as error:
            log.critical("journal.unwritable", reason=str(error))
            self._send_without_journal(messages)
            return False
        if messages:
            self.wake.set()
        return True

    def channels_for(self, message: Message) -> Sequence[str]:
        """Return the channels whose level a message reaches."""
        return [name for name, from_level in self.routes.items() if message.level >= from_level]

    def tell(self, message: Message, *, only: Sequence[str] | None = None) -> bool:
        """Commit one message for the channels whose level it reaches, or only those named; return if it is on disk."""
        wanted = [name for name in self.routes if name in only] if only else self.channels_for(message)
        try:
            self.journal.enqueue(message, wanted, now=self._now())
        except JournalError as error:
            log.critical("journal.unwritable", reason=str(error))
            self._send_without_journal([message])
            return False
        self.wake.set()
        return True

    def tell_bug(self, account: str, fault: Fault | None) -> None:
        """Tell once that a fault of our own keeps an account or a position unwatched, and once its end (None)."""
        told = self._bugs.pop(account, None)
        if fault is not None:
            self._bugs[account] = fault
        about = fault or told
        if about is not None and fault != told:
            over = fault is None
            self.tell(bug_message(account, about.bug, about.positions, over=over, now=self._now(), new_id=new_id))

    def tell_channel_news(self, news: ChannelNews) -> None:
        self.tell(channel_message(news, new_id=new_id), only=news.others)

    def _send_without_journal(self, messages: Sequence[Message]) -> None:
        """Send from memory: with no outbox this is all there is, and better than silence."""
        for message in messages:
            for channel in self.channels:
                if message.level >= channel.from_level:
                    task = asyncio.create_task(_send_from_memory(channel, message))
                    self._emergencies.add(task)
                    task.add_done_callback(self._emergencies.discard)


async def _send_from_memory(channel: Channel, message: Message) -> None:
    for attempt, wait_s in enumerate((*EMERGENCY_WAITS_S, None), 1):
        try:
            await channel.send(message, attempt=attempt)
        except DeliveryFailed as failure:
            log.error("message.undelivered", channel=channel.name, id=message.id, reason=str(failure), attempt=attempt)
            if wait_s is None or failure.permanent:
                break
            await asyncio.sleep(max(wait_s, failure.retry_after.total_seconds() if failure.retry_after else 0.0))
        else:
            return
    log.critical("message.lost", channel=channel.name, id=message.id)
