"""Settling a lost answer where an exchange keeps no history of margin: by what the position holds now and held before.

The difference must be the amount, or nothing, and everything else that moves a position's margin must be ruled out: a
changed size or entry, another request in doubt, a funding payment as large as the amount. What is left is unknown, and
the figures are shown to a person.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from guard.margin import contract_value
from guard.snapshot import MarginBefore, MarginMode, MarginRequest, Outcome, Position, Settlement

FUNDING_RATE_MAX = Decimal("0.04")  # The highest cap of one payment at the exchanges that settle this way.
ROUNDING = Decimal("0.000001")  # Of the margin: the exchange's own rounding of it.


async def settle_by_margin(
    request: MarginRequest,
    read: Callable[[], Awaitable[Position | None]],
    *,
    sent_at: datetime,
    now: datetime,
    fence: timedelta,
    reserve_rate: Decimal = Decimal(0),
    read_funding: Callable[[datetime], Awaitable[Decimal]] | None = None,
) -> Settlement:
    """Return what the position's margin says of a request. NOT_APPLIED only after the fence and by two readings.

    `read` reads the position anew; None: it is not there, and that is known. `reserve_rate`: the share of what is added
    that the exchange may show elsewhere, as a reserve for the fee to close. `read_funding` returns what the exchange's
    records say that funding moved into the position's margin since a moment; None: it keeps no such records, and every
    full hour may have brought one payment.
    """
    before = request.before
    if before is None:
        return _unknown("what the position held before is not known")
    over = sent_at + fence
    settlement = _unknown("")
    for reading in (1, 2):
        funding = None if read_funding is None else await read_funding(before.read_at)
        settlement = _judged(request, before, await read(), funding, now=now, reserve_rate=reserve_rate)
        if settlement.outcome is not Outcome.NOT_APPLIED:
            return settlement
        if reading == 1 and now < over:
            return _unknown(f"{settlement.evidence}; it may still be executed until {over:%H:%M:%S} UTC")
    return settlement


def _judged(
    request: MarginRequest,
    before: MarginBefore,
    position: Position | None,
    funding: Decimal | None,
    *,
    now: datetime,
    reserve_rate: Decimal,
) -> Settlement:
    """Return what one reading says, the fence aside."""
    obstacle = _obstacle(before, position)
    if obstacle or position is None or position.isolated_wallet is None or before.added_since is None:
        return _unknown(obstacle)
    moved = position.isolated_wallet - before.margin - before.added_since - (funding or 0)
    slack = max(before.margin, position.isolated_wallet) * ROUNDING + request.amount * reserve_rate
    if funding is None:
        slack += _funding_max(position, before.read_at, now)
    text = "".join(
        (
            f"its margin went from {before.margin:f} to {position.isolated_wallet:f} {request.currency}",
            f", {before.added_since:f} of it by other top-ups" if before.added_since else "",
            f", {funding:f} of it by funding" if funding else "",
            f"; {request.amount:f} were sent",
        )
    )
    if 2 * slack >= request.amount:
        return _unknown(f"{text}, and funding may have moved as much")
    if abs(moved - request.amount) <= slack:
        return Settlement(outcome=Outcome.APPLIED, evidence=text)
    return Settlement(outcome=Outcome.NOT_APPLIED if abs(moved) <= slack else Outcome.UNKNOWN, evidence=text)


def _obstacle(before: MarginBefore, position: Position | None) -> str:
    """Return why the difference of margin says nothing; empty when it does."""
    if before.added_since is None:
        return "another request of the same position is in doubt as well"
    if position is None:
        return "the position is not there any more"
    if position.margin_mode is not MarginMode.ISOLATED:
        return "it is not isolated any more"
    if position.isolated_wallet is None:
        return "what margin it holds is not known"
    if (position.quantity, position.entry_price) != (before.quantity, before.entry_price):
        return (
            f"the position changed meanwhile, from {before.quantity:f} at {before.entry_price:f} "
            f"to {position.quantity:f} at {position.entry_price:f}"
        )
    return ""


def _funding_max(position: Position, since: datetime, now: datetime) -> Decimal:
    """Return the most that funding can have moved: a payment at every full hour, which may be booked a bit late."""
    payments = (_hour(now) - _hour(since - timedelta(minutes=1))) // timedelta(hours=1)
    return contract_value(position.contract, position.quantity, position.mark_price) * FUNDING_RATE_MAX * payments


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _unknown(evidence: str) -> Settlement:
    return Settlement(outcome=Outcome.UNKNOWN, evidence=evidence)
