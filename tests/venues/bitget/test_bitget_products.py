"""Bitget's products, each asked for by itself: which are looked through when, and one that does not answer."""

import asyncio
from contextlib import aclosing
from datetime import timedelta
from decimal import Decimal

import pytest
from wire_faults import Fate

from guard.snapshot import PositionKey, Side
from guard.venues import bitget_reads

KEY = PositionKey("BTC/USDT:USDT", Side.LONG)
# A coin-margined row in the documented shape; the figures are chosen.
COIN_ROW = {
    "marginCoin": "ETH", "symbol": "BTCUSD", "holdSide": "long", "marginSize": "1.2", "total": "0.5", "leverage": "10",
    "openPriceAvg": "60000", "marginMode": "isolated", "posMode": "one_way_mode", "unrealizedPL": "-0.3",
    "liquidationPrice": "54321.5", "keepMarginRate": "0.004", "markPrice": "58000", "cTime": "1691382137448",
}  # fmt: skip


async def test_a_position_in_usdc_is_found_and_then_read_in_every_cycle(server, venue):
    server.wallets["USDC"] = (Decimal(5000), Decimal(4000))
    server.hold_sample(of=server.usdc)
    for _ in range(2):
        snapshot = await venue.snapshot()
        assert [position.key.symbol for position in snapshot.positions] == ["BTC/USDC:USDC"]
        assert snapshot.wallet("USDC").available == 4000
    server.requests.clear()
    await venue.snapshot()
    assert len(server.requests) == 4


async def test_a_product_without_positions_is_looked_through_again_every_ten_minutes(server, venue, clock):
    await venue.snapshot()
    server.hold_sample(of=server.usdc)
    assert (await venue.snapshot()).positions == ()
    clock.ahead = timedelta(minutes=11)
    assert len((await venue.snapshot()).positions) == 1


async def test_a_product_that_cannot_be_read_is_a_gap_and_asked_again(server, venue):
    server.hold_sample()
    server.break_reads("positions elsewhere", Fate.HTTP_500)
    snapshot = await venue.snapshot()
    assert len(snapshot.positions) == 1
    assert {gap.subject for gap in snapshot.gaps} == {"USDC-FUTURES positions", "COIN-FUTURES positions"}
    assert all(gap.may_be_cross for gap in snapshot.gaps)
    server.break_reads("positions elsewhere", None)
    assert (await venue.snapshot()).gaps == ()


@pytest.mark.parametrize("unified", [False, True])
async def test_where_money_lies_the_first_position_is_seen_at_once(server, venue, unified):
    server.is_unified = unified
    server.wallets["USDC"] = (Decimal(5000), Decimal(4000))
    await venue.snapshot()
    server.hold_sample(of=server.usdc)
    assert [one.key.symbol for one in (await venue.snapshot()).positions] == ["BTC/USDC:USDC"]


@pytest.mark.parametrize("unified", [False, True])
async def test_after_news_of_the_account_every_product_is_looked_through(server, venue, unified):
    server.is_unified = unified
    await venue.snapshot()
    async with aclosing(venue.watch_account()) as news:
        heard = asyncio.ensure_future(anext(news))
        while not server.listeners():  # noqa: ASYNC110 - the server tells nobody.
            await asyncio.sleep(0.01)
        server.hold_sample(of=server.usdc)
        while not heard.done():
            server.push_news()
            await asyncio.sleep(0.05)
        await heard
        assert [one.key.symbol for one in (await venue.snapshot()).positions] == ["BTC/USDC:USDC"]


@pytest.mark.parametrize("level", ["basic", "advanced", "turbo"])
async def test_where_all_lean_on_one_pool_every_product_is_looked_through_every_time(server, venue, level):
    server.is_unified, server.level = True, level
    server.hold_sample(margin=None)
    await venue.snapshot()
    server.hold_sample(of=server.usdc, margin=None)
    assert len((await venue.snapshot()).positions) == 2


@pytest.mark.parametrize("code", ["25013", "25240"])
async def test_that_there_are_no_coin_margined_contracts_for_an_account_is_no_gap(server, venue, code):
    server.is_unified, server.level = True, "basic"
    server.hold_sample()
    answer = server.answer

    def refused(call):
        if call.params.get("category") == "COIN-FUTURES":
            raise server.refusal(code)
        return answer(call)

    server.answer = refused
    for _ in range(2):
        snapshot = await venue.snapshot()
        assert (len(snapshot.positions), snapshot.gaps) == (1, ())


@pytest.mark.parametrize("unified", [False, True])
@pytest.mark.parametrize("how", [Fate.HTTP_500, "40014"])
async def test_a_product_with_positions_that_cannot_be_read_leaves_the_others_alone(server, venue, unified, how):
    server.is_unified = unified
    server.hold_sample()
    server.hold_sample(of=server.usdc)
    await venue.snapshot()
    server.break_reads("positions elsewhere", how)
    snapshot = await venue.snapshot()
    assert [position.key for position in snapshot.positions] == [KEY]
    (lost,) = (gap for gap in snapshot.gaps if gap.key is not None)
    assert lost.key.symbol == "BTC/USDC:USDC"
    assert "USDC-FUTURES not read: " in lost.reason
    assert [gap.may_be_cross for gap in snapshot.gaps if gap.subject == "USDC-FUTURES positions"] == [True]
    server.break_reads("positions elsewhere", None)
    assert len((await venue.snapshot()).positions) == 2


async def test_a_unified_account_of_which_a_product_never_answered_is_read_all_the_same(server, venue):
    server.is_unified = True
    server.hold_sample()
    server.break_reads("positions elsewhere", Fate.HTTP_500)
    snapshot = await venue.snapshot()
    assert [position.key for position in snapshot.positions] == [KEY]
    assert {gap.subject for gap in snapshot.gaps} == {"USDC-FUTURES positions", "COIN-FUTURES positions"}


async def test_a_product_that_hangs_costs_its_time_once_in_a_while_and_makes_nothing_old(
    server, venue, clock, monkeypatch
):
    server.hold_sample()
    await venue.snapshot()
    clock.ahead = timedelta(minutes=11)  # All are due again.
    monkeypatch.setattr(bitget_reads, "HANGS_S", 0.0)
    server.break_reads("positions elsewhere", Fate.HTTP_500)
    server.requests.clear()
    for _ in range(2):
        snapshot = await venue.snapshot()
        assert {gap.subject for gap in snapshot.gaps} == {"USDC-FUTURES positions", "COIN-FUTURES positions"}
    asked = [one["productType"] for one in server.asked("all-position")]
    assert asked == ["USDC-FUTURES", "USDT-FUTURES", "COIN-FUTURES", "USDT-FUTURES"]
    server.requests.clear()
    server.break_reads("positions elsewhere", None)
    await venue.snapshot()
    assert [one["productType"] for one in server.asked("all-position")] == ["USDT-FUTURES"]
    venue._failures.clear()  # Half a minute later.
    assert (await venue.snapshot()).gaps == ()


async def test_of_a_product_in_use_the_time_of_its_own_read_counts(server, venue, clock):
    server.hold_sample()
    before = clock()
    await venue.snapshot()
    server.wallets["USDC"] = (Decimal(5000), Decimal(4000))
    server.hold_sample(of=server.usdc)
    clock.ahead = timedelta(minutes=11)
    read_at = (await venue.snapshot()).positions_read_at
    assert before + timedelta(minutes=11) <= read_at <= clock()


async def test_a_coin_margined_position_is_told_as_not_modelled_and_the_others_stay(server, venue):
    server.hold_sample()
    server.coin_rows = [COIN_ROW]
    snapshot = await venue.snapshot()
    assert [position.key for position in snapshot.positions] == [KEY]
    (gap,) = snapshot.gaps
    assert gap.subject == "position row BTCUSD long"
    assert "54321.5" in gap.reason
    assert (gap.key, gap.may_be_cross) == (None, False)  # It leans on its own coin only.
