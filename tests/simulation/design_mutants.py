"""Designs that lose money or silence people, as switches on the real code: each must be caught by the simulation.

The list is that of the reliability study (G2). Two of its rows have nothing to hold on to here and are replaced: there
are no chat commands whose offset could be lost, and no exchange that takes an absolute margin.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any
from unittest.mock import patch

from guard import top_up as top_up_module
from guard.daemon import acting, continuity, reader, watch
from guard.daemon.acting import Actor
from guard.daemon.continuity import follow
from guard.daemon.reader import AccountReader
from guard.daemon.service import Service
from guard.daemon.watch import AccountWatch
from guard.errors import OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.journal import IntentState, Journal, lives
from guard.notify import delivery
from guard.notify.quiet import QuietChannel
from guard.policy import budget, decide, rescue
from guard.policy.decision import DataState, WithheldReason
from guard.snapshot import PositionKey, Side
from guard.venues import binance_family, binance_margin, write_answers
from guard.venues.binance import BinanceUsdm
from guard.venues.gate import Gate
from guard.venues.transport import StrictClient

Mutant = Callable[[], AbstractContextManager[Any]]
NOTHING_APPLIED = "the mutant says so"

_add_margin = BinanceUsdm.add_margin
_open_journal = Journal.open.__func__
_top_up = acting.top_up
_rebuild = Journal.rebuild
_spent_since = Journal.spent_since


def retry_on_error() -> AbstractContextManager[Any]:
    async def add_margin(self: BinanceUsdm, request: Any) -> str:
        try:
            return await _add_margin(self, request)
        except OutcomeUnknown:
            return await _add_margin(self, request)

    return patch.object(BinanceUsdm, "add_margin", add_margin)


def error_is_rejected() -> AbstractContextManager[Any]:
    async def add_margin(self: BinanceUsdm, request: Any) -> str:
        try:
            return await _add_margin(self, request)
        except OutcomeUnknown as lost:
            raise VenueRefused(str(lost), code="mutant") from lost

    return patch.object(BinanceUsdm, "add_margin", add_margin)


def no_fence() -> AbstractContextManager[Any]:
    return patch.object(binance_family, "FENCE", timedelta(0))


def journal_after_send() -> AbstractContextManager[Any]:
    async def top_up(plan: Any, *, venue: Any, journal: Any, now: Any, **rest: Any) -> Any:
        intent = top_up_module._intent_of(plan, at=now(), **rest)
        state, evidence = IntentState.APPLIED, ""
        try:
            evidence = await venue.add_margin(top_up_module.request_of(intent))
        except VenueRefused as refusal:
            state, evidence = IntentState.REFUSED, str(refusal)
        except OutcomeUnknown as lost:
            state, evidence = IntentState.UNKNOWN, str(lost)
        journal.plan(intent)
        journal.sent(intent.intent_id, now())
        return journal.settle(intent.intent_id, state, at=now(), evidence=evidence)

    return patch.object(acting, "top_up", top_up)


def no_recovery() -> AbstractContextManager[Any]:
    def forget(journal: Journal) -> None:
        for intent in journal.open_intents():
            at = intent.sent_at or intent.planned_at
            journal.settle(intent.intent_id, IntentState.NOT_APPLIED, at=at, evidence=NOTHING_APPLIED)

    return _after_open(forget)


def cap_counts_confirmed_only() -> AbstractContextManager[Any]:
    is_applied = property(lambda state: state is IntentState.APPLIED)
    return _all(
        patch.object(IntentState, "counts_as_spent", is_applied),
        patch.object(lives, "COUNTS_AS_SPENT", "state = 'applied'"),
        patch.object(lives, "IS_OPEN", "state = 'planned'"),
    )


def trust_status() -> AbstractContextManager[Any]:
    judge = StrictClient._judge

    def trusting(self: Any, what: str, status: int, *rest: Any, reads: bool) -> Any:
        return {} if not reads and status == 200 else judge(self, what, status, *rest, reads=reads)

    def confirmed(_answer: object, _request: Any, _answers: Any) -> str:
        return "HTTP 200"

    return _all(patch.object(StrictClient, "_judge", trusting), patch.object(write_answers, "_confirmed", confirmed))


def stale_is_good_enough() -> AbstractContextManager[Any]:
    real_read, real_mark = AccountReader.read, AccountReader.read_mark
    is_fresh = AccountWatch.is_fresh.fget

    async def read(self: Any, *, counts: bool = True) -> Any:
        self.is_old = False
        try:
            return await real_read(self, counts=counts)
        except VenueUnavailable:
            if self.snapshot is None:
                raise
            self.is_old = True
            return follow(self.sightings, self.snapshot, counts=False)

    async def read_mark(self: AccountReader, symbol: str) -> None:
        try:
            await real_mark(self, symbol)
        except VenueUnavailable:
            return

    return _all(
        patch.object(AccountReader, "read", read),
        patch.object(AccountReader, "read_mark", read_mark),
        patch.object(AccountWatch, "is_fresh", property(lambda self: is_fresh(self) and not self.reader.is_old)),
        patch.object(reader, "SPEND_ON_READS_WITHIN", timedelta(hours=1)),
        patch.object(decide, "data_state", lambda age, limits: DataState.FRESH),
        patch.object(rescue, "may_be_spent_on", lambda age, limits: True),
    )


def empty_is_flat() -> AbstractContextManager[Any]:
    return _all(patch.object(continuity, "READS_TO_BELIEVE", 1), patch.object(continuity, "READS_TO_BELIEVE_EMPTY", 1))


def foreign_delta_is_ours() -> AbstractContextManager[Any]:
    def is_effect_of(request: Any, change: Any) -> bool:
        return change.by_user and change.key == request.key and change.amount > 0

    return patch.object(binance_margin, "_is_effect_of", is_effect_of)


def wall_clock_cap() -> AbstractContextManager[Any]:
    def clock(_self: Journal, now: datetime) -> datetime:
        return now

    return _all(patch.object(Journal, "clock", clock), patch.object(watch, "CLOCK_OFF_MAX", timedelta(days=1000)))


def calendar_day_cap() -> AbstractContextManager[Any]:
    def spent_since(self: Journal, since: datetime) -> Any:
        today = since + timedelta(hours=24)
        return _spent_since(self, today.replace(hour=0, minute=0, second=0, microsecond=0))

    return patch.object(Journal, "spent_since", spent_since)


def no_position_identity() -> AbstractContextManager[Any]:
    return patch.object(lives, "_budget_of", lambda connection, account, life, now: life.life_id)


def no_reserve() -> AbstractContextManager[Any]:
    def room(case: Any, desk: Any) -> Any:
        wallet = desk.assessment.snapshot.wallet(case.settle)
        left = Decimal(0) if wallet is None else wallet.available
        return budget.Room(reason=WithheldReason.RESERVE, name="the wallet", left=left, text="the wallet is empty")

    return patch.object(budget, "_reserve_room", room)


def accounts_wait_for_each_other() -> AbstractContextManager[Any]:
    cycle = AccountWatch._cycle

    async def one_at_a_time(self: AccountWatch) -> timedelta:
        teller: Any = self._teller
        if not hasattr(teller, "lock_of_mutant"):
            teller.lock_of_mutant = asyncio.Lock()
        async with teller.lock_of_mutant:
            return await cycle(self)

    return patch.object(AccountWatch, "_cycle", one_at_a_time)


def heartbeat_by_timer() -> AbstractContextManager[Any]:
    return patch.object(Service, "fresh", lambda self: {"everything": True})


def outbox_in_memory() -> AbstractContextManager[Any]:
    def forget(journal: Journal) -> None:
        journal._connection.execute("DELETE FROM deliveries WHERE state = 'waiting'")

    return _after_open(forget)


def retry_on_429() -> AbstractContextManager[Any]:
    return patch.object(Gate, "be_quiet", lambda self, seconds, status=None: None)


def outcome_of_a_crash_untold() -> AbstractContextManager[Any]:
    return patch.object(Actor, "tell_outcomes", lambda self: None)


def no_second_look() -> AbstractContextManager[Any]:
    async def look_again(self: Actor, key: PositionKey) -> Any:
        return acting._verdict(self._judge.decide(fresh=True), key)

    return patch.object(Actor, "_look_again", look_again)


def wrong_leg() -> AbstractContextManager[Any]:
    async def add_margin(self: BinanceUsdm, request: Any) -> str:
        other = PositionKey(request.key.symbol, Side(-request.key.side))
        return await _add_margin(self, replace(request, key=other))

    return patch.object(BinanceUsdm, "add_margin", add_margin)


def amount_rounded_on_the_way() -> AbstractContextManager[Any]:
    async def add_margin(self: BinanceUsdm, request: Any) -> str:
        amount = max(Decimal(1), request.amount.quantize(Decimal(1), rounding=ROUND_DOWN))
        return await _add_margin(self, replace(request, amount=amount))

    return patch.object(BinanceUsdm, "add_margin", add_margin)


def max_retries_of_three() -> AbstractContextManager[Any]:
    fetch = StrictClient.fetch

    async def persistent(self: Any, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        for left in (3, 2, 1):
            try:
                return await fetch(self, url, method, headers, body)
            except VenueUnavailable:
                if method == "GET" or left == 1:
                    raise
        raise AssertionError

    return patch.object(StrictClient, "fetch", persistent)


def cancelled_is_failed() -> AbstractContextManager[Any]:
    async def top_up(plan: Any, **rest: Any) -> Any:
        journal = rest["journal"]
        try:
            return await _top_up(plan, **rest)
        except asyncio.CancelledError:
            for intent in journal.open_intents(rest["account"]):
                if intent.key == plan.key:
                    at = rest["now"]()
                    journal.settle(intent.intent_id, IntentState.NOT_APPLIED, at=at, evidence=NOTHING_APPLIED)
            raise

    return patch.object(acting, "top_up", top_up)


def restored_is_fresh() -> AbstractContextManager[Any]:
    def rebuild(self: Journal, account: str, changes: Any, **rest: Any) -> None:
        del changes
        _rebuild(self, account, [], **{**rest, "opened": {}, "complete": True})

    def unexplained(self: Journal, *_: Any, **__: Any) -> tuple[()]:  # Else what was forgotten is found by the audit.
        return ()

    return _all(patch.object(Journal, "rebuild", rebuild), patch.object(Journal, "unexplained", unexplained))


# What follows was the real code until the simulation, or a closer look after it, found it out.


def entry_is_sought_by_todays_clock() -> AbstractContextManager[Any]:
    return patch.object(binance_margin, "BOOKED_EARLIER_MAX", timedelta(seconds=2))


def restored_channel_waits() -> AbstractContextManager[Any]:
    return patch.object(delivery.RetrySchedule, "wait", lambda self, *, attempts, level: timedelta(minutes=15))


def outbox_waits_for_the_clock() -> AbstractContextManager[Any]:
    return patch.object(Journal, "make_due", lambda self, now: None)


def old_answers_are_believed() -> AbstractContextManager[Any]:
    return patch.object(continuity, "_outdone_by", lambda position, before: None)


def pause_is_not_noticed() -> AbstractContextManager[Any]:
    return patch.object(AccountWatch, "is_fresh", property(lambda self: self.is_alive and self._is_fresh))


def senders_do_not_share_a_pause() -> AbstractContextManager[Any]:
    async def send(self: QuietChannel, message: Any, *, attempt: int) -> None:
        await self.channel.send(message, attempt=attempt)

    return patch.object(QuietChannel, "send", send)


ONCE_REAL: dict[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        entry_is_sought_by_todays_clock,
        restored_channel_waits,
        outbox_waits_for_the_clock,
        old_answers_are_believed,
        pause_is_not_noticed,
        senders_do_not_share_a_pause,
    )
}

MUTANTS: dict[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        retry_on_error,
        error_is_rejected,
        no_fence,
        journal_after_send,
        no_recovery,
        cap_counts_confirmed_only,
        trust_status,
        stale_is_good_enough,
        empty_is_flat,
        foreign_delta_is_ours,
        wall_clock_cap,
        calendar_day_cap,
        no_position_identity,
        no_reserve,
        accounts_wait_for_each_other,
        heartbeat_by_timer,
        outbox_in_memory,
        retry_on_429,
        outcome_of_a_crash_untold,  # In place of the lost offset of chat commands.
        no_second_look,  # In place of an absolute write from a stale read.
        wrong_leg,
        amount_rounded_on_the_way,
        max_retries_of_three,
        cancelled_is_failed,
        restored_is_fresh,
    )
}
MUTANTS |= ONCE_REAL


def _after_open(act: Callable[[Journal], None]) -> AbstractContextManager[Any]:
    def opened(cls: Any, path: Any, *, exclusive: bool) -> Journal:
        journal = _open_journal(cls, path, exclusive=exclusive)
        if exclusive:
            act(journal)
        return journal

    return patch.object(Journal, "open", classmethod(opened))


@contextmanager
def _all(*patches: AbstractContextManager[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for one in patches:
            stack.enter_context(one)
        yield
