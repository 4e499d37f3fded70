"""A machine that stood still in the middle of a cycle: what was read before it is old, and no proof of life."""

from datetime import UTC, datetime, timedelta

import pytest
from exchanges import server_of
from wire_world import watching_account

from guard.policy.decision import DataState


@pytest.mark.parametrize("pause_s", [0, 130])
async def test_a_pause_after_the_read_of_a_cycle_leaves_it_unfresh_until_the_next(tmp_path, pause_s):
    """Found by seed 101077: stopped between its first read and the history, it pinged by what it had seen before."""
    slept = timedelta(0)

    def clock():
        return datetime.now(UTC) + slept

    async with server_of("binanceusdm")().serving() as server:
        server.hold_sample()
        async with watching_account(server, tmp_path, clock) as (watch, _):
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
