"""How values stand in columns: money as decimal text, moments as fixed-width ISO 8601 UTC text, sides as words."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from guard.policy.terms import Level
from guard.snapshot import PositionKey, Side

ALL_ACCOUNTS = "*"  # In the column of an account: every one, those of a later config included.


def money_text(amount: Decimal) -> str:
    """Return an amount as plain decimal digits. Text keeps every digit; SQLite's REAL would not."""
    assert amount.is_finite()
    return f"{amount:f}"


def money_text_or_none(amount: Decimal | None) -> str | None:
    return None if amount is None else money_text(amount)


def money_or_none(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def time_text(at: datetime) -> str:
    """Return a moment as text of one width, so that comparing text compares moments."""
    assert at.tzinfo is not None
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_text_or_none(at: datetime | None) -> str | None:
    return None if at is None else time_text(at)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


def key_of(symbol: str, side: str) -> PositionKey:
    return PositionKey(symbol, Side.LONG if side == Side.LONG.word else Side.SHORT)


def level_of(word: str) -> Level:
    return Level[word.upper()]


def first_row(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
) -> Any:
    """Return the first row; None: there is none. All are read, for an open statement keeps its tables locked."""
    return next(iter(connection.execute(sql, parameters).fetchall()), None)
