"""What fuzzing found, one by one: an answer that looked like another one, or that broke more than itself."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from aiohttp import web
from venue_support import account_of, position_row

from guard.errors import OutcomeUnknown, VenueUnavailable
from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues import binance_market
from guard.venues.binance import USDM
from guard.venues.binance_account import read_wallets
from guard.venues.binance_family import wire_of
from guard.venues.rows import Number, Row, RowError, read_row
from guard.venues.transport import parse

KEY = PositionKey("BTC/USDT:USDT", Side.LONG)
LATER = 4_102_444_800_000  # The year 2100.


class _One(Row):
    figure: Number


@pytest.mark.parametrize(
    "figure", ["1_000", " 5", "5 ", "\u0665", "\uff15", "+5", ".5", "1E-999999", "1E-99999999", "0E-500"]
)
def test_a_figure_is_plain_digits_and_no_longer_than_a_figure_is(figure):
    with pytest.raises(RowError):
        read_row(_One, {"figure": figure})


@pytest.mark.parametrize("figure", ["0", "-0.5", "1e5", "0E-8", "0.00000001", 7])
def test_what_exchanges_write_is_read(figure):
    assert read_row(_One, {"figure": figure}).figure == Decimal(str(figure))


def test_a_key_that_stands_twice_and_differs_is_as_good_as_missing():
    assert parse(b'{"code": -4051, "code": 200, "a": 1, "a": 1, "b": {"c": 1, "c": "1"}}') == {"a": 1, "b": {}}
    assert parse(b'{"enableWithdrawals": 0, "enableWithdrawals": false, "c": 1, "c": true}') == {}


async def _snapshot(exchange, venue):
    await venue.open()
    return await venue.snapshot()


async def test_a_side_that_is_a_list_is_a_gap_and_the_others_stay_watched(exchange, venue):
    good = position_row(symbol="1000SHIBUSDT", positionAmt="100", markPrice="58", notional="5800")
    exchange.positions = [position_row(positionSide=["BOTH"]), good]
    snapshot = await _snapshot(exchange, venue)
    assert [one.contract.symbol for one in snapshot.positions] == ["1000SHIB/USDT:USDT"]
    assert any(gap.key == KEY for gap in snapshot.gaps)


async def test_a_name_that_cannot_be_written_down_is_shown_as_question_marks(exchange, venue):
    exchange.positions = [position_row(symbol="A\ud800\x1b[31m")]
    exchange.account = account_of([])
    snapshot = await _snapshot(exchange, venue)
    assert next(gap.subject for gap in snapshot.gaps) == "position row A??[31m"


async def test_a_row_that_changed_in_the_future_does_not_make_the_true_ones_look_old(exchange, venue):
    exchange.positions = [position_row(updateTime=LATER)]
    snapshot = await _snapshot(exchange, venue)
    assert not snapshot.positions
    assert any(gap.key == KEY and "yet to come" in gap.reason for gap in snapshot.gaps)


@pytest.mark.parametrize("told", [None, "NaN", ""])
async def test_an_isolated_margin_that_the_account_does_not_bear_out_is_a_gap(exchange, venue, told):
    account = account_of(exchange.positions)
    account["positions"][0]["isolatedWallet"] = told
    exchange.account = account
    snapshot = await _snapshot(exchange, venue)
    assert any(gap.key == KEY and "nothing that can be read" in gap.reason for gap in snapshot.gaps)


async def test_a_position_that_the_account_lists_twice_is_a_gap(exchange, venue):
    account = account_of(exchange.positions)
    exchange.account = account | {"positions": account["positions"] * 2}
    snapshot = await _snapshot(exchange, venue)
    assert any(gap.key == KEY and "twice" in gap.reason for gap in snapshot.gaps)


async def test_a_wallet_that_is_listed_twice_is_no_wallet(exchange, venue):
    account = account_of(exchange.positions)
    exchange.account = account | {"assets": [account["assets"][0], account["assets"][0] | {"availableBalance": "9999"}]}
    snapshot = await _snapshot(exchange, venue)
    assert snapshot.wallet("USDT") is None
    assert [gap.reason for gap in snapshot.gaps if gap.subject == "wallet USDT"] == ["listed twice"]


async def test_a_wallet_of_which_another_row_cannot_be_read_is_no_wallet(exchange, venue):
    account = account_of(exchange.positions)
    broken = {name: value for name, value in account["assets"][0].items() if name != "crossWalletBalance"}
    exchange.account = account | {"assets": [broken, account["assets"][0]]}
    snapshot = await _snapshot(exchange, venue)
    assert snapshot.wallet("USDT") is None
    assert [gap.reason for gap in snapshot.gaps if gap.subject == "wallet USDT"] == ["crossWalletBalance is missing"]


def _change(**fields):
    at = round(datetime.now(UTC).timestamp() * 1000)
    row = {"symbol": "BTCUSDT", "type": 1, "deltaType": "USER_ADJUST", "amount": "5.00", "asset": "USDT"}
    return row | {"time": at, "positionSide": "BOTH"} | fields


@pytest.mark.parametrize(
    "odd", [{"symbol": "ETHUSDT"}, {"time": LATER}, {"time": 1_700_000_000_000}, {"type": True}], ids=str
)
async def test_a_history_that_answers_something_else_settles_nothing(exchange, venue, odd):
    await venue.open()
    exchange.replies["/positionMargin/history"] = lambda _: [_change(**odd)]
    request = MarginRequest(key=KEY, amount=Decimal(5), currency="USDT", hedged=False)
    now = datetime.now(UTC)
    with pytest.raises(VenueUnavailable):
        await venue.settle(request, sent_at=now, now=now + timedelta(seconds=60), known_entries=frozenset())


@pytest.mark.parametrize(
    "answer",
    ['{"code": 200, "amount": "5", "type": true}', '{"code": -4051, "code": 200, "amount": 5, "type": 1}'],
)
async def test_a_yes_that_is_none_to_the_letter_is_unknown(exchange, venue, answer):
    await venue.open()
    exchange.replies["/positionMargin"] = lambda _: web.Response(text=answer, content_type="application/json")
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(MarginRequest(key=KEY, amount=Decimal(5), currency="USDT", hedged=False))


async def test_a_market_with_a_billion_decimals_does_not_hold_the_process(exchange, venue):
    exchange.markets[0]["baseAssetPrecision"] = 10**9
    async with asyncio.timeout(20):
        with pytest.raises(VenueUnavailable):
            await venue.open()


class _Client:
    """A stream that says these things, one after the other."""

    def __init__(self, *rows):
        self.rows = list(rows)
        self.tickers = {}

    async def watch_mark_prices(self, symbols):
        self.tickers = {symbol: {"info": self.rows.pop(0)} for symbol in symbols}

    async def close_ws_clients(self): ...


async def test_a_streamed_mark_from_the_future_keeps_no_true_one_out():
    at = round(datetime.now(UTC).timestamp() * 1000)
    client = _Client({"E": LATER, "p": "1"}, {"E": at, "p": "52000"})
    stream = binance_market.stream_marks(client, (KEY.symbol,), now=lambda: datetime.now(UTC))
    assert (await anext(stream)).price == 52_000
    await stream.aclose()


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"code": ["-4051"], "msg": "x"}, None),
        ({"code": -4051, "msg": {"a": "x" * 500}}, ("-4051", "")),
        ({"code": -4051, "msg": None}, ("-4051", "")),
        ({"code": "-" + "9" * 500, "msg": "x"}, ("-" + "9" * 15, "x")),
    ],
    ids=["a code that is a list", "a text that is an object", "no text", "a long code"],
)
def test_a_code_is_a_word_or_a_number_and_a_text_is_a_text(odd, said):
    assert wire_of(USDM).error(odd) == said


async def test_a_code_that_cannot_be_written_down_is_cleaned_like_every_foreign_text(exchange, venue):
    exchange.replies["/positionRisk"] = lambda _: web.json_response({"code": "-\ud800\x1b[31m", "msg": ""}, status=400)
    exchange.replies["/account"] = exchange.replies["/positionRisk"]
    with pytest.raises(VenueUnavailable) as caught:
        await _snapshot(exchange, venue)
    assert "code - [31m" in str(caught.value)


def test_a_wallet_whose_name_is_no_word_is_a_question_mark_and_short():
    _, gaps = read_wallets([{"asset": ["USDT"]}, {"asset": "A\ud800"}, {"asset": "B" * 500}, {}, 5], ())
    assert [gap.subject for gap in gaps] == [f"wallet {name}" for name in ("?", "A?", "B" * 16, "?", "?")]
