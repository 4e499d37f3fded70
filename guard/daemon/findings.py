"""One line of `guard check`, and how a question to an exchange becomes one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from guard.errors import KeysRefused, VenueUnavailable

Answer = TypeVar("Answer")

KEYS_REMEDY = (
    "nothing more was asked with them: hold key, secret and passphrase in the config against the exchange's "
    "page, and see there that it has not ended, may read, and may be used from this machine's address"
)


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
    is_refused: bool = False  # The exchange did not take the keys: it will answer nothing else that they sign.


async def ask(
    account: str, what: str, question: Callable[[], Awaitable[Answer]], judge: Callable[[Answer], tuple[Verdict, str]]
) -> Finding:
    """Return the answer as a finding, or why there is none."""
    subject = f"{account} {what}"
    try:
        verdict, text = judge(await question())
    except KeysRefused as error:
        return Finding(subject=subject, verdict=Verdict.KEYS, text=f"{error}; {KEYS_REMEDY}", is_refused=True)
    except VenueUnavailable as error:
        verdict, text = Verdict.UNREACHABLE, str(error)
    return Finding(subject=subject, verdict=verdict, text=text)
