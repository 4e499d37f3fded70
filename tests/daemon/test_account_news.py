"""News of an account calls for a read: at once, once for a burst, never for what a read has shown, whatever breaks."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from guard.daemon import streams
from guard.daemon.reader import AccountReader
from guard.errors import KeysRefused, VenueUnavailable
from guard.venues.protocol import AccountNews

pytestmark = pytest.mark.looptime
NEAR_S = 5.0
READ_S = 0.2  # How long a read takes here.


class Account:
    """As much of a watch as follows news: a venue that tells what a script says, and a reader that reads when woken."""

    name = "main"
    settings = SimpleNamespace(poll_near=timedelta(seconds=NEAR_S))

    def __init__(self, *connections):
        self.is_fresh = True
        self.read_at = []
        self.opened_at = []
        self.reader = AccountReader(SimpleNamespace(watch_account=self.watch_account), lambda: None)
        self._connections = iter(connections)
        self._reads = set()
        self._started_s = asyncio.get_running_loop().time()

    @property
    def elapsed_s(self):
        return asyncio.get_running_loop().time() - self._started_s

    def watch_account(self):
        script = next(self._connections, None)
        return None if script is None else self._tell(script)

    async def _tell(self, script):
        self.opened_at.append(round(self.elapsed_s, 2))
        for one in script:
            if isinstance(one, Exception):
                raise one
            if isinstance(one, AccountNews):
                yield one
            else:
                await asyncio.sleep(one)

    def wake(self):
        self._reads.add(asyncio.ensure_future(self.read()))

    async def read(self):
        self.read_at.append(round(self.elapsed_s, 1))
        began_s = asyncio.get_running_loop().time()
        await asyncio.sleep(READ_S)
        self.reader._read_began_s = began_s

    async def follow(self, within_s):
        """Follow for so long after a first read."""
        self.reader._read_began_s = asyncio.get_running_loop().time()
        following = asyncio.ensure_future(streams.follow_account(self, self.wake))
        await asyncio.wait({following}, timeout=within_s)
        is_over = following.done()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return is_over


def news(age_s=0.0):
    return AccountNews(age=timedelta(seconds=age_s))


async def test_news_calls_a_read_at_once_and_once_more_for_lists_that_lag():
    account = Account([30, news(), 600])
    await account.follow(120)
    assert account.read_at == [30.0, 35.0]


async def test_a_thousand_events_in_a_minute_call_no_more_reads_than_an_account_near_danger_has():
    account = Account([30, *[one for _ in range(1000) for one in (news(), 0.06)], 600])
    await account.follow(200)
    assert account.read_at[0] == 30.0
    assert len(account.read_at) <= 2 + 60 / NEAR_S
    gaps = [later - before for before, later in zip(account.read_at, account.read_at[1:], strict=False)]
    assert min(gaps) >= NEAR_S - 0.1
    assert 90.0 <= account.read_at[-1] <= 90.0 + 2 * NEAR_S, "what came last is seen as well"


@pytest.mark.parametrize(("age_s", "read_at"), [(600, []), (31, []), (29, [30.0]), (0, [30.0, 35.0])])
async def test_what_a_complete_read_has_shown_calls_none(age_s, read_at):
    account = Account([30, news(age_s), 600])
    await account.follow(120)
    assert account.read_at == read_at, "the read began thirty seconds before the news came"


async def test_what_happened_just_after_a_read_began_calls_one():
    account = Account([30, news(age_s=30), 600])
    await account.follow(60)
    assert account.read_at == [30.0], "a list may lag behind what is pushed"


async def test_a_poll_that_came_meanwhile_takes_the_place_of_the_second_read():
    account = Account([30, news(), 2, 600])
    following = asyncio.ensure_future(account.follow(60))
    await asyncio.sleep(32)
    await account.read()
    await following
    assert account.read_at == [30.0, 32.0]


async def test_while_reads_fail_news_ask_for_no_more_of_them():
    account = Account([30, news(), 600])
    account.is_fresh = False
    await account.follow(120)
    assert account.read_at == []
    account = Account([30, news(), 600])
    account.is_fresh = False
    following = asyncio.ensure_future(account.follow(120))
    await asyncio.sleep(50)
    account.is_fresh = True
    await following
    assert account.read_at[0] == pytest.approx(50, abs=NEAR_S), "and are not forgotten"


@pytest.mark.parametrize(
    "broken_by", [VenueUnavailable("closed"), KeysRefused("no"), KeyError("a bug")], ids=["broken", "keys", "a bug"]
)
async def test_it_is_opened_again_ever_later_whatever_broke_it_and_each_opening_calls_a_read(broken_by):
    account = Account(*[[news(), broken_by]] * 20)
    assert not await account.follow(1000)
    assert account.opened_at == pytest.approx([0, 5, 15, 35, 75, 155, 315, 615, 915], abs=0.5)
    for opened in account.opened_at[1:]:
        assert any(opened <= at <= opened + NEAR_S + 0.1 for at in account.read_at)


async def test_one_that_stood_for_a_while_is_opened_again_soon():
    account = Account(*[[news(), 100, VenueUnavailable("closed")]] * 20)
    await account.follow(400)
    assert account.opened_at == pytest.approx([0, 105, 210, 315], abs=0.5)


async def test_an_account_whose_exchange_tells_nothing_is_not_followed():
    account = Account()
    assert await account.follow(1)
    assert [one.close() for one in streams.followers(account, account.wake)] == [None], "marks only"
