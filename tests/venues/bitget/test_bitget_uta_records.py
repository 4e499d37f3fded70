"""A unified account: what its records and margin prove of a lost answer, its stops, endings, and what its key may do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from bitget_uta_wire import BitgetUtaServer
from bitget_wire_unified import strategy_row
from wire_faults import Fate
from wire_values import Stop

from guard.errors import OutcomeUnknown, VenueUnavailable
from guard.snapshot import EndKind, MarginBefore, MarginRequest, Outcome, PositionKey, Side

KEY = PositionKey("BTC/USDT:USDT", Side.LONG)


@pytest.fixture
async def server():
    async with BitgetUtaServer().serving() as one:
        yield one


def request(*, hedged=False):
    return MarginRequest(key=KEY, hedged=hedged, amount=Decimal("62.31"), currency="USDT")


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


def half_past():
    """Go to a moment in whose minute no funding can be paid."""
    now = datetime.now(UTC)
    return time_machine.travel(now + timedelta(minutes=(30 - now.minute) % 60))


# Lost answers.


@pytest.mark.parametrize("word", ["FIXED_INCREASE_MARGIN", "INCREASE_MARGIN"])
async def test_a_record_proves_it_even_before_the_fence_by_either_word(server, venue, word):
    server.added_word = word
    server.hold_sample()
    one, sent_at = await lose(server, venue, Fate.LOST_AFTER)
    found = await settle(venue, (replace(one, before=None), sent_at), early=True)
    assert found.outcome is Outcome.APPLIED, found.evidence
    assert found.entry_id.startswith("BTCUSDT|")


async def test_a_record_that_tells_its_amount_as_the_positions_is_read(server, venue):
    server.hold_sample()

    def change(answer):
        for row in answer["data"]["list"] or ():
            row.update(amount="0", positionAmount="62.31", positionType="isolated")
        return answer

    server.mangle("history", change)
    one, sent_at = await lose(server, venue, Fate.LOST_AFTER)
    found = await settle(venue, (replace(one, before=None), sent_at))
    assert found.outcome is Outcome.APPLIED, found.evidence


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "REDUCE_MARGIN"},
        {"symbol": "ETHUSDT"},
        {"symbol": ""},
        {"coin": "USDC"},
        {"amount": "62.3"},
        {"ts": "1745853486185"},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_a_record_of_something_else_proves_nothing(server, venue, fields):
    server.hold_sample()
    one, sent_at = await lose(server, venue, Fate.LOST_BEFORE)
    stamp = round(sent_at.timestamp() * 1000)
    server.extra_records = [server.record(KEY.symbol, "INCREASE_MARGIN", Decimal("-62.31"), stamp)]
    found = await settle(venue, (replace(one, before=None), sent_at))
    assert found.outcome is Outcome.APPLIED, "as it is it would be one"

    def change(answer):
        for row in answer["data"]["list"] or ():
            row.update(fields)
        return answer

    server.mangle("history", change)
    found = await settle(venue, (replace(one, before=None), sent_at))
    assert found.outcome is Outcome.UNKNOWN, found.evidence


async def test_without_a_record_the_margin_proves_it(server, venue):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_AFTER)
    server.adjustments.clear()  # Perhaps it is told by another word, or not at all.
    found = await settle(venue, lost)
    assert found.outcome is Outcome.APPLIED, found.evidence


async def test_that_there_is_no_record_is_no_proof_that_nothing_was_done(server, venue):
    server.hold_sample()
    one, sent_at = await lose(server, venue, Fate.LOST_AFTER)
    server.adjustments.clear()
    found = await settle(venue, (replace(one, before=None), sent_at))
    assert found.outcome is Outcome.UNKNOWN, found.evidence


async def test_neither_a_record_nor_margin_behind_the_fence_is_a_no(server, venue):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_BEFORE)
    assert (await settle(venue, lost, early=True)).outcome is Outcome.UNKNOWN
    assert (await settle(venue, lost)).outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize("fate", [Fate.LOST_AFTER, Fate.LOST_BEFORE], ids=lambda fate: fate.name)
@pytest.mark.parametrize("off", ["0.03", "-0.03"])
async def test_a_margin_that_its_price_confirms_too_roughly_settles_nothing(server, venue, fate, off):
    """Within one per cent of the margin it is guarded; a quarter of what was sent is 15.58."""
    with half_past():
        server.hold_sample(margin=Decimal(6000), contracts=Decimal(1))
        server.adjustments.clear()

        def change(answer):
            for row in answer["data"]["list"] or ():
                row["positionBalance"] = f"{Decimal(row['positionBalance']) * (1 + Decimal(off) / 6):f}"
            return answer

        server.mangle("positions", change)
        lost = await lose(server, venue, fate)
        assert lost[0].before.margin is not None, "within one per cent"
        server.history_down = True
        found = await settle(venue, lost)
    assert found.outcome is Outcome.UNKNOWN
    assert "what margin it holds is not known" in found.evidence


@pytest.mark.parametrize(("fate", "outcome"), [(Fate.LOST_AFTER, "applied"), (Fate.LOST_BEFORE, "not_applied")])
async def test_records_that_are_down_leave_it_to_the_margin(server, venue, fate, outcome):
    with half_past():
        server.hold_sample()
        lost = await lose(server, venue, fate)
        server.history_down = True
        found = await settle(venue, lost)
    assert found.outcome.value == outcome, found.evidence


async def test_a_record_of_two_open_legs_is_no_proof_by_itself(server, venue):
    for side in Side:
        server.hold_sample(side, hedged=True)
    one, sent_at = await lose(server, venue, Fate.LOST_AFTER, request(hedged=True))
    assert (await settle(venue, (replace(one, before=None), sent_at))).outcome is Outcome.UNKNOWN
    found = await settle(venue, (one, sent_at))
    assert found.outcome is Outcome.APPLIED
    assert found.entry_id is not None


async def test_the_twin_legs_record_proves_nothing(server, venue):
    for side in Side:
        server.hold_sample(side, hedged=True)
    lost = await lose(server, venue, Fate.LOST_BEFORE, request(hedged=True))
    server.add_to(KEY.symbol, Side.SHORT, Decimal("62.31"))
    assert (await settle(venue, lost)).outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize("older_s", [20, 1], ids=["long before", "just before"])
async def test_a_record_that_was_there_before_the_position_was_read_is_anothers(server, venue, older_s):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_BEFORE)
    booked = round((lost[0].before.read_at - timedelta(seconds=older_s)).timestamp() * 1000)
    server.extra_records = [server.record(KEY.symbol, "INCREASE_MARGIN", Decimal("-62.31"), booked)]
    found = await settle(venue, lost)
    assert found.outcome is Outcome.NOT_APPLIED, found.evidence


async def test_a_record_that_proves_another_request_proves_no_second_one(server, venue):
    server.hold_sample()
    first = await settle(venue, await lose(server, venue, Fate.LOST_AFTER))
    lost = await lose(server, venue, Fate.LOST_BEFORE)
    found = await settle(venue, lost, frozenset({first.entry_id}))
    assert found.outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize("word", [None, "FIXED_SETTLE_FEE_USER_OUT", "MARGIN_SETTLE_FEE_USER_OUT", "A_NEW_WORD"])
async def test_any_other_record_of_the_symbol_may_be_funding_that_moved_as_much(server, venue, word):
    server.hold_sample()
    one, sent_at = await lose(server, venue, Fate.LOST_BEFORE)
    one = replace(one, before=replace(one.before, read_at=sent_at - timedelta(hours=2)))
    if word is not None:
        an_hour_ago = round((sent_at - timedelta(hours=1)).timestamp() * 1000)
        server.extra_records = [server.record(KEY.symbol, word, Decimal("-0.6"), an_hour_ago)]
    found = await settle(venue, (one, sent_at))
    assert found.outcome is (Outcome.NOT_APPLIED if word is None else Outcome.UNKNOWN), found.evidence


async def test_all_pages_of_records_are_read(server, venue):
    server.hold_sample()
    one, sent_at = await lose(server, venue, Fate.LOST_AFTER)
    stamp = round(sent_at.timestamp() * 1000) + 500
    server.extra_records = [
        server.record("ETH/USDT:USDT", "ORDER_DEALT_IN", Decimal(number + 1), stamp + number) for number in range(250)
    ]
    found = await settle(venue, (replace(one, before=None), sent_at))
    assert found.outcome is Outcome.APPLIED, found.evidence
    assert len({asked.get("cursor") for asked in server.asked("financial-records")}) == 3


async def test_pages_that_do_not_go_on_are_no_answer(server, venue):
    server.hold_sample()
    one, sent_at = await lose(server, venue, Fate.LOST_BEFORE)
    stamp = round(sent_at.timestamp() * 1000)
    server.extra_records = [
        server.record(KEY.symbol, "ORDER_DEALT_IN", Decimal(number + 1), stamp + number) for number in range(150)
    ]

    def change(answer):
        answer["data"]["cursor"] = None
        return answer

    server.mangle("history", change)
    found = await settle(venue, (replace(one, before=None), sent_at))
    assert found.outcome is Outcome.UNKNOWN
    assert "could not be read" in found.evidence


async def test_an_account_that_became_classic_meanwhile_is_settled_as_it_is_now(server, venue):
    server.hold_sample()
    lost = await lose(server, venue, Fate.LOST_BEFORE)
    server.is_unified = False
    await venue.snapshot()
    assert (await settle(venue, lost)).outcome is Outcome.NOT_APPLIED
    assert server.asked("mix/account/bill")


# What was spent before.


async def test_what_was_spent_in_a_unified_account_is_not_made_up(server, venue):
    """Its records are not certain to tell it, so a new journal only watches until its owner arms it."""
    server.hold_sample()
    await venue.snapshot()
    assert venue.write_terms.history_kept == timedelta(0)
    assert await venue.traded_lately() is None
    with pytest.raises(VenueUnavailable, match="not certain"):
        await venue.margin_changes([KEY], datetime.now(UTC) - timedelta(days=1))


# Stops.


def stop(price="55000", **fields):
    one = Stop(symbol=KEY.symbol, side=Side.LONG, price=Decimal(price), hedged=False, at=datetime.now(UTC))
    return strategy_row(one, **fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, ("mark", None)),
        ({"slTriggerBy": "market"}, ("last", None)),
        ({"qty": "0.05", "status": "pending"}, ("mark", Decimal("0.05"))),
        ({"takeProfit": "70000"}, ("mark", None)),
        ({"stopLoss": "", "takeProfit": "70000"}, None),
        ({"stopLoss": "0", "takeProfit": "70000"}, None),
        ({"status": "cancelled"}, None),
        ({"posSide": "", "side": "sell"}, ("mark", None)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
async def test_a_stop_loss_is_a_stop_and_a_take_profit_is_none(server, venue, fields, told):
    server.hold_sample()
    await venue.snapshot()
    server.strategies = [stop(**fields)]
    found = await venue.stops(frozenset({KEY.symbol}))
    assert [(one.key, one.trigger_price, one.trigger_by, one.quantity) for one in found] == (
        [] if told is None else [(KEY, Decimal(55000), *told)]
    )


@pytest.mark.parametrize("fields", [{"stopLoss": "NaN"}, {"posSide": "net"}, {"qty": []}], ids=str)
async def test_a_stop_that_cannot_be_read_is_not_missing(server, venue, fields):
    server.hold_sample()
    await venue.snapshot()
    server.strategies = [stop(**fields)]
    with pytest.raises(VenueUnavailable, match=r"BTC/USDT:USDT"):
        await venue.stops(frozenset({KEY.symbol}))


# Endings.


async def test_the_end_is_found_behind_other_symbols_fills(server, venue):
    since = datetime.now(UTC) - timedelta(minutes=1)
    server.hold_sample()
    await venue.snapshot()
    server.end_position(KEY.symbol, KEY.side, "liquidated")
    (end,) = server.ends
    other = replace(end.holding, symbol="ETH/USDT:USDT")
    server.ends += [
        replace(end, holding=other, at=end.at + timedelta(milliseconds=number + 1)) for number in range(150)
    ]
    ending = await venue.ending(KEY, since)
    assert (ending.kind, ending.price) == (EndKind.LIQUIDATED, server.sample.mark)
    assert len(server.asked("trade/fills")) == 2


async def test_another_symbols_liquidation_is_not_this_ones(server, venue):
    since = datetime.now(UTC) - timedelta(minutes=1)
    server.hold_sample()
    server.hold_sample(of=server.other)
    await venue.snapshot()
    server.end_position(server.other.symbol, Side.LONG, "liquidated")
    server.end_position(KEY.symbol, KEY.side, "closed")
    assert (await venue.ending(KEY, since)).kind is EndKind.CLOSED


# Keys.


@pytest.mark.parametrize(
    ("words", "permission", "verdict"),
    [
        (["uta_mgt", "uta_trade"], "read-and-write", "safe"),
        (["uta_mgt"], "read-and-write", "safe"),
        (["uta_trade"], "read-and-write", "read_only"),
        (["uta_mgt", "uta_trade"], "read-only", "read_only"),
        (["uta_mgt", "uta_trade"], "read", "read_only"),
        (["uta_mgt", "withdraw"], "read-and-write", "too_powerful"),
        (["uta_mgt", "transfer"], "read-and-write", "too_powerful"),
        ([], "read-and-write", "read_only"),
    ],
)
async def test_what_each_permission_means(server, venue, words, permission, verdict):
    server.authorities = words

    def change(answer):
        answer["data"]["permType"] = permission
        return answer

    server.mangle("/api/v3/account/info", change)
    scopes = await venue.key_scopes()
    assert scopes.verdict.value == verdict
    assert set(scopes.scopes) == set(words)
    if verdict == "safe":
        assert "also lets it move money between the user's own accounts" in scopes.text


@pytest.mark.parametrize("name", ["permissions", "permType"])
async def test_a_key_whose_permissions_are_not_told_is_not_verified(server, venue, name):
    def change(answer):
        del answer["data"][name]
        return answer

    server.mangle("/api/v3/account/info", change)
    assert (await venue.key_scopes()).verdict.value == "unverifiable"
