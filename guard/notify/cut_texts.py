"""What is told of a position of which the exchange took a part by force: it looks like an improvement, and is none."""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal

from guard.notify import wording
from guard.notify.texts import titled
from guard.policy.decision import AlertEvent, AlertKind
from guard.policy.message import Message
from guard.policy.phrases import short_name
from guard.policy.terms import Level
from guard.snapshot import EndKind, PositionEnding, PositionKey

_WORDS = {EndKind.LIQUIDATED: "LIQUIDATED IN PART", EndKind.DELEVERAGED: "DELEVERAGED IN PART"}
_HAPPENED = {
    EndKind.LIQUIDATED: "The exchange liquidated a part of it{when}: it did so to its loss, and the rest is open.",
    EndKind.DELEVERAGED: (
        "The exchange closed a part of it{when} to pay for somebody else's bankruptcy (auto-deleveraging)."
    ),
}
_TO_DO = {
    EndKind.LIQUIDATED: "To do: look at what is left. It stands further away only because it is smaller.",
    EndKind.DELEVERAGED: "To do: look at what it hedged.",
}


def cut_message(
    key: PositionKey,
    cut: PositionEnding,
    *,
    account: str,
    before: Decimal | None,
    quantity: Decimal,
    beside: PositionKey | None,
    now: datetime,
    new_id: Callable[[], str],
) -> Message:
    """Return that the exchange took a part of a position. `before`, `quantity`: contracts; `before` None: not known.

    `beside`: the other leg of its symbol, which is open. None: there is none.
    """
    at = f" at {wording.price(cut.price)}" if cut.price is not None else ""
    return Message(
        id=new_id(),
        alert=f"cut {account} {key} {now.isoformat(timespec='seconds')}",
        happened_at=cut.at or now,
        kind=AlertKind.ALERT.value,
        event=AlertEvent.FIRED.value,
        level=Level.CRITICAL,
        account=account,
        symbol=key.symbol,
        side=key.side.word,
        margin_mode=None,
        title=titled(f"{_WORDS[cut.kind]} {short_name(key)}{at}", account),
        text="\n".join(_lines(key, cut, account, before, quantity, beside)),
        facts={
            "cut": cut.kind.value,
            "evidence": cut.evidence,
            "quantity": {"before": None if before is None else f"{before:f}", "now": f"{quantity:f}"},
        },
    )


def _lines(  # noqa: PLR0917 - what the text says, in its order.
    key: PositionKey,
    cut: PositionEnding,
    account: str,
    before: Decimal | None,
    quantity: Decimal,
    beside: PositionKey | None,
) -> Iterator[str]:
    yield _HAPPENED[cut.kind].format(when=f" at {wording.clock(cut.at)}" if cut.at is not None else "")
    yield f"{'' if before is None else f'It had {before:f} contracts. '}{quantity:f} contracts are left."
    if beside is not None:
        yield f"{beside} is open beside it: look whether the two still cover each other."
    yield f"{key}, account {account}."
    yield f"Seen in: {cut.evidence}."
    yield _TO_DO[cut.kind]
