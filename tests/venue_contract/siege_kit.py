"""A siege of the daemon's parts at any exchange of the suite: its clock, a server that knows each write's fate, a referee.

The referee reads the server's ledger and the journal's rows, and knows nothing of how either comes about.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from exchanges import server_of
from wire_faults import Call, Cut, Fate, WireRefusal
from wire_server import WireServer
from wire_values import Adjustment

from guard.journal import Intent, IntentState, Journal
from guard.snapshot import PositionKey

LATE_MAX_S = 1.9  # After its arrival: a request that has not been executed by then never is. Less than every fence.
# A write that meets one of these may be carried out or not: the answer is the same.
PERHAPS = frozenset(
    {Fate.HTML_200, Fate.EMPTY_200, Fate.NULL_200, Fate.BARE_200, Fate.TRUNCATED, Fate.HTTP_500, Fate.HTTP_502_HTML}
)
REFUSAL = "refusal"
FATES: dict[Fate | str, int] = {
    **dict.fromkeys(Fate, 2),
    Fate.DONE: 20,
    Fate.LOST_BEFORE: 8,
    Fate.LOST_AFTER: 8,
    Fate.LATE: 8,
    Fate.RATE_LIMITED: 1,
    REFUSAL: 2,
}


class Time:
    """One time for the event loop, the guard and the exchange; it runs, and may be put forward between two cycles."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    @contextmanager
    def on(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        real = loop.time
        loop.time = lambda: real() + self.ahead_s  # type: ignore[method-assign]
        self.steady = loop.time
        try:
            yield
        finally:
            del loop.time

    def wall(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)


@dataclass(slots=True, kw_only=True, eq=False)
class Post:
    """One write as it arrived."""

    call: Call
    at_s: float
    fate: Fate | str
    is_done: bool  # What the answer does not say: whether it is carried out.
    intent: Intent | None
    due_s: float | None = None  # When it is carried out, of those that come late.
    effects: list[Adjustment] = field(default_factory=list)

    @property
    def is_pending(self) -> bool:
        return self.due_s is not None


class Besieged(WireServer):
    """An exchange's own server, with a fate for every write, and a moment at which the guard dies."""

    def __init__(self) -> None:
        super().__init__()
        self.dice = random.Random(0)  # noqa: S311 - fates, no secret.
        self.time = Time()
        self.posts: list[Post] = []
        self.find_intent: Callable[[], Intent | None] = lambda: None
        self.on_post: Callable[[Post], None] = lambda _: None
        self.die_at: int | None = None  # In how many requests; the guard may be dead before it or after it.
        self.die: Callable[[], None] = lambda: None
        self.is_fair = False  # Every write is carried out and said so.
        self._doing: Post | None = None

    def _respond(self, call: Call) -> Any:
        is_last, is_before = self._counted(), self.dice.random() < 0.5
        if is_last and is_before:
            self.die()
        try:
            return self._fated(call) if self.kind_of(call) == "write" else super()._respond(call)
        finally:
            if is_last and not is_before:
                self.die()

    def _counted(self) -> bool:
        if self.die_at is None:
            return False
        self.die_at -= 1
        return self.die_at == 0

    def _fated(self, call: Call) -> Any:
        fate: Fate | str = Fate.DONE
        if not self.is_fair:
            (fate,) = self.dice.choices(tuple(FATES), FATES.values())
        if fate == REFUSAL:
            fate = self.dice.choice(tuple(self.refusals))
        is_done = fate not in PERHAPS or self.dice.random() < 0.5
        post = Post(call=call, at_s=self.time.steady(), fate=fate, is_done=is_done, intent=self.find_intent())
        self.on_post(post)
        self.posts.append(post)
        self.fate_of_next_write, self._doing = fate, post
        try:
            return super()._respond(call)
        except Cut:
            if self._late:
                self._delay(post)
            raise
        finally:
            self._doing = None

    def answer(self, call: Call) -> Any:
        if self._doing is None:
            return super().answer(call)
        if not self._doing.is_done:
            return {}
        return self._carry_out(self._doing)

    def _carry_out(self, post: Post) -> Any:
        before = len(self.adjustments)
        try:
            return super().answer(post.call)
        finally:
            post.effects += self.adjustments[before:]

    def _delay(self, post: Post) -> None:
        self._late.clear()
        if self.dice.random() < 0.25:
            return  # It never arrives.
        post.due_s = post.at_s + self.dice.uniform(0.02, 0.95)
        asyncio.get_running_loop().call_at(post.due_s, self.carry_out_due)

    def carry_out_due(self) -> None:
        """Carry out what is late and due. What a slow machine brings too late for the fence is lost."""
        now_s = self.time.steady()
        for post in self.posts:
            if post.due_s is not None and post.due_s <= now_s:
                post.due_s = None
                if now_s < post.at_s + LATE_MAX_S:
                    try:
                        self._carry_out(post)
                    except WireRefusal:
                        continue

    def put_forward(self, seconds: float) -> None:
        """Let time pass, and what is late come at its moment."""
        until = self.time.ahead_s + seconds
        while True:
            left = until - self.time.ahead_s
            due_s = min((post.due_s for post in self.posts if post.due_s is not None), default=None)
            step = left if due_s is None else min(left, max(0.0, due_s - self.time.steady()) + 0.001)
            self.time.ahead_s += step
            self.clock_skew = round(self.time.ahead_s * 1000)
            self.carry_out_due()
            if step >= left:
                return


def besieged(exchange: str) -> Besieged:
    kind = server_of(exchange)
    return type(f"Besieged{kind.__name__}", (Besieged, kind), {})()


@dataclass(slots=True, kw_only=True)
class Limits:
    """Of the one rule, in dollars. None: there is none."""

    per_action: Decimal | None
    per_position: Decimal
    per_day: Decimal

    def words(self) -> dict[str, str]:
        words = {"max_per_position": f"{self.per_position}", "max_per_day": f"{self.per_day}"}
        return words if self.per_action is None else words | {"max_per_action": f"{self.per_action}"}


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of many seeds at one exchange."""

    seeds: int = 0
    cycles: int = 0
    deaths: int = 0
    intents: int = 0
    effects: int = 0
    lost_journals: int = 0
    ends: Counter[str] = field(default_factory=Counter)  # By the state of the intent at the end.
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {state}" for state, count in sorted(self.ends.items()))
        return (
            f"{self.seeds} seeds, {self.cycles} cycles, {self.deaths} deaths, {self.lost_journals} lost journals: "
            f"{self.intents} intents ({ends}), {self.effects} effects, {len(self.violations)} violations"
        )


class Referee:
    """Holds one journal after the other against the server's ledger."""

    def __init__(self, server: Besieged, limits: Limits, blame: Callable[[str], None]) -> None:
        self._server = server
        self._limits = limits
        self._blame = blame
        self._journal: Journal | None = None
        self._known: tuple[Intent, ...] = ()  # As last read.
        self._lost: list[Intent] = []  # Of journals that are lost.
        self._ended: dict[str, IntentState] = {}
        self.disturbed: dict[str, list[float]] = {}  # By symbol: when a person or funding changed a position.
        self.budget_since = 0  # Posts before it are of a past that this journal cannot know.
        server.find_intent = self._intent_being_sent
        server.on_post = self._judge_post

    def take(self, journal: Journal | None) -> None:
        """Judge by this journal from now on. None: it is closed."""
        self._journal = journal

    def lose(self, *, is_forgotten: bool) -> None:
        """The journal is lost. `is_forgotten`: the exchange cannot tell what was spent either."""
        self._lost += self._known
        self._known = ()
        if is_forgotten:
            self.budget_since = len(self._server.posts)

    def intents(self) -> tuple[Intent, ...]:
        if self._journal is not None:
            self._known = self._journal.intents(limit=100_000)
        return self._known

    def note_person(self, symbol: str) -> None:
        self.disturbed.setdefault(symbol, []).append(self._server.time.wall().timestamp())

    def _intent_being_sent(self) -> Intent | None:
        seen = {post.intent.intent_id for post in self._server.posts if post.intent is not None}
        sent = [one for one in self.intents() if one.state is IntentState.SENT and one.intent_id not in seen]
        return sent[0] if len(sent) == 1 else None

    def _judge_post(self, post: Post) -> None:
        if post.intent is None:
            self._blame("a request went out without one intent on disk that was never sent before")
            return
        for earlier in self._server.posts:
            if earlier.is_pending and earlier.intent is not None and _may_meet(earlier.intent, post.intent):
                self._blame(f"{post.intent.key}: sent while {earlier.intent.intent_id} may still be executed")
        self._judge_coins(post.intent)

    def _judge_coins(self, intent: Intent) -> None:
        """Judge what a position got in coins, which count in a limit at the mark of the moment in which more is sent."""
        mark = self._server.marks[intent.key.symbol]
        mine = [one for one in self._spent() if one.key == intent.key]
        coins = sum(one.amount for one in mine)
        if intent.currency == intent.key.symbol.partition("/")[0] and coins * mark > self._limits.per_position:
            self._blame(f"{intent.key}: {coins} at {mark} are above the limit of a position")

    def look(self) -> None:
        """Judge every intent as it stands, and the limits."""
        posts = {post.intent.intent_id: post for post in self._server.posts if post.intent is not None}
        for intent in self.intents():
            self._judge_intent(intent, posts.get(intent.intent_id))
        self._judge_limits()

    def _judge_intent(self, intent: Intent, post: Post | None) -> None:
        before = self._ended.get(intent.intent_id)
        if before is not None and before is not intent.state:
            self._blame(f"{intent.intent_id} was {before.value} and is {intent.state.value}")
        if not intent.state.is_open:
            self._ended[intent.intent_id] = intent.state
        effects = [] if post is None else post.effects
        what = f"{intent.intent_id} {intent.state.value} ({post and post.fate}, {intent.evidence})"
        if len(effects) > 1:
            self._blame(f"{what}: moved {len(effects)} times")
        if any(not _is_meant(one, intent, is_late=post.fate is Fate.LATE) for one in effects):
            self._blame(f"{what}: {intent.amount} was meant for {intent.key}, moved was {effects}")

        if intent.state is IntentState.APPLIED and not effects:
            self._blame(f"{what}: nothing moved")
        is_no = intent.state in {IntentState.NOT_APPLIED, IntentState.REFUSED}
        if is_no and (effects or (post is not None and post.is_pending)):
            self._blame(f"{what}: it moved, or still may")

    def _spent(self) -> list[Intent]:
        """Return what moved, what may still move, and what the journal counts."""
        moved = self._server.posts[self.budget_since :]
        ids = {post.intent.intent_id for post in moved if post.intent is not None and (post.effects or post.is_pending)}
        known = {one.intent_id: one for one in (*self._lost, *self.intents())}
        spent = [one for one in known.values() if one.intent_id in ids]
        return spent + [one for one in self.intents() if one.state.counts_as_spent and one.intent_id not in ids]

    def _judge_limits(self) -> None:
        limits = self._limits
        by_key: Counter[PositionKey] = Counter()
        for one in self._spent():
            by_key[one.key] += one.dollars  # type: ignore[assignment]
            if limits.per_action is not None and one.dollars > limits.per_action:
                self._blame(f"{one.intent_id}: {one.dollars} dollars are more than one act may be")
        for key, dollars in by_key.items():
            if dollars > limits.per_position and not key.symbol.endswith(f":{key.symbol.partition('/')[0]}"):
                self._blame(f"{key}: {dollars} dollars are above the limit of a position")
        if (total := sum(by_key.values())) > limits.per_day:
            self._blame(f"{total} dollars are above the limit of a day")

    def finish(self, tally: Tally) -> None:
        """Judge what is left when everything was given the time to settle."""
        self.look()
        assert self._journal is not None
        untold = {one.intent_id for one in self._journal.untold("main")}
        for intent in self.intents():
            if intent.intent_id in untold or not self._journal._rows(
                "SELECT 1 FROM messages WHERE alert = ?", (intent.intent_id,)
            ):
                self._blame(f"{intent.intent_id} {intent.state.value}: never told")
            if intent.state.is_open:
                self._judge_open(intent)
            tally.ends[intent.state.value] += 1
        tally.intents += len(self._lost) + len(self.intents())
        tally.effects += sum(len(post.effects) for post in self._server.posts)

    def _judge_open(self, intent: Intent) -> None:
        """What is left open must be shown to its owner, with a reason that only a person can see through."""
        if not intent.evidence:
            self._blame(f"{intent.intent_id} is left open without a word of evidence")
        since = intent.planned_at.timestamp() - 6  # What its position held before is read up to so long before.
        open_ones = [one for one in self.intents() if one is not intent and one.state.is_open]
        others = [one for one in open_ones if intent.key in one.may_land_on()]
        touched = [at for at in self.disturbed.get(intent.key.symbol, []) if at >= since]
        if not touched and not others:
            self._blame(f"{intent.intent_id} is left open, and nobody touched {intent.key}: {intent.evidence}")


def _may_meet(one: Intent, other: Intent) -> bool:
    """Say whether two requests may be executed on one position: a one-way position has no side of its own."""
    return one.key == other.key or (one.key.symbol == other.key.symbol and not one.hedged)


def _is_meant(moved: Adjustment, intent: Intent, *, is_late: bool) -> bool:
    """Say whether this is what was sent. A one-way position that turned gets what comes late: the wire has no side."""
    is_side = moved.side is intent.key.side or (is_late and not intent.hedged)
    return is_side and (moved.symbol, moved.amount) == (intent.key.symbol, intent.amount)
