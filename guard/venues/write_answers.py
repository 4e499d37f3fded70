"""What an exchange's answer to a margin write proves: one judge for every venue, over a table that each brings.

Money moved is concluded from positive evidence only, "nothing was done" from a listed code only, and everything else is
unknown: HTML, blanks, `null`, a 5xx whatever it says, a code never seen, a lost connection, a bug of ours. ccxt's
classes are not looked at: it has the same class for yes and no, and makes a success of HTTP 524 (measured, 4.5.90).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from guard.errors import OutcomeUnknown, VenueError, VenueRefused
from guard.snapshot import MarginRequest
from guard.venues.gate import NotSent
from guard.venues.rows import Row, RowError, read_row
from guard.venues.transport import Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A code by which an exchange says that it did nothing. `remedy`: what its owner can do; empty: wait."""

    meaning: str
    remedy: str = ""
    even_as_5xx: bool = False  # Believed under a server error too: only where the exchange documents it so.

    @property
    def text(self) -> str:
        return f"{self.meaning}: {self.remedy}" if self.remedy else self.meaning


class Confirmation(Row):
    """The fields of an answer that prove that money moved. A venue's own class states them, and what they must be."""

    @property
    def amount_said(self) -> Decimal | None:
        """The amount that the answer repeats, in the settle currency. None: this exchange repeats none."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """Say for the journal what was confirmed."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteAnswers:
    """A venue's table. What stands in neither half is unknown.

    `refusals` are by the code that the venue's `Wire.error` finds in a body, whatever the HTTP status below 500.
    """

    confirmation: type[Confirmation]
    refusals: Mapping[str, Refusal]
    refusing_statuses: frozenset[int]  # HTTP statuses that are a no by themselves, whatever the body.


async def judge_write(send: Callable[[], Awaitable[object]], request: MarginRequest, answers: WriteAnswers) -> str:
    """Send a margin write, once, and return the exchange's confirmation for the journal.

    Raises VenueRefused on a listed no, OutcomeUnknown on everything else. A cancellation passes through: the intent
    stays sent.
    """
    what = f"{request.amount:f} {request.currency} to {request.key}"
    failure: VenueError
    try:
        return _confirmed(await send(), request, answers)
    except asyncio.CancelledError:
        raise
    except NotSent as error:
        failure = VenueRefused(f"{what}: {error}", code="not_sent", retry_after=error.retry_after)
    except Answered as error:
        failure = _judge_error(error, answers, what)
    except Exception as error:  # noqa: BLE001  # Whatever broke: without a listed no the money may have moved.
        detail = str(error) if isinstance(error, VenueError) else type(error).__name__
        failure = OutcomeUnknown(f"{what}: {detail}")
    raise failure  # Out here, so that no foreign error hangs on it.


def _confirmed(answer: object, request: MarginRequest, answers: WriteAnswers) -> str:
    try:
        confirmation = read_row(answers.confirmation, answer)
    except RowError as error:
        raise OutcomeUnknown(f"answered without a confirmation ({error})") from None
    said = confirmation.amount_said
    if said is not None and said != request.amount:
        raise OutcomeUnknown(f"the answer speaks of {said:f}")
    return confirmation.text


def _judge_error(error: Answered, answers: WriteAnswers, what: str) -> VenueRefused | OutcomeUnknown:
    """Return the refusal that an error answer is, or OutcomeUnknown."""
    refusal = answers.refusals.get(error.code or "")
    if refusal is not None and error.code and (error.status < 500 or refusal.even_as_5xx):
        return VenueRefused(f"{what}: {refusal.text} ({error})", code=error.code, retry_after=error.retry_after)
    if error.status in answers.refusing_statuses:
        return VenueRefused(f"{what}: {error}", code=error.code or str(error.status), retry_after=error.retry_after)
    return OutcomeUnknown(f"{what}: {error}")
