"""Positions' lives, and what was spent in each: `max_per_position` holds for a life and for a re-entry within 24 h."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from guard.journal.columns import first_row, key_of, moment, money_or_none, money_text_or_none, time_text
from guard.journal.history import add_event
from guard.journal.intents import COUNTS_AS_SPENT, IS_OPEN, Intents
from guard.journal.records import HOW_IT_ENDED, Intent, IntentState
from guard.policy.memory import Legacy, Life
from guard.snapshot import PositionKey

INHERITS_WITHIN = timedelta(hours=24)
EFFECT_SOUGHT_WITHIN = timedelta(hours=1)  # Later, too much else may have moved the margin of the position.


# Budgets that a new life of the same key goes on with: of a life that ended lately, else of a rebuilt past.
_GOES_ON = (
    "SELECT symbol, side, budget_id FROM lives WHERE account = :account AND ended_at > :since UNION ALL "
    "SELECT symbol, side, budget_id FROM rebuilt WHERE account = :account AND budget_id IS NOT NULL "
    "AND budget_id NOT IN (SELECT budget_id FROM lives)"
)
# Rebuilt spending of positions that were closed by then: a new life takes it into its budget.
_UNCLAIMED = "SELECT * FROM rebuilt WHERE account = :account AND budget_id IS NULL AND at > :since"
# Acts on one-way positions whose effect was never seen on their own side: the exchange knows the symbol only.
_MAY_HAVE_TURNED = f"hedged = 0 AND (facts_after IS NULL OR missed IS NOT NULL) AND {COUNTS_AS_SPENT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What went into positions under one budget_id, in the settle currency, and when it was last tried."""

    spent: Decimal
    last_top_up_at: datetime | None


class Lives(Intents):
    def unexplained_ends(self, account: str, since: datetime) -> tuple[tuple[PositionKey, datetime], ...]:
        """Return the positions that ended lately and the times, where nothing says yet how they ended."""
        rows = self._rows(
            "SELECT symbol, side, ended_at FROM lives WHERE account = :account AND ended_at >= :since "
            "AND NOT EXISTS (SELECT 1 FROM events WHERE events.account = lives.account AND kind = :kind "
            "AND subject = lives.symbol || ' ' || lives.side AND events.at >= lives.ended_at) ORDER BY ended_at",
            {"account": account, "since": time_text(since), "kind": HOW_IT_ENDED},
        )
        return tuple((key_of(row["symbol"], row["side"]), moment(row["ended_at"])) for row in rows)

    def end_life(self, account: str, key: PositionKey, at: datetime, reason: str) -> None:
        """Write that a position is proven gone. Its open intents stay open; a re-entry within 24 h inherits."""
        with self._write(at) as connection:
            ended = connection.execute(
                "UPDATE lives SET ended_at = ?, end_reason = ? "
                "WHERE account = ? AND symbol = ? AND side = ? AND ended_at IS NULL",
                (time_text(self.clock(at)), reason, account, key.symbol, key.side.word),
            )
            if ended.rowcount:
                add_event(connection, at, account, "position.ended", str(key), reason)

    def open_lives(self, account: str) -> dict[PositionKey, Life]:
        """Return the lives of the positions believed open, with everything that counts as spent in them."""
        rows = self._rows("SELECT * FROM lives WHERE account = ? AND ended_at IS NULL", (account,))
        locked = {key for intent in self.open_intents(account) if intent.locks for key in intent.may_land_on()}
        lives = (_life_of(row, self._spending(row["budget_id"]), locked) for row in rows)
        return {life.key: life for life in lives}

    def legacies(self, account: str, now: datetime) -> dict[PositionKey, Legacy]:
        """Return what each position would go on with that opens now; those with an open life are in `open_lives`.

        What `add_lives` will hand over, so that the first decision on a position counts it already.
        """
        within = {"account": account, "since": time_text(now - INHERITS_WITHIN)}
        found: defaultdict[PositionKey, list[Spending]] = defaultdict(list)
        for symbol, side, budget_id in {tuple(row) for row in self._rows(_GOES_ON, within)}:
            found[key_of(symbol, side)].append(self._spending(budget_id))
        for row in self._rows(_UNCLAIMED, within):
            spent = Spending(spent=Decimal(row["amount"]), last_top_up_at=None)
            found[key_of(row["symbol"], row["side"])].append(spent)
        for intent in self._turned(account, now - INHERITS_WITHIN):
            (other,) = set(intent.may_land_on()) - {intent.key}
            found[other].append(Spending(spent=intent.amount, last_top_up_at=intent.planned_at))
        locked = {key for intent in self.open_intents(account) if intent.locks for key in intent.may_land_on()}
        opened = self._rows("SELECT symbol, side FROM lives WHERE account = ? AND ended_at IS NULL", (account,))
        closed = (found.keys() | locked) - {key_of(row["symbol"], row["side"]) for row in opened}
        return {key: _legacy_of(found[key], is_locked=key in locked) for key in closed}

    def _spending(self, budget_id: str) -> Spending:
        intents = self._intents(
            "life_id IN (SELECT life_id FROM lives WHERE budget_id = ?) ORDER BY planned_at", (budget_id,)
        )
        rebuilt = self._rows("SELECT amount FROM rebuilt WHERE budget_id = ?", (budget_id,))
        lives = self._rows("SELECT * FROM lives WHERE budget_id = ?", (budget_id,))
        turned = {intent.intent_id: intent for life in lives for intent in self._turned_into(life)}
        counted = (intent for intent in (*intents, *turned.values()) if intent.state.counts_as_spent)
        return Spending(
            spent=sum((intent.amount for intent in counted), Decimal(0))
            + sum((Decimal(row["amount"]) for row in rebuilt), Decimal(0)),
            # A refused one is not worth asking again at once; one that never arrived is.
            last_top_up_at=max(
                (intent.planned_at for intent in intents if intent.state is not IntentState.NOT_APPLIED), default=None
            ),
        )

    def _turned_into(self, life: sqlite3.Row) -> tuple[Intent, ...]:
        """Return the acts of the other side that may have been executed on this life's position, for it turned."""
        since = time_text(moment(life["first_seen_at"]) - INHERITS_WITHIN)
        return self._intents(
            f"{_MAY_HAVE_TURNED} AND account = :account AND symbol = :symbol AND side <> :side "
            "AND counted_at >= :since AND planned_at >= :since AND planned_at < coalesce(:ended_at, '9999')",
            {**{name: life[name] for name in ("account", "symbol", "side", "ended_at")}, "since": since},
        )

    def _turned(self, account: str, since: datetime) -> tuple[Intent, ...]:
        """Return the acts that may have been executed on a position that turned and that was not seen since."""
        return self._intents(
            f"{_MAY_HAVE_TURNED} AND account = ? AND counted_at >= ? AND NOT EXISTS (SELECT 1 FROM lives "  # noqa: S608 - our own.
            "WHERE lives.account = intents.account AND lives.symbol = intents.symbol AND lives.side <> intents.side "
            "AND (lives.ended_at IS NULL OR lives.ended_at > intents.planned_at))",
            (account, time_text(since)),
        )

    def effects_unseen(self, account: str, since: datetime) -> tuple[Intent, ...]:
        """Return the applied acts on open positions whose effect nobody saw, as after a restart, oldest first."""
        return self._intents(
            "account = ? AND state = 'applied' AND facts_after IS NULL AND counted_at >= ? AND life_id IN "
            "(SELECT life_id FROM lives WHERE ended_at IS NULL) ORDER BY planned_at",
            (account, time_text(since)),
        )

    def spent_since(self, since: datetime) -> tuple[tuple[str, str | None, Decimal], ...]:
        """Return account, rule and dollars of all that counts as spent since then; what is open counts at any age."""
        intents = self._intents(f"{COUNTS_AS_SPENT} AND (counted_at > ? OR {IS_OPEN})", (time_text(since),))
        rebuilt = self._rows("SELECT account, rule, dollars FROM rebuilt WHERE at > ?", (time_text(since),))
        return (
            *((intent.account, intent.rule, intent.dollars) for intent in intents),
            *((row["account"], row["rule"], Decimal(row["dollars"] or 0)) for row in rebuilt),
        )


def add_lives(connection: sqlite3.Connection, account: str, lives: Iterable[Life], now: datetime) -> None:
    """Write positions seen for the first time. An open life stays as it is: a birth is fixed when first seen."""
    for life in lives:
        budget_id = _budget_of(connection, account, life, now)
        connection.execute(
            "INSERT INTO lives "
            "(life_id, account, symbol, side, budget_id, first_seen_at, birth_distance, initial_margin) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                life.life_id,
                account,
                life.key.symbol,
                life.key.side.word,
                budget_id,
                time_text(life.first_seen_at),
                money_text_or_none(life.birth_distance),
                money_text_or_none(life.initial_margin),
            ),
        )
        connection.execute(
            "UPDATE rebuilt SET budget_id = ? "
            "WHERE account = ? AND symbol = ? AND side = ? AND budget_id IS NULL AND at > ?",
            (budget_id, account, life.key.symbol, life.key.side.word, time_text(now - INHERITS_WITHIN)),
        )


def open_budget(connection: sqlite3.Connection, account: str, key: PositionKey) -> str | None:
    """Return the budget_id of the position's open life; None: it has none."""
    row = first_row(
        connection,
        "SELECT budget_id FROM lives WHERE account = ? AND symbol = ? AND side = ? AND ended_at IS NULL",
        (account, key.symbol, key.side.word),
    )
    return None if row is None else str(row["budget_id"])


def _budget_of(connection: sqlite3.Connection, account: str, life: Life, now: datetime) -> str:
    """Return whose spending a new life goes on with: an earlier life's, a rebuilt past's, else its own.

    Of several budgets, as when an old copy of the journal knows a life and the history has told of more, all are one
    from here on.
    """
    found = connection.execute(
        f"SELECT DISTINCT budget_id FROM ({_GOES_ON}) WHERE symbol = :symbol AND side = :side ORDER BY budget_id",  # noqa: S608 - our own.
        {
            "account": account,
            "symbol": life.key.symbol,
            "side": life.key.side.word,
            "since": time_text(now - INHERITS_WITHIN),
        },
    ).fetchall()
    if not found:
        return life.life_id
    first, *others = (str(row["budget_id"]) for row in found)
    for other in others:
        for table in ("lives", "rebuilt"):
            connection.execute(f"UPDATE {table} SET budget_id = ? WHERE budget_id = ?", (first, other))  # noqa: S608 - two names.
    return first


def _legacy_of(found: Sequence[Spending], *, is_locked: bool) -> Legacy:
    tried = (spending.last_top_up_at for spending in found if spending.last_top_up_at is not None)
    return Legacy(
        spent=sum((spending.spent for spending in found), Decimal(0)),
        last_top_up_at=max(tried, default=None),
        has_open_intent=is_locked,
    )


def _life_of(row: sqlite3.Row, spending: Spending, locked: AbstractSet[PositionKey]) -> Life:
    key = key_of(row["symbol"], row["side"])
    return Life(
        life_id=row["life_id"],
        key=key,
        first_seen_at=moment(row["first_seen_at"]),
        birth_distance=money_or_none(row["birth_distance"]),
        initial_margin=money_or_none(row["initial_margin"]),
        spent=spending.spent,
        last_top_up_at=spending.last_top_up_at,
        has_open_intent=key in locked,
        misses=row["misses"],
        rival=row["rival"],
    )
