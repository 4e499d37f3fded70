"""A journal without a past: what was spent before is rebuilt from the exchange's own adjustment history (law 2).

All margin that users or keys added counts as ours, hand-made additions included: to spend too
little is safer than to spend too much.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from guard.journal.arming import Arming, write_past
from guard.journal.columns import money_text, money_text_or_none, time_text
from guard.journal.history import add_event
from guard.journal.intents import ALSO_COUNTED
from guard.journal.lives import INHERITS_WITHIN, Lives, open_budget
from guard.snapshot import MarginChange, PositionKey

SIDE_NOT_KNOWN = "(side not known)"  # In place of a rule's name.


class Past(Lives, Arming):
    def rebuild(
        self,
        account: str,
        changes: Sequence[MarginChange],
        *,
        opened: Mapping[PositionKey, datetime | None],
        complete: bool,
        closed_seen: bool,
        dollars_of: Callable[[MarginChange], Decimal | None],
        rule_of: Callable[[PositionKey], str | None],
        now: datetime,
        exchange_now: datetime,
    ) -> None:
        """Take over what was added before this journal knew the account; nothing is done where it knows the account.

        `opened` holds every open position and when it was opened (None: not known, all its additions count).
        `complete`: the history reaches back to every opening and over the last 24 h. If it does not, or an addition of
        the last 24 h has no dollar price, the account only watches until `guard arm`. `closed_seen`: positions that
        were closed in the last 24 h are in it, too. If they are not, the account watches for 24 h: then what went into
        them is in no limit any more.
        """
        if not self.needs_rebuild(account):
            return
        day_ago = exchange_now - INHERITS_WITHIN
        counted = [change for change in changes if _counts(change, opened, day_ago)]
        unpriced = [change for change in counted if change.at > day_ago and dollars_of(change) is None]
        with self._write(now) as connection:
            for change in counted:
                is_kept = any(key in opened for key in change.may_be_of())
                take_over(
                    connection, account, change, dollars_of(change), rule_of, keeps=is_kept, found_at=exchange_now
                )
            state, because = _verdict(counted, complete=complete, unpriced=unpriced)
            until = None
            if state == "known" and not closed_seen:
                state, until = "watch_only", exchange_now + INHERITS_WITHIN
                because = f"{because}; what went into positions closed in the last 24 h cannot be learned"
            write_past(connection, account, state, exchange_now, because, until)
            add_event(connection, now, account, "past.rebuilt", account, because)


def take_over(
    connection: sqlite3.Connection,
    account: str,
    change: MarginChange,
    dollars: Decimal | None,
    rule_of: Callable[[PositionKey], str | None],
    *,
    keeps: bool,
    found_at: datetime,
) -> None:
    """Write an addition of which no intent tells, as spent. `keeps`: it belongs to the position that is open now.

    Where its side is not known it counts for either position, and once in the daily limits: under the rule that both
    sides have, else under a name that no rule bears, which counts for each. The side that is not open had it at latest
    when it was found: what opens there within 24 h of that goes on with it.
    """
    rules = {rule_of(key) for key in change.may_be_of()}
    rule = rules.pop() if len(rules) == 1 else SIDE_NOT_KNOWN
    for key in change.may_be_of():
        is_first = key == change.key
        budget_id = open_budget(connection, account, key) if keeps else None
        if keeps and is_first and budget_id is None:
            # A name of its own: one that an earlier life took over ended with it. They are one when a life goes on.
            budget_id = f"rebuilt {account} {key} {change.entry_id}"
        connection.execute(
            "INSERT INTO rebuilt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                account,
                change.entry_id if is_first else f"{change.entry_id}|{key.side.word}{ALSO_COUNTED}",
                key.symbol,
                key.side.word,
                budget_id,
                rule,
                money_text(change.amount),
                change.currency,
                money_text_or_none(dollars if is_first else Decimal(0)),
                time_text(change.at if is_first or not keeps else found_at),
            ),
        )


def _counts(change: MarginChange, opened: Mapping[PositionKey, datetime | None], day_ago: datetime) -> bool:
    if not change.by_user or change.amount <= 0:  # Margin that was taken out again gives no budget back.
        return False
    if change.at > day_ago:
        return True
    # What was added in the 24 h before the opening went into a life that ended in them: this one inherits.
    openings = [opened[key] for key in change.may_be_of() if key in opened]
    return any(opened_at is None or change.at >= opened_at - INHERITS_WITHIN for opened_at in openings)


def _verdict(counted: Sequence[MarginChange], *, complete: bool, unpriced: Sequence[MarginChange]) -> tuple[str, str]:
    found = f"{len(counted)} additions of margin found in the exchange's history"
    if not complete:
        return "watch_only", f"{found}, which does not reach back far enough to know all that was spent"
    if unpriced:
        return "watch_only", f"{found}; {unpriced[0].currency} has no dollar price for the daily limits"
    return "known", found
