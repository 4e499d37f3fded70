"""What came when ccxt was asked for positions, and whether it proves that there is none. For guard.venues.generic."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from guard.venues.generic_rows import number_of

# What exchanges call a position's size: rows whose own are all zero are left out by ccxt here and there (Aster's).
SIZE_NAMES = frozenset({"positionAmt", "size", "contracts", "qty", "quantity", "total", "amount", "volume", "holdVol"})


@dataclass(slots=True)
class Answers:
    """What came to one question of ours, as it came."""

    _came: list[object] = field(default_factory=list)
    _under_way: int = 0

    def last(self) -> tuple[object, ...]:
        """Return the last answer, with those that were asked for at once with it.

        One before it (KuCoin's account mode) only told ccxt what to ask for.
        """
        return tuple(self._came)

    async def of(self, request: Awaitable[object]) -> object:
        if not self._under_way:
            self._came.clear()
        self._under_way += 1
        try:
            answer = await request
        finally:
            self._under_way -= 1
        self._came.append(answer)
        return answer


_PRESENT: ContextVar[Answers] = ContextVar("answers")  # By task: marks are asked for beside positions.


def begin() -> Answers:
    """Return what will hold the answers to what this task, and those that it starts, ask from now on."""
    answers = Answers()
    _PRESENT.set(answers)
    return answers


def noting(request: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    """Return a client's request that notes what came for the task that asks."""

    async def request_and_note(*arguments: object, **named: object) -> object:
        answers, asked = _PRESENT.get(None), request(*arguments, **named)
        return await (asked if answers is None else answers.of(asked))

    return request_and_note


def why_not_empty(answer: object) -> str | None:
    """Return why an answer that ccxt reads no position out of is no proof that there is none. None: it is one."""
    lists = list(_lists(answer))
    if not lists:
        return "no list in the answer: ccxt takes that for none"
    came = sum(_may_hold(row) for rows in lists for row in rows)
    return f"{came} came, and ccxt reads none out of them" if came else None


def _lists(answer: object) -> Iterator[list[object]]:
    """Yield the outermost lists of an answer."""
    if isinstance(answer, list):
        yield answer
    elif isinstance(answer, Mapping):
        for inner in answer.values():
            yield from _lists(inner)


def _may_hold(row: object) -> bool:
    """Say whether a row may be a position: it states no size that we know the name of, or one that is not zero."""
    sizes = [number_of(value) for name, value in row.items() if name in SIZE_NAMES] if isinstance(row, Mapping) else []
    return not sizes or any(size != 0 for size in sizes)
