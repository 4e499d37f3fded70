"""What is told of a position that is gone: how the exchange's fills say that it ended, and what that means now."""

from collections.abc import Callable, Iterator
from datetime import datetime

from guard.notify import wording
from guard.notify.texts import titled
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
    bare = f", {short_name(lost_hedge_of)} stands alone" if lost_hedge_of is not None else ""
    again = ", another is open" if is_open_again else ""
    return Message(
        id=new_id(),
        alert=f"ended {account} {key} {now.isoformat(timespec='seconds')}",
        happened_at=ending.at or now,
        kind=AlertKind.VANISHED.value,
        event=AlertEvent.FIRED.value,
        level=Level.CRITICAL if forced else Level.WARN,
        account=account,
        symbol=key.symbol,
        side=key.side.word,
        margin_mode=None,
        title=titled(f"{_WORDS[ending.kind]} {short_name(key)}{at}{unknown}{bare}{again}", account),
        text="\n".join(_lines(key, ending, account, lost_hedge_of, is_open_again=is_open_again)),
        facts={"ended": ending.kind.value, "evidence": ending.evidence},
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
        yield f"It hedged {lost_hedge_of}, which is open and unhedged now."
    if is_open_again:
        yield "This is of the one before: what is open there now was opened since."
    yield f"{key}, account {account}."
    yield f"Seen in: {ending.evidence}."
    yield _TO_DO[ending.kind].format(key=key)
