"""Two positions crash in one moment and the money saves one of them.

BTC as in daemon_kit: at 52,000 it is 7.3 % from liquidation, 10 % costs 693.61, and 2,000 are at stake. Ten ETH bought
at 3,000 with 5x hold 6,000 as well; at 2,550 they are 5.5 % away, 10 % costs 1,141.81, and 1,500 are at stake.
"""

import json
from decimal import Decimal

import pytest
from daemon_kit import (
    BREACHED,
    NEEDED,
    SHIELD,
    Played,
    account,
    call,
    cycles,
    daemon,
    hold,
    name_of,
    until,
    watching,
    world,
)

LIMIT = '[limits]\nmax_per_day = "1300"'
ETHER = Decimal(2_550)
FIRST = (
    SHIELD.replace('"shield"', '"ether"').replace("{ margin", '{ symbol = "ETH/*", margin') + "priority = 1\n" + SHIELD
)


def _two(exchange):
    one = account(exchange)
    hold(exchange, one, "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)
    hold(exchange, one, "ETHUSDT", Decimal(10), leverage=5, isolated=True)


def _crash(here):
    """Let both fall before anybody can look."""
    here.exchange.set_mark("ETHUSDT", ETHER)
    here.exchange.set_mark("BTCUSDT", BREACHED)


def _symbols(here):
    return [post.fields["symbol"] for post in here.exchange.margin_posts]


async def the_one_whose_money_keeps_more_is_saved_although_the_other_is_nearer(folder):
    async with world(folder, build=_two, top=LIMIT) as here, daemon(here) as guarded:
        await watching(guarded)
        _crash(here)
        await until("both are told", lambda: here.told("action") and here.told("refused"), of=guarded)
        await cycles(guarded, 2)
        assert (_symbols(here), here.moved()) == (["BTCUSDT"], [NEEDED])
        (told,) = here.told("refused")
        assert told["symbol"] == "ETH/USDT:USDT"
        assert (
            "not saved: the money goes to BTC long (1,211.53 USDT, keeps 2.88 per unit spent, this 1.31)"
            in told["text"]
        )
        assert "- BTC long: 693.61 USDT keeps 2,000 USDT: saved." in told["text"].splitlines()
        assert "- ETH long: 1,141.81 USDT keeps 1,500 USDT: not saved." in told["text"].splitlines()
        _, shown = await call(here, "status", "--json")
        positions = json.loads(shown)["accounts"][0]["positions"]
        withheld = next(row["withheld"] for row in positions if row["symbol"] == "ETH/USDT:USDT")
        assert "added before: 1,211.53 USDT to BTC long" in withheld
        assert here.books_agree()


async def the_owners_priority_saves_the_other_one(folder):
    async with world(folder, build=_two, top=LIMIT, rules=FIRST) as here, daemon(here) as guarded:
        await watching(guarded)
        _crash(here)
        await until("both are told", lambda: here.told("action") and here.told("refused"), of=guarded)
        await cycles(guarded, 2)
        assert (_symbols(here), here.moved()) == (["ETHUSDT"], [Decimal(1_300)])
        assert "not saved: the money goes to ETH long (1,300 USDT, priority 1)" in here.told("refused")[0]["text"]
        assert here.books_agree()


async def with_money_for_both_both_are_brought_to_their_targets(folder):
    async with world(folder, build=_two) as here, daemon(here) as guarded:
        await watching(guarded)
        _crash(here)
        await until("both are told", lambda: len(here.told("action")) == 2, of=guarded)
        await cycles(guarded, 1)
        assert _symbols(here) == ["ETHUSDT", "BTCUSDT"]
        assert here.told("refused") == []
        assert here.books_agree()


async def in_shadow_nothing_is_sent_and_status_shows_who_would_be_saved_at_which_price(folder):
    async with world(folder, build=_two, top=LIMIT, mode="shadow") as here, daemon(here) as guarded:
        await watching(guarded)
        _crash(here)
        await until("both are told", lambda: here.told("action") and here.told("refused"), of=guarded)
        assert here.told("action")[0]["symbol"] == "BTC/USDT:USDT"
        _, shown = await call(here, "status", "--json")
        contenders = json.loads(shown)["accounts"][0]["contenders"]
        assert [(one["symbol"], one["is_saved"], one["money_to_clear"]) for one in contenders] == [
            ("BTC/USDT:USDT", True, "693.61"),
            ("ETH/USDT:USDT", False, "1141.81"),
        ]
        _, table = await call(here, "status")
        assert "too little money for all: ETH long: 1,141.81 USDT keeps 1,500 USDT: not saved, only said." in " ".join(
            table.split()
        )
        assert here.posts() == 0


STORIES = [
    the_one_whose_money_keeps_more_is_saved_although_the_other_is_nearer,
    the_owners_priority_saves_the_other_one,
    with_money_for_both_both_are_brought_to_their_targets,
    in_shadow_nothing_is_sent_and_status_shows_who_would_be_saved_at_which_price,
]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return Played(STORIES, tmp_path_factory.mktemp("triage"))


@pytest.mark.parametrize("story", STORIES, ids=name_of)
def test_where_money_saves_one_of_two_the_right_one_is_saved_and_the_other_told(played, story):
    assert played(story)
