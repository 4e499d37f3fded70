"""A real process, a real file, a real SIGKILL at a random instant: laws 1 and 2 without any simulation of death."""

import asyncio
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from acting_support import BTC, journal_with, plan
from simulated_venue import Fate, Ledger, SimulatedVenue

from guard.journal import IntentState, Journal
from guard.top_up import settle_open, top_up

KILLS = 40
FENCE = timedelta(seconds=0.005)


def now():
    return datetime.now(UTC)


def venue_on(ledger_path, *fates):
    return SimulatedVenue(ledger=Ledger(ledger_path), fates=fates, fence=FENCE)


async def settle_all(journal, venue):
    """Wait out whatever is open, as a start does before anything else."""
    await settle_open(journal, venue, "main", now)
    while journal.open_intents("main"):
        await asyncio.sleep(FENCE.total_seconds())
        await settle_open(journal, venue, "main", now)


async def spend_until_killed(folder, ready):
    dice = random.Random()  # noqa: S311 - a schedule, not a secret.
    venue = venue_on(folder / "ledger", *dice.choices((Fate.DONE, Fate.LOST_AFTER, Fate.LOST_BEFORE), k=10_000))
    with Journal.open(folder / "journal.db", exclusive=True) as journal:
        ready.set()
        while True:
            await settle_all(journal, venue)
            amount = Decimal(dice.randrange(1, 10**9)).scaleb(-2)  # Tells each intent's entry from all others.
            await top_up(
                plan(str(amount)),
                venue=venue,
                journal=journal,
                account="main",
                life_id=f"life {BTC}",
                hedged=False,
                facts_before="{}",
                now=now,
            )


def child(folder, ready):
    asyncio.run(spend_until_killed(folder, ready))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forty_kills_never_move_margin_twice_and_none_is_unaccounted(tmp_path):
    journal_with(tmp_path, BTC).close()
    context = multiprocessing.get_context("fork")
    ledger = tmp_path / "ledger"
    kills = 0
    while kills < KILLS or len(Ledger(ledger).entries) <= KILLS:  # Enough of both, however slow the machine is.
        kills += 1
        ready = context.Event()
        process = context.Process(target=child, args=(tmp_path, ready))
        process.start()
        assert ready.wait(10)
        time.sleep(random.uniform(0, 0.04))  # noqa: S311 - when to kill.
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL

    venue = venue_on(ledger)
    with Journal.open(tmp_path / "journal.db", exclusive=True) as journal:
        asyncio.run(settle_all(journal, venue))
        intents = journal.intents(limit=100_000)
        moved = Counter(entry.amount for entry in venue.ledger.entries)
        applied = Counter(intent.amount for intent in intents if intent.state is IntentState.APPLIED)
        assert moved == applied
        assert set(moved.values()) == {1}
        assert journal.memory("main", now()).lives[BTC].spent == venue.moved
