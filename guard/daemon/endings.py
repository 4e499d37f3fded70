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
from guard.notify.ending_texts import ending_message, lone_leg_message
from guard.notify.texts import leg_left
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
    was_leg: bool  # The other leg of its symbol was listed with it: it is bare now, if it still is.
    is_leg_told: bool  # That it is bare is told already.
    heard: PositionEnding = NOT_ASKED  # The last answer.


class Endings:
    """Asks the exchange until it tells, for five minutes; then it is told that nobody knows."""

    def __init__(self, venue: Venue, teller: Teller, spare_time: SpareTime, now: Callable[[], datetime]) -> None:
        self._venue = venue
        self._spare_time = spare_time
        self._teller = teller
        self._now = now
        self._listed_at: dict[PositionKey, datetime] = {}
        self._legs: set[PositionKey] = set()  # Listed last together with the other leg of their symbol.
        self._gone: dict[PositionKey, _Gone] | None = None  # None: what an earlier process left is not looked up yet.

    async def tell(self, ended: Iterable[PositionKey], decision: Decision, until_s: float) -> None:
        """Take up what this cycle proved gone, and tell of whatever the exchange explains until a loop time.

        Raises JournalError.
        """
        gone = self._note(ended, decision)
        listed = {verdict.key for verdict in decision.positions}
        for key, one in list(gone.items()):
            answer = await self._ask(key, one, until_s)
            if answer is not None:
                # Last in line: the next cycle begins with those for which this one had no time.
                one = replace(one, heard=answer)  # noqa: PLW2901  # The same one, now asked about.
                del gone[key]
                gone[key] = one
            ending = one.heard
            other = key.opposite if one.was_leg and key.opposite in listed and key not in listed else None
            if ending.kind is EndKind.UNKNOWN and asyncio.get_running_loop().time() < one.until_s:
                if other is not None and not one.is_leg_told:  # Not in five minutes: what it hedged loses now.
                    self._tell_lone_leg(key, other)
                    gone[key] = replace(one, is_told=True, is_leg_told=True)
                continue
            # That it is not listed any more is no news once it was told, and untrue once it is open again.
            if ending.kind is not EndKind.UNKNOWN or not (one.is_told or key in listed):
                message = ending_message(
                    key,
                    ending,
                    account=self._venue.account,
                    lost_hedge_of=other,
                    is_open_again=key in listed,
                    now=self._now(),
                    new_id=new_id,
                )
                self._teller.tell(message)
            self._teller.journal.event(self._now(), self._venue.account, HOW_IT_ENDED, str(key), _text(ending))
            del gone[key]

    def _tell_lone_leg(self, key: PositionKey, other: PositionKey) -> None:
        self._teller.tell(lone_leg_message(key, other, account=self._venue.account, now=self._now(), new_id=new_id))

    def _note(self, ended: Iterable[PositionKey], decision: Decision) -> dict[PositionKey, _Gone]:
        until_s = asyncio.get_running_loop().time() + TRY_FOR_S
        hedged = {verdict.key for verdict in decision.positions if verdict.figures.position.hedged}
        if self._gone is None:
            earlier = self._teller.journal.unexplained_ends(self._venue.account, self._now() - LOOK_BACK)
            self._gone = {
                key: _Gone(
                    since=ended_at - LOOK_BACK,
                    until_s=until_s,
                    is_told=False,
                    was_leg=key.opposite in hedged,
                    is_leg_told=True,  # By the earlier process, or with how it ended.
                )
                for key, ended_at in earlier
            }
        told = {alert.key for alert in decision.alerts if alert.kind is AlertKind.VANISHED}
        named = {alert.key for alert in decision.alerts if leg_left(alert, decision) is not None}
        for key in ended:
            # Of what was not listed since the start nobody knows: where the account keeps legs apart it was one.
            was_leg = key in self._legs if key in self._listed_at else key.opposite in hedged
            self._legs.discard(key)
            since = self._listed_at.pop(key, self._now() - LOOK_BACK) - CLOCK_SLACK
            self._gone[key] = _Gone(
                since=since, until_s=until_s, is_told=key in told, was_leg=was_leg, is_leg_told=key in named
            )
        if decision.assessment is not None:
            read_at = decision.assessment.snapshot.positions_read_at
            listed = {verdict.key for verdict in decision.positions}
            self._listed_at |= dict.fromkeys(listed, read_at)
            # One that is missing and not proved gone is as it was seen last.
            self._legs = {key for key in listed if key.opposite in listed} | (self._legs - listed)
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
