"""The levers for other processes: faults, marks and the truth."""

from decimal import Decimal

import pytest
from demo_exchange_support import SECRET

from guard.demo.exchange import Fault, FaultKind
from guard.snapshot import Side


@pytest.fixture
def opened(exchange, account):
    exchange.open_position(account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.5"), leverage=10)
    return account


async def test_faults_are_switched_on_seen_and_switched_off(exchange, http):
    wanted = [
        {"kind": "reject", "path": "/time", "times": 1, "status": 503},
        {"kind": "clock_skew", "seconds": 1.5},
        {"kind": "lose_after", "path": "/positionMargin"},
    ]
    async with http.post("/demo/faults", json=wanted) as response:
        assert await response.json() == {"ids": [1, 2, 3]}
    async with http.get("/fapi/v1/time") as response:
        assert response.status == 503
    async with http.get("/demo/faults") as response:
        assert [(row["id"], row["kind"], row["struck"]) for row in await response.json()] == [
            (1, "reject", 1),
            (2, "clock_skew", 0),
            (3, "lose_after", 0),
        ]
    async with http.delete("/demo/faults?id=2"):
        assert [state.id for state in exchange.faults.states()] == [1, 3]
    async with http.delete("/demo/faults"):
        assert exchange.faults.states() == []


@pytest.mark.parametrize(
    "wanted", [{"kind": "explode"}, {"path": "/time"}, {"kind": "hang", "second": 1}, {"kind": "hang", "times": "x"}, 5]
)
async def test_a_fault_that_does_not_exist_is_refused_and_nothing_is_switched(exchange, http, wanted):
    async with http.post("/demo/faults", json=wanted) as response:
        assert response.status == 400
        assert await response.text() != ""
    assert exchange.faults.states() == []


async def test_marks_are_set_from_outside_and_liquidate(exchange, http, opened):
    async with http.post("/demo/marks", json={"BTCUSDT": "50000", "ETHUSDT": "2500.5"}) as response:
        assert response.status == 200
    assert exchange.marks["ETHUSDT"] == Decimal("2500.5")
    assert [event.symbol for event in exchange.liquidations] == ["BTCUSDT"]


@pytest.mark.parametrize(
    "wanted", [{"BTCUSDT": 50000}, {"BTCUSDT": "much"}, {"BTCUSDT": "-1"}, {"BTCUSDT": "1", "NOPE": "1"}]
)
async def test_a_mark_that_is_no_price_is_refused(exchange, http, wanted):
    async with http.post("/demo/marks", json=wanted) as response:
        assert response.status == 400
    assert exchange.marks["BTCUSDT"] == 60_000


async def test_the_state_tells_the_truth_whatever_the_faults_say(exchange, http, opened, client):
    exchange.faults.add(Fault(kind=FaultKind.LOSE_AFTER, path="/positionMargin"))
    await client.load_markets()
    with pytest.raises(Exception, match="positionMargin"):
        await client.fapiPrivatePostPositionMargin({"symbol": "BTCUSDT", "type": 1, "amount": "62.31"})
    async with http.get("/demo/state") as response:
        text = await response.text()
        state = await response.json()
    [account], [post] = state["accounts"], state["margin_posts"]
    assert (account["account"], account["equity"], account["available"]) == ("main", "10000.00", {"USDT": "6937.69"})
    [position] = account["positions"]
    assert (position["isolated_wallet"], position["side"], position["quantity"]) == ("3062.31", "long", "0.5")
    assert Decimal(position["liquidation_price"]) < Decimal("54216.86746988")
    assert (post["applied"], post["code"], post["fault"]) == (True, 200, "lose_after")
    assert (post["account"], post["fields"]["amount"]) == ("main", "62.31")
    assert state["requests"]["POST /fapi/v1/positionMargin"] == 1
    assert state["liquidations"] == []
    assert SECRET not in text
    exchange.set_mark("BTCUSDT", Decimal(50_000))
    async with http.get("/demo/state") as response:
        [event] = (await response.json())["liquidations"]
    assert (event["account"], event["symbol"], event["side"], event["mark"]) == ("main", "BTCUSDT", "long", "50000")
    assert (event["margin_mode"], event["loss"]) == ("isolated", "3062.31")
