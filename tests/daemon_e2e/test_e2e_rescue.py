"""A falling market, end to end: one request, the right amount, the alert; and what is never sent."""

import json
from decimal import Decimal

from daemon_kit import BREACHED, NEEDED, SHIELD, account, cycles, daemon, until, watching, world

TARGET = Decimal("0.12")


def _with_a_cross_position(exchange):
    one = account(exchange)
    exchange.open_position(one, "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)
    exchange.open_position(one, "ETHUSDT", Decimal(2), leverage=10, isolated=False)


async def test_a_crossed_trigger_is_one_request_that_restores_the_target_and_a_signed_alert(tmp_path):
    async with world(tmp_path, build=_with_a_cross_position) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("action"), of=guarded)
        await cycles(guarded, 1)
        (sent,) = here.exchange.margin_posts
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


async def test_in_shadow_it_says_what_it_would_do_once_and_sends_nothing(tmp_path):
    async with world(tmp_path, mode="shadow") as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("action"), of=guarded)
        await cycles(guarded, 1)
        (told,) = here.told("action")
        assert told["title"].startswith(f"WOULD ADD {NEEDED:,}")
        assert here.posts() == 0
        assert here.intents() == []


async def test_what_the_budget_cannot_save_gets_nothing_and_the_alert_says_why(tmp_path):
    rules = SHIELD.replace('"3000"', '"300"')
    async with world(tmp_path, rules=rules) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("refused"), of=guarded)
        await cycles(guarded, 1)
        (told,) = here.told("refused")
        assert "your budget cannot save this" in told["text"]
        assert "300 USDT can be spent" in told["text"]
        assert here.posts() == 0
        assert here.intents() == []


async def test_a_spent_budget_ends_the_top_ups_and_the_alert_says_so(tmp_path):
    # The first fall takes 1,211.53 of 1,300 to reach the target; what is left cannot bring back the second.
    rules = SHIELD.replace('"3000"', '"1300"').replace('"5000"', '"5000"\ncooldown = "0s"')
    async with world(tmp_path, rules=rules) as here, daemon(here) as guarded:
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
    exchange.open_position(one, "BTCUSDT", Decimal("0.5"), leverage=5, isolated=True)
    exchange.open_position(one, "BTCUSDT", Decimal("-0.5"), leverage=5, isolated=True)


async def test_of_two_hedged_legs_only_the_one_in_danger_is_topped_up_and_named_on_the_wire(tmp_path):
    async with world(tmp_path, build=_hedged) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("action"), of=guarded)
        await cycles(guarded, 1)
        (sent,) = here.exchange.margin_posts
        assert sent["positionSide"] == "LONG"
        assert here.account().find("BTCUSDT", "LONG").isolated_wallet == 6_000 + NEEDED
        assert here.account().find("BTCUSDT", "SHORT").isolated_wallet == 6_000
        levels = {str(one.key): one.level.word for one in guarded.service.watches["main"].decision.positions}
        assert levels["BTC/USDT:USDT short"] == "ok"
        assert levels["BTC/USDT:USDT long"] != "ok"
        # And the other way: the short's turn, at (30,000 + 6,000) / (0.5 * 1.004) = 71,713.15.
        here.exchange.set_mark("BTCUSDT", Decimal(67_000))
        await until("the short is told", lambda: len(here.told("action")) == 2, of=guarded)
        assert here.exchange.margin_posts[-1]["positionSide"] == "SHORT"
        assert here.books_agree()


async def test_the_journal_keeps_the_figures_of_before_and_after(tmp_path):
    async with world(tmp_path) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        await until("it is told", lambda: here.told("action"), of=guarded)
        (intent,) = here.intents()
        before, after = json.loads(intent.facts_before), json.loads(intent.facts_after)
        assert Decimal(before["isolated_wallet"]) == 6_000
        assert Decimal(after["isolated_wallet"]) == 6_000 + NEEDED
        assert Decimal(before["distance"]) < Decimal("0.08") < Decimal(after["distance"])
