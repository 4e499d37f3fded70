"""Exchanges without a file of their own: what is theirs counts, what ccxt worked out does not, nothing is ever sent."""

import asyncio
import inspect
import re
from datetime import UTC, datetime
from decimal import Decimal

import ccxt.pro
import pytest
from aiohttp import web
from generic_wire import BINGX, LTC, MEXC, bingx, venue_at

from guard.errors import ConfigError, KeysRefused, VenueRefused, VenueUnavailable
from guard.snapshot import LiquidationKind, MarginMode, MarginRequest, PositionKey, Side
from guard.venues import open_venue
from guard.venues.gate import NotSent
from guard.venues.generic import KEYS, UNREADABLE
from guard.venues.protocol import KeyVerdict, VenueAccount


async def test_what_the_exchange_states_is_taken_from_its_own_row():
    async with venue_at("bingx", BINGX) as (venue, asked):
        snapshot = await venue.snapshot()
        (position,) = snapshot.positions
        assert (position.key, position.margin_mode) == (PositionKey(LTC, Side.LONG), MarginMode.ISOLATED)
        assert (position.quantity, position.entry_price) == (Decimal("0.1"), Decimal("95.61"))
        assert position.mark_price == Decimal("95.62")
        assert position.exchange_liquidation.price == Decimal("77.81")
        assert position.exchange_maintenance_margin is None
        assert [gap.subject for gap in snapshot.gaps] == ["wallets"]
        assert {method for method, _ in asked} == {"GET"}


@pytest.mark.parametrize(
    ("changed", "kind", "doubt"),
    [
        ({"liquidationPrice": "0"}, LiquidationKind.UNKNOWN, "the exchange states none"),
        ({"liquidationPrice": None}, LiquidationKind.UNKNOWN, "the exchange states none"),
        ({"liquidationPrice": "-110167.59"}, LiquidationKind.NONE, None),
        ({"liquidationPrice": "77.81"}, LiquidationKind.AT, None),
    ],
)
async def test_a_liquidation_price_that_the_exchange_does_not_state_is_never_worked_out(changed, kind, doubt):
    async with venue_at("bingx", bingx(**changed)) as (venue, _):
        snapshot = await venue.snapshot()
        assert snapshot.positions[0].exchange_liquidation.kind is kind
        doubts = [gap.reason for gap in snapshot.gaps if "liquidation price" in gap.subject]
        assert doubts == ([doubt] if doubt else [])


async def test_what_ccxt_would_work_out_is_switched_off():
    complete = {
        "symbol": LTC, "side": "long", "marginMode": "isolated", "contracts": 1.0, "contractSize": 1.0,
        "entryPrice": 95.0, "positionMargin": 20.0, "maintenanceMargin": 1.0, "unrealizedPnl": 0.0,
        "liquidationPrice": None, "notional": 95.0,
    }  # fmt: skip
    async with venue_at("bingx", BINGX) as (venue, _):
        await venue.open()
        client = venue._client
        assert type(client).safe_position(client, dict(complete))["liquidationPrice"] == 76.0  # 95 - (20 - 1).
        assert client.safe_position(dict(complete)) == complete


async def test_a_price_that_is_not_in_the_exchanges_row_is_unknown_wherever_it_came_from():
    async with venue_at("bingx", BINGX) as (venue, _):
        venue._client.safe_position = lambda position: position | {"liquidationPrice": 76.5}
        snapshot = await venue.snapshot()
        assert snapshot.positions[0].exchange_liquidation.kind is LiquidationKind.UNKNOWN
        assert any("what ccxt works out is not used" in gap.reason for gap in snapshot.gaps)


@pytest.mark.parametrize(
    ("fair", "price", "note"),
    [(95.6, "95.6", "asked for beside it"), (None, "95.7", "the last price stands in for it")],
)
async def test_a_mark_that_is_not_in_the_row_is_asked_for_and_a_last_price_is_called_one(fair, price, note):
    ticker = {"symbol": "LTC_USDT", "lastPrice": 95.7, "fairPrice": fair, "timestamp": 1785000000000}
    async with venue_at("mexc", MEXC | {"/ticker": {"success": True, "code": 0, "data": ticker}}) as (venue, _):
        snapshot = await venue.snapshot()
        assert snapshot.positions[0].mark_price == Decimal(price)
        assert any(note in gap.reason for gap in snapshot.gaps)
        if fair is None:
            with pytest.raises(VenueUnavailable, match="does not tell it through ccxt"):
                await venue.mark(LTC)


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="<html>sorry</html>", content_type="text/html"),
        web.Response(text="null", content_type="application/json"),
        web.Response(text="", content_type="application/json"),
        web.Response(text='{"code":0,"data":[', content_type="application/json"),
        web.Response(text='{"code":0,"data":[]}', status=524, content_type="application/json"),
    ],
    ids=["html", "null", "empty", "cut", "524"],
)
async def test_an_unusable_answer_is_never_an_empty_account(answer):
    async with venue_at("bingx", BINGX) as (venue, _):
        await venue.open()
    async with venue_at("bingx", BINGX | {"/swap/v2/user/positions": answer}) as (venue, _):
        with pytest.raises(VenueUnavailable):
            await venue.snapshot()


@pytest.mark.parametrize(
    "answer", [{"code": 0}, {"code": 0, "data": None}, {"code": 0, "data": {}, "msg": ""}], ids=str
)
async def test_an_answer_without_a_list_is_never_an_empty_account(answer):
    async with venue_at("bingx", BINGX | {"/swap/v2/user/positions": answer}) as (venue, _):
        (gap,) = (gap for gap in (await venue.snapshot()).gaps if gap.subject == "positions")
        assert (gap.reason, gap.may_be_cross) == ("no list in the answer: ccxt takes that for none", True)


async def test_rows_that_ccxt_finds_nothing_in_are_not_seen_and_not_none():
    renamed = {"code": 0, "msg": "", "rows": BINGX["/swap/v2/user/positions"]["data"]}
    async with venue_at("bingx", BINGX | {"/swap/v2/user/positions": renamed}) as (venue, _):
        snapshot = await venue.snapshot()
        assert snapshot.positions == ()
        (gap,) = (gap for gap in snapshot.gaps if gap.subject == "positions")
        assert gap.may_be_cross
        assert gap.reason == "1 came, and ccxt reads none out of them"


@pytest.mark.parametrize("rows", [[], [{"symbol": "LTC-USDT", "positionAmt": "0.0", "leverage": "5"}]], ids=str)
async def test_an_empty_list_is_an_account_without_positions_and_closed_rows_are_none(rows):
    async with venue_at("bingx", BINGX | {"/swap/v2/user/positions": {"code": 0, "data": rows}}) as (venue, _):
        venue._client.parse_positions = lambda *_: []  # Aster's leaves closed rows out.
        snapshot = await venue.snapshot()
        assert (snapshot.positions, [gap.subject for gap in snapshot.gaps]) == ((), ["wallets"])


async def test_refused_keys_and_other_errors_are_told_apart_as_ccxt_knows_them():
    refused = {"code": 100413, "msg": "Incorrect apiKey", "timestamp": 1}
    busy = {"code": 100503, "msg": "The order system is busy", "timestamp": 1}
    async with venue_at("bingx", BINGX | {"/swap/v2/user/positions": refused}) as (venue, _):
        with pytest.raises(KeysRefused, match="Incorrect apiKey"):
            await venue.snapshot()
    async with venue_at("bingx", BINGX | {"/swap/v2/user/positions": busy}) as (venue, _):
        with pytest.raises(VenueUnavailable, match="busy"):
            await venue.snapshot()


@pytest.mark.parametrize(
    ("changed", "is_gap"),
    [
        ({"positionAmt": "0"}, False),
        ({"avgPrice": None}, True),
        ({"avgPrice": "NaN"}, True),
        ({"positionAmt": "1e30"}, True),
        ({"symbol": "NEW-USDT"}, True),
    ],
    ids=str,
)
async def test_a_closed_row_is_none_and_a_bad_row_is_a_gap(changed, is_gap):
    async with venue_at("bingx", bingx(**changed)) as (venue, _):
        snapshot = await venue.snapshot()
        assert snapshot.positions == ()
        assert len(snapshot.gaps) == 1 + is_gap


async def test_nothing_is_ever_sent():
    async with venue_at("bingx", BINGX) as (venue, asked):
        await venue.open()
        asked.clear()
        request = MarginRequest(key=PositionKey(LTC, Side.LONG), hedged=False, amount=Decimal(1), currency="USDT")
        with pytest.raises(VenueRefused):
            await venue.add_margin(request)
        with pytest.raises(NotSent):
            await venue._client.swapV2PrivatePostTradePositionMargin({"symbol": "LTC-USDT", "amount": 1, "type": 1})
        assert asked == []
        assert venue.watch_only is not None
        assert (await venue.key_scopes()).verdict is KeyVerdict.UNVERIFIABLE


@pytest.mark.parametrize(
    ("exchange", "expected"),
    [
        ("paradex", "paradex wants privateKey and walletAddress"),
        *((name, f"{name} cannot be watched: of a position there ccxt does not tell") for name in UNREADABLE),
        ("bitstamp", "bitstamp does not list positions"),
        ("nowhere", "found 'nowhere', expected one of binanceusdm"),
    ],
)
def test_an_exchange_that_cannot_be_watched_is_a_config_error(exchange, expected):
    account = VenueAccount(account="main", exchange=exchange, api_key="k", secret="s", password=None, ccxt={})
    with pytest.raises(ConfigError, match=expected):
        open_venue(account, now=lambda: datetime.now(UTC))


def test_exactly_those_are_refused_of_which_ccxt_fills_in_too_little():
    never = re.compile(r"'(?:contracts|side|entryPrice)': None")
    found = set()
    for name in ccxt.pro.exchanges:
        client = getattr(ccxt.pro, name)()
        wants = {key for key, needed in client.requiredCredentials.items() if needed}
        if (
            client.has.get("fetchPositions")
            and wants <= KEYS
            and never.search(inspect.getsource(client.parse_position))
        ):
            found.add(name)
    assert found == set(UNREADABLE)


async def test_marks_are_polled_for_lack_of_a_shown_stream():
    ticker = {"code": 0, "msg": "", "data": {"symbol": "LTC-USDT", "markPrice": "95.70", "indexPrice": "95.7"}}
    async with venue_at("bingx", BINGX | {"/swap/v2/quote/premiumIndex": ticker}) as (venue, _):
        await venue.open()
        stream = venue.watch_marks((LTC,))
        assert (await asyncio.wait_for(anext(stream), 5)).price == Decimal("95.70")
        await stream.aclose()


def deribit(**position):
    """Answers of Deribit: a market of its API documents (2026-11) and the position of their example (ccxt 4.5.90)."""
    row = {
        "average_price": 60000, "direction": "buy", "estimated_liquidation_price": 41000.5, "index_price": 58010,
        "floating_profit_loss": -0.0005747, "initial_margin": 0.0004, "instrument_name": "BTC-PERPETUAL", "leverage": 50,
        "kind": "future", "maintenance_margin": 0.0002, "mark_price": 58000, "size": 1000, "size_currency": 0.01724138,
    } | position  # fmt: skip
    market = {
        "tick_size": 0.5, "taker_commission": 0.0005, "maker_commission": 0.0, "settlement_period": "perpetual",
        "settlement_currency": "BTC", "quote_currency": "USD", "price_index": "btc_usd", "min_trade_amount": 10,
        "max_leverage": 50, "kind": "future", "is_active": True, "instrument_type": "reversed", "instrument_id": 210838,
        "instrument_name": "BTC-PERPETUAL", "future_type": "reversed", "expiration_timestamp": 32503708800000,
        "creation_timestamp": 1534242287000, "counter_currency": "USD", "contract_size": 10, "base_currency": "BTC",
    }  # fmt: skip
    return {
        "/get_currencies": {"jsonrpc": "2.0", "result": [{"currency": "BTC", "coin_type": "BITCOIN"}]},
        "/get_instruments": {"jsonrpc": "2.0", "result": [market]},
        "/get_positions": {"jsonrpc": "2.0", "result": [row]},
    }


@pytest.mark.parametrize(
    ("said", "side"),
    [({}, Side.LONG), ({"direction": "sell", "size": -1000, "size_currency": -0.01724138}, Side.SHORT)],
    ids=["long", "short"],
)
async def test_a_size_in_dollars_is_not_taken_for_contracts_and_a_minus_is_only_a_side(said, side):
    async with venue_at("deribit", deribit(**said)) as (venue, _):
        snapshot = await venue.snapshot()
        (position,) = snapshot.positions
        assert position.side is side
        assert position.quantity * position.contract.contract_size == 1000
        assert any("size" in gap.subject and "contract size" in gap.reason for gap in snapshot.gaps)


async def test_a_minus_that_contradicts_its_side_is_a_gap():
    async with venue_at("deribit", deribit(size=-1000)) as (venue, _):
        snapshot = await venue.snapshot()
        assert snapshot.positions == ()
        (gap,) = (gap for gap in snapshot.gaps if gap.subject != "wallets")
        assert (gap.key, gap.may_be_cross) == (None, True), "it may be the long or the short"


async def test_a_liquidation_price_of_zero_may_be_none_or_not_told_and_is_unknown():
    async with venue_at("deribit", deribit(estimated_liquidation_price=0)) as (venue, _):
        snapshot = await venue.snapshot()
        assert snapshot.positions[0].exchange_liquidation.kind is LiquidationKind.UNKNOWN
        assert any("none, or not told" in gap.reason for gap in snapshot.gaps)
