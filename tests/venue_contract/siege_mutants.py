"""Guards with one fault each, which the siege must catch."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from exchanges import SERVERS, server_of

from guard.daemon.reader import AccountReader
from guard.errors import OutcomeUnknown, VenueRefused
from guard.snapshot import Outcome, Settlement
from guard.venues import VENUES, margin_difference, write_answers

_judge_write = write_answers.judge_write


async def _any_200_is_yes(send: Any, request: Any, answers: Any) -> str:
    try:
        return await _judge_write(send, request, answers)
    except (OutcomeUnknown, VenueRefused) as error:
        if "HTTP 200" in str(error) or "answered without" in str(error):
            return "HTTP 200"
        raise


async def _sends_twice(send: Any, request: Any, answers: Any) -> str:
    with_luck = _judge_write(send, request, answers)
    try:
        return await with_luck
    except OutcomeUnknown:
        return await _judge_write(send, request, answers)


@contextmanager
def _judge(wrong: Callable[..., Any]) -> Iterator[None]:
    """Put a wrong judge wherever a venue took the right one from."""
    for exchange in SERVERS:
        __import__(VENUES[server_of(exchange).exchange][0])
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("guard.venues") and hasattr(module, "judge_write"):
                stack.enter_context(patch.object(module, "judge_write", wrong))
        yield


@contextmanager
def _venue(spoil: Callable[[Any], None]) -> Iterator[None]:
    """Spoil every venue before the guard's parts are made of it."""
    made = AccountReader.__init__

    def make(self: Any, venue: Any, now: Any) -> None:
        spoil(venue)
        made(self, venue, now)

    with patch.object(AccountReader, "__init__", make):
        yield


def _without_fence(venue: Any) -> None:
    venue.write_terms = replace(venue.write_terms, fence=timedelta(0))


def _forgetting_entries(venue: Any) -> None:
    settle = venue.settle

    async def wrong(request: Any, **asked: Any) -> Settlement:
        found: Settlement = await settle(request, **asked | {"known_entries": frozenset()})
        return replace(found, entry_id=None)

    venue.settle = wrong


_judged = margin_difference._judged


def _judged_by_more(request: Any, before: Any, position: Any, *rest: Any, **named: Any) -> Settlement:
    found = _judged(request, before, position, *rest, **named)
    if position is not None and (position.isolated_wallet or 0) - before.margin >= request.amount:
        return Settlement(outcome=Outcome.APPLIED, evidence="it holds more than before")
    return found


@contextmanager
def _somebody_elses() -> Iterator[None]:
    """What another request or a person added proves this one: an entry that is known, or margin by which it grew."""
    with _venue(_forgetting_entries), patch.object(margin_difference, "_judged", _judged_by_more):
        yield


MUTANTS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "any 200 is applied": lambda: _judge(_any_200_is_yes),
    "no fence": lambda: _venue(_without_fence),
    "somebody else's entry": _somebody_elses,
    "sends twice": lambda: _judge(_sends_twice),
}


@contextmanager
def mutated(name: str | None) -> Iterator[None]:
    with ExitStack() as stack:
        if name is not None:
            stack.enter_context(MUTANTS[name]())
        yield
