"""How positions that are gone ended, read from the fills and told: closed, liquidated, or deleveraged."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from guard.daemon.spare_time import SpareTime
from guard.daemon.tell import Teller, new_id
from guard.errors import KeysRefused, VenueUnavailable
from guard.journal.records import HOW_IT_ENDED
from guard.notify.ending_texts import ending_message
from guard.policy.decision import AlertKind, Decision
from guard.snapshot import EndKind, PositionEnding, PositionKey
from guard.venues.protocol import Venue

log = structlog.get_logger(__name__)

TRY_FOR_S = 300.0  # Fills may be listed a little after the position is gone.
LOOK_BACK = timedelta(hours=1)  # After a start: ends that an earlier process wrote down and did not tell.
CLOCK_SLACK = timedelta(minutes=1)
NOT_ASKED = PositionEnding(kind=EndKind.UNKNOWN, evidence="nothing: there was no time to ask, others were to be saved")
SLOW = PositionEnding(kind=EndKind.UNKNOWN, evidence="nothing: no answer in the time that a cycle has for it")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gone:
    since: datetime  # It was still open then.
    until_s: float  # Loop time: so long is asked.
    is_told: bool  # That it is gone is told already, without how.
    heard: PositionEnding = NOT_ASKED  # The last answer.


class Endings:
    """Asks the exchange until it tells, for five minutes; then it is told that nobody knows."""

    def __init__(self, venue: Venue, teller: Teller, spare_time: SpareTime, now: Callable[[], datetime]) -> None:
        self._venue = venue
        self._spare_time = spare_time
        self._teller = teller
        self._now = now
        self._listed_at: dict[PositionKey, datetime] = {}
        self._gone: dict[PositionKey, _Gone] | None = None  # None: what an earlier process left is not looked up yet.

    async def tell(self, ended: Iterable[PositionKey], decision: Decision, until_s: float) -> None:
        """Take up what this cycle proved gone, and tell of whatever the exchange explains until a loop time.

        Raises JournalError.
        """
        gone = self._note(ended, decision)
        listed = {verdict.key for verdict in decision.positions}
        for key, one in list(gone.items()):
            ending = await self._ask(key, one, until_s)
            if ending is None:
                ending = one.heard
            else:  # Last in line: the next cycle begins with those for which there was no time in this one.
                del gone[key]
                gone[key] = replace(one, heard=ending)
            if ending.kind is EndKind.UNKNOWN and asyncio.get_running_loop().time() < one.until_s:
                continue
            # That it is not listed any more is no news once it was told, and untrue once it is open again.
            if ending.kind is not EndKind.UNKNOWN or not (one.is_told or key in listed):
                other = key.opposite
                message = ending_message(
                    key,
                    ending,
                    account=self._venue.account,
                    lost_hedge_of=other if other in listed and ending.kind is not EndKind.CLOSED else None,
                    is_open_again=key in listed,
                    now=self._now(),
                    new_id=new_id,
                )
                self._teller.tell(message)
            self._teller.journal.event(self._now(), self._venue.account, HOW_IT_ENDED, str(key), _text(ending))
            del gone[key]

    def _note(self, ended: Iterable[PositionKey], decision: Decision) -> dict[PositionKey, _Gone]:
        until_s = asyncio.get_running_loop().time() + TRY_FOR_S
        if self._gone is None:
            earlier = self._teller.journal.unexplained_ends(self._venue.account, self._now() - LOOK_BACK)
            self._gone = {
                key: _Gone(since=ended_at - LOOK_BACK, until_s=until_s, is_told=False) for key, ended_at in earlier
            }
        told = {alert.key for alert in decision.alerts if alert.kind is AlertKind.VANISHED}
        for key in ended:
            since = self._listed_at.pop(key, self._now() - LOOK_BACK) - CLOCK_SLACK
            self._gone[key] = _Gone(since=since, until_s=until_s, is_told=key in told)
        if decision.assessment is not None:
            read_at = decision.assessment.snapshot.positions_read_at
            self._listed_at |= dict.fromkeys((verdict.key for verdict in decision.positions), read_at)
        return self._gone

    async def _ask(self, key: PositionKey, one: _Gone, until_s: float) -> PositionEnding | None:
        """Return how it ended. None: there was no time to ask."""
        is_asked = False
        try:
            async with self._spare_time.until(until_s):
                is_asked = True
                return await self._venue.ending(key, one.since)
        except TimeoutError:
            return SLOW if is_asked else None
        except (VenueUnavailable, KeysRefused) as error:
            return PositionEnding(kind=EndKind.UNKNOWN, evidence=f"nothing: {error}")


def _text(ending: PositionEnding) -> str:
    return f"{ending.kind.value}: {ending.evidence}"
