"""`guard history --moved` over a real journal of a real daemon: the parts say what happened, or that nobody knows."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from cli_world import one_long, world

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
