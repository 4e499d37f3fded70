"""Whatever stands in an answer, reading it gives figures, gaps or VenueUnavailable: never another exception."""

import copy
import random
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from okx_wire import OkxServer, ok
from okx_wire_ledger import algo_row
from okx_wire_market import INSTRUMENTS

from guard.errors import VenueUnavailable
from guard.snapshot import AssetMode, PositionKey, Side
from guard.venues import okx_account, okx_bills, okx_market, okx_orders, okx_tiers
from guard.venues.okx_contracts import read_market
from guard.venues.okx_rows import Config
from guard.venues.rows import RowError

JUNK = [
    None, "", "0", "-1", "1e999", "NaN", "-Infinity", "1" * 60, "long", "isolated", "é" * 70, 0, -1, 10**30, True, [], {},
    [None], {"a": None}, "2026-01-01", "1E-400", "+5", " 5", "0x10", "\x00",
]  # fmt: skip
BTC, LONG = "BTC/USDT:USDT", PositionKey("BTC/USDT:USDT", Side.LONG)
NET = Config(acctLv="3", posMode="net_mode", ctIsoMode="automatic")
ROUNDS = 400


def listed(inst_id, symbol, server):
    row = next(row for row in server.instruments(call(instType="SWAP")) if row["instId"] == inst_id)
    return {"symbol": symbol, "base": symbol.split("/")[0], "settle": row["settleCcy"], "info": row}


def call(**params):
    return SimpleNamespace(params=params, query="begin=0&end=99999999999999")


@pytest.fixture
def world():
    server = OkxServer()
    server.hold_sample()
    server.hold_sample(Side.SHORT, server.other, margin=None)
    server.hold_sample(of=server.inverse)
    rows = {inst_id: terms[0] for inst_id, terms in INSTRUMENTS.items() if inst_id.endswith("SWAP")}
    markets = {inst_id: read_market(listed(inst_id, symbol, server)) for inst_id, symbol in rows.items()}
    return SimpleNamespace(server=server, markets=markets)


def spoiled(answer, dice):
    """Return a copy with one to three places of it replaced by junk, or taken away."""
    answer = copy.deepcopy(answer)
    for _ in range(dice.randint(1, 3)):
        place = answer
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = dice.choice(keys)
            inner = place[key]
            if isinstance(inner, dict | list) and inner and dice.random() < 0.85:
                place = inner
                continue
            if dice.random() < 0.2:
                del place[key]
            else:
                place[key] = dice.choice(JUNK)
            break
    return answer


def read_account(world, positions, balance):
    rows = okx_account.data_of(positions, "positions")
    read, gaps = okx_account.read_positions(rows, world.markets, NET)
    okx_account.open_sizes(rows)
    totals = okx_account.totals_of(balance)
    details, unread = okx_account.read_details(totals)
    okx_account.read_wallets(details, read, unread)
    okx_account.disagreements(details, read, gaps)
    okx_account.hidden_positions(details, read, gaps)
    okx_account.account_ratio(totals, read, AssetMode.MULTI)


def read_tables(world, tiers, fees):
    market = world.markets["BTC-USDT-SWAP"]
    try:
        okx_tiers.taker_rate(okx_tiers.read_fee(fees), market)
        okx_tiers.table_of(okx_tiers.read_families(tiers).get("BTC-USDT", ()), market.lot)
    except RowError:
        pass


class Answering:
    """Stands in for the client: every endpoint gives the one answer."""

    id = "okx"

    def __init__(self, answer):
        self._answer = answer

    def __getattr__(self, name):
        async def answer(_parameters):
            return self._answer

        return answer


@pytest.mark.parametrize("seed", range(4))
async def test_no_answer_breaks_a_reader(world, seed):
    dice = random.Random(seed)  # noqa: S311 - dice, not keys.
    server, market = world.server, world.markets["BTC-USDT-SWAP"]
    now = datetime.now(UTC)
    positions, balance = ok(server._positions(call())), ok(server._balance(call()))
    tiers = ok(server.position_tiers(call(instFamily="BTC-USDT", tdMode="isolated")))
    fees = ok(server.trade_fee(call(instType="SWAP")))
    bills = ok(server._bills(call(), now - datetime(2020, 1, 1, tzinfo=UTC)))
    candles = ok(server.candles(call(instId="BTC-USDT-SWAP", bar="1m", limit=3)))
    orders = ok([algo_row(slTriggerPx="56000"), algo_row(ordType="trigger", triggerPx="56000")])
    config = ok(server._config(call()))
    outcomes = Counter()
    for _ in range(ROUNDS):
        clients = {name: Answering(spoiled(answer, dice)) for name, answer in
                   {"bills": bills, "candles": candles, "orders": orders, "mark": ok([server.mark_row("BTC-USDT-SWAP")])}.items()}  # fmt: skip
        reads = [
            lambda: read_account(world, spoiled(positions, dice), spoiled(balance, dice)),
            lambda: read_tables(world, spoiled(tiers, dice), spoiled(fees, dice)),
            lambda: okx_account.read_config(spoiled(config, dice)),
            lambda: okx_account.read_scopes(spoiled(config, dice)),
        ]
        for read in reads:
            try:
                read()
            except VenueUnavailable:
                outcomes["unavailable"] += 1
            else:
                outcomes["read"] += 1
        waits = [
            okx_bills.read_moves(clients["bills"], frozenset({"BTC-USDT-SWAP"}), start=now, end=now, now=now),
            okx_market.read_candles(clients["candles"], market, minutes=1, count=3),
            okx_orders.read_stops(clients["orders"], world.markets, frozenset({BTC})),
            okx_market.read_mark(clients["mark"], market),
            okx_orders.read_ending(clients["orders"], market, LONG, now),
        ]
        for wait in waits:
            try:
                await wait
            except VenueUnavailable:
                outcomes["unavailable"] += 1
            else:
                outcomes["read"] += 1
    assert outcomes.total() == ROUNDS * 9
    assert min(outcomes["read"], outcomes["unavailable"]) > ROUNDS  # Neither is all that ever happens.


def test_no_listing_breaks_the_markets(world):
    dice = random.Random(7)  # noqa: S311 - dice, not keys.
    whole = listed("BTC-USDT-SWAP", BTC, world.server)
    read = [read_market(spoiled(whole, dice)) for _ in range(ROUNDS)]
    assert any(read)
    assert not all(read)
