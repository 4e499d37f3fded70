"""One look at every account from a second process: nothing is recorded, told or sent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from guard.config.settings import AccountSettings, Settings
from guard.daemon.clock import SteadyClock
from guard.daemon.reader import AccountReader
from guard.daemon.report import status_document
from guard.errors import JournalError, KeysRefused, VenueUnavailable
from guard.journal import Journal
from guard.outlook import without_candles
from guard.policy.decide import decide
from guard.policy.decision import Decision
from guard.policy.memory import Memory
from guard.snapshot import Gap
from guard.venues import open_venue

LOOK_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one account looked like, or why it could not be seen. `decision` is blind when `failure` is given."""

    settings: AccountSettings
    decision: Decision
    failure: VenueUnavailable | KeysRefused | None


class Looker:
    """Keeps the venues open between looks, as `status --watch` needs it. Use as an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._clock = SteadyClock()
        self._readers: dict[str, AccountReader] = {}

    async def __aenter__(self) -> Self:
        for account in self.settings.accounts.values():
            self._readers[account.name] = AccountReader(open_venue(account.venue, now=self._clock), self._clock)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(reader.venue.close() for reader in self._readers.values()))

    async def look(self) -> Mapping[str, Look]:
        """Look at every account at once; one that is dead delays the others by its own time limit at most."""
        looks = await asyncio.gather(*(self._look_at(account) for account in self.settings.accounts.values()))
        return {look.settings.name: look for look in looks}

    def document(self, looks: Mapping[str, Look]) -> dict[str, object]:
        """Return the document of `status --json`."""
        return status_document(
            {name: (look.settings, look.decision) for name, look in looks.items()}, datetime.now(UTC)
        )

    async def _look_at(self, account: AccountSettings) -> Look:
        reader = self._readers[account.name]
        failure: VenueUnavailable | KeysRefused | None = None
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                await reader.read()
        except TimeoutError:
            failure = VenueUnavailable(f"no answer within {LOOK_WITHIN_S:.0f} s")
        except (VenueUnavailable, KeysRefused) as error:
            failure = error
        return Look(settings=account, decision=self._decide(account, reader, failure), failure=failure)

    def _decide(self, account: AccountSettings, reader: AccountReader, failure: Exception | None) -> Decision:
        now = self._clock()
        assessment = reader.assess()
        memory, journal_gap = self._memory(account.name, now)
        decision = decide(
            assessment,
            memory=memory,
            terms=account.terms,
            step=reader.venue.margin_step,
            outlooks={
                figures.key: without_candles(figures.key) for figures in (assessment.positions if assessment else ())
            },
            ended=frozenset(),
            fresh_read=failure is None,
            now=now,
        )
        gaps = [Gap(subject=account.name, reason=str(failure))] if failure else []
        return replace(decision, gaps=(*decision.gaps, *gaps, *journal_gap))

    def _memory(self, account: str, now: datetime) -> tuple[Memory, tuple[Gap, ...]]:
        """Return what the journal remembers; without one nobody knows what was spent, and the gap says so."""
        try:
            with Journal.open_to_read(self.settings.journal_path) as journal:
                return journal.memory(account, now), ()
        except JournalError as error:
            memory = Memory(armed=False, disarmed_because=str(error), spending_known=False)
            return memory, (Gap(subject="budgets", reason=str(error)),)
