"""Margin added at Gate: what the answer must prove, what is refused at our own door, and how a lost answer is settled."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from wire_faults import Fate

from guard.errors import OutcomeUnknown, VenueRefused
from guard.snapshot import MarginBefore, MarginRequest, Outcome, PositionKey, Side
from guard.venues.gate import NotSent
from guard.venues.gateio_wire import FENCE

BTC, COIN = "BTC/USDT:USDT", "BTC/USD:BTC"
AMOUNT = Decimal("62.31")
HELD = Decimal("598.215")


def request_for(side=Side.LONG, *, hedged=False, before=None):
    return MarginRequest(key=PositionKey(BTC, side), hedged=hedged, amount=AMOUNT, currency="USDT", before=before)


async def before(venue):
    snapshot = await venue.snapshot()
    (position,) = (p for p in snapshot.positions if p.key == PositionKey(BTC, Side.LONG))
    return MarginBefore(
        margin=position.isolated_wallet,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        read_at=snapshot.positions_read_at,
    )


async def test_the_amount_goes_out_in_the_query_as_it_was_asked(server, venue):
    server.hold_sample()
    await venue.snapshot()
    assert "660.525" in await venue.add_margin(request_for())
    (call,) = server.writes
    assert call.path == "/api/v4/futures/usdt/positions/BTC_USDT/margin"
    assert (call.query, call.body) == ("change=62.31", "")


async def test_a_hedge_leg_is_named_by_its_side_on_the_path_of_dual_mode(server, venue):
    for side in Side:
        server.hold_sample(side, hedged=True)
    await venue.snapshot()
    assert "dual_short" in await venue.add_margin(request_for(Side.SHORT, hedged=True))
    (call,) = server.writes
    assert call.path == "/api/v4/futures/usdt/dual_comp/positions/BTC_USDT/margin"
    assert call.params == {"change": "62.31", "dual_side": "dual_short"}


async def test_an_answer_of_the_other_leg_proves_nothing(server, venue):
    for side in Side:
        server.hold_sample(side, hedged=True)
    await venue.snapshot()
    server.mangle("write", lambda answer: [row for row in answer if row["mode"] == "dual_short"])
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(request_for(hedged=True))


@pytest.mark.parametrize("hedged", [True, False])
async def test_a_request_for_the_mode_that_the_account_is_not_in_is_refused(server, venue, hedged):
    server.hold_sample(hedged=not hedged)
    await venue.snapshot()
    with pytest.raises(VenueRefused):
        await venue.add_margin(request_for(hedged=hedged))
    assert server.margin_of(BTC, Side.LONG) == HELD


async def test_a_margin_that_did_not_grow_is_no_yes(server, venue):
    server.hold_sample()
    known = await before(venue)
    server.mangle("write", lambda answer: answer | {"margin": f"{HELD}"})
    with pytest.raises(OutcomeUnknown, match=r"holds 598\.215"):
        await venue.add_margin(request_for(before=known))


@pytest.mark.parametrize("change", ["-62.31", "0", "", "NaN"])
async def test_nothing_that_takes_money_out_may_leave(server, venue, change):
    await venue.open()
    parameters = {"settle": "usdt", "contract": "BTC_USDT", "change": change}
    with pytest.raises(NotSent):
        await venue._client.privateFuturesPostSettlePositionsContractMargin(parameters)
    with pytest.raises(NotSent):
        await venue._client.privateFuturesPostSettleDualMode({"settle": "usdt", "dual_mode": "true"})
    assert server.writes == []


async def test_no_other_change_of_a_position_may_leave(server, venue):
    await venue.open()
    parameters = {"settle": "usdt", "contract": "BTC_USDT", "leverage": "50", "change": "5"}
    with pytest.raises(NotSent):
        await venue._client.privateFuturesPostSettlePositionsContractLeverage(parameters)
    assert server.writes == []


@pytest.mark.parametrize(("mode", "position_mode"), [(1, None), (2, None), (3, None), (0, "dual_plus")])
async def test_where_it_only_watches_nothing_is_sent(server, venue, mode, position_mode):
    server.margin_mode, server.position_mode = mode, position_mode
    server.hold_sample()
    await venue.snapshot()
    with pytest.raises(VenueRefused, match="not sent"):
        await venue.add_margin(request_for())
    assert server.writes == []


async def test_coin_is_not_sent_to_a_position_that_settles_in_dollars(server, venue):
    server.hold_sample()
    await venue.snapshot()
    wrong = MarginRequest(key=PositionKey(BTC, Side.LONG), hedged=False, amount=Decimal("0.01"), currency="BTC")
    with pytest.raises(VenueRefused, match="no such market in BTC"):
        await venue.add_margin(wrong)
    assert server.writes == []


async def test_a_stamp_that_is_refused_has_the_clock_measured_before_the_next_read(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.fate_of_next_write = "REQUEST_EXPIRED"
    with pytest.raises(VenueRefused, match="our clock is off"):
        await venue.add_margin(request_for())
    server.requests.clear()
    await venue.snapshot()
    assert server.requests[0][1] == "/api/v4/spot/time"


async def test_stamps_are_by_the_exchanges_clock_from_the_first_write_on(server, venue):
    server.clock_skew = -50_000  # Within what the exchange bears, so no refusal would tell.
    server.hold_sample()
    await venue.snapshot()
    await venue.add_margin(request_for())
    stamp = int(server.writes[0].headers["Timestamp"])
    assert abs(stamp - server.now().timestamp()) < 3


@pytest.mark.parametrize("step_s", [-40, 40])
async def test_a_clock_that_was_set_meanwhile_is_noticed_before_a_write(server, venue, step_s):
    """A stamp of 40 s ahead would be taken, and would be good for longer than the fence."""
    server.hold_sample()
    await venue.snapshot()
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=step_s)):
        server.clock_skew = -1000 * step_s
        await venue.add_margin(request_for())
        stamp = int(server.writes[0].headers["Timestamp"])
        assert abs(stamp - server.now().timestamp()) < 3


async def test_without_the_exchanges_clock_nothing_is_written_after_ours_was_set(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.break_reads("time", Fate.HTTP_500)
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=40)), pytest.raises(VenueRefused, match="clock"):
        await venue.add_margin(request_for())
    assert server.writes == []


async def test_too_many_requests_ask_for_one_window_of_quiet(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.fate_of_next_write = Fate.RATE_LIMITED
    with pytest.raises(VenueRefused) as refused:
        await venue.add_margin(request_for())
    assert refused.value.retry_after == timedelta(seconds=10)


async def test_the_fence_covers_the_minute_that_a_stamp_is_good_for(server, venue):
    assert venue.write_terms.fence == timedelta(seconds=2)  # On loopback.
    assert timedelta(seconds=71.5) <= FENCE <= timedelta(seconds=90)


@pytest.mark.parametrize(("paid", "expected"), [(False, Outcome.APPLIED), (True, Outcome.UNKNOWN)])
async def test_a_lost_answer_is_settled_by_the_margin_unless_funding_may_have_moved_it(server, venue, paid, expected):
    server.hold_sample()
    known = await before(venue)
    server.fate_of_next_write = Fate.LOST_AFTER
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(request_for(before=known))
    if paid:
        row = {"time": server.now().timestamp(), "change": "-1", "type": "fund", "contract": "BTC_USDT", "id": "1"}
        server.funding_rows.append(row)
    moment = datetime.now(UTC) + timedelta(hours=1)
    with time_machine.travel(moment):
        settlement = await venue.settle(
            request_for(before=known), sent_at=known.read_at, now=datetime.now(UTC), known_entries=frozenset()
        )
    assert settlement.outcome is expected, settlement.evidence


async def test_a_position_that_is_gone_settles_nothing(server, venue):
    server.hold_sample()
    known = await before(venue)
    server.drop(BTC, Side.LONG)
    settlement = await venue.settle(
        request_for(before=known), sent_at=known.read_at, now=datetime.now(UTC), known_entries=frozenset()
    )
    assert settlement.outcome is Outcome.UNKNOWN
    assert "not there" in settlement.evidence
