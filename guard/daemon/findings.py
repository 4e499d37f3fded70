"""One line of `guard check`, and how a question to an exchange becomes one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from guard.errors import KeysRefused, VenueUnavailable

Answer = TypeVar("Answer")


class Verdict(StrEnum):
    FINE = "fine"
    WARNING = "warning"
    UNREACHABLE = "unreachable"
    KEYS = "keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the check."""

    subject: str
    verdict: Verdict
    text: str


async def ask(
    account: str, what: str, question: Callable[[], Awaitable[Answer]], judge: Callable[[Answer], tuple[Verdict, str]]
) -> Finding:
    try:
        verdict, text = judge(await question())
    except KeysRefused as error:
        verdict, text = Verdict.KEYS, str(error)
    except VenueUnavailable as error:
        verdict, text = Verdict.UNREACHABLE, str(error)
    return Finding(subject=f"{account} {what}", verdict=verdict, text=text)
