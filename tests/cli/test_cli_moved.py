"""`guard history --moved` over a real journal of a real daemon: the parts say what happened, or that nobody knows."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from cli_world import one_long, world
from policy_worlds import assessed, contract, cross, isolated, snapshot

from guard.cli.moved import _margin_moved, _paid_alike
from guard.margin.books.attribution import Look
from guard.snapshot import Wallet

MARGIN_BY_HAND = Decimal(1_500)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """One look, then 1,500 of margin by hand while the mark falls to 57,000, then another look."""

    async def story():
        async with world(tmp_path_factory.mktemp("moved"), build=one_long, mode="observe") as here:
            await here.guard("run", "--once")
            first = await here.guard("history", "--moved")
            (account,) = here.exchange.accounts.values()
            (key, position), *_ = account.positions.items()
            account.positions[key] = replace(position, isolated_wallet=position.isolated_wallet + MARGIN_BY_HAND)
            here.exchange.set_mark("BTCUSDT", Decimal(57_000))
            await here.guard("run", "--once")
            return first, await here.guard("history", "--moved"), await here.guard("history", "--moved", "--json")

    return asyncio.run(story())


def test_one_look_explains_nothing_and_is_not_said_to_have_seen_that_nothing_moved(told):
    assert told[0].status == 0, told[0].err
    assert "nothing moved" not in told[0].out
    assert "one look so far" in told[0].out


def test_margin_that_was_added_by_hand_is_not_called_funding(told):
    assert told[1].status == 0, told[1].err
    lines = [line for line in told[1].out.splitlines() if "by hand" in line]
    assert len(lines) == 1
    assert "-3,012.0" in lines[0], "1,500 / (0.5 x 0.996)"


def test_what_another_wallet_paid_did_not_leave_the_pool():
    """Two dexes of Hyperliquid, each with money of its own in the same currency."""
    elsewhere = isolated(symbol="XYZ-TSLA/USDT:USDT", contract=replace(contract("XYZ-TSLA/USDT:USDT"), wallet="xyz"))
    seen = assessed(snapshot(elsewhere, isolated(), cross(), wallets=(usdt(9_000), usdt(5, "xyz")))).positions
    looks = {row.key: Look(leg=row.leg, pool=row.pool) for row in seen}
    added = {row.key: Decimal(7 + index) for index, row in enumerate(seen) if row.pool_name is None}
    of_pool, of_tsla = looks[seen[2].key], looks[seen[0].key]
    assert _margin_moved(of_pool, _paid_alike(of_pool, added, looks, {})) == -8
    assert _margin_moved(of_tsla, _paid_alike(of_tsla, added, {}, looks)) == 7


def usdt(available, name=""):
    amount = Decimal(available)
    return Wallet(
        currency="USDT", cross_wallet_balance=amount, cross_unrealized_pnl=Decimal(0), available=amount, name=name
    )


def test_the_parts_sum_to_what_the_two_looks_have(told):
    (moved,) = told[2].document
    before, after = moved["before"], moved["after"]
    for change, figure in (("price_change", "liquidation_price"), ("distance_change", "distance")):
        parts = sum(Decimal(part[change]) for part in moved["parts"])
        assert abs(parts - (Decimal(after[figure]) - Decimal(before[figure]))) < Decimal("1e-20")
    moving = {part["cause"] for part in moved["parts"] if Decimal(part["distance_change"])}
    assert moving == {"funding, fees, realized, or by hand", "mark price"}


def test_no_line_is_wider_than_a_narrow_terminal(told):
    assert max(map(len, told[1].out.splitlines())) <= 80
