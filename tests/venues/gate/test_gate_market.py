"""Gate's streams, tiers, rules, hosts, keys, stops and endings, as far as they are Gate's alone."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from gate_wire import GateServer
from gate_wire_market import trail_row
from wire_faults import Fate, WireRefusal

from guard.errors import ConfigError, KeysRefused, VenueUnavailable
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import EndKind, MarginMode, PositionKey, Side
from guard.venues import open_venue
from guard.venues.gateio import GateIo
from guard.venues.gateio_market import stream_marks
from guard.venues.protocol import KeyVerdict, VenueAccount

BTC, ETH, COIN, GOLD = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC", "XAU/USDT:USDT"


def now():
    return datetime.now(UTC)


def account(**ccxt):
    return VenueAccount(account="main", exchange="gate", api_key="k", secret="s", password=None, ccxt=ccxt)


async def test_linear_and_inverse_marks_come_by_streams_of_their_own_with_the_messages_time(server, venue):
    await venue.open()
    told = {}
    async with asyncio.timeout(15), aclosing(venue.watch_marks((BTC, COIN, ETH))) as stream:
        async for mark in stream:
            told[mark.symbol] = mark
            if len(told) == 3:
                break
    assert {symbol: mark.price for symbol, mark in told.items()} == {
        one.symbol: one.mark for one in (server.sample, server.other, server.inverse)
    }
    assert all(abs(mark.at - now()) < timedelta(seconds=5) for mark in told.values())
    assert all(mark.index_price == mark.price for mark in told.values())
    assert server.stream_paths == {"/v4/ws/usdt", "/v4/ws/btc"}


@pytest.mark.parametrize("late_ms", [-30_000, None])
async def test_a_price_that_is_late_or_has_no_time_is_no_news(server, venue, late_ms):
    await venue.open()
    honest = server.ticks

    def late(channels):
        for message in honest(channels):
            message["time_ms"] = None if late_ms is None else message["time_ms"] + late_ms
            yield message

    server.ticks = late
    stream = stream_marks(venue._client, ((BTC,),), now=now, silence_max=timedelta(seconds=2))
    async with asyncio.timeout(15), aclosing(stream):
        with pytest.raises(VenueUnavailable, match="no fresh price"):
            await anext(stream)


async def test_a_price_of_a_time_to_come_keeps_no_true_one_from_being_told(server, venue):
    await venue.open()
    honest, said = server.ticks, []

    def ahead_first(channels):
        for message in honest(channels):
            said.append(message)
            if len(said) == 1:
                message["time_ms"] += 3_600_000
                message["result"][0]["mark_price"] = "1"
            yield message

    server.ticks = ahead_first
    async with asyncio.timeout(15), aclosing(venue.watch_marks((BTC,))) as stream:
        mark = await anext(stream)
    assert mark.price == server.sample.mark
    assert len(said) > 1


async def test_tiers_are_slices_unless_the_account_says_otherwise(server, venue):
    await venue.snapshot()
    sliced = (await venue.tiers(frozenset({BTC}))).by_symbol[BTC].rows
    assert [tier.maintenance_amount for tier in sliced] == [0, 100, 6100]
    server.tiered = False
    await venue.snapshot()
    whole = (await venue.tiers(frozenset({BTC}))).by_symbol[BTC].rows
    assert [tier.maintenance_amount for tier in whole] == [None, None, None]


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [],
        lambda rows: [{**row, "deduction": ""} for row in rows],
        lambda rows: [{**row, "risk_limit": "5"} for row in rows],
        lambda rows: [{**row, "maintenance_rate": "1.5"} for row in rows],
    ],
    ids=["none", "no deduction", "equal limits", "a rate above one"],
)
async def test_tiers_that_make_no_table_are_a_gap(server, venue, change):
    await venue.open()
    server.mangle("tiers", lambda answer: change(answer) if answer[0]["contract"] == "BTC_USDT" else answer)
    tables = await venue.tiers(frozenset({BTC, ETH}))
    assert list(tables.by_symbol) == [ETH]
    assert [gap.subject for gap in tables.gaps] == [f"{BTC} tiers"]


async def test_the_trigger_counts_the_contracts_standard_rate(venue):
    await venue.open()
    usual = KNOWN_RULES["gate"].rule
    assert venue.rules.of(BTC, MarginMode.ISOLATED) == usual
    assert usual.liquidation_fee_rate == Decimal("0.00075")
    for mode in MarginMode:
        assert venue.rules.of(GOLD, mode).liquidation_fee_rate == Decimal("0.0005")


async def test_only_hosts_in_use_are_named_and_testnets_are_known():
    real = open_venue(account(), now=now)
    assert real.hosts() == ("api.gateio.ws", "fx-ws.gateio.ws")
    assert not real.write_terms.test_host
    await real.close()
    api = "https://api-testnet.gateapi.io/api/v4"
    urls = {
        "api": {
            "public": {"futures": api, "spot": api},
            "private": {"futures": api, "account": api, "unified": api},
            "swap": {"usdt": "wss://ws-testnet.gate.com/v4/ws/futures/usdt", "btc": "wss://fx-ws-testnet.gateio.ws/v4/ws/btc"},
        }
    }  # fmt: skip
    test = open_venue(account(urls=urls), now=now)
    assert test.hosts() == ("api-testnet.gateapi.io", "fx-ws-testnet.gateio.ws", "ws-testnet.gate.com")
    assert test.write_terms.test_host
    await test.close()


async def test_an_address_where_a_table_belongs_is_named():
    with pytest.raises(ConfigError, match=r"urls\.api\.public"):
        open_venue(account(urls={"api": {"public": "https://api.gateio.ws"}}), now=now)


@pytest.mark.parametrize("withdraw", [True, False])
async def test_of_a_list_of_keys_the_own_one_is_judged(server, venue, withdraw):
    server.listed_keys = True
    server.set_key(withdraw=withdraw)
    verdict = (await venue.key_scopes()).verdict
    assert verdict is (KeyVerdict.TOO_POWERFUL if withdraw else KeyVerdict.SAFE)


async def test_a_list_without_this_key_says_nothing(server, venue):
    server.listed_keys = True
    server.mangle("main_keys", lambda answer: answer[:1])
    assert (await venue.key_scopes()).verdict is KeyVerdict.UNVERIFIABLE


async def test_a_key_that_may_not_ask_about_itself_is_unverifiable_and_still_reads(server, venue):
    server.account_permission = False
    server.hold_sample()
    scopes = await venue.key_scopes()
    assert scopes.verdict is KeyVerdict.UNVERIFIABLE
    assert "account permission" in scopes.text
    assert len((await venue.snapshot()).positions) == 1


@pytest.mark.parametrize("name", ["wallet", "sub_accounts", "custody", "otc"])
async def test_a_permission_by_which_money_leaves_is_too_powerful(server, venue, name):
    server.mangle("main_keys", lambda answer: answer | {"perms": [*answer["perms"], {"name": name}]})
    scopes = await venue.key_scopes()
    assert scopes.verdict is KeyVerdict.TOO_POWERFUL
    assert name in scopes.text


async def test_a_frozen_key_cannot_add_margin(server, venue):
    server.mangle("main_keys", lambda answer: answer | {"state": 3})
    assert (await venue.key_scopes()).verdict is KeyVerdict.READ_ONLY


async def test_a_take_profit_is_no_stop(server, venue):
    server.hold_sample()
    server.add_stop(BTC, Side.LONG, Decimal(56000))
    server.take_profits = [server.stop_orders[0]]
    await venue.open()
    (stop,) = await venue.stops(frozenset({BTC}))
    assert (stop.trigger_price, stop.trigger_by, stop.quantity) == (56000, "mark", None)


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({}, Side.LONG),
        ({"amount": "10"}, Side.SHORT),
        ({"reduce_only": False, "side_label": "close short", "amount": "10"}, Side.SHORT),
        ({"reduce_only": False, "position_related": True, "amount": "0", "side_label": "Close long"}, Side.LONG),
        ({"activated_at": 1770000001, "trigger_price": "61000", "extremum_price": "61616"}, Side.LONG),
        ({"reduce_only": False}, None),  # It may open a position.
        ({"contract": "ETH_USDT"}, None),  # Not asked for.
    ],
    ids=str,
)
async def test_of_a_trailing_order_it_is_told_that_it_is_there(server, venue, fields, side):
    server.hold_sample()
    server.trails = [trail_row(**fields)]
    await venue.open()
    stops = await venue.stops(frozenset({BTC}))
    assert [(one.key.side, one.trigger_price) for one in stops] == ([] if side is None else [(side, None)])


async def test_trailing_orders_are_read_page_by_page(server, venue):
    server.hold_sample()
    server.trails = [trail_row(id=number) for number in range(130)]
    await venue.open()
    assert len(await venue.stops(frozenset({BTC}))) == 130
    assert [query["page_num"] for query in server.asked("/trail/list")] == ["1", "2"]


async def test_where_there_is_no_list_of_trailing_orders_the_stops_are_told_all_the_same(server, venue):
    server.hold_sample()
    server.add_stop(BTC, Side.LONG, Decimal(56000))
    server.has_trails = False
    await venue.open()
    assert len(await venue.stops(frozenset({BTC}))) == 1


@pytest.mark.parametrize(
    "how", [Fate.HTML_200, Fate.EMPTY_200, Fate.NULL_200, Fate.BARE_200, Fate.TRUNCATED, Fate.LOST_AFTER]
)
async def test_trailing_orders_that_cannot_be_read_are_not_missing(server, venue, how):
    server.hold_sample()
    await venue.open()
    server.break_reads("trails", how)
    with pytest.raises(VenueUnavailable):
        await venue.stops(frozenset({BTC}))


@pytest.mark.parametrize("field", ["contract", "amount"])
async def test_a_trailing_order_that_cannot_be_read_is_not_missing(server, venue, field):
    server.hold_sample()
    server.trails = [{name: value for name, value in trail_row().items() if name != field}]
    await venue.open()
    with pytest.raises(VenueUnavailable, match="trailing orders"):
        await venue.stops(frozenset({BTC}))


@pytest.mark.parametrize(
    ("initial", "rule", "found"),
    [
        ({"size": "-40", "is_reduce_only": True}, 2, Side.LONG),
        ({"size": "40", "is_reduce_only": True}, 1, Side.SHORT),
        ({"size": "0", "is_close": True}, 2, Side.LONG),
        ({"size": "40", "is_reduce_only": True}, 2, None),  # Closes a short when the price falls: its profit.
        ({"size": "-40"}, 2, None),  # It may open a position as well.
    ],
)
async def test_an_order_without_a_kind_is_a_stop_by_what_it_does(server, venue, initial, rule, found):
    server.hold_sample()
    server.add_stop(BTC, Side.LONG, Decimal(56000))

    def change(rows):
        rows[0]["order_type"] = ""
        rows[0]["trigger"]["rule"] = rule
        bare = {"contract": "BTC_USDT", "is_reduce_only": False, "is_close": False, "auto_size": ""}
        rows[0]["initial"] = bare | initial
        return rows

    server.mangle("stops", change)
    await venue.open()
    stops = await venue.stops(frozenset({BTC}))
    assert [stop.key.side for stop in stops] == ([] if found is None else [found])


@pytest.mark.parametrize(("how", "kind"), [("liquidated", EndKind.LIQUIDATED), ("adl", EndKind.DELEVERAGED)])
@pytest.mark.parametrize("side", list(Side))
async def test_an_ending_whose_order_says_nothing_is_told_by_the_other_records(server, venue, how, kind, side):
    server.plain_texts = True
    server.hold_sample(side)
    await venue.snapshot()
    server.end_position(BTC, side, how)
    ending = await venue.ending(PositionKey(BTC, side), now() - timedelta(minutes=1))
    assert (ending.kind, ending.price) == (kind, server.sample.mark)


async def test_an_earlier_ending_is_not_this_ones(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.end_position(BTC, Side.LONG, "liquidated")
    ending = await venue.ending(PositionKey(BTC, Side.LONG), now() + timedelta(minutes=1))
    assert ending.kind is EndKind.UNKNOWN


def test_gate_is_supported_by_its_ccxt_id():
    venue = open_venue(GateServer().account(urls={}), now=now)
    assert isinstance(venue, GateIo)


async def test_a_key_without_the_right_to_look_is_told_as_that_and_one_that_may_not_look_at_itself_is_not(
    server, venue
):
    """Docs, "Label list": FORBIDDEN, "Request API key does not have ... permission"."""
    await venue.open()
    answer = server.answer

    def refused(call):
        if "/futures/" in call.path:
            raise WireRefusal(403, {"label": "FORBIDDEN", "message": "no futures permission"})
        return answer(call)

    server.answer = refused
    with pytest.raises(KeysRefused, match="FORBIDDEN"):
        await venue.snapshot()
    server.account_permission = False
    assert (await venue.key_scopes()).verdict is KeyVerdict.UNVERIFIABLE
