"""What the exchange took of a position that goes on: asked about where it became smaller, told once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from guard.daemon.cuts import Cuts
from guard.errors import VenueUnavailable
from guard.journal import Journal
from guard.policy.terms import Level
from guard.snapshot import EndKind, PositionEnding, PositionKey, Side

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = PositionKey("BTC/USDT:USDT", Side.LONG)
SHORT = PositionKey("BTC/USDT:USDT", Side.SHORT)
NOTHING = PositionEnding(kind=EndKind.UNKNOWN, evidence="no record")
CLOSED = PositionEnding(kind=EndKind.CLOSED, evidence="1 fill", at=NOON)


def taken(second, kind=EndKind.LIQUIDATED):
    return PositionEnding(kind=kind, evidence="1 forced order", at=NOON + timedelta(seconds=second))


class Desk:
    """One account's cuts on a journal of its own, and an exchange that is asked how something ended."""

    account = "main"
    skew = None

    def __init__(self, journal):
        self.journal = journal
        self.told = []
        self.asked = []
        self.answers = [NOTHING]
        self.start()

    def start(self):
        self.cuts = Cuts(self, SimpleNamespace(tell=self.told.append, journal=self.journal), lambda: NOON)

    async def ending(self, key, since):
        self.asked.append((key, since))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def read(self, second, sizes, ended=()):
        positions = [
            SimpleNamespace(key=key, figures=SimpleNamespace(position=SimpleNamespace(quantity=Decimal(size))))
            for key, size in sizes.items()
        ]
        at = NOON + timedelta(seconds=second)
        snapshot = SimpleNamespace(positions_read_at=at)
        self.cuts.note(SimpleNamespace(positions=positions, assessment=SimpleNamespace(snapshot=snapshot)), ended)

    async def look(self):
        self.cuts._asked_s.clear()  # As if a minute had passed.
        await self.cuts.look()

    def live(self, key, since):
        with self.journal._write(NOON) as connection:
            connection.execute(
                "INSERT INTO lives (life_id, account, symbol, side, budget_id, first_seen_at) "
                "VALUES ('l1', 'main', ?, ?, 'l1', ?)",
                (key.symbol, key.side.word, since.isoformat()),
            )


@pytest.fixture
def desk(tmp_path):
    with Journal.open(tmp_path / "journal.db", exclusive=True) as journal:
        yield Desk(journal)


async def test_nothing_is_asked_where_no_position_became_smaller(desk):
    for second, size in [(0, "1"), (60, "1"), (120, "2")]:
        desk.read(second, {LONG: size})
        await desk.look()
    assert desk.asked == []


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (EndKind.LIQUIDATED, "LIQUIDATED IN PART BTC long — main"),
        (EndKind.DELEVERAGED, "DELEVERAGED IN PART BTC long — main"),
    ],
)
async def test_what_the_exchange_took_is_told_once_with_both_sizes_and_the_other_leg(desk, kind, title):
    desk.read(0, {LONG: "1", SHORT: "1"})
    desk.read(60, {LONG: "0.4", SHORT: "1"})
    desk.answers = [VenueUnavailable("HTTP 502"), NOTHING, taken(50, kind)]
    for _ in range(5):
        await desk.look()
    (message,) = desk.told
    assert (message.title, message.level) == (title, Level.CRITICAL)
    assert "It had 1 contracts. 0.4 contracts are left." in message.text
    assert "BTC/USDT:USDT short is open beside it" in message.text
    assert len(desk.asked) == 3


@pytest.mark.parametrize("answer", [CLOSED, NOTHING])
async def test_what_its_user_sold_is_not_told(desk, answer):
    desk.read(0, {LONG: "1"})
    desk.read(60, {LONG: "0.5"})
    desk.answers = [answer]
    await desk.look()
    assert len(desk.asked) == 1
    assert desk.told == []


async def test_of_a_position_asked_about_a_moment_ago_the_next_question_waits(desk):
    desk.read(0, {LONG: "1"})
    desk.read(5, {LONG: "0.9"})
    await desk.cuts.look()
    desk.read(10, {LONG: "0.8"})
    await desk.cuts.look()
    assert len(desk.asked) == 1
    await desk.look()
    assert [since for _, since in desk.asked] == [NOON] * 2  # From before it first became smaller.


async def test_the_same_forced_sale_is_not_told_again_and_a_later_one_is(desk):
    desk.read(0, {LONG: "1"})
    desk.read(60, {LONG: "0.5"})
    desk.answers = [taken(50)]
    await desk.look()
    desk.read(65, {LONG: "0.4"})  # By its user; an exchange that looks further back tells the same again.
    await desk.look()
    assert len(desk.told) == 1
    assert desk.asked[-1][1] > NOON + timedelta(seconds=50)
    desk.answers = [taken(110)]
    desk.read(120, {LONG: "0.2"})
    await desk.look()
    assert len(desk.told) == 2


async def test_the_end_of_an_earlier_position_is_not_taken_for_a_part_of_the_next(desk):
    desk.read(0, {LONG: "1"})
    desk.read(60, {}, ended=[LONG])
    desk.read(70, {LONG: "0.5"})
    desk.read(80, {LONG: "0.4"})
    desk.answers = [taken(55)]
    await desk.look()
    assert len(desk.asked) == 1
    assert desk.told == []


async def test_what_ended_meanwhile_is_told_as_an_end_and_not_as_a_part(desk):
    desk.read(0, {LONG: "1"})
    desk.read(60, {LONG: "0.5"})
    desk.read(70, {}, ended=[LONG])
    desk.answers = [taken(50)]
    await desk.look()
    assert desk.asked == desk.told == []


async def test_after_a_restart_the_time_in_which_nobody_watched_is_asked_about_and_told_once(desk):
    desk.live(LONG, NOON - timedelta(hours=3))
    desk.read(0, {LONG: "0.5"})
    desk.answers = [taken(-600)]
    await desk.look()
    desk.start()
    desk.read(10, {LONG: "0.5"})
    await desk.look()
    (message,) = desk.told
    assert message.facts["quantity"] == {"before": None, "now": "0.5"}
    assert desk.asked[0] == (LONG, NOON - timedelta(hours=1))


async def test_a_clock_that_is_set_back_makes_no_question_begin_in_the_time_to_come(desk):
    desk.read(0, {LONG: "1"})
    desk.read(600, {LONG: "1"})
    desk.cuts.follow_clock(-timedelta(hours=1))
    desk.read(660 - 3600, {LONG: "0.5"})
    await desk.look()
    assert desk.asked[0][1] == NOON + timedelta(seconds=540 - 3600)


async def test_what_happened_while_the_machine_was_paused_is_within_the_question(desk):
    desk.read(0, {LONG: "1"})
    desk.cuts.follow_clock(timedelta(hours=1))
    desk.read(3660, {LONG: "0.5"})
    await desk.look()
    assert desk.asked[0][1] <= NOON
