"""A falling market, end to end: one request, the right amount, the alert; and what is never sent."""

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

TARGET = Decimal("0.12")


def _with_a_cross_position(exchange):
    one = account(exchange)
    hold(exchange, one, "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)
    hold(exchange, one, "ETHUSDT", Decimal(2), leverage=10, isolated=False)


async def a_crossed_trigger_is_one_request_that_restores_the_target_and_a_signed_alert(folder):
    async with world(folder, build=_with_a_cross_position) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("action"), of=guarded)
        await cycles(guarded, 1)
        (sent,) = (post.fields for post in here.exchange.margin_posts)
        (intent,) = here.intents()
        assert intent.state.value == "applied"
        assert Decimal(sent["amount"]) == intent.amount == NEEDED
        assert here.moved() == [NEEDED]
        assert "positionSide" not in sent
        isolated, cross = guarded.service.watches["main"].decision.positions
        assert isolated.figures.distance >= TARGET
        assert isolated.figures.distance - TARGET < Decimal("0.0001")
        assert cross.level.word == "ok"
        (told,) = here.told("action")
        assert told["alert"] == intent.intent_id
        assert told["facts"]["amount"] == str(NEEDED)
        assert Decimal(told["facts"]["after"]["distance"]) >= TARGET
        assert told["facts"]["after"]["isolated_wallet"] == str(6_000 + NEEDED)


async def in_shadow_it_says_what_it_would_do_once_and_sends_nothing(folder):
    async with world(folder, mode="shadow") as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("action"), of=guarded)
        await cycles(guarded, 1)
        (told,) = here.told("action")
        assert told["title"].startswith(f"WOULD ADD {NEEDED:,}")
        assert here.posts() == 0
        assert here.intents() == []


async def what_the_budget_cannot_save_gets_nothing_and_the_alert_says_why(folder):
    rules = SHIELD.replace('"3000"', '"300"')
    async with world(folder, rules=rules) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("refused"), of=guarded)
        await cycles(guarded, 1)
        (told,) = here.told("refused")
        assert "your budget cannot save this" in told["text"]
        assert "300 USDT can be spent" in told["text"]
        assert here.posts() == 0
        assert here.intents() == []


async def a_spent_budget_ends_the_top_ups_and_the_alert_says_so(folder):
    # The first fall takes 1,211.53 of 1,300 to reach the target; what is left cannot bring back the second.
    rules = SHIELD.replace('"3000"', '"1300"').replace('"5000"', '"5000"\ncooldown = "0s"')
    async with world(folder, rules=rules) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("the first one is told", lambda: here.told("action"), of=guarded)
        here.exchange.set_mark("BTCUSDT", Decimal(49_000))
        await until("the end is told", lambda: here.told("refused"), of=guarded)
        await cycles(guarded, 1)
        assert "88.47" in here.told("refused")[0]["text"]
        assert here.moved() == [NEEDED]
        assert here.books_agree()


def _hedged(exchange):
    one = account(exchange, hedge_mode=True)
    hold(exchange, one, "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)
    hold(exchange, one, "BTCUSDT", Decimal("-0.5"), leverage=5, isolated=True)


async def of_two_hedged_legs_only_the_one_in_danger_is_topped_up_and_named_on_the_wire(folder):
    async with world(folder, build=_hedged) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("action"), of=guarded)
        await cycles(guarded, 1)
        (sent,) = (post.fields for post in here.exchange.margin_posts)
        assert sent["positionSide"] == "LONG"
        assert here.account().positions["BTCUSDT", "LONG"].isolated_wallet == 6_000 + NEEDED
        assert here.account().positions["BTCUSDT", "SHORT"].isolated_wallet == 6_000
        levels = {str(one.key): one.level.word for one in guarded.service.watches["main"].decision.positions}
        assert levels["BTC/USDT:USDT short"] == "ok"
        assert levels["BTC/USDT:USDT long"] != "ok"
        # And the other way: the short's turn, at (30,000 + 6,000) / (0.5 * 1.004) = 71,713.15.
        here.exchange.set_mark("BTCUSDT", Decimal(67_000))
        await until("the short is told", lambda: len(here.told("action")) == 2, of=guarded)
        assert here.exchange.margin_posts[-1].fields["positionSide"] == "SHORT"
        assert here.books_agree()


async def the_journal_keeps_the_figures_of_before_and_after(folder):
    async with world(folder) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("action"), of=guarded)
        (intent,) = here.intents()
        before, after = json.loads(intent.facts_before), json.loads(intent.facts_after)
        assert Decimal(before["isolated_wallet"]) == 6_000
        assert Decimal(after["isolated_wallet"]) == 6_000 + NEEDED
        assert Decimal(before["distance"]) < Decimal("0.08") < Decimal(after["distance"])


async def the_history_says_what_moved_the_liquidation_and_the_parts_sum_to_the_whole(folder):
    async with world(folder, build=_with_a_cross_position) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("action"), of=guarded)
        await cycles(guarded, 2)
        status, said = await call(here, "history", "--moved", "--json")
        assert status == 0
        moved = {(one["symbol"], one["side"]): one for one in json.loads(said)}
        rescued = moved["BTC/USDT:USDT", "long"]
        parts = {part["cause"]: Decimal(part["price_change"]) for part in rescued["parts"]}
        assert parts["margin moved by guard"] < 0
        assert {cause for cause, change in parts.items() if change} == {"margin moved by guard"}
        before, after = (Decimal(rescued[when]["liquidation_price"]) for when in ("before", "after"))
        assert abs(sum(parts.values()) - (after - before)) < Decimal("1e-20")
        beside = moved["ETH/USDT:USDT", "long"]  # Its wallet carries it at any price: there is no figure to move.
        assert (beside["before"]["liquidation"], beside["after"]["liquidation"]) == ("none", "none")
        assert {part["price_change"] for part in beside["parts"]} == {None}
        status, said = await call(here, "history", "--moved", "--since", "1h")
        assert status == 0
        assert "margin moved by guard" in said


STORIES = [
    a_crossed_trigger_is_one_request_that_restores_the_target_and_a_signed_alert,
    in_shadow_it_says_what_it_would_do_once_and_sends_nothing,
    what_the_budget_cannot_save_gets_nothing_and_the_alert_says_why,
    a_spent_budget_ends_the_top_ups_and_the_alert_says_so,
    of_two_hedged_legs_only_the_one_in_danger_is_topped_up_and_named_on_the_wire,
    the_journal_keeps_the_figures_of_before_and_after,
    the_history_says_what_moved_the_liquidation_and_the_parts_sum_to_the_whole,
]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return Played(STORIES, tmp_path_factory.mktemp("rescue"))


@pytest.mark.parametrize("story", STORIES, ids=name_of)
def test_a_rescue_is_exact_and_stays_inside_its_terms(played, story):
    assert played(story)
