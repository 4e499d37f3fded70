"""Bybit answers that looked like another one, or broke more than themselves: found by fuzzing another exchange's."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from bybit_wire import BybitServer

from guard.errors import VenueUnavailable
from guard.snapshot import LiquidationKind, PositionKey, Side
from guard.venues.bybit_margin import ANSWERS
from guard.venues.bybit_market import result_of, stream_marks
from guard.venues.bybit_wire import error_of
from guard.venues.rows import RowError, read_row

USDT = BybitServer.sample
KEY = PositionKey(USDT.symbol, Side.LONG)


def _change_row(server, **fields):
    def change(answer):
        for row in answer["result"]["list"]:
            row.update(fields)
        return answer

    server.mangle("positions", change)


async def test_a_liquidation_price_that_is_a_list_is_unknown_and_the_position_stays_seen(server, venue):
    server.hold_sample()
    _change_row(server, liqPrice=["52000"])
    (position,) = (await venue.snapshot()).positions
    assert position.exchange_liquidation.kind is LiquidationKind.UNKNOWN


@pytest.mark.parametrize("fields", [{"positionIdx": False}, {"autoAddMargin": True}], ids=str)
async def test_a_truth_is_no_number(server, venue, fields):
    server.hold_sample()
    _change_row(server, **fields)
    snapshot = await venue.snapshot()
    assert not snapshot.positions
    assert any(gap.key == KEY for gap in snapshot.gaps)


async def test_a_name_that_cannot_be_written_down_is_shown_as_question_marks(server, venue):
    server.hold_sample()
    _change_row(server, symbol="A\ud800\x1b[31m")
    assert "position row A??[31m" in {gap.subject for gap in (await venue.snapshot()).gaps}


async def test_a_coin_that_is_listed_twice_is_no_wallet(server, venue):
    server.hold_sample()

    def twice(answer):
        coins = answer["result"]["list"][0]["coin"]
        coins += [coin | {"walletBalance": "99999"} for coin in coins if coin["coin"] == "USDT"]
        return answer

    server.mangle("wallets", twice)
    snapshot = await venue.snapshot()
    assert snapshot.wallet("USDT") is None
    assert "listed twice" in {gap.reason for gap in snapshot.gaps if gap.subject == "wallet USDT"}


def test_false_is_no_code_of_success():
    with pytest.raises(VenueUnavailable):
        result_of({"retCode": False, "result": {}}, "x")


def test_a_yes_with_false_for_its_code_is_none():
    moved = {"category": "linear", "symbol": "BTCUSDT", "positionIdx": 0, "size": "1", "positionIM": "605"}
    assert read_row(ANSWERS.confirmation, {"retCode": 0, "result": moved})
    with pytest.raises(RowError):
        read_row(ANSWERS.confirmation, {"retCode": False, "result": moved})


def test_a_code_or_text_that_is_no_word_is_not_repeated():
    assert error_of({"retCode": {"a": 1}, "retMsg": ["b"]}) == ("?", "")
    assert error_of({"retCode": 10001, "retMsg": None}) == ("10001", "")


class _Client:
    """A stream that says these things, one after the other, and then nothing more."""

    def __init__(self, *said):
        self.said = list(said)
        self.tickers = {}

    async def watch_tickers(self, symbols):
        if not self.said:
            await asyncio.Event().wait()
        at, price = self.said.pop(0)
        ticker = {"timestamp": round(at.timestamp() * 1000), "info": {"markPrice": price}}
        self.tickers = dict.fromkeys(symbols, ticker)

    async def close_ws_clients(self): ...


async def test_a_streamed_mark_from_the_future_keeps_no_true_one_out():
    now = datetime.now(UTC)
    client = _Client((now + timedelta(days=1), "1"), (now, "52000"))
    stream = stream_marks(client, ((KEY.symbol,),), now=lambda: datetime.now(UTC))
    assert (await anext(stream)).price == 52_000
    await stream.aclose()
