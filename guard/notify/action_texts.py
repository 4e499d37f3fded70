"""What is told of a top-up: made, only said, refused, unknown, and how an unknown one ended."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation

from guard.notify import wording
from guard.notify.texts import one_line
from guard.policy.decision import AlertEvent, AlertKind, TopUp
from guard.policy.message import Message
from guard.policy.phrases import short_name
from guard.policy.terms import Level, Mode
from guard.snapshot import DOLLAR_STABLECOINS, MarginMode, PositionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One top-up as it is told. `before` and `after` are the position's rows of `status --json`. Settle currency."""

    alert: str  # Stable over all messages about this top-up: its intent's id.
    account: str
    key: PositionKey
    level: Level  # The position's.
    happened_at: datetime  # When it was sent, or would have been.
    rule: str
    reason: str  # Why it was made: "distance 7.8 % is at or below the trigger 8 %".
    amount: Decimal
    currency: str
    dollars: Decimal  # What the amount counts in the limits that are in US dollars.
    before: Mapping[str, object] | None  # None: not known any more.
    after: Mapping[str, object] | None  # None: not read yet, or not applied. Not sent at all: as `expected` says.
    spent: Decimal | None = None  # On this position so far, this top-up included. None: not known.
    budget_left: Decimal | None = None  # For this position, after this top-up. None: not known.


def expected(before: Mapping[str, object], top_up: TopUp) -> dict[str, object]:
    """Return the row of a position as it would be after a top-up, at the present mark."""
    liquidation = top_up.liquidation_after
    return {
        **before,
        "distance": f"{top_up.distance_after:f}",
        "liquidation": "none" if liquidation is None else "at",
        "liquidation_price": None if liquidation is None else f"{liquidation:f}",
        "exchange_liquidation_price": None,  # The exchange says it only of what is.
    }


def _amount(act: Act) -> str:
    """Return the amount, and what it is in dollars where it is in a coin: limits by the day are in dollars."""
    amount = wording.required(act.amount, act.currency)
    return amount if act.currency in DOLLAR_STABLECOINS else f"{amount} ({wording.required(act.dollars, 'USD')})"


def action_message(act: Act, *, mode: Mode, new_id: Callable[[], str]) -> Message:
    """Return what was done; in every mode but `act`, what would have been done."""
    amount = wording.required(act.amount, act.currency)
    is_done = mode is Mode.ACT
    title = f"{'ADDED' if is_done else 'WOULD ADD'} {amount} to {short_name(act.key)}{_effect_in_title(act)}"
    lines = [
        f"guard {'added' if is_done else 'would add'} {_amount(act)} of margin: {act.reason}.",
        _who(act),
        *_before_and_after(act),
        *_budget(act),
        _after_it(act) if is_done else f"Mode {mode.word}: nothing was sent. To do: add it yourself, or let guard act.",
    ]
    return _message(act, AlertKind.ACTION, AlertEvent.FIRED, title, lines, new_id=new_id)


def refused_message(act: Act, *, answer: str, new_id: Callable[[], str]) -> Message:
    """Return the exchange's clear no: no money moved. `answer` is the exchange's own words."""
    amount = wording.required(act.amount, act.currency)
    lines = [
        f"The exchange refused to add {_amount(act)}: {answer}",
        "No money moved, and the budget has it back.",
        _who(act),
        *_before_and_after(act),
        *_budget(act),
        "To do: add margin yourself or make the position smaller if it is near; read the exchange's words above.",
    ]
    title = f"REFUSED: {amount} for {short_name(act.key)}{_distance_now(act)}"
    return _message(act, AlertKind.REFUSED, AlertEvent.FIRED, title, lines, new_id=new_id)


def unknown_message(act: Act, *, settled_by: datetime, repeated: bool = False, new_id: Callable[[], str]) -> Message:
    """Return that the answer to a top-up was lost. `settled_by` is the fence: then the exchange's history decides."""
    asked_at = wording.clock(act.happened_at)
    amount = wording.required(act.amount, act.currency)
    lines = [
        f"guard asked to add {_amount(act)}; the answer was lost. The money may have moved.",
        _who(act),
        f"Locked: {act.key}. guard sends it nothing until this is settled; other positions go on. It counts as spent.",
        f"Next: guard reads the exchange's margin history, by {wording.clock(settled_by)} it can be decided.",
        *_before_and_after(act),
        *_budget(act),
        f"To do: look for it in the exchange's margin history, {act.amount:f} {act.currency} at {asked_at}.",
        "Do not add the same again before you know.",
    ]
    event = AlertEvent.REPEATED if repeated else AlertEvent.FIRED
    title = f"{'STILL ' if repeated else ''}OUTCOME UNKNOWN: {amount} for {short_name(act.key)}{_distance_now(act)}"
    return _message(act, AlertKind.UNKNOWN_OUTCOME, event, title, lines, new_id=new_id)


def settled_message(
    act: Act, *, applied: bool, evidence: str, new_id: Callable[[], str], settled_at: datetime | None = None
) -> Message:
    """Return how an unknown top-up ended. `evidence` is the history entry, or that there is none.

    With `settled_at` it is news of that moment; None: of the moment when it was sent, so a late one reads as delayed.
    """
    amount = wording.required(act.amount, act.currency)
    ended = "was added" if applied else "was not added"
    lines = [
        f"The lost answer is settled: {_amount(act)} {ended}.",
        f"Evidence: {evidence}",
        f"It was asked for at {wording.clock(act.happened_at)}.",
        _who(act),
        *_before_and_after(act),
        *_budget(act),
        f"{act.key} is unlocked{'' if applied else ', the budget has the money back'}. Nothing to do.",
    ]
    title = f"SETTLED: {amount} {ended} to {short_name(act.key)}{_effect_in_title(act)}"
    told = replace(act, happened_at=settled_at or act.happened_at)
    return _message(told, AlertKind.UNKNOWN_OUTCOME, AlertEvent.RESOLVED, title, lines, new_id=new_id)


def _message(
    act: Act, kind: AlertKind, event: AlertEvent, title: str, lines: list[str], *, new_id: Callable[[], str]
) -> Message:
    return Message(
        id=new_id(),
        alert=act.alert,
        happened_at=act.happened_at,
        kind=kind.value,
        event=event.value,
        level=act.level,
        account=act.account,
        symbol=act.key.symbol,
        side=act.key.side.word,
        margin_mode=MarginMode.ISOLATED.value,  # Only isolated positions are ever topped up.
        title=one_line(f"{title} — {act.account}"),
        text="\n".join(lines),
        facts={
            "rule": act.rule,
            "reason": act.reason,
            "amount": f"{act.amount:f}",
            "currency": act.currency,
            "before": None if act.before is None else dict(act.before),
            "after": None if act.after is None else dict(act.after),
        },
    )


def _who(act: Act) -> str:
    return f"{act.key}, isolated, account {act.account}, rule {act.rule}."


def _effect_in_title(act: Act) -> str:
    before, after = _figure(act.before, "distance"), _figure(act.after, "distance")
    if before is None or after is None:
        return ""
    return f": {wording.distance(before)} → {wording.distance(after)}"


def _distance_now(act: Act) -> str:
    distance = _figure(act.before, "distance")
    return "" if distance is None else f", {wording.distance(distance)} from liquidation"


def _before_and_after(act: Act) -> Iterator[str]:
    for name, row in (("Before", act.before), ("After", act.after)):
        mark, liquidation = _figure(row, "mark_price"), _figure(row, "liquidation_price")
        distance = _figure(row, "distance")
        if mark is None or liquidation is None or distance is None:
            continue
        at = wording.liquidation_price(liquidation, mark=mark)
        theirs = _figure(row, "exchange_liquidation_price")
        said = "" if theirs is None else f", the exchange says {wording.liquidation_price(theirs, mark=mark)}"
        yield f"{name}: {wording.distance(distance)} away, liquidation {at}{said}, mark {wording.price(mark)}."


def _budget(act: Act) -> Iterator[str]:
    if act.spent is not None:
        yield f"Spent on it so far: {wording.required(act.spent, act.currency)}."
    if act.budget_left is not None:
        yield f"Budget left for it: {wording.free(act.budget_left, act.currency)}."


def _after_it(act: Act) -> str:
    """Say what is left to do once it is made: whoever sleeps on must know whether guard could do it again."""
    if act.budget_left is not None and act.budget_left <= 0:
        return "To do: decide what happens if it falls on. Its budget is used up, guard will not add again."
    return "Nothing to do."


def _figure(row: Mapping[str, object] | None, field: str) -> Decimal | None:
    """Return a decimal string of a row. None: not in it, or not known."""
    value = None if row is None else row.get(field)
    if not isinstance(value, str):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None
