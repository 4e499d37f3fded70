"""POST positionMargin: what is moved, and every refusal."""

from decimal import Decimal

import pytest
from demo_exchange_support import account_with, client_at

from guard.demo.exchange import KeyPermissions
from guard.demo.exchange.margin_change import change_position_margin
from guard.demo.exchange.signing import ApiError
from guard.snapshot import MarginMode, Side


@pytest.fixture
def opened(exchange, account):
    """An isolated long of 3,000 margin, a cross short; 7,000 in the cross wallet, 6,700 of it available."""
    exchange.open_position(account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.5"), leverage=10)
    exchange.open_position(
        account, symbol="ETHUSDT", side=Side.SHORT, quantity=Decimal(1), leverage=10, margin_mode=MarginMode.CROSS
    )
    return account


def change(exchange, account, **fields: str) -> dict[str, object]:
    wanted = {"symbol": "BTCUSDT", "type": "1", "amount": "100"} | fields
    return change_position_margin(account, wanted, exchange.marks, exchange.now())


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"symbol": ""}, -1102),
        ({"amount": ""}, -1102),
        ({"type": ""}, -1102),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"type": "3"}, -1130),
        ({"amount": "1e2"}, -1100),
        ({"amount": "NaN"}, -1100),
        ({"amount": "0"}, -4055),
        ({"amount": "-5"}, -4055),
        ({"amount": "0.000000001"}, -1111),
        ({"positionSide": "UP"}, -4060),
        ({"positionSide": "LONG"}, -4061),
        ({"symbol": "SOLUSDT"}, -4054),
        ({"symbol": "ETHUSDT"}, -4049),
        ({"amount": "6700.00000001"}, -2019),
        ({"type": "2", "amount": "0.00000001"}, -4051),
    ],
)
def test_a_refusal_has_binances_code_and_moves_nothing(exchange, opened, fields, code):
    before = (dict(opened.positions), dict(opened.balances), list(opened.margin_changes))
    with pytest.raises(ApiError) as refused:
        change(exchange, opened, **fields)
    assert refused.value.code == code
    assert (opened.positions, opened.balances, opened.margin_changes) == before


def test_everything_available_can_be_added_to_the_last_digit(exchange, opened):
    change(exchange, opened, amount="6699.99999999")
    change(exchange, opened, amount="0.00000001")
    assert opened.balances["USDT"] == 300
    assert opened.positions["BTCUSDT", "BOTH"].isolated_wallet == 9_700


def test_an_unrealized_gain_is_available_but_cannot_leave_the_wallet(exchange, opened):
    exchange.set_mark("ETHUSDT", Decimal(1_000))  # 2,000 of gain.
    with pytest.raises(ApiError) as refused:
        change(exchange, opened, amount="7000.01")
    assert refused.value.code == -4050


def test_margin_that_was_added_can_be_taken_back_but_not_more(exchange, opened):
    change(exchange, opened, amount="250")
    assert change(exchange, opened, amount="250", type="2")["type"] == 2
    assert [(row.change_type, row.amount) for row in opened.margin_changes[-2:]] == [(1, 250), (2, 250)]
    with pytest.raises(ApiError):
        change(exchange, opened, amount="1", type="2")


def test_in_hedge_mode_the_side_must_be_named_and_the_other_leg_stays(exchange):
    account = exchange.add_account(account_with(hedge_mode=True))
    for side in Side:
        exchange.open_position(account, symbol="BTCUSDT", side=side, quantity=Decimal("0.1"), leverage=10)
    for fields in ({}, {"positionSide": "BOTH"}):
        with pytest.raises(ApiError) as refused:
            change(exchange, account, **fields)
        assert refused.value.code == -4061
    change(exchange, account, positionSide="SHORT")
    assert {leg: one.isolated_wallet for (_, leg), one in account.positions.items()} == {"LONG": 600, "SHORT": 700}


def test_in_multi_assets_mode_there_is_no_isolated_margin(exchange):
    account = exchange.add_account(account_with(multi_assets=True))
    with pytest.raises(ApiError) as refused:
        change(exchange, account)
    assert refused.value.code == -4168


async def test_a_key_without_futures_may_look_but_not_add(exchange, url):
    account = exchange.add_account(account_with(permissions=KeyPermissions(futures=False)))
    exchange.open_position(account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.1"), leverage=10)
    client = client_at(url)
    try:
        assert len(await client.fetch_positions()) == 1
        with pytest.raises(Exception, match="-2015"):
            await client.add_margin("BTC/USDT:USDT", 10)
    finally:
        await client.close()
    assert [(post.applied, post.code) for post in exchange.margin_posts] == [(False, -2015)]


async def test_the_history_is_filtered_by_symbol_time_and_kind(exchange, opened, client):
    for amount in ("1", "2", "3"):
        change(exchange, opened, amount=amount)
    change(exchange, opened, amount="4", type="2")
    await client.load_markets()

    async def amounts(**fields: object) -> list[float]:
        rows = await client.fapiPrivateGetPositionMarginHistory({"symbol": "BTCUSDT"} | fields)
        return [float(row["amount"]) for row in rows]

    assert await amounts() == [3000, 1, 2, 3, 4]
    assert await amounts(type=2) == [4]
    assert await amounts(limit=2) == [3, 4]
    assert await amounts(symbol="ETHUSDT") == []
    booked_at = [int(row.at.timestamp() * 1000) for row in opened.margin_changes]
    assert await amounts(startTime=booked_at[-1] + 1000) == []
    assert await amounts(endTime=booked_at[0] - 1000) == []
    with pytest.raises(Exception, match="-1023"):
        await amounts(startTime=2, endTime=1)
