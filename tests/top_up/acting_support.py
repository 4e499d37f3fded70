"""A journal with one open position, a clock that can be set, and a top-up to make."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from guard.journal import Journal
from guard.policy.decision import DataState, Decision, TopUp
from guard.policy.memory import Life
from guard.policy.terms import Level, Mode
from guard.snapshot import PositionKey, Side
from guard.top_up import settle_open, top_up

START = datetime(2025, 10, 10, 21, 0, tzinfo=UTC)
BTC = PositionKey("BTC/USDT:USDT", Side.LONG)
ETH = PositionKey("ETH/USDT:USDT", Side.SHORT)


class Clock:
    """True time is the loop's; the wall clock is that plus what somebody set it off by."""

    def __init__(self) -> None:
        self.off_by = timedelta(0)

    def true_now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def now(self) -> datetime:
        return self.true_now() + self.off_by


def journal_with(tmp_path, *keys, at=START) -> Journal:
    journal = Journal.open(tmp_path / "journal.db", exclusive=True)
    lives = tuple(
        Life(
            life_id=f"life {key}",
            key=key,
            first_seen_at=at,
            birth_distance=None,
            initial_margin=None,
            spent=Decimal(0),
            last_top_up_at=None,
            has_open_intent=False,
        )
        for key in keys
    )
    decision = Decision(
        assessment=None,
        state=DataState.FRESH,
        level=Level.OK,
        positions=(),
        pools=(),
        gaps=(),
        alerts=(),
        top_ups=(),
        alert_states=(),
        new_lives=lives,
    )
    journal.record_decision("main", decision, [], {}, at)
    return journal


def plan(amount="62.31", key=BTC) -> TopUp:
    return TopUp(
        key=key,
        rule="shield",
        amount=Decimal(amount),
        currency="USDT",
        dollars=Decimal(amount),
        trigger=Decimal("0.08"),
        target=Decimal("0.16"),
        distance_before=Decimal("0.078"),
        distance_after=Decimal("0.16"),
        liquidation_after=Decimal(90_000),
        cut_by=None,
        priority=0,
        mode=Mode.ACT,
        reason="distance 7.8 % is at or below the trigger 8 %",
    )


async def act(journal, venue, clock, *, amount="62.31", key=BTC):
    return await top_up(
        plan(amount, key),
        venue=venue,
        journal=journal,
        account="main",
        life_id=f"life {key}",
        hedged=False,
        facts_before="{}",
        now=clock.now,
    )


async def settle(journal, venue, clock):
    return await settle_open(journal, venue, "main", clock.now)
