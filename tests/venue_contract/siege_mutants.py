"""Guards with one fault each, which the siege must catch."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from exchanges import SERVERS

from guard.daemon.reader import AccountReader
from guard.errors import OutcomeUnknown, VenueRefused
from guard.journal import Journal
from guard.venues import VENUES, write_answers

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
        __import__(VENUES[exchange][0])
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("guard.venues") and hasattr(module, "judge_write"):
                stack.enter_context(patch.object(module, "judge_write", wrong))
        yield


@contextmanager
def _no_fence() -> Iterator[None]:
    made = AccountReader.__init__

    def make(self: Any, venue: Any, now: Any) -> None:
        venue.write_terms = replace(venue.write_terms, fence=timedelta(0))
        made(self, venue, now)

    with patch.object(AccountReader, "__init__", make):
        yield


@contextmanager
def _somebody_elses() -> Iterator[None]:
    """What already proves another request, or is known to be of another one, proves this one."""
    with (
        patch.object(Journal, "proving_entries", lambda *_: frozenset()),
        patch.object(Journal, "added_since", lambda *_: Decimal(0)),
    ):
        yield


MUTANTS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "any 200 is applied": lambda: _judge(_any_200_is_yes),
    "no fence": _no_fence,
    "somebody else's entry": _somebody_elses,
    "sends twice": lambda: _judge(_sends_twice),
}


@contextmanager
def mutated(name: str | None) -> Iterator[None]:
    with ExitStack() as stack:
        if name is not None:
            stack.enter_context(MUTANTS[name]())
        yield
