"""What was seen last of a position, and the marks since: written down when it is gone, for the report of its end."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from guard.config.written_account import accounts_of_book
from guard.daemon.reader import AccountReader
from guard.daemon.spare_time import SpareTime
from guard.errors import KeysRefused, VenueUnavailable
from guard.journal import Journal
from guard.journal.records import LAST_SEEN
from guard.margin import decimal_text
from guard.margin.books import Book, book_of
from guard.notify import wording
from guard.policy.decision import Decision, PositionVerdict
from guard.policy.rows import position_row
from guard.snapshot import Mark, PositionKey

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """A position as it was last listed. `worst` is the mark furthest against it since then, that one included."""

    at: datetime
    verdict: PositionVerdict
    decision: Decision
    worst: Mark


class Witness:
    """Remembers one account's positions as they were last listed, until their end is written down."""

    def __init__(self, reader: AccountReader, journal: Journal, spare_time: SpareTime) -> None:
        self._reader = reader
        self._spare_time = spare_time
        self._journal = journal
        self._seen: dict[PositionKey, _Sight] = {}

    def look(self, decision: Decision) -> None:
        """Take up what this cycle lists, and the marks of what it does not list any more."""
        assessment = decision.assessment
        if assessment is None:
            return
        at = assessment.snapshot.positions_read_at
        listed = {verdict.key: verdict for verdict in decision.positions}
        for key, verdict in listed.items():
            mark = Mark(symbol=key.symbol, price=verdict.figures.position.mark_price, at=at)
            self._seen[key] = _Sight(at=at, verdict=verdict, decision=decision, worst=mark)
        for key in self._seen.keys() - listed.keys():
            self._follow(key)

    async def write_down(self, ended: Iterable[PositionKey], now: datetime, until_s: float) -> None:
        """Write what was seen last of positions that are gone, with one more look at their mark until a loop time.

        Raises JournalError. What this process never saw has nothing to be written.
        """
        for key in ended:
            if key not in self._seen:
                continue
            await self._read_mark(key.symbol, until_s)
            self._follow(key)
            sight = self._seen.pop(key)
            data = json.dumps(_document(sight), separators=(",", ":"))
            self._journal.event(now, self._reader.venue.account, LAST_SEEN, str(key), _text(sight), data)

    async def _read_mark(self, symbol: str, until_s: float) -> None:
        """Read how the market stands now; without an answer the marks seen so far must do."""
        try:
            async with self._spare_time.until(until_s):
                await self._reader.read_mark(symbol)
        except (TimeoutError, VenueUnavailable, KeysRefused) as error:
            log.info("mark.not_read", symbol=symbol, reason=str(error) or "no answer in time")

    def _follow(self, key: PositionKey) -> None:
        sight = self._seen[key]
        mark = self._reader.mark_since(key.symbol, sight.at)
        if mark is not None and (mark.price - sight.worst.price) * key.side < 0:
            self._seen[key] = replace(sight, worst=mark)


def _document(sight: _Sight) -> dict[str, object]:
    assert sight.decision.assessment is not None
    position = sight.verdict.figures.position
    wallet = sight.decision.assessment.snapshot.wallet(*position.contract.purse)
    book = book_of(sight.decision.assessment)
    pools = tuple(pool for pool in book.pools if any(holding.key == position.key for holding in pool.holdings))
    return {
        "seen_at": _time(sight.at),
        "position": position_row(sight.verdict),
        "worst_mark": {"price": decimal_text(sight.worst.price), "at": _time(sight.worst.at)},
        "wallet": None
        if wallet is None
        else {
            "available": decimal_text(wallet.available),
            "equity": decimal_text(wallet.cross_wallet_balance + wallet.cross_unrealized_pnl),
        },
        "accounts": accounts_of_book(Book(pools=pools)),
    }


def _text(sight: _Sight) -> str:
    figures = sight.verdict.figures
    distance = "" if figures.distance is None else f", {wording.distance(figures.distance)} from liquidation"
    text = f"last listed at {wording.clock(sight.at)}, mark {wording.price(figures.position.mark_price)}{distance}"
    if sight.worst.price != figures.position.mark_price:
        text += f"; the mark went on to {wording.price(sight.worst.price)}"
    return text


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
