"""The journal taken away, made read-only or torn between two steps; and outcomes that nobody would hear of."""

import asyncio
from decimal import Decimal

import pytest
from attack_kit import BREACHED, one_long, world

from guard.daemon import watch as watching
from guard.demo.exchange import Fault, FaultKind
from guard.errors import DeliveryFailed, JournalError
from guard.policy import verdicts
from guard.policy.terms import Level
from guard.snapshot import Side

HISTORY = "/positionMargin/history"


def _read_only(journal, *, on=True):
    journal._connection.execute(f"PRAGMA query_only = {int(on)}")


async def _emergencies(run):
    """Let what goes out without an outbox go out."""
    await asyncio.gather(*run.watch._teller._emergencies)


@pytest.mark.parametrize("how", ["deleted", "replaced", "moved"])
async def test_a_journal_whose_file_is_taken_away_moves_no_money_and_that_is_told(tmp_path, how):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        path = tmp_path / "journal.db"
        if how == "moved":
            path.rename(tmp_path / "elsewhere.db")
        else:
            path.unlink()
        if how == "replaced":
            path.touch()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        await run.watch.cycle()
        await _emergencies(run)
        assert here.posts() == 0
        assert len([one for one in run.phone.sent if one.alert == "journal"]) == 1


@pytest.mark.parametrize("breaks_at", ["settle", "note_effect", "enqueue"])
async def test_a_journal_that_breaks_after_the_money_moved_makes_no_storm(tmp_path, breaks_at):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.set_mark("BTCUSDT", BREACHED)
        real = getattr(run.journal, breaks_at)

        def broken(*arguments, **keywords):
            _read_only(run.journal)
            return real(*arguments, **keywords)

        setattr(run.journal, breaks_at, broken)
        for _ in range(6):
            await run.watch.cycle()
            await _emergencies(run)
        assert here.posts() == 1
        counts = {}
        for one in run.phone.sent:
            counts[one.alert, one.kind, one.event] = counts.get((one.alert, one.kind, one.event), 0) + 1
        assert max(counts.values()) == 1, counts
        assert ("journal", "alert", "fired") in counts
        _read_only(run.journal, on=False)
        setattr(run.journal, breaks_at, real)
        await run.watch.cycle()
        assert run.journal.broken is None
        assert run.journal.intents()[0].state.value == "applied"
        await run.watch.cycle()
        assert here.posts() == 1


async def test_a_danger_that_began_with_a_broken_journal_and_a_dead_channel_is_told_when_the_channel_lives(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        _read_only(run.journal)
        run.phone.error = DeliveryFailed("no network")
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        await asyncio.sleep(0.1)
        run.phone.error = None
        async with asyncio.timeout(10):
            await _emergencies(run)
        assert [one.level.word for one in run.phone.sent if one.symbol == "BTC/USDT:USDT"][-1] == "danger"


async def test_a_journal_that_another_account_breaks_right_after_a_message_does_not_have_it_told_again(tmp_path):
    async with world(tmp_path) as here:
        here.rewrite('mode = "act"', 'mode = "shadow"')
        async with here.run() as run:
            await run.watch.cycle()
            here.exchange.set_mark("BTCUSDT", BREACHED)
            await run.watch.cycle()
            dangers = _dangers(run)
            assert dangers
            _read_only(run.journal)
            with pytest.raises(JournalError):
                run.journal.event(here.clock(), "other", "daemon.started", "guard", "another account writes first")
            await run.watch.cycle()
            await _emergencies(run)
            assert _dangers(run) == dangers


def _dangers(run):
    return [one.id for one in run.told("alert") if one.level >= Level.DANGER and one.account == "main"]


async def _sent_and_cut_off(here, run):
    """Leave an intent as a crash during the request does."""
    here.exchange.faults.add(Fault(kind=FaultKind.HANG, method="POST", path="/positionMargin", seconds=5, times=1))
    here.exchange.set_mark("BTCUSDT", BREACHED)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run.watch.cycle(), 0.3)
    here.exchange.faults.clear()


async def test_a_request_cut_off_by_a_crash_is_told_also_when_its_records_cannot_be_read(tmp_path):
    async with world(tmp_path) as here:
        async with here.run() as run:
            await run.watch.cycle()
            await _sent_and_cut_off(here, run)
            assert run.journal.intents()[0].state.value == "sent"
        here.exchange.faults.add(Fault(kind=FaultKind.REJECT, path=HISTORY, status=503))
        async with here.run() as run:
            for _ in range(3):
                await run.watch.cycle()
            assert len(run.told("unknown_outcome", "fired")) == 1
            here.exchange.faults.clear()
            async with asyncio.timeout(10):
                while run.journal.open_intents():
                    await run.watch.cycle()
                    await asyncio.sleep(0.1)
            assert len(run.told("unknown_outcome", "fired")) == 1
            assert len(run.told("unknown_outcome", "resolved")) == 1


async def test_records_that_hang_do_not_keep_the_account_from_being_read(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "READ_WITHIN_S", 3.0)
    monkeypatch.setattr(watching, "SETTLE_WITHIN_S", 1.0, raising=False)
    symbols = ("ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")

    def many(exchange, account):
        one_long(exchange, account)
        for symbol in symbols:
            quantity = Decimal(3_000) / exchange.marks[symbol]
            exchange.open_position(account, symbol=symbol, side=Side.LONG, quantity=quantity, leverage=5)

    async with world(tmp_path, build=many, timeout_ms=1_000) as here, here.run() as run:
        await run.watch.cycle()
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, method="POST", path="/positionMargin"))
        here.exchange.set_marks({symbol: mark * Decimal("0.867") for symbol, mark in here.exchange.marks.items()})
        await run.watch.cycle()
        assert len(run.journal.open_intents()) == 5
        here.exchange.faults.add(Fault(kind=FaultKind.HANG, path=HISTORY, seconds=30))
        await run.watch.cycle()
        assert run.watch.is_fresh


async def test_a_fault_of_our_own_over_one_position_leaves_the_others_watched_and_saved(tmp_path, monkeypatch):
    def two(exchange, account):
        one_long(exchange, account)
        exchange.open_position(account, symbol="ETHUSDT", side=Side.LONG, quantity=Decimal(10), leverage=5)

    real = verdicts.matching_rule

    def stumbling(terms, key, margin_mode):
        if key == eth and stumbles:
            raise ZeroDivisionError("in judging")
        return real(terms, key, margin_mode)

    async with world(tmp_path, build=two, wallet=30_000) as here, here.run() as run:
        await run.watch.cycle()
        eth, stumbles = run.key("ETH/USDT:USDT"), True
        monkeypatch.setattr(verdicts, "matching_rule", stumbling)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await run.watch.cycle()
        assert here.moved() == [Decimal("1211.53")]
        assert run.row_or_none("ETH/USDT:USDT") is None
        assert any(gap.key == eth and "ZeroDivisionError" in gap.reason for gap in run.watch.decision.gaps)
        (told,) = run.told("blind", "fired")
        assert (told.level, "ETH/USDT:USDT long not watched" in told.title) == (Level.CRITICAL, True)
        stumbles = False
        await run.watch.cycle()
        assert run.row("ETH/USDT:USDT").level is Level.WATCH
        assert [one.alert for one in run.told("blind", "resolved")] == ["bug main"]


async def test_a_fault_of_our_own_is_told_once_and_so_is_its_end(tmp_path):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        real = run.watch.decide

        def broken(**_):
            raise ZeroDivisionError("in judging")

        run.watch.decide = broken
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await run.watch.cycle()
        assert [one.alert for one in run.told("blind", "fired")] == ["bug main"]
        run.watch.decide = real
        await run.watch.cycle()
        assert [one.alert for one in run.told("blind", "resolved")] == ["bug main"]
