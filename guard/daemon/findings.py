"""One line of `guard check`, and how a question to an exchange becomes one."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from guard.errors import KeysRefused, VenueUnavailable

Answer = TypeVar("Answer")

KEYS_REMEDY = (
    "hold key, secret and passphrase in the config against the exchange's page, and see there that it has not ended, "
    "may read this, may be used from this machine's address, and is of this region (OKX: myokx, okxus) and of no test "
    "network"
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
    is_refused: bool = False  # The exchange did not take the keys for this.


async def ask(
    account: str, what: str, question: Callable[[], Awaitable[Answer]], judge: Callable[[Answer], tuple[Verdict, str]]
) -> Finding:
    """Return the answer as a finding, or why there is none."""
    subject = f"{account} {what}"
    try:
        verdict, text = judge(await question())
    except KeysRefused as error:
        return Finding(subject=subject, verdict=Verdict.KEYS, text=str(error), is_refused=True)
    except VenueUnavailable as error:
        verdict, text = Verdict.UNREACHABLE, str(error)
    return Finding(subject=subject, verdict=verdict, text=text)


def refusals_in_one(account: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings, with one line for all that the keys of an account were refused for, and what to do."""
    findings = tuple(findings)
    refused = [one for one in findings if one.is_refused]
    also = ", ".join(one.subject.removeprefix(f"{account} ") for one in refused[1:])
    for one in findings:
        if not one.is_refused:
            yield one
        elif one is refused[0]:
            yield replace(one, text=f"{one.text}; {f'refused as well: {also}; ' if also else ''}{KEYS_REMEDY}")
