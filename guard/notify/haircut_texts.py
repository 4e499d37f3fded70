"""What is told when an exchange changes how much of an asset counts as margin: from what, to what, and what it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from guard.notify import wording
from guard.notify.bracket_texts import MovedLiquidation, moved_facts, moved_lines, moved_shortly
from guard.notify.texts import titled
from guard.policy.decision import AlertEvent, AlertKind
from guard.policy.message import Message
from guard.policy.terms import Level
from guard.snapshot import PositionKey

_HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedHaircut:
    """One asset of which another share counts now."""

    asset: str
    units: Decimal  # Of the account.
    before: (
        Decimal | None
    )  # The share that counted: 0.95 is 95 %. None: not known, for it hangs on what they are worth.
    now: Decimal | None  # None with `before`.
    dollars: Decimal | None  # What one unit is worth. None: not known.
    moved: tuple[MovedLiquidation, ...]
    untold: tuple[PositionKey, ...]  # Cross positions that lean on it, of which nobody can say what it does.


def haircut_message(
    account: str, changed: Sequence[ChangedHaircut], *, now: datetime, new_id: Callable[[], str]
) -> Message:
    """Return that an exchange counts assets differently. A warning where something counts less than before."""
    moved = [one for asset in changed for one in asset.moved]
    nearer = [one for one in moved if one.came_nearer]
    less = any(one.before is None or one.now is None or one.now < one.before for one in changed)
    named = ", ".join(map(_named, changed))
    effect = moved_shortly(nearer[0]) if nearer else "no liquidation came nearer, as far as it is told"
    return Message(
        id=new_id(),
        alert=f"haircuts {account} {now.isoformat(timespec='seconds')}",
        happened_at=now,
        kind=AlertKind.ALERT.value,
        event=AlertEvent.FIRED.value,
        level=Level.WARN if less else Level.WATCH,
        account=account,
        symbol=None,
        side=None,
        margin_mode=None,
        title=titled(f"COLLATERAL CHANGED {named}: {effect}", account),
        text="\n".join([*(line for one in changed for line in _lines(one)), *_end(account, less=less)]),
        facts={
            "collateral": [{"asset": one.asset, "before": _fact(one.before), "now": _fact(one.now)} for one in changed],
            "moved": moved_facts(moved),
        },
    )


def _named(one: ChangedHaircut) -> str:
    if one.before is None or one.now is None:
        return one.asset
    return f"{one.asset} {_percent(one.before)} → {_percent(one.now)}"


def _fact(share: Decimal | None) -> str | None:
    return None if share is None else f"{share:f}"


def _lines(one: ChangedHaircut) -> list[str]:
    what = f"The exchange changed how much of {one.asset} counts as margin"
    gained = Decimal(0)
    if one.before is None or one.now is None:
        lines = [f"{what}, and what yours are worth is not known: so neither is which part of them counts."]
    else:
        gained = one.units * (one.now - one.before)
        lines = [f"{what}: {_percent(one.before)} of yours before, {_percent(one.now)} now."]
    word = "less" if gained < 0 else "more"
    if gained:
        amount = (
            wording.required(abs(gained), one.asset)
            if one.dollars is None
            else wording.required(abs(gained) * one.dollars, "USD")
        )
        lines.append(f"Your {wording.free(one.units, one.asset)} count {amount} {word}.")
    lines += moved_lines(one.moved)
    if one.untold:
        lines.append(f"Not known by how much it moves: {', '.join(map(str, one.untold))}.")
    return lines


def _end(account: str, *, less: bool) -> list[str]:
    return [
        "The prices of now are the exchange's own, those of before what the old share would make of them.",
        f"Account {account}.",
        "To do: look at the distance of these positions." if less else "Nothing to do.",
    ]


def _percent(share: Decimal) -> str:
    return f"{(share * 100).quantize(_HUNDREDTH).normalize():f} %"
