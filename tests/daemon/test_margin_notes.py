"""Margin that somebody else moved, and the exchange's own auto-margin, are told: at every guarded exchange, on the wire."""

from datetime import timedelta
from decimal import Decimal

import pytest
from exchanges import SERVERS, server_of
from wire_world import watching_account

from guard.daemon import margin_notes
from guard.daemon.tell import Teller
from guard.journal.records import AUTO_MARGIN, MARGIN_CHANGED
from guard.snapshot import Side

WITHOUT_HISTORY = {"bybit", "gate"}


@pytest.fixture(params=list(SERVERS))
async def server(request):
    async with server_of(request.param)().serving() as one:
        one.hold_sample()
        yield one


@pytest.fixture(autouse=True)
def no_funding(monkeypatch):
    """No full hour passes, whatever the clock says while the tests run."""
    monkeypatch.setattr(margin_notes, "_hour", lambda _: 0)


@pytest.fixture
def told(monkeypatch):
    messages = []
    tell = Teller.tell

    def heard(teller, message):
        if message.alert.startswith(("margin ", "auto-margin ")):
            messages.append(message)
        tell(teller, message)

    monkeypatch.setattr(Teller, "tell", heard)
    return messages


def take_out(server, part):
    """Take a part of the sample's margin out, as a person would: the history may or may not list it."""
    holding = server.holdings[server.sample.symbol, Side.LONG]
    holding.margin *= 1 - Decimal(part)


async def test_margin_that_somebody_took_out_is_told_once_with_both_amounts(server, tmp_path, told):
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        take_out(server, "0.2")
        for _ in range(2):
            await watch.cycle()
        kept = [row.text for row in watch._journal.history("main") if row.kind == MARGIN_CHANGED]
    (message,) = told
    margin, currency = server.sample.margin, server.sample.currency
    assert Decimal(message.facts["margin"]["before"]) == pytest.approx(margin, rel=Decimal("1e-6"))
    assert Decimal(message.facts["margin"]["now"]) == pytest.approx(margin * Decimal("0.8"), rel=Decimal("1e-6"))
    assert message.title.startswith("MARGIN OF BTC")
    assert " long FELL by " in message.title
    assert f" {currency}, not by guard" in message.title
    assert "away now." in message.text
    assert message.level.word == "warn"
    assert len(kept) == 1


async def test_margin_that_somebody_added_is_told_where_no_history_tells_it(server, tmp_path, told):
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        server.add_to(server.sample.symbol, Side.LONG, server.sample.margin / 4)
        for _ in range(2):
            await watch.cycle()
        has_history = watch.reader.venue.write_terms.history_kept > timedelta(0)
    assert len(told) == (0 if has_history else 1)
    if told:
        assert (told[0].level.word, " ROSE by " in told[0].title) == ("watch", True)
    elif server.exchange in WITHOUT_HISTORY:
        pytest.fail("it has no history")


async def test_another_size_a_flip_and_a_small_difference_are_no_news(server, tmp_path, told):
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        take_out(server, "0.009")
        await watch.cycle()
        server.holdings[server.sample.symbol, Side.LONG].contracts *= 2
        take_out(server, "0.5")
        await watch.cycle()
        server.drop(server.sample.symbol, Side.LONG)
        await watch.cycle()
        server.hold_sample(margin=server.sample.margin / 2)
        await watch.cycle()
    assert told == []


async def test_after_a_full_hour_as_much_as_funding_can_be_is_no_news(server, tmp_path, told, monkeypatch):
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        monkeypatch.setattr(margin_notes, "_hour", lambda moment: moment)
        take_out(server, "0.05")  # At ten times leverage it is half a percent of the value.
        await watch.cycle()
        assert told == []
        take_out(server, "0.3")
        await watch.cycle()
    assert len(told) == 1


async def test_a_bot_that_moves_margin_in_every_cycle_is_told_once_in_ten_minutes(server, tmp_path, told):
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        for _ in range(3):
            take_out(server, "0.05")
            await watch.cycle()
        assert len(told) == 1
        watch._margin_notes._not_before_s.clear()  # Ten minutes later.
        take_out(server, "0.05")
        await watch.cycle()
        kept = [row for row in watch._journal.history("main") if row.kind == MARGIN_CHANGED]
    assert (len(told), len(kept)) == (2, 4)


async def test_the_exchanges_own_auto_margin_is_told_when_it_is_seen_and_when_it_is_off(server, tmp_path, told):
    if "auto margin" in server.lacks:
        pytest.skip(server.lacks["auto margin"])
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        assert told == []
    server.hold_sample(auto_add=True)
    for _ in range(2):  # A restart tells nothing anew.
        async with watching_account(server, tmp_path) as (watch, _):
            for _ in range(2):
                await watch.cycle()
    (message,) = told
    assert message.title.startswith("AUTO-MARGIN IS ON for ")
    assert message.level.word == "warn"
    server.hold_sample()
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        kept = [row.data for row in watch._journal.history("main") if row.kind == AUTO_MARGIN]
    assert told[-1].title.startswith("Auto-margin is off for ")
    assert sorted(kept) == ["off", "on"]
