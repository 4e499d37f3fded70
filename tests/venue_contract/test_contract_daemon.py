"""The real daemon at every exchange: a position comes near, the answer to its top-up is lost, and money moves once."""

import asyncio
from decimal import Decimal
from unittest.mock import ANY

import pytest
from daemon_kit import call, cycles, daemon, until, watching
from wire_faults import Fate
from wire_world import hold_two, wire_world

from guard.policy.terms import Level
from guard.snapshot import Side

column = pytest.mark.column
TARGET = Decimal("0.12")
AMPLE = {"max_per_position": "1000000", "max_per_day": "1000000"}


@column("whole daemon")
async def test_the_daemon_rescues_a_position_once_although_the_answer_is_lost(server, tmp_path):
    one = server.sample
    server.set_mark(one.symbol, one.entry)
    async with wire_world(tmp_path, server, limits=AMPLE) as here, daemon(here) as guarded:
        await watching(guarded)  # Without a position: the journal's past is whole from here on.
        if (
            "entries" in server.lacks
        ):  # No history of margin: it only watches until its owner arms it, then, not before.
            assert await call(here, "arm") == (0, ANY)
        server.hold_sample()
        await cycles(guarded, 2)
        assert server.writes == []
        server.fate_of_next_write = Fate.LOST_AFTER
        server.set_mark(one.symbol, one.mark)
        await until("it is settled", lambda: [i for i in here.intents() if not i.state.is_open], of=guarded)
        await cycles(guarded, 2)
        (intent,) = here.intents()
        assert intent.state.value == "applied"
        assert len(server.writes) == 1
        assert server.margin_of(one.symbol, Side.LONG) == one.margin + intent.amount
        (row,) = guarded.service.watches["main"].decision.positions
        assert row.figures.distance >= TARGET
        assert row.figures.distance - TARGET < Decimal("0.0001")
        assert here.told("unknown_outcome")


@column("whole daemon")
@pytest.mark.parametrize("near_first", [True, False], ids=["near first", "near last"])
async def test_the_daemon_tells_the_nearer_of_two_rows_and_spends_on_neither(server, venue, tmp_path, near_first):
    one = server.sample
    await hold_two(server, venue, near_first=near_first)
    async with wire_world(tmp_path, server, limits=AMPLE) as here, daemon(here) as guarded:
        await watching(guarded)
        await until("it is told", lambda: here.told("alert"), of=guarded)
        (row,) = guarded.service.watches["main"].decision.positions
        assert row.figures.position.isolated_wallet == one.margin
        assert "listed twice" in row.reason
        assert row.level >= Level.WARN, "by its distance, not only by the doubt"
        assert server.writes == []


@column("whole daemon", "ending")
async def test_a_part_that_the_exchange_took_is_told_once_over_a_restart_too(server, tmp_path, monkeypatch):
    monkeypatch.setattr("guard.daemon.cuts.SAME_AGAIN_S", 0.2)
    one = server.sample
    server.set_mark(one.symbol, one.entry)
    server.hold_sample()
    async with wire_world(tmp_path, server, limits=AMPLE) as here:

        def told():
            return [message for message in here.messages if "LIQUIDATED IN PART" in message["title"]]

        async with daemon(here) as guarded:
            await watching(guarded)
            await cycles(guarded, 2)
            server.halve(one.symbol, Side.LONG, "liquidated")
            await until("it is told", told, of=guarded)
            assert told()[0]["facts"]["quantity"]["before"] is not None
        await asyncio.sleep(1.1)  # Some exchanges date to the second.
        server.halve(one.symbol, Side.LONG, "liquidated")
        async with daemon(here) as guarded:
            await until("what happened meanwhile is told", lambda: len(told()) > 1, of=guarded)
            await cycles(guarded, 2)
        assert len(told()) == 2
        assert not here.told("vanished")
