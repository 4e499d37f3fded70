"""Values that fit, for tests of the journal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from guard.journal import Intent, IntentState, Journal
from guard.policy.decision import DataState, Decision
from guard.policy.memory import AlertState, Hold, Life
from guard.policy.message import Message
from guard.policy.terms import Level
from guard.snapshot import PositionKey, Side

NOON = datetime(2025, 10, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
BTC = PositionKey("BTC/USDT:USDT", Side.LONG)
ETH = PositionKey("ETH/USDT:USDT", Side.SHORT)
_numbers = count(1)


def opened(tmp_path, **keywords) -> Journal:
    return Journal.open(tmp_path / "state" / "journal.db", **{"exclusive": True, **keywords})


def life(key=BTC, *, life_id=None, at=NOON) -> Life:
    return Life(
        life_id=life_id or f"life-{next(_numbers)}",
        key=key,
        first_seen_at=at,
        birth_distance=Decimal("0.0465"),
        initial_margin=Decimal("812.5"),
        spent=Decimal(0),
        last_top_up_at=None,
        has_open_intent=False,
    )


def decision(*, states=(), lives=(), alerts=()) -> Decision:
    return Decision(
        assessment=None,
        state=DataState.FRESH,
        level=Level.OK,
        positions=(),
        pools=(),
        gaps=(),
        alerts=tuple(alerts),
        top_ups=(),
        alert_states=tuple(states),
        new_lives=tuple(lives),
    )


def state(subject="position BTC/USDT:USDT long", *, level=Level.DANGER, seen_at=NOON) -> AlertState:
    return AlertState(
        subject=subject,
        level=level,
        since=NOON,
        holds=(Hold(level=level, in_force=True, turning_since=NOON, turning_reads=1, by_sigmas=False),),
        seen_at=seen_at,
        alert_id="alert-1",
        told_level=level,
        told_at=NOON,
    )


def message(message_id="m1", *, alert="alert-1", event="fired", level=Level.DANGER) -> Message:
    return Message(
        id=message_id,
        alert=alert,
        happened_at=NOON,
        kind="alert",
        event=event,
        level=level,
        account="main",
        symbol=BTC.symbol,
        side="long",
        margin_mode="isolated",
        title="BTC long is 7.8 % from liquidation",
        text="…",
        facts={"distance": "0.078", "gaps": []},
    )


def intent(key=BTC, *, life_id="life", account="main", amount="62.31", dollars=None, at=NOON, rule="shield") -> Intent:
    return Intent(
        intent_id=f"intent-{next(_numbers)}",
        account=account,
        key=key,
        life_id=life_id,
        rule=rule,
        hedged=False,
        amount=Decimal(amount),
        currency="USDT",
        dollars=Decimal(dollars or amount),
        planned_at=at,
        state=IntentState.PLANNED,
        reason="distance 7.8 % is at or below the trigger 8 %",
        facts_before="{}",
    )


def live(journal, key=BTC, *, account="main", life_id="life", at=NOON) -> None:
    """Let a position be seen for the first time."""
    journal.record_decision(account, decision(lives=[life(key, life_id=life_id, at=at)]), [], {}, at)


def spend(journal, planned: Intent, end=IntentState.APPLIED) -> Intent:
    """Take an intent the whole way to an end."""
    journal.plan(planned)
    sent = journal.sent(planned.intent_id, planned.planned_at)
    return journal.settle(sent.intent_id, end, at=planned.planned_at, evidence="as the test says")


def seen_to_work(journal, done: Intent) -> None:
    """Let an act's effect be seen on its own position."""
    journal.note_effect(done.intent_id, missed=None, facts_after="{}", at=done.planned_at)


def know_past(journal, account="main", now=NOON) -> None:
    journal.rebuild(
        account,
        [],
        opened={},
        complete=True,
        closed_seen=True,
        dollars_of=lambda change: change.amount,
        rule_of=lambda key: "shield",
        now=now,
        exchange_now=now,
    )


def fill_disk(journal) -> None:
    """Let SQLite meet its real SQLITE_FULL: the file may not grow by a single page."""
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")


def free_disk(journal) -> None:
    journal._connection.execute("PRAGMA max_page_count = 1000000")


def big(planned: Intent) -> Intent:
    """Give an intent facts that need new pages."""
    return replace(planned, facts_before="x" * 100_000)
