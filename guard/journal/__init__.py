"""Durable memory: intents, outcomes, spending, position lives, alert states, outbox. Written before acting."""

from guard.journal.journal import Journal
from guard.journal.records import DATA_AGES, HistoryRow, Intent, IntentState

__all__ = ["DATA_AGES", "HistoryRow", "Intent", "IntentState", "Journal"]
