"""Judging an account despite a bug of our own: what it stumbles over is a gap, the others stay watched (law 7)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import structlog

from guard.policy.decision import Decision
from guard.snapshot import AccountSnapshot, Gap, MarginMode, Position

log = structlog.get_logger(__name__)

Judge = Callable[[AccountSnapshot | None], Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A bug of our own while judging. `positions` are those that could not be judged."""

    bug: str  # Its class only: what it says may hold a secret.
    positions: tuple[str, ...]


def judge_despite_bugs(snapshot: AccountSnapshot | None, judge: Judge) -> tuple[Decision, Fault | None]:
    """Return the decision, and the fault that left positions out of it. Raises the bug where it is in none of them."""
    try:
        return judge(snapshot), None
    except Exception as bug:
        log.exception("judging.failed", account=None if snapshot is None else snapshot.account)
        stumbled = [] if snapshot is None else _stumbled_over(snapshot, judge)
        if snapshot is None or not stumbled:
            raise
        fault = Fault(bug=type(bug).__name__, positions=tuple(str(position.key) for position in stumbled))
        log.error("judging.narrowed", account=snapshot.account, positions=fault.positions)
    return judge(_without(snapshot, stumbled, f"not judged: a bug in guard ({fault.bug})")), fault


def _stumbled_over(snapshot: AccountSnapshot, judge: Judge) -> list[Position]:
    """Return the positions that cannot even be judged alone."""
    found: list[Position] = []
    for unit in _units(snapshot):
        others = [position for position in snapshot.positions if position not in unit]
        try:
            judge(_without(snapshot, others, "left out"))
        except Exception:  # noqa: BLE001 - what it raised is logged above; here only who raised it counts.
            log.debug("judging.failed_alone", positions=[str(position.key) for position in unit])
            found += unit
    return found


def _units(snapshot: AccountSnapshot) -> Iterator[Sequence[Position]]:
    """Yield what stands or falls by itself: each isolated position, and all cross ones together."""
    yield from ([position] for position in snapshot.positions if position.margin_mode is MarginMode.ISOLATED)
    yield [position for position in snapshot.positions if position.margin_mode is MarginMode.CROSS]


def _without(snapshot: AccountSnapshot, left_out: Sequence[Position], reason: str) -> AccountSnapshot:
    gaps = (
        Gap(
            subject=str(position.key),
            reason=reason,
            key=position.key,
            may_be_cross=position.margin_mode is MarginMode.CROSS,
        )
        for position in left_out
    )
    kept = tuple(position for position in snapshot.positions if position not in left_out)
    return replace(snapshot, positions=kept, gaps=(*snapshot.gaps, *gaps))
