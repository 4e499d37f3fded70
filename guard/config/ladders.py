"""The rungs in force: a rule's own over the global ladder over these defaults, key by key."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from guard.config.models_rules import EarlyRungTable, LadderTable, RungTable
from guard.config.quantities import NEVER
from guard.policy.terms import Ladder, Level, Rung

CLEAR_POINTS = Decimal("0.02")  # Design ruling on levels: clear is the rung + 2 points, held for 5 min.
CLEAR_FOR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Default:
    distance: Decimal
    sigmas: float | None
    repeat_interval: timedelta | None


DEFAULTS = {
    # Between what bots warn at (20 %) and what liquidation engines call imminent; sigmas catch coins that move more.
    Level.WATCH: _Default(distance=Decimal("0.25"), sigmas=5.0, repeat_interval=None),
    Level.WARN: _Default(distance=Decimal("0.15"), sigmas=4.0, repeat_interval=timedelta(hours=4)),
    Level.DANGER: _Default(distance=Decimal("0.08"), sigmas=None, repeat_interval=timedelta(minutes=30)),
    Level.CRITICAL: _Default(distance=Decimal("0.04"), sigmas=None, repeat_interval=timedelta(minutes=2)),
}


def ladder_in_force(*written: LadderTable) -> Ladder:
    """Return the ladder that these tables make together; an earlier table holds over a later one."""
    return Ladder(
        rungs=tuple(_rung(level, tuple(rung_table(ladder, level) for ladder in written)) for level in DEFAULTS)
    )


def rung_table(ladder: LadderTable, level: Level) -> RungTable:
    """Return what was written for one rung."""
    return {
        Level.WATCH: ladder.watch,
        Level.WARN: ladder.warn,
        Level.DANGER: ladder.danger,
        Level.CRITICAL: ladder.critical,
    }[level]


def _rung(level: Level, tables: tuple[RungTable, ...]) -> Rung:
    default = DEFAULTS[level]
    distance = next((table.distance for table in tables if table.distance is not None), default.distance)
    early = (table.sigmas for table in tables if isinstance(table, EarlyRungTable) and table.sigmas is not None)
    repeat = next(
        (table.repeat_interval for table in tables if table.repeat_interval is not None), default.repeat_interval
    )
    return Rung(
        level=level,
        distance=distance,
        sigmas=next(early, default.sigmas) or None,
        clear=next((table.clear for table in tables if table.clear is not None), distance + CLEAR_POINTS),
        clear_for=next((table.clear_for for table in tables if table.clear_for is not None), CLEAR_FOR),
        hold=next((table.hold for table in tables if table.hold is not None), None),
        repeat_interval=None if repeat == NEVER else repeat,
    )
