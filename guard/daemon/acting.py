"""Spending: settle what is open, look again just before sending, send once, read the effect back, tell all of it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import structlog

from guard.daemon.past import Past
from guard.daemon.reader import AccountReader
from guard.daemon.tell import Teller, new_id
from guard.errors import JournalError, KeysRefused, VenueUnavailable
from guard.journal.lives import EFFECT_SOUGHT_WITHIN
from guard.journal.records import DATA_AGES, Intent, IntentState
from guard.margin.figures import PositionFigures
from guard.notify.action_texts import Act, action_message, expected, refused_message, settled_message, unknown_message
from guard.policy.decision import Decision, PositionVerdict, TopUp
from guard.policy.rows import position_row
from guard.policy.terms import Level, Mode
from guard.snapshot import PositionKey
from guard.top_up import effect_missed, settle_open, told_apart, top_up
from guard.venues.shared import Need, needed_for

if TYPE_CHECKING:
    from guard.policy.message import Message

log = structlog.get_logger(__name__)

SETTLE_LATE_EVERY = timedelta(seconds=30)
SAY_AGAIN_AFTER = timedelta(minutes=30)
LANDED_FROM = Decimal("0.9")  # Of what was added: by so much its position's margin has grown, fees and funding aside.
REFUSED_WAIT = timedelta(seconds=5)  # After a clear no the same position waits, twice as long after each further one.
REFUSED_WAIT_MAX = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusals:
    """Clear noes in a row for one position: the same question is not asked again at once."""

    not_before_s: float  # Loop time: the wall clock may step.
    wait: timedelta


NO_REFUSALS = _Refusals(not_before_s=0.0, wait=timedelta(0))


class Judge(Protocol):
    """What acting needs of the watch: its name, and a decision on what was read last."""

    @property
    def name(self) -> str: ...

    reader: AccountReader

    def decide(self, *, fresh: bool) -> Decision: ...


class Actor:
    """Makes the top-ups of one account, one after the other."""

    def __init__(self, judge: Judge, teller: Teller, past: Past, now: Callable[[], datetime]) -> None:
        self._judge = judge
        self._past = past
        self._teller = teller
        self._journal = teller.journal
        self._now = now
        self.is_writing = False
        self._refused: dict[PositionKey, _Refusals] = {}
        self._late_not_before_s = 0.0  # Loop time.
        self._unjudged: dict[str, PositionFigures] = {}  # By intent: what its position was before; its effect is open.
        self._told_unwritten: set[tuple[str, IntentState]] = set()  # Told, and the journal could not note it.
        self._said: dict[PositionKey, float] = {}  # The loop time at which a top-up that is only said was last said.

    async def settle(self) -> None:
        """Settle what locks its position from the exchange's own records."""
        await self._settle(lambda intent: intent.locks)

    async def settle_late(self) -> None:
        """Settle what locks nothing any more: now and then, for its budget waits and no position does."""
        if asyncio.get_running_loop().time() >= self._late_not_before_s:
            self._late_not_before_s = asyncio.get_running_loop().time() + SETTLE_LATE_EVERY.total_seconds()
            await self._settle(lambda intent: not intent.locks)

    async def _settle(self, which: Callable[[Intent], bool]) -> None:
        venue, account = self._judge.reader.venue, self._judge.name
        for intent in await settle_open(self._journal, venue, account, self._now, which=which):
            log.info("intent.settled", intent=intent.intent_id, state=intent.state.value, evidence=intent.evidence)

    def tell_outcomes(self) -> None:
        """Tell every outcome, or lack of one, that was not told yet. While the journal is broken, each only once."""
        if self._journal.broken is None:
            self._told_unwritten.clear()
        for intent in self._journal.untold(self._judge.name):
            if (intent.intent_id, intent.state) not in self._told_unwritten:
                self._tell(intent, self._message_of_untold(intent))

    def _tell(self, intent: Intent, message: "Message") -> None:
        if not self._teller.tell(message):
            self._told_unwritten.add((intent.intent_id, intent.state))

    async def act(self, decision: Decision) -> None:
        """Make the top-ups of a decision that was just recorded. A failure of one leaves the others their turn."""
        self._judge_effects(decision)
        for wanted in decision.top_ups:
            if wanted.mode is not Mode.ACT:
                self._say_what_it_would_do(decision, wanted)
                continue
            if self._was_just_refused(wanted.key):
                continue
            try:
                with needed_for(Need.RESCUE):
                    await self._make(wanted.key)
            except (VenueUnavailable, KeysRefused) as error:
                log.warning("top_up.postponed", account=self._judge.name, position=str(wanted.key), reason=str(error))
            except JournalError as error:
                # Before the request nothing was sent; after it the intent stays open on disk and locks the position.
                log.critical("journal.failed", account=self._judge.name, position=str(wanted.key), reason=str(error))
                self._teller.tend_journal()
        still = {wanted.key for wanted in decision.top_ups}
        self._said = {key: said_s for key, said_s in self._said.items() if key in still}

    def has_due(self, decision: Decision) -> bool:
        """Say whether a top-up is to be made as soon as may be: not one that is only said, or was just refused."""
        return any(one.mode is Mode.ACT and not self._was_just_refused(one.key) for one in decision.top_ups)

    def _was_just_refused(self, key: PositionKey) -> bool:
        return asyncio.get_running_loop().time() < self._refused.get(key, NO_REFUSALS).not_before_s

    def _say_what_it_would_do(self, decision: Decision, wanted: TopUp) -> None:
        """In shadow and approve: tell the top-up once when its trigger is breached, and again every half hour."""
        said_s, now_s = self._said.get(wanted.key), asyncio.get_running_loop().time()
        verdict = _verdict(decision, wanted.key)
        if verdict is None or (said_s is not None and now_s - said_s < SAY_AGAIN_AFTER.total_seconds()):
            return
        self._said[wanted.key] = now_s
        before = position_row(verdict)
        act = Act(
            alert=f"would add {self._judge.name} {wanted.key}",
            account=self._judge.name,
            key=wanted.key,
            level=verdict.level,
            happened_at=self._now(),
            rule=wanted.rule,
            reason=wanted.reason,
            amount=wanted.amount,
            dollars=wanted.dollars,
            currency=wanted.currency,
            before=before,
            after=expected(before, wanted),
        )
        self._teller.tell(action_message(act, mode=wanted.mode, new_id=new_id))

    async def _make(self, key: PositionKey) -> None:
        await self._past.look_before(key)
        verdict = await self._look_again(key)
        if verdict is None or verdict.top_up is None or verdict.top_up.mode is not Mode.ACT:
            reason = verdict.withheld.text if verdict and verdict.withheld else "the trigger is not breached any more"
            log.info("top_up.withheld", account=self._judge.name, position=str(key), reason=reason)
            return
        step = self._judge.reader.venue.margin_step(verdict.top_up.currency)
        plan = told_apart(verdict.top_up, self._journal.open_intents(self._judge.name), step)
        if plan is None:
            log.info(
                "top_up.withheld", account=self._judge.name, position=str(key), reason="too small to be told apart"
            )
            return
        before = position_row(verdict)
        life = self._journal.memory(self._judge.name, self._now()).lives[key]
        self.is_writing = True
        try:
            intent = await top_up(
                plan,
                venue=self._judge.reader.venue,
                journal=self._journal,
                account=self._judge.name,
                life_id=life.life_id,
                hedged=verdict.figures.position.hedged,
                facts_before=json.dumps({**before, DATA_AGES: self._data_ages(key)}),
                now=self._now,
            )
        finally:
            self.is_writing = False
        self._judge.reader.must_read_again()
        self._past.look_after(key)
        log.info("top_up.made", intent=intent.intent_id, state=intent.state.value, amount=f"{intent.amount:f}")
        self._note_refusal(intent)
        await self._follow_up(intent, verdict)

    def _data_ages(self, key: PositionKey) -> dict[str, float | None]:
        """Return how old the facts are that money is about to move on, in seconds."""
        ages = self._judge.reader.data_ages(key.symbol)
        return {name: None if age is None else round(age.total_seconds(), 3) for name, age in ages.items()}

    def _note_refusal(self, intent: Intent) -> None:
        if intent.state is not IntentState.REFUSED:
            self._refused.pop(intent.key, None)
            return
        before = self._refused.get(intent.key, NO_REFUSALS)
        wait = min(REFUSED_WAIT_MAX, before.wait * 2 if before.wait else REFUSED_WAIT)
        not_before_s = asyncio.get_running_loop().time() + wait.total_seconds()
        self._refused[intent.key] = _Refusals(not_before_s=not_before_s, wait=wait)

    async def _look_again(self, key: PositionKey) -> PositionVerdict | None:
        """Return the verdict on a mark read just now, and on wallets that no write of ours has touched since."""
        await self._judge.reader.read_again_if_needed()
        await self._judge.reader.read_mark(key.symbol)
        self._judge.reader.check_fit_to_spend()
        return _verdict(self._judge.decide(fresh=True), key)

    async def _follow_up(self, intent: Intent, before: PositionVerdict) -> None:
        """Read the effect back, and tell what happened whether or not it could be read."""
        after: PositionVerdict | None = None
        if intent.state is not IntentState.REFUSED:
            self._unjudged[intent.intent_id] = before.figures
        if intent.state is IntentState.APPLIED:
            try:
                await self._judge.reader.read_again_if_needed()
                after = _verdict(self._judge.decide(fresh=True), intent.key)
            except (VenueUnavailable, KeysRefused) as error:
                log.warning("effect.not_read", intent=intent.intent_id, reason=str(error))
        if after is not None:
            self._judge_effect(intent, after)
        self._tell(intent, self._message(intent, before, after))

    def _judge_effects(self, decision: Decision) -> None:
        """Judge acts whose effect could not be read back at once, or that were found to be applied later."""
        try:
            for intent_id in tuple(self._unjudged):
                intent = self._journal.intent(intent_id)
                after = _verdict(decision, intent.key)
                if intent.state is IntentState.APPLIED and after is not None:
                    self._judge_effect(intent, after)
                elif not intent.state.is_open:  # Not applied, or its position is gone.
                    del self._unjudged[intent_id]
            for intent in self._journal.effects_unseen(self._judge.name, self._now() - EFFECT_SOUGHT_WITHIN):
                self._see_after_restart(intent, _verdict(decision, intent.key))
        except JournalError as error:
            log.critical("journal.failed", account=self._judge.name, reason=str(error))

    def _see_after_restart(self, intent: Intent, after: PositionVerdict | None) -> None:
        """Note that an act of an earlier process landed on its own position, and not on one that this had turned to."""
        held_before = json.loads(intent.facts_before).get("isolated_wallet")
        held = None if after is None else after.figures.position.isolated_wallet
        if after is None or held is None or held_before is None:
            return
        if held - Decimal(held_before) < LANDED_FROM * intent.amount:
            return
        self._journal.note_effect(
            intent.intent_id, missed=None, facts_after=json.dumps(position_row(after)), at=self._now()
        )

    def _judge_effect(self, intent: Intent, after: PositionVerdict) -> None:
        missed = effect_missed(intent, self._unjudged[intent.intent_id], after.figures)
        self._journal.note_effect(
            intent.intent_id, missed=missed, facts_after=json.dumps(position_row(after)), at=self._now()
        )
        del self._unjudged[intent.intent_id]
        if missed:
            log.error("effect.missed", intent=intent.intent_id, reason=missed)

    def _message(self, intent: Intent, before: PositionVerdict, after: PositionVerdict | None) -> "Message":
        act = self._act_of(intent, after=after, level=before.level)
        if intent.state is IntentState.APPLIED:
            return action_message(act, mode=Mode.ACT, new_id=new_id)
        if intent.state is IntentState.REFUSED:
            return refused_message(act, answer=intent.evidence or "no text", new_id=new_id)
        return unknown_message(act, settled_by=self._settled_by(intent), new_id=new_id)

    def _message_of_untold(self, intent: Intent) -> "Message":
        """Return what is told of an outcome that a crash or a lost answer kept from being told at once."""
        act = self._act_of(intent, after=None)
        if intent.state.is_open:
            return unknown_message(act, settled_by=self._settled_by(intent), new_id=new_id)
        if intent.state is IntentState.REFUSED:
            return refused_message(act, answer=intent.evidence or "no text", new_id=new_id)
        return settled_message(
            act,
            applied=intent.state is IntentState.APPLIED,
            evidence=intent.evidence or "none",
            settled_at=intent.settled_at,
            new_id=new_id,
        )

    def _settled_by(self, intent: Intent) -> datetime:
        return (intent.sent_at or intent.planned_at) + self._judge.reader.venue.write_terms.fence

    def _act_of(self, intent: Intent, *, after: PositionVerdict | None, level: Level | None = None) -> Act:
        facts = json.loads(intent.facts_before)
        facts.pop(DATA_AGES, None)  # The row alone is what people are told.
        life = self._journal.memory(intent.account, self._now()).lives.get(intent.key)
        return Act(
            alert=intent.intent_id,
            account=intent.account,
            key=intent.key,
            level=level if level is not None else Level[str(facts["level"]).upper()],
            happened_at=intent.sent_at or intent.planned_at,
            rule=intent.rule,
            reason=intent.reason,
            amount=intent.amount,
            dollars=intent.dollars,
            currency=intent.currency,
            before=facts,
            after=position_row(after) if after is not None else None,
            spent=life.spent if life is not None else None,
            budget_left=after.budget_left if after is not None else None,
        )


def _verdict(decision: Decision, key: PositionKey) -> PositionVerdict | None:
    return next((verdict for verdict in decision.positions if verdict.key == key), None)
