"""What the keys may do decides whether money may move, and what cannot be known decides it for real hosts."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from guard.daemon.findings import Verdict
from guard.daemon.inspect import _judge_key
from guard.daemon.keys import CHECK_AGAIN, KeyGuard
from guard.errors import VenueUnavailable
from guard.policy.terms import Mode
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


@pytest.mark.parametrize(
    ("signed_on", "may_spend", "said"),
    [
        (None, False, 'key_signed_on = "2026-03-01"'),
        (date(2026, 3, 1), True, None),
        (date(2026, 3, 2), True, None),  # The day begins earlier elsewhere.
        (date(2026, 3, 3), False, "still to come"),
        (date(2025, 12, 1), True, None),  # 90 days ago.
        (date(2025, 11, 30), False, "longer ago than 90 days"),
    ],
)
async def test_what_the_exchange_does_not_say_of_a_key_its_owner_may_sign_for_with_a_day(signed_on, may_spend, said):
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    venue = Keys(KeyVerdict.UNVERIFIABLE, test_host=False)
    keys = KeyGuard(venue, SimpleNamespace(tell=lambda _: None), lambda: now, signed_on=signed_on)
    await keys.check()
    assert (keys.block is None) is may_spend
    assert said is None or said in keys.block


@pytest.mark.parametrize("verdict", [KeyVerdict.TOO_POWERFUL, KeyVerdict.READ_ONLY])
async def test_nobody_can_sign_for_a_key_of_which_the_exchange_says_what_it_may(verdict):
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    venue = Keys(verdict, test_host=False)
    keys = KeyGuard(venue, SimpleNamespace(tell=lambda _: None), lambda: now, signed_on=now.date())
    await keys.check()
    assert keys.block is not None


@pytest.mark.parametrize(
    ("test_host", "signed", "said"),
    [
        (False, False, "it is only watched: see at the exchange that it may neither withdraw nor transfer"),
        (False, True, "you signed for it on"),
        (True, False, "money of a test host may be moved all the same"),
    ],
)
def test_the_check_says_what_follows_from_a_key_that_cannot_be_verified(test_host, signed, said):
    today = datetime.now(UTC).date()
    terms = SimpleNamespace(mode=Mode.ACT)
    account = SimpleNamespace(terms=terms, key_signed_on=today if signed else None)
    scopes = KeyScopes(verdict=KeyVerdict.UNVERIFIABLE, scopes=(), ip_restricted=None, text="no question for it")
    verdict, text = _judge_key(scopes, account, Keys(KeyVerdict.UNVERIFIABLE, test_host=test_host))
    assert verdict is Verdict.WARNING
    assert text.startswith("not verifiable: no question for it; ")
    assert said in text


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
