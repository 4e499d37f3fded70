"""What is told when an exchange changes its leverage brackets: which, and where liquidation lies now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from guard.notify import wording
from guard.notify.texts import titled
from guard.policy.decision import AlertEvent, AlertKind
from guard.policy.message import Message
from guard.policy.phrases import short_name
from guard.policy.terms import Level
from guard.snapshot import Liquidation, LiquidationKind, PositionKey

_ANSWERS = {
    LiquidationKind.PAST: "past it",
    LiquidationKind.NONE: "at no price",
    LiquidationKind.UNKNOWN: "not known",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedLiquidation:
    """Where a position was liquidated by the old brackets, and where it is by the new ones, at the same mark."""

    key: PositionKey
    mark: Decimal
    before: Liquidation
    after: Liquidation

    @property
    def came_nearer(self) -> bool:
        if self.before.price is None or self.after.price is None:
            return self.after.kind is LiquidationKind.PAST or self.before.kind is LiquidationKind.NONE
        return (self.after.price - self.before.price) * self.key.side > 0


def brackets_message(
    account: str,
    symbols: Sequence[str],
    moved: Sequence[MovedLiquidation],
    *,
    now: datetime,
    new_id: Callable[[], str],
) -> Message:
    """Return that an exchange changed brackets of symbols in use. `moved`: the positions it means something to."""
    nearer = [one for one in moved if one.came_nearer]
    named = symbols[0] if len(symbols) == 1 else f"{len(symbols)} symbols"
    effect = moved_shortly(nearer[0]) if nearer else "no liquidation came nearer"
    lines = [
        f"The exchange changed its leverage brackets of {', '.join(symbols)}.",
        *moved_lines(moved),
        *(() if moved else ("No liquidation price of yours moved by it.",)),
        f"Account {account}. guard goes by the new brackets from now on.",
        "To do: look at the distance of these positions." if nearer else "Nothing to do.",
    ]
    return Message(
        id=new_id(),
        alert=f"brackets {account} {now.isoformat(timespec='seconds')}",
        happened_at=now,
        kind=AlertKind.ALERT.value,
        event=AlertEvent.FIRED.value,
        level=Level.WARN if nearer else Level.WATCH,
        account=account,
        symbol=symbols[0] if len(symbols) == 1 else None,
        side=None,
        margin_mode=None,
        title=titled(f"BRACKETS CHANGED {named}: {effect}", account),
        text="\n".join(lines),
        facts={"moved": moved_facts(moved)},
    )


def moved_shortly(one: MovedLiquidation) -> str:
    return f"{short_name(one.key)} {_answer(one.before, one.mark)} → {_answer(one.after, one.mark)}"


def moved_lines(moved: Sequence[MovedLiquidation]) -> list[str]:
    return [
        f"{one.key}: liquidated at {_answer(one.before, one.mark)} before, at {_answer(one.after, one.mark)} now."
        for one in moved
    ]


def moved_facts(moved: Sequence[MovedLiquidation]) -> list[dict[str, str | None]]:
    return [
        {
            "symbol": one.key.symbol,
            "side": one.key.side.word,
            "before": None if one.before.price is None else f"{one.before.price:f}",
            "after": None if one.after.price is None else f"{one.after.price:f}",
        }
        for one in moved
    ]


def _answer(liquidation: Liquidation, mark: Decimal) -> str:
    if liquidation.price is not None:
        return wording.liquidation_price(liquidation.price, mark=mark)
    return _ANSWERS[liquidation.kind]
