"""The exchange's margin history is down while reads and writes work: what is unknown stays so, and paralyses nothing."""

from decimal import Decimal
from unittest.mock import patch

import pytest
from daemon_kit import BREACHED, NEEDED, SHIELD, Played, call, daemon, name_of, until, watching, world

from guard.daemon import acting
from guard.demo.exchange import Fault, FaultKind

HISTORY = "/positionMargin/history"
AT_ONCE = SHIELD.replace('"5000"', '"5000"\ncooldown = "0s"')
CENT = Decimal("0.01")


async def a_lost_answer_that_nobody_can_settle_leaves_the_position_with_help_after_the_fence(folder):
    async with world(folder, rules=AT_ONCE) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.faults.add(Fault(kind=FaultKind.REJECT, path=HISTORY, code=-1000))
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, method="POST", path="/positionMargin", times=1))
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is helped again", lambda: here.moved() == [NEEDED - CENT], of=guarded)
        await until("that is written", lambda: here.states() == ["unknown", "applied"], of=guarded)
        lost, again = here.intents()
        assert again.planned_at - lost.sent_at >= guarded.service.watches["main"].reader.venue.write_terms.fence
        assert here.kinds().count(("unknown_outcome", "fired")) == 1
        here.exchange.faults.clear()
        await until("it is settled", lambda: here.states() == ["not_applied", "applied"], of=guarded)
        await until("its end is told", lambda: here.told("unknown_outcome", "resolved"), of=guarded)
        assert here.books_agree()


async def a_start_without_history_watches_and_says_in_status_why_it_spends_nothing(folder):
    async with world(folder) as here:
        here.exchange.faults.add(Fault(kind=FaultKind.REJECT, path=HISTORY, code=-1000))
        here.exchange.set_mark("BTCUSDT", BREACHED)
        async with daemon(here) as guarded:
            await until("it says why not", lambda: here.told("refused"), of=guarded)
            assert "does not know yet what was spent before" in here.told("refused")[0]["text"]
            _, said = await call(here, "status", "--json")
            assert "does not know yet what was spent before" in said
            assert here.posts() == 0
            here.exchange.faults.clear()
            await until("it is saved", lambda: here.moved() == [NEEDED], of=guarded)


STORIES = [
    a_lost_answer_that_nobody_can_settle_leaves_the_position_with_help_after_the_fence,
    a_start_without_history_watches_and_says_in_status_why_it_spends_nothing,
]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    with patch.object(acting, "SETTLE_LATE_EVERY", acting.SETTLE_LATE_EVERY / 30):
        return Played(STORIES, tmp_path_factory.mktemp("history_down"))


@pytest.mark.parametrize("story", STORIES, ids=name_of)
def test_a_history_that_is_down(played, story):
    assert played(story)
