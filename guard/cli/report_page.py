"""A report as lines of at most 80 columns: read half asleep, on any terminal, or pasted into a message."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from guard.config.account_file import read_account_text
from guard.errors import ConfigError
from guard.journal.records import HistoryRow
from guard.journal.reports import Attempt, Told
from guard.margin.books import BookPool, Holding
from guard.notify import wording
from guard.snapshot import PositionKey

COLUMNS = 80
_LEAD = 14

Row = Mapping[str, object]


class Page:
    """Lines in the making."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def heading(self, text: str) -> None:
        if self.lines:
            self.lines.append("")
        self.lines += textwrap.wrap(text, COLUMNS)

    def field(self, name: str, text: str | None) -> None:
        """Add a named figure. None: it has none, and no line."""
        if text is not None:
            self._hang(f"  {name:<{_LEAD}} ", text)

    def at(self, moment: datetime, text: str) -> None:
        self._hang(f"  {moment:%H:%M:%S}  ", text)

    def say(self, text: str) -> None:
        self._hang("  ", text)

    def item(self, text: str) -> None:
        self._hang("  - ", text)

    def told(self, messages: Iterable[Told]) -> None:
        for one in messages:
            self.at(one.created_at, one.message.title)
            for attempt in one.attempts:
                self._hang("            ", delivery(attempt, one.created_at))
            if not one.attempts:
                self._hang("            ", "no channel asked for this level")

    def _hang(self, lead: str, text: str) -> None:
        rest = " " * len(lead)
        self.lines += textwrap.wrap(text, COLUMNS, initial_indent=lead, subsequent_indent=rest) or [lead.rstrip()]


def delivery(attempt: Attempt, since: datetime) -> str:
    """Return how a message fared on a channel, in words."""
    tries = "" if attempt.attempts <= 1 else f" at try {attempt.attempts}"
    error = "" if attempt.error is None else f": {attempt.error}"
    if attempt.ended_at is None:
        return f"{attempt.channel}: NOT delivered yet, {attempt.attempts} tries{error}"
    if attempt.state == "delivered":
        after = max(0.0, (attempt.ended_at - since) / timedelta(seconds=1))
        among = "" if attempt.told_with is None else ", together with others in one message"
        return f"{attempt.channel}: delivered {wording.clock(attempt.ended_at)}, after {after:.1f} s{tries}{among}"
    return f"{attempt.channel}: GIVEN UP {wording.clock(attempt.ended_at)}{error}"


def figures(page: Page, row: Row) -> None:
    """Add what a row of `status --json` says of a position."""
    mark = figure(row, "mark_price")
    currency = str(row.get("currency", ""))
    page.field("mark", None if mark is None else wording.price(mark))
    page.field("liquidation", _liquidation(row, mark))
    distance, trigger = figure(row, "distance"), figure(row, "trigger")
    below = "" if trigger is None else f" (trigger in force {wording.distance(trigger)})"
    page.field("distance", "not known" if distance is None else f"{wording.distance(distance)}{below}")
    for name, key in (("own margin", "isolated_wallet"), ("budget left", "budget_left")):
        amount = figure(row, key)
        page.field(name, None if amount is None else wording.free(amount, currency))
    page.field("level", f"{row.get('level')}: {row.get('reason')}")
    page.field("withheld", None if row.get("withheld") is None else str(row["withheld"]))


def _liquidation(row: Row, mark: Decimal | None) -> str:
    ours, theirs = figure(row, "liquidation_price"), figure(row, "exchange_liquidation_price")
    near = mark if mark is not None else Decimal(0)
    said = str(row.get("liquidation")) if ours is None else wording.liquidation_price(ours, mark=near)
    exchange = "says none" if theirs is None else wording.liquidation_price(theirs, mark=near)
    return f"{said} by our model, exchange {exchange}"


def ages(known: Mapping[str, object] | None) -> str:
    """Return how old the facts were, in words."""
    if not known:
        return "not written down"
    return ", ".join(f"{name} {'with them' if age is None else f'{age} s'}" for name, age in known.items())


def figure(row: Row | None, name: str) -> Decimal | None:
    """Return a decimal string of a row. None: not in it, or not known."""
    value = None if row is None else row.get(name)
    try:
        return Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None


def withheld_of(told: Sequence[Told]) -> list[tuple[datetime, str]]:
    """Return each reason for which money was withheld, as told, when it first was."""
    found: dict[str, datetime] = {}
    for one in told:
        reason = one.message.facts.get("withheld")
        if isinstance(reason, str):
            found.setdefault(reason, one.message.happened_at)
    return [(at, reason) for reason, at in found.items()]


def held_in(accounts: str, key: PositionKey) -> tuple[BookPool, Holding] | None:
    """Return a position and its pool as a look has them. None: it is not in it, or could not be modelled."""
    try:
        written = read_account_text(accounts, "a look in the journal")
    except ConfigError:
        return None
    pools = (pool for account in written.accounts for pool in account.book.pools)
    return next(((pool, one) for pool in pools for one in pool.holdings if one.key == key), None)


def told_document(told: Iterable[Told]) -> list[dict[str, object]]:
    return [
        {
            "id": one.message.id,
            "alert": one.message.alert,
            "at": time_text(one.created_at),
            "kind": one.message.kind,
            "event": one.message.event,
            "level": one.message.level.word,
            "title": one.message.title,
            "text": one.message.text,
            "deliveries": [
                {
                    "channel": attempt.channel,
                    "state": attempt.state,
                    "attempts": attempt.attempts,
                    "at": time_text(attempt.ended_at),
                    "error": attempt.error,
                    "told_with": attempt.told_with,
                }
                for attempt in one.attempts
            ],
        }
        for one in told
    ]


def time_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def events_document(events: Iterable[HistoryRow]) -> list[dict[str, object]]:
    return [{"at": time_text(row.at), "kind": row.kind, "subject": row.subject, "text": row.text} for row in events]
