"""One look at every account from a second process: nothing is recorded, told or sent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from guard.config.settings import AccountSettings, Settings
from guard.daemon.clock import SteadyClock
from guard.daemon.continuity import READS_TO_BELIEVE_EMPTY
from guard.daemon.held import held_to_test_hosts
from guard.daemon.judging import judge_despite_bugs
from guard.daemon.reader import AccountReader
from guard.daemon.report import status_document
from guard.daemon.stop_orders import StopOrders
from guard.errors import JournalError, KeysRefused, VenueUnavailable
from guard.journal import Journal
from guard.margin.books import Market
from guard.outlook import without_candles
from guard.policy.decide import decide
from guard.policy.decision import Decision
from guard.policy.memory import Memory
from guard.policy.subjects import remembered_positions
from guard.snapshot import AccountSnapshot, Contract, Gap, MarginMode, PositionKey
from guard.venues import open_venue
from guard.venues.protocol import Venue

LOOK_WITHIN_S = 20.0
LOOK_AGAIN_AFTER_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one account looked like, or why it could not be seen. `decision` is blind when `failure` is given."""

    settings: AccountSettings
    decision: Decision
    failure: VenueUnavailable | KeysRefused | None


class Looker:
    """Keeps the venues open between looks, as `status --watch` needs it. Use as an async context manager.

    `assume_unspent`: without a journal judge budgets as if nothing was spent, where only their size matters.
    """

    def __init__(self, settings: Settings, *, assume_unspent: bool = False) -> None:
        self.settings = settings
        self._assume_unspent = assume_unspent
        self._clock = SteadyClock()
        self._accounts: dict[str, AccountSettings] = {}  # As they are in force.
        self._readers: dict[str, AccountReader] = {}
        self._stops: dict[str, StopOrders] = {}
        self._ended: dict[str, frozenset[PositionKey]] = {}  # Seen to be gone, whatever the journal still remembers.

    async def __aenter__(self) -> Self:
        for account in self.settings.accounts.values():
            venue = open_venue(account.venue, now=self._clock)
            self._accounts[account.name] = held_to_test_hosts(account, venue)
            reader = self._readers[account.name] = AccountReader(venue, self._clock)
            self._stops[account.name] = StopOrders(reader)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(reader.venue.close() for reader in self._readers.values()))

    def venue(self, account: str) -> Venue:
        """Return the open venue of an account, for questions beside a look."""
        return self._readers[account].venue

    async def market(self, account: str, contract: Contract, margin_mode: MarginMode) -> Market:
        """Return what a contract costs now and its terms, for questions about a position that is not open yet.

        Raises VenueUnavailable or KeysRefused. Asked after a look.
        """
        reader = self._readers[account]
        tiers = await reader.tiers_of(contract.symbol)
        mark = await reader.venue.mark(contract.symbol)
        rule = reader.venue.rules.of(contract.symbol, margin_mode)
        return Market(contract=contract, tiers=tiers, rule=rule, mark_price=mark.price)

    async def look(self) -> Mapping[str, Look]:
        """Look at every account at once; one that is dead delays the others by its own time limit at most."""
        looks = await asyncio.gather(*(self._look_at(account) for account in self._accounts.values()))
        return {look.settings.name: look for look in looks}

    def document(self, looks: Mapping[str, Look]) -> dict[str, object]:
        """Return the document of `status --json`."""
        return status_document(
            {name: (look.settings, look.decision) for name, look in looks.items()}, datetime.now(UTC)
        )

    async def _look_at(self, account: AccountSettings) -> Look:
        reader = self._readers[account.name]
        memory, journal_gap = self._memory(account.name, self._clock())
        if reader.snapshot is None:
            reader.remember_open(remembered_positions(memory), at=self._clock())
        failure: VenueUnavailable | KeysRefused | None = None
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                ended = self._ended.get(account.name, frozenset()) | await _read(reader)
                self._ended[account.name] = ended - reader.sightings.keys()
                await self._stops[account.name].read_if_due()
        except TimeoutError:
            failure = VenueUnavailable(f"no answer within {LOOK_WITHIN_S:.0f} s")
        except (VenueUnavailable, KeysRefused) as error:
            failure = error
        decision = self._decide(account, reader, memory, is_fresh=failure is None)
        gaps = [Gap(subject=account.name, reason=str(failure))] if failure else []
        return Look(
            settings=account,
            decision=replace(decision, gaps=(*decision.gaps, *gaps, *journal_gap)),
            failure=failure,
        )

    def _decide(self, account: AccountSettings, reader: AccountReader, memory: Memory, *, is_fresh: bool) -> Decision:
        def judge(snapshot: AccountSnapshot | None) -> Decision:
            assessment = reader.assess(snapshot)
            keys = [figures.key for figures in assessment.positions] if assessment else []
            return decide(
                assessment,
                memory=memory,
                terms=account.terms,
                step=reader.venue.margin_step,
                outlooks={key: without_candles(key) for key in keys},
                ended=self._ended.get(account.name, frozenset()),
                fresh_read=is_fresh,
                now=self._clock(),
                stops=self._stops[account.name].known,
            )

        return judge_despite_bugs(reader.snapshot, judge)[0]

    def _memory(self, account: str, now: datetime) -> tuple[Memory, tuple[Gap, ...]]:
        """Return what the journal remembers; without one nobody knows what was spent, and the gap says so."""
        try:
            with Journal.open_to_read(self.settings.journal_path) as journal:
                return journal.memory(account, now), ()
        except JournalError as error:
            memory = Memory(armed=False, disarmed_because=str(error), spending_known=self._assume_unspent)
            return memory, (Gap(subject="budgets", reason=str(error)),)


async def _read(reader: AccountReader) -> frozenset[PositionKey]:
    """Read once; again, a few times, when a position that the journal knows is not listed. Return those proven gone."""
    ended: set[PositionKey] = set((await reader.read()).ended)
    for _ in range(READS_TO_BELIEVE_EMPTY - 1):
        if not reader.is_suspect:
            break
        await asyncio.sleep(LOOK_AGAIN_AFTER_S)
        ended |= set((await reader.read()).ended)
    return frozenset(ended)
