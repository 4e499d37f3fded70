"""How a past is learned and held against the journal: what is asked, when again, and what a failure costs."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from journal_support import know_past, live
from margin_history import History
from policy_worlds import isolated

from guard.daemon.past import AUDIT_AGAIN, AUDIT_EVERY, BEFORE_ACT_WITHIN_S, OVERLAP, Past, _dollars
from guard.errors import VenueUnavailable
from guard.journal import Journal
from guard.policy.terms import Mode
from guard.snapshot import AccountSnapshot, AssetMode, Gap, MarginChange, PositionKey, Side

pytestmark = pytest.mark.looptime

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BTC = PositionKey("BTC/USDT:USDT", Side.LONG)
FENCE = timedelta(seconds=10)


def change(amount="40", at=NOON, *, currency="USDT"):
    return MarginChange(
        key=BTC, amount=Decimal(amount), currency=currency, at=at, by_user=True, entry_id=f"{amount} {currency} {at}"
    )


def snapshot(*gaps):
    return AccountSnapshot(
        account="main",
        exchange="x",
        asset_mode=AssetMode.SINGLE,
        positions=(),
        wallets=(),
        positions_read_at=NOON,
        wallets_read_at=NOON,
        exchange_margin_ratio=None,
        gaps=gaps,
    )


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.db", exclusive=True) as one:
        one.set_reconciled("main")
        yield one


def past_of(venue, journal, *gaps):
    told = []
    teller = SimpleNamespace(journal=journal, tell=told.append, channels_for=lambda _: (), wake=asyncio.Event())
    reader = SimpleNamespace(venue=venue, snapshot=snapshot(*gaps))
    terms = SimpleNamespace(account="main", mode=Mode.ACT, rules=())
    past = Past(reader, teller, terms, lambda: NOON + timedelta(seconds=asyncio.get_running_loop().time()))
    past.told, past.reader = told, reader
    return past


def spent(journal):
    return [amount for _, _, amount in journal.spent_since(NOON - timedelta(days=2, hours=1)) if amount]


async def test_a_past_is_not_learned_while_a_position_could_not_be_read(journal):
    venue = History(change())
    past = past_of(venue, journal, Gap(subject="BTC positions", reason="timed out", key=BTC))
    with pytest.raises(VenueUnavailable, match="BTC positions: timed out"):
        await past.learn()
    assert journal.needs_rebuild("main")
    past.reader.snapshot = snapshot()
    await past.learn()
    assert (journal.needs_rebuild("main"), spent(journal)) == (False, [Decimal(40)])
    assert venue.asked == [((), NOON - timedelta(days=90), {BTC.symbol})]
    await past.learn()  # Once is enough.
    assert len(venue.asked) == 1


@pytest.mark.parametrize("known", [False, True], ids=["rebuilt", "held against the journal"])
async def test_what_was_added_today_counts_also_when_it_is_learned_by_a_clock_that_is_a_day_ahead(journal, known):
    """By that clock it is a day old and in no limit; then the clock is set right (simulation, seed 14878)."""
    venue = History(change(at=NOON - timedelta(hours=26)))
    venue.measured = timedelta(hours=-25)
    if known:
        know_past(journal, now=NOON - timedelta(hours=27))
    past = past_of(venue, journal)
    await past.learn()
    assert spent(journal) == [Decimal(40)]


@pytest.mark.parametrize("known", [False, True], ids=["rebuilt", "held against the journal"])
@pytest.mark.parametrize("hedged", [False, True])
async def test_what_was_added_before_a_position_is_known_may_have_been_the_other_sides(journal, known, hedged):
    """A one-way short got 200, turned into a long, and its entry names no side: it turns back (seed 17629)."""
    if known:
        know_past(journal, now=NOON - timedelta(days=2))
        live(journal, BTC, at=NOON - timedelta(minutes=30))
    past = past_of(History(change("200", NOON - timedelta(hours=1)), change("7")), journal)
    past.reader.snapshot = replace(snapshot(), positions=(isolated(hedged=hedged),))
    await past.learn()
    if known:
        journal.end_life("main", BTC, NOON, "its side flipped")
    legacies = journal.legacies("main", NOON)
    other = legacies[BTC.opposite].spent if BTC.opposite in legacies else 0
    assert (legacies[BTC].spent, other) == (207, 0 if hedged else 207)


async def test_what_is_added_while_a_position_is_watched_is_its_own(journal):
    know_past(journal, now=NOON - timedelta(days=2))
    live(journal, BTC, at=NOON - timedelta(minutes=30))
    venue = History()
    past = past_of(venue, journal)
    past.reader.snapshot = replace(snapshot(), positions=(isolated(),))
    await past.learn()
    venue.changes = [change("7", NOON + timedelta(seconds=30))]
    await asyncio.sleep(60)
    await past.look_before(BTC)
    assert (journal.open_lives("main")[BTC].spent, dict(journal.legacies("main", NOON))) == (7, {})


async def test_a_position_that_the_last_read_missed_is_asked_about_all_the_same(journal):
    venue = History(change())
    past = past_of(venue, journal)
    await past.learn()
    past.reader.snapshot = snapshot(Gap(subject=str(BTC), reason="missing now", key=BTC))
    await asyncio.sleep(AUDIT_EVERY.total_seconds())
    await past.look_now_and_then()
    assert venue.asked[-1][0] == (BTC,)


async def test_a_row_that_hides_of_which_position_it_is_lets_no_audit_pass_for_whole(journal):
    venue = History(change())
    past = past_of(venue, journal)
    await past.learn()
    past.reader.snapshot = snapshot(Gap(subject="a row", reason="symbol is None", may_be_cross=True))
    await asyncio.sleep(AUDIT_EVERY.total_seconds())
    await past.look_now_and_then()
    past.reader.snapshot = snapshot()
    await asyncio.sleep(AUDIT_AGAIN.total_seconds())
    await past.look_now_and_then()
    assert len(venue.asked) == 2  # Soon again, and not ten minutes later.


async def test_an_exchange_without_a_history_is_not_asked_and_the_account_only_watches(journal):
    venue = History(change(), kept=timedelta(0))
    past = past_of(venue, journal)
    await past.learn()
    armed, because = journal.arming("main")
    assert not armed
    assert "does not reach back far enough" in because
    assert [message.account for message in past.told] == ["main"]

    again = past_of(venue, journal)
    await again.learn()
    await again.look_before(BTC)
    await asyncio.sleep(AUDIT_EVERY.total_seconds())
    await again.look_now_and_then()
    assert (venue.asked, again.told) == ([], [])


async def test_before_anything_was_learned_or_read_nothing_is_asked(journal):
    venue = History(change())
    past = past_of(venue, journal)
    past.look_after(BTC)
    await past.look_now_and_then()
    await past.look_before(BTC)
    past.reader.snapshot = None
    await past.learn()
    assert venue.asked == []


async def test_what_somebody_adds_is_counted_before_the_next_act(journal):
    venue = History()
    past = past_of(venue, journal)
    await past.learn()
    await asyncio.sleep(30)
    venue.changes = [change()]
    await past.look_before(BTC)
    assert venue.asked[-1][1:] == (NOON - OVERLAP, (BTC.symbol,))  # From what was learned last, and a little earlier.
    assert spent(journal) == [Decimal(40)]


@pytest.mark.parametrize("failing", [VenueUnavailable("no connection"), "hangs"], ids=["fails", "hangs"])
async def test_a_history_that_does_not_answer_keeps_an_act_for_two_seconds_at_most(journal, failing):
    venue = History()
    past = past_of(venue, journal)
    await past.learn()
    venue.failing = failing
    began = asyncio.get_running_loop().time()
    await past.look_before(BTC)
    assert asyncio.get_running_loop().time() - began == (BEFORE_ACT_WITHIN_S if failing == "hangs" else 0)


async def test_after_an_act_its_position_is_looked_at_when_its_fence_is_over(journal):
    venue = History()
    past = past_of(venue, journal)
    await past.learn()
    venue.asked.clear()
    past.look_after(BTC)
    await asyncio.sleep(FENCE.total_seconds() - 0.1)
    await past.look_now_and_then()
    assert venue.asked == []
    await asyncio.sleep(0.1)
    await past.look_now_and_then()
    await past.look_now_and_then()
    assert [also for *_, also in venue.asked] == [(BTC.symbol,)]


async def test_everything_is_held_against_the_journal_every_ten_minutes(journal):
    venue = History()
    past = past_of(venue, journal)
    await past.learn()
    venue.asked.clear()
    for _ in range(2):
        await asyncio.sleep(AUDIT_EVERY.total_seconds() - 1)
        await past.look_now_and_then()
        assert venue.asked == []
        await asyncio.sleep(1)
        await past.look_now_and_then()
        assert [also for *_, also in venue.asked] == [()]
        venue.asked.clear()


async def test_a_look_that_failed_is_made_again_after_twice_as_long_each_time(journal):
    venue = History()
    past = past_of(venue, journal)
    await past.learn()
    await asyncio.sleep(AUDIT_EVERY.total_seconds())
    venue.failing = VenueUnavailable("no connection")
    for minutes in (1, 2, 4, 8, 10, 10):
        venue.asked.clear()
        await past.look_now_and_then()
        await asyncio.sleep(minutes * AUDIT_AGAIN.total_seconds() - 1)
        await past.look_now_and_then()
        assert len(venue.asked) == 1
        await asyncio.sleep(1)
    venue.failing = None
    await past.look_now_and_then()
    venue.asked.clear()
    await asyncio.sleep(AUDIT_EVERY.total_seconds() - 1)
    await past.look_now_and_then()
    assert venue.asked == []


def test_an_addition_has_the_price_of_its_coin_where_a_position_is_marked_in_it():
    held = SimpleNamespace(
        positions=[SimpleNamespace(contract=SimpleNamespace(base="BTC"), mark_price=Decimal(60_000))]
    )
    assert _dollars(change("0.5", currency="BTC"), held) == 30_000
    assert _dollars(change("0.5", currency="USDC"), held) == Decimal("0.5")
    assert _dollars(change("0.5", currency="SOL"), held) is None


async def test_a_journal_that_is_broken_keeps_no_look_from_being_done(journal):
    """What comes after it in a cycle tells how positions ended, and needs no disk."""
    venue = History()
    past = past_of(venue, journal)
    await past.learn()
    await asyncio.sleep(AUDIT_EVERY.total_seconds())
    journal.broken = "the disk is full"
    await past.look_now_and_then()
    asked = len(venue.asked)
    await past.look_now_and_then()
    assert len(venue.asked) == asked == 2
