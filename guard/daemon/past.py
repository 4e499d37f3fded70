"""What moved without this journal: learned from the exchange's margin history, before money is spent and now and then.

A journal without a past learns what was spent before it. One with a past is held against the history at each start, for
it may be an old copy; before each act and every ten minutes, for another guard or a hand may have added margin; and
after each act, for the two may have met.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from guard.daemon.reader import AccountReader
from guard.daemon.tell import Teller, new_id
from guard.errors import KeysRefused, VenueUnavailable
from guard.journal.audits import Unexplained
from guard.margin import contract_value
from guard.notify.past_texts import additions_message, rival_message, watching_only_message
from guard.policy.message import Message
from guard.policy.rules import matching_rule
from guard.policy.terms import Mode, Terms
from guard.snapshot import DOLLAR_STABLECOINS, AccountSnapshot, MarginChange, MarginMode, Position, PositionKey

log = structlog.get_logger(__name__)

OPENING_SHOWN_FROM = Decimal("0.99")  # Of the initial margin: fees and funding may have taken a little.
AUDIT_EVERY = timedelta(minutes=10)
AUDIT_AGAIN = timedelta(minutes=1)  # After one that failed, twice as long after each further one.
AUDIT_WITHIN_S = 8.0  # What hangs must not keep the positions from being looked at.
BEFORE_ACT_WITHIN_S = 2.0  # A position in danger waits for no more; without an answer it is helped all the same.
OVERLAP = timedelta(minutes=5)  # Histories show an entry a little late, and clocks differ.


class Past:
    """What one account spent beside this journal."""

    def __init__(self, reader: AccountReader, teller: Teller, terms: Terms, now: Callable[[], datetime]) -> None:
        self._reader = reader
        self._teller = teller
        self._journal = teller.journal
        self._terms = terms
        self._now = now
        self._learned_s: float | None = None  # Loop time up to which the history was held against the journal.
        self._watched_from: datetime | None = None  # When it was first, by the exchange's clock.
        self._due_s = 0.0
        self._wait = AUDIT_AGAIN
        self._after_acts: dict[PositionKey, float] = {}  # Loop times at which an act's position is looked at again.

    @property
    def _has_history(self) -> bool:
        return self._reader.venue.write_terms.history_kept > timedelta(0)

    def _exchange_now(self) -> datetime:
        """Return the time by which the history is dated. By a clock a day ahead, today's entries are old."""
        return self._now() + (self._reader.venue.skew or timedelta(0))

    async def learn(self) -> None:
        """Learn the past, or hold the journal against it, once. Raises VenueUnavailable: nothing may be spent yet."""
        snapshot = self._reader.snapshot
        if snapshot is None or self._learned_s is not None:
            return
        began_s = asyncio.get_running_loop().time()
        if self._has_history and self._reader.venue.skew is None:
            await self._reader.venue.clock_skew()
        if self._journal.needs_rebuild(self._terms.account):
            await self._rebuild(snapshot)
        else:
            await self._compare(snapshot)
        self._journal.note_held(self._terms.account, self._now())
        self._watched_from = self._exchange_now()
        self._learned_s, self._due_s = began_s, began_s + AUDIT_EVERY.total_seconds()

    async def look_before(self, key: PositionKey) -> None:
        """Count what others added to a position lately, before it is decided what it gets."""
        try:
            async with asyncio.timeout(BEFORE_ACT_WITHIN_S):
                await self._audit(key)
        except (VenueUnavailable, KeysRefused, TimeoutError) as error:
            log.warning("past.not_read", account=self._terms.account, position=str(key), reason=str(error) or "slow")

    def look_after(self, key: PositionKey) -> None:
        """Look at a position's history again when an act of ours and one of somebody else's would both be in it."""
        fence_s = self._reader.venue.write_terms.fence.total_seconds()
        self._after_acts[key] = asyncio.get_running_loop().time() + fence_s

    async def look_now_and_then(self) -> None:
        """Hold the history against the journal where it is due. A failure costs a little time and is tried again."""
        now_s = asyncio.get_running_loop().time()
        if self._learned_s is None:
            return
        due = [key for key, at_s in self._after_acts.items() if at_s <= now_s]
        if not due and now_s < self._due_s:
            return
        try:
            async with asyncio.timeout(AUDIT_WITHIN_S):
                for key in due:
                    await self._audit(key)
                    del self._after_acts[key]
                if now_s >= self._due_s:
                    await self._audit(None)
                    if self._journal.broken is None:  # Else it would raise each cycle, and keep ends from being told.
                        self._journal.note_held(self._terms.account, self._now())
                    self._learned_s, self._due_s = now_s, now_s + AUDIT_EVERY.total_seconds()
            self._wait = AUDIT_AGAIN
        except (VenueUnavailable, KeysRefused, TimeoutError) as error:
            self._due_s = now_s + self._wait.total_seconds()
            self._after_acts = dict.fromkeys(self._after_acts, self._due_s)
            self._wait = min(AUDIT_EVERY, 2 * self._wait)
            log.warning("past.not_read", account=self._terms.account, reason=str(error) or "slow")

    async def _rebuild(self, snapshot: AccountSnapshot) -> None:
        """Read the adjustment history of the open positions, and of those closed lately, and hand it to the journal."""
        unread = next((gap for gap in snapshot.gaps if gap.key is not None or gap.may_be_cross), None)
        if unread is not None:
            raise VenueUnavailable(f"{unread.subject}: {unread.reason}")
        venue = self._reader.venue
        traded = await venue.traded_lately()
        changes: tuple[MarginChange, ...] = ()
        if self._has_history:
            since = self._exchange_now() - venue.write_terms.history_kept
            changes = await venue.margin_changes(open_isolated(snapshot), since, also=traded or ())
        opened = {
            position.key: _opened_at(position, changes) for position in snapshot.positions if position.isolated_wallet
        }
        self._journal.rebuild(
            self._terms.account,
            self._sided(changes, snapshot),
            opened=opened,
            complete=self._has_history and all(at is not None for at in opened.values()),
            closed_seen=traded is not None,
            dollars_of=lambda change: _dollars(change, snapshot),
            rule_of=_rule_of(self._terms, snapshot),
            now=self._now(),
            exchange_now=self._exchange_now(),
        )
        log.info("past.rebuilt", account=self._terms.account, changes=len(changes), positions=len(opened))
        self._tell_if_only_watching()

    async def _compare(self, snapshot: AccountSnapshot) -> None:
        """Hold the whole history since this journal knows the account against it: it may be an old copy."""
        if not self._has_history:
            return  # Nobody can tell: docs/safety.md says so.
        venue, account, now = self._reader.venue, self._terms.account, self._exchange_now()
        kept_since = now - venue.write_terms.history_kept
        held_at = self._journal.held_at(account) or self._journal.left_at
        if held_at is not None and held_at < kept_since:
            because = f"this journal was right at {held_at:%Y-%m-%d %H:%M} UTC, the exchange's history begins later"
            self._journal.doubt_past(account, because, now)
            self._tell_if_only_watching()
        known_since = self._journal.known_since(account)
        since = now - timedelta(days=1) if known_since is None or known_since > now else known_since
        keys = open_isolated(snapshot)
        traded = await venue.traded_lately()
        changes = await venue.margin_changes(keys, max(since - OVERLAP, kept_since), also=traded or ())
        self._count(changes, snapshot)

    async def _audit(self, key: PositionKey | None) -> None:
        """Hold the history since the last comparison against the journal. None: of every open position."""
        snapshot = self._reader.snapshot
        if snapshot is None or self._learned_s is None or not self._has_history:
            return
        elapsed = timedelta(seconds=asyncio.get_running_loop().time() - self._learned_s)
        venue = self._reader.venue
        since = self._exchange_now() - elapsed - max(OVERLAP, 2 * venue.write_terms.fence)
        keys = [one for one in open_isolated(snapshot) if key is None or one.symbol == key.symbol]
        also = () if key is None else (key.symbol,)  # It may be closed by now.
        self._count(await venue.margin_changes(keys, since, also=also), snapshot)

    def _count(self, changes: Sequence[MarginChange], snapshot: AccountSnapshot) -> None:
        account, now, exchange_now = self._terms.account, self._now(), self._exchange_now()
        fence = self._reader.venue.write_terms.fence
        keeps = self._open_since(changes, snapshot)
        changes = self._sided(changes, snapshot)
        found = self._journal.unexplained(
            account, changes, keeps=keeps, fence=fence, now=now, exchange_now=exchange_now
        )
        if not found:
            return
        log.warning("spending.found", account=account, additions=len(found))
        self._journal.count_unexplained(
            account,
            found,
            keeps=keeps.keys(),
            dollars_of=lambda change: _dollars(change, snapshot),
            rule_of=_rule_of(self._terms, snapshot),
            messages=_messages(account, found, now),
            channels_for=self._teller.channels_for,
            now=now,
            exchange_now=exchange_now,
        )
        self._teller.wake.set()

    def _sided(self, changes: Sequence[MarginChange], snapshot: AccountSnapshot) -> tuple[MarginChange, ...]:
        """Return the history with no side where it is only that of the position that is open now.

        A one-way position's entry names no side: what was added while this process did not watch the position may have
        been the other side's, which has a limit of its own. What a journal says of before may be an old copy's.
        """
        hedged = {position.key.symbol for position in snapshot.positions if position.hedged}
        lives, watched_from = self._journal.open_lives(self._terms.account), self._watched_from

        def is_sure(change: MarginChange) -> bool:
            if change.key.symbol in hedged:
                return True
            if watched_from is None or change.at < watched_from or change.key not in lives:
                return False
            return lives[change.key].first_seen_at <= change.at and any(
                position.key == change.key for position in snapshot.positions
            )

        return tuple(change if is_sure(change) else replace(change, side_known=False) for change in changes)

    def _open_since(
        self, changes: Sequence[MarginChange], snapshot: AccountSnapshot
    ) -> Mapping[PositionKey, datetime | None]:
        """Return since when each open position is open: by the journal where it knows it, else by the history."""
        lives = self._journal.open_lives(self._terms.account)
        listed = {one.key: _opened_at(one, changes) for one in snapshot.positions if one.isolated_wallet}
        return {**listed, **{key: life.first_seen_at for key, life in lives.items()}}

    def _tell_if_only_watching(self) -> None:
        because = self._journal.watched_only(self._terms.account)
        if because is not None and self._terms.mode is Mode.ACT:
            self._teller.tell(watching_only_message(self._terms.account, because, now=self._now(), new_id=new_id))


def open_isolated(snapshot: AccountSnapshot) -> tuple[PositionKey, ...]:
    """Return the isolated positions of a read, and those that are missed or could not be read, whatever they are.

    Raises VenueUnavailable when a row hides of which position it is.
    """
    hidden = next((gap for gap in snapshot.gaps if gap.may_be_cross and gap.key is None), None)
    if hidden is not None:
        raise VenueUnavailable(f"open positions: {hidden.subject}: {hidden.reason}")
    isolated = (one.key for one in snapshot.positions if one.margin_mode is MarginMode.ISOLATED)
    return tuple(dict.fromkeys((*isolated, *(gap.key for gap in snapshot.gaps if gap.key is not None))))


def _messages(account: str, found: Sequence[Unexplained], now: datetime) -> Iterator[Message]:
    yield additions_message(account, [one.change for one in found], new_id=new_id)
    for one in found:
        if one.beside is not None:
            yield rival_message(account, one.change, ours=one.beside.amount, now=now, new_id=new_id)


def _rule_of(terms: Terms, snapshot: AccountSnapshot) -> Callable[[PositionKey], str | None]:
    """Return which rule's limit an addition counts in. A closed position was isolated: margin was added to it."""
    modes = {position.key: position.margin_mode for position in snapshot.positions}

    def rule_of(key: PositionKey) -> str | None:
        turned = modes.get(key.opposite, MarginMode.ISOLATED)  # In one-way mode the symbol's setting is for both.
        rule = matching_rule(terms, key, modes.get(key, turned))
        return None if rule is None else rule.name

    return rule_of


def _opened_at(position: Position, changes: Sequence[MarginChange]) -> datetime | None:
    """Return from when on the history shows the whole position; None when it does not reach back to its opening.

    It does when the margin that trades moved in, less what they moved out, covers the initial margin of the present
    size. What goes out and in again of a position that is older than the history shows no opening.
    """
    traded = [change for change in changes if change.key == position.key and not change.by_user]
    if not traded or not position.leverage:
        return None
    initial_margin = contract_value(position.contract, position.quantity, position.entry_price) / position.leverage
    if sum(change.amount for change in traded) < initial_margin * OPENING_SHOWN_FROM:
        return None
    return traded[0].at


def _dollars(change: MarginChange, snapshot: AccountSnapshot) -> Decimal | None:
    if change.currency in DOLLAR_STABLECOINS:
        return change.amount
    marks = {position.contract.base: position.mark_price for position in snapshot.positions}
    mark = marks.get(change.currency)
    return None if mark is None else change.amount * mark
