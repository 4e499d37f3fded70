"""What nobody listed is what fuzzing looks for: it is noted, and the next case is played."""

from types import TracebackType
from typing import Protocol

from guard.errors import GuardError


class Played(Protocol):
    outcome: str
    wrong: list[str]


class noting_bugs:  # noqa: N801 - it reads as a verb.
    """Note an exception that is not one of the guard's own as a bug of the case, and go on."""

    def __init__(self, case: Played) -> None:
        self._case = case

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception) or isinstance(error, GuardError):
            return False
        self._case.outcome = "bug"
        self._case.wrong.append(f"raised {type(error).__name__}: {str(error)[:200]!r}")
        return True
