"""What is told of money that moved without this journal knowing of it, and of a past that cannot be known."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from guard.notify import wording
from guard.notify.guard_texts import of_guard
from guard.policy.decision import AlertKind
from guard.policy.message import Message
from guard.policy.phrases import short_name
from guard.policy.terms import Level
from guard.snapshot import MarginChange, PositionKey

_LISTED_MAX = 5


def additions_message(account: str, changes: Sequence[MarginChange], *, new_id: Callable[[], str]) -> Message:
    """Return that margin was added which no intent of this journal explains, and that it counts as spent."""
    count = "1 addition" if len(changes) == 1 else f"{len(changes)} additions"
    since = wording.clock(min(change.at for change in changes))
    lines = [
        f"{count} of together {_total(changes)} since {since} that this journal does not know: counted as spent.",
        *(f"{short_name(key)}: {_total(mine)}" for key, mine in _by_position(changes)[:_LISTED_MAX]),
        "Made by hand, by another guard, or the journal is an old copy.",
        "To do: nothing if it was you. If not, look who else holds a key of this account.",
    ]
    return of_guard(
        AlertKind.ALERT,
        alert=f"additions {account} {min(change.entry_id for change in changes)}",
        title=f"{count} of {_total(changes)} not made by guard, counted as spent — {account}",
        lines=lines,
        level=Level.WARN,
        happened_at=max(change.at for change in changes),
        facts={"additions": [_row(change) for change in changes]},
        new_id=new_id,
        account=account,
    )


def rival_message(
    account: str, theirs: MarginChange, *, ours: Decimal, now: datetime, new_id: Callable[[], str]
) -> Message:
    """Return that somebody else added margin to a position together with us, and that guard stops acting on it."""
    added = wording.required(theirs.amount, theirs.currency)
    lines = [
        f"{added} was added to {theirs.key} at {wording.clock(theirs.at)}, and not by this guard.",
        f"It added {wording.required(ours, theirs.currency)} itself at the same time.",
        "Is another guard running on this account? Two of them spend two budgets.",
        f"guard adds nothing more to {theirs.key} until `guard arm {account}`. Other positions go on.",
        f"To do: stop one of the two, then `guard arm {account}`. If it was your own hand: `guard arm {account}`.",
    ]
    return of_guard(
        AlertKind.ALERT,
        alert=f"rival {account} {theirs.entry_id}",
        title=f"IS ANOTHER GUARD RUNNING? {short_name(theirs.key)} gets no more from this one — {account}",
        lines=lines,
        level=Level.CRITICAL,
        happened_at=now,
        facts={"additions": [_row(theirs)]},
        new_id=new_id,
        account=account,
    )


def watching_only_message(account: str, because: str, *, now: datetime, new_id: Callable[[], str]) -> Message:
    """Return that an account spends nothing for its past is not known. `because` says until when or what."""
    return of_guard(
        AlertKind.ALERT,
        alert=f"past {account}",
        title=f"NO TOP-UPS YET: what was spent before is not known — {account}",
        lines=[
            f"guard is {because}.",
            "It watches and tells as always, and adds no margin.",
            f"To do: if you know that the limits still hold, `guard arm {account}`.",
        ],
        level=Level.WARN,
        happened_at=now,
        facts={"reason": because},
        new_id=new_id,
        account=account,
    )


def _by_position(changes: Sequence[MarginChange]) -> list[tuple[PositionKey, list[MarginChange]]]:
    found: defaultdict[PositionKey, list[MarginChange]] = defaultdict(list)
    for change in changes:
        found[change.key].append(change)
    return sorted(found.items(), key=lambda item: str(item[0]))


def _total(changes: Sequence[MarginChange]) -> str:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for change in changes:
        sums[change.currency] += change.amount
    return " and ".join(wording.required(amount, currency) for currency, amount in sorted(sums.items()))


def _row(change: MarginChange) -> dict[str, object]:
    return {
        "symbol": change.key.symbol,
        "side": change.key.side.word if change.side_known else None,
        "amount": f"{change.amount:f}",
        "currency": change.currency,
        "at": change.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
