"""What is told of margin that guard did not move: changed by somebody else, or added by the exchange itself."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from guard.notify import wording
from guard.notify.guard_texts import of_guard
from guard.policy.decision import AlertKind
from guard.policy.message import Message
from guard.policy.phrases import short_name
from guard.policy.terms import Level
from guard.snapshot import Position, PositionKey


def margin_changed_message(
    account: str,
    position: Position,
    *,
    before: Decimal,
    since: datetime,
    distance: Decimal | None,
    now: datetime,
    new_id: Callable[[], str],
) -> Message:
    """Return that somebody else moved a position's margin. `before` and `since`: when it was last read otherwise.

    A warning where margin went away. `distance`: from liquidation now; None: not known.
    """
    margin, settle, key = position.isolated_wallet, position.contract.settle, position.key
    assert margin is not None, "only isolated margin is watched"
    fell = margin < before
    amount = wording.required(abs(margin - before), settle)
    word, done = ("FELL", "Taken out") if fell else ("ROSE", "Added")
    was, is_now = wording.required(before, settle), wording.required(margin, settle)
    lines = [
        f"It was {was} at {wording.clock(since)} and is {is_now} now, at the same size.",
        f"{done} by hand, by another program, or by a change of leverage. Not by guard, and more than funding is.",
        *([] if distance is None else [f"Liquidation is {wording.distance(distance)} away now."]),
        "guard plans by the margin of now. No limit counts this as spent.",
        "To do: nothing if it was you. If not, look who else holds a key of this account.",
    ]
    return of_guard(
        AlertKind.ALERT,
        alert=f"margin {account} {key} {now.isoformat(timespec='seconds')}",
        title=f"MARGIN OF {short_name(key)} {word} by {amount}, not by guard — {account}",
        lines=lines,
        level=Level.WARN if fell else Level.WATCH,
        happened_at=now,
        facts={
            "symbol": key.symbol,
            "side": key.side.word,
            "margin": {"before": f"{before:f}", "now": f"{margin:f}", "currency": settle},
        },
        new_id=new_id,
        account=account,
    )


def auto_margin_message(
    account: str, key: PositionKey, *, is_on: bool, now: datetime, new_id: Callable[[], str]
) -> Message:
    """Return that the exchange tops a position up by itself, so that guard does not; or does not any more."""
    name = short_name(key)
    if is_on:
        title = f"AUTO-MARGIN IS ON for {name}: guard adds nothing to it — {account}"
        lines = [
            f"The exchange itself adds margin to {key}, out of all that is free, near its liquidation.",
            "So guard adds none there: two that add would spend the wallet twice. It watches and tells as always.",
            "To do: switch auto-margin off at the exchange if your limits are to decide. Else nothing.",
        ]
    else:
        title = f"Auto-margin is off for {name}: your rules decide again — {account}"
        lines = [f"The exchange adds no margin to {key} by itself any more.", "Nothing to do."]
    return of_guard(
        AlertKind.ALERT,
        alert=f"auto-margin {account} {key} {now.isoformat(timespec='seconds')}",
        title=title,
        lines=lines,
        level=Level.WARN if is_on else Level.WATCH,
        happened_at=now,
        facts={"symbol": key.symbol, "side": key.side.word, "auto_margin": is_on},
        new_id=new_id,
        account=account,
    )
