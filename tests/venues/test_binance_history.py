"""What Binance's history of margin changes may say: only what was asked for, in the words of each of its two futures."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from guard.errors import VenueUnavailable
from guard.snapshot import PositionKey, Side
from guard.venues import binance_margin
from guard.venues.binance_margin import add_margin_rule, read_changes
from guard.venues.gate import Gate, NotSent
from guard.venues.protocol import VenueAccount

LONG = PositionKey("BTC/USDT:USDT", Side.LONG)
START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(seconds=10)
MS = timedelta(milliseconds=1)


def row(at=START, amount="5", **fields):
    return {
        "symbol": "BTCUSDT", "type": 1, "deltaType": "USER_ADJUST", "amount": amount, "asset": "USDT",
        "time": round(at.timestamp() * 1000), "positionSide": "BOTH",
    } | fields  # fmt: skip


class History:
    """Answers what it is given, whatever is asked; `pages` by their start and end in milliseconds after START."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    async def fapiPrivateGetPositionMarginHistory(self, parameters):  # noqa: N802  As ccxt names it.
        origin = round(START.timestamp() * 1000)
        self.asked.append((parameters["startTime"] - origin, parameters["endTime"] - origin))
        return self.answer

    dapiPrivateGetPositionMarginHistory = fapiPrivateGetPositionMarginHistory  # noqa: N815  As ccxt names it.


async def changes(answer, *, api="fapi", end=END, **terms):
    return await read_changes(History(answer), api, "BTCUSDT", LONG, start=START, end=end, **terms)


async def test_the_first_and_the_last_moment_that_were_asked_for_belong_to_it():
    assert [one.at for one in await changes([row(END), row(START)])] == [START, END]


@pytest.mark.parametrize(
    ("stray", "said"),
    [
        (row(symbol="ETHUSDT"), "ETHUSDT at 2026-03-01 00:00:00+00:00"),
        (row(START - MS), "BTCUSDT at 2026-02-28 23:59:59.999000+00:00"),
        (row(END + MS), "BTCUSDT at 2026-03-01 00:00:10.001000+00:00"),
    ],
    ids=["another symbol", "too early", "too late"],
)
async def test_what_was_not_asked_for_makes_the_whole_answer_none(stray, said):
    with pytest.raises(VenueUnavailable) as refused:
        await changes([row(), stray])
    assert str(refused.value) == f"margin history of BTC/USDT:USDT: {said} was not asked for"


async def test_what_cannot_be_read_is_said_with_the_symbol():
    with pytest.raises(VenueUnavailable, match=r"^margin history of BTC/USDT:USDT: .*amount"):
        await changes([row(amount="NaN")])
    with pytest.raises(VenueUnavailable, match="margin history of BTCUSDT"):
        await changes({})


async def test_only_coin_margined_rows_may_leave_out_their_cause_and_then_count_as_a_persons():
    silent = {name: value for name, value in row().items() if name != "deltaType"}
    (one,) = await changes([silent], api="dapi")
    assert (one.by_user, one.amount) == (True, Decimal(5))
    with pytest.raises(VenueUnavailable, match="deltaType"):
        await changes([silent])


async def test_the_side_of_a_one_way_row_is_known_unless_its_position_is_closed():
    assert [one.side_known for one in await changes([row()])] == [True]
    assert [one.side_known for one in await changes([row()], is_open=False)] == [False]
    assert [one.side_known for one in await changes([row(positionSide="LONG")], is_open=False)] == [True]


async def test_a_full_page_of_one_moment_is_not_asked_for_without_end(monkeypatch):
    monkeypatch.setattr(binance_margin, "HISTORY_ROWS_MAX", 2)
    history = History([row(), row()])
    await read_changes(history, "fapi", "BTCUSDT", LONG, start=START, end=START)
    assert history.asked == [(0, 0)]


@pytest.mark.parametrize(
    ("form", "leaves"),
    [
        ("symbol=BTCUSDT&amount=62.31&type=1", True),
        ("symbol=BTCUSDT&amount=-62.31&type=1", False),
        ("symbol=BTCUSDT&amount=62.31&type=2", False),
        ("symbol=BTCUSDT&amount=0&type=1", False),
        ("symbol=BTCUSDT&type=1", False),
        ("symbol=BTCUSDT&amount=62.31", False),
    ],
)
@pytest.mark.parametrize("api", ["fapi", "dapi"])
async def test_the_one_request_that_may_move_money_adds_it(api, form, leaves):
    account = VenueAccount(account="main", exchange="x", api_key="k", secret="s", password=None, ccxt={})
    gate = Gate(account, ("https://x.example",), (add_margin_rule(api),))
    url = f"https://x.example/{api}/v1/positionMargin"
    if leaves:
        gate.check("POST", url, form, "adding")
    else:
        with pytest.raises(NotSent):
            gate.check("POST", url, form, "adding")
