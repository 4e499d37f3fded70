"""A machine that stood still in the middle of a cycle: what was read before it is old, and no proof of life."""

from datetime import UTC, datetime, timedelta

import pytest
from exchanges import server_of
from wire_world import config_text

from guard.config import load
from guard.daemon.keys import KeyGuard
from guard.daemon.reader import AccountReader
from guard.daemon.tell import Teller
from guard.daemon.watch import AccountWatch
from guard.journal import Journal
from guard.policy.decision import DataState
from guard.venues import open_venue


@pytest.mark.parametrize("pause_s", [0, 130])
async def test_a_pause_after_the_read_of_a_cycle_leaves_it_unfresh_until_the_next(tmp_path, pause_s):
    """Found by seed 101077: stopped between its first read and the history, it pinged by what it had seen before."""
    slept = timedelta(0)

    def clock():
        return datetime.now(UTC) + slept

    async with server_of("binanceusdm")().serving() as server:
        server.hold_sample()
        path = tmp_path / "config.toml"
        path.touch(mode=0o600)
        path.write_text(config_text(server, {"max_per_position": "1000", "max_per_day": "1000"}))
        settings = load(path, environ={})
        (account,) = settings.accounts.values()
        venue = open_venue(account.venue, now=clock)
        with Journal.open(settings.journal_path, exclusive=True) as journal:
            teller = Teller(journal, (), clock)
            watch = AccountWatch(account, AccountReader(venue, clock), teller, KeyGuard(venue, teller, clock), clock)
            learn = watch._past.learn

            async def learn_and_sleep():
                nonlocal slept
                await learn()
                slept += timedelta(seconds=pause_s)

            watch._past.learn = learn_and_sleep
            await watch.cycle()
            assert watch.is_fresh is (pause_s == 0)
            assert watch.decision.state is (DataState.BLIND if pause_s else DataState.FRESH)
            watch._past.learn = learn
            await watch.cycle()
            assert watch.is_fresh
            await venue.close()
