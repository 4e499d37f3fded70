"""Brackets that the exchange changes are told once, over restarts too, with where liquidation lies now.

0.5 BTC bought at 60,000 with 6,000 of margin: liquidated at 48,192.77 by 0.4 %, and by 2 % and no amount at
(0.5 * 60,000 - 6,000) / (0.5 * 0.98) = 48,979.59.
"""

from dataclasses import replace
from decimal import Decimal

import pytest
from attack_kit import world

from guard.daemon.tell import Teller
from guard.demo.exchange import brackets
from guard.errors import JournalError
from guard.journal import Journal
from guard.journal.records import BRACKETS


def stricter(monkeypatch):
    table = tuple(replace(one, rate=Decimal("0.02"), amount=Decimal(0)) for one in brackets.brackets_of("BTCUSDT")[:1])
    monkeypatch.setitem(brackets._TABLES, "BTCUSDT", table)


def changes_told(run):
    return [one for one in run.told("alert") if one.title.startswith("BRACKETS CHANGED")]


async def test_a_change_is_told_once_with_the_old_and_the_new_liquidation_price(tmp_path, monkeypatch):
    async with world(tmp_path) as here, here.run() as run:
        await run.watch.cycle()
        run.watch.reader.tiers_are_due()
        await run.watch.cycle()
        assert not changes_told(run)
        stricter(monkeypatch)
        for _ in range(2):
            run.watch.reader.tiers_are_due()
            await run.watch.cycle()
        (message,) = changes_told(run)
        assert message.title == "BRACKETS CHANGED BTC/USDT:USDT: BTC long 48,193 → 48,980 — main"
        assert message.level.word == "warn"
        assert message.facts["moved"][0]["after"].startswith("48979.59")
        kept = [row for row in run.journal.history("main") if row.kind == BRACKETS]
        assert [row.subject for row in kept] == ["BTC/USDT:USDT"] * 2


async def test_a_change_while_nobody_ran_is_told_after_the_start(tmp_path, monkeypatch):
    async with world(tmp_path) as here:
        async with here.run() as run:
            await run.watch.cycle()
        stricter(monkeypatch)
        async with here.run() as run:
            await run.watch.cycle()
            assert len(changes_told(run)) == 1
        async with here.run() as run:
            await run.watch.cycle()
            assert len(changes_told(run)) == 1


async def test_brackets_that_only_grew_milder_are_no_warning(tmp_path, monkeypatch):
    async with world(tmp_path) as here, here.run() as run:
        stricter(monkeypatch)
        await run.watch.cycle()
        monkeypatch.undo()
        run.watch.reader.tiers_are_due()
        await run.watch.cycle()
        (message,) = changes_told(run)
        assert (message.level.word, message.title.split(": ")[1]) == ("watch", "no liquidation came nearer — main")


class Killed(BaseException):
    """The process ends here."""


async def test_who_is_killed_before_a_change_was_told_tells_it_after_the_start(tmp_path, monkeypatch):
    async with world(tmp_path) as here:
        async with here.run() as run:
            await run.watch.cycle()
            with monkeypatch.context() as dying:
                stricter(monkeypatch)
                dying.setattr(Teller, "tell", lambda *_: (_ for _ in ()).throw(Killed))
                run.watch.reader.tiers_are_due()
                with pytest.raises(Killed):
                    await run.watch.cycle()
        async with here.run() as run:
            await run.watch.cycle()
            assert len(changes_told(run)) == 1
            run.watch.reader.tiers_are_due()
            await run.watch.cycle()
            assert len(changes_told(run)) == 1


async def test_a_change_that_cannot_be_written_down_is_told_once_and_its_way_back_too(tmp_path, monkeypatch):
    event = Journal.event

    def refused(journal, now, account, kind, *rest):
        if kind == BRACKETS:
            raise JournalError("disk full")
        event(journal, now, account, kind, *rest)

    async with world(tmp_path) as here:
        async with here.run() as run:
            await run.watch.cycle()
            monkeypatch.setattr(Journal, "event", refused)
            with monkeypatch.context() as changed:
                stricter(changed)
                for _ in range(3):
                    run.watch.reader.tiers_are_due()
                    await run.watch.cycle()
                assert len(changes_told(run)) == 1
            run.watch.reader.tiers_are_due()
            await run.watch.cycle()
            back = changes_told(run)[-1]
            assert (len(changes_told(run)), back.level.word) == (2, "watch")
            stricter(monkeypatch)
            run.watch.reader.tiers_are_due()
            await run.watch.cycle()
            assert len(changes_told(run)) == 3
            monkeypatch.setattr(Journal, "event", event)
            await run.watch.cycle()
            kept = [row for row in run.journal.history("main") if row.kind == BRACKETS]
            assert len(kept) == 2
        async with here.run() as run:
            await run.watch.cycle()
            assert len(changes_told(run)) == 3
