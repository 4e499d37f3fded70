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
    before: Decimal  # The share that counted: 0.95 is 95 %.
    now: Decimal
    dollars: Decimal | None  # What one unit is worth. None: not known.
    moved: tuple[MovedLiquidation, ...]
    untold: tuple[PositionKey, ...]  # Cross positions that lean on it, of which nobody can say what it does.


def haircut_message(
    account: str, changed: Sequence[ChangedHaircut], *, now: datetime, new_id: Callable[[], str]
) -> Message:
    """Return that an exchange counts assets differently. A warning where something counts less than before."""
    moved = [one for asset in changed for one in asset.moved]
    nearer = [one for one in moved if one.came_nearer]
    less = any(asset.now < asset.before for asset in changed)
    named = ", ".join(f"{one.asset} {_percent(one.before)} → {_percent(one.now)}" for one in changed)
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
            "collateral": [{"asset": one.asset, "before": f"{one.before:f}", "now": f"{one.now:f}"} for one in changed],
            "moved": moved_facts(moved),
        },
    )


def _lines(one: ChangedHaircut) -> list[str]:
    gained = one.units * (one.now - one.before)
    word = "less" if gained < 0 else "more"
    shares = f"{_percent(one.before)} of yours before, {_percent(one.now)} now"
    lines = [f"The exchange changed how much of {one.asset} counts as margin: {shares}."]
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
