"""What collateral counts for is kept, and a change of it told with what it does, at each exchange that tells it.

A long of BTC in cross margin leans on ETH, of which 95 % count, and then 90 %. By the exchange's price P of now, what ETH
counted more before stood it lower by units x price x 0.05 / (quantity x (1 - rate)), the rate with the fee to close.
"""

import re
from decimal import Decimal

import pytest
from exchanges import server_of
from wire_faults import Fate
from wire_world import config_text, watching_account

from guard.config import load
from guard.daemon.findings import Verdict
from guard.daemon.haircuts import HaircutKeeper
from guard.daemon.inspect import inspect_accounts
from guard.daemon.tell import Teller
from guard.errors import KeysRefused
from guard.journal.records import HAIRCUTS

PRICE_FIELDS = {
    "bybit": "liqPrice",
    "okx": "liqPx",
    "binanceusdm": "liquidationPrice",
    "gate": "liq_price",
    "bitget": "liquidationPrice",
}
PATHS = {
    "bybit": "/collateral",
    "okx": "/discount-rate-interest-free-quota",
    "binanceusdm": "/assetIndex",
    "gate": "/currency_discount_tiers",
    "bitget": "/discount-rate",
}
FEES = {
    "bybit": Decimal(0),
    "okx": Decimal("0.0005"),
    "binanceusdm": Decimal(0),
    "gate": Decimal("0.00075"),
    "bitget": Decimal("0.0006"),
}
UNITS = Decimal(2)


@pytest.fixture(params=list(PRICE_FIELDS))
async def server(request):
    """An exchange with one account in which BTC and ETH back everything together."""
    async with server_of("bitget-uta" if request.param == "bitget" else request.param)().serving() as one:
        one.is_wrong_mode = request.param not in {"okx", "bitget"}
        one.acct_lv, one.level = "3", "advanced"
        one.wallets["ETH"] = (UNITS, UNITS)
        one.counted = {"ETH": [("0", "0.95"), ("10000", "0.5")], "USDT": [("0", "1")]}
        one.hold_sample(margin=None)
        one.set_mark("ETH/USDT:USDT", Decimal(3000))
        state_price(one, one.sample.mark * Decimal("0.9"))
        yield one


def state_price(server, price):
    name = PRICE_FIELDS[server.exchange]

    def stated(answer):
        for row in answer if isinstance(answer, list) else server.rows_in("positions", answer):
            row[name] = "" if price is None else f"{price:f}"
        return answer

    server.mangle("positions", stated)


def told(monkeypatch):
    messages = []
    tell = Teller.tell

    def heard(teller, message):
        if message.alert.startswith("haircuts "):
            messages.append(message)
        tell(teller, message)

    monkeypatch.setattr(Teller, "tell", heard)
    return messages


async def look_anew(watch):
    watch.reader.tiers_are_due()
    await watch.cycle()


def expected_before(server):
    one = server.sample
    quantity, price = one.contracts * one.contract_size, one.mark * Decimal("0.9")
    rate = server.tier_rows(one.symbol)[0][2] + FEES[server.exchange]
    return price - UNITS * 3000 * Decimal("0.05") / (quantity * (1 - rate))


async def test_another_haircut_is_told_once_with_the_share_and_the_moved_liquidation(server, tmp_path, monkeypatch):
    messages = told(monkeypatch)
    async with watching_account(server, tmp_path) as (watch, journal):
        await watch.cycle()
        await look_anew(watch)
        assert messages == []
        server.counted["ETH"] = [("0", "0.9"), ("10000", "0.5")]
        for _ in range(2):
            await look_anew(watch)
        (message,) = messages
        kept = [row.subject for row in journal.history("main") if row.kind == HAIRCUTS]
    assert sorted(kept) == ["ETH", "ETH", "USDT"]
    before, price = expected_before(server), server.sample.mark * Decimal("0.9")
    (moved,) = message.facts["moved"]
    assert (moved["symbol"], moved["side"]) == (server.sample.symbol, "long")
    assert Decimal(moved["after"]) == price
    assert abs(Decimal(moved["before"]) - before) < Decimal("1e-20")
    assert message.title.startswith("COLLATERAL CHANGED ETH 95 % → 90 %: BTC long ")
    assert "ETH counts as margin: 95 % of yours before, 90 % now." in message.text
    assert "Your 2 ETH count 300 USD less." in message.text
    assert message.level.word == "warn"


async def test_a_change_while_nobody_ran_is_told_after_the_start_and_a_milder_one_is_no_warning(
    server, tmp_path, monkeypatch
):
    messages = told(monkeypatch)
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
    server.counted["ETH"] = [("0", "0.97")]
    for _ in range(2):
        async with watching_account(server, tmp_path) as (watch, _):
            await watch.cycle()
    (message,) = messages
    assert message.level.word == "watch"
    assert "Your 2 ETH count 120 USD more." in message.text
    assert message.text.endswith("Nothing to do.")


async def test_of_a_position_without_a_stated_price_it_is_said_that_nobody_knows(server, tmp_path, monkeypatch):
    messages = told(monkeypatch)
    state_price(server, None)
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        server.counted["ETH"] = [("0", "0.9")]
        await look_anew(watch)
    (message,) = messages
    assert f"Not known by how much it moves: {server.sample.symbol} long." in message.text
    assert message.facts["moved"] == []


@pytest.mark.parametrize("how", [Fate.HTTP_500, Fate.HTML_200, Fate.EMPTY_200, Fate.BARE_200, Fate.TRUNCATED])
async def test_what_cannot_be_read_is_no_change_and_is_asked_again_later(server, tmp_path, monkeypatch, how):
    messages = told(monkeypatch)
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        server.counted["ETH"] = [("0", "0.9")]
        server.break_reads("haircuts", how)
        asked = len(server.asked(PATHS[server.exchange]))
        for _ in range(2):
            await look_anew(watch)
        assert len(server.asked(PATHS[server.exchange])) == asked + 1
        assert messages == []
        server.break_reads("haircuts", None)
        watch._haircuts._not_before_s = 0.0  # Ten minutes later.
        await look_anew(watch)
    assert len(messages) == 1


@pytest.mark.parametrize("steps", [[("1", "0.9")], [("0", "1.1")], [("0", "0.9"), ("0", "0.8")], [("0", "")], []])
async def test_steps_that_make_no_sense_are_not_kept(server, tmp_path, monkeypatch, steps):
    if server.exchange == "binanceusdm":
        pytest.skip("Binance states one buffer for an asset, not steps")
    messages = told(monkeypatch)
    async with watching_account(server, tmp_path) as (watch, journal):
        await watch.cycle()
        server.counted["ETH"] = steps
        await look_anew(watch)
        assert len([row for row in journal.history("main") if row.kind == HAIRCUTS]) == 2
    assert messages == []


@pytest.mark.parametrize("answers", [True, False])
async def test_the_check_says_whether_it_can_be_read(server, tmp_path, answers):
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text(config_text(server, {"max_per_position": "1000", "max_per_day": "1000"}))
    if not answers:
        server.break_reads("haircuts", Fate.HTTP_500)
    found = {one.subject: one async for one in inspect_accounts(load(path, environ={}))}
    told = found["main collateral values"]
    assert told.verdict is (Verdict.FINE if answers else Verdict.WARNING)
    assert told.text.endswith("assets" if answers else "a change of them would not be told")
    assert found["main positions"].text.endswith("1 cross")


async def test_where_each_currency_stands_for_itself_nothing_is_asked(server, tmp_path):
    server.is_wrong_mode, server.acct_lv, server.level = False, "2", "isolated"
    server.holdings.clear()
    server.hold_sample()
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        await look_anew(watch)
    assert server.asked(PATHS[server.exchange]) == []


async def test_a_change_is_told_though_its_price_is_refused_and_again_after_a_death_before_it_was_told(
    server, tmp_path, monkeypatch
):
    messages = told(monkeypatch)
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        server.counted["ETH"] = [("0", "0.9"), ("10000", "0.5")]

        async def refused(_symbol):
            raise KeysRefused("no")

        watch.reader.venue.mark = refused
        keep = HaircutKeeper._keep
        monkeypatch.setattr(HaircutKeeper, "_keep", lambda *_: None)  # It died before it could write.
        await look_anew(watch)
        assert len(messages) == 1
    monkeypatch.setattr(HaircutKeeper, "_keep", keep)
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        assert len(messages) == 2
        await look_anew(watch)
        assert len(messages) == 2


def in_dollars(server):
    if server.exchange not in {"gate", "bitget"}:
        pytest.skip("only Gate and Bitget list the limits of their steps in dollars")


async def test_where_steps_are_listed_in_dollars_a_balance_is_counted_by_its_worth(server, tmp_path, monkeypatch):
    """Of 2 ETH at 3,000 dollars the first 4,000 dollars count 95 %, and then only the first 1,500."""
    in_dollars(server)
    messages = told(monkeypatch)
    server.counted["ETH"] = [("0", "0.95"), ("4000", "0.5")]
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        server.set_mark("ETH/USDT:USDT", Decimal(2999))  # Another price is no other table.
        await look_anew(watch)
        server.set_mark("ETH/USDT:USDT", Decimal(3000))
        await look_anew(watch)
        assert messages == []
        server.counted["ETH"] = [("0", "0.95"), ("1500", "0.5")]
        await look_anew(watch)
    (message,) = messages
    assert "ETH counts as margin: 80 % of yours before, 61.25 % now." in message.text
    assert "Your 2 ETH count 1,125 USD less." in message.text
    one, price = server.sample, server.sample.mark * Decimal("0.9")
    rate = server.tier_rows(one.symbol)[0][2] + FEES[server.exchange]
    (moved,) = message.facts["moved"]
    before = price - 1125 / (one.contracts * one.contract_size * (1 - rate))
    assert abs(Decimal(moved["before"]) - before) < Decimal("1e-20")


async def test_without_a_price_nobody_says_how_much_of_a_balance_counts_and_the_change_is_told(
    server, tmp_path, monkeypatch
):
    in_dollars(server)
    messages = told(monkeypatch)
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
        server.counted["ETH"] = [("0", "0.95"), ("1500", "0.5")]
        server.break_reads("mark", Fate.HTTP_500)
        for _ in range(2):
            await look_anew(watch)
    (message,) = messages
    assert message.title.startswith("COLLATERAL CHANGED ETH: ")
    assert "how much of ETH counts as margin, and what yours are worth is not known" in message.text
    assert message.facts["collateral"] == [{"asset": "ETH", "before": None, "now": None}]
    assert message.level.word == "warn"


async def test_a_coin_that_its_owner_took_out_of_the_collateral_is_not_asked_about(server, tmp_path, monkeypatch):
    if server.exchange != "gate":
        pytest.skip("only Gate says by coin whether it is collateral")
    messages = told(monkeypatch)
    server.not_collateral.add("ETH")
    async with watching_account(server, tmp_path) as (watch, journal):
        await watch.cycle()
        server.counted["ETH"] = [("0", "0.9")]
        await look_anew(watch)
        kept = [row.subject for row in journal.history("main") if row.kind == HAIRCUTS]
    assert kept == ["USDT"]
    assert messages == []


async def test_where_each_coin_stands_for_itself_in_a_unified_account_nothing_is_asked(server, tmp_path):
    server.is_wrong_mode, server.margin_mode = False, 3
    async with watching_account(server, tmp_path) as (watch, _):
        await watch.cycle()
    assert server.asked(PATHS["gate"]) == []


async def test_the_check_says_where_nothing_of_what_backs_positions_is_listed(server, tmp_path):
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text(config_text(server, {"max_per_position": "1000", "max_per_day": "1000"}))
    server.counted.clear()
    found = {one.subject: one async for one in inspect_accounts(load(path, environ={}))}
    told = found["main collateral values"]
    assert told.verdict is Verdict.WARNING
    assert re.fullmatch("none of [1-3] assets is listed; a change of them would not be told", told.text)
