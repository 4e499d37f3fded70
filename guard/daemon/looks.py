"""Which looks at an account are worth keeping, so that "why did my liquidation move?" has an answer days later."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from guard.config.written_account import accounts_of_book
from guard.journal import Journal
from guard.margin import AccountAssessment, PositionFigures
from guard.margin.books import book_of
from guard.snapshot import PositionKey

KEPT_EVERY = timedelta(hours=1)
MOVED_MIN = Decimal("0.005")  # Of the mark: so far a liquidation price may move without being worth a look.


class LookKeeper:
    """Keeps one account's looks: one an hour, and one whenever a liquidation has moved or positions came or went."""

    def __init__(self, journal: Journal, account: str) -> None:
        self._journal = journal
        self._account = account
        self._kept_at: datetime | None = None
        self._kept: Mapping[PositionKey, PositionFigures] = {}

    def keep(self, assessment: AccountAssessment, now: datetime) -> None:
        """Write this look down if it is worth it. Raises JournalError."""
        seen = {figures.key: figures for figures in assessment.positions if figures.leg is not None}
        is_due = self._kept_at is None or not timedelta(0) <= now - self._kept_at < KEPT_EVERY
        if not (is_due or seen.keys() != self._kept.keys() or any(map(self._has_moved, seen.values()))):
            return
        accounts = accounts_of_book(book_of(assessment))
        if accounts or self._kept:
            self._journal.keep_look(self._account, json.dumps(accounts, separators=(",", ":")), now)
        self._kept_at, self._kept = now, seen

    def _has_moved(self, figures: PositionFigures) -> bool:
        before, after = self._kept[figures.key].liquidation, figures.liquidation
        if before.price is None or after.price is None:
            return before.kind is not after.kind
        return abs(after.price - before.price) >= MOVED_MIN * figures.position.mark_price
