"""A lost answer at OKX: what bills and the position's margin prove, and what they leave open."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from okx_wire import OkxServer
from wire_faults import Fate

from guard.daemon.past import open_isolated
from guard.errors import OutcomeUnknown, VenueUnavailable
from guard.snapshot import MarginBefore, MarginRequest, Outcome, PositionKey, Side
from guard.venues import okx_bills

D = Decimal
SAMPLE = OkxServer.sample
BTC, AMOUNT = SAMPLE.symbol, SAMPLE.top_up
LONG, SHORT = PositionKey(BTC, Side.LONG), PositionKey(BTC, Side.SHORT)
NONE: frozenset[str] = frozenset()


@pytest.fixture(autouse=True)
def no_full_hour():
    """At a full hour funding may have moved margin, and without bills nobody can tell."""
    with time_machine.travel(datetime.now(UTC).replace(minute=20), tick=True):
        yield


async def request_for(okx, key=LONG, *, hedged=False):
    """A top-up with what was read of its position just before."""
    position = next(one for one in (await okx.snapshot()).positions if one.key == key)
    before = MarginBefore(
        margin=position.isolated_wallet,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        read_at=datetime.now(UTC),
    )
    return MarginRequest(key=key, hedged=hedged, amount=AMOUNT, currency="USDT", before=before)


async def lose(server, okx, request, fate):
    server.fate_of_next_write = fate
    started = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await okx.add_margin(request)
    return started


async def settled(okx, request, sent_at, known=NONE, *, after=True):
    late = okx.write_terms.fence + timedelta(seconds=1) if after else timedelta(0)
    with time_machine.travel(datetime.now(UTC) + late):
        return await okx.settle(request, sent_at=sent_at, now=datetime.now(UTC), known_entries=known)


async def test_a_bill_proves_it_at_once_and_names_itself(server, okx):
    server.hold_sample()
    request = await request_for(okx)
    sent_at = await lose(server, okx, request, Fate.LOST_AFTER)
    settlement = await settled(okx, request, sent_at, after=False)
    assert settlement.outcome is Outcome.APPLIED
    assert settlement.entry_id.startswith("BTC-USDT-SWAP|")
    assert "62.31 USDT added" in settlement.evidence


async def test_nothing_moved_by_bills_and_margin_is_not_applied_after_the_fence_only(server, okx):
    server.hold_sample()
    request = await request_for(okx)
    sent_at = await lose(server, okx, request, Fate.LOST_BEFORE)
    assert (await settled(okx, request, sent_at, after=False)).outcome is Outcome.UNKNOWN
    settlement = await settled(okx, request, sent_at)
    assert settlement.outcome is Outcome.NOT_APPLIED
    assert "two readings" in settlement.evidence


async def test_margin_that_moved_by_the_amount_proves_it_before_any_bill_shows_it(server, okx):
    server.hold_sample()
    request = await request_for(okx)
    sent_at = await lose(server, okx, request, Fate.LOST_AFTER)
    server.adjustments.clear()  # The bills lag behind.
    for after in (False, True):
        assert (await settled(okx, request, sent_at, after=after)).outcome is Outcome.APPLIED
    server.holdings[BTC, Side.LONG].margin -= D("3.48")  # And that of a funding payment, too: it is never a no.
    assert (await settled(okx, request, sent_at)).outcome is Outcome.UNKNOWN


async def test_bills_that_cannot_be_read_leave_the_margin_to_tell(server, okx):
    server.hold_sample()
    for fate, wanted in ((Fate.LOST_BEFORE, Outcome.NOT_APPLIED), (Fate.LOST_AFTER, Outcome.APPLIED)):
        server.history_down = False
        request = await request_for(okx)
        sent_at = await lose(server, okx, request, fate)
        server.history_down = True
        settlement = await settled(okx, request, sent_at)
        assert settlement.outcome is wanted
        assert "could not be read" in settlement.evidence


async def test_over_a_full_hour_the_margin_alone_does_not_tell_small_amounts(server, okx):
    server.hold_sample()
    request = await request_for(okx)
    sent_at = await lose(server, okx, request, Fate.LOST_AFTER)
    server.history_down = True
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        settlement = await okx.settle(request, sent_at=sent_at, now=datetime.now(UTC), known_entries=NONE)
    assert settlement.outcome is Outcome.UNKNOWN


async def test_without_bills_and_without_a_margin_before_it_stays_unknown(server, okx):
    server.hold_sample()
    await okx.snapshot()
    request = MarginRequest(key=LONG, hedged=False, amount=AMOUNT, currency="USDT")
    sent_at = await lose(server, okx, request, Fate.LOST_AFTER)
    server.history_down = True
    assert (await settled(okx, request, sent_at)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("mine", [True, False])
async def test_of_two_legs_the_margin_tells_whose_bill_it_is(server, okx, mine):
    for leg in Side:
        server.hold_sample(leg, hedged=True)
    request = await request_for(okx, hedged=True)
    sent_at = await lose(server, okx, request, Fate.LOST_AFTER if mine else Fate.LOST_BEFORE)
    if not mine:
        server.add_to(BTC, Side.SHORT, AMOUNT)  # By hand, as much, to the other leg.
    settlement = await settled(okx, request, sent_at)
    assert settlement.outcome is (Outcome.APPLIED if mine else Outcome.NOT_APPLIED)
    assert (settlement.entry_id is not None) is mine


@pytest.mark.parametrize("funded", [False, True])
async def test_of_two_legs_over_a_full_hour_no_bill_of_funding_means_that_there_was_none(server, okx, funded):
    for leg in Side:
        server.hold_sample(leg, hedged=True)
    request = await request_for(okx, hedged=True)
    sent_at = await lose(server, okx, request, Fate.LOST_AFTER)
    if funded:  # To one leg or to the other.
        server.extra_bills = [server.bill(BTC, "8", "173", D("-3.48"), datetime.now(UTC), mgnMode="isolated")]
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        settlement = await okx.settle(request, sent_at=sent_at, now=datetime.now(UTC), known_entries=NONE)
    assert settlement.outcome is (Outcome.UNKNOWN if funded else Outcome.APPLIED)


async def test_of_two_legs_a_bill_alone_proves_nothing(server, okx):
    for leg in Side:
        server.hold_sample(leg, hedged=True)
    await okx.snapshot()
    request = MarginRequest(key=LONG, hedged=True, amount=AMOUNT, currency="USDT")
    sent_at = await lose(server, okx, request, Fate.LOST_AFTER)
    settlement = await settled(okx, request, sent_at)
    assert settlement.outcome is Outcome.UNKNOWN
    assert "bills do not tell" in settlement.evidence


async def test_a_bill_that_proves_another_request_proves_no_second_one(server, okx):
    server.hold_sample()
    request = await request_for(okx)
    sent_at = await lose(server, okx, request, Fate.LOST_AFTER)
    first = await settled(okx, request, sent_at)
    again = await request_for(okx)
    sent_again = await lose(server, okx, again, Fate.LOST_BEFORE)
    second = await settled(okx, again, sent_again, frozenset({first.entry_id}))
    assert second.outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize(
    ("kind", "sub_type", "fields"),
    [
        ("6", "162", {}),  # The exchange added it by itself.
        ("6", "161", {}),
        ("6", "332", {}),
        ("2", "1", {"mgnMode": "isolated"}),
        ("6", "160", {"ccy": "USDC"}),
    ],
)
async def test_a_bill_that_is_only_alike_proves_neither(server, okx, kind, sub_type, fields):
    server.hold_sample()
    await okx.snapshot()
    request = MarginRequest(key=LONG, hedged=False, amount=AMOUNT, currency="USDT")
    sent_at = await lose(server, okx, request, Fate.LOST_BEFORE)
    server.extra_bills = [server.bill(BTC, kind, sub_type, AMOUNT, datetime.now(UTC), **fields)]
    settlement = await settled(okx, request, sent_at)
    assert settlement.outcome is Outcome.UNKNOWN
    assert "moved just as much" in settlement.evidence


async def test_a_bill_of_another_amount_is_not_ours(server, okx):
    server.hold_sample()
    await okx.snapshot()
    request = MarginRequest(key=LONG, hedged=False, amount=AMOUNT, currency="USDT")
    sent_at = await lose(server, okx, request, Fate.LOST_BEFORE)
    server.add_to(BTC, Side.LONG, D("10.00"))
    assert (await settled(okx, request, sent_at)).outcome is Outcome.NOT_APPLIED


async def test_while_it_may_be_executed_by_the_exchanges_clock_nothing_is_concluded(server, okx):
    server.hold_sample()
    request = await request_for(okx)
    sent_at = await lose(server, okx, request, Fate.LOST_BEFORE)
    server.clock_skew = -20_000  # ms: there it is earlier, and the fence lies ahead.
    settlement = await settled(okx, request, sent_at)
    assert settlement.outcome is Outcome.UNKNOWN
    assert "by the exchange's clock" in settlement.evidence


async def test_an_exchange_whose_clock_ran_ahead_meanwhile_does_not_end_our_fence(server, okx):
    server.hold_sample()
    await okx.clock_skew()
    request = await request_for(okx)
    sent_at = await lose(server, okx, request, Fate.LOST_BEFORE)
    server.clock_skew = 20_000
    settlement = await settled(okx, request, sent_at, after=False)
    assert settlement.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("seconds", [-40, 60])
async def test_a_bill_of_another_time_is_not_ours(server, okx, seconds):
    server.hold_sample()
    await okx.snapshot()
    request = MarginRequest(key=LONG, hedged=False, amount=AMOUNT, currency="USDT")
    sent_at = await lose(server, okx, request, Fate.LOST_BEFORE)
    server.extra_bills = [server.bill(BTC, "6", "160", AMOUNT, sent_at + timedelta(seconds=seconds))]
    assert (await settled(okx, request, sent_at)).outcome is Outcome.NOT_APPLIED


async def test_bills_without_an_entry_that_was_there_before_are_not_trusted(server, okx):
    server.hold_sample()
    await okx.snapshot()
    request = MarginRequest(key=LONG, hedged=False, amount=AMOUNT, currency="USDT")
    sent_at = await lose(server, okx, request, Fate.LOST_BEFORE)
    at = round(sent_at.timestamp() * 1000)
    settlement = await settled(okx, request, sent_at, frozenset({f"BTC-USDT-SWAP|{at}|777"}))
    assert settlement.outcome is Outcome.UNKNOWN
    assert "missing" in settlement.evidence


async def test_funding_between_the_reads_is_taken_from_the_bills(server, okx):
    server.hold_sample()
    request = await request_for(okx)
    sent_at = await lose(server, okx, request, Fate.LOST_AFTER)
    server.adjustments.clear()
    server.holdings[BTC, Side.LONG].margin -= D("3.48")
    server.extra_bills = [server.bill(BTC, "8", "173", D("-3.48"), datetime.now(UTC), mgnMode="isolated")]
    settlement = await settled(okx, request, sent_at)
    assert settlement.outcome is Outcome.APPLIED
    assert "-3.48 of it by funding" in settlement.evidence


async def test_a_request_older_than_the_bills_is_not_judged_by_them(server, okx):
    server.hold_sample()
    await okx.snapshot()
    request = MarginRequest(key=LONG, hedged=False, amount=AMOUNT, currency="USDT")
    long_ago = datetime.now(UTC) - okx.write_terms.history_kept - timedelta(days=1)
    assert (await settled(okx, request, long_ago)).outcome is Outcome.UNKNOWN


# The rebuilt past.


async def test_what_was_added_and_what_opened_the_position_are_told_apart(server, okx):
    server.hold_sample()
    server.add_to(BTC, Side.LONG, D("5.50"))
    changes = await okx.margin_changes([LONG], datetime.now(UTC) - timedelta(hours=1))
    assert [(change.amount, change.by_user, change.key) for change in changes] == [
        (600, False, LONG),
        (D("5.50"), True, LONG),
    ]


async def test_all_open_isolated_positions_are_asked_about(server, okx):
    server.hold_sample()
    server.hold_sample(of=server.inverse)
    server.hold_sample(of=server.other, margin=None)
    server.add_to(SAMPLE.symbol, Side.LONG, D("5.50"))
    changes = await okx.margin_changes(open_isolated(await okx.snapshot()), datetime.now(UTC) - timedelta(hours=1))
    assert Counter(change.key.symbol for change in changes) == {BTC: 2, server.inverse.symbol: 1}


def bills_asked(server) -> list[str | None]:
    return [params.get("instId") for _, path, params in server.requests if path.endswith("bills")]


async def test_the_bills_of_all_positions_come_with_one_request(server, okx):
    server.hold_sample()
    server.hold_sample(of=server.inverse)
    server.add_to(BTC, Side.LONG, D("5.50"))
    server.add_to(server.inverse.symbol, Side.LONG, D("0.001"))
    now = datetime.now(UTC)
    elsewhere = server.bill(BTC, "2", "1", D(9), now)  # A sale of spot coins, in which nothing else is of interest.
    server.extra_bills = [{"billId": elsewhere["billId"], "instId": "DOGE-USDT", "ts": elsewhere["ts"], "type": "2"}]
    changes = await okx.margin_changes(open_isolated(await okx.snapshot()), now - timedelta(hours=1))
    assert bills_asked(server) == [None]
    assert {(one.key.symbol, one.amount) for one in changes if one.by_user} == {
        (BTC, D("5.50")), (server.inverse.symbol, D("0.001")),
    }  # fmt: skip


async def test_where_much_else_is_traded_each_position_is_asked_about(server, okx):
    server.hold_sample()
    server.hold_sample(of=server.inverse)
    server.add_to(BTC, Side.LONG, D("5.50"))
    now = datetime.now(UTC)
    server.extra_bills = [
        server.bill(BTC, "2", "1", D(n), now - timedelta(seconds=n), instId="DOGE-USDT") for n in range(1, 300)
    ]
    changes = await okx.margin_changes(open_isolated(await okx.snapshot()), now - timedelta(hours=1))
    assert bills_asked(server) == [None, None, "BTC-USD-SWAP", "BTC-USDT-SWAP"]
    assert [one.amount for one in changes if one.by_user] == [D("5.50")]
    assert Counter(one.key.symbol for one in changes) == {BTC: 2, server.inverse.symbol: 1}


@pytest.mark.parametrize("row", [{"instId": "DOGE-USDT"}, {"instId": None}, {}, "no row"])
async def test_a_row_that_may_be_of_a_position_is_read_or_there_is_no_history(server, okx, row):
    server.hold_sample()
    server.hold_sample(of=server.inverse)
    server.mangle("history", lambda answer: answer | {"data": [*answer["data"], row]})
    if row == {"instId": "DOGE-USDT"}:
        assert (
            len(await okx.margin_changes(open_isolated(await okx.snapshot()), datetime.now(UTC) - timedelta(hours=1)))
            == 2
        )
        return
    with pytest.raises(VenueUnavailable, match="bills of the account"):
        await okx.margin_changes(open_isolated(await okx.snapshot()), datetime.now(UTC) - timedelta(hours=1))


async def test_a_bill_that_names_no_leg_counts_for_both_and_one_that_does_for_its_own(server, okx):
    for leg in Side:
        server.hold_sample(leg, hedged=True)
    server.add_to(BTC, Side.LONG, D("5.50"))
    changes = await okx.margin_changes(open_isolated(await okx.snapshot()), datetime.now(UTC) - timedelta(hours=1))
    (by_user,) = [change for change in changes if change.by_user]  # One act, one proof.
    assert set(by_user.may_be_of()) == {LONG, SHORT}  # To spend too little is safer than to spend too much.
    assert {change.key: change.amount for change in changes if not change.by_user} == {LONG: 600, SHORT: 600}
    assert len({change.entry_id for change in changes}) == 3
    (of_one,) = [one for one in await okx.margin_changes([SHORT], by_user.at - timedelta(hours=1)) if one.by_user]
    assert (of_one.entry_id, of_one.may_be_of()[::-1]) == (by_user.entry_id, by_user.may_be_of())


async def test_margin_taken_out_is_negative_and_cross_trades_are_left_out(server, okx):
    server.hold_sample()
    at = datetime.now(UTC) + timedelta(milliseconds=5)
    server.extra_bills = [
        server.bill(BTC, "6", "161", D(-7), at),
        server.bill(BTC, "2", "1", D(9), at, mgnMode="cross"),
        server.bill(BTC, "2", "1", D(0), at, mgnMode="isolated"),
    ]
    changes = await okx.margin_changes([LONG], at - timedelta(hours=1))
    assert [change.amount for change in changes] == [600, -7]


async def test_bills_are_read_page_by_page_and_the_older_ones_from_the_archive(server, okx):
    server.hold_sample()
    now = datetime.now(UTC)
    server.extra_bills = [server.bill(BTC, "6", "160", D(n) / 100, now - timedelta(hours=n)) for n in range(1, 700)]
    changes = await okx.margin_changes([LONG], now - timedelta(days=20, minutes=30))
    mine = [change for change in changes if change.by_user]
    assert len(mine) == len({change.entry_id for change in mine}) == 480
    assert {path.rsplit("/", 1)[-1] for _, path, _ in server.requests if "bills" in path} == {"bills", "bills-archive"}
    spans = [(p["begin"], p["end"]) for _, path, p in server.requests if "bills" in path]
    assert all(int(begin) < int(end) for begin, end in spans)


async def test_of_a_busy_account_all_transfers_are_read_and_the_latest_trades(server, okx, monkeypatch):
    monkeypatch.setattr(okx_bills, "PAGES_OF_TRADES_MAX", 2)
    server.hold_sample()
    now = datetime.now(UTC)
    trades = [
        server.bill(BTC, "2", "1", D(n) / 100, now - timedelta(minutes=n), mgnMode="isolated") for n in range(1, 400)
    ]
    by_hand = [server.bill(BTC, "6", "160", D("7.77"), now - timedelta(days=day)) for day in (2, 30)]
    server.extra_bills = [*trades, *by_hand]
    changes = await okx.margin_changes([LONG], now - timedelta(days=60))
    assert [change.amount for change in changes if change.by_user] == [D("7.77"), D("7.77")]
    told = [change for change in changes if not change.by_user]
    assert len(told) == 200
    assert min(change.at for change in told) > now - timedelta(minutes=201)


async def test_pages_that_repeat_themselves_are_no_history(server, okx):
    server.hold_sample()
    now = datetime.now(UTC)
    rows = [server.bill(BTC, "6", "160", D(n) / 100, now - timedelta(seconds=n)) for n in range(1, 101)]
    server.mangle("history", lambda answer: answer | {"data": rows})
    with pytest.raises(VenueUnavailable, match="pages"):
        await okx.margin_changes([LONG], now - timedelta(hours=1))


@pytest.mark.parametrize("field", ["billId", "type", "subType", "ts", "instId", "ccy", "mgnMode"])
async def test_a_bill_that_cannot_be_read_is_no_history(server, okx, field):
    server.hold_sample()
    server.mangle("history", lambda answer: (answer["data"][0].pop(field) and answer) or answer)
    with pytest.raises(VenueUnavailable, match=f"{field} is missing"):
        await okx.margin_changes([LONG], datetime.now(UTC) - timedelta(hours=1))


def test_a_week_and_no_more_is_asked_of_the_recent_bills():
    assert timedelta(days=7) > okx_bills.RECENT_KEPT - okx_bills.RECENT_MARGIN
