"""What a margin history says beside the journal: since when it is asked, what counts, under which rule, what is told."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from journal_support import intent, live
from policy_worlds import BTC, ETH, KEY, T0, cross, isolated, rule, snapshot, terms
from structlog.testing import capture_logs

from guard.daemon.past import AUDIT_EVERY, OVERLAP, Past, _opened_at
from guard.errors import KeysRefused, VenueUnavailable
from guard.journal import Journal
from guard.policy.terms import Level, Mode
from guard.snapshot import Gap, MarginChange, PositionKey, Side
from guard.venues.protocol import WriteTerms

pytestmark = pytest.mark.looptime

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
ETH_KEY = PositionKey(ETH, Side.LONG)
KEPT = timedelta(days=90)
HELD = isolated("0.3", leverage=5)  # 10,000 with 5x: opened with 2,000.


def change(amount="40", at=T0, *, key=KEY, by_user=True, currency="USDT", **fields):
    return MarginChange(
        key=key,
        amount=Decimal(amount),
        currency=currency,
        at=at,
        by_user=by_user,
        entry_id=f"{key} {amount} {at}",
        **fields,
    )


class History:
    """An exchange that is asked what was added, and nothing else."""

    account = "main"

    def __init__(self, *changes, kept=KEPT, skew=None, fence=10):
        self.changes, self.skew = changes, skew
        self.write_terms = WriteTerms(fence=fence * SECOND, history_kept=kept, test_host=True)
        self.traded = frozenset({BTC})
        self.asked = []
        self.failing = None

    async def clock_skew(self):
        self.skew = timedelta(0)

    async def traded_lately(self):
        return self.traded

    async def margin_changes(self, keys, since, *, also=()):
        self.asked.append((tuple(keys), since, also))
        if self.failing == "hangs":
            await asyncio.Event().wait()
        if self.failing is not None:
            raise self.failing
        return tuple(self.changes)


class Desk:
    """What a past stands between. It is its own teller and reader."""

    def __init__(self, journal, venue, *positions, rules=(), mode=Mode.ACT, gaps=()):
        self.journal, self.venue = journal, venue
        self.snapshot = snapshot(*positions, gaps=gaps)
        self.wake = asyncio.Event()
        self.told = []
        self.past = Past(self, self, terms(*rules, mode=mode), self.now)

    def now(self):
        return T0 + timedelta(seconds=asyncio.get_running_loop().time())

    def tell(self, message):
        self.told.append(message)

    def channels_for(self, message):
        return [message.level.word]

    def in_outbox(self, channel):
        return [row.message for row in self.journal.due(channel, T0 + DAY, 10)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path):
    with Journal.open(path, exclusive=True) as one:
        one.set_reconciled("main")
        yield one


def known(journal, at=T0 - 2 * DAY):
    """Let the journal know the account's past since then."""
    journal.rebuild(
        "main",
        [],
        opened={},
        complete=True,
        closed_seen=True,
        dollars_of=lambda one: one.amount,
        rule_of=lambda _: None,
        now=at,
        exchange_now=at,
    )


def spent(journal):
    return tuple(one for one in journal.spent_since(T0 - DAY) if one[2])  # Nothing of the side it may be of as well.


async def test_a_past_is_rebuilt_from_every_position_that_holds_margin_of_its_own(journal):
    opening = change("2000", T0 - 3 * DAY, by_user=False)
    venue = History(change("7", T0 - 5 * DAY), opening, change("50", T0 - 2 * DAY), change("5", T0 - HOUR))
    one = Desk(journal, venue, HELD, cross(symbol=ETH), rules=[rule(symbol="BTC/*")])
    with capture_logs() as lines:
        await one.past.learn()
    assert lines == [{"event": "past.rebuilt", "log_level": "info", "account": "main", "changes": 4, "positions": 1}]
    assert venue.asked == [((KEY,), T0 - KEPT, {BTC})]
    assert journal.arming("main") == (True, None)
    assert spent(journal) == (("main", "shield", Decimal(5)),)
    assert one.told == []
    legacy = journal.legacies("main", T0)[KEY]
    assert legacy.spent == 55  # Not what was added before the day before it was opened.


@pytest.mark.parametrize(
    ("mode", "told"), [(Mode.ACT, ["NO TOP-UPS YET: what was spent before is not known — main"]), (Mode.SHADOW, [])]
)
async def test_a_past_that_does_not_reach_back_is_told_where_guard_would_act(journal, mode, told):
    one = Desk(journal, History(change("5", T0 - HOUR)), HELD, mode=mode)
    await one.past.learn()
    assert [message.title for message in one.told] == told
    because = journal.arming("main")[1]
    assert because.startswith("watching only until `guard arm`: 1 additions of margin")
    assert [(message.happened_at, message.facts["reason"]) for message in one.told] == [(T0, because)] * len(told)


async def test_where_nobody_can_say_what_was_closed_lately_the_account_waits_a_day(journal):
    venue = History()
    venue.traded = None
    await Desk(journal, venue).past.learn()
    assert venue.asked == [((), T0 - KEPT, ())]
    assert "what went into positions closed in the last 24 h cannot be learned" in journal.arming("main")[1]


@pytest.mark.parametrize(
    ("gap", "ends"),
    [
        (Gap(subject="ETH positions", reason="timed out", may_be_cross=True), True),
        (Gap(subject="BTC long", reason="makes no sense", key=KEY), True),
        (Gap(subject="funding", reason="timed out"), False),
    ],
    ids=["may be a position", "a position", "something else"],
)
async def test_only_a_position_that_was_not_read_keeps_a_past_from_being_learned(journal, gap, ends):
    one = Desk(journal, History(), gaps=[gap])
    if ends:
        with pytest.raises(VenueUnavailable, match=f"^{gap.subject}: {gap.reason}$"):
            await one.past.learn()
    else:
        await one.past.learn()
    assert journal.needs_rebuild("main") is ends


async def test_an_addition_counts_under_the_rule_of_its_position_and_a_closed_one_was_isolated(journal):
    sol = PositionKey("SOL/USDT:USDT", Side.LONG)
    venue = History(change(at=T0 - HOUR), change("7", T0 - HOUR, key=ETH_KEY), change("9", T0 - HOUR, key=sol))
    rules = [rule("crossed", margin_mode=cross().margin_mode), rule("eth", symbol="ETH/*")]
    await Desk(journal, venue, cross(symbol=BTC), isolated(symbol=ETH), rules=rules).past.learn()
    assert sorted(spent(journal), key=str) == [
        ("main", "crossed", Decimal(40)),
        ("main", "eth", Decimal(7)),
        ("main", None, Decimal(9)),
    ]


async def test_a_journal_with_a_past_is_held_against_the_history_since_then(journal):
    known(journal)
    venue = History(change(at=T0 - HOUR))
    one = Desk(journal, venue, HELD, rules=[rule()])
    with capture_logs() as lines:
        await one.past.learn()
    assert venue.asked == [((KEY,), T0 - 2 * DAY - OVERLAP, {BTC})]
    assert lines == [{"event": "spending.found", "log_level": "warning", "account": "main", "additions": 1}]
    assert spent(journal) == (("main", "shield", Decimal(40)),)
    (message,) = one.in_outbox("warn")
    assert message.title == "1 addition of 40 USDT not made by guard, counted as spent — main"
    assert (one.wake.is_set(), one.told) == (True, [])
    assert journal.legacies("main", T0)[KEY].spent == 40
    await one.past.learn()
    assert len(venue.asked) == 1  # Once.


async def test_a_history_that_holds_nothing_new_wakes_nobody(journal):
    known(journal)
    venue = History(change(at=T0 - HOUR, by_user=False))
    venue.traded = None
    one = Desk(journal, venue, HELD)
    with capture_logs() as lines:
        await one.past.learn()
    assert venue.asked == [((KEY,), T0 - 2 * DAY - OVERLAP, ())]
    assert (lines, one.wake.is_set(), spent(journal)) == ([], False, ())


@pytest.mark.parametrize(
    ("since", "asked"),
    [(T0 - 200 * DAY, T0 - KEPT), (T0, T0 - OVERLAP), (T0 + HOUR, T0 - DAY - OVERLAP)],
    ids=["no longer back than is kept", "from this moment", "a day where the clock stepped back"],
)
async def test_how_far_back_the_history_is_asked(journal, since, asked):
    known(journal, since)
    venue = History()
    await Desk(journal, venue, HELD).past.learn()
    assert venue.asked[0][1] == asked


@pytest.mark.parametrize(("stood_still", "doubted"), [(KEPT, False), (KEPT + SECOND, True)])
async def test_a_journal_that_stood_still_for_longer_than_the_history_is_kept_is_doubted(path, stood_still, doubted):
    with Journal.open(path, exclusive=True) as before:
        known(before, T0 - stood_still)
    with Journal.open(path, exclusive=True) as journal:
        journal.set_reconciled("main")
        one = Desk(journal, History(change(at=T0 - HOUR)), HELD)
        await one.past.learn()
        because = journal.arming("main")[1]
        assert (because is not None) is doubted
        assert [message.title for message in one.told] == (
            ["NO TOP-UPS YET: what was spent before is not known — main"] if doubted else []
        )
        if doubted:
            assert because == (
                f"watching only until `guard arm`: this journal was right at {T0 - stood_still:%Y-%m-%d %H:%M}"
                " UTC, the exchange's history begins later"
            )
        assert spent(journal) == (("main", None, Decimal(40)),)  # It is held against the history all the same.


@pytest.mark.parametrize(
    ("fence", "skew", "earlier"),
    [(10, None, OVERLAP), (200, None, 400 * SECOND), (10, timedelta(seconds=3), OVERLAP - 3 * SECOND)],
    ids=["a little earlier", "by two fences", "by the exchange's clock"],
)
async def test_before_an_act_the_history_is_asked_since_what_was_learned_last(journal, fence, skew, earlier):
    venue = History(fence=fence, skew=skew)
    one = Desk(journal, venue, HELD)
    await asyncio.sleep(50)
    await one.past.learn()
    await asyncio.sleep(100)
    await one.past.look_before(KEY)
    assert venue.asked[-1] == ((KEY,), T0 + 50 * SECOND - earlier, (KEY.symbol,))


async def test_a_history_of_a_few_hours_is_one(journal):
    venue = History(kept=12 * HOUR)
    await Desk(journal, venue, HELD).past.learn()
    assert venue.asked == [((KEY,), T0 - 12 * HOUR, {BTC})]


@pytest.mark.parametrize(("positions", "counted"), [([HELD], 40), ([], 0)])
async def test_what_is_older_than_a_day_counts_in_a_position_that_is_open_and_in_no_day(journal, positions, counted):
    known(journal)
    live(journal, KEY, at=T0 - 29 * HOUR)
    if not positions:
        journal.end_life("main", KEY, T0 - 28 * HOUR, "closed")
    await Desk(journal, History(change(at=T0 - 30 * HOUR)), *positions).past.learn()
    assert spent(journal) == ()
    lives = journal.open_lives("main")
    assert sum(life.spent for life in lives.values()) == counted


@pytest.mark.parametrize(
    ("failing", "reason"),
    [(VenueUnavailable("HTTP 502"), "HTTP 502"), (KeysRefused("no such key"), "no such key"), ("hangs", "slow")],
)
async def test_a_look_that_fails_is_said_with_its_reason(journal, failing, reason):
    venue = History()
    one = Desk(journal, venue, HELD)
    await one.past.learn()
    venue.failing = failing
    said = {"event": "past.not_read", "log_level": "warning", "account": "main", "reason": reason}
    with capture_logs() as lines:
        await one.past.look_before(KEY)
    assert lines == [{**said, "position": str(KEY)}]
    await asyncio.sleep(AUDIT_EVERY.total_seconds())
    with capture_logs() as lines:
        await one.past.look_now_and_then()
    assert lines == [said]


async def test_after_a_look_that_failed_an_acts_position_is_looked_at_with_the_next(journal):
    venue = History(fence=10)
    one = Desk(journal, venue, HELD)
    await one.past.learn()
    one.past.look_after(KEY)
    await asyncio.sleep(10)
    venue.failing = VenueUnavailable("HTTP 502")
    await one.past.look_now_and_then()
    venue.failing = None
    venue.asked.clear()
    await asyncio.sleep(59)
    await one.past.look_now_and_then()
    assert venue.asked == []
    await asyncio.sleep(1)
    await one.past.look_now_and_then()
    assert [also for *_, also in venue.asked] == [(KEY.symbol,), ()]


async def test_after_a_look_that_went_well_the_next_failure_waits_a_minute_again(journal):
    venue = History()
    one = Desk(journal, venue, HELD)
    await one.past.learn()
    await asyncio.sleep(AUDIT_EVERY.total_seconds())
    for failing, minutes in ((VenueUnavailable("HTTP 502"), 1), (None, 10), (VenueUnavailable("HTTP 502"), 1)):
        venue.failing = failing
        venue.asked.clear()
        await one.past.look_now_and_then()
        await asyncio.sleep(60 * minutes - 1)
        await one.past.look_now_and_then()
        assert len(venue.asked) == 1
        await asyncio.sleep(1)
    await one.past.look_now_and_then()
    assert len(venue.asked) == 2


@pytest.mark.parametrize("knows", [False, True], ids=["rebuilt", "compared"])
async def test_what_was_added_in_a_coin_counts_in_dollars_at_the_mark(journal, knows):
    if knows:
        known(journal)
    venue = History(change("0.5", T0 - HOUR, currency="BTC"))
    await Desk(journal, venue, HELD).past.learn()
    assert spent(journal) == (("main", None, Decimal(5000)),)


async def test_what_was_added_before_a_life_that_the_journal_knows_is_no_part_of_it(journal):
    known(journal)
    live(journal, KEY, at=T0 - HOUR)
    await Desk(journal, History(change(at=T0 - 30 * HOUR)), HELD).past.learn()
    assert journal.open_lives("main")[KEY].spent == 0


async def test_who_adds_together_with_guard_is_told_as_a_rival_and_gets_no_more_of_it(journal):
    known(journal)
    venue = History()
    one = Desk(journal, venue, HELD)
    await one.past.learn()
    live(journal, KEY, at=T0 - HOUR)
    journal.plan(intent(KEY, amount="62", at=T0))
    venue.changes = [change("62", T0), change("40", T0 + SECOND), change("9", T0 + SECOND, key=ETH_KEY)]
    await one.past.look_before(KEY)
    (rival,) = one.in_outbox("critical")
    assert rival.title == "IS ANOTHER GUARD RUNNING? BTC long gets no more from this one — main"
    assert "It added 62 USDT itself at the same time." in rival.text
    assert (rival.level, rival.happened_at) == (Level.CRITICAL, T0)
    assert journal.open_lives("main")[KEY].rival is not None
    assert [message.level for message in one.in_outbox("warn")] == [Level.WARN]
    assert journal.open_lives("main")[KEY].spent == 102


OPENING = change("2000", T0 - DAY, by_user=False)


@pytest.mark.parametrize(
    ("held", "changes", "opened_at"),
    [
        (HELD, [OPENING, change("5", T0 - HOUR, by_user=False)], T0 - DAY),
        (HELD, [change("1980", T0 - DAY, by_user=False)], T0 - DAY),
        (HELD, [change("1979.99", T0 - DAY, by_user=False)], None),
        (HELD, [change("2000", T0 - DAY)], None),
        (HELD, [replace(OPENING, key=ETH_KEY)], None),
        (HELD, [], None),
        (replace(HELD, leverage=None), [OPENING], None),
        (HELD, [OPENING, change("-100", T0 - HOUR, by_user=False)], None),
    ],
    ids=["whole", "fees taken", "too little", "by hand", "another's", "nothing", "no leverage", "taken out again"],
)
def test_since_when_a_position_is_open_is_what_trades_moved_in(held, changes, opened_at):
    assert _opened_at(held, changes) == opened_at
