"""A journal without a past: what was spent before is learned from the exchange, once, before anything is spent."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import structlog

from guard.daemon.reader import AccountReader
from guard.journal import Journal
from guard.margin import contract_value
from guard.policy.rules import matching_rule
from guard.policy.terms import Terms
from guard.snapshot import DOLLAR_STABLECOINS, AccountSnapshot, MarginChange, Position

log = structlog.get_logger(__name__)

OPENING_SHOWN_FROM = Decimal("0.99")  # Of the initial margin: fees and funding may have taken a little.


async def rebuild_if_needed(reader: AccountReader, journal: Journal, terms: Terms, now: datetime) -> None:
    """Read the adjustment history of the open positions and hand it to the journal. Raises VenueUnavailable.

    Where the exchange keeps none the account only watches until `guard arm`.
    """
    snapshot = reader.snapshot
    if snapshot is None or not journal.needs_rebuild(terms.account):
        return
    kept = reader.venue.write_terms.history_kept
    changes = await reader.venue.margin_changes(None, now - kept) if kept else ()
    opened = {
        position.key: _opened_at(position, changes) for position in snapshot.positions if position.isolated_wallet
    }
    rules = {position.key: matching_rule(terms, position.key, position.margin_mode) for position in snapshot.positions}
    journal.rebuild(
        terms.account,
        changes,
        opened=opened,
        complete=bool(kept) and all(at is not None for at in opened.values()),
        dollars_of=lambda change: _dollars(change, snapshot),
        rule_of=lambda key: rule.name if (rule := rules.get(key)) else None,
        now=now,
    )
    log.info("past.rebuilt", account=terms.account, changes=len(changes), positions=len(opened))


def _opened_at(position: Position, changes: Sequence[MarginChange]) -> datetime | None:
    """Return from when on the history shows the whole position; None when it does not reach back to its opening.

    It does when the margin that trades moved in, less what they moved out, covers the initial margin of the present
    size. What goes out and in again of a position that is older than the history shows no opening.
    """
    traded = [change for change in changes if change.key == position.key and not change.by_user]
    if not traded or not position.leverage:
        return None
    initial_margin = contract_value(position.contract, position.quantity, position.entry_price) / position.leverage
    if sum(change.amount for change in traded) < initial_margin * OPENING_SHOWN_FROM:
        return None
    return traded[0].at


def _dollars(change: MarginChange, snapshot: AccountSnapshot) -> Decimal | None:
    if change.currency in DOLLAR_STABLECOINS:
        return change.amount
    marks = {position.contract.base: position.mark_price for position in snapshot.positions}
    mark = marks.get(change.currency)
    return None if mark is None else change.amount * mark
