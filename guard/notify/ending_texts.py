"""What is told of a position that is gone: how the exchange's fills say that it ended, and what that means now."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from guard.notify import wording
from guard.notify.texts import it_hedged, stands_alone, titled
from guard.policy.decision import AlertEvent, AlertKind
from guard.policy.message import Message
from guard.policy.phrases import short_name
from guard.policy.terms import Level
from guard.snapshot import EndKind, PositionEnding, PositionKey

_WORDS = {
    EndKind.CLOSED: "CLOSED",
    EndKind.LIQUIDATED: "LIQUIDATED",
    EndKind.DELEVERAGED: "DELEVERAGED",
    EndKind.UNKNOWN: "GONE",
}

_HAPPENED = {
    EndKind.CLOSED: "It was closed by orders of this account{when}.",
    EndKind.LIQUIDATED: "The exchange liquidated it{when}. Its margin is lost.",
    EndKind.DELEVERAGED: ("The exchange closed it{when} to pay for somebody else's bankruptcy (auto-deleveraging)."),
    EndKind.UNKNOWN: "It is not listed any more, and the exchange does not say how it ended.",
}
_TO_DO = {
    EndKind.CLOSED: "To do: nothing, if you or your bot closed it.",
    EndKind.LIQUIDATED: (
        "To do: look at what is left in the account. `guard history --report '{key}'` shows what was done, and which "
        "written limit would have saved it."
    ),
    EndKind.DELEVERAGED: "To do: open it again if you still want it; look at what it hedged.",
    EndKind.UNKNOWN: "To do: look at the order history at the exchange.",
}
_NOT_YET = "How it ended is not known yet: it is told as soon as the exchange says so."


def lone_leg_message(
    key: PositionKey, other: PositionKey, *, account: str, now: datetime, new_id: Callable[[], str]
) -> Message:
    """Return that a leg is gone and the other of its symbol stands alone, while nobody knows how it ended."""
    return _message(
        key,
        title=f"{_WORDS[EndKind.UNKNOWN]} {short_name(key)}{stands_alone(other)}",
        lines=(it_hedged(other), f"{key}, account {account}.", _NOT_YET, _TO_DO[EndKind.UNKNOWN]),
        level=Level.WARN,
        account=account,
        happened_at=now,
        now=now,
        new_id=new_id,
        facts={"ended": EndKind.UNKNOWN.value, "evidence": ""},
    )


def ending_message(
    key: PositionKey,
    ending: PositionEnding,
    *,
    account: str,
    lost_hedge_of: PositionKey | None,
    is_open_again: bool = False,
    now: datetime,
    new_id: Callable[[], str],
) -> Message:
    """Return how a position ended. `lost_hedge_of`: the other leg of its symbol, which is open on its own now.

    `is_open_again`: what is open at the same place now is another one.
    """
    forced = ending.kind in {EndKind.LIQUIDATED, EndKind.DELEVERAGED}
    at = f" at {wording.price(ending.price)}" if ending.price is not None else ""
    unknown = ", how it ended is not known" if ending.kind is EndKind.UNKNOWN else ""
    bare = stands_alone(lost_hedge_of) if lost_hedge_of is not None else ""
    again = ", another is open" if is_open_again else ""
    return _message(
        key,
        title=f"{_WORDS[ending.kind]} {short_name(key)}{at}{unknown}{bare}{again}",
        lines=_lines(key, ending, account, lost_hedge_of, is_open_again=is_open_again),
        level=Level.CRITICAL if forced else Level.WARN,
        account=account,
        happened_at=ending.at or now,
        now=now,
        new_id=new_id,
        facts={"ended": ending.kind.value, "evidence": ending.evidence},
    )


def _message(
    key: PositionKey,
    *,
    title: str,
    lines: Iterable[str],
    level: Level,
    account: str,
    happened_at: datetime,
    now: datetime,
    new_id: Callable[[], str],
    facts: dict[str, object],
) -> Message:
    return Message(
        id=new_id(),
        alert=f"ended {account} {key} {now.isoformat(timespec='seconds')}",
        happened_at=happened_at,
        kind=AlertKind.VANISHED.value,
        event=AlertEvent.FIRED.value,
        level=level,
        account=account,
        symbol=key.symbol,
        side=key.side.word,
        margin_mode=None,
        title=titled(title, account),
        text="\n".join(lines),
        facts=facts,
    )


def _lines(
    key: PositionKey,
    ending: PositionEnding,
    account: str,
    lost_hedge_of: PositionKey | None,
    *,
    is_open_again: bool,
) -> Iterator[str]:
    yield _HAPPENED[ending.kind].format(when=f" at {wording.clock(ending.at)}" if ending.at is not None else "")
    if lost_hedge_of is not None:
        yield it_hedged(lost_hedge_of)
    if is_open_again:
        yield "This is of the one before: what is open there now was opened since."
    yield f"{key}, account {account}."
    yield f"Seen in: {ending.evidence}."
    yield _TO_DO[ending.kind].format(key=key)
