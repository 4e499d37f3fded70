"""What the keys may do decides whether money may move, and what cannot be known decides it for real hosts."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from guard.daemon.keys import CHECK_AGAIN, KeyGuard
from guard.errors import VenueUnavailable
from guard.venues.protocol import KeyScopes, KeyVerdict, WriteTerms


class Keys:
    """An exchange that is asked about a key, and nothing else."""

    account = "main"

    def __init__(self, verdict: KeyVerdict | None, *, test_host: bool) -> None:
        self.verdict = verdict
        self.expires_at: datetime | None = None
        self.write_terms = WriteTerms(fence=timedelta(seconds=2), history_kept=timedelta(days=30), test_host=test_host)

    async def key_scopes(self) -> KeyScopes:
        if self.verdict is None:
            raise VenueUnavailable("HTTP 403")
        return KeyScopes(
            verdict=self.verdict, scopes=(), ip_restricted=None, text="as the test says", expires_at=self.expires_at
        )

    async def clock_skew(self) -> timedelta:
        return timedelta(0)


def guard_of(venue: Keys) -> tuple[KeyGuard, list[object]]:
    told: list[object] = []
    return KeyGuard(venue, SimpleNamespace(tell=told.append), lambda: datetime.now(UTC)), told


@pytest.mark.parametrize(
    ("verdict", "test_host", "may_spend", "messages"),
    [
        (KeyVerdict.SAFE, False, True, 0),
        (KeyVerdict.TOO_POWERFUL, False, False, 1),
        (KeyVerdict.TOO_POWERFUL, True, False, 1),
        (KeyVerdict.READ_ONLY, True, False, 0),
        (KeyVerdict.UNVERIFIABLE, False, False, 0),
        (KeyVerdict.UNVERIFIABLE, True, True, 0),
    ],
)
async def test_a_key_blocks_or_allows_spending_and_a_powerful_one_is_told_once(verdict, test_host, may_spend, messages):
    keys, told = guard_of(Keys(verdict, test_host=test_host))
    for _ in range(2):
        await keys.check()
    assert (keys.block is None) is may_spend
    assert len(told) == messages


async def test_before_the_first_answer_nothing_is_spent_and_without_one_the_last_stays():
    venue = Keys(None, test_host=False)
    keys, _ = guard_of(venue)
    assert await keys.check() == CHECK_AGAIN
    assert keys.block is not None
    venue.verdict = KeyVerdict.SAFE
    await keys.check()
    venue.verdict = None
    assert await keys.check() == CHECK_AGAIN
    assert keys.block is None


async def test_a_key_that_runs_out_is_told_a_week_three_days_and_a_day_before():
    venue = Keys(KeyVerdict.SAFE, test_host=False)
    now, told = datetime(2026, 3, 1, 12, tzinfo=UTC), []
    keys = KeyGuard(venue, SimpleNamespace(tell=told.append), lambda: now)
    venue.expires_at = now + timedelta(days=10)
    days_told = []
    for _ in range(11 * 4):
        before = len(told)
        await keys.check()
        if len(told) > before:
            days_told.append((venue.expires_at - now) / timedelta(days=1))
        now += timedelta(hours=6)
    assert days_told == [7, 3, 1]
    assert told[0].title == "KEY ENDS in 7 d — main"
    assert [message.level.word for message in told] == ["warn", "warn", "critical"]
    venue.expires_at = None
    await keys.check()
    assert len(told) == 3
