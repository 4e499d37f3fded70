"""Intents: what was decided to be sent, that it was sent, and how it ended. Committed before any byte leaves."""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType

from guard.errors import JournalError
from guard.journal.columns import first_row, key_of, moment, moment_or_none, money_text, time_text, time_text_or_none
from guard.journal.history import add_event
from guard.journal.records import Intent, IntentState
from guard.journal.store import Store

COUNTS_AS_SPENT = "state IN ('planned', 'sent', 'unknown', 'applied')"
IS_OPEN = "state IN ('planned', 'sent', 'unknown')"
_UNSEALED_MAX = 1000  # Rows whose intents are kept at hand: more than a day of top-ups has.
ALSO_COUNTED = " too"  # Ends the id of a row of `rebuilt` for the other side that an entry may be of.
_SEALED = (
    "intent_id",
    "account",
    "symbol",
    "side",
    "life_id",
    "rule",
    "hedged",
    "amount",
    "currency",
    "dollars",
    "planned_at",
    "counted_at",
    "state",
    "reason",
    "facts_before",
    "sent_at",
    "settled_at",
    "evidence",
    "entry_id",
    "facts_after",
    "missed",
)


class Intents(Store):
    @cached_property
    def _waits(self) -> dict[str, float]:
        return {}

    @cached_property
    def _unsealed(self) -> dict[sqlite3.Row, Intent]:
        return {}  # By whole row, seal included: each cycle reads the same ones several times.

    def plan(self, intent: Intent) -> None:
        """Put a planned intent on disk. Raises JournalError if that cannot be vouched for, or another one locks.

        Nor may one of the same symbol and amount be open: the history could not tell them apart, for not every
        entry says of which side it is.
        """
        assert intent.state is IntentState.PLANNED
        assert intent.amount > 0
        for other in self.open_intents(intent.account):
            if intent.key in other.may_land_on() and other.locks:
                raise JournalError(f"{intent.key}: intent {other.intent_id} is not settled yet")
            if other.key.symbol == intent.key.symbol and other.amount == intent.amount:
                raise JournalError(f"{intent.key}: intent {other.intent_id} of the same amount is not settled yet")
        life = self._rows("SELECT symbol, side, ended_at FROM lives WHERE life_id = ?", (intent.life_id,))
        if not life or life[0]["ended_at"] is not None or key_of(life[0]["symbol"], life[0]["side"]) != intent.key:
            raise JournalError(f"{intent.key}: life {intent.life_id} is not the position that is open now")
        with self._write(intent.planned_at) as connection:
            connection.execute(
                "INSERT INTO intents (intent_id, account, symbol, side, life_id, rule, hedged, amount, currency, "
                "dollars, planned_at, counted_at, state, reason, facts_before, seal) "
                "VALUES (:intent_id, :account, :symbol, :side, :life_id, :rule, :hedged, :amount, :currency, "
                ":dollars, :planned_at, :counted_at, :state, :reason, :facts_before, :seal)",
                _row_of(intent, counted_at=self.clock(intent.planned_at)),
            )

    def sent(self, intent_id: str, at: datetime) -> Intent:
        """Note that the request is about to start. Raises JournalError: then it must not."""
        intent = self.intent(intent_id)
        if intent.state is not IntentState.PLANNED:
            raise JournalError(f"intent {intent_id} is {intent.state} already: it is never sent again")
        return self._change(replace(intent, state=IntentState.SENT, sent_at=at), at)

    def settle(
        self,
        intent_id: str,
        state: IntentState,
        *,
        at: datetime,
        evidence: str,
        entry_id: str | None = None,
        facts_after: str | None = None,
    ) -> Intent:
        """Write how a request ended, or that this is unknown, and return the intent as it stands now.

        An end that is already written stays, except that late proof turns NOT_APPLIED into APPLIED.
        """
        assert state not in {IntentState.PLANNED, IntentState.SENT}
        intent = self.intent(intent_id)
        is_late_proof = (intent.state, state) == (IntentState.NOT_APPLIED, IntentState.APPLIED)
        if not intent.state.is_open and not is_late_proof:
            return intent
        settled = replace(
            intent,
            state=state,
            settled_at=None if state.is_open else at,
            evidence=evidence,
            entry_id=entry_id,
            facts_after=facts_after,
        )
        if settled == intent:
            return intent
        with self._write(at) as connection:
            self._put(connection, settled)
            if intent.state is IntentState.UNKNOWN and not state.is_open:
                _keep_unknown(connection, intent)
        return settled

    def unlock(self, intent_id: str, at: datetime) -> Intent:
        """Note that an open intent can no longer be executed and locks its position no more. It counts as spent."""
        intent = replace(self.intent(intent_id), unlocked_at=at)
        assert intent.state.is_open
        with self._write(at) as connection:
            connection.execute(
                "UPDATE intents SET unlocked_at = ? WHERE intent_id = ?", (time_text(at), intent.intent_id)
            )
        return intent

    def prove(self, intent_id: str, entry_id: str, *, at: datetime) -> Intent:
        """Note which history entry an applied intent made, so that it proves no other."""
        intent = self.intent(intent_id)
        assert intent.state is IntentState.APPLIED
        return self._change(replace(intent, entry_id=entry_id), at)

    def note_effect(self, intent_id: str, *, missed: str | None, facts_after: str | None, at: datetime) -> None:
        """Write what the position looked like after an act, and whether it missed its effect (None: it did not).

        Misses in a row are counted in the position's life.
        """
        intent = self.intent(intent_id)
        with self._write(at) as connection:
            self._put(connection, replace(intent, facts_after=facts_after or intent.facts_after), {"missed": missed})
            connection.execute(
                "UPDATE lives SET misses = CASE WHEN ? THEN misses + 1 ELSE 0 END WHERE life_id = ?",
                (missed is not None, intent.life_id),
            )

    def intent(self, intent_id: str) -> Intent:
        """Return one intent. Raises JournalError when there is none of that id."""
        found = self._intents("intent_id = ?", (intent_id,))
        if not found:
            raise JournalError(f"no intent {intent_id} in {self.path}")
        return found[0]

    def open_intents(self, account: str | None = None) -> tuple[Intent, ...]:
        """Return what may still have moved money, oldest first."""
        return self._intents(
            f"{IS_OPEN} AND (:account IS NULL OR account = :account) ORDER BY planned_at", {"account": account}
        )

    def intents(self, account: str | None = None, limit: int = 100) -> tuple[Intent, ...]:
        """Return the latest intents, newest first."""
        return self._intents(
            "(:account IS NULL OR account = :account) ORDER BY counted_at DESC, planned_at DESC LIMIT :limit",
            {"account": account, "limit": limit},
        )

    def untold(self, account: str) -> tuple[Intent, ...]:
        """Return intents whose outcome, or whose lack of one, no message was enqueued about yet, oldest first.

        A message is about an intent when its `alert` is the intent's id. A crash between an outcome and its message
        leaves the intent in here, so that the next cycle can tell it; so does one during the request. Ask between
        requests only.
        """
        return self._intents(
            "account = ? AND told_state IS NOT state "
            "AND NOT (state = 'unknown' AND coalesce(told_state, '') IN ('planned', 'sent')) ORDER BY planned_at",
            (account,),
        )

    def unproven(self, account: str, symbol: str, since: datetime) -> tuple[Intent, ...]:
        """Return applied intents of a symbol whose history entry is not known, oldest first.

        Of both sides: an entry does not always say of which it is, and a one-way position may have turned.
        """
        return self._intents(
            "account = ? AND symbol = ? AND state = 'applied' AND entry_id IS NULL AND planned_at >= ? "
            "ORDER BY planned_at",
            (account, symbol, time_text(since)),
        )

    def added_since(self, intent: Intent) -> Decimal | None:
        """Return what later acts are proven to have added to an intent's position. None: one of them is in doubt.

        So is an earlier one of the other side, where the position may have turned before it was executed.
        """
        others = self._intents(
            "account = ? AND symbol = ? AND intent_id <> ? AND (planned_at > ? OR side <> ?) AND " + COUNTS_AS_SPENT,
            (intent.account, intent.key.symbol, intent.intent_id, time_text(intent.planned_at), intent.key.side.word),
        )
        if any(other.state.is_open for other in others if intent.key in other.may_land_on()):
            return None
        later = (one for one in others if one.key == intent.key and one.planned_at > intent.planned_at)
        return sum((other.amount for other in later), Decimal(0))

    def proving_entries(self, account: str) -> frozenset[str]:
        """Return history entries that cannot prove another intent: they prove one, or are older than the journal."""
        rows = self._rows(
            "SELECT entry_id FROM intents WHERE account = :account AND entry_id IS NOT NULL "
            # Not the rows of a side that an entry counts for as well: the exchange has no such entry.
            "UNION SELECT entry_id FROM rebuilt WHERE account = :account AND entry_id NOT LIKE :as_well",
            {"account": account, "as_well": f"%{ALSO_COUNTED}"},
        )
        return frozenset(row["entry_id"] for row in rows)

    def waited(self, intent_id: str, monotonic_s: float) -> timedelta:
        """Return how long this process has known of an intent, on a clock that nobody sets. The first call is 0."""
        return timedelta(seconds=monotonic_s - self._waits.setdefault(intent_id, monotonic_s))

    def _change(self, intent: Intent, at: datetime) -> Intent:
        with self._write(at) as connection:
            self._put(connection, intent)
        return intent

    def _put(
        self, connection: sqlite3.Connection, intent: Intent, effect: Mapping[str, str | None] = MappingProxyType({})
    ) -> None:
        stored = dict(first_row(connection, "SELECT * FROM intents WHERE intent_id = ?", (intent.intent_id,)))
        changed = {
            **stored,
            "state": intent.state.value,
            "sent_at": time_text_or_none(intent.sent_at),
            "settled_at": time_text_or_none(intent.settled_at),
            "evidence": intent.evidence,
            "entry_id": intent.entry_id,
            "facts_after": intent.facts_after,
            **effect,
        }
        connection.execute(
            "UPDATE intents SET state = :state, sent_at = :sent_at, settled_at = :settled_at, evidence = :evidence, "
            "entry_id = :entry_id, facts_after = :facts_after, missed = :missed, seal = :seal "
            "WHERE intent_id = :intent_id",
            {**changed, "seal": _seal(changed)},
        )

    def _intents(self, where: str, parameters: Sequence[object] | Mapping[str, object]) -> tuple[Intent, ...]:
        # `where` is written in this room, never made of data.
        rows = self._rows(f"SELECT * FROM intents WHERE {where}", parameters)  # noqa: S608 - see above.
        return tuple([self._intent_in(row) for row in rows])

    def _intent_in(self, row: sqlite3.Row) -> Intent:
        intent = self._unsealed.get(row)
        if intent is None:
            intent = self._unseal(row)
            if len(self._unsealed) >= _UNSEALED_MAX:
                self._unsealed.clear()
            self._unsealed[row] = intent
        return intent

    def _unseal(self, row: sqlite3.Row) -> Intent:
        if row["seal"] != _seal(dict(row)):
            raise JournalError(
                f"intent {row['intent_id']} in {self.path} was altered outside guard: look at it, put the backup back "
                "or move the file away; nothing is spent until then"
            )
        return Intent(
            intent_id=row["intent_id"],
            account=row["account"],
            key=key_of(row["symbol"], row["side"]),
            life_id=row["life_id"],
            rule=row["rule"],
            hedged=bool(row["hedged"]),
            amount=Decimal(row["amount"]),
            currency=row["currency"],
            dollars=Decimal(row["dollars"]),
            planned_at=moment(row["planned_at"]),
            state=IntentState(row["state"]),
            reason=row["reason"],
            facts_before=row["facts_before"],
            sent_at=moment_or_none(row["sent_at"]),
            settled_at=moment_or_none(row["settled_at"]),
            evidence=row["evidence"],
            entry_id=row["entry_id"],
            facts_after=row["facts_after"],
            unlocked_at=moment_or_none(row["unlocked_at"]),
        )


def _keep_unknown(connection: sqlite3.Connection, intent: Intent) -> None:
    """Keep in the history that an outcome was not known: its row says from now on how it ended."""
    text = f"{money_text(intent.amount)} {intent.currency}: {intent.evidence or 'no answer yet'}"
    at = intent.sent_at or intent.planned_at
    add_event(connection, at, intent.account, "intent.unknown", str(intent.key), text, intent.intent_id)


def _row_of(intent: Intent, counted_at: datetime) -> dict[str, object]:
    row: dict[str, object] = {
        "intent_id": intent.intent_id,
        "account": intent.account,
        "symbol": intent.key.symbol,
        "side": intent.key.side.word,
        "life_id": intent.life_id,
        "rule": intent.rule,
        "hedged": int(intent.hedged),
        "amount": money_text(intent.amount),
        "currency": intent.currency,
        "dollars": money_text(intent.dollars),
        "planned_at": time_text(intent.planned_at),
        "counted_at": time_text(counted_at),
        "state": intent.state.value,
        "reason": intent.reason,
        "facts_before": intent.facts_before,
    }
    return {**row, "seal": _seal(row)}


def _seal(row: dict[str, object]) -> str:
    """Return the SHA-256 of a row's facts, in a fixed order; a missing column counts as NULL."""
    return hashlib.sha256(repr([row.get(name) for name in _SEALED]).encode()).hexdigest()
