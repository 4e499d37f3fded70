"""Haircuts as exchanges list them: from a balance on, a share counts. Read alike, whatever the fields are called."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from guard.errors import VenueUnavailable
from guard.snapshot import HaircutTier
from guard.venues.rows import NotNegative, Row, RowError, read_row


class Names(NamedTuple):
    """What an exchange calls an asset, its steps, and of a step its lower end in units and the share that counts."""

    asset: str
    steps: str
    floor: str
    share: str
    top: str | None = None  # The upper end of a step, where the last one may have one.
    beyond: str | None = None  # Of an asset: the share that counts beyond it.


class _Top(Row):
    top: NotNegative


class _Step(Row):
    floor: NotNegative
    share: NotNegative


def read_haircuts(
    rows: Iterable[object], assets: frozenset[str], names: Names
) -> Mapping[str, tuple[HaircutTier, ...]]:
    """Return the steps of these assets, ascending from zero. Raises VenueUnavailable: half a table says too little."""
    found: dict[str, tuple[HaircutTier, ...]] = {}
    for raw in rows:
        asset = raw.get(names.asset) if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or not isinstance(asset, str) or asset not in assets:
            continue
        try:
            found[asset] = _steps(raw.get(names.steps), names, raw)
        except RowError as error:
            raise VenueUnavailable(f"{names.steps} of {asset}: {error}") from None
    return found


def _steps(rows: object, names: Names, asset: Mapping[str, object]) -> tuple[HaircutTier, ...]:
    if not isinstance(rows, list) or not rows:
        raise RowError("no steps are listed")
    rows = [*rows, *_beyond(rows, names, asset)]
    steps = sorted((_step(raw, names) for raw in rows), key=lambda one: one.balance_floor)
    floors = [one.balance_floor for one in steps]
    if floors[0] != 0 or len(set(floors)) != len(floors):
        raise RowError(f"its steps begin at {', '.join(f'{floor:f}' for floor in floors)}")
    return tuple(_joined(steps))


def _beyond(rows: list[object], names: Names, asset: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the step above the last, where that one ends."""
    if names.top is None or names.beyond is None:
        return []
    tops = [raw.get(names.top) for raw in rows if isinstance(raw, dict)]
    if "" in tops:
        return []
    last = max(read_row(_Top, {"top": top}).top for top in tops)
    return [{names.floor: str(last), names.share: asset.get(names.beyond)}]


def _step(raw: object, names: Names) -> HaircutTier:
    fields = raw if isinstance(raw, dict) else {}
    row = read_row(_Step, {"floor": fields.get(names.floor), "share": fields.get(names.share)})
    if row.share > 1:
        raise RowError(f"{names.share} is {row.share:f}: more than the asset is worth")
    return HaircutTier(balance_floor=row.floor, haircut=Decimal(1) - row.share)


def _joined(steps: Iterable[HaircutTier]) -> Iterator[HaircutTier]:
    """Leave out steps that change nothing, so that a table cut differently is not taken for another."""
    before: Decimal | None = None
    for step in steps:
        if step.haircut != before:
            yield step
        before = step.haircut
