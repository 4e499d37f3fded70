"""The real daemon at every exchange: a position comes near, the answer to its top-up is lost, and money moves once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from unittest.mock import ANY

import pytest
from daemon_kit import call, cycles, daemon, until, watching
from wire_faults import Call, Fate
from wire_world import hold_two, wire_world

from guard.policy.terms import Level
from guard.snapshot import Side
from guard.venues.shared import WeightBudget

column = pytest.mark.column
TARGET = Decimal("0.12")
AMPLE = {"max_per_position": "1000000", "max_per_day": "1000000"}
TINY = {"max_per_position": "1", "max_per_day": "1"}


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


@column("whole daemon", "hedge", "ending")
@pytest.mark.parametrize("is_near", [True, False])
async def test_a_leg_whose_fills_cannot_be_read_is_told_at_once_with_the_one_that_stands_alone(
    server, tmp_path, is_near
):
    one = server.sample
    server.set_mark(one.symbol, one.mark if is_near else one.entry)
    for side in Side:
        server.hold_sample(side, hedged=True, margin=one.margin * (1 if is_near else 8))
    async with wire_world(tmp_path, server, limits=TINY) as here, daemon(here) as guarded:
        await watching(guarded)
        await cycles(guarded, 2)
        if is_near:
            await until("the long is told to be near", lambda: longs(here, "alert"), of=guarded)
        server.break_reads("fills", Fate.HTTP_500)
        server.end_position(one.symbol, Side.LONG, "liquidated")
        await until("its end is told", lambda: longs(here, "vanished"), of=guarded)
        (gone,) = longs(here, "vanished")
        assert gone["event"] == ("escalated" if is_near else "fired")
        assert gone["title"].startswith("GONE ")
        assert " short stands alone" in gone["title"]
        assert "unhedged now" in gone["text"]
        ends = [text for told in here.messages if told["event"] == "resolved" for text in (told["text"],)]
        assert not [text for text in ends if "Nothing to do" in text]
        server.break_reads("fills", None)
        await until("how it ended is told", lambda: longs(here, "vanished")[1:], of=guarded)
        ended = longs(here, "vanished")[1]
        assert ended["title"].startswith("LIQUIDATED ")
        assert " short stands alone" in ended["title"]


def longs(here, kind):
    return [told for told in here.told(kind) if told["side"] == "long"]


@column("whole daemon", "ending")
async def test_positions_that_are_gone_do_not_delay_the_rescue_of_one_that_is_left(server, tmp_path):
    one = server.sample
    server.set_mark(one.symbol, one.entry)
    gone = {other for other in (server.other, server.inverse) if other is not None} - {one}
    async with wire_world(tmp_path, server, limits=AMPLE) as here:
        here.config.write_text(here.config.read_text().replace("timeout = 1000", "timeout = 10000"))
        async with daemon(here) as guarded:
            await watching(guarded)
            if "entries" in server.lacks:
                assert await call(here, "arm") == (0, ANY)
            server.hold_sample()
            for other in gone:
                server.set_mark(other.symbol, other.entry)
                server.hold_sample(of=other)
            watch = guarded.service.watches["main"]
            await until("all are seen", lambda: len(watch.decision.positions) == 1 + len(gone), of=guarded)
            server.slow_reads("fills", 30)
            for other in gone:
                server.end_position(other.symbol, Side.LONG, "liquidated")
            await until("they are gone", lambda: asked_of_fills(server), of=guarded)
            server.set_mark(one.symbol, one.mark)
            await until("it is saved", lambda: server.writes, within_s=2.5, of=guarded)


def asked_of_fills(server):
    """Return the questions about fills."""
    return [one for one in server.requests if server.kind_of(asked(one)) == "fills"]


def asked(request):
    method, path, params = request
    return Call(method=method, path=path, query="", body="", headers={}, params=params)


@column("whole daemon")
async def test_a_rescue_is_made_of_the_weight_that_other_programs_leave_of_the_address(server, tmp_path):
    one = server.sample
    server.set_mark(one.symbol, one.entry)
    async with wire_world(tmp_path, server, limits=AMPLE) as here, daemon(here) as guarded:
        await watching(guarded)
        if "entries" in server.lacks:
            assert await call(here, "arm") == (0, ANY)
        server.hold_sample()
        await cycles(guarded, 2)
        client = guarded.service.watches["main"].reader.venue._client
        if client.wire.limit is None:
            pytest.skip("no limit of an address is known")
        limit = replace(client.wire.limit, window_s=60.0)  # An exchange of our own has no address to share.
        client.gate.budget = WeightBudget(limit)
        client.gate.budget.take(int(limit.weight_max * 0.92), asyncio.get_running_loop().time())
        server.set_mark(one.symbol, one.mark)
        await until("it is saved", lambda: server.writes, within_s=8, of=guarded)


@column("whole daemon", "ending")
async def test_a_part_that_the_exchange_took_is_told_once_over_a_restart_too(server, tmp_path, monkeypatch):
    monkeypatch.setattr("guard.daemon.cuts.SAME_AGAIN_S", 0.2)
    monkeypatch.setattr("guard.daemon.cuts.LOOK_EVERY", timedelta(seconds=0.5))
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
