"""What a person reads at four in the morning. The expected words are written out: they are the product."""

import itertools
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from told_support import (
    BTC,
    FOUR_O_CLOCK,
    alert,
    at,
    decision,
    message,
    pool_verdict,
    position_figures,
    position_verdict,
)

from guard.margin.figures import Crossings
from guard.notify.delivery import ChannelNews
from guard.notify.guard_texts import channel_message, drill_message, heartbeat_message, keys_message
from guard.notify.texts import message_for, one_line
from guard.notify.webhook import webhook_object
from guard.outlook import Outlook
from guard.policy.decision import AlertEvent, AlertKind, DataState, TopUp, Withheld, WithheldReason
from guard.policy.phrases import short_name
from guard.policy.stops import PricedStop
from guard.policy.terms import Level, Mode
from guard.snapshot import Gap, Liquidation, LiquidationKind, MarginMode, PositionKey, Side

UNKNOWN = Liquidation(kind=LiquidationKind.UNKNOWN)
TOP_UP = TopUp(
    key=BTC,
    rule="shield",
    amount=Decimal(250),
    currency="USDT",
    dollars=Decimal(250),
    trigger=Decimal("0.08"),
    target=Decimal("0.16"),
    distance_before=Decimal("0.07836"),
    distance_after=Decimal("0.08688"),
    liquidation_after=Decimal("53600.2"),
    cut_by="max_per_action",
    priority=0,
    mode=Mode.ACT,
    reason="distance 7.8 % is at or below the trigger 8 %",
)


def new_id() -> str:
    return "msg_7"


def told(made=None, of=None):
    return message_for(
        made or alert(position=position_verdict()),
        decision=of or decision(position_verdict()),
        now=FOUR_O_CLOCK,
        new_id=new_id,
    )


def test_a_danger_says_all_that_a_locked_phone_needs_in_its_title_and_the_rest_in_short_lines():
    read = told()
    assert read.title == "DANGER BTC long 7.8 % from liquidation (54,101) — main"
    assert read.text.splitlines() == [
        "Mark 58,700, 7.8 % from liquidation (54,101).",
        "Our model: 54,101; the exchange: 54,091.",
        "The trigger for adding margin is at 8 %.",
        "To do: add margin at the exchange, make the position smaller, or close it.",
        "At stake: its margin, 3,050.13 USDT.",
        "Margin balance 2,400.32 USDT, required 132.08 USDT.",
        "Back to 16 % costs 2,561.13 USDT.",
        "Budget left: 500 USDT; to spend now: 250 USDT.",
        "With all that its budget and the wallet allow: liquidated at 53,089.",
        "BTC/USDT:USDT long, isolated, account main.",
        "Why: distance 7.8 % is at or below danger 8 %.",
        "Data: 2 s old (read at 04:12:05 UTC).",
    ]
    assert (read.id, read.alert, read.kind, read.event, read.level) == (
        "msg_7",
        "alert_1",
        "alert",
        "fired",
        Level.DANGER,
    )
    assert (read.symbol, read.side, read.margin_mode) == ("BTC/USDT:USDT", "long", "isolated")
    assert read.facts["liquidation_price"] == "54100.38"
    assert read.facts["distance"] == "0.078364"


@pytest.mark.parametrize(
    ("by", "trouble", "unpriced", "said"),
    [
        ("last", None, None, ["Your stop is at 56,000 by the last price: it comes before liquidation."]),
        ("", "why", None, ["Your stop is at 56,000: it lies behind liquidation."]),
        (None, None, "a trailing stop is there", ["A trailing stop is there."]),
        (None, None, None, []),
    ],
)
def test_a_stop_is_told_with_the_price_that_it_waits_for_and_one_without_as_such(by, trouble, unpriced, said):
    stop = None if by is None else PricedStop(trigger_price=Decimal(56_000), trigger_by=by)
    verdict = replace(position_verdict(), stop=stop, stop_trouble=trouble, stop_unpriced=unpriced)
    lines = told(alert(position=verdict), decision(verdict)).text.splitlines()
    assert [line for line in lines if "stop" in line] == said


def test_a_stop_for_a_part_does_not_pass_for_one_that_protects_the_position():
    stop = PricedStop(trigger_price=Decimal(56_000), trigger_by="mark", leaves=Decimal("0.99"))
    verdict = replace(position_verdict(), stop=stop)
    lines = told(alert(position=verdict), decision(verdict)).text.splitlines()
    assert [line for line in lines if "stop" in line] == [
        "Your stop is at 56,000 by the mark price: it comes before liquidation.",
        "But the stops close 1 % of the position only, nothing stops the rest.",
    ]


@pytest.mark.parametrize(
    ("event", "title", "first"),
    [
        (AlertEvent.REPEATED, "STILL DANGER BTC long 7.8 % from liquidation (54,101) — main", "It lasts."),
        (AlertEvent.ESCALATED, "NOW DANGER BTC long 7.8 % from liquidation (54,101) — main", "It got worse."),
        (AlertEvent.RESOLVED, "OVER: DANGER BTC long, now 7.8 % from liquidation (54,101) — main", "It is over."),
    ],
)
def test_each_event_is_told_apart_at_a_glance(event, title, first):
    read = told(alert(event=event, position=position_verdict()))
    assert read.title == title
    assert read.text.splitlines()[0] == first


def test_the_end_of_a_danger_asks_for_nothing():
    read = told(alert(event=AlertEvent.RESOLVED, position=position_verdict(level=Level.OK)))
    assert "Nothing to do." in read.text
    assert "To do:" not in read.text


def test_the_exchanges_price_counts_and_is_named_where_it_is_nearer():
    figures = position_figures(distance=Decimal("0.07"), distance_basis="exchange", exchange_liquidation=at("54591.3"))
    read = told(alert(position=position_verdict(figures=figures)))
    assert read.title.startswith("DANGER BTC long 7 % from liquidation (54,592)")
    assert "Our model: 54,101; the exchange: 54,592. The exchange's is nearer and counts." in read.text


def test_two_prices_that_read_the_same_are_not_compared():
    figures = position_figures(distance_basis="exchange", exchange_liquidation=at("54100.3800001"))
    read = told(alert(position=position_verdict(figures=figures)))
    assert "Our model and the exchange say the same: 54,101." in read.text
    assert "nearer" not in read.text


def test_what_no_money_changes_is_no_line():
    own = position_figures().crossings.nearest.price
    read = told(alert(position=position_verdict(money_to_target=Decimal(0), guarded_liquidation_price=own)))
    assert "costs" not in read.text
    assert "With all that" not in read.text


def test_how_fast_is_told_where_it_is_known():
    outlook = Outlook(sigmas=3.14, touch_probability={"1h": 0.004, "8h": 0.126}, gap=None)
    read = told(alert(position=position_verdict(outlook=outlook)))
    assert "In the coin's own terms: 3.1 sigmas of a day away." in read.text
    assert "Chance to touch it: under 1 % within 1h, 13 % within 8h." in read.text


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (Mode.ACT, "guard is adding 250 USDT (7.8 % → 8.6 %, liquidation then 53,601). Made smaller by max_per_action. A message follows when it is done."),
        (Mode.SHADOW, "guard would add 250 USDT (7.8 % → 8.6 %, liquidation then 53,601) but does not (mode shadow: it only says so). Made smaller by max_per_action."),
        (Mode.APPROVE, "guard would add 250 USDT (7.8 % → 8.6 %, liquidation then 53,601) but does not (mode approve: it cannot ask yet, so it only says so). Made smaller by max_per_action."),
    ],
)  # fmt: skip
def test_what_guard_does_about_it_depends_on_the_mode(mode, said):
    read = told(alert(position=position_verdict(top_up=replace(TOP_UP, mode=mode))))
    assert said in read.text.splitlines()
    assert ("To do: nothing if the next message" in read.text) is (mode is Mode.ACT)


def test_why_no_money_is_spent_is_told_with_its_figures():
    text = "max_per_day 1,000: 990.00 spent, 10.00 left, 62.31 wanted"
    withheld = Withheld(reason=WithheldReason.RULE_DAY_BUDGET_SPENT, text=text)
    read = told(alert(kind=AlertKind.REFUSED, reason=text, position=position_verdict(withheld=withheld)))
    assert f"guard adds no money: {text}" in read.text
    assert read.title == "NO TOP-UP BTC long 7.8 % from liquidation (54,101) — main"


def test_a_position_past_liquidation_and_one_that_cannot_be_judged_are_two_different_messages():
    past = Liquidation(kind=LiquidationKind.PAST)
    figures = position_figures(
        liquidation=past, crossings=Crossings(nearest=past), distance=Decimal(0), distance_basis="past"
    )
    gone = told(alert(level=Level.CRITICAL, position=position_verdict(level=Level.CRITICAL, figures=figures)))
    assert gone.title == "CRITICAL BTC long, at or past liquidation — main"
    assert "To do: open the exchange now. It may be liquidating already." in gone.text
    figures = position_figures(
        liquidation=UNKNOWN,
        crossings=Crossings(nearest=UNKNOWN),
        exchange_liquidation=UNKNOWN,
        distance=None,
        distance_basis="unknown",
    )
    unseen = told(alert(level=Level.UNKNOWN, position=position_verdict(level=Level.UNKNOWN, figures=figures)))
    assert unseen.title == "UNKNOWN BTC long, liquidation not known — main"
    assert "Our model: not known; the exchange: not known." in unseen.text
    assert "0 %" not in unseen.text.replace("16 %", "")


def test_what_is_not_known_of_the_budget_is_said_and_is_no_zero():
    verdict = position_verdict(budget_left=None, spendable=None, money_to_target=None, guarded_liquidation_price=None)
    assert "Budget left: not known; to spend now: not known." in told(alert(position=verdict)).text


def test_a_position_without_a_budget_says_that_guard_only_watches():
    verdict = position_verdict(rule=None, trigger=None, budget_left=None, spendable=None, money_to_target=None)
    read = told(alert(position=verdict))
    assert "guard only watches it: no budget is written for it." in read.text
    assert "Budget left" not in read.text


def test_a_cross_position_puts_the_whole_balance_at_stake():
    figures = position_figures(margin_mode=MarginMode.CROSS, isolated_wallet=None, pool_name="USDT cross")
    verdict = position_verdict(figures=figures, rule=None, trigger=None)
    read = told(alert(position=verdict, margin_mode=MarginMode.CROSS))
    assert "At stake: the whole balance of USDT cross, 2,400.32 USDT." in read.text
    assert "To do: bring USDT into the futures wallet" in read.text


def test_a_pool_names_what_drives_it_and_what_falls_together():
    figures = position_figures(margin_mode=MarginMode.CROSS, isolated_wallet=None, pool_name="USDT cross")
    made = alert(key=None, margin_mode=MarginMode.CROSS, pool=pool_verdict(shock_up=Decimal("0.4")))
    read = told(made, decision(position_verdict(figures=figures)))
    assert read.title == "DANGER USDT cross 7.8 % from liquidation (BTC) — main"
    assert read.text.splitlines() == [
        "To do: bring USDT into the wallet, make a position smaller, or close one.",
        "Balance 1,535.43 USDT, required 701.01 USDT.",
        "Nearest: BTC/USDT:USDT alone at 54,101 (mark 58,700).",
        "All prices together: -12.3 % or +40 % liquidates it.",
        "Falls together: BTC long.",
        "USDT cross, account main.",
        "Why: distance 7.8 % is at or below danger 8 %.",
        "Data: 2 s old (read at 04:12:05 UTC).",
    ]
    assert read.facts["pool"] == "USDT cross"


def test_a_pool_that_is_not_modelled_is_told_by_the_exchanges_own_ratio():
    pool = pool_verdict(
        level=Level.UNKNOWN,
        liquidation=UNKNOWN,
        distance=None,
        driver=None,
        margin_balance=None,
        exchange_margin_ratio=Decimal("0.631"),
    )
    read = told(alert(key=None, level=Level.UNKNOWN, margin_mode=MarginMode.CROSS, pool=pool))
    assert read.title == "UNKNOWN USDT cross, exchange's ratio 64 % — main"
    assert "The exchange's own account ratio: 64 % (100 % is liquidation)." in read.text


def test_a_model_gap_shows_both_prices_in_the_title():
    made = alert(
        kind=AlertKind.MODEL_GAP,
        level=Level.WARN,
        reason="the gap is 12 % of the distance",
        position=position_verdict(),
    )
    read = told(made)
    assert read.title == "MODEL GAP BTC long: ours 54,101, exchange 54,091 — main"
    assert "guard goes by the nearer of the two." in read.text


def test_stale_data_says_what_is_missing_what_was_seen_last_and_that_no_alert_ends_by_it():
    of = decision(
        position_verdict(),
        state=DataState.STALE,
        gaps=tuple(Gap(subject=f"row {n}", reason="timed out") for n in range(7)),
    )
    read = told(
        alert(
            kind=AlertKind.STALE, level=Level.UNKNOWN, key=None, margin_mode=None, reason="no complete reading for 18 s"
        ),
        of,
    )
    assert read.title == "STALE: no complete reading for 18 s — main"
    assert "Not seen: row 0 (timed out)." in read.text
    assert "Not seen: 2 more." in read.text
    assert "Last seen: BTC long 7.8 % from liquidation (54,101)." in read.text
    assert "no alert ends by it" in read.text
    assert read.facts["state"] == "stale"
    assert read.facts["data_age_s"] == pytest.approx(1.2)


def test_an_account_that_was_never_read_is_told_as_that():
    of = decision(read=False, state=DataState.BLIND)
    read = told(
        alert(kind=AlertKind.BLIND, level=Level.UNKNOWN, key=None, margin_mode=None, reason="no reading for 2 min"), of
    )
    assert "Data: this account was never read." in read.text
    assert "To do: look at the positions at the exchange" in read.text
    assert read.facts["data_age_s"] is None


@pytest.mark.parametrize("event", [AlertEvent.FIRED, AlertEvent.ESCALATED])
def test_a_position_that_vanished_is_neither_called_closed_nor_nothing_to_do(event):
    read = told(alert(kind=AlertKind.VANISHED, event=event, reason="it is in no complete reading any more"))
    assert read.title == "GONE BTC long — main"
    assert "If you did not close it, it was liquidated" in read.text
    assert "To do: look at the order history at the exchange." in read.text
    assert "Nothing to do" not in read.text


def test_a_worry_about_a_position_that_is_gone_only_ends_and_calls_nothing_good():
    read = told(alert(kind=AlertKind.REFUSED, event=AlertEvent.RESOLVED, reason="position is gone"))
    assert read.title == "OVER: NO TOP-UP BTC long: position is gone — main"
    assert "Nothing to do" not in read.text
    assert "This message only ends: that the position is gone has one of its own." in read.text


def test_a_pool_that_vanished_is_named():
    gone = alert(
        kind=AlertKind.VANISHED, event=AlertEvent.ESCALATED, key=None, reason="no cross position is left in USDT cross"
    )
    assert told(gone).title == "GONE: no cross position is left in USDT cross — main"


def test_a_long_reason_never_pushes_the_account_out_of_the_title():
    read = told(alert(reason="listed at 12:20:51 UTC, missing now " * 9))
    assert len(read.title) == 120
    assert read.title.endswith("… — main")


def test_every_kind_and_event_has_words_and_facts_that_json_can_carry():
    verdicts = ({}, {"position": position_verdict()}, {"pool": pool_verdict(), "key": None})
    for kind, event, verdict in itertools.product(AlertKind, AlertEvent, verdicts):
        read = told(alert(kind=kind, event=event, **verdict))
        assert read.title.endswith("— main")
        assert "\n" not in read.title
        assert all(line.strip() for line in read.text.splitlines())
        json.dumps(webhook_object(read, sent_at=FOUR_O_CLOCK))


def test_foreign_text_cannot_break_the_title():
    assert one_line("a\nb\r\n  c") == "a b c"
    assert len(one_line("x" * 500)) == 120


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("BTC/USDT:USDT", "BTC short"),
        ("1000PEPE/USDT:USDT", "1000PEPE short"),
        ("BTC/USD:BTC", "BTC/USD short"),
        ("BTC/USDT:USDT-250328", "BTC-250328 short"),
        ("ODD", "ODD short"),
    ],
)
def test_a_position_has_a_short_name_that_a_trader_knows(symbol, name):
    assert short_name(PositionKey(symbol, Side.SHORT)) == name


def test_a_dead_channel_is_told_with_its_remedy_and_what_was_not_told():
    news = ChannelNews(
        channel="telegram.me",
        alive=False,
        reason="telegram.me: press Start (403)",
        at=FOUR_O_CLOCK,
        others=("console",),
        undelivered=message(),
    )
    dead = channel_message(news, new_id=new_id)
    assert dead.title == "CHANNEL DEAD: telegram.me takes no messages"
    assert dead.text.splitlines()[:2] == ["telegram.me: press Start (403)", f"Not told there: {message().title}"]
    alive = channel_message(replace(news, alive=True, undelivered=None, reason="it works again"), new_id=new_id)
    assert (dead.alert, dead.event) == (alive.alert, "fired")
    assert (alive.title, alive.event) == ("Channel telegram.me works again", "resolved")


def test_proof_of_life_drill_and_keys_are_told_as_what_they_are():
    seen = {
        "main": decision(position_verdict(level=Level.OK)),
        "alt": decision(read=False, state=DataState.BLIND, level=Level.UNKNOWN),
    }
    alive = heartbeat_message(seen, now=FOUR_O_CLOCK, new_id=new_id)
    assert alive.title == "ALIVE: accounts seen: 1 of 2, positions: 1"
    assert "alt: blind, level unknown, positions: 0." in alive.text
    assert alive.level is Level.UNKNOWN
    drill = drill_message(("telegram.me", "console"), now=FOUR_O_CLOCK, new_id=new_id)
    assert drill.title.startswith("DRILL: ")
    assert "no money moved" in drill.text
    keys = keys_message("main", "the key may withdraw", now=FOUR_O_CLOCK, new_id=new_id)
    assert (keys.level, keys.account) == (Level.CRITICAL, "main")
    for each in (alive, drill, keys):
        json.dumps(webhook_object(each, sent_at=FOUR_O_CLOCK))
