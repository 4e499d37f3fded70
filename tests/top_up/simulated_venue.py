"""An exchange that keeps its own ledger, and loses, delays and refuses as it is told to."""

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from pathlib import Path

from guard.errors import OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.snapshot import MarginChange, MarginRequest, Outcome, PositionKey, Settlement, Side
from guard.venues.protocol import WriteTerms

FENCE = timedelta(seconds=10)
SLACK = timedelta(seconds=2)  # How much earlier than the request an entry may be dated.
WINDOW = timedelta(seconds=5)  # Requests dated further from the exchange's clock are refused, as by recvWindow.


class Fate(Enum):
    """What becomes of one request."""

    DONE = auto()
    REFUSED = auto()
    LOST_BEFORE = auto()  # Never arrives; no answer.
    LOST_AFTER = auto()  # Moves the margin; no answer.
    LATE = auto()  # No answer; moves the margin just before the fence.
    HANGS_BEFORE = auto()
    HANGS_AFTER = auto()
    DIES_BEFORE = auto()  # Our process dies.
    DIES_AFTER = auto()


class ProcessDied(BaseException):
    """Stands in for kill -9: nothing of ours runs after it."""


@dataclass(frozen=True)
class Entry:
    key: PositionKey
    amount: Decimal
    at: datetime
    entry_id: str


class Ledger:
    """What the exchange did, in memory or in a file that outlives the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._entries: list[Entry] = []

    @property
    def entries(self) -> list[Entry]:
        if self._path is None:
            return sorted(self._entries, key=lambda entry: entry.at)
        if not self._path.exists():
            return []
        rows = [json.loads(line) for line in self._path.read_text().splitlines()]
        return [
            Entry(PositionKey(row[0], Side(row[1])), Decimal(row[2]), datetime.fromisoformat(row[3]), f"file-{number}")
            for number, row in enumerate(rows)
        ]

    def add(self, key: PositionKey, amount: Decimal, at: datetime) -> None:
        if self._path is None:
            self._entries.append(Entry(key, amount, at, f"entry-{len(self._entries)}"))
            return
        line = json.dumps([key.symbol, int(key.side), str(amount), at.isoformat()]) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, line.encode())
        os.close(descriptor)


class SimulatedVenue:
    """One account at it. `true_now` is the exchange's clock, `our_now` the one that requests are dated by."""

    exchange = "simulated"

    def __init__(
        self,
        *,
        account: str = "main",
        ledger: Ledger | None = None,
        fates: Iterable[Fate] = (),
        true_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        our_now: Callable[[], datetime] | None = None,
        on_request: Callable[[MarginRequest], None] = lambda request: None,
        fence: timedelta = FENCE,
    ) -> None:
        self.account = account
        self.ledger = ledger or Ledger()
        self.requests: list[MarginRequest] = []
        self.unreadable = False
        self.write_terms = WriteTerms(fence=fence, history_kept=timedelta(days=90), test_host=True)
        self._fates = iter(fates)
        self._true_now = true_now
        self._our_now = our_now or true_now
        self._on_request = on_request

    async def add_margin(self, request: MarginRequest) -> str:
        self.requests.append(request)
        self._on_request(request)
        await asyncio.sleep(0)
        if abs(self._our_now() - self._true_now()) > WINDOW:
            raise VenueRefused("timestamp is outside of the window", code="-1021")
        return await self._answer(request, next(self._fates, Fate.DONE))

    async def _answer(self, request: MarginRequest, fate: Fate) -> str:
        if fate is Fate.REFUSED:
            raise VenueRefused("insufficient available balance", code="-2019")
        if fate in {Fate.DONE, Fate.LOST_AFTER, Fate.HANGS_AFTER, Fate.DIES_AFTER}:
            self.ledger.add(request.key, request.amount, self._true_now())
        if fate is Fate.LATE:
            self.ledger.add(request.key, request.amount, self._true_now() + self.write_terms.fence - WINDOW / 10)
        if fate in {Fate.HANGS_BEFORE, Fate.HANGS_AFTER}:
            await asyncio.Event().wait()
        if fate in {Fate.DIES_BEFORE, Fate.DIES_AFTER}:
            raise ProcessDied
        if fate is not Fate.DONE:
            raise OutcomeUnknown("no answer within 8 s")
        return '{"code": 200, "msg": "Successfully modify position margin."}'

    async def margin_changes(self, key: PositionKey | None, since: datetime) -> tuple[MarginChange, ...]:
        if self.unreadable:
            raise VenueUnavailable("no connection")
        await asyncio.sleep(0)
        return tuple(
            MarginChange(
                key=entry.key,
                amount=entry.amount,
                currency="USDT",
                at=entry.at,
                by_user=True,
                entry_id=entry.entry_id,
            )
            for entry in self.ledger.entries
            if key in {None, entry.key} and since <= entry.at <= self._true_now()
        )

    async def settle(
        self, request: MarginRequest, *, sent_at: datetime, now: datetime, known_entries: frozenset[str]
    ) -> Settlement:
        for change in await self.margin_changes(request.key, sent_at - SLACK):
            if change.amount == request.amount and change.entry_id not in known_entries:
                evidence = f"history: {change.amount} USDT added at {change.at:%H:%M:%S}"
                return Settlement(outcome=Outcome.APPLIED, evidence=evidence, entry_id=change.entry_id)
        if now - sent_at >= self.write_terms.fence:
            return Settlement(outcome=Outcome.NOT_APPLIED, evidence="history: nothing since the fence")
        return Settlement(outcome=Outcome.UNKNOWN, evidence="history: nothing yet")

    @property
    def moved(self) -> Decimal:
        return sum((entry.amount for entry in self.ledger.entries), Decimal(0))
