"""A journal without a past at an exchange that keeps no record of margin: it only watches until its owner arms it."""

from datetime import UTC, datetime, timedelta

from guard.daemon.past import Past
from guard.daemon.reader import AccountReader
from guard.daemon.tell import Teller
from guard.journal import Journal
from guard.policy.terms import DataAgeLimits, Ladder, Mode, Terms


def now():
    return datetime.now(UTC)


def terms():
    return Terms(
        account="main",
        mode=Mode.ACT,
        ladder=Ladder(rungs=()),
        rules=(),
        max_per_day_all=None,
        data_age=DataAgeLimits(stale_after=timedelta(seconds=15), blind_after=timedelta(seconds=120)),
    )


async def test_an_account_without_a_history_to_ask_is_read_and_waits_for_its_owner(server, venue, tmp_path):
    server.hold_sample()
    reader = AccountReader(venue, now)
    await reader.read()
    with Journal.open(tmp_path / "journal.db", exclusive=True) as journal:
        await Past(reader, Teller(journal, (), now), terms(), now).learn()
        journal.set_reconciled("main")
        may_spend, because = journal.arming("main")
        assert (may_spend, "until `guard arm`" in because) == (False, True)
        journal.arm("main", datetime.now(UTC), "the owner")
        assert journal.arming("main") == (True, None)


async def test_also_with_no_position_open_nothing_shows_what_was_spent(server, venue, tmp_path):
    reader = AccountReader(venue, now)
    await reader.read()
    with Journal.open(tmp_path / "journal.db", exclusive=True) as journal:
        await Past(reader, Teller(journal, (), now), terms(), now).learn()
        journal.set_reconciled("main")
        assert not journal.arming("main")[0]
