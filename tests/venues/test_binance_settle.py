"""What the history of margin adjustments proves about a request whose answer was lost."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from aiohttp import web
from venue_support import account_at, position_row

from guard.daemon.past import open_isolated
from guard.errors import VenueUnavailable
from guard.snapshot import MarginRequest, Outcome, PositionKey, Side
from guard.venues import binance_margin
from guard.venues.binance import BinanceUsdm

BTC = "BTC/USDT:USDT"
LONG_BTC, SHORT_BTC = PositionKey(BTC, Side.LONG), PositionKey(BTC, Side.SHORT)
NOTHING: frozenset[str] = frozenset()


def now() -> datetime:
    return datetime.now(UTC)


def change(at: datetime, amount="62.31", **fields):
    """One row of the history. Source: the recorded answer of 2024-03-21."""
    return {
        "symbol": "BTCUSDT", "type": 1, "deltaType": "USER_ADJUST", "amount": amount, "asset": "USDT",
        "time": round(at.timestamp() * 1000), "positionSide": "BOTH", "clientTranId": "",
    } | fields  # fmt: skip


def request_for(key=LONG_BTC, *, hedged=False):
    return MarginRequest(key=key, hedged=hedged, amount=Decimal("62.31"), currency="USDT")


async def settle(venue, *, ago_s, key=LONG_BTC, hedged=False, known=NOTHING):
    at = now()
    sent_at = at - timedelta(seconds=ago_s)
    return await venue.settle(request_for(key, hedged=hedged), sent_at=sent_at, now=at, known_entries=known)


async def test_an_entry_that_fits_proves_that_the_money_moved_even_before_the_fence(exchange, venue):
    exchange.history = [change(now() - timedelta(seconds=0.5), amount="62.31000000")]
    settlement = await settle(venue, ago_s=1)
    assert settlement.outcome is Outcome.APPLIED
    assert "62.31" in settlement.evidence
    assert settlement.entry_id


async def test_nothing_is_concluded_from_an_empty_history_before_the_fence(exchange, venue):
    settlement = await settle(venue, ago_s=0.1)
    assert settlement.outcome is Outcome.UNKNOWN
    assert "may still be executed until" in settlement.evidence


async def test_after_the_fence_two_readings_without_the_entry_mean_not_applied(exchange, venue):
    await venue.open()
    exchange.forget_requests()
    settlement = await settle(venue, ago_s=10)
    assert settlement.outcome is Outcome.NOT_APPLIED
    assert len(exchange.asked("positionMargin/history")) == 2


async def test_an_entry_that_only_the_second_reading_shows_counts(exchange, venue):
    entry, pages = change(now() - timedelta(seconds=9)), [[], None]

    def history(_request):
        page = pages.pop(0)
        return [entry] if page is None else page

    exchange.replies["positionMargin/history"] = history
    assert (await settle(venue, ago_s=10)).outcome is Outcome.APPLIED


@pytest.mark.parametrize(
    "entry",
    [
        {"amount": "62.30"},
        {"deltaType": "TRADE"},
        {"deltaType": "AUTO_MARGIN"},
        {"type": 2},
        {"positionSide": "SHORT"},
        {"asset": "USDC"},
        {"symbol": "ETHUSDT"},
        {"time": -timedelta(minutes=2)},  # From now: before it was sent.
        {"time": timedelta(minutes=2)},  # Too late to be ours.
    ],
    ids=[
        "other amount",
        "a trade",
        "auto margin",
        "taken out",
        "other side",
        "other asset",
        "other symbol",
        "too early",
        "too late",
    ],
)
async def test_an_entry_that_does_not_fit_proves_nothing(exchange, venue, entry):
    if "time" in entry:  # Reckoned here: the list above is made when the tests are collected, minutes before.
        entry = {"time": round((now() + entry["time"]).timestamp() * 1000)}
    exchange.history = [change(now() - timedelta(seconds=9)) | entry]
    assert (await settle(venue, ago_s=10)).outcome is Outcome.NOT_APPLIED


async def test_no_entry_proves_two_requests(exchange, venue):
    exchange.history = [change(now() - timedelta(seconds=9))]
    first = await settle(venue, ago_s=10)
    second = await settle(venue, ago_s=10, known=frozenset({first.entry_id}))
    assert (first.outcome, second.outcome) == (Outcome.APPLIED, Outcome.NOT_APPLIED)


async def test_two_entries_alike_in_every_field_prove_two_requests(exchange, venue):
    exchange.history = [change(now() - timedelta(seconds=9))] * 2
    first = await settle(venue, ago_s=10)
    second = await settle(venue, ago_s=10, known=frozenset({first.entry_id}))
    third = await settle(venue, ago_s=10, known=frozenset({first.entry_id, second.entry_id}))
    assert [s.outcome for s in (first, second, third)] == [Outcome.APPLIED, Outcome.APPLIED, Outcome.NOT_APPLIED]


async def test_a_history_that_has_lost_an_entry_we_know_of_proves_nothing(exchange, venue):
    exchange.history = [change(now() - timedelta(seconds=9))]
    known = frozenset({(await settle(venue, ago_s=10)).entry_id})
    exchange.history = []
    settlement = await settle(venue, ago_s=10, known=known)
    assert settlement.outcome is Outcome.UNKNOWN
    assert "missing" in settlement.evidence


@pytest.mark.parametrize(("key", "side"), [(LONG_BTC, "LONG"), (SHORT_BTC, "SHORT")])
async def test_a_hedge_leg_is_only_settled_by_entries_of_its_own_side(exchange, venue, key, side):
    exchange.history = [change(now() - timedelta(seconds=9), positionSide=side)]
    assert (await settle(venue, ago_s=10, key=key, hedged=True)).outcome is Outcome.APPLIED
    other = SHORT_BTC if key == LONG_BTC else LONG_BTC
    assert (await settle(venue, ago_s=10, key=other, hedged=True)).outcome is Outcome.NOT_APPLIED


async def test_a_one_way_entry_belongs_to_the_side_that_was_open(exchange, venue):
    exchange.history = [change(now() - timedelta(seconds=9))]
    assert (await settle(venue, ago_s=10, key=SHORT_BTC)).outcome is Outcome.APPLIED


async def test_a_clock_that_jumped_forward_does_not_end_the_fence(exchange, venue):
    await venue.clock_skew()
    sent_at, jumped = now(), now() + timedelta(hours=1)
    settlement = await venue.settle(request_for(), sent_at=sent_at, now=jumped, known_entries=NOTHING)
    assert settlement.outcome is Outcome.UNKNOWN
    assert "exchange's clock" in settlement.evidence


@pytest.mark.parametrize("skew_s", [-3600, 3600])
async def test_the_entry_is_looked_for_at_the_exchanges_time_of_day(exchange, venue, skew_s):
    skew = timedelta(seconds=skew_s)
    exchange.replies["/fapi/v1/time"] = lambda _r: {"serverTime": round((now() + skew).timestamp() * 1000)}
    exchange.history = [change(now() + skew - timedelta(seconds=9))]
    assert (await settle(venue, ago_s=10)).outcome is Outcome.APPLIED


@pytest.mark.parametrize("step_s", [-90, 90, 86400])
async def test_a_clock_that_stepped_since_the_sending_hides_no_entry(exchange, venue, step_s):
    step = timedelta(seconds=step_s)
    exchange.replies["/fapi/v1/time"] = lambda _r: {"serverTime": round((now() - step).timestamp() * 1000)}
    sent_at = now() - step - timedelta(seconds=10)  # By the clock as it was then, which was right.
    exchange.history = [change(sent_at + timedelta(seconds=1))]
    settlement = await venue.settle(request_for(), sent_at=sent_at, now=now(), known_entries=NOTHING)
    assert settlement.outcome is Outcome.APPLIED


async def test_a_clock_that_ran_ahead_at_the_sending_and_was_set_right_since_hides_no_entry(exchange, venue):
    exchange.history = [change(now() - timedelta(seconds=14))]
    assert (await settle(venue, ago_s=10)).outcome is Outcome.APPLIED


async def test_what_is_older_than_the_history_stays_unknown(exchange, venue):
    settlement = await settle(venue, ago_s=timedelta(days=29, hours=12).total_seconds())
    assert settlement.outcome is Outcome.UNKNOWN
    assert "does not go back" in settlement.evidence


BROKEN = {
    "{}": lambda _r: {},
    "html": lambda _r: web.Response(text="<html>"),
    "524": lambda _r: web.Response(status=524, text="[]"),
    "a row without a type": lambda _r: [{k: v for k, v in change(now()).items() if k != "deltaType"}],
    "NaN": lambda _r: [change(now(), amount="NaN")],
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_history_is_unavailable_and_never_an_empty_one(exchange, venue, reply):
    exchange.replies["positionMargin/history"] = reply
    with pytest.raises(VenueUnavailable):
        await settle(venue, ago_s=10)


async def test_margin_changes_tell_people_from_trades_and_have_their_sign(exchange, venue):
    at = now() - timedelta(hours=3)
    exchange.history = [
        change(at + timedelta(seconds=2), amount="5", type=2),
        change(at, amount="2.57148240", deltaType="TRADE"),
        change(at + timedelta(seconds=1), amount="10"),
    ]
    changes = await venue.margin_changes([LONG_BTC], at - timedelta(minutes=1))
    assert [(c.amount, c.by_user) for c in changes] == [(Decimal("2.5714824"), False), (10, True), (-5, True)]
    assert len({c.entry_id for c in changes}) == 3
    assert changes[0].at == at.replace(microsecond=at.microsecond // 1000 * 1000) or abs(
        changes[0].at - at
    ) <= timedelta(milliseconds=1)


async def test_margin_changes_of_all_open_positions_map_one_way_rows_to_the_open_side(exchange, venue):
    eth = position_row(symbol="ETHUSDT", positionAmt="-2", markPrice="3100", notional="-6200", isolatedWallet="50")
    exchange.positions, exchange.margin_types["ETHUSDT"] = [position_row(), eth], "ISOLATED"
    at = now() - timedelta(hours=1)
    exchange.history = [change(at), change(at, symbol="ETHUSDT"), change(at, symbol="1000SHIBUSDT")]
    keys = {c.key for c in await venue.margin_changes(open_isolated(await venue.snapshot()), at - timedelta(minutes=1))}
    assert keys == {LONG_BTC, PositionKey("ETH/USDT:USDT", Side.SHORT)}


async def test_a_position_that_cannot_be_read_is_asked_about_and_one_that_cannot_be_named_ends_the_question(
    exchange, venue
):
    exchange.positions, exchange.history = [position_row(markPrice="NaN")], [change(now() - timedelta(hours=1))]
    assert [
        one.key for one in await venue.margin_changes(open_isolated(await venue.snapshot()), now() - timedelta(days=1))
    ] == [LONG_BTC]
    exchange.positions = [position_row(symbol=None)]
    with pytest.raises(VenueUnavailable, match="open positions"):
        await venue.margin_changes(open_isolated(await venue.snapshot()), now() - timedelta(days=1))


async def test_symbols_that_were_asked_about_beside_the_open_ones_do_not_say_on_which_side_they_were(exchange, venue):
    at = now() - timedelta(hours=1)
    exchange.history = [
        change(at),
        change(at, symbol="ETHUSDT"),
        change(at, symbol="1000SHIBUSDT", positionSide="SHORT"),
    ]
    also = {"BTC/USDT:USDT", "ETH/USDT:USDT", "1000SHIB/USDT:USDT"}
    found = await venue.margin_changes(open_isolated(await venue.snapshot()), at - timedelta(minutes=1), also=also)
    assert {(one.key.symbol, one.side_known) for one in found} == {
        ("BTC/USDT:USDT", True),
        ("ETH/USDT:USDT", False),
        ("1000SHIB/USDT:USDT", True),
    }
    assert next(one.key.side for one in found if one.key.symbol.startswith("1000")) is Side.SHORT


async def test_a_history_longer_than_a_page_is_read_to_its_end(exchange, venue, monkeypatch):
    monkeypatch.setattr(binance_margin, "HISTORY_ROWS_MAX", 5)
    start = now() - timedelta(hours=2)
    exchange.history = [change(start + timedelta(seconds=n * n), amount=str(n + 1)) for n in range(23)]
    changes = await venue.margin_changes([LONG_BTC], start - timedelta(seconds=1))
    assert [change.amount for change in changes] == list(range(1, 24))


async def test_the_history_is_never_asked_for_more_than_thirty_days(exchange, venue):
    await venue.margin_changes([LONG_BTC], now() - timedelta(days=400))
    (asked,) = exchange.asked("positionMargin/history")
    assert int(asked["endTime"]) - int(asked["startTime"]) <= timedelta(days=30) / timedelta(milliseconds=1)


async def test_a_lost_answer_is_settled_from_the_history_with_one_movement(exchange):
    """The whole path on a wire: applied, answer lost, nothing sent again, proven by the history."""

    async def apply_and_hang_up(request: web.Request) -> web.Response:
        form = await request.post()
        exchange.history.append(change(now(), amount=form["amount"]))
        request.transport.close()
        return web.Response()

    exchange.replies["/positionMargin"] = apply_and_hang_up
    venue = BinanceUsdm(account_at(exchange), now=now)
    await venue.open()
    sent_at = now()
    outcome = (await asyncio.gather(venue.add_margin(request_for()), return_exceptions=True))[0]
    assert type(outcome).__name__ == "OutcomeUnknown"
    settlement = await venue.settle(request_for(), sent_at=sent_at, now=now(), known_entries=NOTHING)
    await venue.close()
    assert settlement.outcome is Outcome.APPLIED
    assert len(exchange.asked("/positionMargin", "POST")) == len(exchange.history) == 1
