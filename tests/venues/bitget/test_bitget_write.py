"""What leaves when margin is added, and what a lost answer is settled by."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from wire_faults import Fate

from guard.daemon.past import open_isolated
from guard.errors import OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.snapshot import MarginBefore, MarginRequest, Outcome, PositionKey, Side
from guard.venues.gate import NotSent

KEY = PositionKey("BTC/USDT:USDT", Side.LONG)
USDC = PositionKey("BTC/USDC:USDC", Side.SHORT)


def request(key=KEY, amount="62.31", *, hedged=False, currency="USDT"):
    return MarginRequest(key=key, hedged=hedged, amount=Decimal(amount), currency=currency)


@pytest.mark.parametrize("amount", ["0.01", "5.7", "62.31", "1000", "599.99"])
@pytest.mark.parametrize("hedged", [False, True], ids=["one-way", "hedge"])
async def test_what_leaves_is_the_amount_and_the_side_and_nothing_else(server, venue, amount, hedged):
    """ccxt's own method would send 5.700 or 62.310, rounded to a step of the contract."""
    server.hold_sample(hedged=hedged)
    await venue.snapshot()
    server.requests.clear()
    await venue.add_margin(request(amount=amount, hedged=hedged))
    (call,) = server.writes
    assert json.loads(call.body) == {
        "symbol": "BTCUSDT", "productType": "USDT-FUTURES", "marginCoin": "USDT", "amount": amount, "holdSide": "long",
    }  # fmt: skip
    assert len(server.requests) == 1
    assert server.margin_of(*_place(KEY)) == Decimal(600) + Decimal(amount)


def _place(key):
    return key.symbol, key.side


async def test_a_short_in_usdc_is_named_with_its_product(server, venue):
    server.wallets["USDC"] = (Decimal(5000), Decimal(5000))
    server.hold_sample(Side.SHORT, server.usdc)
    await venue.snapshot()
    await venue.add_margin(request(USDC, currency="USDC"))
    (call,) = server.writes
    assert (call.params["productType"], call.params["symbol"], call.params["holdSide"]) == (
        "USDC-FUTURES",
        "BTCPERP",
        "short",
    )


async def test_a_coin_that_the_contract_does_not_settle_in_is_not_sent(server, venue):
    server.hold_sample()
    await venue.snapshot()
    with pytest.raises(VenueRefused):
        await venue.add_margin(request(currency="USDC"))
    assert server.writes == []


@pytest.mark.parametrize("amount", ["-1", "-0.01", "0", "", "NaN", "-Infinity", None, "1e"])
async def test_nothing_that_may_take_margin_out_can_leave_the_process(server, venue, amount):
    server.hold_sample()
    await venue.snapshot()
    body = {
        "symbol": "BTCUSDT", "productType": "USDT-FUTURES", "marginCoin": "USDT", "amount": amount, "holdSide": "long",
    }  # fmt: skip
    with pytest.raises(NotSent):
        await venue._client.privateMixPostV2MixAccountSetMargin(body)
    assert server.writes == []


@pytest.mark.parametrize(
    "name",
    ["V2MixAccountSetLeverage", "V2MixAccountSetAutoMargin", "V2MixAccountSetMarginMode", "V2MixOrderPlaceOrder"],
)
async def test_no_other_write_can_leave_the_process(server, venue, name):
    await venue.open()
    with pytest.raises(NotSent):
        await getattr(venue._client, f"privateMixPost{name}")({"amount": "1", "symbol": "BTCUSDT"})
    for body in (
        {"amount": "1", "operation": "reduce"},
        {"amount": "1"},
        {"amount": "-1", "operation": "add"},
        {"operation": "add"},
    ):
        with pytest.raises(NotSent):
            await venue._client.privateUtaPostV3AccountSetMargin(body)
    assert [method for method, _, _ in server.requests if method == "POST"] == []


# Lost answers.


async def lose(server, venue, fate, one=None):
    one = one or request()
    snapshot = await venue.snapshot()
    (position,) = (held for held in snapshot.positions if held.key == one.key)
    before = MarginBefore(
        margin=position.isolated_wallet,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        read_at=snapshot.positions_read_at,
    )
    server.fate_of_next_write = fate
    started = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(one)
    return replace(one, before=before), started


async def settle(venue, lost, known=frozenset(), *, early=False):
    one, sent_at = lost
    later = timedelta(0) if early else venue.write_terms.fence + timedelta(seconds=1)
    with time_machine.travel(sent_at + later):
        return await venue.settle(one, sent_at=sent_at, now=datetime.now(UTC), known_entries=known)


async def test_a_bill_proves_it_even_before_the_fence(server, venue):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_AFTER)
    found = await settle(venue, (replace(lost[0], before=None), lost[1]), early=True)
    assert found.outcome is Outcome.APPLIED, found.evidence
    assert found.entry_id.startswith("BTCUSDT|")


async def test_without_a_bill_the_margin_proves_it(server, venue):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_AFTER)
    server.adjustments.clear()  # No recorded bill of margin is at hand: perhaps there are none.
    found = await settle(venue, lost)
    assert found.outcome is Outcome.APPLIED, found.evidence


async def test_that_there_is_no_bill_is_no_proof_that_nothing_was_done(server, venue):
    server.hold_sample()
    one, sent_at = await lose(server, venue, Fate.LOST_AFTER)
    server.adjustments.clear()
    found = await settle(venue, (replace(one, before=None), sent_at))
    assert found.outcome is Outcome.UNKNOWN, found.evidence


async def test_neither_a_bill_nor_margin_behind_the_fence_is_a_no(server, venue):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_BEFORE)
    assert (await settle(venue, lost, early=True)).outcome is Outcome.UNKNOWN
    assert (await settle(venue, lost)).outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize(("fate", "outcome"), [(Fate.LOST_AFTER, "applied"), (Fate.LOST_BEFORE, "not_applied")])
async def test_bills_that_are_down_leave_it_to_the_margin(server, venue, fate, outcome):
    half_past = timedelta(minutes=(30 - datetime.now(UTC).minute) % 60)  # In a full hour's minute funding may be paid.
    with time_machine.travel(datetime.now(UTC) + half_past):
        server.hold_sample()
        lost = await lose(server, venue, fate)
        server.history_down = True
        found = await settle(venue, lost)
    assert found.outcome.value == outcome, found.evidence


async def test_the_exchanges_clock_must_be_behind_the_fence_too(server, venue):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_BEFORE)
    server.clock_skew = -20_000  # Set back after the skew was measured.
    found = await settle(venue, lost)
    assert found.outcome is Outcome.UNKNOWN
    assert "by the exchange's clock" in found.evidence


async def test_a_bill_of_two_open_legs_is_no_proof_by_itself(server, venue):
    for side in Side:
        server.hold_sample(side, hedged=True)
    one, sent_at = await lose(server, venue, Fate.LOST_AFTER, request(hedged=True))
    found = await settle(venue, (replace(one, before=None), sent_at))
    assert found.outcome is Outcome.UNKNOWN
    found = await settle(venue, (one, sent_at))
    assert found.outcome is Outcome.APPLIED
    assert found.entry_id is not None


async def test_a_bill_that_proves_another_request_proves_no_second_one(server, venue):
    server.hold_sample()
    first = await settle(venue, await lose(server, venue, Fate.LOST_AFTER))
    assert first.entry_id is not None
    lost = await lose(server, venue, Fate.LOST_BEFORE)
    found = await settle(venue, lost, frozenset({first.entry_id}))
    assert found.outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize("older_s", [20, 1], ids=["long before", "just before"])
async def test_a_bill_that_was_there_before_the_position_was_read_is_anothers(server, venue, older_s):
    """Of a person, or of an act of a journal that is lost."""
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_BEFORE)
    booked = lost[0].before.read_at - timedelta(seconds=older_s)
    server.extra_bills = [server.bill(KEY.symbol, "append_margin", Decimal("62.31"), round(booked.timestamp() * 1000))]
    found = await settle(venue, lost)
    assert found.outcome is Outcome.NOT_APPLIED, found.evidence


@pytest.mark.parametrize("fate", [Fate.LOST_AFTER, Fate.LOST_BEFORE])
async def test_a_bill_that_seems_older_by_what_clocks_are_wrong_by_is_ours_where_the_margin_says_so(
    server, venue, fate
):
    """The exchange's clock is measured to some milliseconds, and its bill may seem to be from before the look."""
    server.hold_sample()
    lost = await lose(server, venue, fate)
    booked = round(lost[0].before.read_at.timestamp() * 1000) - 40
    server.adjustments.clear()
    server.extra_bills = [server.bill(KEY.symbol, "append_margin", Decimal("62.31"), booked)]
    found = await settle(venue, lost)
    if fate is Fate.LOST_AFTER:
        assert (found.outcome, found.entry_id.split("|")[1]) == (Outcome.APPLIED, str(booked))
    else:  # A person's, of the same amount.
        assert (found.outcome, found.entry_id) == (Outcome.NOT_APPLIED, None)


async def test_bills_that_lost_an_entry_are_not_trusted(server, venue):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_BEFORE)
    known = frozenset({f"BTCUSDT|{round(lost[1].timestamp() * 1000)}|77|long"})
    found = await settle(venue, lost, known)
    assert found.outcome is Outcome.UNKNOWN
    assert "missing" in found.evidence


@pytest.mark.parametrize("paid", [False, True], ids=["no funding", "funding"])
async def test_funding_that_may_have_moved_as_much_leaves_it_open(server, venue, paid):
    server.hold_sample()
    one, sent_at = await lose(server, venue, Fate.LOST_BEFORE)
    one = replace(one, before=replace(one.before, read_at=sent_at - timedelta(hours=2)))
    if paid:
        an_hour_ago = round((sent_at - timedelta(hours=1)).timestamp() * 1000)
        server.extra_bills = [server.bill(KEY.symbol, "contract_settle_fee", Decimal("-0.6"), an_hour_ago)]
    found = await settle(venue, (one, sent_at))
    assert found.outcome is (Outcome.UNKNOWN if paid else Outcome.NOT_APPLIED), found.evidence


# The history.


def at(hours):
    return round((datetime.now(UTC) - timedelta(hours=hours)).timestamp() * 1000)


async def test_the_history_tells_what_was_moved_by_whom_and_what_was_opened(server, venue):
    server.hold_sample()
    server.holdings[KEY.symbol, KEY.side].since = datetime.now(UTC) - timedelta(hours=5)
    server.extra_bills = [
        server.bill(KEY.symbol, "append_margin", Decimal(100), at(4)),
        server.bill(KEY.symbol, "reduce_margin", Decimal(30), at(3)),
        server.bill(KEY.symbol, "auto_append_margin", Decimal(-20), at(2)),
        server.bill(KEY.symbol, "adjust_down_lever_append_margin", Decimal(10), at(1)),
        server.bill(KEY.symbol, "contract_settle_fee", Decimal(-5), at(1)),
        server.bill("ETH/USDT:USDT", "append_margin", Decimal(7), at(2)),  # Closed since.
    ]
    changes = await venue.margin_changes(
        open_isolated(await venue.snapshot()), datetime.now(UTC) - timedelta(days=1), also={"ETH/USDT:USDT"}
    )
    told = [(one.key.symbol, one.amount, one.by_user, one.side_known) for one in changes]
    eth = ("ETH/USDT:USDT", Decimal(7), True, False)
    assert told[0] == (KEY.symbol, Decimal(500), False, True)  # Opened with 600 less what was added since.
    assert sorted(told[1:]) == sorted(
        [
            (KEY.symbol, Decimal(100), True, True),
            (KEY.symbol, Decimal(-30), True, True),
            (KEY.symbol, Decimal(20), False, True),
            (KEY.symbol, Decimal(10), False, True),
            eth,
        ]
    )
    open_only = await venue.margin_changes(open_isolated(await venue.snapshot()), datetime.now(UTC) - timedelta(days=1))
    assert {one.key.symbol for one in open_only} == {KEY.symbol}


async def test_an_opening_before_the_history_is_not_told(server, venue):
    server.hold_sample()
    server.holdings[KEY.symbol, KEY.side].since = datetime.now(UTC) - timedelta(hours=5)
    assert (
        await venue.margin_changes(open_isolated(await venue.snapshot()), datetime.now(UTC) - timedelta(hours=4)) == ()
    )


async def test_what_was_added_to_one_of_two_legs_counts_for_both(server, venue):
    for side in Side:
        server.hold_sample(side, hedged=True)
    server.extra_bills = [server.bill(KEY.symbol, "append_margin", Decimal(100), at(0))]
    changes = await venue.margin_changes([KEY], datetime.now(UTC) - timedelta(hours=1))
    assert [(one.key, one.amount) for one in changes] == [(KEY, Decimal(100))]
    both = await venue.margin_changes(open_isolated(await venue.snapshot()), datetime.now(UTC) - timedelta(hours=1))
    added = [one for one in both if one.by_user]
    assert {one.key.side for one in added} == set(Side)
    assert len({one.entry_id for one in added}) == 2


async def test_three_months_are_read_in_spans_that_the_exchange_takes(server, venue):
    server.extra_bills = [
        server.bill(KEY.symbol, "append_margin", Decimal(days), at(24 * days)) for days in (1, 40, 80)
    ]
    changes = await venue.margin_changes(
        open_isolated(await venue.snapshot()), datetime.now(UTC) - timedelta(days=200), also={KEY.symbol}
    )
    assert [one.amount for one in changes] == [80, 40, 1]


async def test_all_pages_of_bills_are_read(server, venue):
    server.extra_bills = [
        server.bill(KEY.symbol, "append_margin", Decimal(number + 1), at(20) + number) for number in range(250)
    ]
    changes = await venue.margin_changes(
        open_isolated(await venue.snapshot()), datetime.now(UTC) - timedelta(days=1), also={KEY.symbol}
    )
    assert [one.amount for one in changes] == list(range(1, 251))


async def test_bills_of_a_kind_that_was_not_asked_for_are_not_taken_for_it(server, venue):
    server.extra_bills = [server.bill(KEY.symbol, "append_margin", Decimal(5), at(1))]

    def change(answer):
        for row in answer["data"]["bills"]:
            row["businessType"] = "open_long"
        return answer

    server.mangle("history", change)
    with pytest.raises(VenueUnavailable, match="open_long"):
        await venue.margin_changes(
            open_isolated(await venue.snapshot()), datetime.now(UTC) - timedelta(days=1), also={KEY.symbol}
        )


async def test_closed_positions_of_all_products_are_told_for_a_day(server, venue):
    for one in (server.sample, server.usdc):
        server.hold_sample(of=one)
        await venue.snapshot()
        server.end_position(one.symbol, Side.LONG, "closed")
    assert await venue.traded_lately() == {KEY.symbol, USDC.symbol}
    assert {one["productType"] for one in server.asked("history-position")} == {"USDT-FUTURES", "USDC-FUTURES"}


async def test_more_closed_positions_than_pages_tell_are_not_known(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.end_position(KEY.symbol, KEY.side, "closed")

    def change(answer):
        answer["data"]["list"] *= 100
        return answer

    server.mangle("fills", change)
    assert await venue.traded_lately() is None
