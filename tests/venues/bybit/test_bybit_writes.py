"""Margin at Bybit: what leaves, what its answer proves, and what is left of a lost answer."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from bybit_wire import BybitServer
from wire_faults import Fate

from guard.errors import OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.snapshot import MarginBefore, MarginRequest, Outcome, PositionKey, Side
from guard.venues.bybit_wire import quiet_s
from guard.venues.gate import NotSent

USDT, USDC, COIN = BybitServer.sample, BybitServer.usdc, BybitServer.inverse


def request_for(one, side=Side.LONG, *, hedged=False, amount=None):
    return MarginRequest(
        key=PositionKey(one.symbol, side), hedged=hedged, amount=amount or one.top_up, currency=one.currency
    )


async def seen(venue, one=USDT, **changed):
    """Return a request for a position as it was read before."""
    snapshot = await venue.snapshot()
    position = next(p for p in snapshot.positions if p.contract.symbol == one.symbol)
    before = MarginBefore(
        margin=position.isolated_wallet,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        read_at=snapshot.positions_read_at,
    )
    return replace(request_for(one), before=replace(before, **changed))


async def lose(server, venue, fate, request):
    server.fate_of_next_write = fate
    sent_at = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(request)
    return sent_at


async def settled(venue, request, sent_at, now=None):
    return await venue.settle(request, sent_at=sent_at, now=now or datetime.now(UTC), known_entries=frozenset())


def behind_the_fence(venue, more=timedelta(seconds=1)):
    return time_machine.travel(datetime.now(UTC) + venue.write_terms.fence + more)


@pytest.mark.parametrize(
    ("one", "fields"),
    [
        (USDT, {"category": "linear", "symbol": "BTCUSDT", "margin": "62.3125"}),
        (USDC, {"category": "linear", "symbol": "BTCPERP", "margin": "62.5"}),
        (COIN, {"category": "inverse", "symbol": "BTCUSD", "margin": "0.0021"}),
    ],
    ids=["USDT", "USDC", "inverse"],
)
@pytest.mark.parametrize("leg", [(False, 1, 0), (False, -1, 0), (True, 1, 1), (True, -1, 2)], ids=str)
async def test_what_leaves_is_one_post_with_these_fields(server, venue, one, fields, leg):
    hedged, side, index = leg
    server.hold_sample(Side(side), one, hedged=hedged)
    server.wallets["USDC"] = (Decimal(1000), Decimal(1000))
    await venue.snapshot()
    confirmation = await venue.add_margin(request_for(one, Side(side), hedged=hedged))
    (write,) = server.writes
    assert json.loads(write.body) == fields | {"positionIdx": index}
    assert write.headers["X-BAPI-RECV-WINDOW"] == "1000"  # The fence on loopback counts on it.
    assert f"{fields['symbol']} now holds" in confirmation


@pytest.mark.parametrize("margin", ["-10", "0", "NaN", "", "-0.0001"])
async def test_nothing_that_would_take_margin_out_passes_the_gate(server, venue, margin):
    server.hold_sample()
    await venue.open()
    parameters = {"category": "linear", "symbol": "BTCUSDT", "margin": margin, "positionIdx": 0}
    with pytest.raises(NotSent):
        await venue._client.privatePostV5PositionAddMargin(parameters)
    with pytest.raises(NotSent):
        await venue._client.privatePostV5PositionSetAutoAddMargin({"category": "linear", "symbol": "BTCUSDT"})
    assert not [path for method, path, _ in server.requests if method == "POST"]


@pytest.mark.parametrize("amount", ["62.31251", "0.00001", "-1", "0"])
async def test_an_amount_beside_four_decimals_is_never_sent(server, venue, amount):
    server.hold_sample()
    await venue.open()
    with pytest.raises(ValueError):
        await venue.add_margin(replace(request_for(USDT), amount=Decimal(amount)))
    assert server.writes == []


async def test_nothing_is_sent_to_an_account_that_is_not_in_isolated_mode(server, venue):
    server.margin_mode = "PORTFOLIO_MARGIN"
    server.hold_sample(margin=None)
    await venue.snapshot()
    with pytest.raises(VenueRefused, match="portfolio margin mode") as caught:
        await venue.add_margin(request_for(USDT))
    assert caught.value.code == "not_sent"
    assert server.writes == []


@pytest.mark.parametrize(
    "fields",
    [
        {"symbol": "ETHUSDT"},
        {"category": "inverse"},
        {"positionIdx": 1},
        {"positionIM": "62.31"},
        {"positionIM": ""},
        {"size": "0"},
        {"symbol": None},
    ],
    ids=str,
)
async def test_a_yes_about_something_else_is_unknown(server, venue, fields):
    server.hold_sample()
    await venue.snapshot()
    server.mangle("write", lambda answer: answer | {"result": answer["result"] | fields})
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(request_for(USDT))
    assert len(server.writes) == 1


@pytest.mark.parametrize("code", ["10000", "10014", "10016", "10019", "429", "110001", "1", "-1"])
async def test_codes_that_say_neither_yes_nor_no_are_unknown(server, venue, code):
    server.hold_sample()
    await venue.snapshot()
    server.fate_of_next_write = code
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(request_for(USDT))


async def test_a_write_that_is_refused_for_our_clock_has_it_measured(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.clock_skew = 60_000
    with pytest.raises(VenueRefused, match="clock") as caught:
        await venue.add_margin(request_for(USDT))
    assert caught.value.code == "10002"
    assert server.margin_of(USDT.symbol, Side.LONG) == USDT.margin
    await venue.snapshot()
    assert venue.skew > timedelta(seconds=50)
    assert await venue.add_margin(request_for(USDT))


async def test_a_limit_of_the_user_is_kept_quiet_for_as_long_as_its_headers_say(server, venue):
    await venue.open()
    server.break_reads("wallets", Fate.RATE_LIMITED)
    with pytest.raises(VenueUnavailable) as caught:
        await venue.snapshot()
    assert caught.value.retry_after == timedelta(seconds=0.7)
    asked = len(server.requests)
    with pytest.raises(NotSent):
        await venue.snapshot()
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (403, {}, {"retCode": 10006, "retMsg": "access too frequent"}, 600),
        (403, {}, {"retCode": 403, "retMsg": "access too frequent"}, 600),
        (403, {}, None, 60),  # A page: its reason is not known.
        (200, {}, {"retCode": 10018, "retMsg": "Exceeded the IP Rate Limit."}, 600),
        (200, {}, {"retCode": 10006, "retMsg": "Too many visits!"}, 1),
        (200, {"X-Bapi-Limit-Reset-Timestamp": "5000"}, {"retCode": 10006, "time": 2000}, 3),
        (200, {"X-Bapi-Limit-Reset-Timestamp": "99000"}, {"retCode": 10006, "time": 2000}, 5),
        (200, {"X-Bapi-Limit-Reset-Timestamp": "1000"}, {"retCode": 10006, "time": 2000}, 0.1),
        (200, {"X-Bapi-Limit-Status": "0"}, {"retCode": 0}, None),
        (429, {}, {"retCode": 10000}, None),  # By Retry-After, as everywhere.
    ],
)
def test_how_long_the_exchange_wants_quiet(status, headers, body, seconds):
    assert quiet_s(status, headers, body) == seconds


async def test_there_is_no_history_of_margin_to_ask(venue):
    assert venue.write_terms.history_kept == timedelta(0)
    with pytest.raises(VenueUnavailable, match="no record"):
        await venue.margin_changes((), datetime.now(UTC))


@pytest.mark.parametrize(
    ("fate", "outcome"), [(Fate.LOST_AFTER, Outcome.APPLIED), (Fate.LOST_BEFORE, Outcome.NOT_APPLIED)]
)
@pytest.mark.parametrize("one", [USDT, USDC, COIN], ids=["USDT", "USDC", "inverse"])
async def test_a_lost_answer_is_settled_by_what_the_position_holds(server, venue, one, fate, outcome):
    server.hold_sample(of=one)
    server.wallets["USDC"] = (Decimal(1000), Decimal(1000))
    request = await seen(venue, one)
    sent_at = await lose(server, venue, fate, request)
    with behind_the_fence(venue):
        settlement = await settled(venue, request, sent_at)
    assert settlement.outcome is outcome, settlement.evidence
    assert "its margin went from" in settlement.evidence


async def test_what_arrives_late_is_not_called_off_before_the_fence(server, venue):
    server.hold_sample()
    request = await seen(venue)
    sent_at = await lose(server, venue, Fate.LATE, request)
    assert (await settled(venue, request, sent_at)).outcome is Outcome.UNKNOWN
    server.arrive()
    assert (await settled(venue, request, sent_at)).outcome is Outcome.APPLIED


@pytest.mark.parametrize(
    "changed",
    [
        {"added_since": None},
        {"quantity": Decimal("0.2")},
        {"entry_price": Decimal(59000)},
        {"margin": Decimal(580)},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_what_the_difference_does_not_prove_stays_unknown(server, venue, changed):
    server.hold_sample()
    request = await seen(venue, **changed)
    sent_at = await lose(server, venue, Fate.LOST_AFTER, request)
    with behind_the_fence(venue):
        assert (await settled(venue, request, sent_at)).outcome is Outcome.UNKNOWN


async def test_a_position_that_is_gone_proves_nothing(server, venue):
    server.hold_sample()
    request = await seen(venue)
    sent_at = await lose(server, venue, Fate.LOST_AFTER, request)
    server.drop(USDT.symbol, Side.LONG)
    server.closed_rows = [USDT.symbol]  # Asked by its symbol, it is told with a size of zero.
    with behind_the_fence(venue):
        settlement = await settled(venue, request, sent_at)
    assert settlement.outcome is Outcome.UNKNOWN
    assert "not there" in settlement.evidence


async def test_an_empty_list_is_no_word_on_a_position(server, venue):
    server.hold_sample()
    request = await seen(venue)
    sent_at = await lose(server, venue, Fate.LOST_AFTER, request)
    server.drop(USDT.symbol, Side.LONG)
    with behind_the_fence(venue), pytest.raises(VenueUnavailable):
        await settled(venue, request, sent_at)


async def test_an_account_that_left_isolated_mode_proves_nothing(server, venue):
    server.hold_sample()
    request = await seen(venue)
    sent_at = await lose(server, venue, Fate.LOST_AFTER, request)
    server.margin_mode = "REGULAR_MARGIN"
    with behind_the_fence(venue):
        assert (await settled(venue, request, sent_at)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("log", "outcome"),
    [
        ([], Outcome.APPLIED),
        ([{"symbol": "ETHUSDT", "type": "SETTLEMENT", "funding": "-3"}], Outcome.APPLIED),
        ([{"symbol": "BTCUSDT", "type": "SETTLEMENT", "funding": "-3"}], Outcome.UNKNOWN),
        ([None], Outcome.UNKNOWN),
    ],
    ids=["nothing", "another's", "its own", "no row"],
)
async def test_an_hour_that_passed_leaves_doubt_only_where_funding_was_paid(server, venue, log, outcome):
    server.hold_sample()
    request = await seen(venue)
    sent_at = await lose(server, venue, Fate.LOST_AFTER, request)
    server.funding_rows = log
    with behind_the_fence(venue, timedelta(hours=1)):
        settlement = await settled(venue, request, sent_at)
    assert settlement.outcome is outcome, settlement.evidence
    (question,) = server.asked("transaction-log")
    assert question["type"] == "SETTLEMENT"
    assert int(question["startTime"]) < request.before.read_at.timestamp() * 1000
